// Writes GGUF files from a description, with the place of every field known, so that a test can change any of
// them; and a complete tiny Llama model with random weights.
import type { MetaType } from "../../src/format/model_file.ts";
import { fileTypes } from "../../src/quant/file_types.ts";
import { blockValues } from "../reference/block_types.ts";
import { randomF32 } from "./kernels.ts";
import { randomBlocks } from "./random_blocks.ts";

type Scalar = number | bigint | boolean | string;

/** A metadata value to write. */
export type GgufValue =
  | { readonly type: MetaType; readonly value: Scalar }
  | { readonly type: "array"; readonly elementType: MetaType; readonly value: ArrayLike<Scalar> };

/** Makes metadata values: `meta("u32", 7)`, `metaArray("f32", [1, 2])`. */
export function meta(type: MetaType, value: Scalar): GgufValue {
  return { type, value };
}

export function metaArray(elementType: MetaType, value: ArrayLike<Scalar>): GgufValue {
  return { type: "array", elementType, value };
}

/** A tensor to write; `shape` is outermost first, `data` defaults to zeros. */
export interface GgufTensor {
  readonly name: string;
  readonly shape: readonly number[];
  readonly type: string;
  readonly data?: Uint8Array;
}

export interface GgufDescription {
  /** Default 3. */
  readonly version?: number;
  /** In file order; a key given twice is written twice. */
  readonly metadata?: readonly (readonly [string, GgufValue])[];
  readonly tensors?: readonly GgufTensor[];
  /** Written as general.alignment, after the other keys. Default: not written, 32 is used. */
  readonly alignment?: number;
  /** Alignment that offsets and data really have, where it differs from what the file says. */
  readonly realAlignment?: number;
}

const metaTypeNumbers: Record<MetaType | "array", number> = {
  u8: 0,
  i8: 1,
  u16: 2,
  i16: 3,
  u32: 4,
  i32: 5,
  f32: 6,
  bool: 7,
  string: 8,
  array: 9,
  u64: 10,
  i64: 11,
  f64: 12,
};

/** Number, block elements and block bytes of tensor types: those that tests know by themselves, and all others. */
const tensorTypes: Record<string, readonly [number, number, number]> = {
  ...Object.fromEntries(
    [...fileTypes].map(([name, { code, blockCols, blockBytes }]) => [name, [code, blockCols, blockBytes]]),
  ),
  F32: [0, 1, 4],
  F16: [1, 1, 2],
  Q4_0: [2, 32, 18],
  Q8_0: [8, 32, 34],
  Q4_K: [12, 256, 144],
  Q6_K: [14, 256, 210],
  I8: [24, 1, 1],
  I64: [27, 1, 8],
  BF16: [30, 1, 2],
};

const scalarBytes = {
  u8: 1,
  i8: 1,
  bool: 1,
  u16: 2,
  i16: 2,
  u32: 4,
  i32: 4,
  f32: 4,
  u64: 8,
  i64: 8,
  f64: 8,
} as const;

/** Fills `bytes` with the low bytes of `value`, little-endian. */
function putInteger(bytes: Uint8Array, value: bigint): void {
  for (let i = 0; i < bytes.length; i++) bytes[i] = Number((value >> BigInt(8 * i)) & 255n);
}

/** Appends little-endian values. */
export class ByteWriter {
  private bytes = new Uint8Array(1 << 12);
  length = 0;

  put(bytes: Uint8Array): void {
    this.reserve(bytes.length);
    this.bytes.set(bytes, this.length);
    this.length += bytes.length;
  }

  scalar(type: Exclude<MetaType, "string">, value: Scalar): void {
    const bytes = new Uint8Array(scalarBytes[type]);
    const view = new DataView(bytes.buffer);
    if (type === "f32") view.setFloat32(0, Number(value), true);
    else if (type === "f64") view.setFloat64(0, Number(value), true);
    else putInteger(bytes, BigInt(value));
    this.put(bytes);
  }

