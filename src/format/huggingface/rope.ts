// Translates what config.json says of rotary positions into GGUF's keys, and its lists of factors into tensors.
import { bytesSource } from "../../source/bytes.ts";
import type { JsonValue } from "../../tokenizer/huggingface/json.ts";
import { quoted } from "../../util/bytes.ts";
import { ln, power } from "../../util/elementary.ts";
import { ntkTheta } from "../../util/ntk.ts";
import type { MetaValue, TensorInfo } from "../model_file.ts";
import { MAX_INTEGER, optional, real } from "./values.ts";

/** What config.json says besides the rotation. */
export interface RopeContext {
  readonly architecture: string;
  readonly headDim: number;
  /** max_position_embeddings. */
  readonly context: number;
  /** Theta and the share of a head that is rotated, if config.json does not say; default 10000 and 1. */
  readonly theta?: number;
  readonly part?: number;
  /** Other names of both. */
  readonly thetaKey?: string;
  readonly partKey?: string;
  /** DeepSeek's way: what YaRN adds goes into the scores, and GGUF has a tenth of its multiplier. */
  readonly inScores?: boolean;
}

/** A rotation as GGUF says it. */
export interface RopeKeys {
  /** Keys below the architecture's name. */
  readonly metadata: ReadonlyMap<string, MetaValue>;
  /** What rotary frequencies are divided by, if anything. */
  readonly tensors: readonly TensorInfo[];
}

/** Keys of config.json that are read here. */
export const ropeKeys: readonly string[] = [
  ...["rope_theta", "rope_scaling", "rope_parameters", "rope_local_base_freq", "partial_rotary_factor"],
  "original_max_position_embeddings",
];

// Keys of a scaling that each type takes. Others are refused: they may say that something else is computed.
const usual = [
  "rope_type",
  "type",
  "rope_theta",
  "partial_rotary_factor",
  "original_max_position_embeddings",
];
// Rotary sections have positions of images; those of text are all the same.
const sections = ["mrope_section", "mrope_interleaved"];
const yarnNumbers = ["beta_fast", "beta_slow", "mscale", "mscale_all_dim"];
const typeKeys: Readonly<Record<string, readonly string[]>> = {
  default: sections,
  linear: ["factor"],
  ntk: ["factor", "alpha"],
  dynamic: ["factor", "alpha", ...yarnNumbers],
  yarn: ["factor", "attention_factor", ...yarnNumbers, "truncate", "finetuned", "llama_4_scaling_beta"],
  llama3: ["factor", "low_freq_factor", "high_freq_factor"],
  longrope: ["factor", "attention_factor", "long_factor", "short_factor", "long_mscale", "short_mscale"],
};

/** Names that configurations have for types. */
const aliases: Readonly<Record<string, string>> = { su: "longrope", mrope: "default" };

/**
 * Reads rope_theta and rope_scaling; later files have both in rope_parameters, for each type of layers or for all.
 * Source: huggingface/transformers, modeling_rope_utils.py
 * @throws FormatError for values that are missing or wrong; UnsupportedError for other types and keys
 */
export function readRope(json: JsonValue, of: RopeContext): RopeKeys {
  const { full, near } = scalingsOf(json);
  const translator = new RopeTranslator(json, full, of);
  translator.translate();
  const { theta } = translator;
  const local = (near && optional(near, "rope_theta")) ?? optional(json, "rope_local_base_freq");
  if (near) refuseOthers(near, "default", "another type of layers");
  if (local && real(local, 1) !== theta) translator.put("rope.freq_base_swa", "f32", real(local, 1));
  return translator;
}

