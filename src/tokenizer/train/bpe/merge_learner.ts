// Learns merges from counted words: the core of both BPE trainers.
import type { Pace } from "../pace.ts";
import { compareCodePoints } from "../text/code_points.ts";

/** No position, no symbol, no pair. */
const NONE = -1;

/** Symbols are fewer than this: a pair of them is one exact double. */
const MAX_SYMBOLS = 2 ** 26;

/** Merges between two looks at the clock. */
const MERGES_A_TURN = 16;

/** Likewise words, and places of pairs. */
const WORDS_A_TURN = 1 << 10;
const PLACES_A_TURN = 1 << 12;

/** What merging learns from, and when it ends. */
export interface MergeTask {
  /** Words, each as the parts that merging begins with, and how often each occurs. */
  readonly words: Iterable<readonly [parts: readonly string[], count: number]>;
  /** Most merges to learn. */
  readonly limit: number;
  /** Whether a text of this many parts may be learned. */
  isValid(text: string, parts: number): boolean;
  /**
   * Whether two symbols whose text was learned by another merge are merged nevertheless, as encoders by ranks
   * do. SentencePiece leaves them apart.
   */
  readonly mergeKnown: boolean;
  /**
   * Whether learning continues when no pair is left in the words: with pairs that were neighbours once, which
   * another merge took apart. SentencePiece learns those last.
   */
  readonly learnPast: boolean;
}

/**
 * Byte pair encoding: merges the most frequent pair of neighbours everywhere, again and again. Of equally
 * frequent ones the shorter text comes first, then the first by code points. Time grows with the length of the different words and the logarithm of the number of pairs.
 *
 * Sources: Sennrich et al., "Neural machine translation of rare words with subword units", ACL 2016;
 * google/sentencepiece, bpe_model_trainer.cc.
 * @returns what was learned, in order; fewer than `limit` if the words have no more
 */
export async function learnMerges(task: MergeTask, pace: Pace): Promise<string[]> {
  const merger = new Merger(task);
  await merger.read(pace);
  const learned: string[] = [];
  const known = new Map<string, number>();
  for (let steps = 0; learned.length < task.limit; steps++) {
    if (steps % MERGES_A_TURN === 0 && pace.due()) await pace.rest("merging", learned.length / task.limit);
    const pair = merger.best();
    if (pair === NONE) break;
    const text = merger.text(pair);
    const symbol = known.get(text);
    if (symbol === undefined) {
      known.set(text, merger.merge(pair));
      learned.push(text);
    } else if (task.mergeKnown) {
      merger.merge(pair, symbol);
    } else {
      merger.drop(pair);
    }
  }
  if (task.learnPast) learnPast(merger, known, learned, task.limit);
  return learned;
}

/** Adds the texts of pairs that never became a symbol, as if all were equally frequent. */
function learnPast(
  merger: Merger,
  known: ReadonlyMap<string, number>,
  learned: string[],
  limit: number,
): void {
  if (learned.length >= limit) return;
  const past = merger.allPairs().filter(({ text }) => !known.has(text));
  past.sort((a, b) => a.length - b.length || compareCodePoints(a.text, b.text));
  const texts = new Set(past.map(({ text }) => text));
  learned.push(...[...texts].slice(0, limit - learned.length));
}

/** The corpus as symbols in linked lists, and all pairs of neighbours with their places. */
class Merger {
  readonly #task: MergeTask;
  readonly #symbols = new Symbols();
  /** By place: its symbol (NONE if it was merged into the place before), its neighbours, its word. */
  #ids = new Int32Array(0);
  #next = new Int32Array(0);
  #previous = new Int32Array(0);
  #word = new Int32Array(0);
  /** 1 if the pair of a place and its next overlaps the pair before it, and is not counted. */
  #overlaps = new Uint8Array(0);
  /** How often each word occurs. */
  readonly #counts: number[] = [];
  readonly #pairs = new Pairs();
  readonly #heap: PairHeap;
  /** Pairs that became more frequent in the current merge. */
  readonly #risen = new Set<number>();

  constructor(task: MergeTask) {
    this.#task = task;
    this.#heap = new PairHeap(this.#pairs);
  }