  f32s(values: Float32Array): void {
    this.put(new Uint8Array(values.buffer, values.byteOffset, values.byteLength));
  }

  pad(alignment: number): void {
    this.put(new Uint8Array((alignment - (this.length % alignment)) % alignment));
  }

  done(): Uint8Array<ArrayBuffer> {
    return this.bytes.slice(0, this.length);
  }

  private reserve(n: number): void {
    if (this.length + n <= this.bytes.length) return;
    const grown = new Uint8Array(2 * (this.length + n));
    grown.set(this.bytes.subarray(0, this.length));
    this.bytes = grown;
  }
}

/**
 * A written file. Fields are called "magic", "version", "nTensors", "nKeys", "key.NAME.keyLength", "key.NAME.type",
 * "key.NAME.elementType", "key.NAME.length" (of an array or string), "key.NAME.value", "tensor.NAME.nameLength",
 * "tensor.NAME.nDims", "tensor.NAME.dim0" (innermost), "tensor.NAME.type" and "tensor.NAME.offset".
 */
export class GgufFile {
  readonly bytes: Uint8Array<ArrayBuffer>;
  readonly fields: ReadonlyMap<string, { readonly offset: number; readonly bytes: number }>;
  /** Where tensor data begins. */
  readonly dataBegin: number;

  constructor(bytes: Uint8Array<ArrayBuffer>, fields: GgufFile["fields"], dataBegin: number) {
    this.bytes = bytes;
    this.fields = fields;
    this.dataBegin = dataBegin;
  }

  /** Overwrites a field, as wide as it is, by the low bytes of `value`. */
  set(field: string, value: number | bigint): this {
    const found = this.fields.get(field);
    if (found === undefined) throw new Error(`no field ${field} in ${[...this.fields.keys()].join(", ")}`);
    putInteger(this.bytes.subarray(found.offset, found.offset + found.bytes), BigInt(value));
    return this;
  }
}

/** Writes a GGUF file. */
export function ggufFile(description: GgufDescription): GgufFile {
  const { version = 3, metadata = [], tensors = [], alignment } = description;
  const realAlignment = description.realAlignment ?? alignment ?? 32;
  const writer = new ByteWriter();
  const fields = new Map<string, { offset: number; bytes: number }>();
  const field = (name: string, type: Exclude<MetaType, "string">, value: Scalar) => {
    const offset = writer.length;
    writer.scalar(type, value);
    fields.set(name, { offset, bytes: writer.length - offset });
  };
  const text = (lengthField: string, value: string) => {
    const bytes = new TextEncoder().encode(value);
    field(lengthField, "u64", bytes.length);
    writer.put(bytes);
  };
  const element = (type: MetaType, value: Scalar) => {
    if (type !== "string") return writer.scalar(type, value);
    const bytes = new TextEncoder().encode(String(value));
    writer.scalar("u64", bytes.length);
    writer.put(bytes);
  };
  const key = (name: string, value: GgufValue) => {
    text(`key.${name}.keyLength`, name);
    field(`key.${name}.type`, "u32", metaTypeNumbers[value.type]);
    if (value.type === "array") {
      field(`key.${name}.elementType`, "u32", metaTypeNumbers[value.elementType]);
      field(`key.${name}.length`, "u64", value.value.length);
      for (let i = 0; i < value.value.length; i++) element(value.elementType, value.value[i] as Scalar);
    } else if (value.type === "string") {
      text(`key.${name}.length`, String(value.value));
    } else {
      field(`key.${name}.value`, value.type, value.value);
    }
  };

  const keys = [...metadata];
  if (alignment !== undefined) keys.push(["general.alignment", meta("u32", alignment)]);
  field("magic", "u32", 0x46554747);
  field("version", "u32", version);
  field("nTensors", "u64", tensors.length);
  field("nKeys", "u64", keys.length);
  for (const [name, value] of keys) key(name, value);
  let offset = 0;
  for (const { name, shape, type } of tensors) {
    text(`tensor.${name}.nameLength`, name);
    field(`tensor.${name}.nDims`, "u32", shape.length);
    for (const [i, dim] of [...shape].reverse().entries()) field(`tensor.${name}.dim${i}`, "u64", dim);
    field(`tensor.${name}.type`, "u32", typeOf(type)[0]);
    field(`tensor.${name}.offset`, "u64", offset);
    offset = Math.ceil((offset + tensorBytes(type, shape)) / realAlignment) * realAlignment;
  }
  if (tensors.length > 0) writer.pad(realAlignment);
  const dataBegin = writer.length;
  for (const { shape, type, data } of tensors) {
    writer.put(data ?? new Uint8Array(tensorBytes(type, shape)));
    const over = (writer.length - dataBegin) % realAlignment;
    if (over > 0) writer.put(new Uint8Array(realAlignment - over));
  }
  return new GgufFile(writer.done(), fields, dataBegin);
}

