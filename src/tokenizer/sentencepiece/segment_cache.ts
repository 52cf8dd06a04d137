// A bounded cache from segments of a text to their symbols.

/** Words of more units are not remembered. */
export const MAX_CACHED_UNITS = 48;

/** Slots at first and at most, powers of two: 2.5 MB hold the words of ordinary text, and no text makes it more. */
const FIRST_SLOTS = 1 << 10;
const MAX_SLOTS = 1 << 15;

/** Size of the pools. */
const UNITS_A_SLOT = 8;
const SYMBOLS_A_SLOT = 4;

/** Slots of one hash that are looked at. */
const WAYS = 4;

/** Words of a slot: hash, begin in the pool of units, number of units, begin in the pool of symbols, number of symbols. */
const STRIDE = 8;
const HASH = 0;
const UNITS = 1;
const N_UNITS = 2;
const SYMBOLS = 3;
const N_SYMBOLS = 4;

/**
 * Remembers what symbols words were split into: a word of at least one unit, by its units themselves. Where
 * a pool is full everything is forgotten, and there is more room from then on, up to a limit.
 */
export class SegmentCache {
  /** Symbols of the word that {@link find} found: [begin, begin + count) of {@link symbols}. */
  begin = 0;
  count = 0;
  symbols = new Int32Array(FIRST_SLOTS * SYMBOLS_A_SLOT);
  #slots = new Int32Array(FIRST_SLOTS * STRIDE);
  #units = new Uint16Array(FIRST_SLOTS * UNITS_A_SLOT);
  #mask = FIRST_SLOTS - 1;
  #usedUnits = 0;
  #usedSymbols = 0;

  /** Whether units [begin, end) are known. @param hash a number that the units determine */
  find(units: Uint16Array, begin: number, end: number, hash: number): boolean {
    const slots = this.#slots;
    const mask = this.#mask;
    const n = end - begin;
    for (let way = 0; way < WAYS; way++) {
      const at = ((hash + way) & mask) * STRIDE;
      if (slots[at + HASH] !== hash || slots[at + N_UNITS] !== n) continue;
      if (!this.#holds(slots[at + UNITS] as number, units, begin, end)) continue;
      this.begin = slots[at + SYMBOLS] as number;
      this.count = slots[at + N_SYMBOLS] as number;
      return true;
    }
    return false;
  }

  /** Remembers symbols [from, to) of units [begin, end), which are at most MAX_CACHED_UNITS and not known. */
  add(
    units: Uint16Array,
    begin: number,
    end: number,
    hash: number,
    symbols: Int32Array,
    from: number,
    to: number,
  ): void {
    const unitsLeft = this.#units.length - this.#usedUnits;
    if (end - begin > unitsLeft || to - from > this.symbols.length - this.#usedSymbols) this.#forget();
    const at = this.#freeSlot(hash) * STRIDE;
    this.#slots[at + HASH] = hash;
    this.#slots[at + UNITS] = this.#usedUnits;
    this.#slots[at + N_UNITS] = end - begin;
    this.#slots[at + SYMBOLS] = this.#usedSymbols;
    this.#slots[at + N_SYMBOLS] = to - from;
    for (let i = begin; i < end; i++) this.#units[this.#usedUnits++] = units[i] as number;
    for (let i = from; i < to; i++) this.symbols[this.#usedSymbols++] = symbols[i] as number;
  }

  #forget(): void {
    const slots = Math.min(2 * (this.#mask + 1), MAX_SLOTS);
    if (slots === this.#mask + 1) {
      this.#slots.fill(0);
    } else {
      this.#slots = new Int32Array(slots * STRIDE);
      this.#units = new Uint16Array(slots * UNITS_A_SLOT);
      this.symbols = new Int32Array(slots * SYMBOLS_A_SLOT);
      this.#mask = slots - 1;
    }
    this.#usedUnits = 0;
    this.#usedSymbols = 0;
  }

  #holds(at: number, units: Uint16Array, begin: number, end: number): boolean {
    for (let i = begin, k = at; i < end; i++, k++) {
      if (this.#units[k] !== units[i]) return false;
    }
    return true;
  }

  /** A free slot of the hash, or else one that is given up. */
  #freeSlot(hash: number): number {
    for (let way = 0; way < WAYS; way++) {
      const slot = (hash + way) & this.#mask;
      if (this.#slots[slot * STRIDE + N_UNITS] === 0) return slot;
    }
    return (hash + ((hash >>> 20) & (WAYS - 1))) & this.#mask;
  }
}
