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
  for (let i = 2 * firstBehind(marks, begin); i < marks.length; i += 2) {
    const from = Math.max(marks[i] as number, begin);
    const to = Math.min(marks[i + 1] as number, end);
    if (from >= to) break;
    out.push(from - begin, to - begin);
  }
  return out;
}

/** The first part that ends behind `at`: a text may be cut into as many pieces as it has parts. */
function firstBehind(marks: Marks, at: number): number {
  let low = 0;
  let high = marks.length >> 1;
  while (low < high) {
    const middle = (low + high) >> 1;
    if ((marks[2 * middle + 1] as number) <= at) low = middle + 1;
    else high = middle;
  }
  return low;
}

/** Puts texts together. Pieces take less memory than a text that grows: a runtime makes an object for each of its steps. */
export class TextBuilder implements MarkedText {
  /** Units of the text. */
  length = 0;
  readonly marks: number[] = [];
  #pieces: string[] = [];

  get text(): string {
    if (this.#pieces.length > 1) this.#pieces = [this.#pieces.join("")];
    return this.#pieces[0] ?? "";
  }

  add(text: string, marks: Marks = noMarks): this {
    const at = this.length;
    const own = this.marks;
    for (let i = 0; i < marks.length; i += 2) {
      const begin = at + (marks[i] as number);
      const end = at + (marks[i + 1] as number);
      if (own.length > 0 && own[own.length - 1] === begin) own[own.length - 1] = end;
      else own.push(begin, end);
    }
    this.length += text.length;
    this.#pieces.push(text);
    return this;
  }
}
