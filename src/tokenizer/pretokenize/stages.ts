// Pre-tokenizers that find some things and leave the rest: parts of the sequences in registry.ts.
import { Class } from "../unicode/characters.ts";
import { type ClassifiedText, characterAt, widthAt } from "./classified_text.ts";
import { matches, type Pretokenizer, type WordScanner } from "./pretokenizer.ts";
import {
  LETTER,
  linesEnd,
  MARK,
  NEWLINE,
  NUMBER,
  PUNCTUATION,
  runEnd,
  SYMBOL,
  spacesEnd,
  WHITESPACE,
} from "./scanners.ts";

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
 * to none, even if a range goes over it: llama.cpp replaces it before it looks.
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

/** Longest words of spaces that {@link halvedSpaces} leaves. */
const MOST_SPACES = 512;

/** Cuts words of spaces without a line end to powers of two, the longest first: \s{512}|\s{256}|...|\s{2}|\s{1} */
export const halvedSpaces: Pretokenizer = {
  name: "halved spaces",
  split({ classes }, begin, end, ends) {
    const isSpaces = runEnd(classes, begin, end, WHITESPACE & ~NEWLINE) === end;
    let at = begin;
    for (let n = MOST_SPACES; isSpaces && at < end; n /= 2) {
      for (; at + n <= end; at += n) ends.push(at + n);
    }
    if (at < end) ends.push(end);
  },
};

/** [^\n]+|[\n]+ */
export const linesAndEnds: Pretokenizer = matches("lines", ({ units }, i, end) => {
  const isEnd = units[i] === 0x0a;
  let last = i;
  while (last < end && (units[last] === 0x0a) === isEnd) last++;
  return last;
});

/**
 * Numbers in groups of three, counted from their ends. What precedes a number belongs to its first group, which is how
 * llama.cpp does it: the stage after this one sees them together.
 */
export const digitGroups: Pretokenizer = {
  name: "digit groups",
  split({ units, classes }, begin, end, ends) {
    const isNumber = (at: number) => ((classes[at] as number) & NUMBER) !== 0;
    let pushed = begin;
    for (let i = begin; i < end; ) {
      if (!isNumber(i)) {
        i++;
        continue;
      }
      let n = 0;
      for (let at = i; at < end && isNumber(at); at += widthAt(units, at)) n++;
      for (; n > 0; n--) {
        i += widthAt(units, i);
        if (n % 3 !== 1) continue;
        ends.push(i);
        pushed = i;
      }
    }
    if (pushed < end) ends.push(end);
  },
};

/** (?=(\d{3})+(?!\d)): cuts before groups of three ASCII digits, counted from the ends of numbers. */
export const digitCuts: Pretokenizer = {
  name: "digit cuts",
  split({ units }, begin, end, ends) {
    const isDigit = (at: number) => (units[at] as number) >= 0x30 && (units[at] as number) <= 0x39;
    for (let i = begin; i < end; ) {
      let last = i;
      while (last < end && isDigit(last)) last++;
      for (let at = i; at < last; at++) if ((last - at) % 3 === 0 && at > begin) ends.push(at);
      i = last + 1;
    }
    if (begin < end) ends.push(end);
  },
};

const ASCII_LETTER = Class.asciiUpper | Class.asciiLower;

/**
 * [!-/:-@\[-`{-~][A-Za-z]+|[^\r\n\p{L}\p{P}\p{S}]?[\p{L}\p{M}]+| ?[\p{P}\p{S}]+[\r\n]*
 * |\s*[\r\n]+|\s+(?!\S)|\s+
 * `takesLines`: false if line ends are words of their own: the end is ?[\p{P}\p{S}]+|[\r\n]|\s+(?!\S)|\s+
 */
export function deepseekWords(takesLines = true): Pretokenizer {
  const MARKS = PUNCTUATION | SYMBOL;
  const scan: WordScanner = (text, i, end) => {
    const { units, classes } = text;
    const set = classes[i] as number;
    const next = i + widthAt(units, i);
    const nextSet = next < end ? (classes[next] as number) : 0;
    if ((set & MARKS) !== 0 && (units[i] as number) < 0x80 && (nextSet & ASCII_LETTER) !== 0) {
      return runEnd(classes, next, end, ASCII_LETTER);
    }
    if ((set & (LETTER | MARK)) !== 0) return runEnd(classes, next, end, LETTER | MARK);
    const isPrefix = (set & (NEWLINE | MARKS)) === 0;
    if (isPrefix && (nextSet & (LETTER | MARK)) !== 0) return runEnd(classes, next, end, LETTER | MARK);
    const first = units[i] === 0x20 && next < end ? next : i;
    if (((classes[first] as number) & MARKS) !== 0) {
      const marks = runEnd(classes, first, end, MARKS);
      return takesLines ? runEnd(classes, marks, end, NEWLINE) : marks;
    }
    if (takesLines) return linesEnd(classes, i, end);
    return (set & NEWLINE) !== 0 ? next : spacesEnd(classes, i, end);
  };
  return matches("deepseek", scan);
}
