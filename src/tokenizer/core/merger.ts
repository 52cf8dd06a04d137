// Byte pair encoding of one word, for any vocabulary: the core of every BPE tokenizer.
import { Heap } from "./heap.ts";
import { mixPair } from "./pair_cache.ts";

/** The id that stands for no token. */
export const NONE = -1;

/** The rank of a pair that does not merge: after all others. */
export const NO_RANK = 0x7fffffff;

/** A heap key is rank * POSITIONS + position: lower rank first, then leftmost. Exact: ranks are below 2^22. */
const POSITIONS = 2 ** 31;

/** Up to this many tokens, a scan of all pairs is faster than a heap. */
const SHORT = 40;

/** Longest token, in units, that dividing looks for. Known vocabularies have up to 128. */
export const LONGEST = 256;

/** Dividing gives up after this many steps for each unit of the word. Known vocabularies take two to five. */
const MAX_STEPS = 64;

/** Buffers of words up to this many units are reused. Those of longer words are released. */
const KEPT_UNITS = 1 << 14;

/** Slots of the cache of pairs, a power of two. The size is fixed: no text can make it grow. */
const PAIRS = 1 << 16;

/** What has been learned about a token. Zero until it is needed. */
const Known = {
  nothing: 0,
  /** Merging its own units gives other tokens. */
  unreachable: 1,
  /** Merging its own units gives it, but some merge has no higher rank than a merge that it builds on. */
  reachable: 2,
  /** Merging its own units gives it, and each merge has a higher rank than the merges that it builds on. */
  monotone: 3,
} as const;

/** Which pairs of tokens merge, in which order, and into which token. */
export interface MergeRule {
  /** Lower merges first, of equals the leftmost; {@link NO_RANK} for a pair that does not merge. */
  rank(left: number, right: number): number;
  /** The token that a pair of this rank becomes. */
  result(rank: number, left: number, right: number): number;
}

/** The vocabulary as a {@link Merger} sees it. Initial symbols may have ids from `size` on. */
export interface MergeTokens<Units> {
  readonly size: number;
  /** Units of a token. */
  length(id: number): number;
  /** Writes the initial symbols of units [begin, end) to `out` from `at` on, and returns their end. */
  split(units: Units, begin: number, end: number, out: Int32Array, at: number): number;
  /** The same for the units of a token. */
  splitToken(id: number, out: Int32Array, at: number): number;
  /**
   * Finds the tokens of less than `limit` units, and at most {@link LONGEST}, that begin at `begin`. Returns their number.
   * It may miss some: that costs time, and changes no result.
   */
  walk(units: Units, begin: number, end: number, limit: number): number;
  /** Results of the last walk: the lengths of the tokens, the shortest first, and how many units were looked at. */
  readonly lengths: Int32Array;
  readonly walked: number;
  /** The id of token `i` of a walk from `begin`; {@link NONE} if it was no token after all. */
  found(i: number, units: Units, begin: number): number;
}

/**
 * Byte pair encoding (BPE) of one word: characters or bytes are merged pairwise. The pair of the lowest rank merges
 * first; of equal ranks, the leftmost.
 *
 * Most words are divided without merging them.
 *
 * Lemma: a sequence of tokens is the BPE result of its units if and only if every adjacent pair of it is the BPE
 * result of the units of that pair.
 * Proof: until a merge crosses the border between two tokens, both sides merge as they would alone. The first merge
 * that crosses a border would also happen in the pair alone.
 * Algorithm: every prefix of a word has exactly one such sequence. It is found greedily from the left: take the
 * longest token that is compatible with the previous one; if there is none, backtrack to a shorter previous token.
 * Whether a pair is compatible is found by merging its units once, and cached.
 *
 * A vocabulary can be made for which this takes too many steps. Then the word is merged, in n log n steps.
 * Source of the idea: github/rust-gems, crates/bpe.
 */
export class Merger<Units> {
  readonly #tokens: MergeTokens<Units>;
  readonly #rule: MergeRule;
  readonly #shortest: number;
  /** Direct-mapped cache: slot = [left, right << 1 | compatible]. */
  readonly #pairs = new Int32Array(2 * PAIRS).fill(NONE);
  /**
   * Four numbers for each token: {@link Known}, the two tokens of its last merge, and the rank of that merge. All three
   * are -1 if the token is a single unit.
   */
  readonly #splits: Int32Array;
  /** 1 at each border that backtracking has ruled out: no compatible tokens cover the rest of the word. */
  #dead = new Uint8Array(0);
  readonly #ranks = new Int32Array(SHORT);
  readonly #tried = new Int32Array(2 * LONGEST);
  #buffers = new Buffers(0);
  #stepsLeft = 0;
  /** Units of the token that `#longestAt` found last. */
  #foundLength = 0;
  /** The merge that happened last. */
  readonly #last = { left: NONE, right: NONE, rank: NONE };

  /** @param shortest units of the shortest word that is divided; shorter ones are merged */
  constructor(tokens: MergeTokens<Units>, rule: MergeRule, shortest: number) {
    this.#shortest = shortest;
    this.#tokens = tokens;
    this.#rule = rule;
    this.#splits = new Int32Array(4 * tokens.size);
  }

