import type { ByteVocabulary } from "./byte_vocabulary.ts";
import { Heap } from "./heap.ts";
import { NO_RANK, PairCache, type PairRanks } from "./pair_ranks.ts";
import { PrefixFilter } from "./prefix_filter.ts";

const NONE = -1;

/** A heap key is rank * POSITIONS + position: lower rank first, then leftmost. Exact: ranks are below 2^21. */
const POSITIONS = 2 ** 32;

/** Bytes up to which looking through all pairs is quicker than a heap. */
const SHORT = 64;

/** Bytes of the longest tokens that are looked for in a word; those of known vocabularies have up to 128. */
const LONGEST = 256;

/** Steps a byte of a word before looking for tokens is given up; words of known vocabularies take two or three. */
const MAX_STEPS = 32;

/** Bytes that a merge keeps buffers for; those of longer words are let go. */
const KEPT_BYTES = 1 << 14;

/** What is known of a token. */
const Known = {
  nothing: 0,
  /** Merging makes something else of its bytes. */
  unreachable: 1,
  /** Merging makes it of its bytes, but some merge has a lower rank than one that it builds on. */
  reachable: 2,
  /** Merging makes it of its bytes, each merge of a higher rank than those that it builds on. */
  monotone: 3,
} as const;

/**
 * Byte pair encoding of one word: its bytes are merged pairwise, the pair of the lowest rank first and the leftmost
 * of equals.
 *
 * That is done without merging, in most cases, because of this: a sequence of tokens is what merging makes of its
 * bytes if and only if each two neighbours are what merging makes of theirs. (Until a merge goes over a border
 * between two tokens, merging goes on both sides as it would alone; and the first to go over it would do so in the
 * two alone as well.) So there is one such sequence for each beginning of a word, and it is found from the left: the
 * longest token that goes with the one before, or else a shorter one, or else a shorter one before. Whether two
 * tokens go together is found by merging, and remembered.
 *
 * Where that takes too many steps, which a vocabulary can be made for, the word is merged in n log n steps.
 * Source of the idea: github/rust-gems, crates/bpe.
 */
export class ByteMerger {
  private readonly vocabulary: ByteVocabulary;
  private readonly ranks: PairRanks;
  private filter: PrefixFilter | undefined;
  private readonly pairs = new PairCache();
  /**
   * Four numbers a token: {@link Known}, the two that the last merge made it of, and the rank of that, which is -1
   * for a byte.
   */
  private readonly splits: Int32Array;
  /** 1 where a word cannot be divided: what comes after cannot be tokens that go together. */
  private dead = new Uint8Array(SHORT);
  private readonly tried = new Uint8Array(2 * LONGEST);
  private readonly triedIds = new Int32Array(2 * LONGEST);
  private readonly shortIds = new Int32Array(SHORT + 1);
  private readonly shortRanks = new Int32Array(SHORT + 1);
  private long = new LongBuffers(0);
  /** What the last {@link longestAt} took. */
  private steps = 0;
  /** The last merge of all. */
  private readonly last = { left: NONE, right: NONE, rank: NONE };

  constructor(vocabulary: ByteVocabulary, ranks: PairRanks) {
    this.vocabulary = vocabulary;
    this.ranks = ranks;
    this.splits = new Int32Array(4 * vocabulary.size);
  }

  /**
   * Merges bytes [0, n), writes ids to `out`, which must have room for n, and gives their number.
   * @throws TokenizerError for a byte without a token
   */
  merge(bytes: Uint8Array, n: number, out: Int32Array): number {
    const found = n <= LONGEST || this.vocabulary.longest <= LONGEST ? this.divide(bytes, n, out) : NONE;
    const count = found === NONE ? this.mergeBytes(bytes, n, out) : found;
    if (this.long.capacity > KEPT_BYTES) this.long = new LongBuffers(0);
    if (this.dead.length > KEPT_BYTES) this.dead = new Uint8Array(SHORT);
    return count;
  }

