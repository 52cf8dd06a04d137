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
export { Llama, type Perplexity, type PerplexityOptions } from "./api/llama.ts";
export type { LoadOptions, LoadProgress, RopeScalingOptions } from "./api/load_options.ts";
export { Tokenizer } from "./api/tokenizer_door.ts";
export type { AnswerOptions } from "./chat/answer/answer_parser.ts";
export { type ParseAnswerOptions, type ParsedAnswer, parseAnswer } from "./chat/answer/parse_answer.ts";
export { Chat } from "./chat/chat.ts";
export type { ChatAnswer, ChatOptions, ChatPiece, SendOptions, ToolCallDelta } from "./chat/options.ts";
export {
  ChatTemplate,
  type TemplateOptions,
  type TemplateTokens,
} from "./chat/template/chat_template.ts";
export type { ModelTemplate, RenderedPrompt, RenderOptions } from "./chat/template/model_template.ts";
export type { ModelSource } from "./format/open_model.ts";
export type { KernelChoices, TuneOptions } from "./kernels/tune/tuner.ts";
export type { KvType, ModelConfig, Precision } from "./model/config.ts";
export type { TokenLogprob } from "./sample/chain.ts";
export type { SamplingOptions } from "./sample/registry.ts";
export type { ContentPart, Message, Tool, ToolCall } from "./session/messages.ts";
export type {
  Completion,
  FinishReason,
  GenerateOptions,
  Piece,
  Prompt,
  Timings,
  Usage,
} from "./session/options.ts";
export { Session } from "./session/session.ts";
export type { ByteSource } from "./source/byte_source.ts";
export type { HttpOptions } from "./source/http/http_options.ts";
export type { SourceLike, SourceOptions } from "./source/options.ts";
export type {
  DecodeOptions,
  EncodeOptions,
  TokenOffsets,
  TokenStream,
  TokenStreamOptions,
} from "./tokenizer/core/tokenizer.ts";
export type { TokenizerLoadOptions } from "./tokenizer.ts";
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
