// gpt-oss: experts with biases, attention sinks, and a sliding window in every other layer.
import type { ModelFile } from "../../format/model_file.ts";
import type { ExpertNumbers, Hyper } from "../config.ts";
import { ggufHyper } from "../hyper/gguf_hyper.ts";
import { integer } from "../hyper/values.ts";
import { ggufName } from "./gguf_names.ts";
import type { Architecture, LayerSpec, NormSpec, Role } from "./spec.ts";

const WINDOW = "attention.sliding_window";

/** Source: OpenAI 2025, "gpt-oss" model card, arXiv:2508.10925; names of keys and tensors: llama.cpp. */
export const gptOss: Architecture = {
  name: "gpt-oss",

  hyper(file: ModelFile): Hyper {
    const usual = ggufHyper(file, {
      epsilon: "attention.layer_norm_rms_epsilon",
      embedding: ggufName("embedding.weight", 0),
      experts: "required",
      reads: [WINDOW],
    });
    const window = integer(file, `gpt-oss.${WINDOW}`, { min: 1, max: 2 ** 31 - 1 });
    return { ...usual, config: { ...usual.config, window } };
  },

  layer(i: number, hyper: Hyper): LayerSpec {
    const { config, rope } = hyper;
    const { window } = config;
    const { n, used, hiddenDim } = hyper.experts as ExpertNumbers;
    return {
      norm: norm(hyper),
      attention: {
        qkv: "split",
        bias: "required",
        outputBias: "required",
        rope: { pairing: "halves", ...rope },
        scale: 1 / Math.sqrt(config.headDim),
        sinks: true,
        ...(i % 2 === 0 && window && { window }),
      },
      feedForward: {
        act: "silu",
        gated: true,
        gateUp: "split",
        clamp: { limit: 7, alpha: 1.702 },
        bias: "required",
        downBias: "required",
        experts: { n, used, hiddenDim, gate: "softmax of chosen", normalize: false, bias: "required" },
      },
    };
  },

  outputNorm: norm,

  tensors(role: Role, layer: number): string {
    // The norm before the experts: the attention block has none behind it.
    return role === "ffnNorm.weight" ? `blk.${layer}.post_attention_norm.weight` : ggufName(role, layer);
  },
};

function norm({ config }: Hyper): NormSpec {
  return { kind: "rms", eps: config.normEps };
}
