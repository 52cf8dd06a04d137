// Scanners of the regular expressions that byte-level vocabularies are made with, each in time linear in the
// text. What a scanner stands for is written above it; tests hold it to that.
import { Class } from "../unicode/characters.ts";
import { type ClassifiedText, widthAt } from "./classified_text.ts";
import type { WordScanner } from "./pretokenizer.ts";

/** \p{L} */
export const LETTER =
  Class.asciiUpper | Class.asciiLower | Class.upper | Class.lower | Class.title | Class.uncased;
/** \p{M}, \p{N}, \p{P}, \p{S} */
export const MARK = Class.mark;
export const NUMBER = Class.number;
export const PUNCTUATION = Class.punctuation;
export const SYMBOL = Class.symbol;
/** [\r\n] */
export const NEWLINE = Class.newline;
/** \s */
export const WHITESPACE = Class.space | Class.newline | Class.whitespace;

const SPACE = 0x20;
const APOSTROPHE = 0x27;
const SLASH = 0x2f;
const LONG_S = 0x17f;

/** Where the classes of `set` that begin at `i` end. */
export function runEnd(classes: Uint16Array, i: number, end: number, set: number): number {
  let last = i;
  while (last < end && ((classes[last] as number) & set) !== 0) last++;
  return last;
}

/** Which contractions a pattern knows: 's 't 're 've 'm 'll 'd. */
export type Contractions =
  /** As they are written here. */
  | "lower"
  /** In lower and upper case. */
  | "ascii"
  /** As a regular expression ignores case: U+017F is an s too. */
  | "folded";

/** Units of the contraction at `i`, which is an apostrophe; 0 if there is none. */
export function contraction(units: Uint16Array, i: number, end: number, kind: Contractions): number {
  if (i + 1 >= end) return 0;
  const fold = kind === "lower" ? 0 : 0x20;
  const first = units[i + 1] as number;
  switch (first | fold) {
    case 0x73: // s
    case 0x74: // t
    case 0x6d: // m
    case 0x64: // d
      return 2;
  }
  if (first === LONG_S) return kind === "folded" ? 2 : 0;
  if (i + 2 >= end) return 0;
  const second = (units[i + 2] as number) | fold;
  switch (first | fold) {
    case 0x72: // r
    case 0x76: // v
      return second === 0x65 ? 3 : 0;
    case 0x6c: // l
      return second === 0x6c ? 3 : 0;
  }
  return 0;
}

/** End of the first `max` characters of \p{N} at `i`. */
export function digitsEnd({ units, classes }: ClassifiedText, i: number, end: number, max: number): number {
  let last = i;
  for (let n = 0; n < max && last < end && ((classes[last] as number) & NUMBER) !== 0; n++) {
    last += widthAt(units, last);
  }
  return last;
}

/** \s+(?!\S)|\s+ */
export function spacesEnd(classes: Uint16Array, i: number, end: number): number {
  const last = runEnd(classes, i, end, WHITESPACE);
  return last < end && last - i > 1 ? last - 1 : last;
}

/** \s*[\r\n]+|\s+(?!\S)|\s+ */
export function linesEnd(classes: Uint16Array, i: number, end: number): number {
  const last = runEnd(classes, i, end, WHITESPACE);
  for (let k = last; k > i; k--) {
    if (((classes[k - 1] as number) & NEWLINE) !== 0) return k;
  }
  return last < end && last - i > 1 ? last - 1 : last;
}

const NO_WORD = LETTER | NUMBER | WHITESPACE;

/** 's|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+ */
export const scanGpt2: WordScanner = ({ units, classes }, i, end) => {
  const unit = units[i] as number;
  if (unit === APOSTROPHE) {
    const n = contraction(units, i, end, "lower");
    if (n > 0) return i + n;
  }
  const first = unit === SPACE && i + 1 < end ? i + 1 : i;
  const set = classes[first] as number;
  if ((set & LETTER) !== 0) return runEnd(classes, first + 1, end, LETTER);
  if ((set & NUMBER) !== 0) return runEnd(classes, first + 1, end, NUMBER);
  if ((set & NO_WORD) === 0) return runEnd(classes, first + 1, end, ~NO_WORD);
  return spacesEnd(classes, i, end);
};

/** How the patterns that began with cl100k_base differ. */
export interface WordPattern {
  readonly contractions?: Contractions;
  /** Classes that words are of: \p{L}, or that and \p{M}. */
  readonly letters?: number;
  /** Most characters of a number. */
  readonly digits: number;
  /** Whether all the whitespace at the end of a text is one word: \s+$ goes first. */
  readonly joinsEnd?: boolean;
  /** Whether line ends belong to the signs before them; default true. */
  readonly signsTakeLines?: boolean;
}

/**
 * (?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*
 * |\s*[\r\n]+|\s+(?!\S)|\s+
 * and its relatives, see {@link WordPattern}.
 */
