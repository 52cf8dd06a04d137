import type { Engine } from "../engine/engine.ts";
import type { Sequence } from "../model/kv_cache.ts";
import type { Sampler, TokenLogprob } from "../sample/chain.ts";
import {
  type ResolvedSampling,
  resolveSampling,
  type SamplingOptions,
  samplingNames,
} from "../sample/registry.ts";
import type { Tokenizer, TokenStream } from "../tokenizer/core/tokenizer.ts";
import { UsageError } from "../util/errors.ts";
import { checkBoolean, checkOptions, checkSignal, type OptionNames, wrongOption } from "../util/options.ts";
import type { Completion, FinishReason, GenerateOptions, Piece } from "./options.ts";
import { GeneratedPiece } from "./piece.ts";
import { StopMatcher } from "./stop_strings.ts";
import { Stopwatch } from "./stopwatch.ts";

/** What decides a continuation, checked and complete. */
export interface GenerationSettings {
  /** Infinity: to the end of the context. */
  readonly maxTokens: number;
  readonly stop: readonly string[];
  readonly ignoreEos: boolean;
  readonly sampling: ResolvedSampling;
}

/** Options of running a generation, which `resume` takes too. */
export type RunOptions = Pick<GenerateOptions, "signal" | "stopOnAbort" | "logprobs">;

const runNames: OptionNames<RunOptions> = { signal: true, stopOnAbort: true, logprobs: true };

const generateNames: OptionNames<Omit<GenerateOptions, keyof SamplingOptions>> = {
  ...runNames,
  maxTokens: true,
  stop: true,
  ignoreEos: true,
  special: true,
};

function maxTokensOf({ maxTokens }: GenerateOptions): number {
  if (maxTokens === undefined) return Number.POSITIVE_INFINITY;
  if (Number.isInteger(maxTokens) && maxTokens >= 0) return maxTokens;
  throw wrongOption("generate", "maxTokens", "an integer of at least 0", maxTokens);
}

function stopsOf({ stop = [] }: GenerateOptions): readonly string[] {
  const stops = typeof stop === "string" ? [stop] : stop;
  const isStop = (text: unknown) => typeof text === "string" && text !== "" && text.isWellFormed();
  if (Array.isArray(stops) && stops.every(isStop)) return [...stops];
  const wrong: unknown = Array.isArray(stops) ? stops.find((text) => !isStop(text)) : stops;
  const expected = "a text of at least one character without lone surrogates, or an array of such";
  throw wrongOption("generate", "stop", expected, wrong);
}

const none: readonly TokenLogprob[] = [];

/** How many alternatives of each token are asked for; undefined where no log-probabilities are. */
function alternativesOf({ logprobs = true }: GenerateOptions): number | undefined {
  if (logprobs === false) return undefined;
  if (logprobs === true) return 0;
  if (Number.isSafeInteger(logprobs) && logprobs >= 0) return logprobs;
  throw wrongOption("generate", "logprobs", "a boolean or an integer of at least 0", logprobs);
}

function checkRun(action: string, options: RunOptions): void {
  alternativesOf(options);
  checkSignal(action, options.signal);
  checkBoolean(action, "stopOnAbort", options.stopOnAbort);
}

/** @throws UsageError for an unknown option of `resume` or a wrong value */
export function checkResume(options: RunOptions): void {
  checkOptions("resume", options, runNames);
  checkRun("resume", options);
}

function checkGenerateNames(options: GenerateOptions): void {
  checkOptions("generate", options, { ...generateNames, ...samplingNames });
}

/**
 * The options of `complete` as those of `generate`: log-probabilities only where asked for.
 * @throws UsageError for an unknown option
 */
export function wholeOptions(options: GenerateOptions): GenerateOptions {
  checkGenerateNames(options);
  return options.logprobs === undefined ? { ...options, logprobs: false } : options;
}

