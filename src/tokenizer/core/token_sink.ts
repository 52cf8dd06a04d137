import type { TokenOffsets } from "./tokenizer.ts";

/** Tokens that room is kept for from one text to the next: 2 MB. */
const KEPT = 1 << 19;
/** Ids from which on a loop is slower than what arrays bring along. */
const LONG = 64;
const NOTHING = new Int32Array(0);
/** Where the ids of the next text without offsets go; undefined while a text has it. */
let spare: Int32Array | undefined;

/**
 * Where the tokens of a text go while it is encoded. They are collected in typed arrays and copied once at the end:
 * a plain array that grows by pushing is copied at each step of its growth, which was a fifth of encoding.
 */
export class TokenSink {
  /** Tokens so far. */
  length = 0;
  /** Whether the part of the text that each token stands for is wanted too, in UTF-16 units. */
  readonly withOffsets: boolean;
  #ids: Int32Array;
  #starts: Int32Array;
  #ends: Int32Array;

  /** @param units of the text: room for half as many tokens is made, more where that is not enough */
  constructor(units: number, withOffsets: boolean) {
    const capacity = 64 + (units >>> 1);
    this.withOffsets = withOffsets;
    if (withOffsets || spare === undefined || spare.length < capacity) {
      this.#ids = new Int32Array(capacity);
    } else {
      // Two megabytes of fresh memory take as long as a tenth of the encoding that fills them.
      this.#ids = spare;
      spare = undefined;
    }
    // As long as ids, so that one comparison tells whether all have room.
    this.#starts = new Int32Array(withOffsets ? capacity : 0);
    this.#ends = new Int32Array(withOffsets ? capacity : 0);
  }

  /** One token, and the part of the text that it stands for. */
  push(id: number, start: number, end: number): void {
    const at = this.length;
    if (at === this.#ids.length) this.#grow(at + 1);
    this.#ids[at] = id;
    if (this.withOffsets) {
      this.#starts[at] = start;
      this.#ends[at] = end;
    }
    this.length = at + 1;
  }

  /** Tokens [begin, end) of `ids`, where offsets are not wanted. */
  append(ids: Int32Array, begin: number, end: number): void {
    let at = this.length;
    if (at + end - begin > this.#ids.length) this.#grow(at + end - begin);
    const own = this.#ids;
    if (end - begin > LONG) {
      own.set(ids.subarray(begin, end), at);
      at += end - begin;
    } else {
      for (let i = begin; i < end; i++) own[at++] = ids[i] as number;
    }
    this.length = at;
  }

  /** The id of the last token; there must be one. */
  get last(): number {
    return this.#ids[this.length - 1] as number;
  }

  /** Moves the end of what the last token stands for. */
  extendLast(end: number): void {
    if (this.withOffsets) this.#ends[this.length - 1] = end;
  }

  /** Replaces the offsets of the tokens from `first` on. */
  mapOffsets(
    first: number,
    map: (start: number, end: number) => readonly [start: number, end: number],
  ): void {
    if (!this.withOffsets) return;
    for (let i = first; i < this.length; i++) {
      const [start, end] = map(this.#starts[i] as number, this.#ends[i] as number);
      this.#starts[i] = start;
      this.#ends[i] = end;
    }
  }

  /** The ids. No more tokens can be added. */
  toIds(): number[] {
    const ids = plain(this.#ids, this.length);
    if (!this.withOffsets && this.#ids.length <= KEPT) spare = this.#ids;
    this.#ids = NOTHING;
    return ids;
  }

  /** The ids and their offsets. No more tokens can be added. */
  toOffsets(): TokenOffsets {
    const { length } = this;
    const starts = this.#starts;
    const ends = this.#ends;
    return { ids: this.toIds(), starts: plain(starts, length), ends: plain(ends, length) };
  }

  #grow(atLeast: number): void {
    const capacity = Math.max(atLeast, 2 * this.#ids.length);
    this.#ids = grown(this.#ids, capacity);
    if (!this.withOffsets) return;
    this.#starts = grown(this.#starts, capacity);
    this.#ends = grown(this.#ends, capacity);
  }
}

function grown(values: Int32Array, capacity: number): Int32Array {
  const larger = new Int32Array(capacity);
  larger.set(values);
  return larger;
}

/** The first `n` values; a loop, since Array.from goes through an iterator and takes ten times as long. */
function plain(values: Int32Array, n: number): number[] {
  const array = new Array<number>(n);
  for (let i = 0; i < n; i++) array[i] = values[i] as number;
  return array;
}
