// A checked byte-level vocabulary: the bytes of each id, and hash tables from bytes to ids.
import { TokenizerError } from "../../util/errors.ts";
import { MAX_PIECES } from "../core/limits.ts";
import { invalid } from "../core/special_ids.ts";
import { type ByteBpeData, TokenType } from "../core/vocabulary_data.ts";
import { byteSpelling } from "./byte_alphabet.ts";

const NONE = -1;
const FACTOR = 0x01000193;

/** Slots looked at before a vocabulary is refused: a real one needs a few dozen at most. */
const MAX_PROBES = 1 << 10;

/** What {@link ByteVocabulary} needs of a vocabulary. */
export type ByteTokens = Pick<ByteBpeData, "bytes" | "offsets" | "types">;

/** Lays tokens one after the other, as {@link ByteBpeData} has them. */
export function packTokens(tokens: readonly Uint8Array[]): { bytes: Uint8Array; offsets: Uint32Array } {
  const offsets = new Uint32Array(tokens.length + 1);
  for (const [id, token] of tokens.entries()) offsets[id + 1] = (offsets[id] as number) + token.length;
  const bytes = new Uint8Array(offsets[tokens.length] as number);
  for (const [id, token] of tokens.entries()) bytes.set(token, offsets[id]);
  return { bytes, offsets };
}

/**
 * Tokens as bytes, and the ids of those that text can become (normal ones) by their bytes: a hash table in typed
 * arrays, so that a vocabulary of a hundred thousand tokens loads in milliseconds.
 */
export class ByteVocabulary {
  readonly size: number;
  readonly bytes: Uint8Array;
  readonly offsets: Uint32Array;
  /** Id of the token of each byte, -1 if there is none. */
  readonly byteIds = new Int32Array(256).fill(NONE);
  /** Bytes of the longest token that text can become. */
  readonly longest: number;
  readonly #types: Uint8Array;
  /** Hash and id of each slot; the id is -1 if it is free. */
  readonly #slots: Int32Array;
  /**
   * Hash of a token's bytes by id: the polynomial sum of byte * FACTOR^(bytes after it), modulo 2^32, so that the
   * hash of two tokens together follows from theirs.
   */
  readonly #hashes: Int32Array;
  /** FACTOR to the power of each length of a token. */
  readonly #powers: Int32Array;

