// The interface of pre-tokenizers, and the list of word ends that they write.
import { type ClassifiedText, widthAt } from "./classified_text.ts";

/** Splits texts into the words inside which bytes are merged. */
export interface Pretokenizer {
  /** What error messages and {@link ByteBpeData.pretokenizer} call it. */
  readonly name: string;
  /**
   * Appends the end of every word of units [begin, end), in order, the last being `end`; nothing if that is
   * empty. What lies outside of the range does not count: it begins and ends like a text.
   */
  split(text: ClassifiedText, begin: number, end: number, ends: WordEnds): void;
}

const FIRST_ENDS = 1 << 10;
const KEPT_ENDS = 1 << 18;

/** Positions that words end at, ascending. */
export class WordEnds {
  /** The first `length` count. */
  values = new Int32Array(FIRST_ENDS);
  length = 0;

  clear(): void {
    this.length = 0;
    if (this.values.length > KEPT_ENDS) this.values = new Int32Array(FIRST_ENDS);
  }

  push(end: number): void {
    if (this.length === this.values.length) {
      const grown = new Int32Array(2 * this.values.length);
      grown.set(this.values);
      this.values = grown;
    }
    this.values[this.length++] = end;
  }
}

/** Gives the end of the word that begins at `i`, which is before `end`; always after `i`. */
export type WordScanner = (text: ClassifiedText, i: number, end: number) => number;

/** A pre-tokenizer of a scanner that finds a word at every position. */
export function words(name: string, scan: WordScanner): Pretokenizer {
  return {
    name,
    split(text, begin, end, ends) {
      for (let i = begin; i < end; ) {
        i = scan(text, i, end);
        ends.push(i);
      }
    },
  };
}

/**
 * A pre-tokenizer of a scanner that gives `i` where no match begins, without having looked far. Matches are
 * words, and so is what lies between two of them.
 */
export function matches(name: string, scan: WordScanner): Pretokenizer {
  return {
    name,
    split(text, begin, end, ends) {
      let wordBegin = begin;
      for (let i = begin; i < end; ) {
        const next = scan(text, i, end);
        if (next === i) {
          i += widthAt(text.units, i);
          continue;
        }
        if (i > wordBegin) ends.push(i);
        ends.push(next);
        wordBegin = i = next;
      }
      if (wordBegin < end) ends.push(end);
    },
  };
}

/** Several pre-tokenizers, each of which splits the words of the one before. */
export function sequence(name: string, stages: readonly Pretokenizer[]): Pretokenizer {
  const [first, ...rest] = stages;
  if (first === undefined) return words(name, (_text, _i, end) => end);
  return {
    name,
    split(text, begin, end, ends) {
      if (rest.length === 0) return first.split(text, begin, end, ends);
      let current = new WordEnds();
      first.split(text, begin, end, current);
      for (const [i, stage] of rest.entries()) {
        const next = i === rest.length - 1 ? ends : new WordEnds();
        splitEach(stage, text, begin, current, next);
        current = next;
      }
    },
  };
}

function splitEach(
  stage: Pretokenizer,
  text: ClassifiedText,
  begin: number,
  from: WordEnds,
  into: WordEnds,
): void {
  let wordBegin = begin;
  for (let i = 0; i < from.length; i++) {
    const end = from.values[i] as number;
    stage.split(text, wordBegin, end, into);
    wordBegin = end;
  }
}