  /** Finds the tokens from the left. NONE where that takes too long, or a byte has no token. */
  private divide(bytes: Uint8Array, n: number, out: Int32Array): number {
    this.filter ??= new PrefixFilter(this.vocabulary, Math.min(this.vocabulary.longest, LONGEST));
    if (this.dead.length <= n) this.dead = new Uint8Array(2 * n);
    const { vocabulary, dead } = this;
    let stepsLeft = MAX_STEPS * (n + 1);
    let anyDead = false;
    let count = 0;
    let limit = LONGEST + 1;
    for (let begin = 0; begin < n; ) {
      const id = this.longestAt(bytes, begin, n, limit, count > 0 ? (out[count - 1] as number) : NONE);
      stepsLeft -= this.steps;
      if (id !== NONE && stepsLeft > 0) {
        out[count++] = id;
        begin += vocabulary.length(id);
        limit = LONGEST + 1;
        continue;
      }
      if (count === 0 || stepsLeft <= 0) {
        count = NONE;
        break;
      }
      dead[begin] = 1;
      anyDead = true;
      limit = vocabulary.length(out[--count] as number);
      begin -= limit;
    }
    if (anyDead) dead.fill(0, 0, n + 1);
    return count;
  }

  /** The longest token of less than `limit` bytes at `begin` that goes with the one before; NONE without any. */
  private longestAt(bytes: Uint8Array, begin: number, end: number, limit: number, before: number): number {
    const { vocabulary, dead } = this;
    const filter = this.filter as PrefixFilter;
    let i = filter.walk(bytes, begin, end, limit) - 1;
    this.steps = 1 + i;
    for (; i >= 0; i--) {
      const last = begin + (filter.lengths[i] as number);
      if (dead[last] === 1) continue;
      const id = vocabulary.findHashed(bytes, begin, last, filter.hashes[i] as number);
      if (
        id !== NONE &&
        this.known(id) !== Known.unreachable &&
        (before === NONE || this.goTogether(before, id))
      )
        return id;
    }
    return NONE;
  }

  private known(id: number): number {
    return this.splits[4 * id] || this.learn(id);
  }

  /** Merges a token's own bytes and remembers what comes of it. */
  private learn(id: number): number {
    const { splits } = this;
    const n = this.vocabulary.copy(id, this.tried, 0);
    const isOne = this.mergeBytes(this.tried, n, this.triedIds) === 1;
    const { left, right, rank } = this.last;
    if (!isOne || this.triedIds[0] !== id) {
      splits[4 * id] = Known.unreachable;
    } else if (this.vocabulary.length(id) === 1) {
      splits.set([Known.monotone, NONE, NONE, NONE], 4 * id);
    } else {
      const isMonotone = [left, right].every(
        (part) => this.known(part) === Known.monotone && (splits[4 * part + 3] as number) < rank,
      );
      splits.set([isMonotone ? Known.monotone : Known.reachable, left, right, rank], 4 * id);
    }
    return splits[4 * id] as number;
  }

  /** Whether merging the bytes of two reachable tokens makes these two. */
  private goTogether(left: number, right: number): boolean {
    const { pairs } = this;
    const slot = pairs.slot(left, right);
    if (pairs.holds(slot, left, right)) return pairs.entries[slot + 2] === 1;
    const isMonotone = this.known(left) === Known.monotone && this.known(right) === Known.monotone;
    this.steps += isMonotone ? 2 : 8;
    const goTogether = isMonotone ? this.neverMerge(left, right) : this.staySame(left, right);
    return pairs.set(slot, left, right, goTogether ? 1 : 0) === 1;
  }

  private staySame(left: number, right: number): boolean {
    const n = this.vocabulary.copy(right, this.tried, this.vocabulary.copy(left, this.tried, 0));
    const count = this.mergeBytes(this.tried, n, this.triedIds);
    return count === 2 && this.triedIds[0] === left && this.triedIds[1] === right;
  }