/** The scaling of all layers, or of those without a window and those with one. */
function scalingsOf(json: JsonValue): { full?: JsonValue | undefined; near?: JsonValue | undefined } {
  const scaling = optional(json, "rope_parameters") ?? optional(json, "rope_scaling");
  const full = scaling && optional(scaling, "full_attention");
  const near = scaling && optional(scaling, "sliding_attention");
  if (!scaling || (!full && !near)) return { full: scaling };
  for (const key of Object.keys(scaling.object())) {
    if (key === "full_attention" || key === "sliding_attention" || !optional(scaling, key)) continue;
    throw scaling.get(key).unsupported("A rotary scaling with it", ["full_attention, sliding_attention"]);
  }
  if (!full) return { full: near };
  const isSame = near && JSON.stringify(near.value) === JSON.stringify(full.value);
  return { full, near: isSame ? undefined : near };
}

/** The type that a scaling states. @throws UnsupportedError for one that nobody knows */
function typeOf(scaling: JsonValue): string {
  const stated = optional(scaling, "rope_type") ?? optional(scaling, "type");
  const name = stated?.string() ?? "default";
  const type = Object.hasOwn(aliases, name) ? (aliases[name] as string) : name;
  if (Object.hasOwn(typeKeys, type)) return type;
  const supported = [...Object.keys(typeKeys), ...Object.keys(aliases)].join(", ");
  throw (stated as JsonValue).unsupported(`Rotary scaling ${quoted(name)}`, [supported]);
}

/** @throws UnsupportedError for a type that is not `only`, and for keys that the type does not take */
function refuseOthers(scaling: JsonValue, only: string | undefined, of: string): void {
  const type = typeOf(scaling);
  if (only !== undefined && type !== only) {
    throw scaling.unsupported(`Rotary scaling ${quoted(type)} of ${of}`, [only]);
  }
  const known = [...usual, ...(typeKeys[type] as readonly string[])];
  for (const key of Object.keys(scaling.object())) {
    const value = optional(scaling, key);
    if (value && !known.includes(key))
      throw value.unsupported(`A rotary scaling of type ${type} with it`, ["configurations without it"]);
  }
}

/** Writes the keys of one scaling. */
class RopeTranslator implements RopeKeys {
  readonly metadata = new Map<string, MetaValue>();
  readonly tensors: TensorInfo[] = [];
  readonly theta: number;
  readonly #json: JsonValue;
  readonly #scaling: JsonValue | undefined;
  readonly #of: RopeContext;
  /** Leading values of a head that are rotated. */
  readonly #dim: number;

  constructor(json: JsonValue, scaling: JsonValue | undefined, of: RopeContext) {
    this.#json = json;
    this.#scaling = scaling;
    this.#of = of;
    const stated = this.#either("rope_theta") ?? this.#either(of.thetaKey);
    this.theta = stated ? real(stated, 1) : (of.theta ?? 10000);
    const part = this.#either("partial_rotary_factor") ?? this.#either(of.partKey);
    this.#dim = part ? partOf(part, of.headDim) : Math.floor(of.headDim * (of.part ?? 1));
  }

  put(key: string, type: "u32" | "f32", value: number): void {
    const stored = type === "f32" ? Math.fround(value) : value;
    this.metadata.set(`${this.#of.architecture}.${key}`, { type, value: stored });
  }

