/**
 * Training of tokenizers:
 *
 * ```ts
 * import { Tokenizer } from "cria/tokenizer";
 * import { trainTokenizer } from "cria/tokenizer/train";
 *
 * const corpus = ["Once upon a time there was a king.\n"];
 * const { bytes } = await trainTokenizer({ modelType: "byte-bpe", vocabSize: 260, corpus });
 * const tokenizer = await Tokenizer.load(bytes);
 * ```
 *
 * @module
 */

export type {
  ByteBpeOptions,
  Corpus,
  ModelType,
  Normalization,
  SentencePieceOptions,
  SkippedLines,
  TrainedTokenizer,
  TrainOptions,
  TrainProgress,
} from "./tokenizer/train/options.ts";
export { trainTokenizer } from "./tokenizer/train/train.ts";
export { CriaError, type ErrorCode, TokenizerError, UnsupportedError, UsageError } from "./util/errors.ts";
