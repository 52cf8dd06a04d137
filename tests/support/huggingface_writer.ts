// Writes a model of any architecture as Hugging Face stores it: the way back from GGUF, told a second time.

import type { MetaValue, ModelFile, TensorInfo } from "../../src/format/model_file.ts";
import { encodeTensor, f32FromF16 } from "./gguf_writer.ts";
import { inHalves, type StoredTensor, safetensorsFile } from "./safetensors_writer.ts";

/** A tensor in numbers. */
interface Values {
  readonly shape: readonly number[];
  readonly values: Float32Array;
}

type Config = Record<string, unknown>;
/** A number of the GGUF file, without the architecture's name before its key. */
type Key = (key: string, usual?: number) => number;

/** How one architecture is stored. */
interface Style {
  readonly class: string;
  /** Names by GGUF's stems, one after the other; those of layers without what stands before them. */
  readonly names: string;
  readonly root?: string;
  readonly layers?: string;
  /** Keys to add, replace or (undefined) leave out. */
  readonly config?: (key: Key, tensors: ReadonlyMap<string, Values>) => Config;
  /** Keys that say whether there are biases, by the tensor of layer 0 that is one. */
  readonly biases?: Record<string, string>;
  readonly halves?: boolean;
  readonly minusOne?: boolean;
  /** Changes all tensors of a layer, under GGUF's stems with their suffix; it may take them away and add others. */
  readonly layer?: (tensors: Map<string, Values>, key: Key) => Record<string, Values>;
}

const outer = "token_embd embed_tokens output_norm norm output lm_head ";
const norms = "attn_norm input_layernorm ffn_norm post_attention_layernorm ";
const attention =
  "attn_q self_attn.q_proj attn_k self_attn.k_proj attn_v self_attn.v_proj attn_output self_attn.o_proj ";
const headNorms = "attn_q_norm self_attn.q_norm attn_k_norm self_attn.k_norm ";
const gated = "ffn_gate mlp.gate_proj ffn_up mlp.up_proj ffn_down mlp.down_proj ";
const afterNorms = "post_attention_norm post_attention_layernorm post_ffw_norm post_feedforward_layernorm ";
const llamaNames = outer + norms + attention + gated;
const attentionBias = { attention_bias: "attn_q.bias" };
const mlpBias = { ...attentionBias, mlp_bias: "ffn_up.bias" };
const blockNames = "ffn_up mlp.dense_h_to_4h ffn_down mlp.dense_4h_to_h ";
const qwenExperts = (key: Key) => ({
  num_experts: key("expert_count"),
  num_experts_per_tok: key("expert_used_count"),
  moe_intermediate_size: key("expert_feed_forward_length"),
});

/** Rows of each head of keys and values: those of its queries, its key, its value. */
function grouped([q, k, v]: readonly [Values, Values, Values], kvHeads: number): Values {
  const rows = [q, k, v].map(({ shape }) => (shape[0] as number) / kvHeads);
  const width = q.values.length / (q.shape[0] as number);
  const parts: Float32Array[] = [];
  for (let i = 0; i < kvHeads; i++) {
    [q, k, v].forEach(({ values }, j) => {
      const n = (rows[j] as number) * width;
      parts.push(values.slice(i * n, (i + 1) * n));
    });
  }
  const n = rows.reduce((a, b) => a + b, 0) * kvHeads;
  return { shape: [n, ...q.shape.slice(1)], values: Float32Array.from(parts.flatMap((part) => [...part])) };
}

function rowsOf({ shape, values }: Values, first: number, n: number): Values {
  const width = values.length / (shape[0] as number);
  return { shape: [n, ...shape.slice(1)], values: values.slice(first * width, (first + n) * width) };
}

function groupedQkv(tensors: Map<string, Values>, key: Key, kvHeads: number): Record<string, Values> {
  const heads = key("attention.head_count");
  const out: Record<string, Values> = {};
  for (const suffix of ["weight", "bias"]) {
    const all = tensors.get(`attn_qkv.${suffix}`);
    if (!all) continue;
    const size = (all.shape[0] as number) / (heads + 2 * kvHeads);
    const [q, k, v] = [
      rowsOf(all, 0, heads * size),
      rowsOf(all, heads * size, kvHeads * size),
      rowsOf(all, (heads + kvHeads) * size, kvHeads * size),
    ];
    tensors.delete(`attn_qkv.${suffix}`);
    out[`qkv.${suffix}`] = grouped([q, k, v], kvHeads);
  }
  return out;
}

function turned({ shape, values }: Values): Values {
  const [rows = 0, cols = 0] = shape;
  const out = new Float32Array(values.length);
  for (let i = 0; i < values.length; i++) out[(i % cols) * rows + Math.floor(i / cols)] = values[i] as number;
  return { shape: [cols, rows], values: out };
}

