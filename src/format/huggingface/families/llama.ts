// Families that store what Llama stores, with other numbers or other blocks.
import {
  attentionNames,
  EXPERT_TRAINING,
  type Family,
  GELU,
  gatedNames,
  headNormNames,
  llama,
  normNames,
  type ReadNumber,
  SILU,
  sizeKeys,
  usualKeys,
} from "./family.ts";

// Mistral computes what Llama does. Within its sliding window, which caps the context, the window changes nothing.
const mistral: Family = { ...llama, classes: ["MistralForCausalLM"], biases: {} };

const mixtral: Family = {
  ...mistral,
  classes: ["MixtralForCausalLM"],
  keys: {
    ...usualKeys(1e-5, 131072),
    num_local_experts: ["expert_count", 8],
    num_experts_per_tok: ["expert_used_count", 2],
  },
  harmless: EXPERT_TRAINING,
  rope: { theta: 1e6 },
  inLayer: {
    ...normNames,
    ...attentionNames,
    "block_sparse_moe.gate": "ffn_gate_inp",
    "block_sparse_moe.experts.*.w1": "ffn_gate_exps",
    "block_sparse_moe.experts.*.w2": "ffn_down_exps",
    "block_sparse_moe.experts.*.w3": "ffn_up_exps",
  },
};

const mistral3: Family = {
  ...mistral,
  classes: ["Ministral3ForCausalLM"],
  architecture: "mistral3",
  keys: usualKeys(1e-5, 131072),
  rope: { theta: 1e6 },
};

// Images are not read: the model of texts is taken, as llama.cpp's converter does.
const mistral3Images: Family = {
  ...mistral3,
  classes: ["Mistral3ForConditionalGeneration"],
  nested: "text_config",
  ignored: /(^|\.)(vision_tower|multi_modal_projector)\./,
};

const arcee: Family = {
  ...llama,
  classes: ["ArceeForCausalLM"],
  architecture: "arcee",
  keys: usualKeys(1e-5, 4096),
  neutral: { hidden_act: ["relu2"] },
  inLayer: {
    ...normNames,
    ...attentionNames,
    "mlp.up_proj": "ffn_up",
    "mlp.down_proj": "ffn_down",
  },
};

const smollm3: Family = {
  ...llama,
  classes: ["SmolLM3ForCausalLM"],
  architecture: "smollm3",
  keys: usualKeys(1e-6, 32768),
  neutral: { ...llama.neutral, no_rope_layer_interval: [4] },
  perLayer: { no_rope_layers: (i) => (i % 4 === 3 ? 0 : 1) },
  harmless: "max_window_layers",
  tied: true,
  rope: { theta: 2e6 },
  windowUsed: false,
};

const granite: Family = {
  ...llama,
  classes: ["GraniteForCausalLM"],
  architecture: "granite",
  keys: {
    ...usualKeys(1e-6),
    attention_multiplier: ["attention.scale", 1],
    embedding_multiplier: ["embedding_scale", 1],
    residual_multiplier: ["residual_scale", 1],
    logits_scaling: ["logit_scale", 1],
  },
};

const graniteMoe: Family = {
  ...granite,
  classes: ["GraniteMoeForCausalLM", "GraniteMoeSharedForCausalLM"],
  architecture: "granitemoe",
  keys: {
    ...granite.keys,
    num_local_experts: ["expert_count", 8],
    num_experts_per_tok: ["expert_used_count", 2],
    shared_intermediate_size: ["expert_shared_feed_forward_length", null],
  },
  harmless: EXPERT_TRAINING,
  biases: { attention_bias: "attn_q.bias" },
  inLayer: {
    ...normNames,
    ...attentionNames,
    "block_sparse_moe.router.layer": "ffn_gate_inp",
    "block_sparse_moe.input_linear": { by: "halves", to: ["ffn_gate_exps", "ffn_up_exps"] },
    "block_sparse_moe.output_linear": "ffn_down_exps",
    "shared_mlp.input_linear": { by: "halves", to: ["ffn_gate_shexp", "ffn_up_shexp"] },
    "shared_mlp.output_linear": "ffn_down_shexp",
  },
};

const minicpm: Family = {
  ...llama,
  classes: ["MiniCPMForCausalLM"],
  architecture: "minicpm",
  more: (read) => ({
    embedding_scale: read("scale_emb", 1),
    residual_scale: read("scale_depth", 1) / Math.sqrt(read("num_hidden_layers")),
    logit_scale: read("hidden_size") / read("dim_model_base", 1),
  }),
  neutral: { ...llama.neutral, num_experts: [0] },
  harmless: "auto_map",
  biases: { attention_bias: "attn_q.bias" },
  tied: true,
};

