import type { Candidates } from "./candidates.ts";
import type { SamplingParam } from "./options.ts";
import { MAX_SEED, type Rng } from "./rng.ts";

/** The draw's only parameter. */
export const seedParam: SamplingParam = {
  key: "seed",
  flag: "--seed",
  valueName: "S",
  help: "repeat the choices made with this seed",
  openai: "seed",
  integer: true,
  min: 0,
  max: MAX_SEED,
  default: undefined,
};

/**
 * Draws a token by weight. With u the generator's next number, in [0, 1), it is the first candidate at which
 * the running sum of weights reaches (1 - u) * (sum of all weights). Candidates are walked by descending
 * logit, ties by ascending id, once a filter has sorted them; by ascending id if none has.
 */
export function draw(candidates: Candidates, rng: Rng): number {
  return candidates.walk((1 - rng.next()) * candidates.sumWeights());
}
