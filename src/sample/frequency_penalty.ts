// The frequency penalty.
import type { SamplerSpec } from "./spec.ts";
import { countingStage } from "./token_counts.ts";

/** Options of {@link frequencyPenalty}. */
export interface FrequencyPenaltyOptions {
  /** Taken off a token's logit for each time that it was generated; in [-2, 2], 0 changes none. */
  frequencyPenalty: number;
}

/**
 * Takes the penalty off a token's logit for each time that it was generated. Tokens of the prompt do not count.
 * Source: OpenAI's `frequency_penalty`.
 */
export const frequencyPenalty: SamplerSpec<FrequencyPenaltyOptions> = {
  name: "frequency_penalty",
  acts: "logits",
  params: [
    {
      kind: "number",
      key: "frequencyPenalty",
      flag: "--frequency-penalty",
      valueName: "F",
      help: "make a token less likely for each time that it was generated; 0 is off",
      openai: "frequency_penalty",
      integer: false,
      min: -2,
      max: 2,
      default: 0,
    },
  ],
  create({ frequencyPenalty: penalty }) {
    return penalty === 0 ? undefined : countingStage((count) => count * penalty);
  },
};