/** One tensor for each of the first dimension. */
function split(
  tensors: Map<string, Values>,
  stem: string,
  name: (i: number) => string,
): Record<string, Values> {
  const all = tensors.get(`${stem}.weight`);
  if (!all) return {};
  tensors.delete(`${stem}.weight`);
  const [n = 0, ...shape] = all.shape;
  const size = all.values.length / n;
  return Object.fromEntries(
    Array.from({ length: n }, (_, i) => [
      `${name(i)}.weight`,
      { shape, values: all.values.slice(i * size, (i + 1) * size) },
    ]),
  );
}

function expertsApart(
  tensors: Map<string, Values>,
  name: (i: number, part: "gate" | "up" | "down") => string,
): Record<string, Values> {
  const parts = (["gate", "up", "down"] as const).map((part) =>
    split(tensors, `ffn_${part}_exps`, (i) => name(i, part)),
  );
  return Object.assign({}, ...parts);
}

const qwenExpertNames = (i: number, part: string) => `mlp.experts.${i}.${part}_proj`;

/** Two tensors of the same shape, one behind the other along the dimension that is `at` from the end. */
function behind(a: Values, b: Values, at: number): Values {
  const axis = a.shape.length - at;
  const inner = a.shape.slice(axis).reduce((x, y) => x * y, 1);
  const blocks = a.values.length / inner;
  const values = new Float32Array(2 * a.values.length);
  for (let i = 0; i < blocks; i++) {
    values.set(a.values.subarray(i * inner, (i + 1) * inner), 2 * i * inner);
    values.set(b.values.subarray(i * inner, (i + 1) * inner), (2 * i + 1) * inner);
  }
  return { shape: a.shape.map((n, i) => (i === axis ? 2 * n : n)), values };
}

function take(tensors: Map<string, Values>, name: string): Values {
  const value = tensors.get(name) as Values;
  tensors.delete(name);
  return value;
}

/** Every expert's matrix, transposed. */
function turnedExperts({ shape: [n = 0, rows = 0, cols = 0], values }: Values): Values {
  const size = rows * cols;
  const all = Array.from({ length: n }, (_, i) =>
    turned({ shape: [rows, cols], values: values.slice(i * size, (i + 1) * size) }),
  );
  return { shape: [n, cols, rows], values: Float32Array.from(all.flatMap((one) => [...one.values])) };
}

/** Values of the last dimension by turns. */
function byTurns(a: Values, b: Values): Values {
  const values = new Float32Array(2 * a.values.length);
  for (let i = 0; i < a.values.length; i++) {
    values[2 * i] = a.values[i] as number;
    values[2 * i + 1] = b.values[i] as number;
  }
  return { shape: [...a.shape.slice(0, -1), 2 * (a.shape.at(-1) as number)], values };
}

const layerNorm = (name: string) => (key: Key) => ({
  rms_norm_eps: undefined,
  [name]: key("attention.layer_norm_epsilon"),
});

function windowed(key: Key, period: number): Config {
  const layer_types = Array.from({ length: key("block_count") }, (_, i) =>
    (i + 1) % period === 0 ? "full_attention" : "sliding_attention",
  );
  return { sliding_window: key("attention.sliding_window"), layer_types };
}

const qwenMoe: Partial<Style> = {
  layer: (tensors) => expertsApart(tensors, qwenExpertNames),
};

const granite: Style = {
  ...{ class: "GraniteForCausalLM", names: llamaNames, biases: mlpBias, halves: true },
  config: (key) => ({
    attention_multiplier: key("attention.scale", 0.25),
    embedding_multiplier: key("embedding_scale", 1),
    residual_multiplier: key("residual_scale", 1),
    logits_scaling: key("logit_scale", 1),
  }),
};

const gemma: Style = {
  ...{ class: "GemmaForCausalLM", names: llamaNames, biases: attentionBias, minusOne: true },
  config: (key) => ({ hidden_act: "gelu_pytorch_tanh", head_dim: key("attention.key_length", 16) }),
};

const gemma2: Style = {
  ...{ ...gemma, class: "Gemma2ForCausalLM" },
  names: `${outer + attention + gated + afterNorms}attn_norm input_layernorm ffn_norm pre_feedforward_layernorm`,
  config: (key) => ({
    ...gemma.config?.(key, new Map()),
    ...windowed(key, 2),
    attn_logit_softcapping: key("attn_logit_softcapping", 0) || null,
    final_logit_softcapping: key("final_logit_softcapping", 0) || null,
    query_pre_attn_scalar: key("attention.key_length", 16),
  }),
};

