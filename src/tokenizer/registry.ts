// Builds the tokenizer of a vocabulary, whichever kind it is.
import { UnsupportedError } from "../util/errors.ts";
import { ByteBpeTokenizer } from "./byte_level/byte_bpe.ts";
import type { Tokenizer } from "./core/tokenizer.ts";
import type { ByteBpeData, SentencePieceData } from "./core/vocabulary_data.ts";
import type { HuggingFaceData } from "./huggingface/data.ts";
import { jsonKind } from "./json_kind.ts";
import { SentencePieceTokenizer } from "./sentencepiece/sentencepiece.ts";

/** A vocabulary as a reader returns it; `kind` says which. */
export type TokenizerData = SentencePieceData | ByteBpeData | HuggingFaceData;

/** How each kind is built. The casts are sound: a builder gets data of its own kind. */
const builders: Record<TokenizerData["kind"], (data: TokenizerData) => Tokenizer> = {
  "spm-bpe": (data) => new SentencePieceTokenizer(data as SentencePieceData),
  "spm-unigram": (data) => new SentencePieceTokenizer(data as SentencePieceData),
  "spm-word": (data) => new SentencePieceTokenizer(data as SentencePieceData),
  "spm-char": (data) => new SentencePieceTokenizer(data as SentencePieceData),
  "byte-bpe": (data) => new ByteBpeTokenizer(data as ByteBpeData),
  huggingface: (data) => jsonKind("tokenizer.json").build(data as HuggingFaceData),
};

/**
 * The tokenizer of a vocabulary.
 * @throws FormatError if the data contradict themselves: no pieces or too many; scores or types of
 *   another length; a NaN score, an unknown type; BOS, EOS or unknown ids outside the vocabulary, or none
 *   if they are to be added; a byte token that is not "<0x00>" to "<0xFF>"; neither byte tokens nor an
 *   unknown token
 * @throws UnsupportedError for a `kind` or a pre-tokenizer that is not known
 */
export function createTokenizer(data: TokenizerData): Tokenizer {
  if (!Object.hasOwn(builders, data.kind)) {
    throw new UnsupportedError(
      `Cannot build tokenizer: Expected one of ${Object.keys(builders).join(", ")}, got ${data.kind}`,
    );
  }
  return builders[data.kind](data);
}
