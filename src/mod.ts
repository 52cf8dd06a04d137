/**
 * cria: Llama-family language models in WebAssembly, with the same bits in every runtime.
 *
 * ```ts
 * import { Llama } from "cria";
 *
 * await using llama = await Llama.load("model.gguf");
 * const { text } = await llama.complete("Once upon a time", { maxTokens: 64 });
 * ```
 *
 * @module
 */
import type { SourceLike } from "./engine/options.ts";
import { loadTokenizer } from "./engine/tokenizers.ts";
import type { Tokenizer as TokenizerInterface } from "./tokenizer/tokenizer.ts";

export { Llama, type Perplexity } from "./engine/llama.ts";
export type {
  Completion,
  FinishReason,
  GenerateOptions,
  LoadOptions,
  LoadProgress,
  Piece,
  SourceLike,
  Timings,
  Usage,
} from "./engine/options.ts";
export type { KvType, ModelConfig, Precision } from "./model/config.ts";
export type { SamplingOptions } from "./sample/registry.ts";
export type { EncodeOptions, TokenStream } from "./tokenizer/tokenizer.ts";
export type { ByteSource } from "./util/byte_source.ts";
export {
  ContextError,
  CriaError,
  EngineError,
  type ErrorCode,
  FormatError,
  MemoryError,
  SamplingError,
  SourceError,
  TokenizerError,
  UnsupportedError,
  UsageError,
} from "./util/errors.ts";

/** Text to ids and back. */
export type Tokenizer = TokenizerInterface;

/** Loads tokenizers alone, from a tokenizer file or from a model file that carries one. */
export const Tokenizer = {
  /** @throws SourceError, FormatError, UnsupportedError, TokenizerError */
  load: (source: SourceLike): Promise<Tokenizer> => loadTokenizer(source),
};
