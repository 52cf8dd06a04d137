import type { SamplerSpec } from "./options.ts";

/** Bounds of 1 / temperature: within them f32 products neither vanish nor become 0 * Infinity. */
const MIN_SCALE = 2 ** -100;
const MAX_SCALE = 2 ** 100;

/** Divides logits by the temperature: under 1 the likely become likelier, over 1 all become more alike. */
export const temperature: SamplerSpec = {
  name: "temperature",
  acts: "candidates",
  params: [
    {
      key: "temperature",
      flag: "--temperature",
      valueName: "T",
      help: "randomness of the choice; 0 always takes the likeliest token",
      openai: "temperature",
      integer: false,
      min: 0,
      max: Infinity,
      default: 0.8,
    },
  ],
  apply(candidates, { temperature: t }) {
    candidates.scale = Math.min(Math.max(1 / t, MIN_SCALE), MAX_SCALE);
  },
};
