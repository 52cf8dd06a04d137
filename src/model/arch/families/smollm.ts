// SmolLM 3: Llama, but every fourth layer knows no positions.
import { attention, gated, rms, rmsFamily } from "../parts.ts";

/** Source: Hugging Face 2025, "SmolLM3"; Yang et al. 2025, "RoPE to NoPE and Back Again", arXiv:2501.18795 */
export const smollm3 = rmsFamily("smollm3", (i, hyper) => ({
  norm: rms(hyper),
  attention: attention(hyper, i % 4 === 3 ? "none" : "adjacent"),
  feedForward: gated(hyper, "silu"),
}));
