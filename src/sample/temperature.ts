// Temperature.
import type { SamplerSpec } from "./spec.ts";

/** Bounds of 1 / temperature: within them f32 products neither vanish nor become 0 * Infinity. */
const MIN_SCALE = 2 ** -100;
const MAX_SCALE = 2 ** 100;

/** Options of {@link temperature}. */
export interface TemperatureOptions {
  /** Divides the logits; 0 is greedy. */
  temperature: number;
}

/** Divides logits by the temperature: under 1 the likely become likelier, over 1 all become more alike. */
export const temperature: SamplerSpec<TemperatureOptions> = {
  name: "temperature",
  acts: "candidates",
  params: [
    {
      kind: "number",
      key: "temperature",
      flag: "--temperature",
      aliases: ["--temp"],
      valueName: "T",
      help: "randomness of the choice; 0 always takes the likeliest token",
      openai: "temperature",
      integer: false,
      min: 0,
      max: Infinity,
      default: 0.8,
    },
  ],
  create({ temperature: t }) {
    const scale = Math.min(Math.max(1 / t, MIN_SCALE), MAX_SCALE);
    return {
      apply(candidates) {
        candidates.scale = scale;
      },
    };
  },
};
