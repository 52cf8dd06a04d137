// Translates config.json into the metadata that a GGUF file of the same model has.

import { bytesSource } from "../../source/bytes.ts";
import { JsonValue } from "../../tokenizer/huggingface/json.ts";
import { decodeUtf8, quoted } from "../../util/bytes.ts";
import { UnsupportedError } from "../../util/errors.ts";
import type { MetaValue, TensorInfo } from "../model_file.ts";
import { checkJson } from "../strict_json.ts";
import { type Family, families, harmlessKeys, type KeyRule } from "./families.ts";

const MAX_INTEGER = 2 ** 31 - 1;
/** Deepest nesting of the JSON files of a model: real ones go four deep. */
const MAX_DEPTH = 16;
/** Longest head: the limit of kernels is lower. */
const MAX_HEAD_DIM = 1 << 16;

/** What config.json says. */
export interface HuggingFaceConfig {
  readonly family: Family;
  /** Under the names that GGUF has. */
  readonly metadata: Map<string, MetaValue>;
  readonly headDim: number;
  readonly layers: number;
  readonly vocabSize: number;
  readonly tied: boolean;
  /** Whether there are biases, by the stem in GGUF of a tensor that is one. */
  readonly biases: ReadonlyMap<string, boolean>;
  /** What rotary frequencies are divided by, if anything, as a tensor. */
  readonly ropeFactors: TensorInfo | undefined;
}

/** A JSON file of a model. @throws FormatError for deep nesting and repeated keys, and for what is no JSON */
export function parseJson(bytes: Uint8Array, name: string): JsonValue {
  checkJson(decodeUtf8(bytes), name, MAX_DEPTH);
  return JsonValue.parse(bytes, name);
}

/**
 * Reads a config.json. Keys that are not known are refused: they may say that something else is computed.
 * @throws FormatError for values that are missing or wrong; UnsupportedError for other families, and for keys and values
 *   that ask for what is not done
 */
export function readHuggingFaceConfig(json: JsonValue): HuggingFaceConfig {
  const family = familyOf(json);
  const { architecture } = family;
  const metadata = new Map<string, MetaValue>([
    ["general.architecture", { type: "string", value: architecture }],
  ]);
  const put = (key: string, type: "u32" | "f32", value: number) =>
    metadata.set(`${architecture}.${key}`, { type, value: type === "f32" ? Math.fround(value) : value });
  for (const [key, rule] of Object.entries(family.keys))
    put(rule.key, rule.type, numberAt(json, key, rule, family));
  const number = (key: string) => Number(metadata.get(`${architecture}.${family.keys[key]?.key}`)?.value);
  const dim = number("hidden_size");
  const heads = number("num_attention_heads");
  const given = optional(json, "head_dim");
  const headDim = given ? given.integer(1, MAX_HEAD_DIM) : dim / heads;
  if (given && headDim !== dim / heads) {
    put("attention.key_length", "u32", headDim);
    put("attention.value_length", "u32", headDim);
  }
  put("rope.dimension_count", "u32", headDim);
  capContext(json, number("max_position_embeddings"), (most) => put("context_length", "u32", most));
  const ropeFactors = readRope(json, headDim, architecture, put, metadata);
  checkKeys(json, family);
  return {
    family,
    metadata,
    headDim,
    layers: number("num_hidden_layers"),
    vocabSize: number("vocab_size"),
    tied: optional(json, "tie_word_embeddings")?.boolean(false) ?? family.tied,
    biases: new Map(
      Object.entries(family.biases).map(([key, stem]) => [
        stem,
        optional(json, key)?.boolean(false) ?? false,
      ]),
    ),
    ropeFactors,
  };
}

/** The value of a key; undefined if it is absent or null. */
export function optional(json: JsonValue, key: string): JsonValue | undefined {
  const value = json.get(key);
  return value.isNull ? undefined : value;
}

function familyOf(json: JsonValue): Family {
  const [name] = json.get("architectures").items(16);
  const found = name && families.find(({ classes }) => classes.includes(name.string()));
  if (found) return found;
  const supported = families.flatMap(({ classes }) => classes);
  const class_ = name ? quoted(name.string()) : "none";
  throw new UnsupportedError(
    `Cannot load ${json.name}: Unsupported architecture ${class_}; supported: ${supported.join(", ")}. ` +
      "A GGUF file of the model may be supported",
  );
}

function numberAt(json: JsonValue, key: string, { type, fallback }: KeyRule, family: Family): number {
  const value = optional(json, key);
  if (!value && typeof fallback === "number") return fallback;
  if (!value && fallback !== undefined)
    return numberAt(json, fallback as string, family.keys[fallback] as KeyRule, family);
  if (type === "u32") return json.get(key).integer(1, MAX_INTEGER);
  return real(json.get(key), Number.MIN_VALUE);
}

function real(json: JsonValue, min: number): number {
  const { value } = json;
  if (typeof value === "number" && value >= min && Number.isFinite(value)) return value;
  throw json.expected(min > 0 && min < 1 ? "a number above 0" : `a number of at least ${min}`);
}

// Within a window nothing is cut off: a context no longer than it gives what the model gives.
function capContext(json: JsonValue, context: number, set: (most: number) => void): void {
  const window = optional(json, "sliding_window");
  const used = optional(json, "use_sliding_window")?.boolean(true) ?? true;
  if (window && used) set(Math.min(context, window.integer(1, MAX_INTEGER)));
}

const ropeKeys = new Set(
  "rope_type type factor low_freq_factor high_freq_factor original_max_position_embeddings rope_theta".split(
    " ",
  ),
);

