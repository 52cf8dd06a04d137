// Llama, as GGUF and llama2.c store it: q and k rows in the order of adjacent rotary pairs.
import type { ModelFile } from "../../format/model_file.ts";
import type { Hyper, ModelConfig } from "../config.ts";
import { ggufHyper } from "../hyper/gguf_hyper.ts";
import { llama2cHyper } from "../hyper/llama2c_hyper.ts";
import { ggufName } from "./gguf_names.ts";
import type { Architecture, LayerSpec, NormSpec } from "./spec.ts";

const embedding = ggufName("embedding.weight", 0);

export const llama: Architecture = {
  name: "llama",

  hyper(file: ModelFile): Hyper {
    if (file.format === "llama2c") return llama2cHyper(file, embedding);
    return ggufHyper(file, {
      epsilon: "attention.layer_norm_rms_epsilon",
      embedding,
      experts: "optional",
    });
  },

  layer(_i: number, { config, rope, experts }: Hyper): LayerSpec {
    return {
      norm: norm(config),
      attention: {
        qkv: "split",
        rope: { pairing: "adjacent", ...rope },
        scale: 1 / Math.sqrt(config.headDim),
      },
      feedForward: {
        act: "silu",
        gated: true,
        gateUp: "split",
        ...(experts && { experts: { ...experts, gate: "softmax", normalize: true } }),
      },
    };
  },

  outputNorm: ({ config }: Hyper) => norm(config),

  tensors: ggufName,

  // Tables of rotary angles, which are computed instead.
  ignored: /^blk\.\d+\.attn_rot_embd\.weight$/,
};

function norm({ normEps }: ModelConfig): NormSpec {
  return { kind: "rms", eps: normEps };
}
