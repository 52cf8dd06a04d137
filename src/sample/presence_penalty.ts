// The presence penalty.
import type { SamplerSpec } from "./spec.ts";
import { countingStage } from "./token_counts.ts";

/** Options of {@link presencePenalty}. */
export interface PresencePenaltyOptions {
  /** Taken off a token's logit if it was generated; in [-2, 2], 0 changes none. */
  presencePenalty: number;
}

/**
 * Takes the penalty off the logit of each token that was generated, once. Tokens of the prompt do not count.
 * Source: OpenAI's `presence_penalty`.
 */
export const presencePenalty: SamplerSpec<PresencePenaltyOptions> = {
  name: "presence_penalty",
  acts: "logits",
  params: [
    {
      kind: "number",
      key: "presencePenalty",
      flag: "--presence-penalty",
      valueName: "F",
      help: "make a token less likely if it was generated; 0 is off",
      openai: "presence_penalty",
      integer: false,
      min: -2,
      max: 2,
      default: 0,
    },
  ],
  create({ presencePenalty: penalty }) {
    return penalty === 0 ? undefined : countingStage(() => penalty);
  },
};
