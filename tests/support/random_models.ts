// Small models of every architecture with random weights: what tensors they need is asked of the architecture itself.
import { openModelFile } from "../../src/format/detect.ts";
import type { Architecture } from "../../src/model/arch/spec.ts";
import { readModel } from "../../src/model/read_model.ts";
import { layerNeeds, type MatrixNeed, outerNeeds, type VectorNeed } from "../../src/model/weights/declare.ts";
import { shapeOf } from "../../src/model/weights/views.ts";
import { bytesSource } from "../../src/source/bytes.ts";
import {
  type GgufTensor,
  type GgufValue,
  ggufFile,
  meta,
  metaArray,
  tinyValues,
  tinyVocab,
} from "./gguf_writer.ts";

/** Tokens of the models' vocabulary. */
export const RANDOM_VOCAB = 304;
/** Positions that windowed layers see: more than a page of the cache, and no multiple. */
export const RANDOM_WINDOW = 40;

/** What a model has beside what all have. Keys stand without the architecture's name. */
export interface RandomModel {
  readonly architecture: string;
  readonly keys?: Readonly<Record<string, GgufValue>>;
  /** Tensors by which files of the architecture differ, with their shapes. */
  readonly tensors?: Readonly<Record<string, readonly number[]>>;
  /** Tensors that may be missing, and are. */
  readonly without?: RegExp;
  readonly nLayers?: number;
}

const u32 = (value: number) => meta("u32", value);
const f32 = (value: number) => meta("f32", value);
const window = { "attention.sliding_window": u32(RANDOM_WINDOW) };
const experts = { expert_count: u32(6), expert_used_count: u32(2), expert_feed_forward_length: u32(32) };
const half = { "rope.dimension_count": u32(8) };
const yarn = {
  "rope.scaling.type": meta("string", "yarn"),
  "rope.scaling.factor": f32(4),
  "rope.scaling.original_context_length": u32(64),
};

const latent = {
  ...yarn,
  "rope.scaling.yarn_log_multiplier": f32(0.07),
  "rope.dimension_count": u32(8),
  "attention.head_count_kv": u32(1),
  "attention.key_length": u32(40),
  "attention.value_length": u32(32),
  "attention.key_length_mla": u32(24),
  "attention.value_length_mla": u32(16),
  "attention.q_lora_rank": u32(24),
  "attention.kv_lora_rank": u32(32),
};

const fusedQkv = { "blk.0.attn_qkv.weight": [128, 64] };

/** A model or more of each architecture, by a name of its own. */
export const randomModels: Readonly<Record<string, RandomModel>> = {
  llama: { architecture: "llama", without: /bias$/ },
  "llama with biases, longer heads and yarn": {
    architecture: "llama",
    keys: { ...yarn, "attention.key_length": u32(24), "attention.value_length": u32(24) },
  },
  "llama with experts": { architecture: "llama", keys: experts },
  arcee: { architecture: "arcee" },
  cohere2: { architecture: "cohere2", keys: { ...window, logit_scale: f32(0.5) }, nLayers: 4 },
  "command-r": { architecture: "command-r", keys: { logit_scale: f32(0.5) } },
  deepseek2: { architecture: "deepseek2", keys: latent },
  "deepseek2 with experts": {
    architecture: "deepseek2",
    keys: {
      ...{ ...latent, ...experts, leading_dense_block_count: u32(1), expert_shared_count: u32(2) },
      ...{ expert_group_count: u32(3), expert_group_used_count: u32(2), expert_gating_func: u32(2) },
      ...{ expert_weights_norm: meta("bool", true), expert_weights_scale: f32(1.5) },
    },
  },
  ernie4_5: { architecture: "ernie4_5" },
  exaone: { architecture: "exaone" },
  exaone4: { architecture: "exaone4" },
  falcon: { architecture: "falcon", tensors: fusedQkv },
  gemma: { architecture: "gemma" },
  gemma2: {
    architecture: "gemma2",
    keys: { ...window, attn_logit_softcapping: f32(5), final_logit_softcapping: f32(3) },
  },
  gemma3: {
    architecture: "gemma3",
    keys: {
      ...window,
      "rope.freq_base": f32(1e6),
      "rope.scaling.type": meta("string", "linear"),
      "rope.scaling.factor": f32(8),
    },
    nLayers: 6,
  },
  glm4: { architecture: "glm4", keys: half, tensors: { "blk.0.ffn_up.weight": [192, 64] } },
  gpt2: { architecture: "gpt2", tensors: fusedQkv },
  gptneox: { architecture: "gptneox", keys: half, tensors: fusedQkv },
  "gpt-oss": { architecture: "gpt-oss", keys: { ...window, ...experts, ...yarn } },
  granite: {
    architecture: "granite",
    keys: {
      embedding_scale: f32(3),
      residual_scale: f32(0.3),
      "attention.scale": f32(0.1),
      logit_scale: f32(2),
    },
  },
  granitemoe: { architecture: "granitemoe", keys: { ...experts, residual_scale: f32(0.3) } },
  "hunyuan-dense": { architecture: "hunyuan-dense" },
  internlm2: { architecture: "internlm2" },
  lfm2: {
    architecture: "lfm2",
    keys: {
      "shortconv.l_cache": u32(3),
      "attention.head_count_kv": metaArray("i32", [0, 2, 0]),
    },
    nLayers: 3,
  },
  minicpm: { architecture: "minicpm" },
  mistral3: { architecture: "mistral3", keys: { ...yarn, "attention.temperature_scale": f32(0.1) } },
  nemotron: { architecture: "nemotron", keys: half },
  olmo: { architecture: "olmo", keys: { "attention.clamp_kqv": f32(1) } },
  olmo2: { architecture: "olmo2", keys: { ...window, ...yarn }, nLayers: 4 },
  olmoe: { architecture: "olmoe", keys: experts },
  phi2: { architecture: "phi2", keys: half },
  phi3: {
    architecture: "phi3",
    tensors: {
      ...fusedQkv,
      "blk.0.ffn_up.weight": [192, 64],
      "rope_factors_long.weight": [8],
      "rope_factors_short.weight": [8],
    },
    keys: { "rope.scaling.original_context_length": u32(64), "rope.scaling.attn_factor": f32(1.2) },
  },
  qwen2: { architecture: "qwen2" },
  qwen2moe: {
    architecture: "qwen2moe",
    keys: { ...experts, expert_shared_feed_forward_length: u32(48) },
  },
  qwen3: { architecture: "qwen3" },
  qwen3moe: { architecture: "qwen3moe", keys: experts },
  qwen35: {
    architecture: "qwen35",
    keys: {
      ...half,
      "ssm.conv_kernel": u32(4),
      "ssm.state_size": u32(12),
      "ssm.group_count": u32(2),
      "ssm.time_step_rank": u32(4),
      "ssm.inner_size": u32(48),
      full_attention_interval: u32(3),
    },
    nLayers: 3,
  },
  seed_oss: { architecture: "seed_oss" },
  smollm3: { architecture: "smollm3", nLayers: 4 },
  stablelm: { architecture: "stablelm", keys: half, tensors: { "blk.0.ffn_norm.weight": [64] } },
  "stablelm, parallel": { architecture: "stablelm", keys: half },
  starcoder2: { architecture: "starcoder2" },
};

