// Hunyuan, dense: norms of each head of queries and keys after the rotation.
import { attention, gated, rms, rmsFamily } from "../parts.ts";

/** Source: Tencent 2025, model cards of Hunyuan; names of keys and tensors: llama.cpp */
export const hunyuanDense = rmsFamily("hunyuan-dense", (_i, hyper) => ({
  norm: rms(hyper),
  attention: attention(hyper, "halves", { headNorm: { over: "head", late: true } }),
  feedForward: gated(hyper, "silu"),
}));
