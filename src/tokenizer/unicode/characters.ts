// Classes of characters that the split patterns of byte-level vocabularies tell apart.
import { UNICODE_RUNS } from "./unicode.gen.ts";

/**
 * Classes of code points, one bit each: what the split patterns of byte-level vocabularies tell apart.
 * The tables are of one version of Unicode (UNICODE_VERSION in unicode.gen.ts) and part of cria, because
 * runtimes differ in the version their regular expressions know, and ids must not.
 */
export const Class = {
  /** A to Z. */
  asciiUpper: 1 << 0,
  /** a to z. */
  asciiLower: 1 << 1,
  /** Lu beyond ASCII. */
  upper: 1 << 2,
  /** Ll beyond ASCII. */
  lower: 1 << 3,
  /** Lt. */
  title: 1 << 4,
  /** Lm and Lo. */
  uncased: 1 << 5,
  mark: 1 << 6,
  number: 1 << 7,
  punctuation: 1 << 8,
  symbol: 1 << 9,
  /** U+0020. */
  space: 1 << 10,
  /** U+000A and U+000D. */
  newline: 1 << 11,
  /** White_Space other than those. */
  whitespace: 1 << 12,
  /** Everything else: controls, format characters, private use, unassigned. */
  other: 1 << 13,
} as const;

/** Classes of the categories, by their letters in the table. */
const classOfLetter: Record<string, number> = {
  U: Class.upper,
  L: Class.lower,
  T: Class.title,
  ...spread("KO", Class.uncased),
  ...spread("MCE", Class.mark),
  ...spread("NRB", Class.number),
  ...spread("ADFGIJP", Class.punctuation),
  ...spread("HVYS", Class.symbol),
  W: Class.whitespace,
  ...spread("QZX", Class.other),
};

function spread(letters: string, value: number): Record<string, number> {
  return Object.fromEntries(Array.from(letters, (letter) => [letter, value]));
}

interface Tables {
  /** Class of each code point up to U+FFFF. Lone surrogates are replaced by U+FFFD, and classed like it. */
  readonly basic: Uint16Array;
  /** First code point of each run above U+FFFF, and its class. */
  readonly starts: Uint32Array;
  readonly classes: Uint16Array;
}

let tables: Tables | undefined;

/** The tables, decoded when first asked for. */
export function unicodeTables(): Tables {
  tables ??= decode();
  return tables;
}

/** {@link Class} of a code point. */
export function classOf(character: number): number {
  const { basic, starts, classes } = unicodeTables();
  if (character <= 0xffff) return basic[character] as number;
  let low = 0;
  let high = starts.length;
  while (high - low > 1) {
    const middle = (low + high) >>> 1;
    if ((starts[middle] as number) <= character) low = middle;
    else high = middle;
  }
  return classes[low] as number;
}

/** General categories in runs: [begin, end) and the letter of the table. */
export function* categoryRuns(): Generator<[begin: number, end: number, letter: string]> {
  let begin = 0;
  for (const [, letter, length] of UNICODE_RUNS.matchAll(/([A-Z])([0-9a-z]*)/g)) {
    const end = begin + (length === "" ? 1 : Number.parseInt(length as string, 36));
    yield [begin, end, letter as string];
    begin = end;
  }
}

function decode(): Tables {
  const basic = new Uint16Array(0x10000);
  const starts: number[] = [];
  const classes: number[] = [];
  for (const [begin, end, letter] of categoryRuns()) {
    const value = classOfLetter[letter] as number;
    basic.fill(value, Math.min(begin, 0x10000), Math.min(end, 0x10000));
    if (end <= 0x10000) continue;
    // Runs of different categories may be of one class.
    if (classes.at(-1) !== value) {
      starts.push(Math.max(begin, 0x10000));
      classes.push(value);
    }
  }
  basic.fill(Class.asciiUpper, 0x41, 0x5b);
  basic.fill(Class.asciiLower, 0x61, 0x7b);
  basic.fill(Class.whitespace, 0x09, 0x0e);
  basic[0x85] = Class.whitespace;
  basic[0x20] = Class.space;
  basic[0x0a] = basic[0x0d] = Class.newline;
  basic.fill(basic[0xfffd] as number, 0xd800, 0xe000);
  return { basic, starts: Uint32Array.from(starts), classes: Uint16Array.from(classes) };
}