  /**
   * Encodes units [begin, end): writes ids to `out` from `at` on, and returns their end.
   * @param out must have room for one id for each unit
   */
  merge(units: Units, begin: number, end: number, out: Int32Array, at: number): number {
    const divided = end - begin < this.#shortest ? NONE : this.#divide(units, begin, end, out, at);
    if (divided !== NONE) return divided;
    const n = this.#tokens.split(units, begin, end, out, at) - at;
    const count = this.#mergePairs(out, at, n);
    if (n > KEPT_UNITS) this.#buffers = new Buffers(0);
    return at + count;
  }

  /** Divides a word as the lemma allows. Returns NONE if that takes too long or no sequence exists. */
  #divide(units: Units, begin: number, end: number, out: Int32Array, at: number): number {
    const tokens = this.#tokens;
    const n = end - begin;
    if (this.#dead.length <= n) this.#dead = new Uint8Array(n < KEPT_UNITS ? 2 * n : n + 1);
    this.#stepsLeft = MAX_STEPS * (n + 1);
    let anyDead = false;
    let to = at;
    let limit = LONGEST + 1;
    for (let i = begin; i < end; ) {
      const id = this.#longestAt(units, begin, i, end, limit, to > at ? (out[to - 1] as number) : NONE);
      if (this.#stepsLeft <= 0 || (id === NONE && to === at)) {
        to = NONE;
        break;
      }
      if (id !== NONE) {
        out[to++] = id;
        i += this.#foundLength;
        limit = LONGEST + 1;
      } else {
        this.#dead[i - begin] = 1;
        anyDead = true;
        limit = tokens.length(out[--to] as number);
        i -= limit;
      }
    }
    if (this.#dead.length > KEPT_UNITS) this.#dead = new Uint8Array(0);
    else if (anyDead) this.#dead.fill(0, 0, n + 1);
    return to;
  }

  /** The longest token of less than `limit` units at `at` that is compatible with `before`, or NONE. */
  #longestAt(units: Units, begin: number, at: number, end: number, limit: number, before: number): number {
    const tokens = this.#tokens;
    const dead = this.#dead;
    const n = tokens.walk(units, at, end, limit);
    this.#stepsLeft -= tokens.walked + n;
    for (let i = n - 1; i >= 0; i--) {
      if (dead[at - begin + (tokens.lengths[i] as number)] === 1) continue;
      const id = tokens.found(i, units, at);
      if (id === NONE) continue;
      if (before === NONE ? this.#known(id) === Known.unreachable : !this.#goTogether(before, id)) continue;
      this.#foundLength = tokens.lengths[i] as number;
      return id;
    }
    return NONE;
  }

  #known(id: number): number {
    return id < this.#tokens.size ? this.#splits[4 * id] || this.#learn(id) : Known.monotone;
  }