function metadataOf({ architecture, keys = {}, nLayers = 2 }: RandomModel): (readonly [string, GgufValue])[] {
  const vocab = tinyVocab(RANDOM_VOCAB);
  const usual = {
    context_length: u32(256),
    embedding_length: u32(64),
    block_count: u32(nLayers),
    feed_forward_length: u32(96),
    "attention.head_count": u32(4),
    "attention.head_count_kv": u32(2),
    "attention.layer_norm_rms_epsilon": f32(1e-5),
    "attention.layer_norm_epsilon": f32(1e-5),
  };
  return [
    ["general.architecture", meta("string", architecture)],
    ...Object.entries({ ...usual, ...keys }).map(
      ([key, value]) => [`${architecture}.${key}`, value] as const,
    ),
    ["tokenizer.ggml.model", meta("string", "llama")],
    ["tokenizer.ggml.tokens", metaArray("string", vocab.pieces)],
    ["tokenizer.ggml.scores", metaArray("f32", vocab.scores)],
    ["tokenizer.ggml.token_type", metaArray("i32", vocab.types)],
  ];
}

/** The model as a GGUF file of F32, the same bytes in every runtime. */
export async function randomModel(
  model: RandomModel,
  architectures?: readonly Architecture[],
): Promise<Uint8Array<ArrayBuffer>> {
  const metadata = metadataOf(model);
  const shapes = new Map<string, readonly number[]>([["token_embd.weight", [RANDOM_VOCAB, 64]]]);
  for (const [name, shape] of Object.entries(model.tensors ?? {})) shapes.set(name, shape);
  const stub = ggufFile({
    metadata,
    tensors: [...shapes].map(([name, shape]) => ({ name, shape, type: "F32" })),
  });
  const read = readModel(await openModelFile(bytesSource(stub.bytes)), architectures);
  const add = (need: MatrixNeed | VectorNeed, layer: number) => {
    const name = read.architecture.tensors(need.view.tensor, layer);
    const isAsked = model.tensors && name in model.tensors;
    if (!isAsked && (model.without?.test(name) || name === "rope_freqs.weight")) return;
    shapes.set(name, shapeOf(need.view, need.kind === "matrix" ? need.cols : undefined));
  };
  eachNeed(outerNeeds(read), (need) => add(need, 0));
  read.layers.forEach((spec, i) => {
    eachNeed(layerNeeds(spec, read.config), (need) => add(need, i));
  });
  return ggufFile({ metadata, tensors: [...shapes].map(([name, shape]) => tensorOf(name, shape)) }).bytes;
}

function tensorOf(name: string, shape: readonly number[]): GgufTensor {
  const values = tinyValues(name, shape, 1);
  // Biases and sinks are near 0, factors of frequencies at least 1, and states decay.
  const shift = /bias$|sinks/.test(name) ? -1 : /^rope_/.test(name) ? 0.5 : /ssm_a$/.test(name) ? -2 : 0;
  const data = shift === 0 ? values : values.map((value) => value + shift);
  return { name, shape, type: "F32", data: new Uint8Array(data.buffer) };
}

// Every need in a description of needs, those of experts and of biases too.
function eachNeed(value: unknown, visit: (need: MatrixNeed | VectorNeed) => void): void {
  if (Array.isArray(value)) for (const item of value) eachNeed(item, visit);
  if (typeof value !== "object" || value === null) return;
  const need = value as MatrixNeed | VectorNeed | { expert?: (i: number) => object };
  if ("kind" in need) visit(need);
  if ("expert" in need && need.expert) eachNeed(need.expert(0), visit);
  for (const item of Object.values(value)) eachNeed(item, visit);
}
