// What differs between families of models as Hugging Face stores them: what classes, keys and tensors are called in GGUF.

/**
 * The key of GGUF that a key of config.json becomes, and what is meant if config.json does not say: a number, the value of
 * another key, or null for nothing. Without it the key is needed.
 */
export type KeyRule = string | readonly [key: string, usual: number | string | null];

/** Reads a number or a truth value of config.json; without `usual` it is needed. */
export type ReadNumber = (key: string, usual?: number) => number;

/** What a stored tensor becomes: a tensor of GGUF, or several. Stems stand without ".weight". */
export type TensorRule =
  | string
  | {
      /**
       * What is done to it.
       * - "groups": rows of query heads, a key head and a value head, for each head of keys and values; `to` is where queries,
       *   keys and values go, or all of them.
       * - "halves": the first and the second half of the rows, of each expert if it has three dimensions.
       * - "latent": for each head, rows that make keys, which are transposed, and rows that make values.
       * - "row": a matrix of one row becomes a vector.
       * - "turns": rows of experts by turns.
       * - "columns": matrices of experts, transposed; to two tensors by turns.
       * - "mxfp4": blocks of 32 values whose scales are in another tensor, of rows of experts; to two tensors by turns.
       */
      readonly by: "groups" | "halves" | "latent" | "row" | "turns" | "columns" | "mxfp4";
      readonly to: readonly string[];
    };

/** Windows of layers. */
export interface WindowRule {
  /** In each row of so many layers all but the last have one; undefined: nothing says which. */
  readonly period?: number;
  /** Positions, if config.json does not say; without it there is no window then. */
  readonly usual?: number;
  /** Models of another number of layers have none, whatever they say. */
  readonly layers?: number;
}

/** How positions are rotated if config.json does not say, and what it calls that. */
export interface RopeUsage {
  readonly theta?: number;
  readonly thetaKey?: string;
  /** The share of a head that is rotated; without it no other than 1 is taken. */
  readonly part?: number;
  readonly partKey?: string;
  /** DeepSeek's way: what YaRN adds grows by a tenth of "mscale_all_dim". */
  readonly inScores?: boolean;
}

/** A family of models. */
export interface Family {
  /** Values of "architectures" in config.json. */
  readonly classes: readonly string[];
  /** The architecture's name in GGUF. */
  readonly architecture: string;
  readonly keys: Readonly<Record<string, KeyRule>>;
  /** Other names of keys. */
  readonly aliases?: Readonly<Record<string, string>>;
  /** More keys of GGUF, computed. A truth value is 1 or 0. */
  readonly more?: (read: ReadNumber) => Readonly<Record<string, number>>;
  /** Keys that must say what is computed, and what that is. */
  readonly same?: (read: ReadNumber) => Readonly<Record<string, number>>;
  /** Keys that change results unless they have one of these values. Null always stands for "none". */
  readonly neutral: Readonly<Record<string, readonly unknown[]>>;
  /** What is meant by keys that are absent, if that is not neutral. */
  readonly absent?: Readonly<Record<string, unknown>>;
  /** Keys that change no logit. */
  readonly harmless?: string;
  /** Lists with a value for each layer. */
  readonly perLayer?: Readonly<Record<string, (layer: number) => unknown>>;
  /** Keys that say whether matrices have biases: a tensor of layer 0 that is there if so, and what is meant if absent. */
  readonly biases?: Readonly<Record<string, string | readonly [stem: string, usual: boolean]>>;
  /** Biases of layer 0 that every model has. */
  readonly always?: readonly string[];
  /** Whether the output matrix is the embedding if config.json does not say. */
  readonly tied?: boolean;
  /** Length of a head if config.json does not say; without it dim / heads. */
  readonly headDim?: number;
  /** "none": positions are not rotated. */
  readonly rope?: RopeUsage | "none";
  /** Without it a window caps the context: within a window nothing is cut off. */
  readonly window?: WindowRule;
  /** Whether a window counts if "use_sliding_window" is absent; default true. */
  readonly windowUsed?: boolean;
  /** The quantization that the files may have. */
  readonly quantization?: string;
  /** The part of config.json that says what the model of texts is. */
  readonly nested?: string;
  /** What stands before most names, or before none of them. */
  readonly root: string;
  /** Stems of tensors outside of layers, without ".weight". */
  readonly outer: Readonly<Record<string, string>>;
  /** What stands before the number of a layer, after the root. */
  readonly layers: string;
  /** Stems of layers, or whole names; "*" is a number, by which tensors are joined. */
  readonly inLayer: Readonly<Record<string, TensorRule>>;
  /** Stems in GGUF whose rows are in the order of halves here, and of adjacent pairs there. */
  readonly paired?: readonly string[];
  /** Stems in GGUF of matrices that are transposed here. */
  readonly transposed?: readonly string[];
  /** Whether norm weights are stored minus 1. */
  readonly minusOne?: boolean;
  /** Tensors that change no result. */
  readonly ignored?: RegExp;
}

