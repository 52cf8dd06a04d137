// All ways to split a word into pieces, and how probable each piece is in them.
import { NONE, type PieceTrie } from "./character_trie.ts";
import { exp, log } from "./exact_math.ts";

/** Scores this much apart add up to the larger one. */
const NEGLIGIBLE = 50;

/** How much worse than the worst piece an unknown character scores. */
const UNKNOWN_PENALTY = 10;

/** A character that no piece begins with counts for this one, as in SentencePiece. */
const UNKNOWN_PIECE = 0;

/**
 * All ways to write a word as pieces. A node is a piece at a place of the word. Scores are single precision:
 * every sum is rounded as SentencePiece rounds it, so that the same pieces win.
 *
 * Source: google/sentencepiece, unigram_model.cc.
 */
export class Lattice {
  readonly #trie: PieceTrie;
  readonly #scores: Float32Array;
  readonly #unknownScore: number;
  /** Characters of the word. */
  #length = 0;
  #nodeCount = 0;
  /** By node, in the order of their beginnings. */
  #piece = new Int32Array(64);
  #begin = new Int32Array(64);
  #end = new Int32Array(64);
  #score = new Float32Array(64);
  /** The next node that ends at the same place. */
  #nextEnding = new Int32Array(64);
  /** The best way to each node: the node before it, and the score of all. */
  #previous = new Int32Array(64);
  #bestScore = new Float32Array(64);
  /** By place: the first node that begins there, the first and the last that end there. */
  #firstNode = new Int32Array(16);
  #firstEnding = new Int32Array(16);
  #lastEnding = new Int32Array(16);
  /** By place: the sums over all ways to write the word up to it, and from it on. */
  #before = new Float32Array(16);
  #after = new Float32Array(16);

  /** @param scores log probabilities of the pieces of the trie */
  constructor(trie: PieceTrie, scores: Float32Array) {
    this.#trie = trie;
    this.#scores = scores;
    const worst = scores.reduce((least, score) => Math.min(least, score), Number.POSITIVE_INFINITY);
    this.#unknownScore = Math.fround(worst - UNKNOWN_PENALTY);
  }

  /** Takes a word, as numbers of its characters. */
  set(word: Int32Array): void {
    const trie = this.#trie;
    this.#clear(word.length);
    for (let begin = 0; begin < word.length; begin++) {
      this.#firstNode[begin] = this.#nodeCount;
      let known = false;
      let node = 0;
      for (let end = begin + 1; end <= word.length; end++) {
        node = trie.next(node, word[end - 1] as number);
        if (node === NONE) break;
        const piece = trie.pieceAt(node);
        if (piece === NONE) continue;
        this.#insert(piece, begin, end, this.#scores[piece] as number);
        if (end === begin + 1) known = true;
      }
      if (!known) this.#insert(UNKNOWN_PIECE, begin, begin + 1, this.#unknownScore);
    }
    this.#firstNode[word.length] = this.#nodeCount;
  }

