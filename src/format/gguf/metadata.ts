// Metadata of a GGUF file: keys and their values.
import { type ByteCursor, quoted } from "../../util/bytes.ts";
import { FormatError, UnsupportedError } from "../../util/errors.ts";
import type { HeaderReader } from "../header_reader.ts";
import type { MetaType, MetaValue } from "../model_file.ts";
import { metaTypes } from "./tensor_types.ts";

/** Longest key: the specification's own limit. */
const MAX_KEY_BYTES = 65_535;
/** Longest string value: ggml's limit. Whole tokenizer.json files (up to 20 MB) are stored as one string. */
export const MAX_STRING_BYTES = 64 << 20;
/** Most elements of an array: 16 times the largest vocabulary. */
export const MAX_ARRAY_ELEMENTS = 1 << 22;

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

type ArrayOf = Extract<MetaValue, { type: "array" }>["value"];

/**
 * Reads `n` keys with their values.
 * @param fileName what error messages call the file
 * @throws FormatError for empty and repeated keys, unknown types, and what is longer than is believed
 * @throws UnsupportedError for arrays of arrays
 */
export async function readMetadata(
  header: HeaderReader,
  n: number,
  fileName: string,
): Promise<Map<string, MetaValue>> {
  const fail = (message: string): never => {
    throw new FormatError(`Cannot read ${fileName}: ${message}`);
  };
  const metadata = new Map<string, MetaValue>();
  for (let i = 0; i < n; i++) {
    const key = await header.text(MAX_KEY_BYTES, "bytes of a key");
    if (key === "") fail(`Expected a name for metadata key ${i}, got an empty one`);
    if (metadata.has(key)) fail(`Expected each metadata key once, got ${quoted(key)} again`);
    metadata.set(key, await readValue(header, key, fileName));
  }
  return metadata;
}

async function readValue(header: HeaderReader, key: string, fileName: string): Promise<MetaValue> {
  const type = await readType(header, key, fileName);
  if (type !== "array") return { type, value: await readScalar(header, type) };
  const elementType = await readType(header, key, fileName);
  if (elementType === "array") {
    throw new UnsupportedError(
      `Cannot read ${fileName}: Metadata key ${quoted(key)}: Unsupported array of arrays`,
    );
  }
  const n = (await header.need(8)).length(MAX_ARRAY_ELEMENTS, "array elements");
  return { type, elementType, value: await readElements(header, elementType, n) };
}

async function readType(header: HeaderReader, key: string, fileName: string): Promise<MetaType | "array"> {
  const id = (await header.need(4)).u32();
  const type = metaTypes[id];
  if (type !== undefined) return type;
  throw new FormatError(
    `Cannot read ${fileName}: Metadata key ${quoted(key)}: ` +
      `Expected a value type from 0 to ${metaTypes.length - 1}, got ${id}`,
  );
}

async function readScalar(header: HeaderReader, type: MetaType): Promise<number | bigint | boolean | string> {
  if (type === "string") return header.text(MAX_STRING_BYTES, "bytes of a string");
  return scalarAt(await header.need(elementBytes(type)), type);
}

async function readElements(header: HeaderReader, type: MetaType, n: number): Promise<ArrayOf> {
  if (type === "string") return header.texts(n, MAX_STRING_BYTES, "bytes of a string");
  const cursor = await header.need(n * elementBytes(type));
  if (type === "u64" || type === "i64") return Array.from({ length: n }, () => cursor[type]());
  const bytes = cursor.bytes(n * elementBytes(type));
  if (type === "bool") return Array.from(bytes, (byte) => byte !== 0);
  return new arrayTypes[type](bytes.slice().buffer);
}

function elementBytes(type: Exclude<MetaType, "string">): number {
  if (type === "bool") return 1;
  if (type === "u64" || type === "i64") return 8;
  return arrayTypes[type].BYTES_PER_ELEMENT;
}

function scalarAt(cursor: ByteCursor, type: Exclude<MetaType, "string">): number | bigint | boolean {
  return type === "bool" ? cursor.u8() !== 0 : cursor[type]();
}
