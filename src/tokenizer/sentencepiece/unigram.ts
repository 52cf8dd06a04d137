// The unigram language model of SentencePiece vocabularies: the best split by Viterbi's algorithm.
import { FormatError } from "../../util/errors.ts";
import { TokenType } from "../core/vocabulary_data.ts";
import { NONE, PieceTrie, ROOT } from "./piece_trie.ts";
import {
  type Barred,
  codePointAt,
  flatten,
  idsOfTypes,
  KEPT_SYMBOLS,
  lengthsOf,
  type ScoredPieces,
  type Segmenter,
} from "./segmenter.ts";

/** How far below the least score of a piece an unknown character's is (kUnkPenalty). */
const UNKNOWN_PENALTY = 10;

/** The least normal f32 above 0 (FLT_MIN): what the best score of a vocabulary is at least. */
const LEAST_BEST_SCORE = 2 ** -126;

/** The greatest f32 (FLT_MAX): the least score of a vocabulary that has none. */
const GREATEST_F32 = (2 - 2 ** -23) * 2 ** 127;

/**
 * Most pieces of which each ends with the next shorter one. Runs of spaces have 32; a text costs as much a
 * character.
 */
export const MAX_NESTED_PIECES = 256;

/**
 * The unigram language model: of all ways to split a text into pieces the one with the greatest sum of
 * scores, by Viterbi's algorithm; of equal ones at a position, the one whose last piece is the longest. A
 * character that is no piece has a score below that of every piece, a user-defined symbol that of the best
 * one for each of its bytes.
 *
 * All pieces that end at a position are found by an Aho-Corasick automaton, so that time is linear in the
 * text and in what is found, however long pieces are.
 *
 * Sums are f32, as SentencePiece has them, or f64: on long texts the two may differ, because an f32 of a
 * million has no more than four bits for fractions.
 *
 * Source: google/sentencepiece, src/unigram_model.cc (EncodeOptimized); Kudo, "Subword Regularization",
 * ACL 2018; Aho and Corasick, "Efficient string matching", CACM 18(6), 1975.
 */
export class UnigramSegmenter implements Segmenter {
  symbols = new Int32Array(0);
  readonly #size: number;
  readonly #trie: PieceTrie;
  /** The node of the longest proper suffix, by node; and the nearest of these at which a piece ends, or NONE. */
  readonly #fail: Int32Array;
  readonly #shorter: Int32Array;
  /** By id; f32 but for those of user-defined symbols. */
  readonly #scores: Float64Array;
  readonly #lengths: Int32Array;
  readonly #unknownScore: number;
  readonly #precision: "f32" | "f64";
  /** For each position the greatest sum of what ends there. */
  #sums: Float32Array | Float64Array;
  /** For each position the begin of its last symbol, NONE if no symbol ends there; and that symbol. */
  #begins = new Int32Array(0);
  #last = new Int32Array(0);

  /** @throws FormatError for more text in pieces than can be indexed, or more than MAX_NESTED_PIECES */
  constructor(vocabulary: ScoredPieces, precision: "f32" | "f64" = "f32") {
    const { pieces, scores, types } = vocabulary;
    const usable = idsOfTypes(types, TokenType.normal, TokenType.userDefined);
    const normal = idsOfTypes(types, TokenType.normal);
    const round = precision === "f32" ? Math.fround : (score: number) => score;
    let least = GREATEST_F32;
    let best = LEAST_BEST_SCORE;
    for (const id of normal) {
      least = Math.min(least, round(scores[id] as number));
      best = Math.max(best, round(scores[id] as number));
    }
    this.#size = pieces.length;
    this.#precision = precision;
    this.#trie = new PieceTrie(flatten(pieces), usable);
    this.#lengths = lengthsOf(pieces);
    this.#fail = new Int32Array(this.#trie.slots);
    this.#shorter = new Int32Array(this.#trie.slots).fill(NONE);
    this.#link();
    this.#unknownScore = round(least - UNKNOWN_PENALTY);
    this.#scores = Float64Array.from(scores, round);
    for (const id of usable) {
      if (types[id] !== TokenType.userDefined) continue;
      this.#scores[id] = round(utf8Length(pieces[id] as string) * best) - 0.1;
    }
    this.#sums = this.#newSums(0);
  }

