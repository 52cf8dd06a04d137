// Counts the words of a corpus, and chooses the characters that become pieces.
import { TokenizerError } from "../../../util/errors.ts";
import { SymbolMatcher } from "../../core/symbol_matcher.ts";
import { SPACE } from "../../sentencepiece/vocabulary.ts";
import type { Corpus, SentencePieceSpec, SkippedLines } from "../options.ts";
import type { Pace } from "../pace.ts";
import { BOUNDARY, RARE } from "../spm/piece_rules.ts";
import { addCount, detached, sortedByCount } from "./code_points.ts";
import { LineSplitter, textParts, utf8Length, withoutBroken } from "./lines.ts";
import type { TrainingNormalizer } from "./training_normalizer.ts";

/** Most different words that are counted: what a runtime's Map holds, with a margin. */
export const MAX_WORDS = 1 << 23;

/** Ends a word that ends a line. */
export const LINE_END = "\0";

/** A corpus as words and how often each occurs. */
export interface WordCounts {
  readonly words: Map<string, number>;
  readonly skipped: SkippedLines;
}

/**
 * Reads a corpus line by line, and counts its different words.
 * @param specials texts of special symbols, which nothing is learned from
 * @throws TokenizerError above {@link MAX_WORDS} different words, or if no text is left
 */
export async function countWords(
  corpus: Corpus,
  spec: SentencePieceSpec,
  normalizer: TrainingNormalizer,
  specials: readonly string[],
  pace: Pace,
): Promise<WordCounts> {
  const counter = new WordCounter(spec, normalizer, specials);
  const splitter = new LineSplitter(spec.maxSentenceLength);
  const consume = async (lines: Iterable<string>) => {
    for (const line of lines) {
      counter.add(line);
      if (pace.due()) await pace.rest("reading");
    }
  };
  for await (const part of textParts(corpus)) await consume(splitter.push(part));
  await consume(splitter.flush());
  const { words, skipped } = counter;
  if (words.size === 0)
    throw new TokenizerError(`Cannot train: Expected text to learn from, ${describe(skipped, spec)}`);
  return { words, skipped };
}

function describe({ tooLong, reserved }: SkippedLines, { maxSentenceLength }: SentencePieceSpec): string {
  if (tooLong + reserved === 0) return "the corpus has none";
  return `got ${tooLong} lines of more than ${maxSentenceLength} bytes and ${reserved} with U+2585 only`;
}

class WordCounter {
  readonly words = new Map<string, number>();
  readonly skipped = { tooLong: 0, reserved: 0 };
  readonly #spec: SentencePieceSpec;
  readonly #normalizer: TrainingNormalizer;
  readonly #specials: readonly string[];
  readonly #firstUnits: readonly string[];
  readonly #matcher: SymbolMatcher;

  constructor(spec: SentencePieceSpec, normalizer: TrainingNormalizer, specials: readonly string[]) {
    this.#spec = spec;
    this.#normalizer = normalizer;
    this.#specials = specials;
    this.#firstUnits = [...new Set(specials.map((text) => text.charAt(0)))];
    this.#matcher = new SymbolMatcher(specials.map((text, i) => [text, i]));
  }

  add(line: string): void {
    if (line === "") return;
    if (this.#isTooLong(line)) {
      this.skipped.tooLong++;
    } else if (line.includes(RARE)) {
      this.skipped.reserved++;
    } else {
      const text = withoutBroken(this.#normalizer.normalize(line)).replaceAll("\0", RARE);
      if (text !== "") this.#addText(this.#cutSpecials(text));
    }
  }

  #addText(text: string): void {
    // Whether a word ends its line tells how its ending continues, and so what the seeds of a unigram model are.
    const end = this.#spec.modelType === "unigram" ? LINE_END : "";
    const words = this.#split(text);
    words.forEach((word, i) => {
      countWord(this.words, i === words.length - 1 ? word + end : word);
    });
  }

