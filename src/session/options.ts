// What a generation takes and gives.
import type { TokenLogprob } from "../sample/chain.ts";
import type { SamplingOptions } from "../sample/registry.ts";
import type { Message } from "./messages.ts";

/**
 * What a model goes on from: a text, ids, which are taken as they are (no BOS is put before them), or the messages of a
 * chat, of which the model's chat template makes ids. Special tokens such as "<s>" in a text are text like any other,
 * unless the option `special` says otherwise; in messages they always are.
 */
export type Prompt = string | readonly number[] | Int32Array | Uint32Array | Uint16Array | readonly Message[];

/**
 * Options of `generate` and `complete`. An option given as undefined has its default; null, a value of another type
 * and an unknown name are UsageErrors.
 */
export interface GenerateOptions extends SamplingOptions {
  /** Most tokens to generate. Default: to the end of the context. */
  maxTokens?: number;
  /** Text that ends the generation, or several, none of them empty; it is not part of the result. */
  stop?: string | readonly string[];
  /**
   * Which of several continuations of a prompt: with one seed, each draws other random numbers, whether or not they are
   * computed together. Default 0.
   */
  choice?: number;
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
  /** Those of them that were not computed, because the prefix cache had them; 0 without one. */
  readonly cachedTokens: number;
  readonly generatedTokens: number;
}

/** Milliseconds of a generation's parts, and rates. */
export interface Timings {
  readonly loadMs: number;
  readonly prefillMs: number;
  readonly decodeMs: number;
  /** Prompt tokens per second; 0 if nothing was measured. */
  readonly prefillTps: number;
  /** Generated tokens per second after the first; 0 if nothing was measured. */
  readonly decodeTps: number;
}

/** Result of `complete`, and what `generate` returns when it is done. */
export interface Completion {
  /** The texts of all pieces, joined. */
  readonly text: string;
  /** The ids of all pieces, those that spell a stop string too. */
  readonly ids: readonly number[];
  readonly finishReason: FinishReason;
  /** The stop string that ended it; absent if `finishReason` is not "stop". */
  readonly stop?: string;
  readonly usage: Usage;
  readonly timings: Timings;
}
