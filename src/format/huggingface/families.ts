// Families of models as Hugging Face stores them: what their classes, keys and tensors are called in GGUF.
// One entry for each; nothing else knows a family.

/** A key of config.json that becomes a key of GGUF below the architecture's name. */
export interface KeyRule {
  readonly key: string;
  readonly type: "u32" | "f32";
  /** What is meant if config.json does not say: a number, or the value of another key. Without it the key is needed. */
  readonly fallback?: number | string;
}

/** A family of models. */
export interface Family {
  /** Values of "architectures" in config.json. */
  readonly classes: readonly string[];
  /** The architecture's name in GGUF. */
  readonly architecture: string;
  readonly keys: Readonly<Record<string, KeyRule>>;
  /** Keys that change results unless they have one of these values. Null always stands for "none". */
  readonly neutral: Readonly<Record<string, readonly unknown[]>>;
  /** Keys that say whether matrices have biases, and a tensor of layer 0 that is there if so. */
  readonly biases: Readonly<Record<string, string>>;
  /** Whether the output matrix is the embedding if config.json does not say. */
  readonly tied: boolean;
  /** Stems of tensors outside of layers, without ".weight". */
  readonly outer: Readonly<Record<string, string>>;
  /** What stands before the number of a layer. */
  readonly layers: string;
  readonly inLayer: Readonly<Record<string, string>>;
  /** Stems in GGUF whose rows are in the order of halves here, and of adjacent pairs there. */
  readonly paired: readonly string[];
  /** Tensors that change no result. */
  readonly ignored: RegExp;
}

/** Keys of Llama and of what was derived from it. */
const llamaKeys: Family["keys"] = {
  hidden_size: { key: "embedding_length", type: "u32" },
  num_hidden_layers: { key: "block_count", type: "u32" },
  intermediate_size: { key: "feed_forward_length", type: "u32" },
  num_attention_heads: { key: "attention.head_count", type: "u32" },
  num_key_value_heads: { key: "attention.head_count_kv", type: "u32", fallback: "num_attention_heads" },
  max_position_embeddings: { key: "context_length", type: "u32", fallback: 2048 },
  rms_norm_eps: { key: "attention.layer_norm_rms_epsilon", type: "f32", fallback: 1e-6 },
  vocab_size: { key: "vocab_size", type: "u32" },
};

const llama: Family = {
  classes: ["LlamaForCausalLM"],
  architecture: "llama",
  keys: llamaKeys,
  neutral: { hidden_act: ["silu", "swish"], partial_rotary_factor: [1] },
  biases: { attention_bias: "attn_q.bias", mlp_bias: "ffn_up.bias" },
  tied: false,
  outer: { "model.embed_tokens": "token_embd", "model.norm": "output_norm", lm_head: "output" },
  layers: "model.layers.",
  inLayer: {
    input_layernorm: "attn_norm",
    "self_attn.q_proj": "attn_q",
    "self_attn.k_proj": "attn_k",
    "self_attn.v_proj": "attn_v",
    "self_attn.o_proj": "attn_output",
    post_attention_layernorm: "ffn_norm",
    "mlp.gate_proj": "ffn_gate",
    "mlp.up_proj": "ffn_up",
    "mlp.down_proj": "ffn_down",
  },
  paired: ["attn_q", "attn_k"],
  ignored: /\.rotary_emb\.inv_freq$/,
};

// Mistral computes what Llama does. Within its sliding window, which caps the context, the window changes nothing.
const mistral: Family = { ...llama, classes: ["MistralForCausalLM"] };

export const families: readonly Family[] = [llama, mistral];

/**
 * Keys that change no logit, whatever they say: they describe the file, belong to training or to generation.
 * Source: huggingface/transformers, configuration_utils.py, and the configurations of the families.
 */
export const harmlessKeys: ReadonlySet<string> = new Set(
  (
    "architectures model_type torch_dtype dtype transformers_version use_cache initializer_range pretraining_tp " +
    "bos_token_id eos_token_id pad_token_id unk_token_id sep_token_id decoder_start_token_id tokenizer_class prefix " +
    "attention_dropout hidden_dropout dropout classifier_dropout gradient_checkpointing use_bfloat16 torchscript " +
    "return_dict output_hidden_states output_attentions output_scores return_dict_in_generate " +
    "max_length min_length do_sample early_stopping num_beams num_beam_groups diversity_penalty temperature top_k top_p " +
    "typical_p repetition_penalty length_penalty no_repeat_ngram_size encoder_no_repeat_ngram_size bad_words_ids " +
    "num_return_sequences remove_invalid_values exponential_decay_length_penalty suppress_tokens begin_suppress_tokens " +
    "forced_bos_token_id forced_eos_token_id finetuning_task problem_type id2label label2id task_specific_params " +
    "tf_legacy_loss pruned_heads chunk_size_feed_forward max_sequence_length model_max_length unsloth_version unsloth_fixed"
  ).split(" "),
);
