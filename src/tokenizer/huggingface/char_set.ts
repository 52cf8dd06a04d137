import { Class, classOf } from "../unicode.ts";

const PAGE = 256;
const UNKNOWN = 0;
const INSIDE = 1;
const OUTSIDE = 2;

const WHITE_SPACE = Class.space | Class.newline | Class.whitespace;
const LETTER = Class.asciiUpper | Class.asciiLower | Class.upper | Class.lower | Class.title | Class.uncased;

/** General categories that cria has tables of, so that ids do not depend on the runtime's Unicode. */
const tabled: Readonly<Record<string, number>> = {
  L: LETTER,
  Lu: Class.asciiUpper | Class.upper,
  Ll: Class.asciiLower | Class.lower,
  Lt: Class.title,
  M: Class.mark,
  N: Class.number,
  P: Class.punctuation,
  S: Class.symbol,
  White_Space: WHITE_SPACE,
};

/** Whether a code point is in a set. */
export type Test = (character: number) => boolean;

/** A set of code points that remembers its answers. */
export class CharSet {
  private readonly test: Test;
  /** Answers by code point, in pages of {@link PAGE} that are made when first asked for. */
  private readonly pages: (Uint8Array | undefined)[] = [];

  constructor(test: Test) {
    this.test = test;
  }

  has(character: number): boolean {
    const page = character >>> 8;
    let answers = this.pages[page];
    if (answers === undefined) {
      answers = new Uint8Array(PAGE);
      this.pages[page] = answers;
    }
    const known = answers[character & 0xff];
    if (known !== UNKNOWN) return known === INSIDE;
    const inside = this.test(character);
    answers[character & 0xff] = inside ? INSIDE : OUTSIDE;
    return inside;
  }
}

export function not(test: Test): Test {
  return (character) => !test(character);
}

export function anyOf(tests: readonly Test[]): Test {
  return (character) => tests.some((test) => test(character));
}

export function allOf(tests: readonly Test[]): Test {
  return (character) => tests.every((test) => test(character));
}

export function range(first: number, last: number): Test {
  return (character) => character >= first && character <= last;
}

/** A general category, binary property or script as \p{...} names it; undefined for an unknown name. */
export function property(name: string): Test | undefined {
  const mask = Object.hasOwn(tabled, name) ? tabled[name] : undefined;
  if (mask !== undefined) return (character) => (classOf(character) & mask) !== 0;
  if (name === "Lm" || name === "Lo") return uncased(name === "Lm");
  for (const spelling of [name, `Script=${name}`]) {
    const pattern = compile(spelling);
    if (pattern !== undefined) return (character) => pattern.test(String.fromCodePoint(character));
  }
  return undefined;
}

/** Letters without case, which the tables have together: modifiers, or the others. */
function uncased(isModifier: boolean): Test {
  return (character) =>
    (classOf(character) & Class.uncased) !== 0 &&
    /\p{Lm}/u.test(String.fromCodePoint(character)) === isModifier;
}

function compile(property: string): RegExp | undefined {
  if (!/^[\w=]+$/.test(property)) return undefined;
  try {
    return new RegExp(`^\\p{${property}}$`, "u");
  } catch {
    return undefined;
  }
}

function known(name: string): Test {
  return property(name) as Test;
}

export const isSpace = known("White_Space");
export const isMark = known("M");
export const isNumber = known("N");
export const isDecimalDigit = known("Nd");

const isAsciiPunctuation: Test = anyOf([
  range(0x21, 0x2f),
  range(0x3a, 0x40),
  range(0x5b, 0x60),
  range(0x7b, 0x7e),
]);

/** P, and the symbols of ASCII. */
export const isPunctuation: Test = anyOf([isAsciiPunctuation, known("P")]);

/** What \w is in a bracket: letters, marks, decimal digits and connectors. */
export const isWordInBracket: Test = anyOf(["Alphabetic", "M", "Nd", "Pc"].map(known));

/** What \w is outside of brackets, where Oniguruma counts the numbers of Latin-1. */
export const isWord: Test = anyOf([isWordInBracket, range(0xb2, 0xb3), range(0xb9, 0xb9), range(0xbc, 0xbe)]);

/** What \w is in Rust's regex crate, with which added tokens and the pre-tokenizer Whitespace are matched. */
export const isRustWord: Test = anyOf([isWordInBracket, known("Join_Control")]);

const hex: Test = anyOf([range(0x30, 0x39), range(0x41, 0x46), range(0x61, 0x66)]);
export const isHexDigit: Test = hex;

/** POSIX brackets. */
export const posix: Readonly<Record<string, Test>> = {
  alnum: anyOf([known("Alphabetic"), isDecimalDigit]),
  alpha: known("Alphabetic"),
  blank: anyOf([range(9, 9), known("Zs")]),
  cntrl: known("Cc"),
  digit: isDecimalDigit,
  lower: known("Lowercase"),
  punct: isPunctuation,
  space: isSpace,
  upper: known("Uppercase"),
  word: isWordInBracket,
  xdigit: hex,
};

/** A set closed under case: with each character, those that differ from it in case only. */
export function ignoringCase(test: Test): Test {
  return (character) => caseVariants(character).some(test);
}

function caseVariants(character: number): number[] {
  const text = String.fromCodePoint(character);
  const lower = text.toLowerCase();
  const upper = text.toUpperCase();
  return [text, lower, upper, upper.toLowerCase(), lower.toUpperCase()]
    .filter((variant) => [...variant].length === 1)
    .map((variant) => variant.codePointAt(0) as number);
}
