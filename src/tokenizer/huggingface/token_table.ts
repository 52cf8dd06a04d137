// The vocabulary of a tokenizer.json: tokens by id and ids by token.
import { FormatError } from "../../util/errors.ts";

const NONE = -1;
const FACTOR = 0x01000193;

/** Tokens of one hash that are looked at; real vocabularies have chains of a dozen. */
const MAX_PROBES = 1 << 10;

/**
 * Ids by text. Looks parts of texts and pairs of tokens up without making strings of them, which is most of the
 * work of reading merges.
 */
export class TokenTable {
  readonly #tokens: readonly (string | undefined)[];
  /** Polynomial hashes, so that the hash of two tokens together follows from theirs. */
  readonly #hashes: Int32Array;
  readonly #slots: Int32Array;

  /**
   * @param tokens text by id; of equal ones the first counts
   * @throws FormatError for texts made to collide
   */
  constructor(tokens: readonly (string | undefined)[]) {
    this.#tokens = tokens;
    this.#hashes = new Int32Array(tokens.length);
    this.#slots = new Int32Array(1 << (33 - Math.clz32(tokens.length + 1))).fill(NONE);
    for (let id = 0; id < tokens.length; id++) {
      const token = tokens[id];
      if (token !== undefined) this.#insert(id, token);
    }
  }

  /** The id of a text, or undefined. */
  get(text: string): number | undefined {
    const id = this.find(text, 0, text.length);
    return id === NONE ? undefined : id;
  }

  has(text: string): boolean {
    return this.find(text, 0, text.length) !== NONE;
  }

  /** The id of units [begin, end) of a text, or -1. */
  find(text: string, begin: number, end: number): number {
    const hash = hashOf(text, begin, end);
    const mask = this.#slots.length - 1;
    for (let slot = slotOf(hash, mask); ; slot = (slot + 1) & mask) {
      const id = this.#slots[slot] as number;
      if (id === NONE) return NONE;
      const token = this.#tokens[id] as string;
      if (this.#hashes[id] === hash && token.length === end - begin && text.startsWith(token, begin))
        return id;
    }
  }

  /** The id of the texts of two tokens, one after the other, or -1. */
  findPair(left: number, right: number): number {
    const first = this.#tokens[left] as string;
    const second = this.#tokens[right] as string;
    let hash = this.#hashes[left] as number;
    for (let i = 0; i < second.length; i++) hash = (Math.imul(hash, FACTOR) + second.charCodeAt(i)) | 0;
    const mask = this.#slots.length - 1;
    for (let slot = slotOf(hash, mask); ; slot = (slot + 1) & mask) {
      const id = this.#slots[slot] as number;
      if (id === NONE) return NONE;
      if (this.#hashes[id] === hash && isPair(this.#tokens[id] as string, first, second)) return id;
    }
  }

  #insert(id: number, token: string): void {
    const hash = hashOf(token, 0, token.length);
    const mask = this.#slots.length - 1;
    this.#hashes[id] = hash;
    let slot = slotOf(hash, mask);
    for (let probes = 0; this.#slots[slot] !== NONE; probes++) {
      const other = this.#slots[slot] as number;
      if (this.#hashes[other] === hash && this.#tokens[other] === token) return;
      if (probes > MAX_PROBES) {
        throw new FormatError(
          `Cannot build tokenizer: Expected tokens that differ as text does, got ${MAX_PROBES} of one hash`,
        );
      }
      slot = (slot + 1) & mask;
    }
    this.#slots[slot] = id;
  }
}

function isPair(token: string, first: string, second: string): boolean {
  return (
    token.length === first.length + second.length &&
    token.startsWith(first) &&
    token.startsWith(second, first.length)
  );
}

function hashOf(text: string, begin: number, end: number): number {
  let hash = 0;
  for (let i = begin; i < end; i++) hash = (Math.imul(hash, FACTOR) + text.charCodeAt(i)) | 0;
  return hash;
}

function slotOf(hash: number, mask: number): number {
  return (Math.imul(hash ^ (hash >>> 15), 0x2c1b3c6d) >>> 7) & mask;
}
