import type { ByteSource } from "../../source/byte_source.ts";
import { alignUp, type ByteCursor, quoted } from "../../util/bytes.ts";
import { FormatError, UnsupportedError } from "../../util/errors.ts";
import { HeaderReader } from "../header_reader.ts";
import { describeMagic, MAGIC_BYTES } from "../magic.ts";
import type { MetaType, MetaValue, ModelFile, TensorInfo } from "../model_file.ts";
import { ggufTokenizer } from "./stored_tokenizer.ts";
import { ggmlTypes, metaTypes, removedGgmlTypes } from "./tensor_types.ts";

/** "GGUF" as a little-endian u32. */
export const GGUF_MAGIC = 0x46554747;

/** Longest header that is believed. The largest vocabularies (262,144 tokens with merges) need about 16 MiB. */
export const MAX_HEADER_BYTES = 128 << 20;
/** Most metadata keys. Files have 20 to 50; a model split by expert a few hundred. */
export const MAX_KEYS = 100_000;
/** Most tensors. The largest published models have a few thousand, with unstacked experts 50,000. */
export const MAX_TENSORS = 100_000;
/** Longest key: the specification's own limit. */
export const MAX_KEY_BYTES = 65_535;
/** Longest string value: ggml's limit. Whole tokenizer.json files (up to 20 MB) are stored as one string. */
export const MAX_STRING_BYTES = 64 << 20;
/** Most elements of an array: 16 times the largest vocabulary. */
export const MAX_ARRAY_ELEMENTS = 1 << 22;
/** Longest tensor name: ggml keeps 64 bytes with the closing zero. */
export const MAX_TENSOR_NAME_BYTES = 63;
/** Most dimensions of a tensor: ggml's limit. */
export const MAX_DIMS = 4;
/** Alignment of tensor data where the file does not say. */
export const DEFAULT_ALIGNMENT = 32;
/** Largest alignment: ggml's limit; files use 32, sometimes a page. */
export const MAX_ALIGNMENT = 1 << 20;

/** Versions that can be read. 1 had 32-bit lengths and was replaced within days. */
const versions = [2, 3];

/** Metadata arrays whose bytes are what a typed array holds (hosts of WebAssembly are little-endian). */
const arrayTypes = {
  u8: Uint8Array,
  i8: Int8Array,
  u16: Uint16Array,
  i16: Int16Array,
  u32: Uint32Array,
  i32: Int32Array,
  f32: Float32Array,
  f64: Float64Array,
} as const;

/**
 * Reads the header of a GGUF file: metadata, and where each tensor lies. Tensor data is not read.
 * Every count, length, offset and type is checked, and so is that the tensors follow one another without
 * gap or overlap and lie inside the file. (Where the source does not know its size, a cut file shows only
 * when its tensors are read.)
 *
 * Source: https://github.com/ggml-org/ggml/blob/master/docs/gguf.md; limits: ggml's src/gguf.cpp.
 * @throws FormatError when the bytes contradict the format or go past a limit
 * @throws UnsupportedError for other versions, big-endian files, nested arrays and tensor types given up
 * @throws SourceError when the bytes cannot be had
 */
export async function readGguf(source: ByteSource): Promise<ModelFile> {
  const reader = new GgufReader(source);
  const { nTensors, nKeys } = await reader.preamble();
  const metadata = await reader.metadata(nKeys);
  const layouts = await reader.tensorLayouts(nTensors);
  const tensors = reader.place(layouts, alignment(metadata, source.name));
  return {
    format: "gguf",
    source,
    architecture: architecture(metadata, source.name),
    metadata,
    tensors,
    tokenizer: () => ggufTokenizer(metadata, source.name),
  };
}

/** A tensor as the header describes it; `relative` counts from the start of the tensor data. */
interface TensorLayout {
  readonly name: string;
  readonly shape: readonly number[];
  readonly type: string;
  readonly byteLength: number;
  readonly relative: number | bigint;
}

class GgufReader {
  private readonly source: ByteSource;
  private readonly header: HeaderReader;

  constructor(source: ByteSource) {
    this.source = source;
    this.header = new HeaderReader(source, MAX_HEADER_BYTES);
  }

  async preamble(): Promise<{ nTensors: number; nKeys: number }> {
    const magic = await this.header.need(4);
    const head = magic.peek(MAGIC_BYTES);
    if (magic.u32() !== GGUF_MAGIC) {
      throw this.error(`Expected a GGUF file, which begins with "GGUF", got ${describeMagic(head)}`);
    }
    this.checkVersion((await this.header.need(4)).u32());
    const counts = await this.header.need(16);
    return {
      nTensors: counts.length(MAX_TENSORS, "tensors"),
      nKeys: counts.length(MAX_KEYS, "metadata keys"),
    };
  }