  /**
   * Adds to `expected`, by piece, how often each is used by all ways to write the word, weighted by their
   * probabilities, times `frequency`.
   */
  addExpected(frequency: number, expected: Float32Array): void {
    this.#sumForward();
    this.#sumBackward();
    const total = this.#before[this.#length] as number;
    const weight = Math.fround(frequency);
    for (let node = 0; node < this.#nodeCount; node++) {
      const before = this.#before[this.#begin[node] as number] as number;
      const after = this.#after[this.#end[node] as number] as number;
      const through = Math.fround(Math.fround(before + (this.#score[node] as number)) + after);
      const piece = this.#piece[node] as number;
      expected[piece] = (expected[piece] as number) + weight * exp(Math.fround(through - total));
    }
  }

  /** The best way to write the word. */
  best(): number[] {
    const last = this.#findBest();
    const pieces: number[] = [];
    for (let node = last; node !== NONE; node = this.#previous[node] as number) {
      pieces.push(this.#piece[node] as number);
    }
    return pieces.reverse();
  }

  /**
   * The best ways to write the word, at most two, the best first; found from the end of the word on, the most
   * promising way first (the A* algorithm, to which the scores from the left are an exact estimate).
   */
  twoBest(): number[][] {
    this.#findBest();
    const ways: number[][] = [];
    const open = new WayHeap();
    open.push({ begin: this.#length, piece: NONE, rest: undefined, score: 0, estimate: 0 });
    for (let way = open.pop(); way !== undefined; way = open.pop()) {
      if (way.begin === 0) {
        ways.push(piecesOf(way));
        if (ways.length === 2) break;
        continue;
      }
      for (
        let node = this.#firstEnding[way.begin] as number;
        node !== NONE;
        node = this.#nextEnding[node] as number
      ) {
        open.push(this.#extended(way, node));
      }
    }
    return ways;
  }

  #extended(rest: Way, node: number): Way {
    return {
      begin: this.#begin[node] as number,
      piece: this.#piece[node] as number,
      rest,
      score: Math.fround((this.#score[node] as number) + rest.score),
      estimate: Math.fround((this.#bestScore[node] as number) + rest.score),
    };
  }

  /** Finds the best way to each node, and to the end of the word: its last node. */
  #findBest(): number {
    for (let node = 0; node < this.#nodeCount; node++) {
      const score = this.#score[node] as number;
      const previous = this.#bestEnding(this.#begin[node] as number, score);
      this.#previous[node] = previous;
      this.#bestScore[node] = previous === NONE ? score : (this.#bestScore[previous] as number) + score;
    }
    return this.#bestEnding(this.#length, 0);
  }

  /** The node that ends at a place and is best before one of this score; of equal ones the longest. */
  #bestEnding(place: number, score: number): number {
    let best = NONE;
    let bestScore = 0;
    for (
      let node = this.#firstEnding[place] as number;
      node !== NONE;
      node = this.#nextEnding[node] as number
    ) {
      const sum = Math.fround((this.#bestScore[node] as number) + score);
      if (best === NONE || sum > bestScore) {
        best = node;
        bestScore = sum;
      }
    }
    return best;
  }

  #sumForward(): void {
    this.#before[0] = 0;
    for (let place = 1; place <= this.#length; place++) {
      const first = this.#firstEnding[place] as number;
      let sum = 0;
      for (let node = first; node !== NONE; node = this.#nextEnding[node] as number) {
        const before = this.#before[this.#begin[node] as number] as number;
        sum = addLogs(sum, Math.fround((this.#score[node] as number) + before), node === first);
      }
      this.#before[place] = sum;
    }
  }

  #sumBackward(): void {
    this.#after[this.#length] = 0;
    for (let place = this.#length - 1; place > 0; place--) {
      const first = this.#firstNode[place] as number;
      const end = this.#firstNode[place + 1] as number;
      let sum = 0;
      for (let node = first; node < end; node++) {
        const after = this.#after[this.#end[node] as number] as number;
        sum = addLogs(sum, Math.fround((this.#score[node] as number) + after), node === first);
      }
      this.#after[place] = sum;
    }
  }

  #insert(piece: number, begin: number, end: number, score: number): void {
    const node = this.#nodeCount++;
    if (node === this.#piece.length) this.#growNodes();
    this.#piece[node] = piece;
    this.#begin[node] = begin;
    this.#end[node] = end;
    this.#score[node] = score;
    this.#nextEnding[node] = NONE;
    const last = this.#lastEnding[end] as number;
    if (last === NONE) this.#firstEnding[end] = node;
    else this.#nextEnding[last] = node;
    this.#lastEnding[end] = node;
  }

  #clear(length: number): void {
    this.#length = length;
    this.#nodeCount = 0;
    if (length >= this.#firstNode.length) this.#growPlaces(length + 1);
    this.#firstEnding.fill(NONE, 0, length + 1);
    this.#lastEnding.fill(NONE, 0, length + 1);
  }

  #growNodes(): void {
    this.#piece = grown(this.#piece);
    this.#begin = grown(this.#begin);
    this.#end = grown(this.#end);
    this.#nextEnding = grown(this.#nextEnding);
    this.#previous = new Int32Array(this.#piece.length);
    this.#bestScore = new Float32Array(this.#piece.length);
    const scores = new Float32Array(this.#piece.length);
    scores.set(this.#score);
    this.#score = scores;
  }

  #growPlaces(size: number): void {
    this.#firstNode = new Int32Array(2 * size);
    this.#firstEnding = new Int32Array(2 * size);
    this.#lastEnding = new Int32Array(2 * size);
    this.#before = new Float32Array(2 * size);
    this.#after = new Float32Array(2 * size);
  }
}

function grown(array: Int32Array<ArrayBuffer>): Int32Array<ArrayBuffer> {
  const copy = new Int32Array(2 * array.length);
  copy.set(array);
  return copy;
}

/** A way to write the end of a word, as a list. */
interface Way {
  /** Where it begins. */
  readonly begin: number;
  readonly piece: number;
  readonly rest: Way | undefined;
  /** The sum of its pieces' scores. */
  readonly score: number;
  /** The score of the best way to write the word that ends so. */
  readonly estimate: number;
}

/** The pieces of a way; the empty way at its end has none. */
function piecesOf(way: Way): number[] {
  const pieces: number[] = [];
  for (let part: Way | undefined = way; part?.rest !== undefined; part = part.rest) pieces.push(part.piece);
  return pieces;
}

/**
 * A heap of ways, the best estimate first. Equal ones come out in the order in which the heap of C++'s
 * standard library, and so SentencePiece, has them: pieces of rare words often score the same.
 */
class WayHeap {
  readonly #ways: Way[] = [];

  push(way: Way): void {
    this.#ways.push(way);
    this.#rise(this.#ways.length - 1, way);
  }

  pop(): Way | undefined {
    const ways = this.#ways;
    const first = ways[0];
    const last = ways.pop();
    const n = ways.length;
    if (n === 0 || last === undefined) return first;
    // The hole goes down to the bottom, then the last way rises from there.
    let hole = 0;
    for (let child = 2; child <= n; child = 2 * hole + 2) {
      if (child === n || this.#estimate(child) < this.#estimate(child - 1)) child--;
      ways[hole] = ways[child] as Way;
      hole = child;
    }
    this.#rise(hole, last);
    return first;
  }

  #rise(from: number, way: Way): void {
    let i = from;
    while (i > 0) {
      const parent = (i - 1) >> 1;
      if (this.#estimate(parent) >= way.estimate) break;
      this.#ways[i] = this.#ways[parent] as Way;
      i = parent;
    }
    this.#ways[i] = way;
  }

  #estimate(i: number): number {
    return (this.#ways[i] as Way).estimate;
  }
}

/** The logarithm of e^x + e^y, in single precision; y alone for the first of several. */
function addLogs(x: number, y: number, first: boolean): number {
  if (first) return y;
  const least = Math.min(x, y);
  const most = Math.max(x, y);
  if (most > Math.fround(least + NEGLIGIBLE)) return most;
  return Math.fround(most + log(exp(Math.fround(least - most)) + 1));
}
