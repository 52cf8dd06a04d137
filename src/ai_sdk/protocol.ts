// What the `ai` SDK and a model say to each other: version 4 of its language model interface, as far as it concerns text.
// Types of our own, so that the package depends on nothing; a test holds them to those of @ai-sdk/provider.

/** A part of a message in a prompt. */
export interface PromptPart {
  readonly type: string;
  readonly text?: string;
  readonly toolCallId?: string;
  readonly toolName?: string;
  readonly input?: unknown;
  readonly output?: ToolOutput;
  readonly mediaType?: string;
}

/** What a tool gave. */
export interface ToolOutput {
  readonly type: string;
  readonly value?: unknown;
  readonly reason?: string;
}

/** A message of a prompt. */
export interface PromptMessage {
  readonly role: string;
  readonly content: string | readonly PromptPart[];
}

/** A request. */
export interface CallOptions {
  readonly prompt: readonly PromptMessage[];
  readonly maxOutputTokens?: number;
  readonly temperature?: number;
  readonly stopSequences?: readonly string[];
  readonly topP?: number;
  readonly topK?: number;
  readonly presencePenalty?: number;
  readonly frequencyPenalty?: number;
  readonly responseFormat?: { readonly type: string };
  readonly seed?: number;
  readonly tools?: readonly {
    readonly type: string;
    readonly name: string;
    readonly description?: string;
    readonly inputSchema?: unknown;
    readonly strict?: boolean;
  }[];
  readonly toolChoice?: { readonly type: string };
  readonly abortSignal?: AbortSignal;
  readonly reasoning?: string;
  readonly providerOptions?: Readonly<Record<string, unknown>>;
}

/** A setting that has no effect. */
export interface CallWarning {
  type: "unsupported";
  feature: string;
  details: string;
}

/** Tokens of a call. */
export interface TokenUsage {
  inputTokens: {
    total: number;
    noCache: number;
    cacheRead: number;
    cacheWrite: undefined;
  };
  outputTokens: { total: number; text: undefined; reasoning: undefined };
}

/** Why an answer ended, in the SDK's words and in ours. */
export interface Finish {
  unified: "stop" | "length" | "tool-calls" | "error";
  raw: string | undefined;
}

/** A part of an answer. */
export type AnswerPart =
  | { type: "text" | "reasoning"; text: string }
  | { type: "tool-call"; toolCallId: string; toolName: string; input: string };

/** A part of a streamed answer. */
export type StreamPart =
  | { type: "stream-start"; warnings: CallWarning[] }
  | { type: "response-metadata"; timestamp: Date; modelId: string }
  | { type: "text-start" | "text-end" | "reasoning-start" | "reasoning-end" | "tool-input-end"; id: string }
  | { type: "text-delta" | "reasoning-delta" | "tool-input-delta"; id: string; delta: string }
  | { type: "tool-input-start"; id: string; toolName: string }
  | { type: "tool-call"; toolCallId: string; toolName: string; input: string }
  | { type: "finish"; usage: TokenUsage; finishReason: Finish }
  | { type: "error"; error: unknown };

/** A whole answer. */
export interface CallResult {
  content: AnswerPart[];
  finishReason: Finish;
  usage: TokenUsage;
  response: { timestamp: Date; modelId: string };
  warnings: CallWarning[];
}

/** A model, as the SDK asks it. */
export interface LanguageModel {
  readonly specificationVersion: "v4";
  readonly provider: string;
  readonly modelId: string;
  readonly supportedUrls: Record<string, RegExp[]>;
  /** The whole answer. */
  doGenerate(options: CallOptions): Promise<CallResult>;
  /** The answer as it is written. */
  doStream(options: CallOptions): Promise<{ stream: ReadableStream<StreamPart> }>;
}
