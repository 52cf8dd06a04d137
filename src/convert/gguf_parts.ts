// The parts of a GGUF header as bytes: keys with their values, and descriptions of tensors.
import { GGUF_MAGIC } from "../format/gguf/header.ts";
import { metaTypes } from "../format/gguf/tensor_types.ts";
import type { MetaType, MetaValue } from "../format/model_file.ts";
import { alignUp, ByteCursor } from "../util/bytes.ts";
import { tensorType } from "./type_mix.ts";

/** What tensor data is aligned to: the default of the format. */
export const ALIGNMENT = 32;

/** A key with its value, as the file has them. */
export interface StoredKey {
  readonly name: string;
  readonly bytes: Uint8Array;
}

/** A tensor to describe. */
export interface WrittenTensor {
  readonly name: string;
  readonly shape: readonly number[];
  readonly type: string;
}

const VERSION = 3;
const fixedBytes = { u8: 1, i8: 1, bool: 1, u16: 2, i16: 2, u32: 4, i32: 4, f32: 4, u64: 8, i64: 8, f64: 8 };

/** Bytes of a tensor. */
export function tensorBytes({ shape, type }: Omit<WrittenTensor, "name">): number {
  const { blockCols, blockBytes } = tensorType(type);
  return (shape.reduce((product, dim) => product * dim, 1) / blockCols) * blockBytes;
}

/** A whole header, padded to where tensor data begins. */
export function headerBytes(keys: readonly StoredKey[], tensors: readonly WrittenTensor[]): Uint8Array {
  const parts = new Parts();
  parts.number("u32", GGUF_MAGIC);
  parts.number("u32", VERSION);
  parts.number("u64", tensors.length);
  parts.number("u64", keys.length);
  for (const { bytes } of keys) parts.put(bytes);
  let offset = 0;
  for (const tensor of tensors) {
    const { name, shape, type } = tensor;
    parts.text(name);
    parts.number("u32", shape.length);
    for (const dim of [...shape].reverse()) parts.number("u64", dim);
    parts.number("u32", tensorType(type).code);
    parts.number("u64", offset);
    offset = alignUp(offset + tensorBytes(tensor), ALIGNMENT);
  }
  parts.put(new Uint8Array(alignUp(parts.length, ALIGNMENT) - parts.length));
  return parts.joined();
}

/** A key with a value of our own. */
export function storedKey(name: string, value: MetaValue): StoredKey {
  const parts = new Parts();
  parts.text(name);
  parts.number("u32", metaTypes.indexOf(value.type));
  if (value.type === "array") {
    const { elementType, value: elements } = value;
    parts.number("u32", metaTypes.indexOf(elementType));
    parts.number("u64", elements.length);
    for (let i = 0; i < elements.length; i++) parts.value(elementType, elements[i] as Scalar);
  } else {
    parts.value(value.type, value.value);
  }
  return { name, bytes: parts.joined() };
}

/**
 * The keys of a file as they stand, from the bytes of its header, which was found right: texts that are not UTF-8 stay what
 * they are.
 */
export function storedKeys(header: Uint8Array, fileName: string): StoredKey[] {
  const cursor = new ByteCursor(header, fileName);
  cursor.skip(16);
  const count = Number(cursor.u64());
  const keys: StoredKey[] = [];
  for (let i = 0; i < count; i++) {
    const begin = cursor.position;
    const name = cursor.text(Number(cursor.u64()));
    skipValue(cursor);
    keys.push({ name, bytes: header.slice(begin, cursor.position) });
  }
  return keys;
}

type Scalar = number | bigint | boolean | string;

function skipValue(cursor: ByteCursor): void {
  const type = metaTypes[cursor.u32()];
  if (type !== "array") {
    skipScalars(cursor, type as MetaType, 1);
    return;
  }
  const elementType = metaTypes[cursor.u32()] as MetaType;
  skipScalars(cursor, elementType, Number(cursor.u64()));
}

function skipScalars(cursor: ByteCursor, type: MetaType, n: number): void {
  if (type === "string") for (let i = 0; i < n; i++) cursor.skip(Number(cursor.u64()));
  else cursor.skip(n * fixedBytes[type]);
}

/** Little-endian values, one behind the other. */
class Parts {
  length = 0;
  #bytes = new Uint8Array(1 << 12);

  put(bytes: Uint8Array): void {
    this.#reserve(bytes.length);
    this.#bytes.set(bytes, this.length);
    this.length += bytes.length;
  }

  text(text: string): void {
    const bytes = new TextEncoder().encode(text);
    this.number("u64", bytes.length);
    this.put(bytes);
  }

  value(type: MetaType, value: Scalar): void {
    if (type === "string") this.text(String(value));
    else this.number(type, value);
  }

  number(type: Exclude<MetaType, "string">, value: Scalar): void {
    const n = fixedBytes[type];
    this.#reserve(n);
    const view = new DataView(this.#bytes.buffer, this.length, n);
    if (type === "f32") view.setFloat32(0, Number(value), true);
    else if (type === "f64") view.setFloat64(0, Number(value), true);
    else if (n === 8) view.setBigInt64(0, BigInt.asIntN(64, BigInt(value)), true);
    else if (n === 4) view.setInt32(0, Number(value), true);
    else if (n === 2) view.setInt16(0, Number(value), true);
    else view.setInt8(0, Number(value));
    this.length += n;
  }

  joined(): Uint8Array {
    return this.#bytes.slice(0, this.length);
  }

  #reserve(n: number): void {
    if (this.length + n <= this.#bytes.length) return;
    const grown = new Uint8Array(2 * (this.length + n));
    grown.set(this.#bytes.subarray(0, this.length));
    this.#bytes = grown;
  }
}
