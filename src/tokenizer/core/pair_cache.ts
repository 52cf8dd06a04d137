// A direct-mapped cache from pairs of ids to a number.

/** Slots, a power of two. 1 MB, which holds the pairs of ordinary text. */
const SLOTS = 1 << 16;

/** A direct-mapped cache from pairs of ids to a number. Its size is fixed: no text can make it grow. */
export class PairCache {
  /** Four numbers for each slot: left, right, the value, and one that is unused. */
  readonly entries = new Int32Array(4 * SLOTS).fill(-1);

  slot(left: number, right: number): number {
    return (mixPair(left, right) & (SLOTS - 1)) << 2;
  }

  holds(slot: number, left: number, right: number): boolean {
    return this.entries[slot] === left && this.entries[slot + 1] === right;
  }

  set(slot: number, left: number, right: number, value: number): number {
    this.entries[slot] = left;
    this.entries[slot + 1] = right;
    this.entries[slot + 2] = value;
    return value;
  }
}

/** A hash of two numbers. All its bits are mixed, the low ones too. */
export function mixPair(left: number, right: number): number {
  const mixed = Math.imul(left, 0x9e3779b1) ^ Math.imul(right, 0x85ebca6b);
  return mixed ^ (mixed >>> 15);
}