/**
 * Options with their defaults.
 * @throws UsageError for an unknown option, and for a value, naming the option, what it may be and what it is
 */
export function resolveGeneration(options: GenerateOptions): GenerationSettings {
  checkGenerateNames(options);
  checkRun("generate", options);
  checkBoolean("generate", "ignoreEos", options.ignoreEos);
  checkBoolean("generate", "special", options.special);
  return {
    maxTokens: maxTokensOf(options),
    stop: stopsOf(options),
    ignoreEos: options.ignoreEos ?? false,
    sampling: resolveSampling(options),
  };
}

/** A continuation between two of its tokens: what goes on with it must know besides the ids and their cache. */
export class Generation {
  readonly settings: GenerationSettings;
  /** How many ids stood before its first. */
  readonly begin: number;
  /** Whether text precedes, so that the leading space of the first token is kept. */
  readonly afterText: boolean;
  readonly sampler: Sampler;
  readonly stream: TokenStream;
  readonly matcher: StopMatcher;
  readonly #tokenizer: Tokenizer;

  constructor(
    engine: Engine,
    tokenizer: Tokenizer,
    settings: GenerationSettings,
    begin: number,
    afterText: boolean,
  ) {
    this.#tokenizer = tokenizer;
    this.settings = settings;
    this.begin = begin;
    this.afterText = afterText;
    this.sampler = engine.sampler(settings.sampling, tokenizer.vocabSize, { vocabulary: tokenizer });
    this.stream = tokenizer.stream({ afterText });
    this.matcher = new StopMatcher(settings.stop);
  }

  /** Text that became certain with this id. */
  push(id: number): string {
    return this.matcher.push(this.stream.push(id));
  }

  /** Text that was held back and is certain because nothing follows. */
  flush(): string {
    return this.matcher.push(this.stream.flush()) + this.matcher.flush();
  }

  /**
   * How many of `ids` there are up to the last one that carries text which was let through. What a stop string took
   * away lies behind it, but for the part of a token that began before the stop string did.
   */
  seenEnd(ids: readonly number[]): number {
    const stream = this.#tokenizer.stream({ afterText: this.afterText });
    let end = this.begin;
    for (let n = 0; n < this.matcher.passed && end < ids.length; end++) {
      n += stream.push(ids[end] as number).length;
    }
    return end;
  }

  /** Brings the decoder and the stop strings to where they were after the ids from `begin` on. */
  replay(ids: readonly number[]): void {
    for (let i = this.begin; i < ids.length; i++) this.push(ids[i] as number);
  }
}

/** Whose ids a generation adds to. */
export interface Conversation {
  readonly engine: Engine;
  readonly tokenizer: Tokenizer;
  readonly loadMs: number;
  readonly sequence: Sequence;
  /** All tokens so far. Those from `sequence.length` on are not in the cache yet. */
  readonly ids: number[];
  /** The generation that can go on, if there is one. */
  generation: Generation | undefined;
  /** Called with the last token of a generation, before it is handed over. */
  ended: (() => void) | undefined;
  /** Begins work that changes the conversation. @throws where other such work runs, or after its end */
  enter(): void;
  /** Ends what {@link enter} began. */
  leave(): void;
}

/**
 * Feeds the ids that are not in the cache yet, the last one always, and hands their logits to `read`.
 * @throws ContextError, AbortError; the conversation can go on after either
 */
export function feed<T>(
  { engine, sequence, ids }: Conversation,
  read: () => T,
  signal: AbortSignal | undefined,
): Promise<T> {
  // Logits are kept by nobody: where all ids are in the cache, the last is computed again, to the same bits.
  if (sequence.length === ids.length) sequence.rollback(ids.length - 1);
  return engine.prefill(sequence, ids, read, signal, sequence.length);
}