  /** Merges a token's own units and stores what comes of it. */
  #learn(id: number): number {
    const splits = this.#splits;
    const tried = this.#tried;
    const last = this.#last;
    const n = this.#tokens.splitToken(id, tried, 0);
    const isReachable = this.#mergePairs(tried, 0, n) === 1 && tried[0] === id;
    if (!isReachable || n === 1) {
      splits.set([isReachable ? Known.monotone : Known.unreachable, NONE, NONE, NONE], 4 * id);
    } else {
      const { left, right, rank } = last;
      const isMonotone = [left, right].every(
        (part) => this.#known(part) === Known.monotone && this.#rankOf(part) < rank,
      );
      splits.set([isMonotone ? Known.monotone : Known.reachable, left, right, rank], 4 * id);
    }
    return splits[4 * id] as number;
  }

  /** The rank of the last merge of a reachable token. */
  #rankOf(id: number): number {
    return id < this.#tokens.size ? (this.#splits[4 * id + 3] as number) : NONE;
  }

  /** Whether a pair is compatible: merging the units of both gives these two. `left` must be reachable. */
  #goTogether(left: number, right: number): boolean {
    const pairs = this.#pairs;
    const slot = (mixPair(left, right) & (PAIRS - 1)) << 1;
    const known = pairs[slot + 1] as number;
    if (pairs[slot] === left && known >> 1 === right) return (known & 1) === 1;
    const goTogether = this.#tryTogether(left, right);
    pairs[slot] = left;
    pairs[slot + 1] = (right << 1) | (goTogether ? 1 : 0);
    return goTogether;
  }

  #tryTogether(left: number, right: number): boolean {
    const known = this.#known(right);
    if (known === Known.unreachable) return false;
    const isMonotone = known === Known.monotone && this.#known(left) === Known.monotone;
    return isMonotone ? this.#neverMerge(left, right) : this.#staySame(left, right);
  }

  #staySame(left: number, right: number): boolean {
    const tokens = this.#tokens;
    const tried = this.#tried;
    const n = tokens.splitToken(right, tried, tokens.splitToken(left, tried, 0));
    return this.#mergePairs(tried, 0, n) === 2 && tried[0] === left && tried[1] === right;
  }

  /**
   * Whether no merge crosses the border between two monotone tokens. Their merges happen in the order of their ranks.
   * So they are undone one by one, the last first, and each pair that met at the border is looked at.
   */
  #neverMerge(left: number, right: number): boolean {
    const rule = this.#rule;
    const splits = this.#splits;
    let l = left;
    let r = right;
    // Ranks of the merges that take `l` and `r` away from the border. Of equal ranks the left one happens first.
    let nextLeft = NO_RANK;
    let nextRight = NO_RANK;
    for (;;) {
      const rank = rule.rank(l, r);
      if (rank < nextLeft && rank <= nextRight && rank !== NO_RANK) return false;
      this.#stepsLeft--;
      const rankLeft = this.#rankOf(l);
      const rankRight = this.#rankOf(r);
      if (rankLeft === NONE && rankRight === NONE) return true;
      if (rankLeft > rankRight) {
        nextLeft = rankLeft;
        l = splits[4 * l + 2] as number;
      } else {
        nextRight = rankRight;
        r = splits[4 * r + 1] as number;
      }
    }
  }

  /** Merges ids [from, from + n) in place and gives the number left. */
  #mergePairs(ids: Int32Array, from: number, n: number): number {
    this.#stepsLeft -= n;
    return n <= SHORT ? this.#mergeShort(ids, from, n) : this.#mergeLong(ids, from, n);
  }

  #mergeShort(ids: Int32Array, from: number, n: number): number {
    const rule = this.#rule;
    const ranks = this.#ranks;
    const last = this.#last;
    for (let i = 0; i < n - 1; i++)
      ranks[i] = rule.rank(ids[from + i] as number, ids[from + i + 1] as number);
    for (let count = n; ; ) {
      let best = NO_RANK;
      let at = 0;
      for (let i = 0; i < count - 1; i++) {
        const rank = ranks[i] as number;
        if (rank < best) {
          best = rank;
          at = i;
        }
      }
      if (best === NO_RANK) return count;
      count--;
      last.left = ids[from + at] as number;
      last.right = ids[from + at + 1] as number;
      last.rank = best;
      const id = rule.result(best, last.left, last.right);
      for (let i = at + 1; i < count; i++) {
        ids[from + i] = ids[from + i + 1] as number;
        ranks[i] = ranks[i + 1] as number;
      }
      ids[from + at] = id;
      if (at > 0) ranks[at - 1] = rule.rank(ids[from + at - 1] as number, id);
      if (at < count - 1) ranks[at] = rule.rank(id, ids[from + at + 1] as number);
    }
  }

  /** The same with a queue of pairs. */
  #mergeLong(ids: Int32Array, from: number, n: number): number {
    if (this.#buffers.capacity < n) this.#buffers = new Buffers(Math.max(n, 2 * LONGEST));
    const rule = this.#rule;
    const last = this.#last;
    const { next, previous, heap } = this.#buffers;
    heap.size = 0;
    for (let i = 0; i < n; i++) {
      next[i] = i + 1;
      previous[i] = i - 1;
    }
    for (let i = 0; i < n; i++) this.#propose(ids, from, i, n);
    let count = n;
    while (heap.size > 0) {
      const key = heap.pop();
      const rank = Math.floor(key / POSITIONS);
      const position = key - rank * POSITIONS;
      // One side has been merged with something else since: this key is out of date.
      if (this.#buffers.pending[position] !== rank) continue;
      const other = next[position] as number;
      const after = next[other] as number;
      last.left = ids[from + position] as number;
      last.right = ids[from + other] as number;
      last.rank = rank;
      ids[from + position] = rule.result(rank, last.left, last.right);
      next[position] = after;
      this.#buffers.pending[other] = NO_RANK;
      if (after < n) previous[after] = position;
      if (position > 0) this.#propose(ids, from, previous[position] as number, n);
      this.#propose(ids, from, position, n);
      count--;
    }
    for (let i = 0, to = from; i < n; i = next[i] as number) ids[to++] = ids[from + i] as number;
    return count;
  }

  /** Queues the pair of the token at `left` and its successor, if they merge. */
  #propose(ids: Int32Array, from: number, left: number, n: number): void {
    const { next, pending, heap } = this.#buffers;
    const right = next[left] as number;
    const rank =
      right < n ? this.#rule.rank(ids[from + left] as number, ids[from + right] as number) : NO_RANK;
    pending[left] = rank;
    if (rank !== NO_RANK) heap.push(rank * POSITIONS + left);
  }
}

/** Working memory of a merge of at most `capacity` tokens. */
class Buffers {
  readonly capacity: number;
  /** The positions of the token after and the one before that at a position. */
  readonly next: Int32Array;
  readonly previous: Int32Array;
  /** The rank of a position and its successor. */
  readonly pending: Int32Array;
  readonly heap: Heap;

  constructor(capacity: number) {
    this.capacity = capacity;
    this.next = new Int32Array(capacity);
    this.previous = new Int32Array(capacity);
    this.pending = new Int32Array(capacity);
    // n - 1 pairs at first, and each of at most n - 1 merges takes one out and puts in two at most.
    this.heap = new Heap(2 * capacity);
  }
}
