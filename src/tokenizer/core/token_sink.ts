// Collects the ids of a text, and their offsets if wanted.
import type { TokenOffsets } from "./tokenizer.ts";

/** Capacity of the buffer that is reused between texts: 512 K tokens, 2 MB. */
const KEPT = 1 << 19;
/** Above this many ids, methods of typed arrays beat a loop. */
const LONG = 64;
const NOTHING = new Int32Array(0);
/** The buffer for the ids of the next text without offsets; undefined while a text uses it. */
let spare: Int32Array | undefined;

/**
 * Collects the tokens of a text while it is encoded. They are stored in typed arrays and copied once at the end. A
 * plain array would be copied each time it grows, which was a fifth of the time of encoding.
 */
export class TokenSink {
  /** Tokens so far. */
  length = 0;
  /** Whether offsets are collected too: the part of the text, in UTF-16 units, that each token stands for. */
  readonly withOffsets: boolean;
  #ids: Int32Array;
  #starts: Int32Array;
  #ends: Int32Array;

  /** @param units units of the text. The first buffers hold half as many tokens, and grow if that is not enough. */
  constructor(units: number, withOffsets: boolean) {
    const capacity = 64 + (units >>> 1);
    this.withOffsets = withOffsets;
    if (withOffsets || spare === undefined || spare.length < capacity) {
      this.#ids = new Int32Array(capacity);
    } else {
      // Fresh memory of 2 MB costs a tenth of the encoding that fills it.
      this.#ids = spare;
      spare = undefined;
    }
    // The same capacity as ids: one comparison covers all three.
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

  /** Adds tokens [begin, end) of `ids`. Only for a sink without offsets. */
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
