import { SymbolMatcher } from "./symbol_matcher.ts";
import { TokenType } from "./tokenizer.ts";
import { SPACE, type Vocabulary } from "./vocabulary.ts";

/** No piece. */
const NONE = -1;

/** A heap key is rank * POSITIONS + position: lower rank first, then leftmost. Exact: ranks are below 2^21. */
const POSITIONS = 2 ** 32;

/** Slots of the pair cache, a power of two: 768 KB, which holds the pairs of ordinary text. */
const CACHE_SLOTS = 1 << 16;

/** Symbols a merge keeps buffers for; those of longer texts are let go. */
const KEPT_SYMBOLS = 1 << 14;

/**
 * SentencePiece's BPE: characters are merged pairwise into pieces, the best score first and the leftmost
 * of equals, in time O(n log n). User-defined symbols are found first, the longest at each position, and
 * are never split or merged. A piece marked unused may be a step of merging; in the result it is replaced
 * by what it was merged from.
 *
 * Source: google/sentencepiece, src/bpe_model.cc.
 */
export class BpeSegmenter {
  private readonly vocabulary: Vocabulary;
  /** Ids of what merging may make: normal and unused pieces. */
  private readonly ids: Map<string, number>;
  /** Those of one character, by code point. */
  private readonly characters: Map<number, number>;
  /** Place of a piece's score among the scores, best first; equal scores have equal ranks. */
  private readonly ranks: Uint32Array;
  private readonly userDefined: SymbolMatcher | undefined;
  /** No piece continues over the beginning of a run of spaces: words can be merged one by one. */
  private readonly wordsAreApart: boolean;
  private readonly hasUnused: boolean;
  /**
   * The pair that makes an unused piece, for those met so far. It is always the same: until a merge goes
   * over an end of a piece's text, which then never becomes that piece, merging inside it does not depend
   * on what is around it.
   */
  private readonly splits = new Map<number, readonly [left: number, right: number]>();
  private readonly cache = new PairCache(CACHE_SLOTS);
  private buffers = new MergeBuffers(0);

  /** @param matchUserDefined whether user-defined symbols are looked for */
  constructor(vocabulary: Vocabulary, matchUserDefined: boolean) {
    this.vocabulary = vocabulary;
    const mergeable = vocabulary.idsOf(TokenType.normal, TokenType.unused);
    this.ids = indexPieces(vocabulary, mergeable);
    this.characters = new Map();
    for (const [piece, id] of this.ids) {
      if (isCharacter(piece)) this.characters.set(piece.codePointAt(0) as number, id);
    }
    this.ranks = rankScores(vocabulary.scores);
    const userDefined = vocabulary.idsOf(TokenType.userDefined);
    if (matchUserDefined && userDefined.length > 0) {
      this.userDefined = new SymbolMatcher(userDefined.map((id) => [vocabulary.piece(id), id]));
    }
    this.hasUnused = mergeable.some((id) => this.isUnused(id));
    this.wordsAreApart = !mergeable.some((id) => hasInnerSpace(vocabulary.piece(id)));
  }

  /**
   * Splits a text into symbols: an id, or {@link characterSymbol} for a character that is no piece.
   * @param text well-formed UTF-16, its spaces as U+2581
   */
  segment(text: string): Int32Array {
    const symbols = new Int32Array(text.length);
    const n = this.split(text, symbols);
    const merged = symbols.subarray(0, this.mergeAll(symbols, n));
    const result = this.hasUnused ? this.replaceUnused(merged) : merged;
    return result.map((symbol) => (isFrozen(symbol) ? frozen(symbol) : symbol));
  }

  /** The code point of a character that is no piece, or undefined where the symbol is an id. */
  character(symbol: number): number | undefined {
    return symbol < this.vocabulary.size ? undefined : symbol - this.vocabulary.size;
  }

  /** The text of a symbol. */
  text(symbol: number): string {
    const character = this.character(symbol);
    return character === undefined ? this.vocabulary.piece(symbol) : String.fromCodePoint(character);
  }