function typeOf(type: string): readonly [number, number, number] {
  const found = tensorTypes[type];
  if (found === undefined) throw new Error(`the GGUF writer has no tensor type ${type}`);
  return found;
}

/** Bytes of a tensor. */
export function tensorBytes(type: string, shape: readonly number[]): number {
  const [, blockElements, blockBytes] = typeOf(type);
  return (shape.reduce((product, dim) => product * dim, 1) / blockElements) * blockBytes;
}

// ---- Tensor data. Quantization is ggml's reference: one f16 scale for 32 values.

const encoders = ["F32", "F16", "BF16", "Q8_0", "Q4_0"];

/** f32 values as F32, F16, BF16, Q8_0 or Q4_0. */
export function encodeTensor(type: string, values: Float32Array): Uint8Array<ArrayBuffer> {
  const bytes = new Uint8Array(tensorBytes(type, [values.length]));
  const view = new DataView(bytes.buffer);
  // From value i on.
  const encode = {
    F32: (i: number, at: number) => view.setFloat32(at, values[i] as number, true),
    F16: (i: number, at: number) => view.setUint16(at, f16FromF32(values[i] as number), true),
    BF16: (i: number, at: number) => view.setUint16(at, bf16FromF32(values[i] as number), true),
    Q8_0: (i: number, at: number) => encodeQ8(values.subarray(i, i + 32), view, at),
    Q4_0: (i: number, at: number) => encodeQ4(values.subarray(i, i + 32), view, at),
  }[type];
  if (encode === undefined) throw new Error(`the GGUF writer cannot encode ${type}`);
  const [, n, blockBytes] = typeOf(type);
  for (let i = 0; n * i < values.length; i++) encode(n * i, blockBytes * i);
  return bytes;
}

/** The values that a tensor's bytes stand for. */
export function decodeTensor(type: string, bytes: Uint8Array): Float32Array<ArrayBuffer> {
  if (!encoders.includes(type)) return blockValues(type, bytes);
  const [, blockElements, blockBytes] = typeOf(type);
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const value = (i: number): number => {
    const block = Math.floor(i / blockElements) * blockBytes;
    const at = i % blockElements;
    if (type === "F32") return view.getFloat32(block, true);
    if (type === "F16") return f32FromF16(view.getUint16(block, true));
    if (type === "BF16") return f32FromBits(view.getUint16(block, true) << 16);
    const scale = f32FromF16(view.getUint16(block, true));
    if (type === "Q8_0") return scale * view.getInt8(block + 2 + at);
    if (type === "Q4_0")
      return scale * (((view.getUint8(block + 2 + (at % 16)) >> (at < 16 ? 0 : 4)) & 15) - 8);
    throw new Error(`the GGUF writer cannot decode ${type}`);
  };
  const values = new Float32Array((bytes.length / blockBytes) * blockElements);
  for (let i = 0; i < values.length; i++) values[i] = value(i);
  return values;
}

function encodeQ8(block: Float32Array, view: DataView, at: number): void {
  let largest = 0;
  for (let i = 0; i < 32; i++) largest = Math.max(largest, Math.abs(block[i] as number));
  const scale = largest / 127;
  view.setUint16(at, f16FromF32(scale), true);
  for (let i = 0; i < 32; i++) {
    view.setInt8(at + 2 + i, scale === 0 ? 0 : Math.round((block[i] as number) / scale));
  }
}

