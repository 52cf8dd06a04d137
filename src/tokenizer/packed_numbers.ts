// Sets and runs of code points, as the generated tables of Unicode hold them.
import { joined, type TableReader } from "./table_reader.ts";

/** A run of code points: [begin, end) and what they have in common. */
export type Run<T> = [begin: number, end: number, value: T];

/** A set of code points: lengths of what is outside, inside, outside, ... of it, and 0 for the rest. */
export class PackedSet {
  /** Code points where inside and outside change. */
  private readonly ends: Uint32Array;

  constructor(reader: TableReader) {
    const ends: number[] = [];
    let last = 0;
    let end = 0;
    for (;;) {
      const length = reader.next(ends.length % 2, last);
      if (length === 0) break;
      end += length;
      last = length;
      ends.push(end);
    }
    this.ends = Uint32Array.from(ends);
  }

  has(character: number): boolean {
    return upperBound(this.ends, character) % 2 === 1;
  }

  /** [first, end) of each run that is inside. */
  runs(): [first: number, end: number][] {
    const found: [number, number][] = [];
    for (let i = 0; i < this.ends.length; i += 2) {
      found.push([this.ends[i] as number, this.ends[i + 1] ?? 0x110000]);
    }
    return found;
  }
}

/** Letters of the categories in their table, the commonest first. */
export const CATEGORY_LETTERS = "ULMXOCPSNKBHFGDZETIJVYRAWQ";

/** Those of assigned characters. */
export const ASSIGNED = CATEGORY_LETTERS.replace("X", "");

/** What letters are numbered from in tables, in every case. */
export const LETTERS = 0x60;

/** ASCII text, ended by 0. */
export function readText(reader: TableReader): string {
  let text = "";
  let [a, b, c] = [0, 0, 0];
  for (;;) {
    [a, b, c] = [reader.next(0, a, joined(a, b), joined(a, b, c)), a, b];
    if (a === 0) return text;
    text += String.fromCharCode(a ^ LETTERS);
  }
}

/** General categories of all code points, in order. */
export function* readCategories(reader: TableReader): Generator<Run<string>> {
  /** The last three runs, the last one first. */
  let runs: [number, number][] = [
    [0, 0],
    [0, 0],
    [0, 0],
  ];
  const lengths: number[] = [];
  for (let begin = 0; begin < 0x110000; ) {
    const [[a, m], [b, n], [c]] = runs as [[number, number], [number, number], [number, number]];
    const number = reader.next(
      0,
      joined(a, b),
      joined(a, m),
      joined(a, b, c),
      joined(a, m, b, n),
    );
    const length =
      1 +
      reader.next(
        1,
        joined(number, a),
        joined(number, lengths[number] ?? 0),
        joined(number, m, a),
        joined(number, a, b, m, n),
        joined(number, begin & 15),
      );
    yield [begin, begin + length, CATEGORY_LETTERS[number] as string];
    lengths[number] = length;
    runs = [[number, Math.min(length, 64)], ...runs.slice(0, 2)] as [number, number][];
    begin += length;
  }
}

/**
 * Runs of a value within runs of the categories: the value, and the length or 0 for all of the category's run.
 * What is of no such category has none.
 *
 * @param meaning what a number of the table means
 */
export function* readWithin(
  reader: TableReader,
  categories: readonly Run<string>[],
  letters: string,
  meaning = (number: number) => number,
): Generator<Run<number>> {
  let [value, previous, size, other] = [0, 0, 0, 0];
  /** The last value of each category. */
  const values: number[] = [];
  for (const [first, end, letter] of categories) {
    const category = CATEGORY_LETTERS.indexOf(letter);
    const isMeant = letters.includes(letter);
    for (let begin = first; isMeant && begin < end; ) {
      const isInner = begin > first ? 1 : 0;
      const own = values[category] ?? 0;
      const number = reader.next(
        0,
        joined(category, value, isInner),
        joined(category, own, other, isInner),
        joined(category, value, previous, other, isInner),
        joined(value, category, begin >> 8, isInner),
        joined(category, size, own),
        joined(other, begin & 15, isInner),
      );
      [previous, value] = [value, meaning(number)];
      size = reader.next(
        1,
        joined(category, value, previous, isInner),
        joined(category, value, size),
        joined(value, end - begin),
        joined(value, category, end - begin, previous),
      );
      const length = size === 0 ? end - begin : size;
      yield [begin, begin + length, value];
      values[category] = value;
      begin += length;
    }
    other = category;
  }
}

/** A difference of either sign. */
export function signed(number: number): number {
  return number % 2 === 0 ? number / 2 : -(number + 1) / 2;
}

/** How many of ascending numbers are at most `value`. */
export function upperBound(numbers: ArrayLike<number>, value: number): number {
  let low = 0;
  let high = numbers.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if ((numbers[middle] as number) <= value) low = middle + 1;
    else high = middle;
  }
  return low;
}
