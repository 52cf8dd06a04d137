// Trains SentencePiece models, unigram or BPE.
import { TokenizerError, UsageError } from "../../../util/errors.ts";
import { learnMerges } from "../bpe/merge_learner.ts";
import {
  type SentencePieceOptions,
  type SentencePieceSpec,
  sentencePieceSpec,
  type TrainedTokenizer,
} from "../options.ts";
import { Pace } from "../pace.ts";
import { type Alphabet, chooseAlphabet, countWords } from "../text/corpus.ts";
import { TrainingNormalizer } from "../text/training_normalizer.ts";
import type { WeightedPiece } from "../unigram/seeds.ts";
import { learnUnigram } from "../unigram/unigram_trainer.ts";
import { PieceRules } from "./piece_rules.ts";
import { specialPieces } from "./special_pieces.ts";
import { spmFile } from "./spm_writer.ts";

/**
 * Trains a SentencePiece model.
 * @throws UsageError for wrong settings; TokenizerError for a corpus that they do not fit; the signal's reason
 */
export async function trainSentencePiece(options: SentencePieceOptions): Promise<TrainedTokenizer> {
  const spec = sentencePieceSpec(options);
  const specials = specialPieces(spec);
  if (specials.size > spec.vocabSize) {
    throw new UsageError(
      `Cannot train: Expected vocabSize to be at least ${specials.size}, the number of special tokens, got ${spec.vocabSize}`,
    );
  }
  const pace = new Pace(options.signal, options.onProgress);
  await pace.rest("reading");
  const texts = Array.from(specials.values(), ({ text }) => text);
  const normalizer = new TrainingNormalizer(spec);
  const { words, skipped } = await countWords(options.corpus, spec, normalizer, texts, pace);
  const alphabet = chooseAlphabet(words, spec, texts);
  const size = spec.vocabSize - specials.size;
  checkAlphabet(alphabet, spec, specials.size);
  const taken = new Set(texts);
  const pieces = (await learn(alphabet, spec, size, pace)).filter(([piece]) => !taken.has(piece));
  const vocabSize = specials.size + pieces.length;
  checkSize(vocabSize, spec, Math.max(...specials.keys()));
  await pace.rest("writing");
  return { bytes: spmFile(spec, specials, pieces, normalizer.charsmap), vocabSize, skipped };
}

function learn(
  alphabet: Alphabet,
  spec: SentencePieceSpec,
  size: number,
  pace: Pace,
): Promise<WeightedPiece[]> | WeightedPiece[] {
  return spec.modelType === "bpe"
    ? learnBpe(alphabet, spec, size, pace)
    : learnUnigram(alphabet, spec, size, pace);
}

/** Merges, then characters; the score is minus the rank. */
async function learnBpe(
  { words, required }: Alphabet,
  spec: SentencePieceSpec,
  size: number,
  pace: Pace,
): Promise<WeightedPiece[]> {
  const rules = new PieceRules(spec);
  const merges = await learnMerges(
    {
      words: splitCharacters(words),
      limit: size - required.length,
      isValid: (text, n) => n <= spec.maxPieceLength && rules.isValid(Array.from(text)),
      mergeKnown: false,
      learnPast: true,
    },
    pace,
  );
  return [...merges, ...required.map(([character]) => character)].map((piece, i) => [
    piece,
    i === 0 ? 0 : -i,
  ]);
}

function* splitCharacters(words: Alphabet["words"]): Generator<[string[], number]> {
  for (const [word, n] of words) yield [Array.from(word), n];
}

function checkAlphabet({ required }: Alphabet, spec: SentencePieceSpec, specials: number): void {
  const least = required.length + specials;
  if (least <= spec.vocabSize) return;
  throw new TokenizerError(
    `Cannot train: Expected vocabSize to be at least ${least} (${required.length} characters and ${specials} special ` +
      `tokens), got ${spec.vocabSize}; a lower characterCoverage needs fewer characters`,
  );
}

function checkSize(vocabSize: number, spec: SentencePieceSpec, lastSpecial: number): void {
  if (lastSpecial >= vocabSize) {
    throw new UsageError(
      `Cannot train: Expected the ids of special tokens to be below ${vocabSize}, the vocabulary's size, got ${lastSpecial}`,
    );
  }
  if (vocabSize === spec.vocabSize || !spec.hardVocabLimit) return;
  throw new TokenizerError(
    `Cannot train: Expected vocabSize to be at most ${vocabSize}, which is all that the corpus gives, got ${spec.vocabSize}`,
  );
}
