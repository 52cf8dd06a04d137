// Says which metadata keys below the architecture's name a file may have, and with which values.
import type { MetaValue, ModelFile } from "../format/model_file.ts";
import { quoted } from "../util/bytes.ts";
import { UnsupportedError } from "../util/errors.ts";

// Keys that ggufHyper() reads and checks itself.
const understood: readonly string[] = [
  "context_length",
  "embedding_length",
  "block_count",
  "feed_forward_length",
  "expert_count",
  "attention.head_count",
  "attention.head_count_kv",
  "attention.key_length",
  "attention.value_length",
  "attention.layer_norm_rms_epsilon",
  "rope.dimension_count",
  "rope.freq_base",
  "rope.scaling.type",
  "rope.scaling.factor",
  "rope.scaling.attn_factor",
  "rope.scaling.dynamic_factor",
  "rope.scale_linear",
];

// Keys that change no logit, whatever they say: they describe the file, or belong to embeddings, to the other kind of
// norm, or to rotary scalings that rope.scaling.type does not name (ropeScaling() reads those of one that it names).
const harmless: readonly string[] = [
  "vocab_size",
  "pooling_type",
  "attention.layer_norm_epsilon",
  "rope.scaling.original_context_length",
  "rope.scaling.finetuned",
  "rope.scaling.yarn_log_multiplier",
  "rope.scaling.yarn_ext_factor",
  "rope.scaling.yarn_attn_factor",
  "rope.scaling.yarn_beta_fast",
  "rope.scaling.yarn_beta_slow",
  "rope.scaling.yarn_truncate",
];

// What a key must say so that it changes nothing.
interface Neutral {
  readonly values: readonly (number | boolean | string)[];
  readonly keys: readonly string[];
}

// Keys that change results unless they have one of these values. Source: llama.cpp, llama-arch.cpp.
const neutral: readonly Neutral[] = [
  { values: [true], keys: ["attention.causal"] },
  { values: ["silu"], keys: ["hidden_activation"] },
  // The order of rows that files of the architecture have, under the names that converters gave it.
  { values: ["reference", "Meta AI original pth"], keys: ["tensor_data_layout"] },
  { values: [false], keys: ["use_parallel_residual", "swin_norm", "expert_weights_norm"] },
  {
    // Factors; 0 is how files say that there is none.
    values: [0, 1],
    keys: [
      "logit_scale",
      "residual_scale",
      "embedding_scale",
      "expert_weights_scale",
      "expert_group_scale",
      "attention.output_scale",
      "attention.value_scale",
      "rope.scaling.alpha",
    ],
  },
  {
    values: [0],
    keys: [
      "attn_logit_softcapping",
      "final_logit_softcapping",
      "router_logit_softcapping",
      "embedding_length_per_layer_input",
      "leading_dense_block_count",
      "nextn_predict_layers",
      "n_deepstack_layers",
      "interleave_moe_layer_step",
      "moe_every_n_layers",
      "moe_latent_size",
      "full_attention_interval",
      "hash_layer_count",
      "expert_used_count",
      "expert_shared_count",
      "expert_group_count",
      "expert_group_used_count",
      "expert_feed_forward_length",
      "expert_shared_feed_forward_length",
      "expert_chunk_feed_forward_length",
      "expert_gating_func",
      "experts_per_group",
      "attention.max_alibi_bias",
      "attention.clamp_kqv",
      "attention.q_lora_rank",
      "attention.kv_lora_rank",
      "attention.relative_buckets_count",
      "attention.temperature_length",
      "attention.temperature_scale",
      "attention.shared_kv_layers",
      "swiglu_clamp_exp",
      "swiglu_clamp_shexp",
    ],
  },
];

const always: ReadonlySet<string> = new Set([...understood, ...harmless]);
const neutralValues: ReadonlyMap<string, Neutral["values"]> = new Map(
  neutral.flatMap(({ values, keys }) => keys.map((key) => [key, values] as const)),
);

// Numbers of the model that some keys state again.
interface Stated {
  readonly headDim: number;
  readonly dim: number;
  readonly contextLength: number;
}

/**
 * Checks that no key below `prefix` asks for a computation that is not done. What is not known is refused: otherwise a
 * model that computes something else would run and be wrong.
 * @param reads keys that the architecture reads itself, besides those that all architectures have
 * @throws UnsupportedError that names the key, its value and what is supported
 */
export function checkKeys(
  file: ModelFile,
  prefix: string,
  stated: Stated,
  reads: readonly string[] = [],
): void {
  for (const [key, value] of file.metadata) {
    if (!key.startsWith(`${prefix}.`)) continue;
    const name = key.slice(prefix.length + 1);
    if (always.has(name) || reads.includes(name)) continue;
    const { fits, supported } = rule(name, stated) ?? unknown;
    if (fits && elements(value).every(fits)) continue;
    throw new UnsupportedError(
      `Cannot load ${file.source.name}: Unsupported metadata key ${quoted(key)}: ${describeMeta(value)}; supported: ${supported}`,
    );
  }
}

/** A value as messages show it. */
export function describeMeta(value: MetaValue | undefined): string {
  if (!value) return "none";
  if (value.type === "array") return `an array of ${value.elementType}`;
  return value.type === "string" ? `string ${quoted(String(value.value))}` : `${value.type} ${value.value}`;
}

type Element = number | bigint | boolean | string;

interface Rule {
  // Undefined: no value does.
  readonly fits?: (value: Element) => boolean;
  readonly supported: string;
}

const unknown: Rule = { supported: "files without it" };

function rule(name: string, { headDim, dim, contextLength }: Stated): Rule | undefined {
  switch (name) {
    case "attention.scale": {
      const usual = 1 / Math.sqrt(headDim);
      return {
        fits: (value) => value === 0 || Math.abs(Number(value) / usual - 1) < 1e-6,
        supported: `0, ${usual}`,
      };
    }
    case "attention.sliding_window":
      return {
        fits: (value) => value === 0 || (typeof value === "number" && value >= contextLength),
        supported: `0 or a window of at least ${contextLength}, the context`,
      };
    case "embedding_length_out":
      return { fits: (value) => value === 0 || value === dim, supported: `0, ${dim}` };
    case "attention.sliding_window_pattern":
    case "rope.dimension_sections":
      return { fits: (value) => value === 0 || value === false, supported: "0" };
  }
  const values = neutralValues.get(name);
  return values && { fits: (value) => values.includes(value as number), supported: values.join(", ") };
}

// The value, or those of an array.
function elements(value: MetaValue): readonly Element[] {
  return value.type === "array" ? Array.from<Element>(value.value) : [value.value];
}
