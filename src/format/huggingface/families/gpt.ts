// Families with LayerNorm, most of which came from GPT-2.
import {
  attentionNames,
  type Family,
  GELU,
  gatedNames,
  headNormNames,
  layerNormKeys,
  llama,
  normNames,
} from "./family.ts";

const { paired: _, ...unpaired } = llama;

const gpt2: Family = {
  ...unpaired,
  classes: ["GPT2LMHeadModel"],
  architecture: "gpt2",
  keys: {
    n_embd: "embedding_length",
    n_layer: "block_count",
    n_head: "attention.head_count",
    n_positions: ["context_length", 1024],
    layer_norm_epsilon: ["attention.layer_norm_epsilon", 1e-5],
    vocab_size: "vocab_size",
  },
  more: (read) => ({ feed_forward_length: read("n_inner", 4 * read("n_embd")) }),
  neutral: {
    activation_function: GELU,
    scale_attn_weights: [true],
    scale_attn_by_inverse_layer_idx: [false],
  },
  // n_ctx is an older name of n_positions, and stands beside it.
  harmless:
    "n_ctx attn_pdrop embd_pdrop resid_pdrop reorder_and_upcast_attn summary_activation summary_first_dropout " +
    "summary_proj_to_labels summary_type summary_use_proj",
  biases: {},
  always: ["attn_qkv.bias", "attn_output.bias", "ffn_up.bias", "ffn_down.bias"],
  tied: true,
  rope: "none",
  root: "transformer.",
  outer: { wte: "token_embd", wpe: "position_embd", ln_f: "output_norm", lm_head: "output" },
  layers: "h.",
  inLayer: {
    ln_1: "attn_norm",
    "attn.c_attn": "attn_qkv",
    "attn.c_proj": "attn_output",
    ln_2: "ffn_norm",
    "mlp.c_fc": "ffn_up",
    "mlp.c_proj": "ffn_down",
  },
  transposed: ["attn_qkv", "attn_output", "ffn_up", "ffn_down"],
  // Masks.
  ignored: /\.attn\.(masked_)?bias$/,
};

const blockNames = {
  "mlp.dense_h_to_4h": "ffn_up",
  "mlp.dense_4h_to_h": "ffn_down",
};

const gptNeox: Family = {
  ...unpaired,
  classes: ["GPTNeoXForCausalLM"],
  architecture: "gptneox",
  keys: layerNormKeys("layer_norm_eps"),
  more: (read) => ({ use_parallel_residual: read("use_parallel_residual", 1) }),
  neutral: { hidden_act: GELU },
  harmless: "classifier_dropout hidden_dropout",
  biases: { attention_bias: ["attn_qkv.bias", true] },
  always: ["ffn_up.bias", "ffn_down.bias"],
  rope: { part: 0.25, partKey: "rotary_pct", thetaKey: "rotary_emb_base" },
  root: "gpt_neox.",
  outer: { embed_in: "token_embd", final_layer_norm: "output_norm", embed_out: "output" },
  inLayer: {
    ...normNames,
    "attention.query_key_value": { by: "groups", to: ["attn_qkv"] },
    "attention.dense": "attn_output",
    ...blockNames,
  },
  ignored: /\.attention\.((masked_)?bias|rotary_emb\.inv_freq)$/,
};

const falcon: Family = {
  ...unpaired,
  classes: ["FalconForCausalLM", "RWForCausalLM"],
  architecture: "falcon",
  keys: {
    hidden_size: "embedding_length",
    num_hidden_layers: "block_count",
    num_attention_heads: "attention.head_count",
    layer_norm_epsilon: ["attention.layer_norm_epsilon", 1e-5],
    max_position_embeddings: ["context_length", 2048],
    vocab_size: "vocab_size",
  },
  aliases: { num_hidden_layers: "n_layer", num_attention_heads: "n_head", num_kv_heads: "n_head_kv" },
  more: (read) => ({
    feed_forward_length: read("ffn_hidden_size", 4 * read("hidden_size")),
    "attention.head_count_kv": falconKvHeads(read),
  }),
  neutral: {
    activation: GELU,
    alibi: [false],
    apply_residual_connection_post_layernorm: [false],
    parallel_attn: [true],
    num_ln_in_parallel_attn: [1],
  },
  harmless: "auto_map",
  biases: { bias: "attn_qkv.bias" },
  tied: true,
  root: "transformer.",
  outer: { word_embeddings: "token_embd", ln_f: "output_norm", lm_head: "output" },
  layers: "h.",
  inLayer: {
    input_layernorm: "attn_norm",
    "self_attention.query_key_value": { by: "groups", to: ["attn_qkv"] },
    "self_attention.dense": "attn_output",
    ...blockNames,
  },
};