  /** @throws FormatError if the data contradict themselves */
  constructor({ bytes, offsets, types }: ByteTokens) {
    this.size = offsets.length - 1;
    checkOffsets(bytes, offsets);
    this.bytes = bytes;
    this.offsets = offsets;
    this.#types = checkTypes(types, this.size);
    this.#hashes = new Int32Array(this.size);
    this.#slots = new Int32Array(2 * tableSize(this.size)).fill(NONE);
    let longest = 0;
    for (let id = 0; id < this.size; id++) {
      const n = (offsets[id + 1] as number) - (offsets[id] as number);
      if (n === 0 || this.#types[id] !== TokenType.normal) continue;
      this.#insert(id, n);
      if (n > longest) longest = n;
    }
    this.longest = longest;
    this.#powers = powersUpTo(longest);
    this.#indexBytes();
  }

  /** {@link TokenType} of an id of the vocabulary. */
  type(id: number): number {
    return this.#types[id] as number;
  }

  /** Whether text can become a token. */
  isText(id: number): boolean {
    return this.#types[id] === TokenType.normal && this.length(id) > 0;
  }

  /** Bytes of a token. */
  length(id: number): number {
    return (this.offsets[id + 1] as number) - (this.offsets[id] as number);
  }

  /** @throws TokenizerError for an id outside the vocabulary */
  check(id: number): void {
    if (Number.isInteger(id) && id >= 0 && id < this.size) return;
    throw new TokenizerError(
      `Cannot decode id ${id}: Expected an integer from 0 to ${this.size - 1}, the vocabulary's ids`,
    );
  }

  /** Writes the bytes of a token to `into` from `at` on and gives their end. */
  copy(id: number, into: Uint8Array, at: number): number {
    const { bytes, offsets } = this;
    const end = offsets[id + 1] as number;
    let out = at;
    for (let i = offsets[id] as number; i < end; i++) into[out++] = bytes[i] as number;
    return out;
  }

  /** The bytes of a token: a view. @throws TokenizerError for an id outside the vocabulary */
  token(id: number): Uint8Array {
    this.check(id);
    return this.bytes.subarray(this.offsets[id], this.offsets[id + 1]);
  }

  /** Id of the token of bytes [begin, end), -1 if there is none. */
  find(bytes: Uint8Array, begin: number, end: number): number {
    const n = end - begin;
    if (n === 0 || n > this.longest) return NONE;
    let hash = 0;
    for (let i = begin; i < end; i++) hash = extendHash(hash, bytes[i] as number);
    return this.findHashed(bytes, begin, end, hash);
  }

  /** As {@link find}, for bytes whose hash is known. */
  findHashed(bytes: Uint8Array, begin: number, end: number, hash: number): number {
    const n = end - begin;
    const slots = this.#slots;
    const mask = slots.length - 1;
    for (let slot = slotOf(hash, mask); ; slot = (slot + 2) & mask) {
      const id = slots[slot + 1] as number;
      if (id === NONE) return NONE;
      if (slots[slot] === hash && this.length(id) === n && this.#equals(id, 0, bytes, begin, n)) return id;
    }
  }

  /** Id of the token of the bytes of two tokens, one after the other; -1 if there is none. */
  findPair(left: number, right: number): number {
    const nLeft = this.length(left);
    const nRight = this.length(right);
    if (nLeft + nRight > this.longest) return NONE;
    const hash =
      (Math.imul(this.#hashes[left] as number, this.#powers[nRight] as number) +
        (this.#hashes[right] as number)) |
      0;
    const slots = this.#slots;
    const mask = slots.length - 1;
    for (let slot = slotOf(hash, mask); ; slot = (slot + 2) & mask) {
      const id = slots[slot + 1] as number;
      if (id === NONE) return NONE;
      if (slots[slot] === hash && this.isPair(id, left, right)) return id;
    }
  }

  /** Whether a token's bytes are those of two others, one after the other. */
  isPair(id: number, left: number, right: number): boolean {
    const nLeft = this.length(left);
    const nRight = this.length(right);
    return (
      this.length(id) === nLeft + nRight &&
      this.#equals(id, 0, this.bytes, this.offsets[left] as number, nLeft) &&
      this.#equals(id, nLeft, this.bytes, this.offsets[right] as number, nRight)
    );
  }

  /** Whether `n` bytes of a token, from `at` on, are those of `bytes` from `begin` on. */
  #equals(id: number, at: number, bytes: Uint8Array, begin: number, n: number): boolean {
    const own = (this.offsets[id] as number) + at;
    for (let i = 0; i < n; i++) if (this.bytes[own + i] !== bytes[begin + i]) return false;
    return true;
  }

  /** Of equal tokens the first counts. */
  #insert(id: number, n: number): void {
    const { bytes, offsets } = this;
    const hashes = this.#hashes;
    const slots = this.#slots;
    const begin = offsets[id] as number;
    let hash = 0;
    for (let i = 0; i < n; i++) hash = extendHash(hash, bytes[begin + i] as number);
    hashes[id] = hash;
    const mask = slots.length - 1;
    let slot = slotOf(hash, mask);
    for (let probes = 0; ; probes++) {
      const other = slots[slot + 1] as number;
      if (other === NONE) break;
      if (slots[slot] === hash && this.length(other) === n && this.#equals(other, 0, bytes, begin, n)) return;
      if (probes > MAX_PROBES) {
        throw invalid(`Expected tokens that differ as text does, got ${MAX_PROBES} of one hash`);
      }
      slot = (slot + 2) & mask;
    }
    slots[slot] = hash;
    slots[slot + 1] = id;
  }

  /** Bytes that no normal token stands for alone may have a byte token. */
  #indexBytes(): void {
    const one = new Uint8Array(1);
    for (let byte = 0; byte < 256; byte++) {
      one[0] = byte;
      this.byteIds[byte] = this.find(one, 0, 1);
    }
    for (let id = this.size - 1; id >= 0; id--) {
      if (this.type(id) !== TokenType.byte || this.length(id) !== 1) continue;
      const byte = this.bytes[this.offsets[id] as number] as number;
      if (this.find(this.token(id), 0, 1) !== NONE) continue;
      this.byteIds[byte] = id;
      this.#hashes[id] = byte;
    }
  }

  /** @throws TokenizerError that says which byte text cannot be encoded without */
  missingByte(byte: number): TokenizerError {
    const name = `0x${byte.toString(16).toUpperCase().padStart(2, "0")}`;
    return new TokenizerError(
      `Cannot encode byte ${name}: Expected a token for it (${byteSpelling(Uint8Array.of(byte))}), the vocabulary has none`,
    );
  }
}

/** The hash of some bytes and one more, from the hash of those; that of none is 0. */
export function extendHash(hash: number, byte: number): number {
  return (Math.imul(hash, FACTOR) + byte) | 0;
}

/** Slots of a hash table of `n` entries: a power of two, two to four times as many. */
export function tableSize(n: number): number {
  return 1 << (33 - Math.clz32(n));
}

function slotOf(hash: number, mask: number): number {
  return (Math.imul(hash ^ (hash >>> 15), 0x2c1b3c6d) >>> 7) & mask & ~1;
}

function powersUpTo(longest: number): Int32Array {
  const powers = new Int32Array(longest + 1);
  powers[0] = 1;
  for (let n = 1; n <= longest; n++) powers[n] = Math.imul(powers[n - 1] as number, FACTOR);
  return powers;
}

function checkOffsets(bytes: Uint8Array, offsets: Uint32Array): void {
  const n = offsets.length - 1;
  if (n < 1) throw invalid("Expected at least one token, got none");
  if (n > MAX_PIECES) throw invalid(`Expected at most ${MAX_PIECES} tokens, got ${n}`);
  if (offsets[0] !== 0) throw invalid(`Expected the first token at byte 0, got ${offsets[0]}`);
  for (let id = 0; id < n; id++) {
    const end = offsets[id + 1] as number;
    if (end < (offsets[id] as number) || end > bytes.length) {
      throw invalid(`Expected token ${id} to end at byte ${offsets[id]} to ${bytes.length}, got ${end}`);
    }
  }
}

function checkTypes(types: ArrayLike<number>, n: number): Uint8Array {
  if (types.length !== n) throw invalid(`Expected ${n} types, one a token, got ${types.length}`);
  const checked = new Uint8Array(n);
  for (let id = 0; id < n; id++) {
    const type = types[id] as number;
    if (!(Number.isInteger(type) && type >= TokenType.normal && type <= TokenType.byte)) {
      throw invalid(`Expected a type from 1 to 6 for token ${id}, got ${type}`);
    }
    checked[id] = type;
  }
  return checked;
}
