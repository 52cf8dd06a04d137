import { NONE } from "./piece_trie.ts";

/** Slots of the memory of pairs, a power of two: 1 MB, which holds the pairs of ordinary text. */
const CACHE_SLOTS = 1 << 16;

/** Nothing is known of a pair. */
export const UNKNOWN = -2;

/** Words of a slot: one more than the left symbol, 0 where the slot is free; the right symbol; the merge. */
const STRIDE = 4;
const LEFT = 0;
const RIGHT = 1;
const VALUE = 2;

/**
 * The merges of a vocabulary and their order: by scores, where a merge is the id that it makes; or a list of
 * pairs, where it is the place in the list. Remembers the last pair of each slot: of fixed size, so that no
 * text can make it grow.
 */
export class PairTable {
  /** Place of each merge in the order, first 0; equals have equal ranks. */
  readonly ranks: Uint32Array;
  readonly nRanks: number;
  /** The id that each merge makes. */
  readonly results: Int32Array;
  readonly listed: boolean;
  private readonly cache = new Int32Array(CACHE_SLOTS * STRIDE);
  private readonly list: Map<number, number> | undefined;

  /** @param merges [left, right, result] three ids a merge, the first pair first; of equal ones the first counts */
  constructor(scores: ArrayLike<number>, merges?: Int32Array) {
    this.listed = merges !== undefined;
    if (merges === undefined) {
      const order = distinctDescending(scores);
      this.ranks = new Uint32Array(scores.length);
      this.results = new Int32Array(scores.length);
      this.nRanks = Math.max(order.length, 1);
      for (let id = 0; id < scores.length; id++) {
        this.ranks[id] = placeOf(scores[id] as number, order);
        this.results[id] = id;
      }
      return;
    }
    const n = merges.length / 3;
    this.ranks = Uint32Array.from({ length: n }, (_, merge) => merge);
    this.results = Int32Array.from({ length: n }, (_, merge) => merges[3 * merge + 2] as number);
    this.nRanks = Math.max(n, 1);
    this.list = new Map();
    for (let merge = 0; merge < n; merge++) {
      const key = pairKey(merges[3 * merge] as number, merges[3 * merge + 1] as number);
      if (!this.list.has(key)) this.list.set(key, merge);
    }
  }

  /** The merge of a pair that is remembered, NONE if that is what is known of it, or else UNKNOWN. */
  recall(left: number, right: number): number {
    const { cache } = this;
    const at = slotOf(left, right);
    return cache[at + LEFT] === left + 1 && cache[at + RIGHT] === right
      ? (cache[at + VALUE] as number)
      : UNKNOWN;
  }

  remember(left: number, right: number, merge: number): void {
    const at = slotOf(left, right);
    this.cache[at + LEFT] = left + 1;
    this.cache[at + RIGHT] = right;
    this.cache[at + VALUE] = merge;
  }

  /** The merge of two symbols in the list, or NONE. */
  search(left: number, right: number): number {
    return this.list?.get(pairKey(left, right)) ?? NONE;
  }
}

function pairKey(left: number, right: number): number {
  return left * 2 ** 24 + right;
}

function slotOf(left: number, right: number): number {
  const mixed = Math.imul(left, 0x9e3779b1) ^ Math.imul(right, 0x85ebca6b);
  return ((mixed ^ (mixed >>> 15)) & (CACHE_SLOTS - 1)) * STRIDE;
}

function distinctDescending(scores: ArrayLike<number>): Float64Array {
  const sorted = Float64Array.from(scores).sort().reverse();
  let n = 0;
  for (let i = 0; i < sorted.length; i++) {
    if (i === 0 || sorted[i] !== sorted[n - 1]) sorted[n++] = sorted[i] as number;
  }
  return sorted.subarray(0, n);
}

/** Where `score` is in `order`, which has it. */
function placeOf(score: number, order: Float64Array): number {
  let low = 0;
  let high = order.length;
  while (high - low > 1) {
    const middle = (low + high) >>> 1;
    if ((order[middle] as number) >= score) low = middle;
    else high = middle;
  }
  return low;
}
