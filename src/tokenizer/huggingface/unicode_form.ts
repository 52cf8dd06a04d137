import type { Edit } from "./aligned_text.ts";
import { isMark } from "./char_set.ts";

/** Unicode's normalization forms. */
export type UnicodeForm = "NFC" | "NFD" | "NFKC" | "NFKD";

/**
 * Marks in a row that engines need quadratic time to put in order: seconds for ten thousand. No language stacks
 * more than a few.
 */
const longRun = /\p{M}{64,}/gu;

/** The marks of the first and the last combining class in use, 1 and 240. */
const FIRST_CLASS = "\u0334";
const LAST_CLASS = "\u0345";

/** A text in a normalization form, in time n log n. */
export function normalizeUnicode(text: string, form: UnicodeForm): string {
  return text.replace(longRun, sorted).normalize(form);
}

/** What a normalization form changes, in parts that do not depend on one another. */
export function unicodeEdits(text: string, form: UnicodeForm, edit: Edit): void {
  const normalized = normalizeUnicode(text, form);
  if (normalized === text) return;
  const edits: [begin: number, end: number, replacement: string][] = [];
  let joined = "";
  for (let begin = 0; begin < text.length; ) {
    const end = endOfPart(text, begin);
    const part = text.slice(begin, end);
    const replacement = normalizeUnicode(part, form);
    if (replacement !== part) edits.push([begin, end, replacement]);
    joined += replacement;
    begin = end;
  }
  // Should an engine know a composition of other characters than those of endOfPart, the text is one part.
  if (joined !== normalized) edit(0, text.length, normalized);
  else for (const [begin, end, replacement] of edits) edit(begin, end, replacement);
}

/** A character with what may be composed with it, or moves before it in canonical order. */
function endOfPart(text: string, begin: number): number {
  let end = begin;
  do {
    end += (text.codePointAt(end) as number) > 0xffff ? 2 : 1;
  } while (end < text.length && joins(text.codePointAt(end) as number));
  return end;
}

/** Marks (half-width Katakana's too), vowels and final consonants of Hangul, the vowels that Kirat Rai composes. */
function joins(character: number): boolean {
  return (
    isMark(character) ||
    (character >= 0x1160 && character <= 0x11ff) ||
    character === 0xff9e ||
    character === 0xff9f ||
    character === 0x16d63 ||
    character === 0x16d67
  );
}

/** Marks in canonical order: those between two of class 0 by their classes. */
function sorted(run: string): string {
  const marks = Array.from(run).flatMap((mark) => Array.from(mark.normalize("NFD")));
  const order = classesOf(new Set(marks));
  let result = "";
  let open: string[] = [];
  const close = () => {
    result += open.sort((a, b) => (order.get(a) as number) - (order.get(b) as number)).join("");
    open = [];
  };
  for (const mark of marks) {
    if (order.has(mark)) {
      open.push(mark);
      continue;
    }
    close();
    result += mark;
  }
  close();
  return result;
}

/** Numbers that order marks as their combining classes do; nothing for those of class 0, which stay in place. */
function classesOf(marks: ReadonlySet<string>): Map<string, number> {
  const movable = [...marks].filter((mark) => comesAfter(LAST_CLASS, mark) || comesAfter(mark, FIRST_CLASS));
  movable.sort(compareClasses);
  const order = new Map<string, number>();
  let last: string | undefined;
  for (const mark of movable) {
    const isNew = last === undefined || compareClasses(last, mark) !== 0;
    order.set(mark, order.size === 0 ? 0 : (order.get(last as string) as number) + (isNew ? 1 : 0));
    last = mark;
  }
  return order;
}

function compareClasses(a: string, b: string): number {
  if (comesAfter(a, b)) return 1;
  return comesAfter(b, a) ? -1 : 0;
}

/** Whether canonical order puts `b` before `a`: its class is less, and neither is 0. */
function comesAfter(a: string, b: string): boolean {
  return (a + b).normalize("NFD") !== a + b;
}
