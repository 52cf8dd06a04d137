// gpt-oss: experts with biases, attention sinks, and a sliding window in every other layer.
import type { ModelFile } from "../../../format/model_file.ts";
import type { Hyper } from "../../config.ts";
import { integer } from "../../hyper/values.ts";
import { ggufName } from "../gguf_names.ts";
import { attention, expertsOf, rms, rmsFamily, rmsHyper, WINDOW, windowAt, withWindow } from "../parts.ts";
import type { LayerSpec, Role } from "../spec.ts";

const PERIOD = 2;
const EXPERTS = { presence: "required", gate: "softmax of chosen", normalize: false } as const;

/** Source: OpenAI 2025, "gpt-oss" model card, arXiv:2508.10925; names of keys and tensors: llama.cpp. */
export const gptOss = rmsFamily("gpt-oss", layer, {
  hyper(file: ModelFile): Hyper {
    const usual = rmsHyper(file, { experts: EXPERTS, reads: [WINDOW] });
    const window = integer(file, `gpt-oss.${WINDOW}`, { min: 1, max: 2 ** 31 - 1 });
    return withWindow(usual, window, PERIOD);
  },

  tensors(role: Role, layer: number): string {
    // The norm before the experts: the attention block has none behind it.
    return role === "ffnNorm.weight" ? `blk.${layer}.post_attention_norm.weight` : ggufName(role, layer);
  },
});

function layer(i: number, hyper: Hyper): LayerSpec {
  const window = windowAt(i, hyper);
  const experts = expertsOf(i, hyper, { bias: "required" });
  return {
    norm: rms(hyper),
    attention: attention(hyper, "halves", {
      bias: "required",
      outputBias: "required",
      sinks: true,
      ...(window && { window }),
    }),
    feedForward: {
      act: "silu",
      gated: true,
      gateUp: "split",
      clamp: { limit: 7, alpha: 1.702 },
      bias: "required",
      downBias: "required",
      ...(experts && { experts }),
    },
  };
}
