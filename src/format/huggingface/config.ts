// Translates config.json into the metadata that a GGUF file of the same model has.

import { JsonValue } from "../../tokenizer/huggingface/json.ts";
import { decodeUtf8, quoted } from "../../util/bytes.ts";
import { UnsupportedError } from "../../util/errors.ts";
import type { MetaValue, TensorInfo } from "../model_file.ts";
import { checkJson } from "../strict_json.ts";
import { families, harmlessKeys } from "./families/families.ts";
import type { Family, KeyRule, RopeUsage } from "./families/family.ts";
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
  readonly nHeads: number;
  readonly nKvHeads: number;
  readonly headDim: number;
  /** Latent attention: values of a head's key that are not rotated, and of its value; else 0. */
  readonly plainDim: number;
  readonly valueDim: number;
  readonly layers: number;
  readonly vocabSize: number;
  readonly tied: boolean;
  /** Whether there are tensors that only some models of a family have, by the stem in GGUF of one of layer 0. */
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
export function readHuggingFaceConfig(file: JsonValue): HuggingFaceConfig {
  const family = familyOf(file);
  const json = family.nested === undefined ? file : file.get(family.nested);
  return new ConfigReader(family, json, file).read();
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

/** Reads one config.json, and notes which keys it has read. */
class ConfigReader {
  readonly #family: Family;
  readonly #json: JsonValue;
  readonly #file: JsonValue;
  readonly #metadata: Map<string, MetaValue>;
  readonly #read = new Set<string>(["head_dim", "tie_word_embeddings", ...ropeKeys, ...windowKeys]);

  /** @param json the part of `file` that says what the model of texts is */
  constructor(family: Family, json: JsonValue, file: JsonValue) {
    this.#family = family;
    this.#json = json;
    this.#file = file;
    this.#metadata = new Map([["general.architecture", { type: "string", value: family.architecture }]]);
  }

  read(): HuggingFaceConfig {
    const { keys, more, same, biases = {}, tied = false, rope } = this.#family;
    for (const [key, rule] of Object.entries(keys)) this.#translate(key, rule);
    for (const [key, value] of Object.entries(more?.(this.#number) ?? {})) this.#put(key, value);
    const [nHeads, dim] = [this.#stored("attention.head_count"), this.#stored("embedding_length")];
    const isLatent = this.#metadata.has(`${this.#family.architecture}.attention.kv_lora_rank`);
    // Of latent attention, the family has said how long heads are.
    const headDim = isLatent ? this.#stored("attention.key_length") : this.#headDim(dim / nHeads);
    const of = (key: string) => (isLatent ? this.#number(key, 128) : 0);
    const ropeFactors = rope === "none" ? [] : this.#rope(isLatent ? of("qk_rope_head_dim") : headDim, rope);
    this.#windows();
    for (const [key, value] of Object.entries(same?.(this.#number) ?? {})) this.#mustBe(key, value);
    const stems = Object.entries(biases).map(([key, rule]): [string, boolean] => {
      const [stem, usual] = typeof rule === "string" ? [rule, false] : rule;
      this.#read.add(key);
      return [stem, optional(this.#json, key)?.boolean(usual) ?? usual];
    });
    const isTied = optional(this.#file, "tie_word_embeddings") ?? optional(this.#json, "tie_word_embeddings");
    this.#checkKeys();
    return {
      ...{ family: this.#family, metadata: this.#metadata, nHeads, headDim, ropeFactors },
      nKvHeads: this.#stored("attention.head_count_kv", nHeads),
      ...{ plainDim: of("qk_nope_head_dim"), valueDim: of("v_head_dim") },
      layers: this.#stored("block_count"),
      vocabSize: this.#stored("vocab_size"),
      tied: isTied?.boolean(false) ?? tied,
      biases: new Map(stems),
    };
  }

  #put(key: string, value: number): void {
    const name = `${this.#family.architecture}.${key}`;
    if (bools.test(key)) this.#metadata.set(name, { type: "bool", value: value !== 0 });
    else if (reals.test(key)) this.#metadata.set(name, { type: "f32", value: Math.fround(value) });
    else this.#metadata.set(name, { type: "u32", value });
  }

  #stored(key: string, usual?: number): number {
    return Number(this.#metadata.get(`${this.#family.architecture}.${key}`)?.value ?? usual);
  }

  #translate(key: string, rule: KeyRule): void {
    const [name, usual] = typeof rule === "string" ? [rule] : rule;
    const at = this.#at(key);
    if (!at && usual === null) return;
    const least = isOptional(rule) ? 0 : Number.MIN_VALUE;
    const value = at && (reals.test(name) ? real(at, least) : at.integer(Math.ceil(least), MAX_INTEGER));
    const other = typeof usual === "string" ? this.#number(usual) : (usual ?? undefined);
    // The error of what is needed says what it must be.
    this.#put(name, value ?? other ?? this.#json.get(key).integer(1, MAX_INTEGER));
  }

  /** The value of a key, under any of its names. */
  #at(key: string): JsonValue | undefined {
    const other = this.#family.aliases?.[key];
    this.#read.add(key);
    if (other !== undefined) this.#read.add(other);
    return optional(this.#json, key) ?? (other === undefined ? undefined : optional(this.#json, other));
  }

  readonly #number = (key: string, usual?: number): number => {
    const at = this.#at(key);
    if (typeof at?.value === "boolean") return Number(at.value);
    if (at) return real(at, 0);
    const rule = this.#family.keys[key];
    const stated = usual ?? (typeof rule === "object" ? rule[1] : undefined);
    if (typeof stated === "number") return stated;
    return typeof stated === "string" ? this.#number(stated) : this.#json.get(key).integer(1, MAX_INTEGER);
  };

  #headDim(usual: number): number {
    const stated = optional(this.#json, "head_dim")?.integer(1, MAX_HEAD_DIM) ?? this.#family.headDim;
    if (stated === undefined || stated === usual) return usual;
    this.#put("attention.key_length", stated);
    this.#put("attention.value_length", stated);
    return stated;
  }

  #rope(headDim: number, usage: RopeUsage = {}): readonly TensorInfo[] {
    const { architecture } = this.#family;
    for (const key of [usage.partKey, usage.thetaKey]) if (key !== undefined) this.#read.add(key);
    const context = this.#stored("context_length");
    const rope = readRope(this.#json, { architecture, headDim, context, ...usage });
    for (const [key, value] of rope.metadata) this.#metadata.set(key, value);
    return rope.tensors;
  }

  // The windows of layers; without them a context no longer than the window gives what the model gives.
  #windows(): void {
    const { window: rule, windowUsed = true } = this.#family;
    const isUsed = optional(this.#json, "use_sliding_window")?.boolean(windowUsed) ?? windowUsed;
    const stated = optional(this.#json, "sliding_window")?.integer(1, MAX_INTEGER) ?? rule?.usual;
    const has = rule?.layers === undefined || rule.layers === this.#stored("block_count");
    if (stated === undefined || !isUsed) return;
    if (!rule || !has) {
      this.#put("context_length", Math.min(this.#stored("context_length"), stated));
      return;
    }
    this.#put("attention.sliding_window", stated);
    const { period } = rule;
    if (period === undefined) return;
    const kind = (i: number) => (i % period < period - 1 ? "sliding_attention" : "full_attention");
    this.#checkLayers("layer_types", kind);
    for (const key of ["sliding_window_pattern", "_sliding_window_pattern"]) {
      const at = optional(this.#json, key);
      if (at && at.value !== period && !this.#family.neutral[key]?.includes(at.value)) {
        throw at.unsupported(`A window in other layers (${shown(at.value)})`, [String(period)]);
      }
    }
  }

  #checkLayers(key: string, usual: (layer: number) => unknown): void {
    this.#read.add(key);
    const list = optional(this.#json, key);
    const n = this.#stored("block_count");
    const items = list?.items(MAX_LAYERS) ?? [];
    if (list && items.length !== n) throw list.expected(`a value for each of ${n} layers`);
    const other = items.find(({ value }, i) => value !== usual(i));
    if (other) {
      const i = items.indexOf(other);
      throw other.unsupported(`Layer ${i} with ${shown(other.value)}`, [shown(usual(i))]);
    }
  }

  #mustBe(key: string, expected: number): void {
    const at = this.#at(key);
    if (!at || at.value === expected) return;
    throw at.unsupported(`Key ${quoted(key)} with ${shown(at.value)}`, [String(expected)]);
  }

  // Values that are lists, such as one for each layer, are neutral if each element is.
  #checkKeys(): void {
    const { neutral, absent = {}, harmless = "", perLayer = {}, nested } = this.#family;
    for (const [key, usual] of Object.entries(perLayer)) this.#checkLayers(key, usual);
    const usual: Family["neutral"] = { ...usualNeutral, ...this.#ropeNeutral(), ...neutral };
    const passed = new Set(harmless.split(" "));
    const all = { ...absent, ...this.#json.object() };
    for (const key of Object.keys(all)) {
      const value = all[key];
      if (value === null || value === undefined || key.startsWith("_")) continue;
      if (harmlessKeys.has(key) || passed.has(key) || this.#isQuantization(key)) continue;
      // A family may take no value of a key but one.
      if (this.#read.has(key) && !Object.hasOwn(usual, key)) continue;
      const allowed = Object.hasOwn(usual, key) ? usual[key] : undefined;
      const values: readonly unknown[] = Array.isArray(value) ? value : [value];
      if (allowed && values.every((each) => allowed.includes(each))) continue;
      const supported = allowed ? allowed.map(String) : ["models without it"];
      throw this.#json.get(key).unsupported(`Key ${quoted(key)} with ${shown(value)}`, supported);
    }
    if (nested !== undefined) this.#checkOuter(nested);
  }

  // What stands around the part that says what the model of texts is: its other parts are not read.
  #checkOuter(nested: string): void {
    for (const key of Object.keys(this.#file.object())) {
      if (key === nested || key.startsWith("_") || harmlessKeys.has(key) || outerKeys.has(key)) continue;
      if (optional(this.#file, key)) {
        const value = this.#file.get(key);
        throw value.unsupported(`Key ${quoted(key)} with ${shown(value.value)}`, ["models without it"]);
      }
    }
  }

  #ropeNeutral(): Family["neutral"] {
    const { rope } = this.#family;
    return rope !== "none" && rope?.part !== undefined ? {} : { partial_rotary_factor: [1] };
  }

  #isQuantization(key: string): boolean {
    const { quantization } = this.#family;
    if (quantization === undefined || key !== "quantization_config") return false;
    this.#json.get(key).get("quant_method").oneOf([quantization]);
    return true;
  }
}

// Keys of GGUF that are no integers.
const reals = /(epsilon|scale|softcapping|clamp_kqv)$/;
const bools = /^(use_parallel_residual|expert_weights_norm)$/;

function isOptional(rule: KeyRule): boolean {
  return typeof rule === "object" && rule[1] === null;
}

const windowKeys = ["sliding_window", "use_sliding_window", "sliding_window_pattern"];

const usualNeutral: Family["neutral"] = {
  ...{ is_encoder_decoder: [false], is_decoder: [false], add_cross_attention: [false] },
  ...{ tie_encoder_decoder: [false], layer_types: ["full_attention", "sliding_attention"] },
};

// What a configuration of texts and images has outside of the part of texts.
const outerKeys = new Set(
  (
    "vision_config projector_hidden_act multimodal_projector_bias spatial_merge_size vision_feature_layer " +
    "image_token_index image_token_id boi_token_index eoi_token_index boi_token_id eoi_token_id mm_tokens_per_image " +
    "tie_word_embeddings"
  ).split(" "),
);

/** Most layers that a list may have values for. */
const MAX_LAYERS = 1 << 16;

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
