// Phi: Phi 2 with parallel blocks, Phi 3 with fused matrices.
import type { ModelFile } from "../../../format/model_file.ts";
import {
  attention,
  gated,
  layerNorm,
  layerNormFamily,
  layerNormHyper,
  plain,
  rms,
  rmsFamily,
  rmsHyper,
  WINDOW,
} from "../parts.ts";

/** Source: Li et al. 2023, "Textbooks Are All You Need II", arXiv:2309.05463 */
export const phi2 = layerNormFamily(
  "phi2",
  (_i, hyper) => ({
    norm: layerNorm(hyper, "required"),
    parallel: "one norm",
    attention: attention(hyper, "halves"),
    feedForward: plain("gelu"),
  }),
  { outputBias: "optional", hyper: (file: ModelFile) => layerNormHyper(file, { partialRope: true }) },
);

/** Source: Abdin et al. 2024, "Phi-3", arXiv:2404.14219. Its window is not used, as in llama.cpp. */
export const phi3 = rmsFamily(
  "phi3",
  (_i, hyper) => ({
    norm: rms(hyper),
    attention: attention(hyper, "halves"),
    feedForward: gated(hyper, "silu"),
  }),
  { hyper: (file: ModelFile) => rmsHyper(file, { partialRope: true, reads: [WINDOW] }) },
);