const latentNames =
  "attn_q self_attn.q_proj attn_q_a self_attn.q_a_proj attn_q_a_norm self_attn.q_a_layernorm attn_q_b self_attn.q_b_proj " +
  "attn_kv_a_mqa self_attn.kv_a_proj_with_mqa attn_kv_a_norm self_attn.kv_a_layernorm attn_output self_attn.o_proj " +
  "ffn_gate_inp mlp.gate ffn_gate_shexp mlp.shared_experts.gate_proj ffn_up_shexp mlp.shared_experts.up_proj " +
  "ffn_down_shexp mlp.shared_experts.down_proj ";

const olmo2: Style = {
  ...{
    class: "Olmo3ForCausalLM",
    names: outer + attention + headNorms + gated + afterNorms,
    biases: attentionBias,
  },
  config: (key) => windowed(key, 4),
};

const cohere: Style = {
  class: "CohereForCausalLM",
  names: llamaNames + headNorms,
  biases: { ...attentionBias, use_qk_norm: "attn_q_norm.weight" },
  config: (key) => ({ ...layerNorm("layer_norm_eps")(key), logit_scale: key("logit_scale") }),
};

const neoxRoot = { root: "gpt_neox." };

/** By the architecture's name in GGUF. */
const styles: Readonly<Record<string, Style>> = {
  llama: {
    ...{ class: "LlamaForCausalLM", names: llamaNames, biases: mlpBias, halves: true },
    config: (key) =>
      key("expert_count", 0)
        ? {
            architectures: ["MixtralForCausalLM"],
            num_local_experts: key("expert_count"),
            num_experts_per_tok: key("expert_used_count"),
            // Its experts are as long as its blocks would be.
            intermediate_size: key("expert_feed_forward_length", key("feed_forward_length")),
            ...{ attention_bias: undefined, mlp_bias: undefined },
          }
        : {},
    layer: (tensors) => {
      const router = tensors.get("ffn_gate_inp.weight");
      if (!router) return {};
      tensors.delete("ffn_gate_inp.weight");
      const names = { gate: "w1", up: "w3", down: "w2" };
      return {
        "block_sparse_moe.gate.weight": router,
        ...expertsApart(tensors, (i, part) => `block_sparse_moe.experts.${i}.${names[part]}`),
      };
    },
  },
  mistral3: { class: "Ministral3ForCausalLM", names: llamaNames, halves: true },
  arcee: {
    ...{ class: "ArceeForCausalLM", names: llamaNames, biases: mlpBias, halves: true },
    config: () => ({ hidden_act: "relu2" }),
  },
  smollm3: {
    ...{ class: "SmolLM3ForCausalLM", names: llamaNames, biases: mlpBias, halves: true },
    config: (key) => ({
      no_rope_layer_interval: 4,
      no_rope_layers: Array.from({ length: key("block_count") }, (_, i) => Number((i + 1) % 4 !== 0)),
      sliding_window: 8,
    }),
  },
  granite,
  granitemoe: {
    ...granite,
    ...{ class: "GraniteMoeSharedForCausalLM", biases: attentionBias },
    names: `${llamaNames}ffn_gate_inp block_sparse_moe.router.layer ffn_down_exps block_sparse_moe.output_linear ffn_down_shexp shared_mlp.output_linear`,
    config: (key, tensors) => ({
      ...granite.config?.(key, tensors),
      num_local_experts: key("expert_count"),
      num_experts_per_tok: key("expert_used_count"),
      intermediate_size: key("expert_feed_forward_length", key("feed_forward_length")),
      shared_intermediate_size: key("expert_shared_feed_forward_length", 0) || undefined,
    }),
    layer: (tensors) => {
      const gate = take(tensors, "ffn_gate_exps.weight");
      const out: Record<string, Values> = {
        "block_sparse_moe.input_linear.weight": behind(gate, take(tensors, "ffn_up_exps.weight"), 2),
      };
      const shared = take(tensors, "ffn_gate_shexp.weight");
      if (shared) {
        out["shared_mlp.input_linear.weight"] = behind(shared, take(tensors, "ffn_up_shexp.weight"), 2);
      }
      return out;
    },
  },
  minicpm: {
    ...{ class: "MiniCPMForCausalLM", names: llamaNames, biases: attentionBias, halves: true },
    config: (key) => {
      const dim = key("embedding_length");
      return {
        scale_emb: key("embedding_scale", 12),
        scale_depth:
          key("residual_scale", 1.4 / Math.sqrt(key("block_count"))) * Math.sqrt(key("block_count")),
        dim_model_base: dim / key("logit_scale", 256 / dim),
        auto_map: { AutoConfig: "x.Y" },
        head_dim: key("attention.key_length", 16),
      };
    },
  },
  internlm2: {
    ...{ class: "InternLM2ForCausalLM", biases: { bias: "attn_q.bias" } },
    names:
      "token_embd tok_embeddings output_norm norm output output attn_norm attention_norm ffn_norm ffn_norm qkv attention.wqkv " +
      "attn_output attention.wo ffn_gate feed_forward.w1 ffn_up feed_forward.w3 ffn_down feed_forward.w2",
    layer: (tensors, key) => {
      const size = key("embedding_length") / key("attention.head_count");
      const out: Record<string, Values> = {};
      for (const suffix of ["weight", "bias"]) {
        if (!tensors.has(`attn_q.${suffix}`)) continue;
        const [q, k, v] = ["q", "k", "v"].map((part) => take(tensors, `attn_${part}.${suffix}`)) as [
          Values,
          Values,
          Values,
        ];
        const halved = ({ shape, values }: Values) => ({
          shape,
          values: inHalves(values, shape[0] as number, size),
        });
        out[`qkv.${suffix}`] = grouped([halved(q), halved(k), v], key("attention.head_count_kv"));
      }
      return out;
    },
  },
  olmo: {
    ...{ class: "OlmoForCausalLM", names: llamaNames, biases: attentionBias, halves: true },
    config: (key) => ({ rms_norm_eps: undefined, clip_qkv: key("attention.clamp_kqv") }),
  },
  olmo2,
  olmoe: {
    ...{
      ...qwenMoe,
      class: "OlmoeForCausalLM",
      names: `${llamaNames}${headNorms}ffn_gate_inp mlp.gate`,
      biases: attentionBias,
    },
    config: (key) => ({
      num_experts: key("expert_count"),
      num_experts_per_tok: key("expert_used_count"),
      intermediate_size: key("expert_feed_forward_length", key("feed_forward_length")),
      norm_topk_prob: false,
    }),
  },
  exaone4: {
    ...olmo2,
    class: "Exaone4ForCausalLM",
    biases: {},
    config: () => ({ sliding_window: null, sliding_window_pattern: null }),
  },
  exaone: {
    ...{ class: "ExaoneForCausalLM", root: "transformer.", layers: "h." },
    names:
      "token_embd wte output_norm ln_f output lm_head attn_norm ln_1 ffn_norm ln_2 attn_q attn.attention.q_proj " +
      "attn_k attn.attention.k_proj attn_v attn.attention.v_proj attn_output attn.attention.out_proj " +
      "ffn_gate mlp.c_fc_0 ffn_up mlp.c_fc_1 ffn_down mlp.c_proj",
    config: (key) => ({
      ...{ rms_norm_eps: undefined, layer_norm_epsilon: key("attention.layer_norm_rms_epsilon") },
      ...{ hidden_act: undefined, activation_function: "silu" },
      ...{ num_hidden_layers: undefined, num_layers: key("block_count") },
    }),
  },
  ernie4_5: {
    class: "Ernie4_5ForCausalLM",
    names: llamaNames,
    biases: { use_bias: "attn_q.bias" },
    config: () => ({ head_dim: 16 }),
  },
  seed_oss: {
    class: "SeedOssForCausalLM",
    names: `${outer}${attention}${gated}attn_norm input_layernorm post_attention_norm post_attention_layernorm`,
    biases: { ...mlpBias, attention_out_bias: "attn_output.bias" },
    config: () => ({ head_dim: 16 }),
  },
  "hunyuan-dense": {
    class: "HunYuanDenseV1ForCausalLM",
    names: `${llamaNames}attn_q_norm self_attn.query_layernorm attn_k_norm self_attn.key_layernorm`,
    biases: mlpBias,
    config: () => ({ use_qk_norm: true, use_cla: false, dense_list: [64, 0], head_dim: 16 }),
  },
  glm4: {
    class: "Glm4ForCausalLM",
    names: `${llamaNames.replace("mlp.up_proj", "mlp.gate_up_proj")}post_attention_norm post_self_attn_layernorm post_ffw_norm post_mlp_layernorm`,
    biases: attentionBias,
    config: (key) => ({ head_dim: 16, partial_rotary_factor: key("rope.dimension_count") / 16 }),
  },
  phi3: {
    class: "Phi3ForCausalLM",
    names: `${llamaNames.replace("mlp.up_proj", "mlp.gate_up_proj")}attn_qkv self_attn.qkv_proj`,
    biases: { attention_bias: "attn_qkv.bias" },
    config: (key, tensors) => {
      const list = (name: string) => [...(tensors.get(`rope_factors_${name}.weight`) as Values).values];
      return {
        sliding_window: 12,
        original_max_position_embeddings: key("rope.scaling.original_context_length"),
        rope_scaling: {
          type: "longrope",
          ...{ long_factor: list("long"), short_factor: list("short") },
          attention_factor: key("rope.scaling.attn_factor"),
        },
      };
    },
  },
  gemma,
  gemma2,
  gemma3: {
    ...{ ...gemma2, class: "Gemma3ForCausalLM", names: `${gemma2.names} ${headNorms}` },
    config: (key, tensors) => ({
      ...gemma2.config?.(key, tensors),
      ...windowed(key, 6),
      rope_local_base_freq: key("rope.freq_base_swa", 10000),
      sliding_window_pattern: 6,
    }),
  },
  qwen2: {
    class: "Qwen2ForCausalLM",
    names: llamaNames,
    config: () => ({ sliding_window: 8, max_window_layers: 1 }),
  },
  qwen2moe: {
    ...{ ...qwenMoe, class: "Qwen2MoeForCausalLM", biases: { qkv_bias: "attn_q.bias" } },
    names: `${llamaNames}ffn_gate_inp mlp.gate ffn_gate_inp_shexp mlp.shared_expert_gate ffn_gate_shexp mlp.shared_expert.gate_proj ffn_up_shexp mlp.shared_expert.up_proj ffn_down_shexp mlp.shared_expert.down_proj`,
    config: (key) => ({
      ...qwenExperts(key),
      shared_expert_intermediate_size: key("expert_shared_feed_forward_length", key("feed_forward_length")),
      ...{ norm_topk_prob: false, decoder_sparse_step: 1, mlp_only_layers: [] },
    }),
    layer: (tensors, key) => {
      const { shape, values } = take(tensors, "ffn_gate_inp_shexp.weight");
      tensors.set("ffn_gate_inp_shexp.weight", { shape: [1, ...shape], values });
      return qwenMoe.layer?.(tensors, key) ?? {};
    },
  },
  qwen3: {
    class: "Qwen3ForCausalLM",
    names: llamaNames + headNorms,
    biases: attentionBias,
    config: () => ({ head_dim: 16 }),
  },
  qwen3moe: {
    ...{ ...qwenMoe, class: "Qwen3MoeForCausalLM", biases: attentionBias },
    names: `${llamaNames}${headNorms}ffn_gate_inp mlp.gate`,
    config: (key) => ({
      ...qwenExperts(key),
      norm_topk_prob: true,
      head_dim: key("attention.key_length", 16),
    }),
  },
  "gpt-oss": {
    class: "GptOssForCausalLM",
    names: `${outer}${attention}attn_norm input_layernorm post_attention_norm post_attention_layernorm ffn_gate_inp mlp.router`,
    config: (key) => ({
      ...windowed(key, 2),
      num_local_experts: key("expert_count"),
      num_experts_per_tok: key("expert_used_count"),
      intermediate_size: key("expert_feed_forward_length"),
      ...{ head_dim: 16, attention_bias: true, swiglu_limit: 7 },
    }),
    layer: (tensors) => {
      const at = "mlp.experts";
      const weights = ["gate", "up"].map((part) => turnedExperts(take(tensors, `ffn_${part}_exps.weight`)));
      const biases = ["gate", "up"].map((part) => take(tensors, `ffn_${part}_exps.bias`));
      return {
        "self_attn.sinks": take(tensors, "attn_sinks.weight"),
        [`${at}.gate_up_proj`]: byTurns(...(weights as [Values, Values])),
        [`${at}.gate_up_proj_bias`]: byTurns(...(biases as [Values, Values])),
        [`${at}.down_proj`]: turnedExperts(take(tensors, "ffn_down_exps.weight")),
        [`${at}.down_proj_bias`]: take(tensors, "ffn_down_exps.bias"),
      };
    },
  },
  deepseek2: {
    class: "DeepseekV3ForCausalLM",
    names: outer + norms + gated + latentNames,
    config: deepseekConfig,
    layer: (tensors) => {
      const [keys, values] = [take(tensors, "attn_k_b.weight"), take(tensors, "attn_v_b.weight")];
      const turnedKeys = turnedExperts(keys);
      const [heads = 0, plain = 0, rank = 0] = turnedKeys.shape;
      const size = values.shape[1] as number;
      const rows: number[] = [];
      for (let i = 0; i < heads; i++) {
        rows.push(...turnedKeys.values.subarray(i * plain * rank, (i + 1) * plain * rank));
        rows.push(...values.values.subarray(i * size * rank, (i + 1) * size * rank));
      }
      const bias = tensors.has("exp_probs_b.bias") && {
        "mlp.gate.e_score_correction_bias": take(tensors, "exp_probs_b.bias"),
      };
      return {
        ...bias,
        "self_attn.kv_b_proj.weight": {
          shape: [heads * (plain + size), rank],
          values: Float32Array.from(rows),
        },
        ...expertsApart(tensors, qwenExpertNames),
      };
    },
  },
  gpt2: {
    ...{ class: "GPT2LMHeadModel", root: "", layers: "h." },
    names:
      "token_embd wte position_embd wpe output_norm ln_f output lm_head attn_norm ln_1 ffn_norm ln_2 attn_qkv attn.c_attn " +
      "attn_output attn.c_proj ffn_up mlp.c_fc ffn_down mlp.c_proj",
    config: (key) => ({
      ...{ hidden_size: undefined, num_hidden_layers: undefined, num_attention_heads: undefined },
      ...{ num_key_value_heads: undefined, max_position_embeddings: undefined, rms_norm_eps: undefined },
      ...{ intermediate_size: undefined, rope_theta: undefined, hidden_act: undefined },
      ...{
        n_embd: key("embedding_length"),
        n_layer: key("block_count"),
        n_head: key("attention.head_count"),
      },
      ...{
        n_positions: key("context_length"),
        n_ctx: key("context_length"),
        n_inner: key("feed_forward_length"),
      },
      layer_norm_epsilon: key("attention.layer_norm_epsilon"),
      activation_function: "gelu_new",
    }),
    layer: (tensors) => {
      for (const [name, value] of tensors) {
        if (/^(attn_qkv|attn_output|ffn_up|ffn_down)\.weight$/.test(name)) tensors.set(name, turned(value));
      }
      return { "attn.bias": { shape: [1, 1, 4, 4], values: new Float32Array(16) } };
    },
  },
  gptneox: {
    ...{ ...neoxRoot, class: "GPTNeoXForCausalLM", biases: { attention_bias: "attn_qkv.bias" } },
    names: `token_embd embed_in output_norm final_layer_norm output embed_out ${norms}qkv attention.query_key_value attn_output attention.dense ${blockNames}`,
    config: (key) => ({
      ...layerNorm("layer_norm_eps")(key),
      ...{ rotary_pct: key("rope.dimension_count") / 16, rotary_emb_base: key("rope.freq_base", 10000) },
      ...{ rope_theta: undefined, hidden_act: "gelu" },
    }),
    layer: (tensors, key) =>
      groupedQkv(tensors, key, key("attention.head_count_kv", key("attention.head_count"))),
  },
  falcon: {
    ...{ class: "FalconForCausalLM", root: "transformer.", layers: "h.", biases: { bias: "attn_qkv.bias" } },
    names: `token_embd word_embeddings output_norm ln_f output lm_head attn_norm input_layernorm qkv self_attention.query_key_value attn_output self_attention.dense ${blockNames}`,
    config: (key) => ({
      ...layerNorm("layer_norm_epsilon")(key),
      ...{ intermediate_size: undefined, ffn_hidden_size: key("feed_forward_length") },
      ...{ num_key_value_heads: undefined, num_kv_heads: key("attention.head_count_kv") },
      ...{ new_decoder_architecture: true, hidden_act: undefined, alibi: false, parallel_attn: true },
    }),
    layer: (tensors, key) => groupedQkv(tensors, key, key("attention.head_count_kv")),
  },
  phi2: {
    class: "PhiForCausalLM",
    names: `token_embd embed_tokens output_norm final_layernorm output lm_head ${attention.replace("self_attn.o_proj", "self_attn.dense")}attn_norm input_layernorm ffn_up mlp.fc1 ffn_down mlp.fc2`,
    config: (key) => ({
      ...layerNorm("layer_norm_eps")(key),
      hidden_act: "gelu_new",
      partial_rotary_factor: key("rope.dimension_count") / 16,
    }),
  },
  starcoder2: {
    class: "Starcoder2ForCausalLM",
    names: `${outer}${norms}${attention}ffn_up mlp.c_fc ffn_down mlp.c_proj`,
    biases: { use_bias: "attn_q.bias" },
    config: (key) => ({ ...layerNorm("norm_epsilon")(key), hidden_act: "gelu_pytorch_tanh" }),
  },
  nemotron: {
    ...{ class: "NemotronForCausalLM", names: llamaNames, biases: mlpBias, minusOne: true },
    config: (key) => ({
      ...layerNorm("norm_eps")(key),
      hidden_act: "relu2",
      partial_rotary_factor: key("rope.dimension_count") / 16,
    }),
  },
  stablelm: {
    ...{ class: "StableLmForCausalLM", names: llamaNames },
    biases: { use_qkv_bias: "attn_q.bias", qk_layernorm: "attn_q_norm.weight" },
    config: (key, tensors) => ({
      ...layerNorm("layer_norm_eps")(key),
      partial_rotary_factor: key("rope.dimension_count") / 16,
      use_parallel_residual: !tensors.has("blk.0.ffn_norm.weight"),
    }),
    layer: (tensors) => ({
      ...split(tensors, "attn_q_norm", (i) => `self_attn.q_layernorm.norms.${i}`),
      ...split(tensors, "attn_k_norm", (i) => `self_attn.k_layernorm.norms.${i}`),
    }),
  },
  "command-r": cohere,
  cohere2: {
    ...{ ...cohere, class: "Cohere2ForCausalLM", biases: attentionBias },
    config: (key, tensors) => ({ ...cohere.config?.(key, tensors), ...windowed(key, 4), rotary_pct: 1 }),
  },
};

