// Writes a GGUF file of random blocks: the metadata and shapes of another file, with the tensor types of a mix.
import { closeSync, openSync, readSync, renameSync, writeSync } from "node:fs";
import { type BlockTypeName, blockTypes, type Random, randomBlocks, randomOf } from "./blocks.ts";
import { type MixName, mixes, typeIn } from "./mixes.ts";

interface Tensor {
  readonly name: string;
  /** As GGUF has it: columns first. */
  readonly dims: readonly number[];
}

interface Header {
  readonly nMetadata: bigint;
  readonly metadata: Buffer;
  readonly tensors: readonly Tensor[];
}

// Metadata and tensors of a file lie within this many bytes of its beginning.
const HEADER_BYTES = 8 << 20;
const FIRST_TENSOR = "token_embd.weight";
const FILE_TYPE_KEY = "general.file_type";
const ALIGNMENT = 32;
const F32 = 0;
// Matrices consist of parts of a pool of so many blocks.
const POOL_BLOCKS = 4096;

function u32(value: number): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32LE(value);
  return bytes;
}

function u64(value: number | bigint): Buffer {
  const bytes = Buffer.alloc(8);
  bytes.writeBigUInt64LE(BigInt(value));
  return bytes;
}

function text(value: string): Buffer {
  return Buffer.concat([u64(Buffer.byteLength(value)), Buffer.from(value)]);
}

function align(bytes: number): number {
  return Math.ceil(bytes / ALIGNMENT) * ALIGNMENT;
}

// Reads the header of a file that the tool synth-gguf.mjs wrote: its first tensor is the embedding.
function readHeader(path: string): Header {
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
  return { nMetadata: header.readBigUInt64LE(16), metadata, tensors };
}

function setFileType(metadata: Buffer, code: number): Buffer {
  const changed = Buffer.from(metadata);
  const at = changed.indexOf(FILE_TYPE_KEY);
  if (at < 0) throw new Error(`Expected ${FILE_TYPE_KEY} in the metadata, got none`);
  changed.writeUInt32LE(code, at + FILE_TYPE_KEY.length + 4);
  return changed;
}

// The types of all tensors; undefined for vectors, which are f32.
function typesOf(mix: MixName, tensors: readonly Tensor[]): (BlockTypeName | undefined)[] {
  const rows = (name: string) => tensors.find((tensor) => tensor.name.endsWith(name))?.dims[1] ?? 1;
  const layers = tensors.map(({ name }) => Number(/^blk\.(\d+)\./.exec(name)?.[1] ?? -1));
  const nLayers = Math.max(...layers) + 1;
  const kvMul = rows("attn_q.weight") / rows("attn_k.weight");
  const tied = !tensors.some(({ name }) => name === "output.weight");
  return tensors.map(({ name, dims }, i) => {
    if (dims.length === 1) return undefined;
    const type = typeIn(mix, { tensor: name, layer: layers[i]!, nLayers, kvMul, tied });
    const { cols } = blockTypes[type];
    if (dims[0]! % cols !== 0)
      throw new Error(
        `Cannot make ${name} in ${type}: Expected a multiple of ${cols} columns, got ${dims[0]}`,
      );
    return type;
  });
}

function bytesOf({ dims }: Tensor, type: BlockTypeName | undefined): number {
  const n = dims.reduce((product, dim) => product * dim, 1);
  return type ? (n / blockTypes[type].cols) * blockTypes[type].bytes : 4 * n;
}

function headerBytes(mix: MixName, { nMetadata, metadata, tensors }: Header): Buffer {
  const types = typesOf(mix, tensors);
  let offset = 0;
  const infos = tensors.flatMap((tensor, i) => {
    const type = types[i];
    const { name, dims } = tensor;
    const begin = offset;
    offset += align(bytesOf(tensor, type));
    const code = type ? blockTypes[type].code : F32;
    return [text(name), u32(dims.length), ...dims.map(u64), u32(code), u64(begin)];
  });
  const counts = [u64(tensors.length), u64(nMetadata)];
  const all = Buffer.concat([
    Buffer.from("GGUF"),
    u32(3),
    ...counts,
    setFileType(metadata, mixes[mix].code),
    ...infos,
  ]);
  return Buffer.concat([all, Buffer.alloc(align(all.length) - all.length)]);
}

// Writes parts of the pool that begin at random blocks, and fills up to the alignment.
function writeBlocks(
  file: number,
  pool: Uint8Array,
  bytes: number,
  blockBytes: number,
  random: Random,
): void {
  for (let left = bytes; left > 0; ) {
    const begin = Math.floor(random() * (POOL_BLOCKS / 2)) * blockBytes;
    left -= writeSync(file, pool, begin, Math.min(left, pool.length - begin));
  }
  writeSync(file, Buffer.alloc(align(bytes) - bytes));
}

/**
 * Writes a file of a mix: random blocks, the same in every run. Vectors are ones, and the values of a matrix have a standard
 * deviation of 1 ÷ √columns, so rows keep about unit variance.
 * @param base a file that ../shared/tools/synth-gguf.mjs wrote, for metadata and shapes
 */
export function writeMix(mix: MixName, base: string, path: string): void {
  const header = readHeader(base);
  const types = typesOf(mix, header.tensors);
  const pools = new Map<string, Uint8Array>();
  const random = randomOf(17);
  // Renamed when it is complete: an unfinished file must not be used later.
  const part = `${path}.part`;
  const file = openSync(part, "w");
  try {
    writeSync(file, headerBytes(mix, header));
    for (const [i, tensor] of header.tensors.entries()) {
      const type = types[i];
      const bytes = bytesOf(tensor, type);
      if (!type) {
        writeSync(file, Buffer.from(new Float32Array(align(bytes) / 4).fill(1, 0, bytes / 4).buffer));
        continue;
      }
      const cols = tensor.dims[0]!;
      const key = `${type} ${cols}`;
      const pool = pools.get(key) ?? randomBlocks(type, POOL_BLOCKS, 1 / Math.sqrt(cols), random);
      pools.set(key, pool);
      writeBlocks(file, pool, bytes, blockTypes[type].bytes, random);
    }
  } finally {
    closeSync(file);
  }
  renameSync(part, path);
}