  /** Writes one symbol a character, or a user-defined symbol, and gives their number. */
  private split(text: string, symbols: Int32Array): number {
    const found = this.userDefined?.match(text);
    let n = 0;
    for (let i = 0; i < text.length; ) {
      const id = found === undefined ? NONE : (found[i] as number);
      if (id !== NONE) {
        symbols[n++] = frozen(id);
        i += this.vocabulary.piece(id).length;
        continue;
      }
      const character = text.codePointAt(i) as number;
      symbols[n++] = this.characters.get(character) ?? this.characterSymbol(character);
      i += character > 0xffff ? 2 : 1;
    }
    return n;
  }

  private characterSymbol(character: number): number {
    return this.vocabulary.size + character;
  }

  /** Merges the first `n` symbols in place and gives the number left. */
  private mergeAll(symbols: Int32Array, n: number): number {
    let out = 0;
    for (let begin = 0; begin < n; ) {
      const end = this.endOfWord(symbols, begin, n);
      out = this.merge(symbols, begin, end, out);
      begin = end;
    }
    if (this.buffers.capacity > KEPT_SYMBOLS) this.buffers = new MergeBuffers(0);
    return out;
  }

  /** Where the spaces that begin at `begin`, if any, and the word after them end. */
  private endOfWord(symbols: Int32Array, begin: number, n: number): number {
    if (!this.wordsAreApart) return n;
    const space = this.characters.get(SPACE.charCodeAt(0)) ?? this.characterSymbol(SPACE.charCodeAt(0));
    let end = begin + 1;
    while (end < n && (symbols[end] !== space || symbols[end - 1] === space)) end++;
    return end;
  }

  /** Merges symbols [begin, end), writes what is left from `out` on and gives the end of that. */
  private merge(symbols: Int32Array, begin: number, end: number, out: number): number {
    const n = end - begin;
    if (this.buffers.capacity < n)
      this.buffers = new MergeBuffers(Math.max(n, Math.min(2 * n, KEPT_SYMBOLS)));
    const buffers = this.buffers;
    const { current, next, previous, pending, heap } = buffers;
    for (let i = 0; i < n; i++) {
      current[i] = symbols[begin + i] as number;
      next[i] = i + 1;
      previous[i] = i - 1;
    }
    for (let i = 0; i < n; i++) this.propose(buffers, i, n);
    for (let key = heap.pop(); key !== undefined; key = heap.pop()) {
      const rank = Math.floor(key / POSITIONS);
      const left = key - rank * POSITIONS;
      const id = pending[left] as number;
      // One side has been merged with something else since: this key is out of date.
      if (id === NONE || this.ranks[id] !== rank) continue;
      const right = next[left] as number;
      const after = next[right] as number;
      current[left] = id;
      next[left] = after;
      pending[right] = NONE;
      if (after < n) previous[after] = left;
      if (left > 0) this.propose(buffers, previous[left] as number, n);
      this.propose(buffers, left, n);
    }
    let last = out;
    for (let i = 0; i < n; i = next[i] as number) symbols[last++] = current[i] as number;
    return last;
  }

  /** Queues the pair of the symbol at `left` and its successor, if they make a piece. */
  private propose({ current, next, pending, heap }: MergeBuffers, left: number, n: number): void {
    const right = next[left] as number;
    const id = right < n ? this.merged(current[left] as number, current[right] as number) : NONE;
    pending[left] = id;
    if (id === NONE) return;
    heap.push((this.ranks[id] as number) * POSITIONS + left);
    if (this.isUnused(id)) this.splits.set(id, [current[left] as number, current[right] as number]);
  }

  /** The piece that two symbols make together, or NONE. */
  private merged(left: number, right: number): number {
    if (isFrozen(left) || isFrozen(right)) return NONE;
    const slot = this.cache.slot(left, right);
    if (this.cache.holds(slot, left, right)) return this.cache.value(slot);
    const id = this.ids.get(this.text(left) + this.text(right)) ?? NONE;
    this.cache.set(slot, left, right, id);
    return id;
  }

  private replaceUnused(symbols: Int32Array): Int32Array {
    const used: number[] = [];
    const stack: number[] = [];
    for (const symbol of symbols) {
      stack.push(symbol);
      for (let top = stack.pop(); top !== undefined; top = stack.pop()) {
        if (!this.isUnused(top)) {
          used.push(top);
          continue;
        }
        const split = this.splits.get(top);
        if (split === undefined) used.push(this.characterSymbol(this.text(top).codePointAt(0) as number));
        else stack.push(split[1], split[0]);
      }
    }
    return Int32Array.from(used);
  }

