// Sets of characters in regular expressions.
import { caseVariantsOf } from "../unicode/case.ts";
import { type Test, unicodeProperty } from "../unicode/properties.ts";

export type { Test };
export { unicodeProperty as property };

const PAGE = 256;
const UNKNOWN = 0;
const INSIDE = 1;
const OUTSIDE = 2;

/** A set of code points that remembers its answers. */
export class CharSet {
  readonly #test: Test;
  /** Answers by code point, in pages of {@link PAGE} that are made when first asked for. */
  readonly #pages: (Uint8Array | undefined)[] = [];

  constructor(test: Test) {
    this.#test = test;
  }

  has(character: number): boolean {
    const page = character >>> 8;
    let answers = this.#pages[page];
    if (answers === undefined) {
      answers = new Uint8Array(PAGE);
      this.#pages[page] = answers;
    }
    const known = answers[character & 0xff];
    if (known !== UNKNOWN) return known === INSIDE;
    const inside = this.#test(character);
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

function known(name: string): Test {
  return unicodeProperty(name) as Test;
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
  return (character) => caseVariantsOf(character).some(test);
}
