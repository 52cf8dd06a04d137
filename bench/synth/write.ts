// Writes a GGUF file of random blocks: the metadata and shapes of another file, with the tensor types of a mix.
import { closeSync, openSync, renameSync, writeSync } from "node:fs";
import { type BlockTypeName, blockTypes, type Random, randomBlocks, randomOf } from "./blocks.ts";
import { type ExpertShape, isRouter, withExperts } from "./experts.ts";
import { type Header, readHeader, type Tensor, text, u32, u64, withIntegers } from "./header.ts";
import { type MixName, mixes, typeIn } from "./mixes.ts";

const ALIGNMENT = 32;
const F32 = 0;
// Matrices consist of parts of a pool of so many blocks.
const POOL_BLOCKS = 4096;

function align(bytes: number): number {
  return Math.ceil(bytes / ALIGNMENT) * ALIGNMENT;
}

// The types of all tensors; undefined for vectors and routers, which are f32.
function typesOf(mix: MixName, tensors: readonly Tensor[]): (BlockTypeName | undefined)[] {
  const rows = (name: string) => tensors.find((tensor) => tensor.name.endsWith(name))?.dims[1] ?? 1;
  const layers = tensors.map(({ name }) => Number(/^blk\.(\d+)\./.exec(name)?.[1] ?? -1));
  const nLayers = Math.max(...layers) + 1;
  const kvMul = rows("attn_q.weight") / rows("attn_k.weight");
  const nExperts = tensors.find(({ dims }) => dims.length === 3)?.dims[2] ?? 0;
  const tied = !tensors.some(({ name }) => name === "output.weight");
  return tensors.map(({ name, dims }, i) => {
    if (dims.length === 1 || isRouter(name)) return undefined;
    const wanted = typeIn(mix, { tensor: name, layer: layers[i]!, nLayers, kvMul, tied, nExperts });
    const type = dims[0]! % blockTypes[wanted].cols === 0 ? wanted : (fallbacks[wanted] ?? wanted);
    const { cols } = blockTypes[type];
    if (dims[0]! % cols !== 0)
      throw new Error(
        `Cannot make ${name} in ${type}: Expected a multiple of ${cols} columns, got ${dims[0]}`,
      );
    return type;
  });
}

// What native's quantizer gives to matrices whose columns no superblock divides (tensor_type_fallback in llama-quant.cpp).
const fallbacks: Partial<Record<BlockTypeName, BlockTypeName>> = { Q4_K: "Q5_0", Q5_K: "Q5_1", Q6_K: "Q8_0" };

function bytesOf({ dims }: Tensor, type: BlockTypeName | undefined): number {
  const n = dims.reduce((product, dim) => product * dim, 1);
  return type ? (n / blockTypes[type].cols) * blockTypes[type].bytes : 4 * n;
}

function headerBytes(mix: MixName, header: Header): Buffer {
  const { nMetadata, metadata, tensors } = withIntegers(header, { "general.file_type": mixes[mix].code });
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
  const all = Buffer.concat([Buffer.from("GGUF"), u32(3), ...counts, metadata, ...infos]);
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

// Vectors are ones. Routers are random: of equal products, the first experts would always be chosen.
function f32Bytes({ name, dims }: Tensor, random: Random): Buffer {
  const n = dims.reduce((product, dim) => product * dim, 1);
  const values = new Float32Array(align(4 * n) / 4);
  const std = 1 / Math.sqrt(dims[0]!);
  for (let i = 0; i < n; i++) values[i] = isRouter(name) ? Math.sqrt(12) * std * (random() - 0.5) : 1;
  return Buffer.from(values.buffer);
}

/** Writes a file of a mix with the metadata and shapes of a file that ../shared/tools/synth-gguf.mjs wrote, see {@link writeWeights}. */
export function writeMix(mix: MixName, base: string, path: string, experts?: ExpertShape): void {
  const dense = readHeader(base);
  writeWeights(mix, experts ? withExperts(dense, experts) : dense, path);
}

/**
 * Writes a file of a mix: random blocks, the same in every run. Vectors are ones, and the values of a matrix have a standard
 * deviation of 1 ÷ √columns, so rows keep about unit variance.
 * @param header its metadata and shapes
 */
export function writeWeights(mix: MixName, header: Header, path: string): void {
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
        writeSync(file, f32Bytes(tensor, random));
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
