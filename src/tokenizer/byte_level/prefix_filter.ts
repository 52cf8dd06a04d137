// Finds the lengths of tokens that may begin at a byte, by hashes of their prefixes.
import { type ByteVocabulary, extendHash, tableSize } from "./byte_vocabulary.ts";

/** Bits of an entry: a token has this hash; a longer token begins with bytes of this hash. */
const ENDS = 1;
const GOES_ON = 2;

/** Most entries: 4 MB. */
const MAX_ENTRIES = 1 << 24;

/**
 * Says at which bytes of a text a token that began before may end, by the hashes of all beginnings of tokens. It may
 * say so wrongly, and then costs a look into the vocabulary, but it leaves none out.
 */
export class PrefixFilter {
  /** Two bits an entry. */
  readonly #bits: Uint32Array;
  readonly #mask: number;
  readonly #vocabulary: ByteVocabulary;
  readonly #longest: number;
  /** Lengths and hashes of what {@link walk} found, the shortest first. */
  readonly lengths: Int32Array;
  readonly hashes: Int32Array;
  /** Bytes that the last {@link walk} looked at. */
  walked = 0;

  /** @param longest bytes of the longest tokens to find */
  constructor(vocabulary: ByteVocabulary, longest: number) {
    const entries = Math.min(2 * tableSize(vocabulary.bytes.length), MAX_ENTRIES);
    this.#bits = new Uint32Array(Math.max(1, entries >>> 4));
    this.#mask = entries - 1;
    this.#vocabulary = vocabulary;
    this.#longest = longest;
    this.lengths = new Int32Array(longest);
    this.hashes = new Int32Array(longest);
    for (let id = 0; id < vocabulary.size; id++) if (vocabulary.isText(id)) this.#add(id);
  }

  /** Finds the ends of all tokens of less than `limit` bytes that may begin at `begin`. Returns their number. */
  walk(bytes: Uint8Array, begin: number, end: number, limit: number): number {
    const { lengths, hashes } = this;
    const bits = this.#bits;
    const mask = this.#mask;
    const last = Math.min(end, begin + Math.min(limit - 1, this.#longest));
    let n = 0;
    let hash = 0;
    let i = begin;
    for (; i < last; i++) {
      hash = extendHash(hash, bytes[i] as number);
      const entry = (hash ^ (hash >>> 13)) & mask;
      const flags = ((bits[entry >>> 4] as number) >>> ((entry & 15) << 1)) & 3;
      if ((flags & ENDS) !== 0) {
        lengths[n] = i - begin + 1;
        hashes[n++] = hash;
      }
      if ((flags & GOES_ON) === 0) break;
    }
    this.walked = i - begin + 1;
    return n;
  }

  #add(id: number): void {
    const bits = this.#bits;
    const mask = this.#mask;
    const { bytes, offsets } = this.#vocabulary;
    const begin = offsets[id] as number;
    const end = offsets[id + 1] as number;
    if (end - begin > this.#longest) return;
    let hash = 0;
    for (let i = begin; i < end; i++) {
      hash = extendHash(hash, bytes[i] as number);
      const entry = (hash ^ (hash >>> 13)) & mask;
      const flags = i === end - 1 ? ENDS : GOES_ON;
      bits[entry >>> 4] = (bits[entry >>> 4] as number) | (flags << ((entry & 15) << 1));
    }
  }
}