  #isTooLong(line: string): boolean {
    const { maxSentenceLength } = this.#spec;
    if (line.length * 3 <= maxSentenceLength) return false;
    return line.length > maxSentenceLength || utf8Length(line) > maxSentenceLength;
  }

  #cutSpecials(text: string): string {
    // Special symbols are rare, and finding them takes longer than all the rest.
    if (!this.#firstUnits.some((unit) => text.includes(unit))) return text;
    const found = this.#matcher.match(text);
    let result = "";
    for (let i = 0; i < text.length; ) {
      const special = this.#specials[found[i] as number];
      result += special === undefined ? text[i] : BOUNDARY;
      i += special?.length ?? 1;
    }
    return result;
  }

  /** Words begin with their space; with whitespace-only pieces, with all spaces before them. */
  #split(text: string): string[] {
    const { splitByWhitespace, allowWhitespaceOnlyPieces } = this.#spec;
    if (!splitByWhitespace) return [text];
    const words: string[] = [];
    let begin = 0;
    for (let i = 1; i < text.length; i++) {
      if (text[i] !== SPACE || (allowWhitespaceOnlyPieces && text[i - 1] === SPACE)) continue;
      words.push(text.slice(begin, i));
      begin = i;
    }
    words.push(text.slice(begin));
    return words;
  }
}

/** Counts a word once more. @throws TokenizerError above {@link MAX_WORDS} different ones */
export function countWord(words: Map<string, number>, word: string): void {
  const count = words.get(word);
  if (count !== undefined) {
    words.set(word, count + 1);
    return;
  }
  if (words.size >= MAX_WORDS) {
    throw new TokenizerError(
      `Cannot train: Expected at most ${MAX_WORDS} different words, the corpus has more; take a part of it`,
    );
  }
  words.set(detached(word), 1);
}

/** Characters that must be pieces, most frequent first, and words in which all others are {@link RARE}. */
export interface Alphabet {
  readonly required: readonly [character: string, count: number][];
  readonly words: Map<string, number>;
}

/**
 * Chooses the characters that become pieces: the most frequent ones, up to a share of the text.
 *
 * Source: google/sentencepiece, trainer_interface.cc (LoadSentences).
 * @param specials characters that are special symbols by themselves, and so no pieces
 */
export function chooseAlphabet(
  counted: ReadonlyMap<string, number>,
  spec: SentencePieceSpec,
  specials: readonly string[],
): Alphabet {
  const counts = new Map<string, number>();
  let all = 0;
  for (const [word, n] of counted) {
    for (const character of word) {
      if (character === LINE_END || character === RARE) continue;
      addCount(counts, character, n);
      all += n;
    }
  }
  const required = requiredCharacters(counts, all, spec).filter(
    ([character]) => !specials.includes(character),
  );
  const known = new Set(required.map(([character]) => character));
  return { required, words: replaceRare(counted, known) };
}

function requiredCharacters(
  counts: Map<string, number>,
  all: number,
  { requiredChars, characterCoverage }: SentencePieceSpec,
): [string, number][] {
  const wanted = new Set(Array.from(requiredChars).filter((character) => !"\0 \t\u2585".includes(character)));
  for (const character of wanted) addCount(counts, character, 0);
  const sorted = sortedByCount(counts);
  const first = sorted.filter(([character]) => wanted.has(character));
  const others = sorted.filter(([character]) => !wanted.has(character));
  const chosen: [string, number][] = [];
  let covered = 0;
  for (const entry of [...first, ...others]) {
    // In single precision, as SentencePiece compares.
    if (!wanted.has(entry[0]) && Math.fround(covered / all) >= Math.fround(characterCoverage)) break;
    covered += entry[1];
    if (entry[0] !== BOUNDARY) chosen.push(entry);
  }
  return sortedByCount(chosen);
}

function replaceRare(words: ReadonlyMap<string, number>, known: ReadonlySet<string>): Map<string, number> {
  const replaced = new Map<string, number>();
  for (const [word, n] of words) {
    let result = "";
    for (const character of word) result += character === LINE_END || known.has(character) ? character : RARE;
    addCount(replaced, result, n);
  }
  return replaced;
}
