// A tiny gpt-oss with random weights: experts, sinks, and a window of 7 in every other layer.
import { type GgufValue, meta, type TinyLlamaOptions, type TinyWeight, tinyLlama } from "./gguf_writer.ts";
import { randomF32 } from "./kernels.ts";
import { biasesOf, expertTensors } from "./toy.ts";

/** Its experts. */
export const N_EXPERTS = 6;
/** Its window. */
export const WINDOW = 7;

const keys: Record<string, GgufValue | undefined> = {
  "gpt-oss.attention.sliding_window": meta("u32", WINDOW),
  "gpt-oss.expert_count": meta("u32", N_EXPERTS),
  "gpt-oss.expert_used_count": meta("u32", 2),
  "gpt-oss.expert_feed_forward_length": meta("u32", 32),
  "gpt-oss.rope.scaling.type": meta("string", "yarn"),
  "gpt-oss.rope.scaling.factor": meta("f32", 8),
  "gpt-oss.rope.scaling.original_context_length": meta("u32", 32),
};

const tensors: Record<string, Partial<TinyWeight> | undefined> = {
  ...expertTensors(N_EXPERTS, { biases: true }),
  ...biasesOf({ attn_q: 64, attn_k: 32, attn_v: 32, attn_output: 64 }),
};
for (const i of [0, 1]) {
  tensors[`blk.${i}.ffn_norm.weight`] = undefined;
  tensors[`blk.${i}.post_attention_norm.weight`] = { shape: [64], values: randomF32(64, i, 0.8, 1.2) };
  tensors[`blk.${i}.attn_sinks.weight`] = { shape: [4], values: randomF32(4, i, -1, 2) };
}

/** The file, and its weights. */
export function tinyGptOss({
  metadata,
  tensors: more,
  ...options
}: TinyLlamaOptions = {}): ReturnType<typeof tinyLlama> {
  return tinyLlama({
    ...options,
    architecture: "gpt-oss",
    metadata: { ...keys, ...metadata },
    tensors: { ...tensors, ...more },
  });
}
