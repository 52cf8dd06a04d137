// Scanners of patterns that one family of models has.
import { type ClassifiedText, widthAt } from "./classified_text.ts";
import type { WordScanner } from "./pretokenizer.ts";
import {
  contraction,
  digitsEnd,
  LETTER,
  linesEnd,
  MARK,
  NEWLINE,
  NUMBER,
  runEnd,
  WHITESPACE,
} from "./scanners.ts";
import { type CharacterSet, rangesOf } from "./stages.ts";

const SPACE = 0x20;
const APOSTROPHE = 0x27;
const SLASH = 0x2f;
const SIGN = ~(LETTER | NUMBER | WHITESPACE);

/**
 * '[sS]|'[tT]|'[rR][eE]|'[vV][eE]|'[mM]|'[lL][lL]|'[dD]|[^\r\n\p{L}\p{N}]?(?:\p{L}\p{M}*(?: \p{L}\p{M}*)*)+|\p{N}
 * | ?[^\s\p{L}\p{N}]+[\r\n/]?|\s*[\r\n]|\s+(?!\S)|\s+
 */
export const scanExaoneMoe: WordScanner = (text, i, end) => {
  const { units, classes } = text;
  if (units[i] === APOSTROPHE) {
    const n = contraction(units, i, end, "ascii");
    if (n > 0) return i + n;
  }
  const set = classes[i] as number;
  if ((set & LETTER) !== 0) return phraseEnd(text, i, end);
  if ((set & NUMBER) !== 0) return digitsEnd(text, i, end, 1);
  if ((set & NEWLINE) === 0) {
    const next = i + widthAt(units, i);
    if (next < end && ((classes[next] as number) & LETTER) !== 0) return phraseEnd(text, next, end);
    const first = units[i] === SPACE && next < end ? next : i;
    if (((classes[first] as number) & SIGN) !== 0) {
      const signs = runEnd(classes, first, end, SIGN);
      const more = signs < end && (((classes[signs] as number) & NEWLINE) !== 0 || units[signs] === SLASH);
      return more ? signs + 1 : signs;
    }
  }
  return linesEnd(classes, i, end);
};

/** End of words with one space between two of them; a mark only follows a letter. */
function phraseEnd({ units, classes }: ClassifiedText, i: number, end: number): number {
  let last = i;
  while (last < end) {
    const first = units[last] === SPACE ? last + 1 : last;
    if (first >= end || ((classes[first] as number) & LETTER) === 0) break;
    last = runEnd(classes, runEnd(classes, first, end, LETTER), end, MARK);
  }
  return last;
}

const isHan = rangesOf(
  "3400-4DBF 4E00-9FFF F900-FAFF 20000-2A6DF 2A700-2B73F 2B740-2B81F 2B820-2CEAF 2CEB0-2EBEF 2F800-2FA1F",
);

/**
 * H+|[^\r\n\p{L}\p{N}]?L+(?:'[sS]|'[tT]|'[rR][eE]|'[vV][eE]|'[mM]|'[lL][lL]|'[dD])?|\p{N}{1,3}
 * | ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+
 * where H are Chinese characters and L other letters.
 */
export const scanKimiK2: WordScanner = (text, i, end) => {
  const { units, classes } = text;
  if (isHan(text, i)) return charactersEnd(text, i, end, isHan);
  const set = classes[i] as number;
  const next = i + widthAt(units, i);
  const first = (set & (LETTER | NUMBER | NEWLINE)) === 0 ? next : i;
  if (first < end && isOtherLetter(text, first)) {
    const last = charactersEnd(text, first, end, isOtherLetter);
    return last < end && units[last] === APOSTROPHE ? last + contraction(units, last, end, "ascii") : last;
  }
  if ((set & NUMBER) !== 0) return digitsEnd(text, i, end, 3);
  const sign = units[i] === SPACE && next < end ? next : i;
  if (((classes[sign] as number) & SIGN) !== 0) {
    return runEnd(classes, runEnd(classes, sign, end, SIGN), end, NEWLINE);
  }
  // A letter that nothing takes: there is none, as every one is of H or L.
  return linesEnd(classes, i, end);
};

const isOtherLetter: CharacterSet = (text, i) =>
  ((text.classes[i] as number) & LETTER) !== 0 && !isHan(text, i);

function charactersEnd(text: ClassifiedText, i: number, end: number, set: CharacterSet): number {
  let last = i;
  while (last < end && set(text, last)) last += widthAt(text.units, last);
  return last;
}

const FIRST_IMAGE_LETTER = 0x41;
const LAST_IMAGE_LETTER = 0x49;

/** <sentinel:[0-9]+> */
export const scanSentinel: WordScanner = ({ units }, i, end) => {
  const begin = matchEnd(units, i, end, "<sentinel:");
  let last = begin;
  while (begin > i && last < end && (units[last] as number) >= 0x30 && (units[last] as number) <= 0x39)
    last++;
  return last > begin && last < end && units[last] === 0x3e ? last + 1 : i;
};

/** (IMGIMG)((A|B|C|D|E|F|G|H|I){1,4})Z */
export const scanImageToken: WordScanner = ({ units }, i, end) => {
  const begin = matchEnd(units, i, end, "IMGIMG");
  let last = begin;
  while (
    begin > i &&
    last < end &&
    last < begin + 4 &&
    (units[last] as number) >= FIRST_IMAGE_LETTER &&
    (units[last] as number) <= LAST_IMAGE_LETTER
  )
    last++;
  return last > begin && last < end && units[last] === 0x5a ? last + 1 : i;
};

/** [\t\n]|    |  */
export const scanIndent: WordScanner = ({ units }, i, end) => {
  if (units[i] === 0x09 || units[i] === 0x0a) return i + 1;
  const four = matchEnd(units, i, end, "    ");
  return four > i ? four : matchEnd(units, i, end, "  ");
};

/** Where `text` ends that begins at `i`; `i` where another does. */
function matchEnd(units: Uint16Array, i: number, end: number, text: string): number {
  if (i + text.length > end) return i;
  for (let k = 0; k < text.length; k++) if (units[i + k] !== text.charCodeAt(k)) return i;
  return i + text.length;
}