export function wordScanner(pattern: WordPattern): WordScanner {
  const { contractions, letters = LETTER, digits, joinsEnd = false, signsTakeLines = true } = pattern;
  const noWord = letters | NUMBER | WHITESPACE;
  return (text, i, end) => {
    const { units, classes } = text;
    const unit = units[i] as number;
    if (unit === APOSTROPHE && contractions !== undefined) {
      const n = contraction(units, i, end, contractions);
      if (n > 0) return i + n;
    }
    const set = classes[i] as number;
    if ((set & letters) !== 0) return runEnd(classes, i + 1, end, letters);
    if ((set & NUMBER) !== 0) return digitsEnd(text, i, end, digits);
    if ((set & NEWLINE) === 0) {
      const next = i + widthAt(units, i);
      if (next < end && ((classes[next] as number) & letters) !== 0)
        return runEnd(classes, next + 1, end, letters);
      const first = unit === SPACE && next < end ? next : i;
      if (((classes[first] as number) & noWord) === 0) {
        const signs = runEnd(classes, first + 1, end, ~noWord);
        return signsTakeLines ? runEnd(classes, signs, end, NEWLINE) : signs;
      }
    }
    if (joinsEnd && runEnd(classes, i, end, WHITESPACE) === end) return end;
    return linesEnd(classes, i, end);
  };
}

/** How the patterns that began with o200k_base differ. */
export interface CasedPattern {
  /** Classes of the first part of a word, and of the last. */
  readonly upper: number;
  readonly lower: number;
  /** Contractions that a word may end with. */
  readonly contractions?: Contractions;
  readonly digits: number;
}

/** o200k_base's own classes: [\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}] and [\p{Ll}\p{Lm}\p{Lo}\p{M}]. */
export const CASED = {
  upper: Class.asciiUpper | Class.upper | Class.title | Class.uncased | MARK,
  lower: Class.asciiLower | Class.lower | Class.uncased | MARK,
} as const;

/** What llama.cpp has in their place: letters other than a to z, and letters other than A to Z. */
export const CASED_IN_ASCII = {
  upper: LETTER & ~Class.asciiLower,
  lower: LETTER & ~Class.asciiUpper,
} as const;

/** The same with \p{M}. */
export const CASED_IN_ASCII_WITH_MARKS = {
  upper: CASED_IN_ASCII.upper | MARK,
  lower: CASED_IN_ASCII.lower | MARK,
} as const;

/** Letters and marks without a difference: llama.cpp takes \p{Lu}, \p{Ll} and the like for \p{L}. */
export const UNCASED_WITH_MARKS = { upper: LETTER | MARK, lower: LETTER | MARK } as const;

/**
 * [^\r\n\p{L}\p{N}]?U*W+(?i:'s|'t|'re|'ve|'m|'ll|'d)?|[^\r\n\p{L}\p{N}]?U+W*(?i:'s|'t|'re|'ve|'m|'ll|'d)?
 * |\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+
 * where U and W are `upper` and `lower`, see {@link CasedPattern}.
 */
export function casedScanner(pattern: CasedPattern): WordScanner {
  const { upper, lower, contractions, digits } = pattern;
  const letters = upper | lower;

  const afterWord = (units: Uint16Array, i: number, end: number): number => {
    if (contractions === undefined || i >= end || units[i] !== APOSTROPHE) return i;
    return i + contraction(units, i, end, contractions);
  };

  return (text, i, end) => {
    const { units, classes } = text;
    const set = classes[i] as number;
    const prefixed = (set & (LETTER | NUMBER | NEWLINE)) === 0 ? i + widthAt(units, i) : i;
    const begins = prefixed < end && ((classes[prefixed] as number) & letters) !== 0;
    if (begins || (set & letters) !== 0) {
      const first = begins ? prefixed : i;
      const word = casedEnd(classes, first, end, upper, lower);
      // The whole of [first, end of U) without a W in it counts only if nothing else can be a word.
      if (word.hasLower || first === i || (set & letters) === 0) return afterWord(units, word.end, end);
      return afterWord(units, first, end);
    }
    if ((set & NUMBER) !== 0) return digitsEnd(text, i, end, digits);
    if ((set & NEWLINE) === 0) {
      const first = units[i] === SPACE && i + 1 < end ? i + 1 : i;
      if (((classes[first] as number) & NO_WORD) === 0) {
        return lineOrSlashEnd(text, runEnd(classes, first + 1, end, ~NO_WORD), end);
      }
    }
    return linesEnd(classes, i, end);
  };
}

const found = { end: 0, hasLower: false };

/** U*W+, or else U+, at `i`, which is in U or W. The result is overwritten by the next call. */
function casedEnd(classes: Uint16Array, i: number, end: number, upper: number, lower: number) {
  const afterUpper = runEnd(classes, i, end, upper);
  const last = runEnd(classes, afterUpper, end, lower);
  found.end = last;
  found.hasLower = last > afterUpper;
  // U* gives back what W+ needs: up to the last that is in both.
  for (let k = afterUpper; !found.hasLower && k > i; k--) {
    if (((classes[k - 1] as number) & lower) === 0) continue;
    found.end = k;
    found.hasLower = true;
  }
  return found;
}

/** [\r\n/]* */
function lineOrSlashEnd({ units, classes }: ClassifiedText, i: number, end: number): number {
  let last = i;
  while (last < end && (((classes[last] as number) & NEWLINE) !== 0 || units[last] === SLASH)) last++;
  return last;
}
