import { UsageError } from "../util/errors.ts";
import { describeValue } from "../util/options.ts";
import type { Candidates } from "./candidates.ts";

/** Every sampling option with its value. Ranges and defaults are in `samplingParams`. */
export interface ResolvedSampling {
  /** Divides the logits; 0 is greedy. */
  temperature: number;
  /** How many of the likeliest tokens are kept; 0 keeps all. */
  topK: number;
  /** The least probability that the kept tokens have together; 1 keeps all, 0 the likeliest alone. */
  topP: number;
  /** The least probability of a kept token as a fraction of the likeliest one's; 0 keeps all. */
  minP: number;
  /** Divides positive and multiplies negative logits of recent tokens; 1 changes none. */
  repeatPenalty: number;
  /** Seed of the generator that tokens are drawn with. */
  seed: number;
}

/** Sampling options as a caller gives them; what is absent takes its default, a seed is made up. */
export type SamplingOptions = Partial<ResolvedSampling>;

/** One number of {@link SamplingOptions}: command-line flags and request validation derive from it. */
export interface SamplingParam {
  readonly key: keyof SamplingOptions;
  /** Command-line flag, "--top-k". */
  readonly flag: string;
  /** What help calls the flag's value, "K". */
  readonly valueName: string;
  /** One line for help. */
  readonly help: string;
  /** Field of an OpenAI-style request: of OpenAI's own, or the name other servers gave the extension. */
  readonly openai: string;
  readonly integer: boolean;
  readonly min: number;
  /** Whether `min` itself is refused. */
  readonly exclusiveMin?: boolean;
  /** Largest value; Infinity: any finite one. */
  readonly max: number;
  /** Undefined: made up anew for each use (the seed). */
  readonly default: number | undefined;
}

/** A sampler: one step of the chain. */
export interface SamplerSpec {
  readonly name: string;
  readonly params: readonly SamplingParam[];
  /** "logits": changes single logits, also before a greedy choice. "candidates": narrows or weighs them. */
  readonly acts: "logits" | "candidates";
  apply(candidates: Candidates, options: ResolvedSampling): void;
}

/** The interval a parameter must lie in, "(0, 1]". */
export function paramInterval(param: SamplingParam): string {
  const end = param.max === Infinity ? "Infinity)" : `${param.max}]`;
  return `${param.exclusiveMin ? "(" : "["}${param.min}, ${end}`;
}

/**
 * `value` as the number it must be.
 * @throws UsageError if it is no number, not finite, out of the interval, or no integer where one is due.
 */
export function checkParam(param: SamplingParam, value: unknown): number {
  const valid =
    typeof value === "number" &&
    Number.isFinite(value) &&
    (param.exclusiveMin ? value > param.min : value >= param.min) &&
    value <= param.max &&
    (!param.integer || Number.isInteger(value));
  if (valid) return value;
  const what = param.integer ? `integer ${param.key}` : param.key;
  throw new UsageError(
    `Cannot sample: Expected ${what} in ${paramInterval(param)}, got ${describeValue(value)}`,
  );
}