  /** Takes in the words and all their pairs. */
  async read(pace: Pace): Promise<void> {
    await this.#readWords(pace);
    for (let place = 0; place < this.#ids.length; place++) {
      this.#add(place, this.#next[place] as number);
      if (place % PLACES_A_TURN === 0 && pace.due()) await pace.rest("counting", place / this.#ids.length);
    }
    this.#pushRisen();
  }

  /** The pair to merge next. */
  best(): number {
    return this.#heap.pop();
  }

  text(pair: number): string {
    return this.#pairs.texts[pair] as string;
  }

  /** Every pair that has been neighbours: what it reads, and of how many parts. */
  allPairs(): { text: string; length: number }[] {
    const { texts, lengths } = this.#pairs;
    return texts.map((text, pair) => ({ text, length: lengths[pair] as number }));
  }

  /** Never looks at a pair again. */
  drop(pair: number): void {
    this.#pairs.counts[pair] = 0;
    this.#pairs.places[pair] = [];
  }

  /** Merges a pair everywhere to a new symbol, or to a known one; the result is the symbol. */
  merge(pair: number, known?: number): number {
    const left = this.#pairs.left[pair] as number;
    const right = this.#pairs.right[pair] as number;
    const symbol = known ?? this.#symbols.add(this.text(pair), this.#pairs.lengths[pair] as number);
    // In the order of the text, so that of three like symbols the first two merge.
    const places = Int32Array.from(this.#pairs.places[pair] as number[]).sort();
    for (const place of places) {
      const after = this.#next[place] as number;
      if (this.#ids[place] === left && after !== NONE && this.#ids[after] === right)
        this.#join(place, after, symbol);
    }
    this.drop(pair);
    this.#pushRisen();
    return symbol;
  }

  #join(place: number, after: number, symbol: number): void {
    const before = this.#previous[place] as number;
    const beyond = this.#next[after] as number;
    this.#remove(before, place);
    this.#remove(after, beyond);
    this.#ids[place] = symbol;
    this.#ids[after] = NONE;
    this.#next[place] = beyond;
    if (beyond !== NONE) this.#previous[beyond] = place;
    this.#add(before, place);
    this.#add(place, beyond);
  }

  #add(place: number, after: number): void {
    if (place === NONE || after === NONE) return;
    const overlaps = this.#overlapsBefore(place, after);
    this.#overlaps[place] = overlaps ? 1 : 0;
    const pair = overlaps ? NONE : this.#pairOf(place, after);
    if (pair === NONE) return;
    this.#pairs.counts[pair] = (this.#pairs.counts[pair] as number) + this.#count(place);
    (this.#pairs.places[pair] as number[]).push(place);
    this.#risen.add(pair);
  }

  /** Of three like symbols the last two are no pair: only the first two can merge. */
  #overlapsBefore(place: number, after: number): boolean {
    const before = this.#previous[place] as number;
    if (before === NONE || this.#ids[place] !== this.#ids[after]) return false;
    return this.#ids[before] === this.#ids[place] && this.#overlaps[before] === 0;
  }

  #remove(place: number, after: number): void {
    if (place === NONE || after === NONE || this.#overlaps[place] === 1) return;
    const pair = this.#pairOf(place, after);
    if (pair !== NONE) this.#pairs.counts[pair] = (this.#pairs.counts[pair] as number) - this.#count(place);
  }

  #count(place: number): number {
    return this.#counts[this.#word[place] as number] as number;
  }

  #pairOf(place: number, after: number): number {
    const left = this.#ids[place] as number;
    const right = this.#ids[after] as number;
    const known = this.#pairs.find(left, right);
    if (known !== undefined) return known;
    const { texts, lengths } = this.#symbols;
    const text = (texts[left] as string) + (texts[right] as string);
    const length = (lengths[left] as number) + (lengths[right] as number);
    return this.#task.isValid(text, length)
      ? this.#pairs.add(left, right, text, length)
      : this.#pairs.refuse(left, right);
  }

  #pushRisen(): void {
    for (const pair of this.#risen) this.#heap.push(pair);
    this.#risen.clear();
  }

  async #readWords(pace: Pace): Promise<void> {
    const ids: number[] = [];
    const ends: number[] = [];
    for (const [parts, count] of this.#task.words) {
      for (const part of parts) ids.push(this.#symbols.of(part));
      ends.push(ids.length);
      this.#counts.push(count);
      if (ends.length % WORDS_A_TURN === 0 && pace.due()) await pace.rest("counting");
    }
    this.#ids = Int32Array.from(ids);
    this.#next = new Int32Array(ids.length);
    this.#previous = new Int32Array(ids.length);
    this.#word = new Int32Array(ids.length);
    this.#overlaps = new Uint8Array(ids.length);
    let begin = 0;
    ends.forEach((end, word) => {
      for (let place = begin; place < end; place++) {
        this.#word[place] = word;
        this.#previous[place] = place === begin ? NONE : place - 1;
        this.#next[place] = place === end - 1 ? NONE : place + 1;
      }
      begin = end;
    });
  }
}

