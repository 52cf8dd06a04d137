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

/**
 * Options with defaults for what is absent; without a seed a new one is made up.
 * Keys that are no sampling parameter are passed over.
 * @throws UsageError naming the option, its interval and what was given.
 */
export function resolveSampling(options: SamplingOptions = {}): ResolvedSampling {
  const resolved: SamplingOptions = {};
  for (const param of samplingParams) {
    resolved[param.key] = checkParam(param, options[param.key] ?? param.default ?? randomSeed());
  }
  return resolved as ResolvedSampling;
}