  private isUnused(symbol: number): boolean {
    return this.vocabulary.type(symbol) === TokenType.unused;
  }
}

/** A user-defined symbol among symbols that merge; its own inverse. */
function frozen(id: number): number {
  return -1 - id;
}

function isFrozen(symbol: number): boolean {
  return symbol < 0;
}

/** Of equal pieces the first counts. */
function indexPieces(vocabulary: Vocabulary, ids: readonly number[]): Map<string, number> {
  const index = new Map<string, number>();
  for (const id of ids) {
    const piece = vocabulary.piece(id);
    if (!index.has(piece)) index.set(piece, id);
  }
  return index;
}

function isCharacter(piece: string): boolean {
  return piece.length === 1 || (piece.length === 2 && (piece.codePointAt(0) as number) > 0xffff);
}

/** Whether something that is no space comes before a space. */
function hasInnerSpace(piece: string): boolean {
  const last = piece.lastIndexOf(SPACE);
  for (let i = 0; i < last; i++) {
    if (piece[i] !== SPACE) return true;
  }
  return false;
}

function rankScores(scores: ArrayLike<number>): Uint32Array {
  const ranks = new Map<number, number>();
  for (const score of Float64Array.from(scores).sort().reverse()) {
    if (!ranks.has(score)) ranks.set(score, ranks.size);
  }
  return Uint32Array.from(scores, (score) => ranks.get(score) as number);
}

/** Working memory of a merge of at most `capacity` symbols. */
class MergeBuffers {
  readonly capacity: number;
  /** Symbol by position, of those positions that have not been merged into one before them. */
  readonly current: Int32Array;
  readonly next: Int32Array;
  readonly previous: Int32Array;
  /** The piece that a position and its successor make, or NONE. */
  readonly pending: Int32Array;
  readonly heap: Heap;

  constructor(capacity: number) {
    this.capacity = capacity;
    this.current = new Int32Array(capacity);
    this.next = new Int32Array(capacity);
    this.previous = new Int32Array(capacity);
    this.pending = new Int32Array(capacity);
    // n - 1 pairs at first, and each of at most n - 1 merges takes one out and puts in two at most.
    this.heap = new Heap(2 * capacity);
  }
}

/** A binary heap of numbers, least first. */
class Heap {
  private readonly keys: Float64Array;
  private size = 0;

  constructor(capacity: number) {
    this.keys = new Float64Array(capacity);
  }

  push(key: number): void {
    const { keys } = this;
    let i = this.size++;
    while (i > 0) {
      const parent = (i - 1) >> 1;
      if ((keys[parent] as number) <= key) break;
      keys[i] = keys[parent] as number;
      i = parent;
    }
    keys[i] = key;
  }

  pop(): number | undefined {
    if (this.size === 0) return undefined;
    const { keys } = this;
    const top = keys[0];
    const n = --this.size;
    const last = keys[n] as number;
    let i = 0;
    for (let child = 1; child < n; child = 2 * i + 1) {
      if (child + 1 < n && (keys[child + 1] as number) < (keys[child] as number)) child++;
      if ((keys[child] as number) >= last) break;
      keys[i] = keys[child] as number;
      i = child;
    }
    keys[i] = last;
    return top;
  }
}

/** Remembers the last pair of each slot: of fixed size, so that no text can make it grow. */
class PairCache {
  private readonly left: Int32Array;
  private readonly right: Int32Array;
  private readonly values: Int32Array;

  constructor(slots: number) {
    this.left = new Int32Array(slots).fill(NONE);
    this.right = new Int32Array(slots);
    this.values = new Int32Array(slots);
  }

  slot(left: number, right: number): number {
    const mixed = Math.imul(left, 0x9e3779b1) ^ Math.imul(right, 0x85ebca6b);
    return (mixed ^ (mixed >>> 15)) & (this.left.length - 1);
  }

  holds(slot: number, left: number, right: number): boolean {
    return this.left[slot] === left && this.right[slot] === right;
  }

  value(slot: number): number {
    return this.values[slot] as number;
  }

  set(slot: number, left: number, right: number, value: number): void {
    this.left[slot] = left;
    this.right[slot] = right;
    this.values[slot] = value;
  }
}
