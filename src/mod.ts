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
export { Llama, type Perplexity, type PerplexityOptions } from "./engine/llama.ts";
export type {
  Completion,
  FinishReason,
  GenerateOptions,
  HttpOptions,
  KernelChoices,
  LoadOptions,
  LoadProgress,
  Piece,
  Prompt,
  SourceLike,
  SourceOptions,
  Timings,
  TuneOptions,
  Usage,
} from "./engine/options.ts";
export { Session } from "./engine/session.ts";
export type { KvType, ModelConfig, Precision } from "./model/config.ts";
export type { TokenLogprob } from "./sample/chain.ts";
export type { SamplingOptions } from "./sample/registry.ts";
export type {
  DecodeOptions,
  EncodeOptions,
  TokenOffsets,
  TokenStream,
  TokenStreamOptions,
} from "./tokenizer/tokenizer.ts";
export { Tokenizer, type TokenizerLoadOptions } from "./tokenizer.ts";
export type { ByteSource } from "./util/byte_source.ts";
export {
  ContextError,
  CriaError,
  EngineError,
  type ErrorCode,
  FormatError,
  MemoryError,
  SamplingError,
  SnapshotError,
  SourceError,
  TokenizerError,
  UnsupportedError,
  UsageError,
} from "./util/errors.ts";
