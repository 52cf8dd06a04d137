// Writes a SentencePiece model file.
import { TokenType } from "../../core/vocabulary_data.ts";
import type { SentencePieceSpec } from "../options.ts";
import type { WeightedPiece } from "../unigram/seeds.ts";
import { MessageWriter } from "./message_writer.ts";
import { BOS, EOS, PAD, type SpecialPiece, UNK } from "./special_pieces.ts";

/** TrainerSpec.ModelType. */
const MODEL_TYPE = { unigram: 1, bpe: 2 } as const;

/** What the unknown token reads as when it is decoded. */
const UNK_SURFACE = " \u2047 ";

/** Threads of the trainer: with another number, SentencePiece's sums are rounded otherwise. */
const THREADS = 1;

/**
 * A SentencePiece model file: a ModelProto with the pieces, how they were trained, and how text is normalized.
 *
 * Source: google/sentencepiece, src/sentencepiece_model.proto.
 * @param specials pieces by id; the learned ones take the ids between
 * @param charsmap compiled normalization rules
 */
export function spmFile(
  spec: SentencePieceSpec,
  specials: ReadonlyMap<number, SpecialPiece>,
  learned: readonly WeightedPiece[],
  charsmap: Uint8Array,
): Uint8Array<ArrayBuffer> {
  const model = new MessageWriter();
  const size = specials.size + learned.length;
  let next = 0;
  for (let id = 0; id < size; id++) {
    const special = specials.get(id);
    model.message(1, special ? specialMessage(special) : learnedMessage(learned[next++] as WeightedPiece));
  }
  model.message(2, trainerSpec(spec, size));
  model.message(3, normalizerSpec(spec, charsmap));
  return model.bytes();
}

function specialMessage({ text, type }: SpecialPiece): MessageWriter {
  const piece = new MessageWriter();
  piece.text(1, text);
  piece.float(2, 0);
  piece.integer(3, type);
  return piece;
}

function learnedMessage([text, score]: WeightedPiece): MessageWriter {
  const piece = new MessageWriter();
  piece.text(1, text);
  piece.float(2, score);
  piece.integer(3, TokenType.normal);
  return piece;
}

function trainerSpec(spec: SentencePieceSpec, vocabSize: number): MessageWriter {
  const message = new MessageWriter();
  message.integer(3, MODEL_TYPE[spec.modelType]);
  message.integer(4, vocabSize);
  message.float(10, spec.characterCoverage);
  message.integer(14, spec.seedSize);
  message.float(15, spec.shrinkingFactor);
  message.integer(16, THREADS);
  message.integer(17, spec.subIterations);
  message.integer(18, spec.maxSentenceLength);
  message.integer(20, spec.maxPieceLength);
  message.bool(21, spec.splitByUnicodeScript);
  message.bool(22, spec.splitByWhitespace);
  message.bool(23, spec.splitByNumber);
  message.bool(24, false);
  message.bool(25, spec.splitDigits);
  message.bool(26, spec.allowWhitespaceOnlyPieces);
  for (const symbol of spec.controlSymbols) message.text(30, symbol);
  for (const symbol of spec.userDefinedSymbols) message.text(31, symbol);
  message.bool(33, spec.hardVocabLimit);
  message.bool(35, spec.byteFallback);
  message.text(36, spec.requiredChars);
  message.integer(40, spec.unkId);
  message.integer(41, spec.bosId);
  message.integer(42, spec.eosId);
  message.integer(43, spec.padId);
  message.text(44, UNK_SURFACE);
  message.text(45, UNK);
  message.text(46, BOS);
  message.text(47, EOS);
  message.text(48, PAD);
  return message;
}

function normalizerSpec(spec: SentencePieceSpec, charsmap: Uint8Array): MessageWriter {
  const message = new MessageWriter();
  message.text(1, spec.normalization);
  message.data(2, charsmap);
  message.bool(3, spec.addDummyPrefix);
  message.bool(4, spec.removeExtraWhitespaces);
  message.bool(5, true);
  return message;
}
