// Qwen, and families whose experts or latent attention are stored in ways of their own.
import {
  attentionNames,
  EXPERT_TRAINING,
  expertNames,
  type Family,
  gatedNames,
  headNormNames,
  llama,
  normNames,
  type ReadNumber,
  usualKeys,
} from "./family.ts";

const { paired: _, ...unpaired } = llama;

const qwen2: Family = {
  ...unpaired,
  classes: ["Qwen2ForCausalLM"],
  architecture: "qwen2",
  keys: usualKeys(1e-6, 32768),
  harmless: "max_window_layers",
  biases: {},
  always: ["attn_q.bias", "attn_k.bias", "attn_v.bias"],
  windowUsed: false,
};

const qwen3: Family = {
  ...unpaired,
  classes: ["Qwen3ForCausalLM"],
  architecture: "qwen3",
  keys: usualKeys(1e-6, 32768),
  harmless: "max_window_layers",
  biases: { attention_bias: "attn_q.bias" },
  headDim: 128,
  windowUsed: false,
  inLayer: { ...llama.inLayer, ...headNormNames },
};

const qwenExperts = (n: number, used: number, hiddenDim: number) =>
  ({
    num_experts: ["expert_count", n],
    num_experts_per_tok: ["expert_used_count", used],
    moe_intermediate_size: ["expert_feed_forward_length", hiddenDim],
  }) as const;

const everyLayer = { decoder_sparse_step: [1], mlp_only_layers: [] };

const qwen2Moe: Family = {
  ...qwen2,
  classes: ["Qwen2MoeForCausalLM"],
  architecture: "qwen2moe",
  keys: {
    ...usualKeys(1e-6, 32768),
    ...qwenExperts(60, 4, 1408),
    shared_expert_intermediate_size: ["expert_shared_feed_forward_length", 5632],
  },
  neutral: { ...llama.neutral, ...everyLayer, norm_topk_prob: [false] },
  harmless: `max_window_layers ${EXPERT_TRAINING}`,
  biases: { qkv_bias: ["attn_q.bias", true] },
  always: [],
  inLayer: {
    ...normNames,
    ...attentionNames,
    ...expertNames,
    "mlp.shared_expert_gate": { by: "row", to: ["ffn_gate_inp_shexp"] },
    "mlp.shared_expert.gate_proj": "ffn_gate_shexp",
    "mlp.shared_expert.up_proj": "ffn_up_shexp",
    "mlp.shared_expert.down_proj": "ffn_down_shexp",
  },
};

const qwen3Moe: Family = {
  ...qwen3,
  classes: ["Qwen3MoeForCausalLM"],
  architecture: "qwen3moe",
  keys: { ...usualKeys(1e-6, 32768), ...qwenExperts(128, 8, 768) },
  neutral: { ...llama.neutral, ...everyLayer, norm_topk_prob: [true] },
  absent: { norm_topk_prob: false },
  harmless: `max_window_layers ${EXPERT_TRAINING}`,
  inLayer: { ...normNames, ...attentionNames, ...headNormNames, ...expertNames },
};

const olmoe: Family = {
  ...unpaired,
  classes: ["OlmoeForCausalLM"],
  architecture: "olmoe",
  keys: {
    ...usualKeys(1e-5, 4096),
    num_experts: ["expert_count", 64],
    num_experts_per_tok: ["expert_used_count", 8],
  },
  neutral: { ...llama.neutral, norm_topk_prob: [false] },
  harmless: EXPERT_TRAINING,
  biases: { attention_bias: "attn_q.bias" },
  inLayer: { ...normNames, ...attentionNames, ...headNormNames, ...expertNames },
};

const gptOss: Family = {
  ...unpaired,
  classes: ["GptOssForCausalLM"],
  architecture: "gpt-oss",
  keys: {
    ...usualKeys(1e-5, 131072),
    num_local_experts: ["expert_count", 128],
    num_experts_per_tok: ["expert_used_count", 4],
  },
  more: (read) => ({ expert_feed_forward_length: read("intermediate_size") }),
  neutral: { ...llama.neutral, swiglu_limit: [7], attention_bias: [true] },
  harmless: `initial_context_length experts_per_token ${EXPERT_TRAINING}`,
  biases: {},
  headDim: 64,
  rope: { theta: 150000 },
  window: { period: 2, usual: 128 },
  quantization: "mxfp4",
  inLayer: {
    ...attentionNames,
    input_layernorm: "attn_norm",
    "self_attn.sinks": "attn_sinks.weight",
    post_attention_layernorm: "post_attention_norm",
    "mlp.router": "ffn_gate_inp",
    "mlp.experts.gate_up_proj": { by: "columns", to: ["ffn_gate_exps.weight", "ffn_up_exps.weight"] },
    "mlp.experts.gate_up_proj_bias": { by: "turns", to: ["ffn_gate_exps.bias", "ffn_up_exps.bias"] },
    "mlp.experts.gate_up_proj_blocks": { by: "mxfp4", to: ["ffn_gate_exps.weight", "ffn_up_exps.weight"] },
    "mlp.experts.down_proj": { by: "columns", to: ["ffn_down_exps.weight"] },
    "mlp.experts.down_proj_bias": "ffn_down_exps.bias",
    "mlp.experts.down_proj_blocks": { by: "mxfp4", to: ["ffn_down_exps.weight"] },
  },
};

