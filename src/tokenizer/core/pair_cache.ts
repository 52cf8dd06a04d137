/** Slots, a power of two: 1 MB, which holds the pairs of ordinary text. */
const SLOTS = 1 << 16;

/** Remembers a number for the last pair of each slot: of fixed size, so that no text can make it grow. */
export class PairCache {
  /** Left, right, the number and one unused, for each slot. */
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

/** A hash of two numbers, whose low bits are as good as any. */
export function mixPair(left: number, right: number): number {
  const mixed = Math.imul(left, 0x9e3779b1) ^ Math.imul(right, 0x85ebca6b);
  return mixed ^ (mixed >>> 15);
}
