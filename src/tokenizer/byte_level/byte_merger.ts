// Byte pair encoding of words of bytes: what core/merger.ts must know about a byte-level vocabulary.
import { LONGEST, type MergeRule, Merger, type MergeTokens, NONE } from "../core/merger.ts";
import type { ByteVocabulary } from "./byte_vocabulary.ts";
import { PrefixFilter } from "./prefix_filter.ts";

/** Byte pair encoding of words of bytes, see {@link Merger}. */
export class ByteMerger extends Merger<Uint8Array> {
  constructor(vocabulary: ByteVocabulary, ranks: MergeRule) {
    super(new ByteMergeTokens(vocabulary), ranks, 0);
  }
}

class ByteMergeTokens implements MergeTokens<Uint8Array> {
  readonly size: number;
  lengths: Int32Array = new Int32Array(0);
  walked = 0;
  readonly #vocabulary: ByteVocabulary;
  /** Made when first needed. */
  #filter: PrefixFilter | undefined;

  constructor(vocabulary: ByteVocabulary) {
    this.#vocabulary = vocabulary;
    this.size = vocabulary.size;
  }

  length(id: number): number {
    return this.#vocabulary.length(id);
  }

  /** @throws TokenizerError for a byte without a token */
  split(bytes: Uint8Array, begin: number, end: number, out: Int32Array, at: number): number {
    const { byteIds } = this.#vocabulary;
    let to = at;
    for (let i = begin; i < end; i++) {
      const id = byteIds[bytes[i] as number] as number;
      if (id === NONE) throw this.#vocabulary.missingByte(bytes[i] as number);
      out[to++] = id;
    }
    return to;
  }

  splitToken(id: number, out: Int32Array, at: number): number {
    const { bytes, offsets } = this.#vocabulary;
    return this.split(bytes, offsets[id] as number, offsets[id + 1] as number, out, at);
  }

  walk(bytes: Uint8Array, begin: number, end: number, limit: number): number {
    const filter = this.#filter ?? this.#makeFilter();
    const n = filter.walk(bytes, begin, end, limit);
    this.walked = filter.walked;
    return n;
  }

  found(i: number, bytes: Uint8Array, begin: number): number {
    const { lengths, hashes } = this.#filter as PrefixFilter;
    return this.#vocabulary.findHashed(bytes, begin, begin + (lengths[i] as number), hashes[i] as number);
  }

  #makeFilter(): PrefixFilter {
    this.#filter = new PrefixFilter(this.#vocabulary, Math.min(this.#vocabulary.longest, LONGEST));
    this.lengths = this.#filter.lengths;
    return this.#filter;
  }
}