function deepseekConfig(key: Key): Config {
  const [rotated, logMultiplier] = [key("rope.dimension_count"), key("rope.scaling.yarn_log_multiplier", 0)];
  const experts = key("expert_count", 0);
  return {
    num_key_value_heads: key("attention.head_count"),
    q_lora_rank: key("attention.q_lora_rank", 0) || null,
    kv_lora_rank: key("attention.kv_lora_rank"),
    qk_rope_head_dim: rotated,
    qk_nope_head_dim: key("attention.key_length_mla") - rotated,
    v_head_dim: key("attention.value_length_mla"),
    ...(logMultiplier && {
      rope_scaling: {
        ...yarnOf(key),
        mscale: Math.round(1e4 * logMultiplier) / 1e3,
        mscale_all_dim: Math.round(1e4 * logMultiplier) / 1e3,
      },
    }),
    ...(experts && {
      ...{ n_routed_experts: experts, num_experts_per_tok: key("expert_used_count") },
      moe_intermediate_size: key("expert_feed_forward_length"),
      n_shared_experts: key("expert_shared_count", 0) || null,
      first_k_dense_replace: key("leading_dense_block_count", 0),
      ...{ n_group: key("expert_group_count", 1), topk_group: key("expert_group_used_count", 1) },
      routed_scaling_factor: key("expert_weights_scale", 1),
      norm_topk_prob: key("expert_weights_norm", 0) !== 0,
      ...(key("expert_gating_func", 1) === 2
        ? { scoring_func: "sigmoid", topk_method: "noaux_tc" }
        : { architectures: ["DeepseekV2ForCausalLM"], scoring_func: "softmax", topk_method: "greedy" }),
    }),
  };
}