const internlm2: Family = {
  ...llama,
  classes: ["InternLM2ForCausalLM"],
  architecture: "internlm2",
  harmless: "auto_map attn_implementation",
  biases: { bias: "attn_q.bias" },
  outer: { tok_embeddings: "token_embd", norm: "output_norm", output: "output" },
  inLayer: {
    attention_norm: "attn_norm",
    ffn_norm: "ffn_norm",
    "attention.wqkv": { by: "groups", to: ["attn_q", "attn_k", "attn_v"] },
    "attention.wo": "attn_output",
    "feed_forward.w1": "ffn_gate",
    "feed_forward.w2": "ffn_down",
    "feed_forward.w3": "ffn_up",
  },
};

const olmo: Family = {
  ...llama,
  classes: ["OlmoForCausalLM"],
  architecture: "olmo",
  keys: { ...sizeKeys(2048), clip_qkv: ["attention.clamp_kqv", null] },
  more: () => ({ "attention.layer_norm_epsilon": 1e-5 }),
  biases: { attention_bias: "attn_q.bias" },
  inLayer: { ...attentionNames, ...gatedNames },
};

// From here on, rows of q and k are stored as they are used.
const { paired: _, ...unpaired } = llama;

// Its rotary pairs are adjacent here, too.
const ernie: Family = {
  ...unpaired,
  classes: ["Ernie4_5ForCausalLM", "Ernie4_5_ForCausalLM"],
  architecture: "ernie4_5",
  keys: usualKeys(1e-5, 131072),
  harmless: "auto_map",
  biases: { use_bias: "attn_q.bias" },
  tied: true,
  headDim: 128,
  rope: { theta: 500000 },
};

const afterNames = {
  post_attention_layernorm: "post_attention_norm",
  post_feedforward_layernorm: "post_ffw_norm",
};

const olmo2: Family = {
  ...unpaired,
  classes: ["Olmo2ForCausalLM"],
  architecture: "olmo2",
  keys: usualKeys(1e-5),
  biases: { attention_bias: "attn_q.bias" },
  inLayer: { ...afterNames, ...headNormNames, ...attentionNames, ...gatedNames },
};

const olmo3: Family = {
  ...olmo2,
  classes: ["Olmo3ForCausalLM"],
  window: { period: 4, usual: 4096 },
};

const exaone4: Family = {
  ...olmo2,
  classes: ["Exaone4ForCausalLM"],
  architecture: "exaone4",
  neutral: { ...llama.neutral, sliding_window_pattern: [4, "LLLG"] },
  biases: {},
  window: { period: 4, layers: 64 },
};

const exaone: Family = {
  ...unpaired,
  classes: ["ExaoneForCausalLM"],
  architecture: "exaone",
  keys: usualKeys(1e-5, 2048, "layer_norm_epsilon"),
  aliases: { num_hidden_layers: "num_layers" },
  neutral: { activation_function: SILU },
  harmless: "auto_map embed_dropout",
  biases: {},
  root: "transformer.",
  outer: { wte: "token_embd", ln_f: "output_norm", lm_head: "output" },
  layers: "h.",
  inLayer: {
    ln_1: "attn_norm",
    "attn.attention.q_proj": "attn_q",
    "attn.attention.k_proj": "attn_k",
    "attn.attention.v_proj": "attn_v",
    "attn.attention.out_proj": "attn_output",
    ln_2: "ffn_norm",
    "mlp.c_fc_0": "ffn_gate",
    "mlp.c_fc_1": "ffn_up",
    "mlp.c_proj": "ffn_down",
  },
};

const seedOss: Family = {
  ...unpaired,
  classes: ["SeedOssForCausalLM"],
  architecture: "seed_oss",
  keys: usualKeys(1e-6, 524288),
  harmless: "residual_dropout",
  biases: {
    attention_bias: ["attn_q.bias", true],
    attention_out_bias: "attn_output.bias",
    mlp_bias: "ffn_up.bias",
  },
  headDim: 128,
  inLayer: { ...llama.inLayer, post_attention_layernorm: "post_attention_norm" },
};

