// The pairs of units that stand next to each other inside some piece.
import type { FlatPieces } from "./segmenter.ts";

/**
 * Which two units are side by side in some piece. May say so of others too, which only makes words longer.
 */
export class JoinSet {
  /** Both below 0x80, or U+2581 in the place of a space. */
  readonly #ascii = new Uint8Array(1 << 14);
  readonly #others: Uint8Array;
  readonly #mask: number;

  constructor({ units, begins }: FlatPieces, ids: ArrayLike<number>) {
    let bits = 1 << 10;
    while (bits < 4 * units.length && bits < 1 << 24) bits *= 2;
    this.#others = new Uint8Array(bits / 8);
    this.#mask = bits - 1;
    for (let k = 0; k < ids.length; k++) {
      const id = ids[k] as number;
      const end = begins[id + 1] as number;
      for (let i = (begins[id] as number) + 1; i < end; i++)
        this.#add(units[i - 1] as number, units[i] as number);
    }
  }

  has(left: number, right: number): boolean {
    const a = left === 0x2581 ? 0x20 : left;
    const b = right === 0x2581 ? 0x20 : right;
    if ((a | b) < 0x80) return this.#ascii[(a << 7) | b] === 1;
    const bit = hashPair(left, right) & this.#mask;
    return ((this.#others[bit >>> 3] as number) & (1 << (bit & 7))) !== 0 || (left & 0xfc00) === 0xd800;
  }

  #add(left: number, right: number): void {
    const a = left === 0x2581 ? 0x20 : left;
    const b = right === 0x2581 ? 0x20 : right;
    if ((a | b) < 0x80) this.#ascii[(a << 7) | b] = 1;
    const bit = hashPair(left, right) & this.#mask;
    this.#others[bit >>> 3] = (this.#others[bit >>> 3] as number) | (1 << (bit & 7));
  }
}

function hashPair(left: number, right: number): number {
  const mixed = Math.imul(left, 0x9e3779b1) ^ Math.imul(right, 0x85ebca6b);
  return mixed ^ (mixed >>> 15);
}
