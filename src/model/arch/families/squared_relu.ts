// Nemotron and Arcee: feed-forward blocks of the square of ReLU, without a gate.
import type { ModelFile } from "../../../format/model_file.ts";
import { attention, layerNorm, layerNormFamily, layerNormHyper, plain, rms, rmsFamily } from "../parts.ts";

/** Files store norm weights with the 1 that Nemotron adds. Source: Parmar et al. 2024, "Nemotron-4 15B", arXiv:2402.16819 */
export const nemotron = layerNormFamily(
  "nemotron",
  (_i, hyper) => ({
    norm: layerNorm(hyper, "required"),
    attention: attention(hyper, "halves"),
    feedForward: plain("relu2"),
  }),
  { hyper: (file: ModelFile) => layerNormHyper(file, { partialRope: true }) },
);

/** Source: Arcee AI 2025, model card of AFM-4.5B */
export const arcee = rmsFamily("arcee", (_i, hyper) => ({
  norm: rms(hyper),
  attention: attention(hyper, "adjacent"),
  feedForward: plain("relu2"),
}));