  translate(): void {
    this.put("rope.dimension_count", "u32", this.#dim);
    this.put("context_length", "u32", this.#of.context);
    const scaling = this.#scaling;
    this.put("rope.freq_base", "f32", this.theta);
    if (!scaling) return;
    refuseOthers(scaling, undefined, "");
    switch (typeOf(scaling)) {
      case "linear":
        this.#type("linear");
        this.put("rope.scaling.factor", "f32", this.#factor(scaling));
        break;
      case "ntk":
        this.#raiseBase(scaling);
        break;
      case "dynamic":
        this.#dynamic(scaling);
        break;
      case "yarn":
        this.#yarn(scaling);
        break;
      case "llama3":
        this.tensors.push(factorTensor("rope_freqs", llama3Factors(scaling, this.theta, this.#dim)));
        break;
      case "longrope":
        this.#longRope(scaling);
    }
  }

  #raiseBase(scaling: JsonValue): void {
    this.put("rope.freq_base", "f32", ntkTheta(this.theta, this.#dim, this.#factor(scaling)));
  }

  #type(value: string): void {
    this.metadata.set(`${this.#of.architecture}.rope.scaling.type`, { type: "string", value });
  }

  // A value of the scaling, or of the whole configuration.
  #either(key: string | undefined): JsonValue | undefined {
    if (key === undefined) return undefined;
    return (this.#scaling && optional(this.#scaling, key)) ?? optional(this.#json, key);
  }

  #factor(scaling: JsonValue): number {
    return real(optional(scaling, "alpha") ?? scaling.get("factor"), 1);
  }

  // Positions that the model was trained for; undefined if it does not say.
  #trained(): number | undefined {
    const trained = this.#either("original_max_position_embeddings");
    const n = trained?.integer(1, MAX_INTEGER);
    if (n === undefined || n <= this.#of.context) return n;
    throw (trained as JsonValue).expected(
      `at most ${this.#of.context}, the context (max_position_embeddings)`,
    );
  }

  // The key of the trained context, and a context that reaches so many times as far.
  #extend(factor: number): number {
    const trained = this.#trained() ?? this.#of.context;
    this.put("rope.scaling.original_context_length", "u32", trained);
    const reached = Math.min(MAX_INTEGER, Math.floor(trained * factor));
    if (reached > this.#of.context) this.put("context_length", "u32", reached);
    return trained;
  }

  // With "alpha" theta is the same for every length (HunYuan).
  #dynamic(scaling: JsonValue): void {
    if (optional(scaling, "alpha")) {
      this.#raiseBase(scaling);
      return;
    }
    this.put("rope.scaling.dynamic_factor", "f32", this.#factor(scaling));
    const trained = this.#trained();
    if (trained !== undefined) this.put("rope.scaling.original_context_length", "u32", trained);
  }

  #yarn(scaling: JsonValue): void {
    const stated = optional(scaling, "factor");
    const trained = this.#trained();
    // Without a factor the contexts say it.
    const factor =
      stated || trained === undefined ? real(scaling.get("factor"), 1) : this.#of.context / trained;
    if (factor < 1) throw scaling.get("factor").expected("a number of at least 1");
    this.#type("yarn");
    this.put("rope.scaling.factor", "f32", factor);
    this.#extend(factor);
    for (const [key, name] of [
      ["beta_fast", "yarn_beta_fast"],
      ["beta_slow", "yarn_beta_slow"],
    ] as const) {
      const value = optional(scaling, key);
      if (value) this.put(`rope.scaling.${name}`, "f32", real(value, Number.MIN_VALUE));
    }
    if (optional(scaling, "truncate")?.boolean(true) === false) {
      this.metadata.set(`${this.#of.architecture}.rope.scaling.yarn_truncate`, {
        type: "bool",
        value: false,
      });
    }
    const beta = optional(scaling, "llama_4_scaling_beta");
    if (beta) this.put("attention.temperature_scale", "f32", real(beta, 0));
    this.#yarnGrowth(scaling, factor);
  }

  // GGUF says by what YaRN's own growth is multiplied, or what of it is taken off again.
  #yarnGrowth(scaling: JsonValue, factor: number): void {
    const given = optional(scaling, "attention_factor");
    const number = (key: string) => {
      const value = optional(scaling, key);
      return value ? real(value, 0) : 0;
    };
    const [scale, all] = [number("mscale"), number("mscale_all_dim")];
    const grown = (multiplier: number) => 1 + 0.1 * multiplier * ln(factor);
    if (this.#of.inScores) this.#inScores(scaling, scale, all);
    else if (given) this.#grow(real(given, Number.MIN_VALUE) / grown(1));
    else if (scale === 1 && all > 0) this.put("rope.scaling.yarn_log_multiplier", "f32", all);
    else if (scale > 0 && all > 0) this.#grow(grown(scale) / grown(all) / grown(1));
  }

  #inScores(scaling: JsonValue, scale: number, all: number): void {
    if (scale !== all && scale !== 0) {
      throw scaling.get("mscale").unsupported(`Another mscale than mscale_all_dim ${all}`, [`${all}`]);
    }
    if (all > 0) this.put("rope.scaling.yarn_log_multiplier", "f32", 0.1 * all);
  }

  #grow(growth: number): void {
    // What rounding leaves of 1 is 1.
    if (Math.abs(growth - 1) > 1e-6) this.put("rope.scaling.attn_factor", "f32", growth);
  }

  #longRope(scaling: JsonValue): void {
    this.#type("longrope");
    for (const name of ["long", "short"]) {
      const list = scaling.get(`${name}_factor`);
      const values = list.items(MAX_PAIRS).map((value) => real(value, Number.MIN_VALUE));
      if (values.length !== this.#dim / 2) {
        throw list.expected(`${this.#dim / 2} numbers, one for each rotated pair`);
      }
      this.tensors.push(factorTensor(`rope_factors_${name}`, Float32Array.from(values)));
    }
    const stated = optional(scaling, "factor");
    const given = this.#trained();
    // Configurations that say both mean the ratio of the contexts.
    const factor = given !== undefined ? this.#of.context / given : real(stated ?? scaling.get("factor"), 1);
    const trained = this.#extend(given === undefined ? factor : 1);
    const scales = ["long_mscale", "short_mscale", "attention_factor"].flatMap(
      (key) => optional(scaling, key) ?? [],
    );
    const [scale = usualGrowth(factor, trained), ...others] = scales.map((value) =>
      real(value, Number.MIN_VALUE),
    );
    const other = others.findIndex((value) => value !== scale);
    if (other >= 0) {
      throw (scales[other + 1] as JsonValue).unsupported("A growth that differs by the context", [
        `${scale}`,
      ]);
    }
    this.#grow(scale);
  }
}

const MAX_PAIRS = 1 << 15;

/** LongRoPE's growth if nobody says. */
function usualGrowth(factor: number, trained: number): number {
  return factor > 1 && trained > 1 ? Math.sqrt(1 + ln(factor) / ln(trained)) : 1;
}

function partOf(part: JsonValue, headDim: number): number {
  const share = real(part, Number.MIN_VALUE);
  if (share > 1) throw part.expected("a number above 0, at most 1");
  return Math.floor(headDim * share);
}

/**
 * What each frequency is divided by: 1 for short wavelengths, `factor` for long ones, and between them a mean of both.
 * Computed in f32 as llama.cpp's converter does, so that a converted file has the same.
 * Source: huggingface/transformers, modeling_rope_utils.py (llama3).
 */
function llama3Factors(scaling: JsonValue, theta: number, dim: number): Float32Array<ArrayBuffer> {
  const factor = real(scaling.get("factor"), 1);
  const low = real(scaling.get("low_freq_factor"), Number.MIN_VALUE);
  const high = real(scaling.get("high_freq_factor"), Number.MIN_VALUE);
  if (!(high > low)) throw scaling.get("high_freq_factor").expected(`above low_freq_factor ${low}`);
  const context = scaling.get("original_max_position_embeddings").integer(1, MAX_INTEGER);
  const { fround } = Math;
  return Float32Array.from({ length: Math.ceil(dim / 2) }, (_, i) => {
    const frequency = fround(1 / fround(power(theta, fround((2 * i) / dim))));
    const wavelength = fround((2 * Math.PI) / frequency);
    if (wavelength < context / high) return 1;
    if (wavelength > context / low) return factor;
    const smooth = fround((context / wavelength - low) / (high - low));
    return 1 / (fround((1 - smooth) / factor) + smooth);
  });
}

function factorTensor(stem: string, values: Float32Array<ArrayBuffer>): TensorInfo {
  const { length, byteLength } = values;
  const source = bytesSource(new Uint8Array(values.buffer), "rope_scaling");
  return { name: `${stem}.weight`, shape: [length], type: "F32", source, offset: 0, byteLength };
}
