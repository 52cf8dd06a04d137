import type { SamplerSpec } from "./options.ts";

/** How many of the latest tokens are penalised. */
export const REPEAT_WINDOW = 64;

/**
 * Makes recent tokens less likely: a positive logit is divided by the penalty, another multiplied, once for
 * each different token of the last {@link REPEAT_WINDOW}. Ids outside the vocabulary are passed over.
 * Source: Keskar et al. 2019, "CTRL: A Conditional Transformer Language Model for Controllable Generation",
 * arXiv:1909.05858, section 4.1; the product for logits that are not positive as is usual since.
 */
export const repeatPenalty: SamplerSpec = {
  name: "repeat_penalty",
  acts: "logits",
  params: [
    {
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
  apply(candidates, { repeatPenalty: penalty }) {
    if (penalty === 1) return;
    const { history, historyLength, vocabSize } = candidates;
    for (let i = Math.max(0, historyLength - REPEAT_WINDOW); i < historyLength; i++) {
      const id = history[i] as number;
      if (!(id >= 0 && id < vocabSize) || candidates.isChanged(id)) continue;
      const logit = candidates.logit(id);
      candidates.setLogit(id, logit > 0 ? logit / penalty : logit * penalty);
    }
  },
};
