// Seed-OSS: Llama's block with rotary pairs half a head apart, and another name for its second norm.
import { ggufName } from "../gguf_names.ts";
import { attention, gated, rms, rmsFamily } from "../parts.ts";

/** Source: ByteDance Seed 2025, model card of Seed-OSS-36B; names of keys and tensors: llama.cpp */
export const seedOss = rmsFamily(
  "seed_oss",
  (_i, hyper) => ({
    norm: rms(hyper),
    attention: attention(hyper, "halves"),
    feedForward: gated(hyper, "silu"),
  }),
  {
    tensors: (role, layer) => ggufName(role === "ffnNorm.weight" ? "attnPostNorm.weight" : role, layer),
  },
);
