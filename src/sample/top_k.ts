import type { SamplerSpec } from "./options.ts";

/**
 * Keeps the k likeliest tokens.
 * Source: Fan, Lewis and Dauphin 2018, "Hierarchical Neural Story Generation", arXiv:1805.04833.
 */
export const topK: SamplerSpec = {
  name: "top_k",
  acts: "candidates",
  params: [
    {
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
  apply(candidates, { topK: k }) {
    if (k > 0) candidates.keepFirst(k);
  },
};