function yarnOf(key: Key): Config {
  return {
    rope_type: "yarn",
    factor: key("rope.scaling.factor"),
    original_max_position_embeddings: key("rope.scaling.original_context_length"),
  };
}

function scalingOf(metadata: ReadonlyMap<string, MetaValue>, prefix: string, key: Key): Config {
  const type = metadata.get(`${prefix}.rope.scaling.type`)?.value;
  const temperature = key("attention.temperature_scale", 0);
  if (type === "yarn") {
    const all = key("rope.scaling.yarn_log_multiplier", 0);
    return {
      rope_scaling: {
        ...yarnOf(key),
        ...(all && { mscale: 1, mscale_all_dim: all }),
        ...(temperature && { llama_4_scaling_beta: temperature }),
      },
    };
  }
  if (type === "linear") return { rope_scaling: { rope_type: "linear", factor: key("rope.scaling.factor") } };
  return {};
}

function configOf(file: ModelFile, style: Style, tensors: ReadonlyMap<string, Values>): Config {
  const { metadata, architecture } = file;
  const key = keyOf(file);
  const length = key("attention.key_length", 0);
  const tied = !tensors.has("output.weight");
  const config: Config = {
    ...{ architectures: [style.class], hidden_act: "silu", tie_word_embeddings: tied },
    ...{ hidden_size: key("embedding_length"), num_hidden_layers: key("block_count") },
    ...{ num_attention_heads: key("attention.head_count"), intermediate_size: key("feed_forward_length") },
    num_key_value_heads: key("attention.head_count_kv", key("attention.head_count")),
    max_position_embeddings: key("context_length"),
    rms_norm_eps: key("attention.layer_norm_rms_epsilon", 1e-5),
    ...{ rope_theta: key("rope.freq_base", 10000), vocab_size: tensors.get("token_embd.weight")?.shape[0] },
    ...(length && { head_dim: length }),
    ...scalingOf(metadata, architecture, key),
  };
  for (const [name, stem] of Object.entries(style.biases ?? {})) config[name] = tensors.has(`blk.0.${stem}`);
  return { ...config, ...style.config?.(key, tensors) };
}

