// Trains a tokenizer from a text.
import { trainByteBpe } from "./bpe/byte_bpe_trainer.ts";
import { checkTrainOptions } from "./check_options.ts";
import type { TrainedTokenizer, TrainOptions } from "./options.ts";
import { trainSentencePiece } from "./spm/spm_trainer.ts";

/**
 * Trains a tokenizer from a text: "unigram" and "bpe" make a SentencePiece model, "byte-bpe" a tiktoken rank
 * file. The text is read once, part by part; memory holds its different words. The same text and settings
 * give the same bytes in every runtime.
 *
 * ```ts
 * const { bytes } = await trainTokenizer({ modelType: "bpe", vocabSize: 20, corpus: ["a text\nof lines\n"] });
 * const tokenizer = await Tokenizer.load(bytes);
 * ```
 *
 * @throws UsageError for an unknown setting or one outside of its interval; UnsupportedError for an unknown pattern;
 *   TokenizerError for a corpus that is empty, has too many different words, or does not fit `vocabSize`; the
 *   signal's reason
 */
export async function trainTokenizer(options: TrainOptions): Promise<TrainedTokenizer> {
  checkTrainOptions(options);
  return options.modelType === "byte-bpe" ? trainByteBpe(options) : trainSentencePiece(options);
}
