// BPE of SentencePiece vocabularies.
import { Merger } from "../core/merger.ts";
import { TokenType } from "../core/vocabulary_data.ts";
import { JoinSet } from "./join_set.ts";
import { PieceMerges } from "./piece_merges.ts";
import { MAX_CACHED_UNITS, SegmentCache } from "./segment_cache.ts";
import {
  type Barred,
  idsOfTypes,
  KEPT_SYMBOLS,
  type ScoredPieces,
  type Segmenter,
  UserDefined,
} from "./segmenter.ts";

/** Shortest word, in UTF-16 units, worth dividing. Plain merging is faster below it. */
const DIVIDED_UNITS = 33;

/** How a {@link BpeSegmenter} differs from SentencePiece's. */
export interface BpeOptions {
  /** Whether user-defined symbols are looked for; default true. */
  readonly matchUserDefined?: boolean;
  /**
   * The pairs that merge, the first pair first: [left, right, result] three ids a merge (Hugging Face).
   * Default: any two symbols that make a piece together, the best score first (SentencePiece).
   */
  readonly merges?: Int32Array;
  /** Whether words are cached. Never changes a result. Default true. */
  readonly cache?: boolean;
}

/**
 * SentencePiece's BPE: characters are merged pairwise into pieces, the best score first and the leftmost
 * of equals, in time O(n log n). User-defined symbols are found first, the longest at each position, and
 * are never split or merged. A piece marked unused may be a step of merging; in the result it is replaced
 * by what it was merged from.
 *
 * No merge crosses two characters that are adjacent in no piece. Text is cut there into words, which are merged one by
 * one and cached.
 *
 * Source: google/sentencepiece, src/bpe_model.cc.
 */
export class BpeSegmenter implements Segmenter {
  symbols = new Int32Array(0);
  readonly #pieces: PieceMerges;
  readonly #merger: Merger<Uint16Array>;
  readonly #hasUnused: boolean;
  readonly #joins: JoinSet;
  readonly #userDefined: UserDefined | undefined;
  readonly #cache: SegmentCache | undefined;

  /** @throws FormatError for more text in pieces or symbols than can be indexed */
  constructor(vocabulary: ScoredPieces, options: BpeOptions = {}) {
    const { matchUserDefined = true, cache = true, merges } = options;
    const { pieces, types } = vocabulary;
    this.#pieces = new PieceMerges(vocabulary, merges);
    this.#merger = new Merger(this.#pieces, this.#pieces, DIVIDED_UNITS);
    this.#hasUnused = idsOfTypes(types, TokenType.unused).length > 0;
    this.#joins = new JoinSet(this.#pieces.flat, this.#pieces.mergeable);
    const userDefined = matchUserDefined ? idsOfTypes(types, TokenType.userDefined) : [];
    if (userDefined.length > 0) this.#userDefined = new UserDefined(pieces, userDefined);
    if (cache) this.#cache = new SegmentCache();
  }

  segment(units: Uint16Array, n: number, barred?: Barred): number {
    if (this.symbols.length < n || this.symbols.length > KEPT_SYMBOLS) {
      this.symbols = new Int32Array(Math.max(n, Math.min(2 * n, KEPT_SYMBOLS)));
    }
    const found = this.#userDefined?.match(units, n, barred);
    return found === undefined ? this.#words(units, 0, n, 0) : this.#parts(units, n, found);
  }

  /** User-defined symbols, and the words between them. */
  #parts(units: Uint16Array, n: number, found: Int32Array): number {
    let out = 0;
    let begin = 0;
    for (let i = 0; i < n; ) {
      const id = found[i] as number;
      if (id < 0) {
        i++;
        continue;
      }
      out = this.#words(units, begin, i, out);
      this.symbols[out++] = id;
      i += this.#pieces.length(id);
      begin = i;
    }
    return this.#words(units, begin, n, out);
  }

  /** Writes the symbols of units [begin, end) from `from` on, and returns their end. */
  #words(units: Uint16Array, begin: number, end: number, from: number): number {
    const joins = this.#joins;
    let out = from;
    for (let i = begin; i < end; ) {
      const word = i;
      let unit = units[i++] as number;
      let hash = unit;
      for (; i < end; i++) {
        const next = units[i] as number;
        if (!joins.has(unit, next)) break;
        hash = Math.imul(hash, 0x2c1b3c6d) + next;
        unit = next;
      }
      out = this.#word(units, word, i, hash ^ (hash >>> 15), out);
    }
    return out;
  }

  #word(units: Uint16Array, begin: number, end: number, hash: number, from: number): number {
    const { symbols } = this;
    const cache = this.#cache;
    if (end - begin === 1) {
      symbols[from] = this.#pieces.characters[units[begin] as number] as number;
      return from + 1;
    }
    if (cache === undefined || end - begin > MAX_CACHED_UNITS) return this.#merge(units, begin, end, from);
    if (cache.find(units, begin, end, hash)) {
      const known = cache.symbols;
      const last = cache.begin + cache.count;
      let out = from;
      for (let k = cache.begin; k < last; k++) symbols[out++] = known[k] as number;
      return out;
    }
    const out = this.#merge(units, begin, end, from);
    cache.add(units, begin, end, hash, symbols, from, out);
    return out;
  }

  /** Merges the characters of units [begin, end). */
  #merge(units: Uint16Array, begin: number, end: number, from: number): number {
    const to = this.#merger.merge(units, begin, end, this.symbols, from);
    return this.#hasUnused ? this.#replaceUnused(from, to) : to;
  }

  /** Splits unused pieces among symbols [from, to) and gives the new end. There are never more symbols than units. */
  #replaceUnused(from: number, to: number): number {
    const used: number[] = [];
    const stack: number[] = [];
    for (let i = from; i < to; i++) {
      stack.push(this.symbols[i] as number);
      for (let top = stack.pop(); top !== undefined; top = stack.pop()) {
        const split = this.#pieces.splits.get(top);
        if (split === undefined) used.push(top);
        else stack.push(split[1], split[0]);
      }
    }
    this.symbols.set(used, from);
    return from + used.length;
  }
}
