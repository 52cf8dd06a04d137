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
    const next = reader.next(0, a, joined(a, b), joined(joined(a, b), c));
    c = b;
    b = a;
    a = next;
    if (a === 0) return text;
    text += String.fromCharCode(a ^ LETTERS);
  }
}

/** General categories of all code points, in order: a letter each and, unless it is 1, the length in base 36. */
export function* readCategories(packed: string): Generator<Run<string>> {
  let begin = 0;
  for (const [, letter, length] of packed.matchAll(/([A-Z])([0-9a-z]*)/g)) {
    const end = begin + (length === "" ? 1 : Number.parseInt(length as string, 36));
    yield [begin, end, letter as string];
    begin = end;
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
  let value = 0;
  let previous = 0;
  let size = 0;
  let other = 0;
  /** The last value of each category. */
  const values = new Uint32Array(CATEGORY_LETTERS.length);
  for (const run of categories) {
    const end = run[1];
    const category = CATEGORY_LETTERS.indexOf(run[2]);
    const isMeant = letters.includes(run[2]);
    for (let begin = run[0]; isMeant && begin < end; ) {
      const own = joined(category, values[category] as number);
      const inner = joined(category, begin > run[0] ? 1 : 0);
      const current = joined(inner, value);
      const number = reader.next(
        0,
        current,
        joined(joined(inner, own), other),
        joined(joined(current, previous), other),
        joined(current, begin >> 8),
        joined(own, size),
        joined(joined(other, begin & 15), inner),
      );
      previous = value;
      value = meaning(number);
      const pair = joined(joined(inner, value), previous);
      const last = joined(category, value);
      size = reader.next(1, pair, joined(last, size), joined(value, end - begin), joined(pair, end - begin));
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