/**
 * Goes on with a conversation's generation until it ends. Each token is a piece; text that is not certain yet
 * comes with a later one, the rest of it with the last. Whoever stops listening leaves the generation open, and so
 * does an abort. A stop string's tokens are taken off the conversation again, see {@link Generation.seenEnd}.
 * @param promptTokens what the result says of the prompt
 * @throws SamplingError for logits that are no numbers; UsageError where another generation has begun
 *   meanwhile; the signal's reason when it is aborted, unless `stopOnAbort`
 */
export async function* runGeneration(
  conversation: Conversation,
  generation: Generation,
  promptTokens: number,
  options: RunOptions,
): AsyncGenerator<Piece, Completion> {
  const { engine, tokenizer, sequence, ids, loadMs } = conversation;
  const { settings, sampler, matcher, begin } = generation;
  const { signal, stopOnAbort = false } = options;
  const nAlternatives = alternativesOf(options);
  const eos = new Set(settings.ignoreEos ? [] : tokenizer.eosIds);
  const first = ids.length;
  const watch = new Stopwatch(loadMs);
  let text = "";
  let reason: FinishReason = "length";
  const finish = (): Completion => ({
    text,
    ids: ids.slice(first),
    finishReason: reason,
    ...(matcher.found !== undefined && { stop: matcher.found }),
    usage: { promptTokens, generatedTokens: ids.length - first },
    timings: watch.timings(promptTokens, ids.length - first),
  });
  const ended = () => reason !== "length" || ids.length - begin >= settings.maxTokens;
  // What a token changes is made once: a model of 70 us a token would notice objects that each of them leaves.
  const segment = { sequence, ids, begin: 0, end: 0, outputs: "last" as const };
  const segments = [segment];
  let id = 0;
  let logprob = Number.NaN;
  let alternatives = none;
  const draw = () => {
    id = sampler.sample(ids, ids.length);
    if (nAlternatives !== undefined) logprob = sampler.logprob(id);
    if (nAlternatives) alternatives = sampler.mostLikely(nAlternatives);
  };

  const isAbort = (error: unknown) => stopOnAbort && signal?.aborted === true && error === signal.reason;

  conversation.generation = generation;
  if (stopOnAbort && signal?.aborted) {
    reason = "abort";
    return finish();
  }
  if (ended()) {
    conversation.generation = undefined;
    return finish();
  }
  for (;;) {
    conversation.enter();
    watch.start();
    try {
      if (conversation.generation !== generation) {
        throw new UsageError(
          "Cannot go on with a generation: its session has begun another or was rolled back",
        );
      }
      if (ids.length === first) {
        await feed(conversation, draw, signal);
      } else {
        const waiting = engine.mutex.acquire();
        if (waiting) await waiting;
        try {
          segment.end = ids.length;
          segment.begin = segment.end - 1;
          const rest = engine.run(segments, signal);
          if (rest) await rest;
          draw();
        } finally {
          engine.mutex.release();
        }
      }
      ids.push(id);
      sampler.accept(id);
    } catch (error) {
      if (!isAbort(error)) throw error;
      reason = "abort";
      return finish();
    } finally {
      conversation.leave();
    }
    if (ids.length === first + 1) watch.prefilled();
    else watch.decoded();
    if (eos.has(id)) reason = "eos";
    else if (sequence.length === engine.layout.contextLength) reason = "context";
    let piece = reason === "eos" ? "" : generation.push(id);
    const last = matcher.matched || ended();
    if (last && !matcher.matched) piece += generation.flush();
    if (matcher.matched) reason = "stop";
    text += piece;
    let result: Completion | undefined;
    if (last) {
      conversation.generation = undefined;
      result = finish();
      if (matcher.matched) forget(conversation, generation.seenEnd(ids));
      conversation.ended?.();
    }
    yield new GeneratedPiece(id, piece, logprob, alternatives);
    if (result) return result;
  }
}

/** Forgets every token from position `pos` on. */
export function forget({ sequence, ids }: Conversation, pos: number): void {
  ids.length = pos;
  sequence.rollback(Math.min(pos, sequence.length));
}
