// A generation between two of its tokens, and the options that decide it.
import type { Engine } from "../engine/engine.ts";
import type { Sampler } from "../sample/chain.ts";
import {
  type ResolvedSampling,
  resolveSampling,
  type SamplingOptions,
  samplingNames,
} from "../sample/registry.ts";
import type { Tokenizer, TokenStream } from "../tokenizer/core/tokenizer.ts";
import { checkBoolean, checkOptions, checkSignal, type OptionNames, wrongOption } from "../util/options.ts";
import type { GenerateOptions } from "./options.ts";
import { samplerOf } from "./sampler.ts";
import { StopMatcher } from "./stop_strings.ts";

/** What decides a continuation, checked and complete. */
export interface GenerationSettings {
  /** Infinity: to the end of the context. */
  readonly maxTokens: number;
  readonly stop: readonly string[];
  readonly ignoreEos: boolean;
  readonly choice: number;
  readonly sampling: ResolvedSampling;
}

/** Options of running a generation, which `resume` takes too. */
export type RunOptions = Pick<GenerateOptions, "signal" | "stopOnAbort" | "logprobs">;

const runNames: OptionNames<RunOptions> = { signal: true, stopOnAbort: true, logprobs: true };

const generateNames: OptionNames<Omit<GenerateOptions, keyof SamplingOptions>> = {
  ...runNames,
  maxTokens: true,
  stop: true,
  choice: true,
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

function choiceOf({ choice = 0 }: GenerateOptions): number {
  if (Number.isInteger(choice) && choice >= 0 && choice < 2 ** 32) return choice;
  throw wrongOption("generate", "choice", "an integer in [0, 4294967295]", choice);
}

/** How many alternatives of each token are asked for; undefined if no log-probabilities are. */
export function alternativesOf({ logprobs = true }: GenerateOptions): number | undefined {
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
 * The options of `complete` as those of `generate`: log-probabilities only if asked for.
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
    choice: choiceOf(options),
    sampling: resolveSampling(options),
  };
}

/** State of a generation between two tokens: all that resuming needs besides the ids and their KV cache. */
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
    const setup = { vocabulary: tokenizer, choice: settings.choice };
    this.sampler = samplerOf(engine, settings.sampling, tokenizer.vocabSize, setup);
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

  /** Brings the decoder and the stop strings to the state that they had after the ids from `begin` on. */
  replay(ids: readonly number[]): void {
    for (let i = this.begin; i < ids.length; i++) this.push(ids[i] as number);
  }
}
