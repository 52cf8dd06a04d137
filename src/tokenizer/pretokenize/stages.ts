// Pre-tokenizers that find some things and leave the rest: parts of the sequences in registry.ts.
import { Class } from "../unicode.ts";
import { type ClassifiedText, characterAt, widthAt } from "./classified_text.ts";
import { matches, type Pretokenizer, type WordScanner } from "./pretokenizer.ts";
import { LETTER, MARK, NEWLINE, NUMBER, PUNCTUATION, runEnd, SYMBOL, WHITESPACE } from "./scanners.ts";

/** Whether the character at `i` belongs to a set. */
export type CharacterSet = (text: ClassifiedText, i: number) => boolean;

/** The characters of some classes, and these. */
export function setOf(classes: number, characters = ""): CharacterSet {
  const units = new Set(Array.from(characters, (character) => character.charCodeAt(0)));
  return (text, i) =>
    ((text.classes[i] as number) & classes) !== 0 || (units.size > 0 && units.has(text.units[i] as number));
}

/**
 * The code points of a list such as "41-5A 61-7A B5", hexadecimal and ascending. Whitespace beyond ASCII belongs
 * to none, even where a range goes over it: llama.cpp replaces it before it looks.
 */
export function rangesOf(list: string): CharacterSet {
  /** Where membership changes: first code point inside, first one outside, and so on. */
  const bounds = list.split(" ").flatMap((range) => {
    const [first, last] = range.split("-").map((bound) => Number.parseInt(bound, 16));
    return [first as number, (last ?? (first as number)) + 1];
  });
  return (text, i) => {
    const character = characterAt(text.units, i);
    if (((text.classes[i] as number) & WHITESPACE) !== 0 && character >= 0x80) return false;
    let low = 0;
    let high = bounds.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if ((bounds[middle] as number) <= character) low = middle + 1;
      else high = middle;
    }
    return low % 2 === 1;
  };
}

function setEnd(text: ClassifiedText, i: number, end: number, set: CharacterSet): number {
  let last = i;
  while (last < end && set(text, last)) last += widthAt(text.units, last);
  return last;
}

/** X+ */
export function runs(set: CharacterSet): Pretokenizer {
  return matches("runs", (text, i, end) => setEnd(text, i, end, set));
}

/** \s?X+ */
export function spacedRuns(set: CharacterSet): Pretokenizer {
  return matches("runs after whitespace", (text, i, end) => {
    const isSpace = ((text.classes[i] as number) & WHITESPACE) !== 0;
    const first = isSpace && i + 1 < end && set(text, i + 1) ? i + 1 : i;
    return setEnd(text, first, end, set);
  });
}

/** X */
export function each(set: CharacterSet): Pretokenizer {
  return matches("characters", (text, i) => (set(text, i) ? i + widthAt(text.units, i) : i));
}

/** \p{N}{1,max} */
export function numbers(max: number): Pretokenizer {
  return matches("numbers", ({ units, classes }, i, end) => {
    let last = i;
    for (let n = 0; n < max && last < end && ((classes[last] as number) & NUMBER) !== 0; n++) {
      last += widthAt(units, last);
    }
    return last;
  });
}

/** [0-9][0-9][0-9] */
export const digitTriples: Pretokenizer = matches("digit triples", ({ units }, i, end) => {
  const isDigit = (at: number) => (units[at] as number) >= 0x30 && (units[at] as number) <= 0x39;
  return i + 3 <= end && isDigit(i) && isDigit(i + 1) && isDigit(i + 2) ? i + 3 : i;
});

/** \s+$ */
export const spacesAtEnd: Pretokenizer = {
  name: "whitespace at the end",
  split({ classes }, begin, end, ends) {
    let last = end;
    while (last > begin && ((classes[last - 1] as number) & WHITESPACE) !== 0) last--;
    if (last > begin) ends.push(last);
    if (last < end) ends.push(end);
  },
};

const ASCII_LETTER = Class.asciiUpper | Class.asciiLower;

/**
 * [!-/:-@\[-`{-~][A-Za-z]+|[^\r\n\p{L}\p{P}\p{S}]?[\p{L}\p{M}]+| ?[\p{P}\p{S}]+[\r\n]*
 * |\s*[\r\n]+|\s+(?!\S)|\s+
 * `tildeIsSymbol`: false where U+007E is not in \p{S}, as in llama.cpp.
 */
export function deepseekWords(tildeIsSymbol: boolean): Pretokenizer {
  const isMark: CharacterSet = ({ units, classes }, i) =>
    ((classes[i] as number) & (PUNCTUATION | SYMBOL)) !== 0 && (tildeIsSymbol || units[i] !== 0x7e);
  const scan: WordScanner = (text, i, end) => {
    const { units, classes } = text;
    const set = classes[i] as number;
    const next = i + widthAt(units, i);
    const nextSet = next < end ? (classes[next] as number) : 0;
    const isPunctuation = (set & (PUNCTUATION | SYMBOL)) !== 0;
    if (isPunctuation && (units[i] as number) < 0x80 && (nextSet & ASCII_LETTER) !== 0) {
      return runEnd(classes, next, end, ASCII_LETTER);
    }
    if ((set & (LETTER | MARK)) !== 0) return runEnd(classes, next, end, LETTER | MARK);
    const isPrefix = (set & NEWLINE) === 0 && !isMark(text, i);
    if (isPrefix && (nextSet & (LETTER | MARK)) !== 0) return runEnd(classes, next, end, LETTER | MARK);
    const first = units[i] === 0x20 && next < end ? next : i;
    if (isMark(text, first)) return runEnd(classes, setEnd(text, first, end, isMark), end, NEWLINE);
    const last = runEnd(classes, i, end, WHITESPACE);
    for (let k = last; k > i; k--) {
      if (((classes[k - 1] as number) & NEWLINE) !== 0) return k;
    }
    return last < end && last - i > 1 ? last - 1 : last;
  };
  return matches("deepseek", scan);
}
