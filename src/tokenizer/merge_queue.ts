import { Heap } from "./heap.ts";

/** End of a list. */
const END = -1;

/** So few positions are kept in the heap alone: it is smaller than the lists, and in the nearest cache. */
const FEW_POSITIONS = 256;

/** What the heap has room for at first, and is cut down to. */
const HEAP_CAPACITY = 64;

/** Not in a list. */
const FREE = -2;

/** A key of the heap is rank * POSITIONS + position. Exact: ranks are below 2^21. */
const POSITIONS = 2 ** 32;

/**
 * Positions by rank: the lowest rank first, the leftmost of equals. Merges come in runs of one rank from
 * left to right, so a position mostly goes to the end of its rank's list, in constant time; one that comes
 * out of order goes to a heap.
 *
 * A position has one rank at a time. One in a list is taken out when that changes, one in the heap is not:
 * the caller tells by the rank that it is out of date.
 */
export class MergeQueue {
  /** Of the position that {@link pop} gave. */
  rank = 0;
  position = 0;
  private readonly heads: Int32Array;
  private readonly tails: Int32Array;
  private readonly occupied: RankSet;
  /** The next and the previous position in the list that a position is in; END, or FREE where it is in none. */
  private after = new Int32Array(0);
  private before = new Int32Array(0);
  private readonly late = new Heap(HEAP_CAPACITY);
  private few = true;

  /** @param ranks one more than the highest rank; at most 2^21 */
  constructor(ranks: number) {
    this.heads = new Int32Array(ranks).fill(END);
    this.tails = new Int32Array(ranks);
    this.occupied = new RankSet(ranks);
  }

  /** Makes room for positions below `n`. The queue must be empty. */
  reserve(n: number): void {
    this.few = n <= FEW_POSITIONS;
    if (this.few) return;
    if (this.after.length >= n) return;
    this.after = new Int32Array(n).fill(FREE);
    this.before = new Int32Array(n);
  }

  /** Lets go of room for more than `n` positions. The queue must be empty. */
  release(n: number): void {
    if (this.after.length > n) {
      this.after = new Int32Array(0);
      this.before = new Int32Array(0);
    }
    this.late.release(2 * n);
  }

  /** Only for a position that is in no list. */
  push(rank: number, position: number): void {
    if (this.few) {
      this.late.push(rank * POSITIONS + position);
      return;
    }
    const { after, before, heads, tails } = this;
    const tail = tails[rank] as number;
    if (heads[rank] === END) {
      heads[rank] = position;
      before[position] = END;
      this.occupied.add(rank);
    } else if (tail < position) {
      after[tail] = position;
      before[position] = tail;
    } else {
      this.late.push(rank * POSITIONS + position);
      return;
    }
    tails[rank] = position;
    after[position] = END;
  }

  /** Takes a position out of the list of `rank`, if it is there: not out of the heap, which may still give it. */
  remove(rank: number, position: number): void {
    if (this.few) return;
    const { after, before, heads, tails } = this;
    const next = after[position] as number;
    if (next === FREE) return;
    const previous = before[position] as number;
    after[position] = FREE;
    if (next === END) tails[rank] = previous;
    else before[next] = previous;
    if (previous !== END) after[previous] = next;
    else heads[rank] = next;
  }

  /** Takes out the first one; false where there is none. */
  pop(): boolean {
    if (this.few) return this.late.size > 0 && this.popLate();
    const rank = this.lowestRank();
    if (this.late.size > 0) {
      const key = rank < 0 ? Number.POSITIVE_INFINITY : rank * POSITIONS + (this.heads[rank] as number);
      if (this.late.top < key) return this.popLate();
    }
    if (rank < 0) return false;
    this.rank = rank;
    this.position = this.heads[rank] as number;
    this.remove(rank, this.position);
    return true;
  }

  /** The lowest rank whose list has a position; those that were emptied are still in the set. */
  private lowestRank(): number {
    const { occupied, heads } = this;
    let rank = occupied.low;
    while (rank >= 0 && heads[rank] === END) {
      occupied.removeLowest();
      rank = occupied.low;
    }
    return rank;
  }

  private popLate(): boolean {
    const key = this.late.pop();
    this.rank = Math.floor(key / POSITIONS);
    this.position = key - this.rank * POSITIONS;
    return true;
  }
}

/** A set of numbers below 2^21 whose lowest member is found in a few steps: bits, and bits of the words that have any. */
class RankSet {
  /** Level 0 has a bit a rank, the next one a bit for each word of the one below. */
  private readonly bits: Uint32Array;
  private readonly words: Uint32Array;
  private readonly groups: Uint32Array;
  /** The lowest member, or -1. */
  low = -1;

  constructor(ranks: number) {
    this.bits = new Uint32Array(wordsOf(ranks));
    this.words = new Uint32Array(wordsOf(this.bits.length));
    this.groups = new Uint32Array(wordsOf(this.words.length));
  }

  add(rank: number): void {
    if (((this.bits[rank >>> 5] as number) & (1 << (rank & 31))) !== 0) return;
    set(this.bits, rank);
    set(this.words, rank >>> 5);
    set(this.groups, rank >>> 10);
    if (this.low < 0 || rank < this.low) this.low = rank;
  }

  removeLowest(): void {
    const rank = this.low;
    if (clear(this.bits, rank) && clear(this.words, rank >>> 5)) clear(this.groups, rank >>> 10);
    this.low = this.find();
  }

  private find(): number {
    for (let i = 0; i < this.groups.length; i++) {
      if (this.groups[i] === 0) continue;
      const word = 32 * i + lowestBit(this.groups[i] as number);
      const bit = 32 * word + lowestBit(this.words[word] as number);
      return 32 * bit + lowestBit(this.bits[bit] as number);
    }
    return -1;
  }
}

function wordsOf(n: number): number {
  return Math.max(1, Math.ceil(n / 32));
}

function set(bits: Uint32Array, at: number): void {
  bits[at >>> 5] = (bits[at >>> 5] as number) | (1 << (at & 31));
}

/** Whether the word that had the bit has none left. */
function clear(bits: Uint32Array, at: number): boolean {
  const left = (bits[at >>> 5] as number) & ~(1 << (at & 31));
  bits[at >>> 5] = left;
  return left === 0;
}

function lowestBit(word: number): number {
  return 31 - Math.clz32(word & -word);
}
