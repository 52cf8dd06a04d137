// The repetition penalty.
import type { SamplerSpec } from "./spec.ts";

/** How many of the latest tokens are penalised. */
const REPEAT_WINDOW = 64;

/** Options of {@link repeatPenalty}. */
export interface RepeatPenaltyOptions {
  /** Divides positive and multiplies negative logits of recent tokens; 1 changes none. */
  repeatPenalty: number;
}

/**
 * Makes recent tokens less likely: a positive logit is divided by the penalty, another multiplied, once for
 * each different token of the last {@link REPEAT_WINDOW}. Ids outside the vocabulary are passed over.
 * Source: Keskar et al. 2019, "CTRL: A Conditional Transformer Language Model for Controllable Generation",
 * arXiv:1909.05858, section 4.1; the product for logits that are not positive as is usual since.
 */
export const repeatPenalty: SamplerSpec<RepeatPenaltyOptions> = {
  name: "repeat_penalty",
  acts: "logits",
  params: [
    {
      kind: "number",
      key: "repeatPenalty",
      flag: "--repeat-penalty",
      valueName: "R",
      help: `make the last ${REPEAT_WINDOW} tokens less likely; 1 is off`,
      openai: "repeat_penalty",
      integer: false,
      min: 0,
      exclusiveMin: true,
      max: Infinity,
      default: 1,
    },
  ],
  create({ repeatPenalty: penalty }) {
    if (penalty === 1) return undefined;
    return {
      apply(candidates) {
        const { history, historyLength, vocabSize, changes } = candidates;
        for (let i = Math.max(0, historyLength - REPEAT_WINDOW); i < historyLength; i++) {
          const id = history[i] as number;
          if (!(id >= 0 && id < vocabSize) || candidates.isChanged(id, changes)) continue;
          const logit = candidates.logit(id);
          candidates.setLogit(id, logit > 0 ? logit / penalty : logit * penalty);
        }
      },
    };
  },
};