/** Reads rope_theta and rope_scaling; later files have both in rope_parameters. */
function readRope(
  json: JsonValue,
  headDim: number,
  architecture: string,
  put: (key: string, type: "u32" | "f32", value: number) => void,
  metadata: Map<string, MetaValue>,
): TensorInfo | undefined {
  const scaling = optional(json, "rope_parameters") ?? optional(json, "rope_scaling");
  const stated = (scaling && optional(scaling, "rope_theta")) ?? optional(json, "rope_theta");
  const theta = stated ? real(stated, 1) : 10000;
  put("rope.freq_base", "f32", theta);
  if (!scaling) return undefined;
  for (const key of Object.keys(scaling.object())) {
    const value = optional(scaling, key);
    if (value && !ropeKeys.has(key))
      throw value.unsupported("A rotary scaling with it", ["configurations without it"]);
  }
  const type = optional(scaling, "rope_type") ?? optional(scaling, "type");
  switch (type?.string() ?? "default") {
    case "default":
      return undefined;
    case "linear":
      metadata.set(`${architecture}.rope.scaling.type`, { type: "string", value: "linear" });
      put("rope.scaling.factor", "f32", real(scaling.get("factor"), 1));
      return undefined;
    case "llama3":
      return factorTensor(llama3Factors(scaling, theta, headDim));
  }
  throw (type as JsonValue).unsupported(`Rotary scaling ${quoted((type as JsonValue).string())}`, [
    "default, linear, llama3",
  ]);
}

/**
 * What each frequency is divided by: 1 for short wavelengths, `factor` for long ones, and between them a mean of both.
 * Computed in f32 as llama.cpp's converter does, so that a converted file has the same.
 * Source: huggingface/transformers, modeling_rope_utils.py (llama3).
 */
function llama3Factors(scaling: JsonValue, theta: number, headDim: number): Float32Array<ArrayBuffer> {
  const factor = real(scaling.get("factor"), 1);
  const low = real(optional(scaling, "low_freq_factor") ?? scaling.get("low_freq_factor"), Number.MIN_VALUE);
  const high = real(scaling.get("high_freq_factor"), Number.MIN_VALUE);
  if (!(high > low)) throw scaling.get("high_freq_factor").expected(`above low_freq_factor ${low}`);
  const context = scaling.get("original_max_position_embeddings").integer(1, MAX_INTEGER);
  const { fround } = Math;
  return Float32Array.from({ length: Math.ceil(headDim / 2) }, (_, i) => {
    const frequency = fround(1 / fround(power(theta, fround((2 * i) / headDim))));
    const wavelength = fround((2 * Math.PI) / frequency);
    if (wavelength < context / high) return 1;
    if (wavelength > context / low) return factor;
    const smooth = fround((context / wavelength - low) / (high - low));
    return 1 / (fround((1 - smooth) / factor) + smooth);
  });
}

/** base ^ exponent for 0 <= exponent < 1, by square roots, which are exact everywhere: Math.pow is not. */
function power(base: number, exponent: number): number {
  let result = 1;
  let root = base;
  for (let rest = exponent; rest > 0; rest %= 1) {
    rest *= 2;
    root = Math.sqrt(root);
    if (rest >= 1) result *= root;
  }
  return result;
}

function factorTensor(values: Float32Array<ArrayBuffer>): TensorInfo {
  const { length, byteLength } = values;
  const source = bytesSource(new Uint8Array(values.buffer), "rope_scaling");
  return { name: "rope_freqs.weight", shape: [length], type: "F32", source, offset: 0, byteLength };
}

const readKeys = new Set(
  "head_dim rope_theta rope_scaling rope_parameters sliding_window use_sliding_window tie_word_embeddings".split(
    " ",
  ),
);

// Values that are lists, such as one for each layer, are neutral if each element is.
function checkKeys(json: JsonValue, { keys, neutral, biases }: Family): void {
  const usual: Family["neutral"] = {
    ...{ is_encoder_decoder: [false], is_decoder: [false], add_cross_attention: [false] },
    ...{ tie_encoder_decoder: [false], layer_types: ["full_attention", "sliding_attention"] },
    ...neutral,
  };
  for (const key of Object.keys(json.object())) {
    const value = optional(json, key);
    if (!value || key.startsWith("_") || harmlessKeys.has(key) || readKeys.has(key)) continue;
    if (Object.hasOwn(keys, key) || Object.hasOwn(biases, key)) continue;
    const allowed = Object.hasOwn(usual, key) ? usual[key] : undefined;
    const values: readonly unknown[] = Array.isArray(value.value) ? value.value : [value.value];
    if (allowed && values.every((each) => allowed.includes(each))) continue;
    const supported = allowed ? allowed.map(String) : ["models without it"];
    throw value.unsupported(`Key ${quoted(key)} with ${shown(value.value)}`, supported);
  }
}

function shown(value: unknown): string {
  return quoted(typeof value === "string" ? value : (JSON.stringify(value) ?? ""));
}

/** Ids of a key that has one or several; those that are no ids of `size` tokens are named in `warnings`. */
export function tokenIds(
  json: JsonValue | undefined,
  key: string,
  size: number,
  warnings: string[],
): number[] {
  const value = json && optional(json, key);
  if (!value) return [];
  const all = Array.isArray(value.value) ? value.items(1024) : [value];
  return all.flatMap((id) => {
    const n = id.integer(-1, Number.MAX_SAFE_INTEGER);
    if (n >= 0 && n < size) return [n];
    warnings.push(
      `Key ${quoted(key)} of ${json.name}: Expected an id of a vocabulary of ${size} tokens, got ${n}; it is passed over`,
    );
    return [];
  });
}
