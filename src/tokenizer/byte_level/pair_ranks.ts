// The rank of a pair of byte-level tokens: by tiktoken's ranks, or by a list of merges.
import { MAX_PIECES } from "../core/limits.ts";
import { type MergeRule, NO_RANK, NONE } from "../core/merger.ts";
import { mixPair, PairCache } from "../core/pair_cache.ts";
import { invalid } from "../core/special_ids.ts";
import { type ByteVocabulary, tableSize } from "./byte_vocabulary.ts";

/** Most slots that an insertion looks at before the merges are refused. Real ones need a few dozen. */
const MAX_PROBES = 1 << 10;

/** Most merges of a vocabulary: one for each token, and more because several pairs can make one token. */
const MAX_MERGES = 2 * MAX_PIECES - 1;

/** tiktoken's rule: two tokens merge if their bytes together are a token, and its id is the rank. */
export class ConcatenationRanks implements MergeRule {
  readonly #vocabulary: ByteVocabulary;
  readonly #cache = new PairCache();

  constructor(vocabulary: ByteVocabulary) {
    this.#vocabulary = vocabulary;
  }

  rank(left: number, right: number): number {
    const cache = this.#cache;
    const slot = cache.slot(left, right);
    if (cache.holds(slot, left, right)) return cache.entries[slot + 2] as number;
    const id = this.#vocabulary.findPair(left, right);
    return cache.set(slot, left, right, id === NONE ? NO_RANK : id);
  }

  result(rank: number): number {
    return rank;
  }
}

/** A list of merges, [left, right, result] each; the place in the list is the rank. */
export class MergeRanks implements MergeRule {
  readonly #merges: Int32Array;
  /** Open addressing: rank, or -1. */
  readonly #slots: Int32Array;
  readonly #cache = new PairCache();

  /**
   * @param merges of equal pairs the first counts
   * @throws FormatError if there are too many, an id is outside the vocabulary, or a result is not what its
   *   two tokens are together
   */
  constructor(merges: Int32Array, vocabulary: ByteVocabulary) {
    const n = merges.length / 3;
    if (!Number.isInteger(n) || n > MAX_MERGES) {
      throw invalid(`Expected at most ${MAX_MERGES} merges of 3 ids, got ${merges.length} ids`);
    }
    for (let rank = 0; rank < n; rank++) checkMerge(merges, rank, vocabulary);
    this.#merges = merges;
    this.#slots = new Int32Array(tableSize(n)).fill(NONE);
    for (let rank = 0; rank < n; rank++) this.#insert(rank);
  }

  rank(left: number, right: number): number {
    const cache = this.#cache;
    const slot = cache.slot(left, right);
    if (cache.holds(slot, left, right)) return cache.entries[slot + 2] as number;
    return cache.set(slot, left, right, this.#find(left, right));
  }

  result(rank: number): number {
    return this.#merges[3 * rank + 2] as number;
  }

  #find(left: number, right: number): number {
    const slots = this.#slots;
    const mask = slots.length - 1;
    for (let slot = mixPair(left, right) & mask; ; slot = (slot + 1) & mask) {
      const rank = slots[slot] as number;
      if (rank === NONE) return NO_RANK;
      if (this.#isPair(rank, left, right)) return rank;
    }
  }

  #insert(rank: number): void {
    const slots = this.#slots;
    const mask = slots.length - 1;
    const left = this.#merges[3 * rank] as number;
    const right = this.#merges[3 * rank + 1] as number;
    let slot = mixPair(left, right) & mask;
    for (let probes = 0; slots[slot] !== NONE; probes++) {
      if (this.#isPair(slots[slot] as number, left, right)) return;
      if (probes > MAX_PROBES) {
        throw invalid(`Expected merges of different tokens, got ${MAX_PROBES} of one hash`);
      }
      slot = (slot + 1) & mask;
    }
    slots[slot] = rank;
  }

  #isPair(rank: number, left: number, right: number): boolean {
    return this.#merges[3 * rank] === left && this.#merges[3 * rank + 1] === right;
  }
}

function checkMerge(merges: Int32Array, rank: number, vocabulary: ByteVocabulary): void {
  const left = merges[3 * rank] as number;
  const right = merges[3 * rank + 1] as number;
  const result = merges[3 * rank + 2] as number;
  const isInside = Math.min(left, right, result) >= 0 && Math.max(left, right, result) < vocabulary.size;
  if (isInside && vocabulary.isPair(result, left, right)) return;
  throw invalid(
    `Expected merge ${rank} to be of two tokens of the vocabulary and the token of their bytes, got ${left}, ${right} and ${result}`,
  );
}
