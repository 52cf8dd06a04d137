// Min-p.
import type { SamplerSpec } from "./spec.ts";

/** Options of {@link minP}. */
export interface MinPOptions {
  /** The least probability of a kept token as a fraction of the likeliest one's; 0 keeps all. */
  minP: number;
}

/**
 * Keeps the tokens that are at least p times as likely as the likeliest, which always stays.
 * Source: Nguyen et al. 2024, "Turning Up the Heat: Min-p Sampling for Creative and Coherent LLM Outputs",
 * arXiv:2407.01082.
 */
export const minP: SamplerSpec<MinPOptions> = {
  name: "min_p",
  acts: "candidates",
  params: [
    {
      kind: "number",
      key: "minP",
      flag: "--min-p",
      valueName: "P",
      help: "drop tokens less than P times as likely as the likeliest; 0 is off",
      openai: "min_p",
      integer: false,
      min: 0,
      max: 1,
      default: 0,
    },
  ],
  create({ minP: p }) {
    if (p <= 0) return undefined;
    return {
      apply(candidates) {
        let kept: number;
        do kept = candidates.countHeavy(p);
        while (kept === candidates.count && candidates.grow());
        candidates.keepFirst(Math.max(1, kept));
      },
    };
  },
};
