// Builds a double-array trie as darts-clone lays it out.

/** Units that a base and a label select among: labels are bytes. */
const BLOCK_UNITS = 256;

/** Blocks that are searched for free units; those before stay as full as they are. */
const OPEN_BLOCKS = 32;

/** Bits of a unit. */
const LEAF = 2 ** 31;
const HAS_LEAF = 1 << 8;
const OFFSET_SHIFT = 10;

/** A state's transitions by ascending label; equal states are one, so that common endings are stored once. */
interface State {
  readonly id: number;
  /** Undefined if no key ends here. */
  readonly value: number | undefined;
  readonly labels: readonly number[];
  readonly targets: readonly State[];
}

/**
 * A map from byte strings to numbers as a minimal automaton in a double array: a state has a base, and its
 * transition by byte c is the unit at base ^ c, whose low byte is c; the unit's offset leads on to the base
 * of the next state. A state where a key ends has its value in the unit at its base itself.
 *
 * Source: J. Aoe, "An efficient digital search algorithm by using a double-array structure", IEEE TSE 15(9),
 * 1989; the units' bits as in darts-clone (s-yata/darts-clone, doc/en/Introduction.md).
 */
export class DoubleArray {
  readonly #bases = new Map<number, number>();
  readonly #usedBases = new Set<number>();
  readonly #slots = new Slots();
  #units = new Uint32Array(0);

  /** @param entries different keys of at least one byte and without zero bytes, few enough for 2^21 units; values
   *   below 2^31 */
  constructor(entries: readonly (readonly [key: Uint8Array, value: number])[]) {
    const root = new Minimizer(entries).root;
    // Unit 0 leads to the root's base; at a base of 0 it would be what byte 0 leads to.
    this.#slots.take(0);
    this.#usedBases.add(0);
    const base = this.#place(root);
    this.#set(0, base * 2 ** OFFSET_SHIFT);
    this.#fillUnused();
  }

  /** The units, little-endian. */
  bytes(): Uint8Array {
    const n = this.#slots.size;
    const view = new DataView(new ArrayBuffer(4 * n));
    for (let i = 0; i < n; i++) view.setUint32(4 * i, this.#units[i] as number, true);
    return new Uint8Array(view.buffer);
  }

  /** Gives a state and all it leads to their units; the result is its base. */
  #place(state: State): number {
    const known = this.#bases.get(state.id);
    if (known !== undefined) return known;
    const labels = state.value === undefined ? state.labels : [0, ...state.labels];
    const base = this.#slots.findBase(labels, this.#usedBases);
    this.#bases.set(state.id, base);
    this.#usedBases.add(base);
    for (const label of labels) this.#slots.take(base ^ label);
    if (state.value !== undefined) this.#set(base, LEAF + state.value);
    state.targets.forEach((target, i) => {
      const label = state.labels[i] as number;
      const index = base ^ label;
      const leaf = target.value === undefined ? 0 : HAS_LEAF;
      this.#set(index, ((index ^ this.#place(target)) * 2 ** OFFSET_SHIFT + leaf + label) >>> 0);
    });
    return base;
  }

  #set(index: number, unit: number): void {
    if (index >= this.#units.length) {
      const grown = new Uint32Array(Math.max(2 * this.#units.length, this.#slots.size));
      grown.set(this.#units);
      this.#units = grown;
    }
    this.#units[index] = unit;
  }

  /** A unit that is none must not look like the transition of any state, by whatever byte. */
  #fillUnused(): void {
    const { size } = this.#slots;
    this.#set(size - 1, this.#units[size - 1] ?? 0);
    let free = 0;
    for (let index = 0; index < size; index++) {
      if (index % BLOCK_UNITS === 0) {
        free = index;
        while (this.#usedBases.has(free) && free + 1 < index + BLOCK_UNITS) free++;
      }
      if (!this.#slots.taken(index)) this.#units[index] = index ^ free;
    }
  }
}

/** Units in use, in blocks. */
class Slots {
  size = 0;
  #used = new Uint8Array(0);

  taken(index: number): boolean {
    return this.#used[index] === 1;
  }

  take(index: number): void {
    while (index >= this.size) this.#addBlock();
    this.#used[index] = 1;
  }

  /** A base that no state has, where the units of all labels are free. */
  findBase(labels: readonly number[], usedBases: ReadonlySet<number>): number {
    const first = labels[0] as number;
    const begin = Math.max(0, this.size - OPEN_BLOCKS * BLOCK_UNITS);
    for (let index = begin; index < this.size; index++) {
      if (this.#used[index] === 1) continue;
      const base = index ^ first;
      if (!usedBases.has(base) && labels.every((label) => this.#used[base ^ label] === 0)) return base;
    }
    this.#addBlock();
    return this.size - BLOCK_UNITS;
  }

  #addBlock(): void {
    this.size += BLOCK_UNITS;
    if (this.size <= this.#used.length) return;
    const grown = new Uint8Array(2 * this.size);
    grown.set(this.#used);
    this.#used = grown;
  }
}

/** Builds the minimal automaton of sorted keys from its endings. */
class Minimizer {
  readonly root: State;
  readonly #entries: readonly (readonly [key: Uint8Array, value: number])[];
  readonly #known = new Map<string | number, State>();

  constructor(entries: readonly (readonly [key: Uint8Array, value: number])[]) {
    this.#entries = entries.toSorted(([a], [b]) => compareBytes(a, b));
    this.root = this.#state(0, entries.length, 0);
  }

  /** The state after the first `depth` bytes, which the entries [begin, end) share. */
  #state(begin: number, end: number, depth: number): State {
    let at = begin;
    let value: number | undefined;
    if (this.#entries[at]?.[0].length === depth) value = this.#entries[at++]?.[1];
    const labels: number[] = [];
    const targets: State[] = [];
    while (at < end) {
      const label = this.#label(at, depth);
      const from = at;
      while (at < end && this.#label(at, depth) === label) at++;
      labels.push(label);
      targets.push(this.#state(from, at, depth + 1));
    }
    return this.#unique(value, labels, targets);
  }

  #label(at: number, depth: number): number {
    return this.#entries[at]?.[0][depth] as number;
  }

  #unique(value: number | undefined, labels: number[], targets: State[]): State {
    const signature =
      value !== undefined && labels.length === 0
        ? value
        : `${value}|${labels}|${targets.map(({ id }) => id)}`;
    let state = this.#known.get(signature);
    if (state === undefined) {
      state = { id: this.#known.size, value, labels, targets };
      this.#known.set(signature, state);
    }
    return state;
  }
}

function compareBytes(a: Uint8Array, b: Uint8Array): number {
  const n = Math.min(a.length, b.length);
  for (let i = 0; i < n; i++) {
    const order = (a[i] as number) - (b[i] as number);
    if (order !== 0) return order;
  }
  return a.length - b.length;
}
