// Learns the pieces of a unigram language model by expectation and maximization.
import type { SentencePieceSpec } from "../options.ts";
import type { Pace } from "../pace.ts";
import { addCount, sortedByCount } from "../text/code_points.ts";
import { type Alphabet, LINE_END } from "../text/corpus.ts";
import { PieceTrie } from "./character_trie.ts";
import { digamma, log } from "./exact_math.ts";
import { Lattice } from "./lattice.ts";
import { seedPieces, type WeightedPiece } from "./seeds.ts";

/** Pieces expected less often than this are dropped. */
const LEAST_EXPECTED = 0.5;

/** Pruning stops at this many times the vocabulary, and the best pieces are taken of what is left. */
const SPARE = 1.1;

/** Pieces that must be there but were dropped differ by this much in score, so that no two are equal. */
const SCORE_STEP = Math.fround(0.0001);

/** Words between two looks at the clock. */
const WORDS_A_TURN = 64;

/**
 * Learns a unigram language model: from very many pieces, those that explain the text worst are dropped, round
 * by round, and the probabilities of the rest are estimated anew by expectation and maximization.
 *
 * Sources: Kudo, "Subword regularization: improving neural network translation models with multiple subword
 * candidates", ACL 2018; google/sentencepiece, unigram_model_trainer.cc; the maximization with a sparse
 * prior by the digamma function: Liang and Klein, "Structured Bayesian nonparametric models with
 * variational inference", ACL 2007 tutorial.
 * @param size pieces to learn, characters among them
 * @returns pieces and their log probabilities, best first; fewer than `size` if the corpus has no more
 */
export async function learnUnigram(
  alphabet: Alphabet,
  spec: SentencePieceSpec,
  size: number,
  pace: Pace,
): Promise<WeightedPiece[]> {
  const seeds = await seedPieces(alphabet.words, spec, pace);
  const trainer = new UnigramTrainer(alphabet, spec, toLogProbabilities(seeds), pace);
  await trainer.train();
  return trainer.finalPieces(size);
}

/** In single precision, as SentencePiece. */
function toLogProbabilities(pieces: readonly WeightedPiece[]): WeightedPiece[] {
  let sum = 0;
  for (const [, weight] of pieces) sum = Math.fround(sum + Math.fround(weight));
  const logSum = Math.fround(log(sum));
  return pieces.map(([piece, weight]) => [piece, Math.fround(log(Math.fround(weight)) - logSum)]);
}

class UnigramTrainer {
  readonly #spec: SentencePieceSpec;
  readonly #required: Alphabet["required"];
  readonly #words: Words;
  readonly #pace: Pace;
  readonly #target: number;
  readonly #seedCount: number;
  #pieces: WeightedPiece[];

  constructor(alphabet: Alphabet, spec: SentencePieceSpec, pieces: WeightedPiece[], pace: Pace) {
    this.#spec = spec;
    this.#required = alphabet.required;
    this.#words = new Words(alphabet.words);
    this.#pieces = pieces;
    this.#seedCount = pieces.length;
    this.#target = Math.trunc(spec.vocabSize * SPARE);
    this.#pace = pace;
  }