function encodeQ4(block: Float32Array, view: DataView, at: number): void {
  let extreme = 0;
  for (const v of block) if (Math.abs(v) > Math.abs(extreme)) extreme = v;
  const scale = extreme / -8;
  const nibble = (v: number) => (scale === 0 ? 8 : Math.min(15, Math.floor(v / scale + 8.5)));
  view.setUint16(at, f16FromF32(scale), true);
  for (let i = 0; i < 16; i++) {
    view.setUint8(at + 2 + i, nibble(block[i] as number) | (nibble(block[16 + i] as number) << 4));
  }
}

const bitsView = new DataView(new ArrayBuffer(4));

function f32FromBits(bits: number): number {
  bitsView.setInt32(0, bits);
  return bitsView.getFloat32(0);
}

function bitsFromF32(value: number): number {
  bitsView.setFloat32(0, value);
  return bitsView.getUint32(0);
}

/** IEEE half-precision bits, rounded to nearest even. */
export function f16FromF32(value: number): number {
  const sign = (bitsFromF32(value) >>> 16) & 0x8000;
  const size = Math.abs(Math.fround(value));
  if (Number.isNaN(size)) return sign | 0x7e00;
  if (size >= 65520) return sign | 0x7c00;
  // Scaled so that one unit is the distance of two neighbouring halves; below 2^-14 they are equally far apart.
  const exponent = Math.max(Math.floor(Math.log2(size || 1e-9)), -14);
  const units = roundEven(size / 2 ** (exponent - 10));
  return sign | (((exponent + 14) << 10) + units);
}

export function f32FromF16(bits: number): number {
  const sign = bits & 0x8000 ? -1 : 1;
  const exponent = (bits >> 10) & 31;
  const mantissa = bits & 1023;
  if (exponent === 31) return mantissa === 0 ? sign * Number.POSITIVE_INFINITY : Number.NaN;
  return sign * (exponent === 0 ? mantissa * 2 ** -24 : (1024 + mantissa) * 2 ** (exponent - 25));
}

function bf16FromF32(value: number): number {
  const bits = bitsFromF32(value);
  return ((bits + 0x7fff + ((bits >>> 16) & 1)) >>> 16) & 0xffff;
}

function roundEven(x: number): number {
  const rounded = Math.round(x);
  return Math.abs(x % 1) === 0.5 ? 2 * Math.round(x / 2) : rounded;
}

// ---- A tiny model.

/** A vocabulary of 300: unknown, bos, eos, 256 bytes, "▁", a to z and some merges of them; more are unused. */
export function tinyVocab(size = 300): { pieces: string[]; scores: Float32Array; types: Int32Array } {
  const merges = "▁t he ▁the in er an ▁a on re nd ▁and st en ing".split(" ");
  const letters = [..."▁abcdefghijklmnopqrstuvwxyz"];
  const bytes = Array.from({ length: 256 }, (_, b) => `<0x${b.toString(16).toUpperCase().padStart(2, "0")}>`);
  const pieces = ["<unk>", "<s>", "</s>", ...bytes, ...merges, ...letters];
  if (size < pieces.length)
    throw new Error(`the tiny vocabulary has at least ${pieces.length} pieces, not ${size}`);
  const used = pieces.length;
  while (pieces.length < size) pieces.push(`<unused${pieces.length}>`);
  return {
    pieces,
    // Earlier merges come first.
    scores: Float32Array.from(pieces, (_, id) => (id < 259 ? 0 : 258 - id)),
    types: Int32Array.from(pieces, (_, id) => (id === 0 ? 2 : id < 3 ? 3 : id < 259 ? 6 : id < used ? 1 : 5)),
  };
}

/** Weights of one tensor, as read back from the file. */
export interface TinyWeight {
  readonly shape: readonly number[];
  readonly type: string;
  readonly values: Float32Array;
}

