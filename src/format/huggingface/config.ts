// Translates config.json into the metadata that a GGUF file of the same model has.

import { JsonValue } from "../../tokenizer/huggingface/json.ts";
import { decodeUtf8, quoted } from "../../util/bytes.ts";
import { UnsupportedError } from "../../util/errors.ts";
import type { MetaValue, TensorInfo } from "../model_file.ts";
import { checkJson } from "../strict_json.ts";
import { type Family, families, harmlessKeys, type KeyRule } from "./families.ts";
import { readRope, ropeKeys } from "./rope.ts";
import { MAX_INTEGER, optional, real } from "./values.ts";

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
  /** What rotary frequencies are divided by, if anything. */
  readonly ropeFactors: readonly TensorInfo[];
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
  const rope = readRope(json, { architecture, headDim, context: number("max_position_embeddings") });
  for (const [key, value] of rope.metadata) metadata.set(key, value);
  const context = Number(metadata.get(`${architecture}.context_length`)?.value);
  capContext(json, context, (most) => put("context_length", "u32", most));
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
    ropeFactors: rope.tensors,
  };
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

// Within a window nothing is cut off: a context no longer than it gives what the model gives.
function capContext(json: JsonValue, context: number, set: (most: number) => void): void {
  const window = optional(json, "sliding_window");
  const used = optional(json, "use_sliding_window")?.boolean(true) ?? true;
  if (window && used) set(Math.min(context, window.integer(1, MAX_INTEGER)));
}

const readKeys = new Set([
  ...["head_dim", "sliding_window", "use_sliding_window", "tie_word_embeddings"],
  ...ropeKeys,
]);

// Values that are lists, such as one for each layer, are neutral if each element is.
function checkKeys(json: JsonValue, { keys, neutral, biases }: Family): void {
  const usual: Family["neutral"] = {
    ...{ is_encoder_decoder: [false], is_decoder: [false], add_cross_attention: [false] },
    ...{ tie_encoder_decoder: [false], layer_types: ["full_attention", "sliding_attention"] },
    ...neutral,
  };
  for (const key of Object.keys(json.object())) {
    const value = optional(json, key);
    if (!value || key.startsWith("_") || harmlessKeys.has(key)) continue;
    // A family may take no value of a key but one.
    if (readKeys.has(key) && !Object.hasOwn(usual, key)) continue;
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
