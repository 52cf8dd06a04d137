// A text under change, and where each of its units comes from in the original.

/** Replaces [begin, end) of a text; called from left to right. */
export type Edit = (begin: number, end: number, replacement: string) => void;

/**
 * A text that has been changed, and where each of its UTF-16 units comes from: units [starts[i], ends[i]) of
 * the source. Without alignments, unit i comes from unit begin + i.
 */
export class AlignedText {
  readonly text: string;
  /** The part of the source that the whole comes from. */
  readonly begin: number;
  readonly end: number;
  readonly #starts: Int32Array | undefined;
  readonly #ends: Int32Array | undefined;

  constructor(text: string, begin: number, end: number, starts?: Int32Array, ends?: Int32Array) {
    this.text = text;
    this.begin = begin;
    this.end = end;
    this.#starts = starts;
    this.#ends = ends;
  }

  /** Where unit `i` comes from begins; for the end of the text, where the text does. */
  startAt(i: number): number {
    if (this.#starts === undefined) return this.begin + i;
    return i < this.#starts.length ? (this.#starts[i] as number) : this.end;
  }

  /** Where unit `i` comes from ends. */
  endAt(i: number): number {
    return this.#ends === undefined ? this.begin + i + 1 : (this.#ends[i] as number);
  }

  /** Units [i, j), not none of them, of a text that has more. */
  slice(i: number, j: number): AlignedText {
    const text = this.text.slice(i, j);
    return new AlignedText(
      text,
      this.startAt(i),
      this.endAt(j - 1),
      this.#starts?.subarray(i, j),
      this.#ends?.subarray(i, j),
    );
  }

  /** Another text from the same part of the source, its units without alignments. */
  withText(text: string): AlignedText {
    return new AlignedText(text, this.begin, this.end);
  }

  /**
   * The text after edits. What replaces something comes from all of it; what is put in comes from the empty
   * part of the source at its place.
   */
  edited(edits: (text: string, edit: Edit) => void): AlignedText {
    let text = "";
    const starts: number[] = [];
    const ends: number[] = [];
    let kept = 0;
    const keep = (until: number) => {
      text += this.text.slice(kept, until);
      for (let i = kept; i < until; i++) {
        starts.push(this.startAt(i));
        ends.push(this.endAt(i));
      }
      kept = until;
    };
    edits(this.text, (begin, end, replacement) => {
      keep(begin);
      const start = this.startAt(begin);
      const stop = end > begin ? this.endAt(end - 1) : start;
      text += replacement;
      for (let i = 0; i < replacement.length; i++) {
        starts.push(start);
        ends.push(stop);
      }
      kept = end;
    });
    if (kept === 0 && text === "") return this;
    keep(this.text.length);
    return new AlignedText(text, this.begin, this.end, Int32Array.from(starts), Int32Array.from(ends));
  }
}
