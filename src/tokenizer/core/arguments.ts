// Checks the arguments of tokenizers: a wrong type or an unknown option is a UsageError.

import { describeValue } from "../../util/describe.ts";
import { UsageError } from "../../util/errors.ts";
import { checkBoolean, checkOptions, type OptionNames } from "../../util/options.ts";
import { checkPlain } from "./plain_parts.ts";
import type { DecodeOptions, EncodeOptions, TokenStreamOptions } from "./tokenizer.ts";

const encodeNames: OptionNames<EncodeOptions> = { bos: true, eos: true, special: true, plain: true };
const decodeNames: OptionNames<DecodeOptions> = { special: true };
const streamNames: OptionNames<TokenStreamOptions> = { special: true, afterText: true };

/** @throws UsageError for what is no text, an unknown option or one that is no boolean */
export function checkEncode(text: unknown, options: EncodeOptions | undefined): void {
  if (typeof text !== "string") {
    throw new UsageError(`Cannot encode: Expected a text, got ${describeValue(text)}`);
  }
  if (options === undefined) return;
  checkOptions("encode", options, encodeNames);
  checkBoolean("encode", "bos", options.bos);
  checkBoolean("encode", "eos", options.eos);
  checkBoolean("encode", "special", options.special);
  checkPlain(options.plain, text.length);
}

/** @throws UsageError for what is no list of ids, an unknown option or one that is no boolean */
export function checkDecode(ids: unknown, options: DecodeOptions | undefined): void {
  if (typeof ids !== "object" || ids === null || !Number.isInteger((ids as ArrayLike<number>).length)) {
    throw new UsageError(`Cannot decode: Expected an array of ids, got ${describeValue(ids)}`);
  }
  checkDecodeOptions(options);
}

/** @throws UsageError for an unknown option or one that is no boolean */
export function checkDecodeOptions(options: DecodeOptions | undefined): void {
  if (options === undefined) return;
  checkOptions("decode", options, decodeNames);
  checkBoolean("decode", "special", options.special);
}

/** @throws UsageError for an unknown option or one that is no boolean */
export function checkStreamOptions(options: TokenStreamOptions | undefined): void {
  if (options === undefined) return;
  checkOptions("stream", options, streamNames);
  checkBoolean("stream", "special", options.special);
  checkBoolean("stream", "afterText", options.afterText);
}
