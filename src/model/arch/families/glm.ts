// GLM 4: norms on both sides of blocks, adjacent rotary pairs in the first half of each head, fused gate and up.
import type { ModelFile } from "../../../format/model_file.ts";
import { attention, gated, rms, rmsFamily, rmsHyper } from "../parts.ts";

/** Source: GLM Team 2024, "ChatGLM", arXiv:2406.12793; names of keys and tensors: llama.cpp */
export const glm4 = rmsFamily(
  "glm4",
  (_i, hyper) => ({
    norm: rms(hyper),
    norms: "both",
    attention: attention(hyper, "adjacent"),
    feedForward: gated(hyper, "silu"),
  }),
  { hyper: (file: ModelFile) => rmsHyper(file, { partialRope: true }) },
);
