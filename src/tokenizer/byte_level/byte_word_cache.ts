// A bounded cache from words to their ids.

/** Longest word, in units, that is cached. */
export const CACHED_UNITS = 32;

/** Slots, a power of two: 2 MB. The cache is set-associative: a word may be in any of four neighbouring slots. */
const SLOTS = 1 << 18;
const WAYS = 4;
/** First and largest size of the arena, in numbers. The largest takes 8 MB; when it is full, the cache is cleared. */
const FIRST_ARENA = 1 << 17;
const MAX_ARENA = 1 << 21;

/** A cache from words, by their UTF-16 units, to their ids. Its size is bounded: no text can make it grow further. */
export class ByteWordCache {
  /** Two numbers for each slot: the hash of its word, and the position of the word in the arena, 0 if it is free. */
  readonly #slots = new Int32Array(2 * SLOTS);
  /** For each word: (units | kind << 8) << 16 | ids; its units, two a number; its ids. The first number is unused. */
  arena = new Int32Array(FIRST_ARENA);
  #top = 1;
  /** Hash of the last word that `find` was called for. */
  #hash = 0;

  /** The position of the word of units [begin, end), 0 if it is not cached. Words of two kinds are never the same. */
  find(units: Uint16Array, begin: number, end: number, kind: 0 | 1): number {
    const head = (end - begin) | (kind << 8);
    let hash = head;
    for (let i = begin; i < end; i += 2) {
      hash = Math.imul(hash ^ unitPair(units, i, end), 0x9e3779b1);
      hash ^= hash >>> 15;
    }
    this.#hash = hash;
    const slots = this.#slots;
    const first = slotOf(hash);
    for (let slot = first; slot < first + 2 * WAYS; slot += 2) {
      if (slots[slot] === hash) return this.#check(slots[slot + 1] as number, head, units, begin, end);
    }
    return 0;
  }

  /** The position of the ids of a word in the arena. */
  ids(at: number): number {
    const n = ((this.arena[at] as number) >>> 16) & 0xff;
    return at + 1 + ((n + 1) >>> 1);
  }

  /** How many ids a word has. */
  count(at: number): number {
    return (this.arena[at] as number) & 0xffff;
  }

  /** Adds the word that `find` was called for last. */
  add(units: Uint16Array, begin: number, end: number, kind: 0 | 1, ids: Int32Array, count: number): void {
    const n = end - begin;
    this.#makeRoom(1 + ((n + 1) >>> 1) + count);
    const { arena } = this;
    const slots = this.#slots;
    let at = this.#top;
    // The new word takes the first of the four slots. The word in the last one is dropped.
    const slot = slotOf(this.#hash);
    slots.copyWithin(slot + 2, slot, slot + 2 * WAYS - 2);
    slots[slot] = this.#hash;
    slots[slot + 1] = at;
    arena[at++] = (n << 16) | (kind << 24) | count;
    for (let i = begin; i < end; i += 2) arena[at++] = unitPair(units, i, end);
    for (let i = 0; i < count; i++) arena[at++] = ids[i] as number;
    this.#top = at;
  }

  #check(at: number, head: number, units: Uint16Array, begin: number, end: number): number {
    const { arena } = this;
    if ((arena[at] as number) >>> 16 !== head) return 0;
    for (let i = begin, k = at + 1; i < end; i += 2, k++) {
      if (arena[k] !== unitPair(units, i, end)) return 0;
    }
    return at;
  }

  #makeRoom(size: number): void {
    if (this.#top + size <= this.arena.length) return;
    if (this.arena.length === MAX_ARENA) {
      this.#slots.fill(0);
      this.#top = 1;
      return;
    }
    const grown = new Int32Array(2 * this.arena.length);
    grown.set(this.arena);
    this.arena = grown;
  }
}

/** The first of the slots of a hash: one of SLOTS / WAYS = 2^16 places. */
function slotOf(hash: number): number {
  return (Math.imul(hash, 0x85ebca6b) >>> 16) * 2 * WAYS;
}

/** Two units of a word as one number; the second is 0 after the last. */
function unitPair(units: Uint16Array, i: number, end: number): number {
  return (units[i] as number) | (i + 1 < end ? (units[i + 1] as number) << 16 : 0);
}