  segment(units: Uint16Array, n: number, barred?: Barred): number {
    this.#reserve(n);
    this.#findBest(units, n, barred);
    const count = this.#writeBack(n);
    if (this.#begins.length > KEPT_SYMBOLS + 1) this.#allocate(0);
    return count;
  }

  /** Links each node to what is a suffix of it. */
  #link(): void {
    const trie = this.#trie;
    const fail = this.#fail;
    const shorter = this.#shorter;
    /** Pieces that end at a node. */
    const nested = new Int32Array(trie.slots);
    for (const node of trie.byDepth()) {
      const parent = trie.parent(node);
      const suffix = parent === ROOT ? ROOT : this.#step(fail[parent] as number, trie.unit(node));
      fail[node] = suffix;
      shorter[node] = trie.id(suffix) === NONE ? (shorter[suffix] as number) : suffix;
      nested[node] = (nested[suffix] as number) + (trie.id(node) === NONE ? 0 : 1);
      if ((nested[node] as number) > MAX_NESTED_PIECES) {
        throw new FormatError(
          `Cannot build tokenizer: Expected at most ${MAX_NESTED_PIECES} pieces that end one in another, got more`,
        );
      }
    }
  }

  /** The node of the longest suffix of a node's text and a unit that begins a piece. */
  #step(from: number, unit: number): number {
    const trie = this.#trie;
    const fail = this.#fail;
    let node = from;
    for (;;) {
      const child = trie.child(node, unit);
      if (child !== NONE) return child;
      if (node === ROOT) return ROOT;
      node = fail[node] as number;
    }
  }

  #findBest(units: Uint16Array, n: number, barred: Barred | undefined): void {
    const trie = this.#trie;
    const shorter = this.#shorter;
    const begins = this.#begins;
    this.#sums[0] = 0;
    let node: number = ROOT;
    for (let begin = 0; begin < n; ) {
      const character = codePointAt(units, begin);
      const end = begin + (character > 0xffff ? 2 : 1);
      for (let i = begin; i < end; i++) node = this.#step(node, units[i] as number);
      begins[end] = NONE;
      // The longest piece first: of equal sums the one that was found first stays.
      const longest = trie.id(node) === NONE ? (shorter[node] as number) : node;
      const single = this.#takePieces(longest, begin, end, barred);
      if (!single) this.#takeUnknown(character, begin, end);
      begin = end;
    }
  }

  /** Tries all pieces that end at `end`, and returns whether the character that begins at `begin` is one. */
  #takePieces(longest: number, begin: number, end: number, barred: Barred | undefined): boolean {
    const trie = this.#trie;
    const shorter = this.#shorter;
    const lengths = this.#lengths;
    const scores = this.#scores;
    const sums = this.#sums;
    const begins = this.#begins;
    const last = this.#last;
    let best = Number.NaN;
    let single = false;
    for (let node = longest; node !== NONE; node = shorter[node] as number) {
      const id = trie.id(node);
      const from = end - (lengths[id] as number);
      if (barred?.ids.has(id) && barred.at(from, end)) continue;
      single = from === begin;
      const sum = (sums[from] as number) + (scores[id] as number);
      if (begins[end] !== NONE && !(sum > best)) continue;
      sums[end] = sum;
      best = sums[end] as number;
      begins[end] = from;
      last[end] = id;
    }
    return single;
  }

  #takeUnknown(character: number, begin: number, end: number): void {
    const sums = this.#sums;
    const exact = (sums[begin] as number) + this.#unknownScore;
    const sum = this.#precision === "f32" ? Math.fround(exact) : exact;
    if (this.#begins[end] !== NONE && !(sum > (sums[end] as number))) return;
    sums[end] = sum;
    this.#begins[end] = begin;
    this.#last[end] = this.#size + character;
  }

  #writeBack(n: number): number {
    const { symbols } = this;
    const begins = this.#begins;
    const last = this.#last;
    let count = 0;
    for (let end = n; end > 0; end = begins[end] as number) symbols[count++] = last[end] as number;
    symbols.subarray(0, count).reverse();
    return count;
  }

  #newSums(n: number): Float32Array | Float64Array {
    return this.#precision === "f32" ? new Float32Array(n) : new Float64Array(n);
  }

  #reserve(n: number): void {
    if (this.symbols.length < n || this.symbols.length > KEPT_SYMBOLS)
      this.symbols = new Int32Array(capacity(n));
    if (this.#begins.length <= n) this.#allocate(capacity(n) + 1);
  }

  #allocate(n: number): void {
    this.#begins = new Int32Array(n);
    this.#last = new Int32Array(n);
    this.#sums = this.#newSums(n);
  }
}

function capacity(n: number): number {
  return Math.max(n, Math.min(2 * n, KEPT_SYMBOLS));
}

function utf8Length(text: string): number {
  return new TextEncoder().encode(text).length;
}
