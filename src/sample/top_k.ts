// Top-k.
import type { SamplerSpec } from "./spec.ts";

/** Options of {@link topK}. */
export interface TopKOptions {
  /** How many of the likeliest tokens are kept; 0 keeps all. */
  topK: number;
}

/**
 * Keeps the k likeliest tokens.
 * Source: Fan, Lewis and Dauphin 2018, "Hierarchical Neural Story Generation", arXiv:1805.04833.
 */
export const topK: SamplerSpec<TopKOptions> = {
  name: "top_k",
  acts: "candidates",
  params: [
    {
      kind: "number",
      key: "topK",
      flag: "--top-k",
      valueName: "K",
      help: "keep the K likeliest tokens; 0 is off",
      openai: "top_k",
      integer: true,
      min: 0,
      max: Number.MAX_SAFE_INTEGER,
      default: 40,
    },
  ],
  create({ topK: k }) {
    if (k === 0) return undefined;
    return { apply: (candidates) => candidates.keepFirst(k) };
  },
};
