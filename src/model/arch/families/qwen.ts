// Qwen 2 and 3: rotary pairs half a head apart; Qwen 3 has norms of each head of queries and keys.
import type { ModelFile } from "../../../format/model_file.ts";
import { attention, expertsOf, gated, rms, rmsFamily, rmsHyper } from "../parts.ts";

/** Source: Yang et al. 2024, "Qwen2", arXiv:2407.10671 */
export const qwen2 = rmsFamily("qwen2", (_i, hyper) => ({
  norm: rms(hyper),
  attention: attention(hyper, "halves"),
  feedForward: gated(hyper, "silu"),
}));

/** Qwen 2 with experts, one of which works on every token, as much as a gate of its own lets it. */
export const qwen2moe = rmsFamily(
  "qwen2moe",
  (i, hyper) => ({
    norm: rms(hyper),
    attention: attention(hyper, "halves"),
    feedForward: gated(hyper, "silu", expertsOf(i, hyper, { sharedGate: true })),
  }),
  {
    hyper: (file: ModelFile) =>
      rmsHyper(file, { experts: { presence: "required", normalize: false, shared: "always" } }),
  },
);

/** Source: Yang et al. 2025, "Qwen3", arXiv:2505.09388 */
export const qwen3 = rmsFamily("qwen3", (i, hyper) => ({
  norm: rms(hyper),
  attention: attention(hyper, "halves", { headNorm: { over: "head" } }),
  feedForward: gated(hyper, "silu", expertsOf(i, hyper)),
}));

/** Qwen 3 with experts. */
export const qwen3moe = rmsFamily("qwen3moe", qwen3.layer, {
  hyper: (file: ModelFile) => rmsHyper(file, { experts: { presence: "required" } }),
});
