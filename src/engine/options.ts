import type { KvType, Precision } from "../model/config.ts";
import type { SamplingOptions } from "../sample/registry.ts";
import type { ByteSource } from "../util/byte_source.ts";

/** Where bytes come from: a path or URL, a `URL`, a `Blob`, bytes, a stream or a source of one's own. */
export type SourceLike = string | URL | Blob | Uint8Array | ReadableStream<Uint8Array> | ByteSource;

/** How far loading has come, in bytes of weights. */
export interface LoadProgress {
  readonly loadedBytes: number;
  readonly totalBytes: number;
}

/** Options of `Llama.load`. */
export interface LoadOptions {
  /** Threads that compute. Default: the cores there are; 1 where memory cannot be shared. */
  threads?: number;
  /** Positions a sequence may have. Default: the model's own, at most 4096. */
  contextLength?: number;
  /** Weights in memory. Default: q4 for Q4_0 files, q8 for every other. */
  precision?: Precision;
  /** Keys and values in memory. Default: f32 where precision is f32, f16 otherwise. */
  kv?: KvType;
  /** Most bytes of linear memory; a model that needs more is refused before anything is allocated. */
  maxBytes?: number;
  /** Tokenizer file, for models that carry none (llama2.c). */
  tokenizer?: SourceLike;
  /** Called as weights arrive, at least once at the end. */
  onProgress?: (progress: LoadProgress) => void;
  /** Gives the loading up. */
  signal?: AbortSignal;
  /** Kernel build, for tests and measurements. Default: the best that the runtime accepts. */
  kernel?: "simd" | "relaxed" | "simd-shared" | "relaxed-shared";
}

/** Options of `generate` and `complete`. */
export interface GenerateOptions extends SamplingOptions {
  /** Most tokens to generate. Default: to the end of the context. */
  maxTokens?: number;
  /** Text that ends the generation; it is not part of the result. */
  stop?: string | readonly string[];
  /** Go on after an end-of-text token. Default false. */
  ignoreEos?: boolean;
  /** Whether pieces carry log-probabilities. Default true. */
  logprobs?: boolean;
  /** Ends the generation with the signal's reason as error. */
  signal?: AbortSignal;
}

/** One generated token. */
export interface Piece {
  readonly id: number;
  /** Text that became certain with this token: "" while a character or a possible stop string is open. */
  readonly text: string;
  /** Natural logarithm of the model's probability of this token, before any sampler; NaN if not asked for. */
  readonly logprob: number;
}

/** Why a generation ended: end-of-text token, stop string, maxTokens, or a full context. */
export type FinishReason = "eos" | "stop" | "length" | "context";

/** Tokens of a generation. */
export interface Usage {
  readonly promptTokens: number;
  readonly generatedTokens: number;
}

/** Milliseconds of a generation's parts, and rates. */
export interface Timings {
  readonly loadMs: number;
  readonly prefillMs: number;
  readonly decodeMs: number;
  /** Prompt tokens per second; 0 where nothing was measured. */
  readonly prefillTps: number;
  /** Generated tokens per second after the first; 0 where nothing was measured. */
  readonly decodeTps: number;
}

/** Result of `complete`, and what `generate` returns when it is done. */
export interface Completion {
  readonly text: string;
  readonly ids: readonly number[];
  readonly finishReason: FinishReason;
  readonly usage: Usage;
  readonly timings: Timings;
}
