// The pieces of a vocabulary as a trie in one hash table.
import { FormatError } from "../../util/errors.ts";
import type { FlatPieces } from "./segmenter.ts";

/**
 * Most UTF-16 units of all pieces of a vocabulary together. Gemma's 256,000 pieces have 2 million; the
 * table below takes 6 to 24 bytes a unit.
 */
export const MAX_TRIE_UNITS = 1 << 23;

/** No piece, no child. */
export const NONE = -1;

/** The node of the empty prefix. */
export const ROOT = 0;

/**
 * Most slots that a look-up passes. Half-empty tables need a few dozen. Pieces made to collide would need thousands, and
 * quadratic time: the table grows instead, and refuses such a file at last.
 */
const MAX_PROBES = 256;

/** How much larger than first the table grows before it refuses. */
const MAX_GROWTH = 16;

const MIN_SLOTS = 1024;
/** A key has 24 bits for a node. Slots from MAX_NODES on are never one, and have the root's key, which is no other's. */
const MAX_SLOTS = 1 << 24;
const MAX_NODES = MAX_SLOTS - 2;
const TAKEN = -1;
const ID_BITS = 0xffffff;

/**
 * The pieces of a vocabulary by their UTF-16 units: one open-addressing table, in which the entry of
 * (node, unit) is itself the node that the unit leads to. A step is one multiplication and one cache line.
 *
 * Small, because what steps cost is cache misses. Of a slot's two numbers the first, the key, has one more than the
 * parent node in its upper 24 bits, 0 if the slot is free, and below that the lower half of the unit that leads
 * here from it. The second has the unit's upper half above one more than the id of the piece that ends here, or 0.
 */
export class PieceTrie {
  /** The node of each piece, NONE for those left out. */
  readonly nodes: Int32Array;
  /** Slot s at [2 * s]. Slot 0 is the root. */
  #table = new Int32Array(0);
  /** Units from the root to each slot. */
  #depths = new Int32Array(0);
  #mask = 0;
  #used = 0;

  /**
   * @param ids which pieces to enter; of equal ones the first counts, empty ones are left out
   * @throws FormatError above {@link MAX_TRIE_UNITS}
   */
  constructor(pieces: FlatPieces, ids: ArrayLike<number>) {
    const units = pieces.units.length;
    if (units > MAX_TRIE_UNITS) {
      throw new FormatError(
        `Cannot build tokenizer: Expected pieces of at most ${MAX_TRIE_UNITS} characters in all, got ${units}`,
      );
    }
    this.nodes = new Int32Array(pieces.begins.length - 1).fill(NONE);
    // Prefixes are shared: a third as many nodes as units is usual, for which half as many slots are enough.
    let slots = MIN_SLOTS;
    while (2 * slots < units) slots *= 2;
    const most = Math.min(slots * MAX_GROWTH, MAX_SLOTS);
    this.#reset(slots);
    while (!this.#enterAll(pieces, ids)) {
      slots *= 2;
      if (slots > most) {
        throw new FormatError(
          "Cannot build tokenizer: Expected pieces that can be indexed, got ones made to collide",
        );
      }
      this.#reset(slots);
    }
  }

  /** The node that `unit` leads to from `node`, or NONE. */
  child(node: number, unit: number): number {
    const table = this.#table;
    const mask = this.#mask;
    const wanted = keyOf(node, unit);
    for (let slot = hash(node, unit) & mask; ; slot = (slot + 1) & mask) {
      const key = table[2 * slot] as number;
      if (key === wanted && (table[2 * slot + 1] as number) >>> 24 === unit >> 8) return slot;
      if (key === 0) return NONE;
    }
  }

  /** The id of the piece that ends at `node`, or NONE. */
  id(node: number): number {
    return ((this.#table[2 * node + 1] as number) & ID_BITS) - 1;
  }

  /** The node that leads to a node, not for the root. */
  parent(node: number): number {
    return ((this.#table[2 * node] as number) >>> 8) - 1;
  }

  /** The unit that leads to a node from its parent. */
  unit(node: number): number {
    return ((this.#table[2 * node] as number) & 0xff) | (((this.#table[2 * node + 1] as number) >>> 24) << 8);
  }

  /** Numbers that nodes are below. */
  get slots(): number {
    return this.#mask + 1;
  }

  /** All nodes but the root, parents before their children and what is nearer to the root first. */
  byDepth(): Int32Array {
    const depths = this.#depths;
    const deepest = depths.reduce((most, depth) => Math.max(most, depth), 0);
    const ends = new Int32Array(deepest + 2);
    for (const depth of depths) ends[depth + 1] = (ends[depth + 1] as number) + 1;
    // Free slots and the root have depth 0, and are left out.
    ends[1] = 0;
    for (let depth = 1; depth <= deepest; depth++)
      ends[depth + 1] = (ends[depth + 1] as number) + (ends[depth] as number);
    const nodes = new Int32Array(this.#used - 1);
    for (let node = 0; node <= this.#mask; node++) {
      const depth = depths[node] as number;
      if (depth === 0) continue;
      nodes[ends[depth] as number] = node;
      ends[depth] = (ends[depth] as number) + 1;
    }
    return nodes;
  }

  /** The node that units [begin, end) lead to from `node`, or NONE. */
  walk(node: number, units: Uint16Array, begin: number, end: number): number {
    let at = node;
    for (let i = begin; i < end && at !== NONE; i++) at = this.child(at, units[i] as number);
    return at;
  }

  #reset(slots: number): void {
    this.#table = new Int32Array(2 * slots);
    this.#table[2 * ROOT] = TAKEN;
    for (let slot = MAX_NODES; slot < slots; slot++) this.#table[2 * slot] = TAKEN;
    this.#depths = new Int32Array(slots);
    this.#mask = slots - 1;
    this.#used = 1;
  }

  /** False if the table is too small. */
  #enterAll({ units, begins }: FlatPieces, ids: ArrayLike<number>): boolean {
    for (let k = 0; k < ids.length; k++) {
      const id = ids[k] as number;
      const end = begins[id + 1] as number;
      let node: number = ROOT;
      for (let i = begins[id] as number; i < end; i++) {
        node = this.#enter(node, units[i] as number);
        if (node === NONE) return false;
      }
      if (node === ROOT) continue;
      this.nodes[id] = node;
      if (this.id(node) === NONE)
        this.#table[2 * node + 1] = (this.#table[2 * node + 1] as number) | (id + 1);
    }
    return true;
  }

  /** The child of `node`, made if it is missing; NONE if the table is too full. */
  #enter(node: number, unit: number): number {
    const table = this.#table;
    const depths = this.#depths;
    const mask = this.#mask;
    const wanted = keyOf(node, unit);
    const first = hash(node, unit) & mask;
    for (let probe = 0; probe < MAX_PROBES; probe++) {
      const slot = (first + probe) & mask;
      const key = table[2 * slot] as number;
      if (key === wanted && (table[2 * slot + 1] as number) >>> 24 === unit >> 8) return slot;
      if (key !== 0) continue;
      if (2 * ++this.#used > mask) return NONE;
      table[2 * slot] = wanted;
      table[2 * slot + 1] = (unit >> 8) << 24;
      depths[slot] = (depths[node] as number) + 1;
      return slot;
    }
    return NONE;
  }
}

function keyOf(node: number, unit: number): number {
  return ((node + 1) << 8) | (unit & 0xff);
}

function hash(node: number, unit: number): number {
  const mixed = Math.imul(node, 0x9e3779b1) ^ Math.imul(unit, 0x85ebca6b);
  return mixed ^ (mixed >>> 15);
}