  async metadata(n: number): Promise<Map<string, MetaValue>> {
    const metadata = new Map<string, MetaValue>();
    for (let i = 0; i < n; i++) {
      const key = await this.header.text(MAX_KEY_BYTES, "bytes of a key");
      if (key === "") throw this.error(`Expected a name for metadata key ${i}, got an empty one`);
      if (metadata.has(key)) throw this.error(`Expected each metadata key once, got ${quoted(key)} again`);
      metadata.set(key, await this.value(key));
    }
    return metadata;
  }

  async tensorLayouts(n: number): Promise<TensorLayout[]> {
    const layouts: TensorLayout[] = [];
    const names = new Set<string>();
    for (let i = 0; i < n; i++) {
      const layout = await this.tensorLayout();
      if (names.has(layout.name))
        throw this.error(`Expected each tensor once, got ${quoted(layout.name)} again`);
      names.add(layout.name);
      layouts.push(layout);
    }
    return layouts;
  }

  /** Gives tensors their absolute offsets. The data begins at the next multiple of `alignment`. */
  place(layouts: readonly TensorLayout[], alignment: number): Map<string, TensorInfo> {
    const tensors = new Map<string, TensorInfo>();
    if (layouts.length === 0) return tensors;
    const begin = alignUp(this.header.offset, alignment);
    let end = 0;
    for (const { name, shape, type, byteLength, relative } of layouts) {
      const expected = alignUp(end, alignment);
      if (relative !== expected) {
        throw this.error(
          `Tensor ${quoted(name)}: Expected offset ${expected}, the end of the tensor before it aligned to ` +
            `${alignment}, got ${relative}`,
        );
      }
      const offset = begin + expected;
      end = expected + byteLength;
      this.checkInside(name, offset, byteLength);
      tensors.set(name, { name, shape, type, offset, byteLength });
    }
    this.checkPadding(begin + end, begin + alignUp(end, alignment));
    return tensors;
  }

  private checkVersion(version: number): void {
    if (versions.includes(version)) return;
    const swapped = version >>> 24;
    const { name } = this.source;
    if (version === swapped << 24 && swapped !== 0) {
      throw new UnsupportedError(
        `Cannot read ${name}: Expected a little-endian GGUF file, got a big-endian one (version ${swapped})`,
      );
    }
    throw new UnsupportedError(
      `Cannot read ${name}: Expected GGUF version ${versions.join(" or ")}, got version ${version}`,
    );
  }

  private async value(key: string): Promise<MetaValue> {
    const type = await this.metaType(key);
    if (type !== "array") return { type, value: await this.scalar(type) };
    const elementType = await this.metaType(key);
    if (elementType === "array") {
      throw new UnsupportedError(
        `Cannot read ${this.source.name}: Metadata key ${quoted(key)}: Unsupported array of arrays`,
      );
    }
    const n = (await this.header.need(8)).length(MAX_ARRAY_ELEMENTS, "array elements");
    return { type, elementType, value: await this.elements(elementType, n) };
  }

  private async metaType(key: string): Promise<MetaType | "array"> {
    const id = (await this.header.need(4)).u32();
    const type = metaTypes[id];
    if (type === undefined) {
      throw this.error(
        `Metadata key ${quoted(key)}: Expected a value type from 0 to ${metaTypes.length - 1}, got ${id}`,
      );
    }
    return type;
  }

  private async scalar(type: MetaType): Promise<number | bigint | boolean | string> {
    if (type === "string") return this.header.text(MAX_STRING_BYTES, "bytes of a string");
    return readScalar(await this.header.need(elementBytes(type)), type);
  }

  private async elements(type: MetaType, n: number): Promise<ArrayOf> {
    if (type === "string") return this.header.texts(n, MAX_STRING_BYTES, "bytes of a string");
    const cursor = await this.header.need(n * elementBytes(type));
    if (type === "u64" || type === "i64") return Array.from({ length: n }, () => cursor[type]());
    const bytes = cursor.bytes(n * elementBytes(type));
    if (type === "bool") return Array.from(bytes, (byte) => byte !== 0);
    return new arrayTypes[type](bytes.slice().buffer);
  }

