// Llama and its like: q and k rows in the order of adjacent rotary pairs.
import type { ModelFile } from "../../../format/model_file.ts";
import type { Hyper } from "../../config.ts";
import { llama2cHyper } from "../../hyper/llama2c_hyper.ts";
import { ggufName } from "../gguf_names.ts";
import { attention, expertsOf, factor, gated, rms, rmsFamily, rmsHyper, rmsUsual } from "../parts.ts";
import type { Architecture, LayerSpec, TemperatureSpec } from "../spec.ts";

const EXPERTS = { presence: "optional" } as const;

function layer(i: number, hyper: Hyper): LayerSpec {
  return {
    norm: rms(hyper),
    attention: attention(hyper, "adjacent"),
    feedForward: gated(hyper, "silu", expertsOf(i, hyper)),
  };
}

// Tables of rotary angles, which are computed instead.
const ignored = /^blk\.\d+\.attn_rot_embd\.weight$/;

/** Source: Touvron et al. 2023, "Llama 2", arXiv:2307.09288; Mistral, Mixtral and others have files of this name. */
export const llama = rmsFamily("llama", layer, {
  ignored,
  hyper(file: ModelFile): Hyper {
    if (file.format === "llama2c") return llama2cHyper(file, ggufName("embedding.weight", 0));
    return rmsHyper(file, { experts: EXPERTS });
  },
});

/** Source: Cai et al. 2024, "InternLM2", arXiv:2403.17297 */
export const internlm2 = rmsFamily("internlm2", layer);

/** Source: Baidu 2025, ERNIE 4.5 technical report */
export const ernie4_5 = rmsFamily("ernie4_5", layer);

interface MistralHyper extends Hyper {
  readonly temperature?: TemperatureSpec;
}

const TEMPERATURE = "attention.temperature_scale";

/** Ministral 3: queries grow with the logarithm of the position. Source: llama.cpp, src/models/mistral3.cpp */
export const mistral3: Architecture<MistralHyper> = {
  name: "mistral3",
  ...rmsUsual,
  hyper(file: ModelFile): MistralHyper {
    const usual = rmsHyper(file, { experts: EXPERTS, reads: [TEMPERATURE] });
    const scale = factor(file, TEMPERATURE);
    if (scale === undefined) return usual;
    const context = usual.trainedContext ?? usual.config.contextLength;
    return { ...usual, temperature: { scale, context } };
  },
  layer(i: number, hyper: MistralHyper): LayerSpec {
    const { temperature } = hyper;
    const usual = layer(i, hyper);
    return { ...usual, attention: { ...usual.attention, ...(temperature && { temperature }) } };
  },
};
