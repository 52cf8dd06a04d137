// The last step of sampling: a token by weight.
import type { Candidates } from "./candidates.ts";
import { MAX_SEED, type Rng } from "./rng.ts";
import type { NumberParam } from "./spec.ts";

/** Options of the draw. */
export interface SeedOptions {
  /** Seed of the random numbers that tokens are drawn with. */
  seed: number;
}

/** The draw's only parameter. */
export const seedParam: NumberParam<"seed"> = {
  kind: "number",
  key: "seed",
  flag: "--seed",
  aliases: ["-s"],
  valueName: "S",
  help: "repeat the choices made with this seed",
  openai: "seed",
  integer: true,
  min: 0,
  max: MAX_SEED,
  default: undefined,
};

/**
 * Draws a token by weight. With u the next random number, in [0, 1), it is the first candidate at which the running
 * sum of weights reaches (1 - u) * (sum of all weights). Candidates are walked by descending logit (ties: ascending
 * id) if a filter has sorted them, else by ascending id.
 */
export function draw(candidates: Candidates, rng: Rng): number {
  return candidates.walk((1 - rng.next()) * candidates.sumWeights());
}