// Later models say how many heads of keys and values there are; in earlier ones it is one, or as many as others.
function falconKvHeads(read: (key: string, usual?: number) => number): number {
  const heads = read("num_attention_heads");
  const stated = read("num_kv_heads", heads);
  if (read("new_decoder_architecture", 0)) return stated;
  return read("multi_query", 1) ? 1 : heads;
}

const phi2: Family = {
  ...unpaired,
  classes: ["PhiForCausalLM"],
  architecture: "phi2",
  keys: layerNormKeys("layer_norm_eps"),
  neutral: { hidden_act: GELU, qk_layernorm: [false] },
  harmless: "auto_map embd_pdrop resid_pdrop",
  biases: {},
  always: ["attn_q.bias", "attn_output.bias", "ffn_up.bias", "ffn_down.bias"],
  rope: { part: 0.5 },
  outer: { embed_tokens: "token_embd", final_layernorm: "output_norm", lm_head: "output" },
  inLayer: {
    ...attentionNames,
    input_layernorm: "attn_norm",
    "self_attn.dense": "attn_output",
    "mlp.fc1": "ffn_up",
    "mlp.fc2": "ffn_down",
  },
};

const starcoder2: Family = {
  ...unpaired,
  classes: ["Starcoder2ForCausalLM"],
  architecture: "starcoder2",
  keys: layerNormKeys("norm_epsilon", 4096),
  neutral: { hidden_act: GELU, activation_function: GELU, norm_type: ["layer_norm"], mlp_type: ["default"] },
  harmless:
    "embedding_dropout residual_dropout layer_norm_epsilon attention_softmax_in_fp32 scale_attention_softmax_in_fp32 " +
    "scale_attn_weights",
  biases: { use_bias: ["attn_q.bias", true] },
  tied: true,
  inLayer: { ...normNames, ...attentionNames, "mlp.c_fc": "ffn_up", "mlp.c_proj": "ffn_down" },
};

const nemotron: Family = {
  ...unpaired,
  classes: ["NemotronForCausalLM"],
  architecture: "nemotron",
  keys: layerNormKeys("norm_eps", 4096),
  neutral: { hidden_act: ["relu2"] },
  rope: { part: 0.5 },
  inLayer: { ...normNames, ...attentionNames, "mlp.up_proj": "ffn_up", "mlp.down_proj": "ffn_down" },
  minusOne: true,
};

const stablelm: Family = {
  ...unpaired,
  classes: ["StableLmForCausalLM", "StableLMEpochForCausalLM"],
  architecture: "stablelm",
  keys: layerNormKeys("layer_norm_eps", 4096),
  aliases: { layer_norm_eps: "norm_eps" },
  more: (read) => ({ use_parallel_residual: read("use_parallel_residual", 0) }),
  harmless: "auto_map",
  biases: { use_qkv_bias: "attn_q.bias", qk_layernorm: "attn_q_norm.weight" },
  rope: { part: 0.25, partKey: "rope_pct" },
  inLayer: {
    ...llama.inLayer,
    "self_attn.q_layernorm.norms.*": "attn_q_norm",
    "self_attn.k_layernorm.norms.*": "attn_k_norm",
  },
};

const commandR: Family = {
  ...unpaired,
  classes: ["CohereForCausalLM"],
  architecture: "command-r",
  keys: {
    ...layerNormKeys("layer_norm_eps", 8192),
    // What it was trained for is more than max_position_embeddings.
    model_max_length: ["context_length", "max_position_embeddings"],
    logit_scale: ["logit_scale", 0.0625],
  },
  harmless: "use_cache cache_implementation",
  biases: { attention_bias: "attn_q.bias", use_qk_norm: "attn_q_norm.weight" },
  tied: true,
  inLayer: { ...attentionNames, ...gatedNames, ...headNormNames, input_layernorm: "attn_norm" },
};

const cohere2: Family = {
  ...commandR,
  classes: ["Cohere2ForCausalLM"],
  architecture: "cohere2",
  keys: { ...layerNormKeys("layer_norm_eps", 8192), logit_scale: ["logit_scale", 0.0625] },
  neutral: {
    ...commandR.neutral,
    ...{ rotary_pct: [1], layer_switch: [4], position_embedding_type: ["rope_gptj"] },
    ...{ use_gated_activation: [true], use_parallel_block: [true], use_qk_norm: [false] },
    order_of_interleaved_layers: ["local_attn_first"],
  },
  harmless: "cache_implementation use_embedding_sharing use_parallel_embedding",
  biases: { attention_bias: "attn_q.bias" },
  window: { period: 4, usual: 4096 },
};

export const layerNormFamilies: readonly Family[] = [
  ...[gpt2, gptNeox, falcon, phi2, starcoder2, nemotron, stablelm, commandR, cohere2],
];