export interface TinyLlamaOptions {
  /** Default 1. */
  readonly seed?: number;
  /** Type of the matrices, any that is loaded; vectors are F32. Default F32. */
  readonly type?: string;
  /** Whether the output layer is the token embedding. Default false. */
  readonly tied?: boolean;
  readonly dim?: number;
  readonly nLayers?: number;
  readonly nHeads?: number;
  readonly nKvHeads?: number;
  readonly hiddenDim?: number;
  readonly contextLength?: number;
  readonly vocabSize?: number;
  readonly version?: number;
  readonly alignment?: number;
  /** Name of the architecture, also before its keys. Default "llama". */
  readonly architecture?: string;
  /** Keys to add, replace or (undefined) leave out. */
  readonly metadata?: Readonly<Record<string, GgufValue | undefined>>;
  /** Tensors to add, change in part or (undefined) leave out; `values` are encoded as `type`. */
  readonly tensors?: Readonly<Record<string, Partial<TinyWeight> | undefined>>;
}

/** Shape of the tiny model where options do not say. */
export const TINY = {
  dim: 64,
  nLayers: 2,
  nHeads: 4,
  nKvHeads: 2,
  hiddenDim: 96,
  contextLength: 128,
  vocabSize: 300,
} as const;

/**
 * Random weights that depend on the tensor's name and the seed only, so that files of other formats have the
 * same: matrices give outputs of about the variance of their input, vectors are near 1.
 */
export function tinyValues(name: string, shape: readonly number[], seed: number): Float32Array {
  const n = shape.reduce((product, dim) => product * dim, 1);
  let hash = seed;
  for (const char of name) hash = (Math.imul(hash, 31) + (char.codePointAt(0) as number)) >>> 0;
  if (shape.length === 1) return randomF32(n, hash, 0.8, 1.2);
  const bound = name.startsWith("token_embd") ? 1 : Math.sqrt(3 / (shape.at(-1) as number));
  return randomF32(n, hash, -bound, bound);
}

// A tensor's bytes. What nobody encodes here is random blocks whose values reach about as far.
function tinyTensor(
  name: string,
  shape: readonly number[],
  type: string,
  seed: number,
  values: Float32Array | undefined,
): Uint8Array<ArrayBuffer> {
  const usual = values ?? tinyValues(name, shape, seed);
  if (values || encoders.includes(type)) return encodeTensor(type, usual);
  const [, cols] = typeOf(type);
  const bound = usual.reduce((most, value) => Math.max(most, Math.abs(value)), 0);
  return randomBlocks(type, usual.length / cols, seed + name.length, bound);
}

/**
 * A complete Llama model with random weights, in file and in numbers. Types that have no encoder here (all but F32, F16, BF16,
 * Q8_0 and Q4_0) are random blocks: `dim` and `hiddenDim` must be multiples of their columns, 256 at most.
 */
export function tinyLlama(options: TinyLlamaOptions = {}): {
  file: GgufFile;
  weights: Map<string, TinyWeight>;
  /** Metadata of the file. */
  keys: Record<string, GgufValue>;
} {
  const { seed = 1, type = "F32", tied = false, architecture = "llama" } = options;
  const config = { ...TINY, ...defined(options) };
  const weights = new Map<string, TinyWeight>();
  const tensors: GgufTensor[] = [];
  const add = (name: string, usual: readonly number[]) => {
    const change = options.tensors?.[name] ?? {};
    if (options.tensors && name in options.tensors && options.tensors[name] === undefined) return;
    const shape = change.shape ?? usual;
    const tensorType = change.type ?? (shape.length === 1 ? "F32" : type);
    const data = tinyTensor(name, shape, tensorType, seed, change.values);
    tensors.push({ name, shape, type: tensorType, data });
    weights.set(name, { shape, type: tensorType, values: decodeTensor(tensorType, data) });
  };
  const shapes = tinyShapes(config, tied);
  for (const [name, shape] of shapes) add(name, shape);
  for (const [name, weight] of Object.entries(options.tensors ?? {})) {
    if (!shapes.has(name) && weight !== undefined) add(name, weight.shape ?? [config.dim]);
  }
  const metadata = Object.entries({ ...tinyMetadata(config, architecture), ...options.metadata }).filter(
    (entry): entry is [string, GgufValue] => entry[1] !== undefined,
  );
  const { version = 3, alignment } = options;
  const file = ggufFile({ version, metadata, tensors, ...(alignment && { alignment }) });
  return { file, weights, keys: Object.fromEntries(metadata) };
}

