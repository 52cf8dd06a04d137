import type { HttpOptions } from "../format/http_source.ts";
import type { KernelChoices, TuneOptions } from "../kernels/tune/tuner.ts";
import type { KvType, Precision } from "../model/config.ts";
import type { TokenLogprob } from "../sample/chain.ts";
import type { SamplingOptions } from "../sample/registry.ts";
import type { ByteSource } from "../util/byte_source.ts";

export type { HttpOptions, KernelChoices, TuneOptions };

/**
 * Where bytes come from: a path or URL, `hf:owner/repo/file` (a file of the Hugging Face hub), a `URL`, a `Blob` or
 * `File`, bytes (an `ArrayBuffer`, a `SharedArrayBuffer` or any view of one), a stream (a `ReadableStream`, a stream
 * of Node or anything else that gives bytes asynchronously), a GET `Request`, a `Response` whose body was not read, or
 * a source of one's own.
 */
export type SourceLike =
  | string
  | URL
  | Blob
  | ArrayBufferLike
  | ArrayBufferView
  | ReadableStream<Uint8Array>
  | AsyncIterable<Uint8Array>
  | Request
  | Response
  | ByteSource;

/** How bytes are fetched, checked and kept. */
export interface SourceOptions {
  /** SHA-256 that the file must have, in 64 hexadecimal digits. */
  sha256?: string | undefined;
  /**
   * Whether a file from an http(s) URL is kept for the next time: in a directory, in the runtime's own place (true;
   * where that cannot be used the file is not kept), or not (false). Default: true for `hf:`, false for URLs.
   */
  cache?: boolean | string | undefined;
  /** Headers, retries and time limits of URLs. */
  http?: HttpOptions | undefined;
}

/** How far loading has come. No number of it is ever NaN or infinite. */
export interface LoadProgress {
  /** Bytes of weights that are in place. */
  readonly loadedBytes: number;
  /** Bytes of all weights; 0 before the header was read. */
  readonly totalBytes: number;
  /** If the file comes over the network: its bytes that came, and all of them if the server said. */
  readonly download?: { readonly receivedBytes: number; readonly totalBytes: number | undefined };
  /**
   * What part is done, 0 to 1, and never less than in an earlier report: of the download if its size is known, else
   * of the weights. Undefined while neither size is known.
   */
  readonly fraction?: number | undefined;
  /** Bytes per second, over the last seconds. Undefined until enough was measured. */
  readonly bytesPerSecond?: number | undefined;
  /** Milliseconds that are left at this rate; 0 at the end. Undefined while the rate or the size is not known. */
  readonly remainingMs?: number | undefined;
}

/** How many of the weights are in memory. */
export type WeightProgress = Pick<LoadProgress, "loadedBytes" | "totalBytes">;

/** Options of `Llama.load`. */
export interface LoadOptions extends SourceOptions {
  /**
   * Most threads that compute; how many take part is decided for each kind of step by what is fastest. More than the
   * cores there are (affinity and quotas included) are never started. Default: those cores, or as many threads as the
   * runtime allows; 1 where memory cannot be shared.
   */
  threads?: number;
  /** Positions a sequence may have. Default: the model's own, at most 4096. */
  contextLength?: number;
  /** Weights in memory. Default: q4 for Q4_0 files, q8 for every other. */
  precision?: Precision;
  /** Keys and values in memory. Default: f32 where precision is f32, f16 otherwise. */
  kv?: KvType;
  /**
   * Most bytes of linear memory; a model that needs more is refused before anything is allocated. Default: the model
   * and 64 sessions with a full context, 256 MiB of sessions at least; where the runtime does not reserve that much,
   * what it gives.
   */
  maxBytes?: number;
  /** Tokenizer file, for models that carry none (llama2.c). */
  tokenizer?: SourceLike;
  /** Called as bytes and weights arrive, at least once at the end. */
  onProgress?: (progress: LoadProgress) => void;
  /** Gives the loading up. */
  signal?: AbortSignal;
  /** URL of dist/worker.js, for pages whose Content-Security-Policy allows no `blob:` workers. */
  workerUrl?: string | URL;
  /** Kernel build, for tests and measurements. Default: the best that the runtime accepts. */
  kernel?: "simd" | "relaxed" | "simd-shared" | "relaxed-shared";
  /** Fixes what is otherwise chosen for the machine, for tests and measurements. No choice changes a result. */
  tune?: TuneOptions;
}

/**
 * What a model goes on from: a text, or ids, which are taken as they are (no BOS is put before them). Special tokens
 * such as "<s>" in a text are text like any other, unless the option `special` says otherwise.
 */
export type Prompt = string | readonly number[] | Int32Array | Uint32Array | Uint16Array;

/**
 * Options of `generate` and `complete`. An option given as undefined has its default; null, a value of another type
 * and an unknown name are UsageErrors.
 */
export interface GenerateOptions extends SamplingOptions {
  /** Most tokens to generate. Default: to the end of the context. */
  maxTokens?: number;
  /** Text that ends the generation, or several, none of them empty; it is not part of the result. */
  stop?: string | readonly string[];
  /** Go on after an end-of-text token. Default false. */
  ignoreEos?: boolean;
  /**
   * Parse special tokens such as "<s>" in a prompt that is a text, as `tokenizer.encode(text, { special: true })`
   * does. A text that begins with the BOS token gets no second one. Never for text of strangers. Default false.
   */
  special?: boolean;
  /**
   * Whether pieces carry log-probabilities; a number asks for as many alternatives of each token too, at most
   * the vocabulary. Default true.
   */
  logprobs?: boolean | number;
  /** Ends the generation, with the signal's reason as error unless `stopOnAbort`. */
  signal?: AbortSignal;
  /**
   * Whether an abort of `signal` ends the generation without an error: what there is becomes the result, with
   * `finishReason` "abort". A session can resume the generation. Default false.
   */
  stopOnAbort?: boolean;
}

/**
 * One generated token. As a string it is its text: `text += piece`, `String(piece)`. Copies (`{ ...piece }`,
 * `structuredClone`) have the fields alone.
 */
export interface Piece {
  readonly id: number;
  /** Text that became certain with this token: "" while a character or a possible stop string is open. */
  readonly text: string;
  /** Natural logarithm of the model's probability of this token, before any sampler; NaN if not asked for. */
  readonly logprob: number;
  /** The tokens most likely here, before any sampler, likeliest first (ties: lowest id); empty if not asked for. */
  readonly alternatives: readonly TokenLogprob[];
  /** The text. */
  toString(): string;
}

/**
 * Why a generation ended: end-of-text token, stop string, maxTokens, a full context, or an abort (`stopOnAbort`).
 */
export type FinishReason = "eos" | "stop" | "length" | "context" | "abort";

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
  /** The texts of all pieces, joined. */
  readonly text: string;
  /** The ids of all pieces, those that spell a stop string too. */
  readonly ids: readonly number[];
  readonly finishReason: FinishReason;
  /** The stop string that ended it; absent where `finishReason` is not "stop". */
  readonly stop?: string;
  readonly usage: Usage;
  readonly timings: Timings;
}
