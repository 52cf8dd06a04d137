// All samplers. To add one: its file, and its lines here.
import type { OptionNames } from "../util/options.ts";
import { type SeedOptions, seedParam } from "./draw.ts";
import { type FrequencyPenaltyOptions, frequencyPenalty } from "./frequency_penalty.ts";
import { type LogitBiasOptions, logitBias } from "./logit_bias.ts";
import { type MinPOptions, minP } from "./min_p.ts";
import { type PresencePenaltyOptions, presencePenalty } from "./presence_penalty.ts";
import { type RepeatPenaltyOptions, repeatPenalty } from "./repeat_penalty.ts";
import { randomSeed } from "./rng.ts";
import { checkParam, type SamplerSpec, type SamplingParam } from "./spec.ts";
import { type TemperatureOptions, temperature } from "./temperature.ts";
import { type TopKOptions, topK } from "./top_k.ts";
import { type TopPOptions, topP } from "./top_p.ts";

/** Every sampling option with its value. Intervals and defaults are in `samplingParams`. */
export interface ResolvedSampling
  extends LogitBiasOptions,
    RepeatPenaltyOptions,
    FrequencyPenaltyOptions,
    PresencePenaltyOptions,
    TopKOptions,
    TopPOptions,
    MinPOptions,
    TemperatureOptions,
    SeedOptions {}

/** Sampling options as a caller gives them; what is absent takes its default, a seed is made up. */
export type SamplingOptions = Partial<ResolvedSampling>;

/** All samplers in the order of the chain; a draw follows the last. */
export const samplers: readonly SamplerSpec<ResolvedSampling>[] = [
  logitBias,
  repeatPenalty,
  frequencyPenalty,
  presencePenalty,
  topK,
  topP,
  minP,
  temperature,
];

/** All parameters of the samplers and of the draw. */
export const samplingParams: readonly SamplingParam<keyof ResolvedSampling>[] = [
  ...samplers.flatMap((sampler) => sampler.params),
  seedParam,
];

/** The names of all parameters. */
export const samplingNames = Object.fromEntries(
  samplingParams.map(({ key }) => [key, true]),
) as OptionNames<SamplingOptions>;

/**
 * Options with defaults for what is absent or undefined; without a seed a new one is made up.
 * Keys that are no sampling parameter are passed over.
 * @throws UsageError naming the option, what it may be and what was given
 */
export function resolveSampling(options: SamplingOptions = {}): ResolvedSampling {
  const resolved: Record<string, unknown> = {};
  for (const param of samplingParams) {
    const given = options[param.key];
    resolved[param.key] = given === undefined ? (param.default ?? randomSeed()) : checkParam(param, given);
  }
  return resolved as unknown as ResolvedSampling;
}