  async train(): Promise<void> {
    for (;;) {
      for (let i = 0; i < this.#spec.subIterations; i++) {
        const expected = await this.#expect();
        this.#pieces = this.#maximize(expected);
      }
      if (this.#pieces.length <= this.#target) return;
      const before = this.#pieces.length;
      this.#pieces = await this.#prune();
      // Nothing more can be dropped: every piece left is the only way to write something.
      if (this.#pieces.length === before) return;
    }
  }

  /** The required characters, and the best pieces besides. */
  finalPieces(size: number): WeightedPiece[] {
    const scores = new Map(this.#pieces);
    const least = leastScore(this.#pieces);
    const final = new Map<string, number>();
    let penalty = 0;
    for (const [character] of this.#required) {
      const score = scores.get(character);
      final.set(character, score ?? Math.fround(least + penalty));
      if (score === undefined) penalty = Math.fround(penalty + SCORE_STEP);
    }
    for (const [piece, score] of sortedByCount(this.#pieces)) {
      if (final.size >= size) break;
      if (!final.has(piece)) final.set(piece, score);
    }
    return sortedByCount(final);
  }

  /** How often each piece is expected in the corpus, by the current probabilities. */
  async #expect(): Promise<Float32Array> {
    const expected = new Float32Array(this.#pieces.length);
    await this.#forEachWord((lattice, count) => lattice.addExpected(count, expected));
    return expected;
  }

  #maximize(expected: Float32Array): WeightedPiece[] {
    const kept: WeightedPiece[] = [];
    let sum = 0;
    for (const [i, [piece]] of this.#pieces.entries()) {
      const frequency = expected[i] as number;
      if (frequency < LEAST_EXPECTED) continue;
      kept.push([piece, frequency]);
      sum = Math.fround(sum + frequency);
    }
    const logSum = Math.fround(digamma(sum));
    return kept.map(([piece, frequency]) => [piece, Math.fround(digamma(frequency) - logSum)]);
  }

  /** Drops the pieces without which the text becomes the least improbable. */
  async #prune(): Promise<WeightedPiece[]> {
    const alternatives = await this.#alternatives();
    const usage = await this.#usage();
    const kept: WeightedPiece[] = [];
    const candidates: [piece: number, loss: number][] = [];
    for (const [i, entry] of this.#pieces.entries()) {
      const alternative = alternatives[i];
      // Not used by the best way to write any word, or written better as other pieces.
      if (usage.frequencies[i] === 0 || alternative === undefined) continue;
      if (alternative.length === 0) kept.push(entry);
      else candidates.push([i, loss(i, alternative, usage)]);
    }
    candidates.sort(([i, a], [j, b]) => b - a || i - j);
    const shrunk = Math.trunc(Math.fround(Math.fround(this.#spec.shrinkingFactor) * this.#pieces.length));
    const room = Math.max(this.#target, shrunk) - kept.length;
    const best = candidates.slice(0, Math.max(0, room));
    return [...kept, ...best.map(([i]) => this.#pieces[i] as WeightedPiece)];
  }

  /**
   * By piece, the best way to write it as other pieces: none if it is the only way, undefined if that
   * is better than the piece itself.
   */
  async #alternatives(): Promise<(readonly number[] | undefined)[]> {
    const lattice = this.#lattice();
    const found: (readonly number[] | undefined)[] = [];
    for (const [i, [piece]] of this.#pieces.entries()) {
      if (i % WORDS_A_TURN === 0 && this.#pace.due()) await this.#rest();
      lattice.set(this.#words.encode(piece));
      const [first = [], second = []] = lattice.twoBest();
      found.push(first.length > 1 ? undefined : second);
    }
    return found;
  }

  /** How the best way to write each word uses the pieces. */
  async #usage(): Promise<Usage> {
    const frequencies = new Float32Array(this.#pieces.length);
    let total = 0;
    await this.#forEachWord((lattice, count) => {
      total = Math.fround(total + count);
      for (const piece of lattice.best()) frequencies[piece] = (frequencies[piece] as number) + count;
    });
    const sum = frequencies.reduce((all, frequency) => all + frequency, 0);
    return { frequencies, sum: Math.fround(sum), total };
  }

  async #forEachWord(use: (lattice: Lattice, count: number) => void): Promise<void> {
    const lattice = this.#lattice();
    const { counts } = this.#words;
    for (let i = 0; i < counts.length; i++) {
      if (i % WORDS_A_TURN === 0 && this.#pace.due()) await this.#rest();
      lattice.set(this.#words.word(i));
      use(lattice, counts[i] as number);
    }
  }

  /** The current pieces, ready to write words. */
  #lattice(): Lattice {
    const trie = new PieceTrie(this.#pieces.map(([piece]) => this.#words.encode(piece)));
    const scores = Float32Array.from(this.#pieces, ([, score]) => score);
    return new Lattice(trie, scores);
  }

  /** Every round keeps a fixed share of the pieces, so the number of rounds is known by their logarithm. */
  #rest(): Promise<void> {
    const seedCount = this.#seedCount;
    const target = this.#target;
    const rounds = (n: number) => log(Math.max(1, n / target));
    const all = rounds(seedCount);
    return this.#pace.rest("pruning", all === 0 ? undefined : 1 - rounds(this.#pieces.length) / all);
  }
}

/** How often pieces are used by the best ways to write the words. */
interface Usage {
  /** By piece. */
  readonly frequencies: Float32Array;
  /** Of all pieces. */
  readonly sum: number;
  /** How often all words occur. */
  readonly total: number;
}

/** How much less probable the corpus becomes when a piece is written as its alternative, about. */
function loss(piece: number, alternative: readonly number[], { frequencies, sum, total }: Usage): number {
  const frequency = frequencies[piece] as number;
  const share = Math.fround(frequency / total);
  const logProbability = Math.fround(log(frequency) - Math.fround(log(sum)));
  // The number of all pieces; the paper has that of the alternative's: SentencePiece prunes so.
  const added = Math.fround(frequency * (frequencies.length - 1));
  const logSum = Math.fround(log(Math.fround(sum + added)));
  let logAlternative = 0;
  for (const other of alternative) {
    const gained = Math.fround((frequencies[other] as number) + frequency);
    logAlternative = Math.fround(logAlternative + (log(gained) - logSum));
  }
  return Math.fround(share * Math.fround(logProbability - logAlternative));
}

function leastScore(pieces: readonly WeightedPiece[]): number {
  if (pieces.length === 0) return 0;
  return pieces.reduce((least, [, score]) => Math.min(least, score), Number.POSITIVE_INFINITY);
}

/** The different words, the most frequent first, as numbers of their characters. */
class Words {
  /** How often each occurs. */
  readonly counts: Float64Array;
  readonly #characters = new Map<string, number>();
  /** The words one after the other; word i begins at begins[i]. */
  readonly #text: Int32Array;
  readonly #begins: Int32Array;

  constructor(counted: Alphabet["words"]) {
    const words = new Map<string, number>();
    for (const [word, n] of counted) addCount(words, word.endsWith(LINE_END) ? word.slice(0, -1) : word, n);
    const sorted = sortedByCount(words);
    this.counts = Float64Array.from(sorted, ([, count]) => count);
    this.#begins = new Int32Array(sorted.length + 1);
    const text = new Int32Array(sorted.reduce((sum, [word]) => sum + word.length, 0));
    let end = 0;
    for (const [i, [word]] of sorted.entries()) {
      for (const character of word) text[end++] = this.#number(character);
      this.#begins[i + 1] = end;
    }
    this.#text = text;
  }

  word(i: number): Int32Array {
    return this.#text.subarray(this.#begins[i] as number, this.#begins[i + 1] as number);
  }

  /** A piece as numbers of its characters. */
  encode(piece: string): Int32Array {
    return Int32Array.from(Array.from(piece), (character) => this.#number(character));
  }

  #number(character: string): number {
    let number = this.#characters.get(character);
    if (number === undefined) {
      number = this.#characters.size;
      this.#characters.set(character, number);
    }
    return number;
  }
}