// Keys and values of all heads come from one row, which is what the cache holds: one head of it, and its rotated part.
function latentKeys(read: ReadNumber): Record<string, number> {
  const rank = read("kv_lora_rank", 512);
  const rotated = read("qk_rope_head_dim", 64);
  const queryRank = read("q_lora_rank", 0);
  return {
    "attention.head_count_kv": 1,
    ...(queryRank && { "attention.q_lora_rank": queryRank }),
    "attention.kv_lora_rank": rank,
    "attention.key_length": rank + rotated,
    "attention.value_length": rank,
    "attention.key_length_mla": read("qk_nope_head_dim", 128) + rotated,
    "attention.value_length_mla": read("v_head_dim", 128),
  };
}

// `gate` is llama.cpp's number of softmax or sigmoid.
function routerKeys(read: ReadNumber, gate: number, normalized: number): Record<string, number> {
  const [scale, norm] = [read("routed_scaling_factor", 1), read("norm_topk_prob", normalized)];
  if (!read("n_routed_experts", 0)) return {};
  return { expert_weights_scale: scale, expert_weights_norm: norm, expert_gating_func: gate };
}

const deepseek2: Family = {
  ...unpaired,
  classes: ["DeepseekV2ForCausalLM"],
  architecture: "deepseek2",
  keys: {
    ...usualKeys(1e-6),
    n_routed_experts: ["expert_count", null],
    num_experts_per_tok: ["expert_used_count", null],
    moe_intermediate_size: ["expert_feed_forward_length", null],
    n_shared_experts: ["expert_shared_count", null],
    first_k_dense_replace: ["leading_dense_block_count", null],
    n_group: ["expert_group_count", null],
    topk_group: ["expert_group_used_count", null],
  },
  more: (read) => ({ ...latentKeys(read), ...routerKeys(read, 1, 0) }),
  neutral: {
    ...llama.neutral,
    scoring_func: ["softmax"],
    topk_method: ["greedy", "group_limited_greedy"],
    moe_layer_freq: [1],
    rope_interleave: [true],
  },
  harmless: `auto_map ep_size aux_loss_alpha seq_aux num_nextn_predict_layers qk_head_dim ${EXPERT_TRAINING}`,
  biases: { attention_bias: "attn_q_a.bias" },
  rope: { inScores: true },
  inLayer: {
    ...normNames,
    ...gatedNames,
    ...expertNames,
    "self_attn.q_proj": "attn_q",
    "self_attn.q_a_proj": "attn_q_a",
    "self_attn.q_a_layernorm": "attn_q_a_norm",
    "self_attn.q_b_proj": "attn_q_b",
    "self_attn.kv_a_proj_with_mqa": "attn_kv_a_mqa",
    "self_attn.kv_a_layernorm": "attn_kv_a_norm",
    "self_attn.kv_b_proj": { by: "latent", to: ["attn_k_b", "attn_v_b"] },
    "self_attn.o_proj": "attn_output",
    "mlp.gate.e_score_correction_bias": "exp_probs_b.bias",
    "mlp.shared_experts.gate_proj": "ffn_gate_shexp",
    "mlp.shared_experts.up_proj": "ffn_up_shexp",
    "mlp.shared_experts.down_proj": "ffn_down_shexp",
  },
};

const deepseek3: Family = {
  ...deepseek2,
  classes: ["DeepseekV3ForCausalLM"],
  more: (read) => ({ ...latentKeys(read), ...routerKeys(read, 2, 1) }),
  neutral: { ...deepseek2.neutral, scoring_func: ["sigmoid"], topk_method: ["noaux_tc"] },
};

export const expertFamilies: readonly Family[] = [
  ...[qwen2, qwen3, qwen2Moe, qwen3Moe, olmoe, gptOss, deepseek2, deepseek3],
];
