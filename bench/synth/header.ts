// Headers of GGUF files that the tool synth-gguf.mjs wrote: their metadata as bytes, and the shapes of their tensors.
import { closeSync, openSync, readSync } from "node:fs";

/** A tensor of a file. */
export interface Tensor {
  readonly name: string;
  /** As GGUF has it: columns first. */
  readonly dims: readonly number[];
}

/** What a file says before its tensors. */
export interface Header {
  readonly nMetadata: number;
  readonly metadata: Buffer;
  readonly tensors: readonly Tensor[];
}

// Metadata and tensors of a file lie within this many bytes of its beginning.
const HEADER_BYTES = 8 << 20;
const FIRST_TENSOR = "token_embd.weight";
const U32 = 4;

/** An integer of 32 bits. */
export function u32(value: number): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32LE(value);
  return bytes;
}

/** An integer of 64 bits. */
export function u64(value: number): Buffer {
  const bytes = Buffer.alloc(8);
  bytes.writeBigUInt64LE(BigInt(value));
  return bytes;
}

/** A string with its length. */
export function text(value: string): Buffer {
  return Buffer.concat([u64(Buffer.byteLength(value)), Buffer.from(value)]);
}

/** Reads the header of a file that the tool wrote: its first tensor is the embedding. */
export function readHeader(path: string): Header {
  const file = openSync(path, "r");
  const bytes = Buffer.alloc(HEADER_BYTES);
  const header = bytes.subarray(0, readSync(file, bytes, 0, bytes.length, 0));
  closeSync(file);
  let at = header.indexOf(text(FIRST_TENSOR));
  if (at < 0) throw new Error(`Expected ${FIRST_TENSOR} in the header of ${path}, got none`);
  const metadata = header.subarray(24, at);
  const number = () => {
    at += 8;
    return Number(header.readBigUInt64LE(at - 8));
  };
  const tensors = Array.from({ length: Number(header.readBigUInt64LE(8)) }, () => {
    const length = number();
    const name = header.toString("utf8", at, at + length);
    at += length;
    const nDims = header.readUInt32LE(at);
    at += 4;
    const dims = Array.from({ length: nDims }, number);
    // Type and offset.
    at += 12;
    return { name, dims };
  });
  return { nMetadata: Number(header.readBigUInt64LE(16)), metadata, tensors };
}

/** The header with some metadata of 32-bit integers changed, or added if it lacks them. */
export function withIntegers(header: Header, values: Readonly<Record<string, number>>): Header {
  let metadata = Buffer.from(header.metadata);
  let { nMetadata } = header;
  for (const [key, value] of Object.entries(values)) {
    const name = text(key);
    const at = metadata.indexOf(name);
    if (at >= 0) metadata.writeUInt32LE(value, at + name.length + 4);
    else {
      metadata = Buffer.concat([metadata, name, u32(U32), u32(value)]);
      nMetadata++;
    }
  }
  return { ...header, nMetadata, metadata };
}
