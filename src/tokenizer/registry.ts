import { UnsupportedError } from "../util/errors.ts";
import { SentencePieceTokenizer } from "./sentencepiece.ts";
import type { Tokenizer, TokenizerData } from "./tokenizer.ts";

const builders: Record<TokenizerData["kind"], (data: TokenizerData) => Tokenizer> = {
  "spm-bpe": (data) => new SentencePieceTokenizer(data),
};

/**
 * The tokenizer of a vocabulary.
 * @throws FormatError where the data contradict themselves: no pieces or too many; scores or types of
 *   another length; a NaN score, an unknown type; BOS, EOS or unknown ids outside the vocabulary, or none
 *   where they are to be added; a byte token that is not "<0x00>" to "<0xFF>"; neither byte tokens nor an
 *   unknown token
 * @throws UnsupportedError for a `kind` that is not known
 */
export function createTokenizer(data: TokenizerData): Tokenizer {
  if (!Object.hasOwn(builders, data.kind)) {
    throw new UnsupportedError(
      `Cannot build tokenizer: Expected one of ${Object.keys(builders).join(", ")}, got ${data.kind}`,
    );
  }
  return builders[data.kind](data);
}