  private async tensorLayout(): Promise<TensorLayout> {
    const name = await this.header.text(MAX_TENSOR_NAME_BYTES, "bytes of a tensor name");
    const nDims = (await this.header.need(4)).u32();
    if (nDims > MAX_DIMS) {
      throw this.error(`Tensor ${quoted(name)}: Expected at most ${MAX_DIMS} dimensions, got ${nDims}`);
    }
    const cursor = await this.header.need(8 * nDims + 12);
    const dims = Array.from({ length: nDims }, () => cursor.u64());
    const typeId = cursor.u32();
    const relative = cursor.u64();
    const { type, byteLength } = this.size(name, dims, typeId);
    // The file has the innermost dimension first.
    return { name, shape: dims.map(Number).reverse(), type, byteLength, relative };
  }

  /** Bytes of a tensor. Products of elements and bytes stay below 2^53, so that none is rounded. */
  private size(name: string, dims: readonly (number | bigint)[], typeId: number) {
    const type = this.ggmlType(name, typeId);
    const rowElements = dims[0] ?? 1;
    if (typeof rowElements === "number" && rowElements % type.blockCols !== 0) {
      throw this.error(
        `Tensor ${quoted(name)}: Expected rows of a multiple of ${type.blockCols} elements for type ` +
          `${type.name}, got ${rowElements}`,
      );
    }
    // A dimension of zero must not hide that the others are absurd.
    let most = Math.max(type.blockBytes / type.blockCols, 1);
    for (const dim of dims) most *= Math.max(Number(dim), 1);
    if (!(most <= Number.MAX_SAFE_INTEGER)) {
      const shape = [...dims].reverse().join(", ");
      throw this.error(
        `Tensor ${quoted(name)}: Expected at most ${Number.MAX_SAFE_INTEGER} bytes, got shape [${shape}]`,
      );
    }
    const elements = dims.reduce<number>((product, dim) => product * Number(dim), 1);
    return { type: type.name, byteLength: (elements / type.blockCols) * type.blockBytes };
  }

  private ggmlType(name: string, id: number) {
    const type = ggmlTypes.get(id);
    if (type !== undefined) return type;
    const removed = removedGgmlTypes.get(id);
    if (removed !== undefined) {
      throw new UnsupportedError(
        `Cannot read ${this.source.name}: Tensor ${quoted(name)}: Unsupported type ${removed}, which GGUF gave ` +
          "up; convert the model again",
      );
    }
    const last = Math.max(...ggmlTypes.keys());
    throw this.error(`Tensor ${quoted(name)}: Expected a tensor type from 0 to ${last}, got ${id | 0}`);
  }

  private checkInside(name: string, offset: number, byteLength: number): void {
    const size = this.source.size ?? Number.MAX_SAFE_INTEGER;
    if (offset + byteLength <= size) return;
    throw this.error(
      `Tensor ${quoted(name)}: Expected ${byteLength} bytes at offset ${offset}, the file ends at ${size}`,
    );
  }

  /** Some writers leave the padding of the last tensor away; a part of it means that the file was cut. */
  private checkPadding(end: number, paddedEnd: number): void {
    const { size } = this.source;
    if (size !== undefined && size > end && size < paddedEnd) {
      throw this.error(
        `Expected ${paddedEnd} bytes with the padding of the last tensor, the file ends at ${size}`,
      );
    }
  }

  private error(message: string): FormatError {
    return new FormatError(`Cannot read ${this.source.name}: ${message}`);
  }
}

type ArrayOf = Extract<MetaValue, { type: "array" }>["value"];

function elementBytes(type: Exclude<MetaType, "string">): number {
  if (type === "bool") return 1;
  if (type === "u64" || type === "i64") return 8;
  return arrayTypes[type].BYTES_PER_ELEMENT;
}

function readScalar(cursor: ByteCursor, type: Exclude<MetaType, "string">): number | bigint | boolean {
  return type === "bool" ? cursor.u8() !== 0 : cursor[type]();
}

function alignment(metadata: ReadonlyMap<string, MetaValue>, name: string): number {
  const found = metadata.get("general.alignment");
  if (found === undefined) return DEFAULT_ALIGNMENT;
  const n = found.type === "u32" ? Number(found.value) : 0;
  if (n > 0 && n <= MAX_ALIGNMENT && (n & (n - 1)) === 0) return n;
  const got = found.type === "u32" ? n : `a value of type ${found.type}`;
  throw new FormatError(
    `Cannot read ${name}: Metadata key "general.alignment": Expected a u32 that is a power of two up to ` +
      `${MAX_ALIGNMENT}, got ${got}`,
  );
}

/** The architecture; "" where the file does not say, which no model accepts. */
function architecture(metadata: ReadonlyMap<string, MetaValue>, name: string): string {
  const found = metadata.get("general.architecture");
  if (found === undefined) return "";
  if (found.type === "string") return String(found.value);
  throw new FormatError(
    `Cannot read ${name}: Metadata key "general.architecture": Expected a string, got a value of type ${found.type}`,
  );
}
