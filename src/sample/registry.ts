import type { OptionNames } from "../util/options.ts";
import { seedParam } from "./draw.ts";
import { minP } from "./min_p.ts";
import {
  checkParam,
  type ResolvedSampling,
  type SamplerSpec,
  type SamplingOptions,
  type SamplingParam,
} from "./options.ts";
import { repeatPenalty } from "./repeat_penalty.ts";
import { randomSeed } from "./rng.ts";
import { temperature } from "./temperature.ts";
import { topK } from "./top_k.ts";
import { topP } from "./top_p.ts";

export type { ResolvedSampling, SamplingOptions, SamplingParam } from "./options.ts";

/** All samplers in the order of the chain; a draw follows the last. */
export const samplers: readonly SamplerSpec[] = [repeatPenalty, topK, topP, minP, temperature];

/** All parameters of the samplers and of the draw. */
export const samplingParams: readonly SamplingParam[] = [
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
 * @throws UsageError naming the option, its interval and what was given.
 */
export function resolveSampling(options: SamplingOptions = {}): ResolvedSampling {
  const resolved: SamplingOptions = {};
  for (const param of samplingParams) {
    const given = options[param.key];
    resolved[param.key] = given === undefined ? (param.default ?? randomSeed()) : checkParam(param, given);
  }
  return resolved as ResolvedSampling;
}
