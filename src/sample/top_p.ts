// Top-p, also called nucleus sampling.
import type { SamplerSpec } from "./spec.ts";

/** Options of {@link topP}. */
export interface TopPOptions {
  /** The least probability that the kept tokens have together; 1 keeps all, 0 the likeliest alone. */
  topP: number;
}

/**
 * Keeps the fewest of the likeliest tokens that together have at least probability p, among the candidates
 * that reach it, and never none: p = 0 keeps the likeliest.
 * Source: Holtzman et al. 2019, "The Curious Case of Neural Text Degeneration", arXiv:1904.09751.
 */
export const topP: SamplerSpec<TopPOptions> = {
  name: "top_p",
  acts: "candidates",
  params: [
    {
      kind: "number",
      key: "topP",
      flag: "--top-p",
      valueName: "P",
      help: "keep the likeliest tokens that together reach probability P; 1 is off, 0 keeps one",
      openai: "top_p",
      integer: false,
      min: 0,
      max: 1,
      default: 0.9,
    },
  ],
  create({ topP: p }) {
    if (p >= 1) return undefined;
    return {
      apply(candidates) {
        const target = p * candidates.sumWeights();
        let before: number;
        do before = candidates.walkSorted(target);
        while (before === candidates.count && candidates.grow());
        candidates.keepFirst(before + 1);
      },
    };
  },
};
