import { NONE } from "./piece_trie.ts";

/** Symbols beside a run, at each side, at first. */
const BESIDE = 8;

/** Merges that are done one by one before it is left to others. */
const MAX_SINGLE_MERGES = 256;

/** Symbols of a run that may make one. */
const MAX_CHAIN = 32;

/** Which symbols merge, in which order, to what; see PairTable. */
export interface MergeRule {
  find(left: number, right: number): number;
  readonly ranks: ArrayLike<number>;
  readonly results: ArrayLike<number>;
}

/**
 * Does the first merges of a word that is one symbol again and again, but for a few at both ends: where two
 * of the run merge before anything else, all of it merges in the same way, from the left, and what is left
 * over goes to the end. So a run of n takes log n steps, and the result is what merging pair by pair gives.
 *
 * @param symbols merged in place: [from, from + n)
 * @returns how many are left; n where it is no such word
 */
export function mergeUniformRun(symbols: Int32Array, from: number, n: number, rule: MergeRule): number {
  let first = from + BESIDE;
  let last = from + n - BESIDE;
  const symbol = symbols[first] as number;
  for (let i = first; i < last; i++) if (symbols[i] !== symbol) return n;
  while (first > from && symbols[first - 1] === symbol) first--;
  while (last < from + n && symbols[last] === symbol) last++;
  const run = new UniformRun(symbols, from, n, first, last, rule);
  while (run.merge());
  return run.write(symbols, from);
}

class UniformRun {
  private readonly left: number[];
  private readonly right: number[];
  private symbol: number;
  private count: number;
  private singleMerges = 0;
  private readonly rule: MergeRule;

  constructor(symbols: Int32Array, from: number, n: number, first: number, last: number, rule: MergeRule) {
    this.left = Array.from(symbols.subarray(from, first));
    this.right = Array.from(symbols.subarray(last, from + n));
    this.symbol = symbols[first] as number;
    this.count = last - first;
    this.rule = rule;
  }

  /** Does what merges next: one pair, or the whole run. False where that cannot be told, or nothing merges. */
  merge(): boolean {
    const { left, right, symbol, count } = this;
    if (count < 4 || this.singleMerges > MAX_SINGLE_MERGES) return false;
    // Two of the run stand for all of it: what is further to the right merges no sooner.
    const near = [...left, symbol, symbol, ...right];
    const best = this.bestPair(near);
    if (best < 0) return false;
    const merge = this.rule.find(near[best] as number, near[best + 1] as number);
    const result = this.rule.results[merge] as number;
    if (best === left.length) return this.mergeAll(merge, result);
    this.singleMerges++;
    this.mergeOne(best, result);
    return true;
  }

  /** Puts what pair `at` of the symbols near the run makes in its place. */
  private mergeOne(at: number, result: number): void {
    const { left, right } = this;
    const fromRight = at - left.length - 2;
    if (at < left.length - 1) {
      left.splice(at, 2, result);
    } else if (fromRight >= 0) {
      right.splice(fromRight, 2, result);
    } else {
      if (fromRight === -1) right[0] = result;
      else left[at] = result;
      this.count--;
    }
  }

  /**
   * From the left, two of the run merge, and what they make with the next one as long as that comes no later
   * than another two of the run would: so many make one symbol each time. False where something else would
   * come in between.
   */
  private mergeAll(merge: number, result: number): boolean {
    const { left, right, symbol, count, rule } = this;
    const rank = rule.ranks[merge] as number;
    const made = [result];
    const nextRanks: number[] = [];
    for (let last = result; ; ) {
      const next = rule.find(last, symbol);
      const goesOn = next !== NONE && (rule.ranks[next] as number) <= rank;
      nextRanks.push(goesOn ? (rule.ranks[next] as number) : rank);
      if (!goesOn) break;
      last = rule.results[next] as number;
      made.push(last);
      if (made.length > MAX_CHAIN) return false;
    }
    const whole = made.at(-1) as number;
    const before = left.at(-1);
    for (const [i, part] of made.entries()) {
      const nextRank = nextRanks[i] as number;
      if (this.rankOf(whole, part) <= nextRank) return false;
      if (before !== undefined && this.rankOf(before, part) <= nextRank) return false;
    }
    const length = made.length + 1;
    this.symbol = whole;
    this.count = Math.floor(count / length);
    for (let rest = count % length; rest > 0; rest--) right.unshift(symbol);
    return true;
  }

  /** The pair that merges first, or -1. */
  private bestPair(symbols: readonly number[]): number {
    let best = -1;
    let bestRank = Number.POSITIVE_INFINITY;
    for (let i = 0; i + 1 < symbols.length; i++) {
      const rank = this.rankOf(symbols[i] as number, symbols[i + 1] as number);
      if (rank < bestRank) {
        bestRank = rank;
        best = i;
      }
    }
    return best;
  }

  private rankOf(left: number, right: number): number {
    const merge = this.rule.find(left, right);
    return merge === NONE ? Number.POSITIVE_INFINITY : (this.rule.ranks[merge] as number);
  }

  write(symbols: Int32Array, from: number): number {
    const { left, right, symbol, count } = this;
    symbols.set(left, from);
    symbols.fill(symbol, from + left.length, from + left.length + count);
    symbols.set(right, from + left.length + count);
    return left.length + count + right.length;
  }
}