function keyOf({ metadata, architecture }: ModelFile): Key {
  return (key, usual) => {
    const meta = metadata.get(`${architecture}.${key}`);
    if (!meta && usual === undefined) throw new Error(`${architecture}.${key} is missing`);
    return meta ? Number(meta.value) : (usual as number);
  };
}

/** All tensors of a file of F32, in numbers. */
async function valuesOf(file: ModelFile): Promise<Map<string, Values>> {
  const all = new Map<string, Values>();
  for (const [name, info] of file.tensors) all.set(name, { shape: info.shape, values: await floats(info) });
  return all;
}

async function floats({ source, offset, byteLength }: TensorInfo): Promise<Float32Array> {
  const bytes = new Uint8Array(byteLength);
  await source.read(offset, bytes);
  return new Float32Array(bytes.buffer);
}

/** Names of tensors as they are stored, and their values. */
function storedValues(
  file: ModelFile,
  style: Style,
  tensors: ReadonlyMap<string, Values>,
): Map<string, Values> {
  const words = style.names.trim().split(/\s+/);
  const names = new Map(words.flatMap((word, i) => (i % 2 ? [] : [[word, words[i + 1] as string]])));
  const named = (name: string) => {
    const [, stem = "", suffix] = /^(.*)(\.\w+)$/.exec(name) ?? [];
    return names.has(stem) ? `${names.get(stem)}${suffix}` : name;
  };
  const { root = "model.", layers = "layers.", layer, minusOne = false } = style;
  const key = keyOf(file);
  const size = key("attention.key_length", key("embedding_length") / key("attention.head_count"));
  const changed = (name: string, { shape, values }: Values): Values => {
    if (minusOne && /_norm\.weight$/.test(name)) return { shape, values: values.map((value) => value - 1) };
    if (!style.halves || !/attn_[qk]\.\w+$/.test(name)) return { shape, values };
    return { shape, values: inHalves(values, shape[0] as number, size) };
  };
  const out = new Map<string, Values>();
  const byLayer = new Map<string, Map<string, Values>>();
  for (const [name, value] of tensors) {
    const [, number, rest = ""] = /^blk\.(\d+)\.(.*)$/.exec(name) ?? [];
    if (number === undefined) {
      if (name.startsWith("rope_")) continue;
      const own = named(name);
      out.set(/^(lm_head|embed_out|output)\./.test(own) ? own : `${root}${own}`, changed(name, value));
    } else {
      byLayer.set(number, (byLayer.get(number) ?? new Map()).set(rest, changed(name, value)));
    }
  }
  for (const [number, own] of byLayer) {
    const more = layer?.(own, key) ?? {};
    for (const [name, value] of [...own, ...Object.entries(more)]) {
      if (value) out.set(`${root}${layers}${number}.${named(name)}`, value);
    }
  }
  return out;
}