const hunyuan: Family = {
  ...unpaired,
  classes: ["HunYuanDenseV1ForCausalLM"],
  architecture: "hunyuan-dense",
  keys: usualKeys(1e-5),
  neutral: {
    ...llama.neutral,
    ...{ use_qk_norm: [true], use_cla: [false], use_rotary_pos_emb: [true], norm_type: ["rms"] },
    ...{ add_classification_head: [false], num_experts: [0, 1] },
  },
  harmless:
    "auto_map attention_head_dim cla_share_factor class_num dense_list eod_token_id im_end_id im_newline_id " +
    "im_start_id mask_init_id org_vocab_size pad_id pool_type text_end_id text_start_id",
  biases: { attention_bias: "attn_q.bias", mlp_bias: "ffn_up.bias" },
  inLayer: {
    ...llama.inLayer,
    "self_attn.query_layernorm": "attn_q_norm",
    "self_attn.key_layernorm": "attn_k_norm",
  },
};

const glm4: Family = {
  ...unpaired,
  classes: ["Glm4ForCausalLM"],
  architecture: "glm4",
  keys: usualKeys(1.5625e-7, 131072),
  biases: { attention_bias: "attn_q.bias" },
  headDim: 128,
  rope: { part: 0.5 },
  inLayer: {
    ...normNames,
    ...attentionNames,
    post_self_attn_layernorm: "post_attention_norm",
    post_mlp_layernorm: "post_ffw_norm",
    "mlp.gate_up_proj": "ffn_up",
    "mlp.down_proj": "ffn_down",
  },
};

const phi3: Family = {
  ...unpaired,
  classes: ["Phi3ForCausalLM"],
  architecture: "phi3",
  keys: usualKeys(1e-5, 4096),
  harmless: "auto_map embd_pdrop resid_pdrop",
  biases: { attention_bias: "attn_qkv.bias" },
  rope: { part: 1 },
  window: {},
  inLayer: {
    ...normNames,
    "self_attn.qkv_proj": "attn_qkv",
    "self_attn.o_proj": "attn_output",
    "mlp.gate_up_proj": "ffn_up",
    "mlp.down_proj": "ffn_down",
  },
};

const gemma: Family = {
  ...unpaired,
  classes: ["GemmaForCausalLM"],
  architecture: "gemma",
  keys: usualKeys(1e-6, 8192),
  // Gemma's first files say "gelu", and mean its tanh form.
  neutral: { hidden_act: GELU, hidden_activation: GELU },
  biases: { attention_bias: "attn_q.bias" },
  tied: true,
  headDim: 256,
  minusOne: true,
};

// The models of 27 billion weights, which have so many layers, divide scores by the root of dim / heads.
function scoreDim(read: ReadNumber, layers: number): number {
  if (read("num_hidden_layers") !== layers) return read("head_dim", 256);
  return read("hidden_size") / read("num_attention_heads", 8);
}

const gemma2: Family = {
  ...gemma,
  classes: ["Gemma2ForCausalLM"],
  architecture: "gemma2",
  keys: {
    ...usualKeys(1e-6, 8192),
    attn_logit_softcapping: ["attn_logit_softcapping", null],
    final_logit_softcapping: ["final_logit_softcapping", null],
  },
  same: (read) => ({ query_pre_attn_scalar: scoreDim(read, 46) }),
  harmless: "cache_implementation",
  window: { period: 2, usual: 4096 },
  inLayer: {
    ...attentionNames,
    ...gatedNames,
    ...{ input_layernorm: "attn_norm", pre_feedforward_layernorm: "ffn_norm" },
    ...afterNames,
  },
};

const gemma3: Family = {
  ...gemma2,
  classes: ["Gemma3ForCausalLM"],
  architecture: "gemma3",
  keys: {
    ...gemma2.keys,
    ...usualKeys(1e-6, 131072),
    ...{
      num_attention_heads: ["attention.head_count", 8],
      num_key_value_heads: ["attention.head_count_kv", 4],
    },
    vocab_size: ["vocab_size", 262208],
  },
  same: (read) => ({ query_pre_attn_scalar: scoreDim(read, 62) }),
  rope: { theta: 1e6 },
  window: { period: 6, usual: 4096 },
  inLayer: { ...gemma2.inLayer, ...headNormNames },
};

const gemma3Images: Family = {
  ...gemma3,
  classes: ["Gemma3ForConditionalGeneration"],
  nested: "text_config",
  ignored: /(^|\.)(vision_tower|multi_modal_projector)\./,
};

export const llamaFamilies: readonly Family[] = [
  ...[llama, mistral, mixtral, mistral3, mistral3Images, arcee, smollm3, granite, graniteMoe, minicpm],
  ...[internlm2, olmo, ernie, olmo2, olmo3, exaone4, exaone, seedOss, hunyuan, glm4, phi3],
  ...[gemma, gemma2, gemma3, gemma3Images],
];