  /**
   * Whether no merge goes over the border between two monotone tokens, whose merges therefore happen in the order of
   * their ranks: takes them back one by one, the last first, and looks at what met at the border until then.
   */
  private neverMerge(left: number, right: number): boolean {
    const { ranks, splits } = this;
    let l = left;
    let r = right;
    // The ranks of the merges that take these two away from the border; of equals the one on the left goes first.
    let nextLeft = NO_RANK;
    let nextRight = NO_RANK;
    for (;;) {
      const rank = ranks.rank(l, r);
      if (rank < nextLeft && rank <= nextRight && rank !== NO_RANK) return false;
      const rankLeft = splits[4 * l + 3] as number;
      const rankRight = splits[4 * r + 3] as number;
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

  private mergeBytes(bytes: Uint8Array, n: number, out: Int32Array): number {
    return n <= SHORT ? this.mergeShort(bytes, n, out) : this.mergeLong(bytes, n, out);
  }

  private mergeShort(bytes: Uint8Array, n: number, out: Int32Array): number {
    const { shortIds: ids, shortRanks, ranks } = this;
    const { byteIds } = this.vocabulary;
    for (let i = 0; i < n; i++) {
      const id = byteIds[bytes[i] as number] as number;
      if (id === NONE) throw this.vocabulary.missingByte(bytes[i] as number);
      ids[i] = id;
      if (i > 0) shortRanks[i - 1] = ranks.rank(ids[i - 1] as number, id);
    }
    let count = n;
    for (;;) {
      let best = NO_RANK;
      let left = 0;
      for (let i = 0; i < count - 1; i++) {
        const rank = shortRanks[i] as number;
        if (rank < best) {
          best = rank;
          left = i;
        }
      }
      if (best === NO_RANK) break;
      if (--count === 1) this.setLast(ids[0] as number, ids[1] as number, best);
      for (let i = left + 1; i < count; i++) {
        ids[i] = ids[i + 1] as number;
        shortRanks[i] = shortRanks[i + 1] as number;
      }
      const id = ranks.result(best);
      ids[left] = id;
      if (left > 0) shortRanks[left - 1] = ranks.rank(ids[left - 1] as number, id);
      if (left < count - 1) shortRanks[left] = ranks.rank(id, ids[left + 1] as number);
    }
    for (let i = 0; i < count; i++) out[i] = ids[i] as number;
    return count;
  }

  private setLast(left: number, right: number, rank: number): void {
    this.last.left = left;
    this.last.right = right;
    this.last.rank = rank;
  }

  private mergeLong(bytes: Uint8Array, n: number, out: Int32Array): number {
    if (this.long.capacity < n) this.long = new LongBuffers(Math.max(n, Math.min(2 * n, KEPT_BYTES)));
    const { ids, next, previous, pending, heap } = this.long;
    const { byteIds } = this.vocabulary;
    heap.size = 0;
    for (let i = 0; i < n; i++) {
      const id = byteIds[bytes[i] as number] as number;
      if (id === NONE) throw this.vocabulary.missingByte(bytes[i] as number);
      ids[i] = id;
      next[i] = i + 1;
      previous[i] = i - 1;
    }
    for (let i = 0; i < n; i++) this.propose(i, n);
    while (heap.size > 0) {
      const key = heap.pop();
      const rank = Math.floor(key / POSITIONS);
      const left = key - rank * POSITIONS;
      // One side has been merged with something else since: this key is out of date.
      if (pending[left] !== rank) continue;
      const right = next[left] as number;
      const after = next[right] as number;
      const previousId = ids[left] as number;
      ids[left] = this.ranks.result(rank);
      if (left === 0 && after === n) this.setLast(previousId, ids[right] as number, rank);
      next[left] = after;
      pending[right] = NO_RANK;
      if (after < n) previous[after] = left;
      if (left > 0) this.propose(previous[left] as number, n);
      this.propose(left, n);
    }
    let count = 0;
    for (let i = 0; i < n; i = next[i] as number) out[count++] = ids[i] as number;
    return count;
  }

  /** Queues the pair of the token at `left` and its successor, if they merge. */
  private propose(left: number, n: number): void {
    const { ids, next, pending, heap } = this.long;
    const right = next[left] as number;
    const rank = right < n ? this.ranks.rank(ids[left] as number, ids[right] as number) : NO_RANK;
    pending[left] = rank;
    if (rank !== NO_RANK) heap.push(rank * POSITIONS + left);
  }
}

/** Working memory of a merge of at most `capacity` bytes. */
class LongBuffers {
  readonly capacity: number;
  /** Token by position, of those positions that have not been merged into one before them. */
  readonly ids: Int32Array;
  readonly next: Int32Array;
  readonly previous: Int32Array;
  /** The rank of a position and its successor. */
  readonly pending: Int32Array;
  readonly heap: Heap;

  constructor(capacity: number) {
    this.capacity = capacity;
    this.ids = new Int32Array(capacity);
    this.next = new Int32Array(capacity);
    this.previous = new Int32Array(capacity);
    this.pending = new Int32Array(capacity);
    // n - 1 pairs at first, and each of at most n - 1 merges takes one out and puts in two at most.
    this.heap = new Heap(2 * capacity);
  }
}
