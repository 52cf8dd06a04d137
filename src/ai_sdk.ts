/**
 * Models for the `ai` SDK, version 7: a model of this process answers `generateText`, `streamText` and whatever builds on them.
 *
 * ```ts
 * import { streamText } from "ai";
 * import { Llama } from "cria";
 * import { cria } from "cria/ai-sdk";
 *
 * await using llama = await Llama.load("cria:tales-chat");
 * const { textStream } = streamText({ model: cria(llama), prompt: "Hello!" });
 * for await (const text of textStream) console.log(text);
 * ```
 *
 * @module
 */
export { type CriaModelOptions, cria } from "./ai_sdk/language_model.ts";
export type {
  AnswerPart,
  CallOptions,
  CallResult,
  CallWarning,
  LanguageModel,
  PromptMessage,
  PromptPart,
  StreamPart,
  TokenUsage,
  ToolOutput,
} from "./ai_sdk/protocol.ts";
export type { ChatLlama } from "./ai_sdk/source.ts";