/** Keys that most families have; `eps` and `context` are what is meant without them. */
export function usualKeys(eps: number, context = 2048, epsKey = "rms_norm_eps"): Record<string, KeyRule> {
  return { ...sizeKeys(context), [epsKey]: ["attention.layer_norm_rms_epsilon", eps] };
}

/** Those of families with LayerNorm, whose epsilon has several names. */
export function layerNormKeys(epsKey: string, context = 2048): Record<string, KeyRule> {
  return { ...sizeKeys(context), [epsKey]: ["attention.layer_norm_epsilon", 1e-5] };
}

/** Keys of sizes. */
export function sizeKeys(context: number): Record<string, KeyRule> {
  return {
    hidden_size: "embedding_length",
    num_hidden_layers: "block_count",
    intermediate_size: "feed_forward_length",
    num_attention_heads: "attention.head_count",
    num_key_value_heads: ["attention.head_count_kv", "num_attention_heads"],
    vocab_size: "vocab_size",
    max_position_embeddings: ["context_length", context],
  };
}

/** Values of an activation that are SiLU. */
export const SILU: readonly string[] = ["silu", "swish"];
/** Values of an activation that are GELU: computed in its tanh form, as llama.cpp does. */
export const GELU: readonly string[] = ["gelu", "gelu_new", "gelu_fast", "gelu_pytorch_tanh"];

/** Attention of Llama's names. */
export const attentionNames = {
  "self_attn.q_proj": "attn_q",
  "self_attn.k_proj": "attn_k",
  "self_attn.v_proj": "attn_v",
  "self_attn.o_proj": "attn_output",
};
/** A gated block of Llama's names. */
export const gatedNames = {
  "mlp.gate_proj": "ffn_gate",
  "mlp.up_proj": "ffn_up",
  "mlp.down_proj": "ffn_down",
};
/** Experts of Qwen's names. */
export const expertNames = {
  "mlp.gate": "ffn_gate_inp",
  "mlp.experts.*.gate_proj": "ffn_gate_exps",
  "mlp.experts.*.up_proj": "ffn_up_exps",
  "mlp.experts.*.down_proj": "ffn_down_exps",
};
/** Norms before blocks. */
export const normNames = { input_layernorm: "attn_norm", post_attention_layernorm: "ffn_norm" };
/** Norms of queries and keys. */
export const headNormNames = { "self_attn.q_norm": "attn_q_norm", "self_attn.k_norm": "attn_k_norm" };
/** Training of experts. */
export const EXPERT_TRAINING = "output_router_logits router_aux_loss_coef router_jitter_noise";

/** Llama, of which most others are variants. */
export const llama: Family = {
  classes: ["LlamaForCausalLM"],
  architecture: "llama",
  keys: usualKeys(1e-6),
  neutral: { hidden_act: SILU },
  biases: { attention_bias: "attn_q.bias", mlp_bias: "ffn_up.bias" },
  root: "model.",
  outer: { embed_tokens: "token_embd", norm: "output_norm", lm_head: "output" },
  layers: "layers.",
  inLayer: { ...normNames, ...attentionNames, ...gatedNames },
  paired: ["attn_q", "attn_k"],
  ignored: /\.rotary_emb\.inv_freq$/,
};
