import type { ModelFile } from "../format/model_file.ts";
import { quoted } from "../util/bytes.ts";
import { FormatError, UnsupportedError } from "../util/errors.ts";
import { archSpec } from "./arch/registry.ts";
import { checkKeys, describeMeta } from "./config_keys.ts";
import { checkWholeModel } from "./whole_model.ts";

export type { KvType } from "../quant/kv_types.ts";
export type { Precision } from "../quant/registry.ts";

/** Hyper-parameters under cria's names; HOUSE terms, whatever vocabulary the file uses. */
export interface ModelConfig {
  readonly architecture: string;
  readonly dim: number;
  readonly hiddenDim: number;
  readonly nLayers: number;
  readonly nHeads: number;
  readonly nKvHeads: number;
  readonly headDim: number;
  readonly vocabSize: number;
  readonly contextLength: number;
  readonly ropeTheta: number;
  /** Positions are divided by this (linear scaling); 1: none. */
  readonly ropeScale: number;
  readonly normEps: number;
}

// Limits of what a plan can address. Far above any known model of the family, far below what wraps: the
// product of any two stays under 2^53.
const MAX_DIM = 1 << 20;
const MAX_LAYERS = 1024;
const MAX_HEADS = 4096;
const MAX_HEAD_DIM = 256;
const MAX_VOCAB = 1 << 22;
/** Longest context: sin and cos are exact up to 2^20 radians, and a position turns by at most one. */
export const MAX_CONTEXT = 1 << 20;
// Models have 1e-12 to 1e-5. Kernels take it as f32, in which it must not vanish.
const MIN_EPS = 2 ** -126;
const MAX_EPS = 1;

interface Range {
  readonly min: number;
  readonly max: number;
  readonly fallback?: number;
}

function scalar(file: ModelFile, key: string): number | undefined {
  const meta = file.metadata.get(key);
  if (meta?.type !== "array" && typeof meta?.value === "number") return meta.value;
  return undefined;
}

function integer(file: ModelFile, key: string, { min, max, fallback }: Range): number {
  if (fallback !== undefined && !file.metadata.has(key)) return fallback;
  const value = scalar(file, key);
  if (value === undefined || !Number.isInteger(value) || value < min || value > max) {
    throw new FormatError(
      `Cannot load ${file.source.name}: Expected ${key} to be an integer in [${min}, ${max}], got ${describeMeta(file.metadata.get(key))}`,
    );
  }
  return value;
}

/**
 * An integer that files state once or for each layer.
 * @throws UnsupportedError where layers differ
 */
function layerInteger(file: ModelFile, key: string, range: Range, nLayers: number): number {
  const meta = file.metadata.get(key);
  if (meta?.type !== "array") return integer(file, key, range);
  const values = Array.from<unknown>(meta.value);
  const { min, max } = range;
  const fits = (value: unknown) => Number.isInteger(value) && Number(value) >= min && Number(value) <= max;
  if (values.length !== nLayers || !values.every(fits)) {
    const wrong = values.length !== nLayers ? values.length : values.find((value) => !fits(value));
    throw new FormatError(
      `Cannot load ${file.source.name}: Expected ${key} to be an integer in [${min}, ${max}], or ${nLayers} of them, one for each layer, got ${wrong} in an array of ${meta.elementType}`,
    );
  }
  const other = values.find((value) => value !== values[0]);
  if (other !== undefined) {
    throw new UnsupportedError(
      `Cannot load ${file.source.name}: Unsupported ${key} that differs between layers, got ${values[0]} and ${other}; supported: the same for all layers`,
    );
  }
  return values[0] as number;
}

function real(file: ModelFile, key: string, { min, max, fallback }: Range): number {
  if (fallback !== undefined && !file.metadata.has(key)) return fallback;
  const value = scalar(file, key);
  if (value === undefined || !(value >= min && value <= max)) {
    const expected =
      max < Number.MAX_VALUE ? `number in [${min}, ${max}]` : `finite number of at least ${min}`;
    throw new FormatError(
      `Cannot load ${file.source.name}: Expected ${key} to be a ${expected}, got ${describeMeta(file.metadata.get(key))}`,
    );
  }
  return value;
}

// Below 1, a position would turn by more than one radian; see MAX_CONTEXT.
function atLeastOne(file: ModelFile, key: string, fallback: number): number {
  return real(file, key, { min: 1, max: Number.MAX_VALUE, fallback });
}

function text(file: ModelFile, key: string, fallback: string): string {
  const meta = file.metadata.get(key);
  if (!meta) return fallback;
  if (meta.type !== "string") {
    throw new FormatError(
      `Cannot load ${file.source.name}: Expected ${key} to be a string, got ${describeMeta(meta)}`,
    );
  }
  return String(meta.value);
}

// Rows of the token embedding: the vocabulary that the model really has.
function vocabulary(file: ModelFile): number {
  const info = file.tensors.get("token_embd.weight");
  if (!info)
    throw new FormatError(`Cannot load ${file.source.name}: Expected tensor token_embd.weight, got none`);
  const rows = info.shape.length === 2 ? (info.shape[0] as number) : 0;
  if (rows < 1 || rows > MAX_VOCAB) {
    throw new FormatError(
      `Cannot load tensor token_embd.weight: Expected shape [1..${MAX_VOCAB}, dim], got [${info.shape.join(", ")}]`,
    );
  }
  return rows;
}

