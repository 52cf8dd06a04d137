// StableLM: LayerNorm, rotary positions in a part of each head, and parallel blocks in files without a second norm.
import type { ModelFile } from "../../../format/model_file.ts";
import type { Hyper } from "../../config.ts";
import { ggufName } from "../gguf_names.ts";
import { attention, gated, layerNorm, layerNormHyper, layerNormUsual } from "../parts.ts";
import type { Architecture } from "../spec.ts";

interface StableHyper extends Hyper {
  readonly parallel: boolean;
}

/** Source: Bellagente et al. 2024, "Stable LM 2 1.6B", arXiv:2402.17834 */
export const stablelm: Architecture<StableHyper> = {
  name: "stablelm",
  ...layerNormUsual,
  hyper(file: ModelFile): StableHyper {
    const usual = layerNormHyper(file, { partialRope: true, reads: ["use_parallel_residual"] });
    return { ...usual, parallel: !file.tensors.has(ggufName("ffnNorm.weight", 0)) };
  },
  layer: (_i, hyper) => ({
    norm: layerNorm(hyper, "optional"),
    ...(hyper.parallel && { parallel: "one norm" }),
    attention: attention(hyper, "halves", { headNorm: { over: "own head", presence: "optional" } }),
    feedForward: gated(hyper, "silu"),
  }),
};
