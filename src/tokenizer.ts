/**
 * cria's tokenizers alone, without the engine. Training has a door of its own, `cria/tokenizer/train`.
 *
 * ```ts
 * import { Tokenizer } from "cria/tokenizer";
 *
 * const tokenizer = await Tokenizer.load("tokenizer.model");
 * tokenizer.encode("Once upon a time");
 * ```
 *
 * @module
 */

import { loadTokenizer } from "./format/tokenizer_file.ts";
import { detectRuntime } from "./runtime/detect.ts";
import type { SourceLike, SourceOptions } from "./source/options.ts";
import { sourceNames } from "./source/options.ts";
import type { Tokenizer as TokenizerInterface } from "./tokenizer/core/tokenizer.ts";
import { huggingFaceKind } from "./tokenizer/huggingface/kind.ts";
import { provideJsonKind } from "./tokenizer/json_kind.ts";
import { checkOptions, checkSignal, type OptionNames, wrongOption } from "./util/options.ts";

export type { HttpOptions } from "./source/http/http_options.ts";
export type { SourceLike, SourceOptions } from "./source/options.ts";
export type {
  DecodeOptions,
  EncodeOptions,
  TokenOffsets,
  TokenStream,
  TokenStreamOptions,
} from "./tokenizer/core/tokenizer.ts";
export {
  CriaError,
  type ErrorCode,
  FormatError,
  SourceError,
  TokenizerError,
  UnsupportedError,
  UsageError,
} from "./util/errors.ts";

/** Options of `Tokenizer.load`. Unknown ones are UsageErrors. */
export interface TokenizerLoadOptions extends SourceOptions {
  /**
   * How the texts of a tiktoken rank file are split: a name such as "gpt-2", "cl100k_base" or "qwen2" (an unknown
   * one is an error that lists all). Default: what the file is known for, else "llama-bpe". An error with other files,
   * which say it themselves.
   */
  pattern?: string | undefined;
  /** Gives the loading up. */
  signal?: AbortSignal | undefined;
}

const loadNames: OptionNames<TokenizerLoadOptions> = { ...sourceNames, pattern: true, signal: true };

/** Text to ids and back. */
export type Tokenizer = TokenizerInterface;

/** Loads tokenizers alone, from a tokenizer file or from a model file that carries one. */
export const Tokenizer: {
  /** @throws SourceError, FormatError, UnsupportedError, TokenizerError, UsageError; the signal's reason */
  load(source: SourceLike, options?: TokenizerLoadOptions): Promise<Tokenizer>;
} = /* @__PURE__ */ withJsonKind({
  load: async (source: SourceLike, options: TokenizerLoadOptions = {}): Promise<Tokenizer> => {
    checkOptions("load the tokenizer", options, loadNames);
    const { pattern, signal } = options;
    checkSignal("load the tokenizer", signal);
    if (pattern !== undefined && typeof pattern !== "string") {
      throw wrongOption("load the tokenizer", "pattern", "a name", pattern);
    }
    return (await loadTokenizer(source, detectRuntime(), options)).tokenizer;
  },
});

// Bundlers take the call for pure. So it goes, with all code for tokenizer.json, from a bundle in which nothing uses
// `Tokenizer`.
function withJsonKind<Door>(door: Door): Door {
  provideJsonKind(huggingFaceKind);
  return door;
}