/** The file of {@link tinyLlama}. */
export function tinyLlamaGguf(options: TinyLlamaOptions = {}): GgufFile {
  return tinyLlama(options).file;
}

type TinyConfig = { -readonly [K in keyof typeof TINY]: number };

function defined(options: TinyLlamaOptions): Partial<TinyConfig> {
  return Object.fromEntries(
    Object.entries(options).filter(([key, value]) => key in TINY && value !== undefined),
  );
}

/** Shapes by GGUF name, in the order that files of llama.cpp have. */
function tinyShapes(config: TinyConfig, tied: boolean): Map<string, readonly number[]> {
  const { dim, hiddenDim, nLayers, nHeads, nKvHeads, vocabSize } = config;
  const kvDim = (dim / nHeads) * nKvHeads;
  const shapes = new Map<string, readonly number[]>([["token_embd.weight", [vocabSize, dim]]]);
  for (let layer = 0; layer < nLayers; layer++) {
    const add = (stem: string, shape: readonly number[]) => shapes.set(`blk.${layer}.${stem}.weight`, shape);
    add("attn_norm", [dim]);
    add("attn_q", [dim, dim]);
    add("attn_k", [kvDim, dim]);
    add("attn_v", [kvDim, dim]);
    add("attn_output", [dim, dim]);
    add("ffn_norm", [dim]);
    add("ffn_gate", [hiddenDim, dim]);
    add("ffn_up", [hiddenDim, dim]);
    add("ffn_down", [dim, hiddenDim]);
  }
  shapes.set("output_norm.weight", [dim]);
  if (!tied) shapes.set("output.weight", [vocabSize, dim]);
  return shapes;
}

function tinyMetadata(config: TinyConfig, architecture: string): Record<string, GgufValue> {
  const vocab = tinyVocab(config.vocabSize);
  return {
    "general.architecture": meta("string", architecture),
    "general.name": meta("string", "tiny"),
    [`${architecture}.vocab_size`]: meta("u32", config.vocabSize),
    [`${architecture}.context_length`]: meta("u32", config.contextLength),
    [`${architecture}.embedding_length`]: meta("u32", config.dim),
    [`${architecture}.block_count`]: meta("u32", config.nLayers),
    [`${architecture}.feed_forward_length`]: meta("u32", config.hiddenDim),
    [`${architecture}.attention.head_count`]: meta("u32", config.nHeads),
    [`${architecture}.attention.head_count_kv`]: meta("u32", config.nKvHeads),
    [`${architecture}.attention.layer_norm_rms_epsilon`]: meta("f32", 1e-5),
    [`${architecture}.rope.dimension_count`]: meta("u32", config.dim / config.nHeads),
    [`${architecture}.rope.freq_base`]: meta("f32", 10000),
    "tokenizer.ggml.model": meta("string", "llama"),
    "tokenizer.ggml.tokens": metaArray("string", vocab.pieces),
    "tokenizer.ggml.scores": metaArray("f32", vocab.scores),
    "tokenizer.ggml.token_type": metaArray("i32", vocab.types),
    "tokenizer.ggml.bos_token_id": meta("u32", 1),
    "tokenizer.ggml.eos_token_id": meta("u32", 2),
    "tokenizer.ggml.unknown_token_id": meta("u32", 0),
    "tokenizer.ggml.add_bos_token": meta("bool", true),
    "tokenizer.ggml.add_eos_token": meta("bool", false),
  };
}
