// GPT-2 and those that came from it: LayerNorm with biases, plain GELU.
import type { ModelFile } from "../../../format/model_file.ts";
import type { Hyper } from "../../config.ts";
import { attention, layerNorm, layerNormFamily, layerNormHyper, layerNormUsual, plain } from "../parts.ts";
import type { Architecture } from "../spec.ts";

/** Learned positions. Source: Radford et al. 2019, "Language Models are Unsupervised Multitask Learners" */
export const gpt2 = layerNormFamily(
  "gpt2",
  (_i, hyper) => ({
    norm: layerNorm(hyper, "required"),
    attention: attention(hyper, "none"),
    feedForward: plain("gelu"),
  }),
  { positions: true },
);

/** Source: Lozhkov et al. 2024, "StarCoder 2", arXiv:2402.19173 */
export const starcoder2 = layerNormFamily("starcoder2", (_i, hyper) => ({
  norm: layerNorm(hyper, "required"),
  attention: attention(hyper, "halves"),
  feedForward: plain("gelu"),
}));

/** Parallel blocks behind one norm. Source: Almazrouei et al. 2023, "The Falcon Series", arXiv:2311.16867 */
export const falcon = layerNormFamily("falcon", (_i, hyper) => ({
  norm: layerNorm(hyper, "optional"),
  parallel: "one norm",
  attention: attention(hyper, "halves"),
  feedForward: plain("gelu"),
}));

const PARALLEL = "use_parallel_residual";

interface NeoxHyper extends Hyper {
  readonly parallel: boolean;
}

/** Source: Black et al. 2022, "GPT-NeoX-20B", arXiv:2204.06745; Pythia has files of this name. */
export const gptneox: Architecture<NeoxHyper> = {
  name: "gptneox",
  ...layerNormUsual,
  hyper(file: ModelFile): NeoxHyper {
    const usual = layerNormHyper(file, { partialRope: true, reads: [PARALLEL] });
    return { ...usual, parallel: file.metadata.get(`gptneox.${PARALLEL}`)?.value !== false };
  },
  layer: (_i, hyper) => ({
    norm: layerNorm(hyper, "required"),
    ...(hyper.parallel && { parallel: "two norms" }),
    attention: attention(hyper, "halves"),
    feedForward: plain("gelu"),
  }),
};
