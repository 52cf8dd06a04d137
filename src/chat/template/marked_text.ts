// Texts that know which parts of them come from messages: such parts never become special tokens.

/** Parts of a text that come from messages: flat pairs of UTF-16 offsets [begin, end), ascending, none empty. */
export type Marks = readonly number[];

/** A text, and what of it comes from messages. */
export interface MarkedText {
  readonly text: string;
  readonly marks: Marks;
}

/** No part. */
export const noMarks: Marks = [];

/** All of a text of `length` units. */
export function wholly(length: number): Marks {
  return length > 0 ? [0, length] : noMarks;
}

/** The marks of units [begin, end) of a text. */
export function sliceMarks(marks: Marks, begin: number, end: number): Marks {
  if (marks.length === 0) return noMarks;
  const out: number[] = [];
  for (let i = 0; i < marks.length; i += 2) {
    const from = Math.max(marks[i] as number, begin);
    const to = Math.min(marks[i + 1] as number, end);
    if (from < to) out.push(from - begin, to - begin);
  }
  return out;
}

/** Puts texts together. */
export class TextBuilder implements MarkedText {
  text = "";
  readonly marks: number[] = [];

  add(text: string, marks: Marks = noMarks): this {
    const at = this.text.length;
    const own = this.marks;
    for (let i = 0; i < marks.length; i += 2) {
      const begin = at + (marks[i] as number);
      const end = at + (marks[i + 1] as number);
      if (own.length > 0 && own[own.length - 1] === begin) own[own.length - 1] = end;
      else own.push(begin, end);
    }
    this.text += text;
    return this;
  }
}