// What a model claims beyond the longest context is of no use to anyone, and no reason to refuse it.
function contextLength(file: ModelFile, key: string): number {
  return Math.min(MAX_CONTEXT, integer(file, key, { min: 1, max: Number.MAX_SAFE_INTEGER }));
}

function ropeScale(file: ModelFile, prefix: string): number {
  const type = text(file, `${prefix}.rope.scaling.type`, "linear");
  if (type === "none") return 1;
  if (type !== "linear") {
    throw new UnsupportedError(
      `Cannot load ${file.source.name}: Unsupported ${prefix}.rope.scaling.type ${quoted(type)}; supported: none, linear`,
    );
  }
  // The first of its names counts. Under either, 0 says that there is no scaling.
  const names = [`${prefix}.rope.scaling.factor`, `${prefix}.rope.scale_linear`];
  const key = names.find((name) => file.metadata.has(name));
  if (key === undefined || scalar(file, key) === 0) return 1;
  return atLeastOne(file, key, 1);
}

function ggufConfig(file: ModelFile): ModelConfig {
  const prefix = file.architecture;
  const at = (key: string) => `${prefix}.${key}`;
  const experts = integer(file, at("expert_count"), { min: 0, max: 65536, fallback: 0 });
  if (experts > 0) {
    throw new UnsupportedError(
      `Cannot load ${file.source.name}: Unsupported mixture of ${experts} experts; supported: dense models`,
    );
  }
  const dim = integer(file, at("embedding_length"), { min: 2, max: MAX_DIM });
  const nLayers = integer(file, at("block_count"), { min: 1, max: MAX_LAYERS });
  const nHeads = layerInteger(file, at("attention.head_count"), { min: 1, max: MAX_HEADS }, nLayers);
  const kvHeads = { min: 1, max: nHeads, fallback: nHeads };
  const headDim = integer(file, at("attention.key_length"), {
    min: 2,
    max: MAX_HEAD_DIM,
    fallback: dim / nHeads,
  });
  const config = checked(file, {
    architecture: file.architecture,
    dim,
    hiddenDim: layerInteger(file, at("feed_forward_length"), { min: 1, max: MAX_DIM }, nLayers),
    nLayers,
    nHeads,
    nKvHeads: layerInteger(file, at("attention.head_count_kv"), kvHeads, nLayers),
    headDim,
    vocabSize: vocabulary(file),
    contextLength: contextLength(file, at("context_length")),
    ropeTheta: atLeastOne(file, at("rope.freq_base"), 10000),
    ropeScale: ropeScale(file, prefix),
    normEps: real(file, at("attention.layer_norm_rms_epsilon"), { min: MIN_EPS, max: MAX_EPS }),
    ropeDim: integer(file, at("rope.dimension_count"), { min: 1, max: MAX_DIM, fallback: headDim }),
    valueDim: integer(file, at("attention.value_length"), { min: 1, max: MAX_DIM, fallback: headDim }),
  });
  checkKeys(file, prefix, config);
  return config;
}

function llama2cConfig(file: ModelFile): ModelConfig {
  const dim = integer(file, "dim", { min: 2, max: MAX_DIM });
  const nHeads = integer(file, "n_heads", { min: 1, max: MAX_HEADS });
  const headDim = dim / nHeads;
  return checked(file, {
    architecture: file.architecture,
    dim,
    hiddenDim: integer(file, "hidden_dim", { min: 1, max: MAX_DIM }),
    nLayers: integer(file, "n_layers", { min: 1, max: MAX_LAYERS }),
    nHeads,
    nKvHeads: integer(file, "n_kv_heads", { min: 1, max: nHeads }),
    headDim,
    vocabSize: vocabulary(file),
    contextLength: contextLength(file, "seq_len"),
    ropeTheta: 10000,
    ropeScale: 1,
    normEps: 1e-5,
    ropeDim: headDim,
    valueDim: headDim,
  });
}

function checked(
  file: ModelFile,
  found: ModelConfig & { readonly ropeDim: number; readonly valueDim: number },
): ModelConfig {
  const { ropeDim, valueDim, ...config } = found;
  const fail = (expected: string) => {
    throw new FormatError(`Cannot load ${file.source.name}: Expected ${expected}`);
  };
  const { dim, nHeads, nKvHeads, headDim } = config;
  if (!Number.isInteger(headDim) || headDim > MAX_HEAD_DIM || headDim < 2) {
    fail(`dim ${dim} / nHeads ${nHeads} to be a head size in [2, ${MAX_HEAD_DIM}], got ${headDim}`);
  }
  if (headDim % 2) fail(`an even head size, got ${headDim}`);
  if (nHeads % nKvHeads) fail(`nHeads to be a multiple of nKvHeads ${nKvHeads}, got ${nHeads}`);
  if (ropeDim !== headDim) fail(`rope to rotate the whole head of ${headDim}, got ${ropeDim}`);
  if (valueDim !== headDim) fail(`values as long as keys (${headDim}), got ${valueDim}`);
  return config;
}

/**
 * Hyper-parameters of a model file, translated and checked.
 * @throws FormatError where a key is missing, of the wrong type, out of its interval or contradicts another;
 *   UnsupportedError for parts of models, other architectures, mixtures of experts, rope scalings and keys than are
 *   implemented.
 */
export function readConfig(file: ModelFile): ModelConfig {
  checkWholeModel(file);
  archSpec(file.architecture, file.source.name);
  return file.format === "llama2c" ? llama2cConfig(file) : ggufConfig(file);
}
