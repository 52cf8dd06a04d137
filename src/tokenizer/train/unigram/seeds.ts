// The pieces that unigram training begins with: frequent substrings of the corpus.
import { SPACE } from "../../sentencepiece/vocabulary.ts";
import type { SentencePieceSpec } from "../options.ts";
import type { Pace } from "../pace.ts";
import { PieceRules, RARE } from "../spm/piece_rules.ts";
import { addCount, compareCodePoints, sortedByCount } from "../text/code_points.ts";
import { type Alphabet, LINE_END } from "../text/corpus.ts";

/** A piece and its weight: a frequency, an expected frequency, or a log probability. */
export type WeightedPiece = [piece: string, weight: number];

/** Below this, sorting a group of suffixes by comparison is faster than by counting. */
const COUNTING_SORT_RATIO = 4;

/** Suffix groups between two looks at the clock. */
const GROUPS_A_TURN = 1 << 10;

/**
 * Pieces for a unigram model to begin with: every character, and the substrings that cover most text (length
 * times frequency) among those that occur at least twice and can be followed by different characters. These
 * are the inner nodes of the corpus's suffix tree, down to the depth of the longest piece; they are found by
 * sorting suffixes by one character after the other, so the corpus needs not be whole: its different words do.
 *
 * Sources: Kudo, "Subword regularization", ACL 2018; google/sentencepiece, unigram_model_trainer.cc
 * (MakeSeedSentencePieces).
 */
export async function seedPieces(
  words: Alphabet["words"],
  spec: SentencePieceSpec,
  pace: Pace,
): Promise<WeightedPiece[]> {
  const nodes = await new SuffixGroups(words, spec).nodes(pace);
  // Stable: of equal scores the first in the order of the tree remains first.
  nodes.sort((a, b) => b[1] - a[1]);
  return [...countCharacters(words), ...nodes.slice(0, spec.seedSize)];
}

function countCharacters(words: Alphabet["words"]): WeightedPiece[] {
  const counts = new Map<string, number>();
  for (const [word, n] of words) {
    for (const character of word)
      if (character !== LINE_END && character !== RARE) addCount(counts, character, n);
  }
  return sortedByCount(counts);
}

/** Suffixes of the text that begin with the same `depth` characters: a range of places. */
interface Group {
  readonly begin: number;
  readonly end: number;
  readonly depth: number;
  /** Whether its children are done, and it is to be added. */
  readonly isNode: boolean;
}

class SuffixGroups {
  readonly #spec: SentencePieceSpec;
  readonly #rules: PieceRules;
  /** Characters by rank in the order of code points; the end of a line is the first. */
  readonly #characters: string[];
  /** The words one after the other, as ranks, each followed by the end of a line or the next word's space. */
  readonly #text: Int32Array;
  /** How often the word at each place of the text occurs. */
  readonly #weights: Float64Array;
  /** Where suffixes begin, sorted as far as they were looked into. */
  readonly #places: Int32Array;
  readonly #found: WeightedPiece[] = [];
  readonly #counts: Int32Array;
  readonly #sorted: Int32Array;

  constructor(words: Alphabet["words"], spec: SentencePieceSpec) {
    this.#spec = spec;
    this.#rules = new PieceRules(spec);
    const used = new Set([LINE_END, SPACE]);
    let size = 0;
    for (const word of words.keys()) {
      for (const character of withEnd(word)) {
        used.add(character);
        size++;
      }
    }
    this.#characters = [...used].sort(compareCodePoints);
    this.#text = new Int32Array(size);
    this.#weights = new Float64Array(size);
    this.#counts = new Int32Array(this.#characters.length + 1);
    this.#places = new Int32Array(size - words.size);
    this.#sorted = new Int32Array(this.#places.length);
    this.#fill(words);
  }

  /** Inner nodes of the suffix tree that are valid pieces, with their scores; in the order of the tree, leaves first. */
  async nodes(pace: Pace): Promise<WeightedPiece[]> {
    const places = this.#places;
    // Groups still to be looked into, the next one last.
    const open: Group[] = [{ begin: 0, end: places.length, depth: 0, isNode: false }];
    for (let groups = 0; open.length > 0; groups++) {
      if (groups % GROUPS_A_TURN === 0 && pace.due()) await pace.rest("finding pieces");
      const group = open.pop() as Group;
      if (group.isNode) this.#add(group);
      else this.#open(group, open);
    }
    return this.#found;
  }