/** How a folder is written. */
export interface HuggingFaceOptions {
  /** The type of all tensors; default F32. */
  readonly type?: string;
  /** The type that values of F32 are rounded to before. */
  readonly rounded?: "BF16" | "F16";
  readonly shards?: number;
  /** Keys of config.json to add, replace or (undefined) leave out. */
  readonly config?: Config;
}

function roundedTo(type: "BF16" | "F16", values: Float32Array): Float32Array {
  const bits = new Uint16Array(encodeTensor(type, values).slice().buffer);
  if (type === "F16") return Float32Array.from(bits, f32FromF16);
  return new Float32Array(Uint32Array.from(bits, (half) => half << 16).buffer);
}

/** A folder of safetensors with the model of a file. */
export async function huggingFaceFolder(
  file: ModelFile,
  { type = "F32", rounded, shards = 1, config = {} }: HuggingFaceOptions = {},
): Promise<Map<string, Uint8Array<ArrayBuffer>>> {
  const style = styles[file.architecture];
  if (!style) throw new Error(`no style of ${file.architecture}`);
  const tensors = await valuesOf(file);
  const stored = [...storedValues(file, style, tensors)].map(
    ([name, { shape, values }]): StoredTensor => ({
      ...{ name, dtype: type, shape },
      data: encodeTensor(type, rounded ? roundedTo(rounded, values) : values),
    }),
  );
  const json = (value: unknown) => new TextEncoder().encode(JSON.stringify(value));
  const folder = new Map([["config.json", json({ ...configOf(file, style, tensors), ...config })]]);
  if (shards === 1) return folder.set("model.safetensors", safetensorsFile(stored));
  // Neighbours lie in different files.
  const weight_map: Record<string, string> = {};
  for (let i = 0; i < shards; i++) {
    const name = `model-0000${i + 1}-of-0000${shards}.safetensors`;
    const own = stored.filter((_, j) => j % shards === i);
    for (const tensor of own) weight_map[tensor.name] = name;
    folder.set(name, safetensorsFile(own));
  }
  return folder.set("model.safetensors.index.json", json({ weight_map }));
}