/** Texts by id, and the number of parts they began as. */
class Symbols {
  readonly texts: string[] = [];
  readonly lengths: number[] = [];
  readonly #parts = new Map<string, number>();

  /** The id of a part. */
  of(part: string): number {
    const known = this.#parts.get(part);
    if (known !== undefined) return known;
    const id = this.add(part, 1);
    this.#parts.set(part, id);
    return id;
  }

  add(text: string, length: number): number {
    this.lengths.push(length);
    return this.texts.push(text) - 1;
  }
}

/** Pairs of symbols: what they read together, how often and where they are neighbours. */
class Pairs {
  readonly left: number[] = [];
  readonly right: number[] = [];
  readonly texts: string[] = [];
  readonly lengths: number[] = [];
  readonly counts: number[] = [];
  /** Places of the left symbol, those among them where it was merged otherwise since. */
  readonly places: number[][] = [];
  readonly #index = new Map<number, number>();

  /** Undefined for a pair not seen before, NONE for one that is no valid piece. */
  find(left: number, right: number): number | undefined {
    return this.#index.get(left * MAX_SYMBOLS + right);
  }

  add(left: number, right: number, text: string, length: number): number {
    const pair = this.left.push(left) - 1;
    this.right.push(right);
    this.texts.push(text);
    this.lengths.push(length);
    this.counts.push(0);
    this.places.push([]);
    this.#index.set(left * MAX_SYMBOLS + right, pair);
    return pair;
  }

  refuse(left: number, right: number): number {
    this.#index.set(left * MAX_SYMBOLS + right, NONE);
    return NONE;
  }
}

/** Pairs by frequency. A pair that has become rarer is put back where it belongs when it comes to the top. */
class PairHeap {
  readonly #pairs: Pairs;
  readonly #items: number[] = [];
  /** The count that each item was put in with. */
  readonly #keys: number[] = [];

  constructor(pairs: Pairs) {
    this.#pairs = pairs;
  }

  push(pair: number): void {
    const key = this.#pairs.counts[pair] as number;
    if (key <= 0) return;
    let i = this.#items.length;
    while (i > 0) {
      const parent = (i - 1) >> 1;
      if (!this.#isBefore(pair, key, parent)) break;
      this.#set(i, this.#items[parent] as number, this.#keys[parent] as number);
      i = parent;
    }
    this.#set(i, pair, key);
  }

  /** Takes out the first pair; NONE if there is none. */
  pop(): number {
    while (this.#items.length > 0) {
      const pair = this.#items[0] as number;
      const key = this.#keys[0] as number;
      this.#removeFirst();
      const count = this.#pairs.counts[pair] as number;
      if (count === key) return pair;
      // An item of a lower count that the pair had before it rose is met later, and passed over.
      if (count < key) this.push(pair);
    }
    return NONE;
  }

  #removeFirst(): void {
    const pair = this.#items.pop() as number;
    const key = this.#keys.pop() as number;
    const n = this.#items.length;
    if (n === 0) return;
    let i = 0;
    for (let child = 1; child < n; child = 2 * i + 1) {
      if (
        child + 1 < n &&
        this.#isBefore(this.#items[child + 1] as number, this.#keys[child + 1] as number, child)
      )
        child++;
      if (!this.#isAfter(pair, key, child)) break;
      this.#set(i, this.#items[child] as number, this.#keys[child] as number);
      i = child;
    }
    this.#set(i, pair, key);
  }

  #set(i: number, pair: number, key: number): void {
    this.#items[i] = pair;
    this.#keys[i] = key;
  }

  #isBefore(pair: number, key: number, i: number): boolean {
    return this.#compare(pair, key, i) < 0;
  }

  #isAfter(pair: number, key: number, i: number): boolean {
    return this.#compare(pair, key, i) > 0;
  }

  #compare(pair: number, key: number, i: number): number {
    const other = this.#items[i] as number;
    const { lengths, texts } = this.#pairs;
    return (
      (this.#keys[i] as number) - key ||
      (lengths[pair] as number) - (lengths[other] as number) ||
      compareCodePoints(texts[pair] as string, texts[other] as string)
    );
  }
}