  #open({ begin, end, depth }: Group, open: Group[]): void {
    const children = this.#split(begin, end, depth);
    if (depth >= 2 && children.length > 1) open.push({ begin, end, depth, isNode: true });
    if (depth === this.#spec.maxPieceLength) return;
    for (const [from, to] of children.reverse()) {
      // A single suffix is not followed by different characters.
      if (to - from > 1 && this.#mayContinue(this.#places[from] as number, depth)) {
        open.push({ begin: from, end: to, depth: depth + 1, isNode: false });
      }
    }
  }

  #add({ begin, end, depth }: Group): void {
    const piece = this.#prefix(this.#places[begin] as number, depth);
    if (this.#rules.isValid(piece)) this.#found.push([piece.join(""), depth * this.#weight(begin, end)]);
  }

  #fill(words: Alphabet["words"]): void {
    const ranks = new Map(this.#characters.map((character, rank) => [character, rank]));
    let end = 0;
    let suffixes = 0;
    for (const [word, n] of words) {
      const begin = end;
      for (const character of withEnd(word)) {
        this.#text[end] = ranks.get(character) as number;
        this.#weights[end++] = n;
      }
      // What ends a word begins no suffix: a space is the next word's.
      for (let place = begin; place < end - 1; place++) this.#places[suffixes++] = place;
    }
  }

  /** Sorts suffixes by their character at `depth`; the result is the ranges of those with the same one. */
  #split(begin: number, end: number, depth: number): [number, number][] {
    const text = this.#text;
    const places = this.#places;
    const group = places.subarray(begin, end);
    if (group.length * COUNTING_SORT_RATIO > this.#characters.length) this.#sortByCounting(group, depth);
    else group.sort((a, b) => (text[a + depth] as number) - (text[b + depth] as number));
    const ranges: [number, number][] = [];
    for (let from = begin; from < end; ) {
      const rank = text[(places[from] as number) + depth];
      let to = from + 1;
      while (to < end && text[(places[to] as number) + depth] === rank) to++;
      ranges.push([from, to]);
      from = to;
    }
    return ranges;
  }

  #sortByCounting(group: Int32Array, depth: number): void {
    const text = this.#text;
    const counts = this.#counts;
    const sorted = this.#sorted;
    counts.fill(0);
    for (const place of group) {
      const after = (text[place + depth] as number) + 1;
      counts[after] = (counts[after] as number) + 1;
    }
    for (let rank = 1; rank < counts.length; rank++)
      counts[rank] = (counts[rank] as number) + (counts[rank - 1] as number);
    for (const place of group) {
      const rank = text[place + depth] as number;
      const at = counts[rank] as number;
      sorted[at] = place;
      counts[rank] = at + 1;
    }
    group.set(sorted.subarray(0, group.length));
  }

  #prefix(place: number, depth: number): string[] {
    return Array.from(
      { length: depth },
      (_, i) => this.#characters[this.#text[place + i] as number] as string,
    );
  }

  #weight(begin: number, end: number): number {
    let sum = 0;
    for (let i = begin; i < end; i++) sum += this.#weights[this.#places[i] as number] as number;
    return sum;
  }

  /** No piece goes beyond a rare character or a line, nor, if words are kept apart, into the next word. */
  #mayContinue(place: number, depth: number): boolean {
    const character = this.#characters[this.#text[place + depth] as number];
    if (character === LINE_END || character === RARE) return false;
    if (depth === 0 || character !== SPACE || !this.#spec.splitByWhitespace) return true;
    return (
      this.#spec.allowWhitespaceOnlyPieces && this.#text[place + depth - 1] === this.#text[place + depth]
    );
  }
}

/** A word and what follows it: the end of the line, which it may have already, or the next word's space. */
function withEnd(word: string): string {
  return word.endsWith(LINE_END) ? word : word + SPACE;
}
