// Kernels on a memory larger than any processor's cache, and data to fill it with.
import {
  ACT_BLOCK_BYTES,
  ACT_SUPER,
  ACT_TOKENS,
  BLOCK_COLS,
  GROUP_STRIPS,
  PADDED_ROWS,
  SCALE_SHIFT,
  TILE_ROWS,
  UNPACKED_BLOCKS,
  UNPACKED_BYTES,
} from "../assembly/layout/blocks.ts";
import { CONTROL_BYTES, PACK_SCRATCH_BYTES } from "../assembly/layout/control.ts";
import { FILE_F32 } from "../assembly/layout/file_types.gen.ts";
import { Arena } from "../src/kernels/arena.ts";
import type { KernelExports } from "../src/kernels/exports.gen.ts";
import { createInstance, createMemory, type KernelInstance } from "../src/kernels/instance.ts";
import { compileVariant, type Variant } from "../src/kernels/variant.ts";
import { chunkGroups, scaleFactor } from "../src/model/plan/writer.ts";
import type { Matrix } from "../src/model/weights/weights.ts";
import { gridPoints } from "../src/quant/grids.ts";
import { type FileType, fileTypes, precisions } from "../src/quant/registry.ts";
import type { WeightFormat } from "../src/quant/weight_format.ts";
import { type BlockTypeName, randomBlocks, randomOf } from "./synth/blocks.ts";

/** Bytes that a case cycles through if it must read from memory: more than any processor's cache holds. */
export const FAR_BYTES = 288 << 20;
// FAR_BYTES, rounded up to a whole layer, and room for the other data of a case.
const AREA_BYTES = FAR_BYTES + (96 << 20);

/** Groups that the benchmarks' kernels of one token read at once. Engines choose this number when they load a model. */
export const STREAMS = 2;

/** Groups [begin, end) of each call that a plan makes for a matrix with one thread: see assembly/sync.ts. */
export function callsOf(
  matrix: Pick<Matrix, "strips" | "blocks" | "format">,
  tokens: number,
): readonly (readonly [begin: number, end: number])[] {
  const groups = Math.ceil(matrix.strips / matrix.format.groupStrips);
  const units = Math.floor(groups / STREAMS);
  const chunk = tokens > 1 ? chunkGroups(matrix) : STREAMS;
  const first = tokens > 1 || units < 2 ? chunk : STREAMS * ((units - 1) | 1);
  const rest = Math.max(0, Math.ceil((groups - first) / chunk));
  const begins = Array.from({ length: rest }, (_, i) => first + i * chunk);
  return [
    [0, Math.min(first, groups)],
    ...begins.map((begin) => [begin, Math.min(begin + chunk, groups)] as const),
  ];
}

/** A matrix times rows of activations, in the calls that a plan makes. */
export interface Product {
  readonly format: WeightFormat;
  readonly strips: number;
  readonly blocks: number;
  /** Rows of activations, `stride` bytes apart. */
  readonly x: number;
  readonly stride: number;
  readonly out: number;
  readonly outStride: number;
  readonly tokens: number;
}

/** A function that multiplies the matrix at an address, with the runtime's best form of the dot product. */
export function multiplier(area: KernelArea, product: Product): (w: number) => void {
  const { format, strips, blocks, x, stride, out, outStride, tokens } = product;
  const { kernels } = area;
  const calls = callsOf(product, tokens);
  const dot = kernels.dot_form();
  const factor = scaleFactor(SCALE_SHIFT);
  const scratch = area.alloc(UNPACKED_BLOCKS * GROUP_STRIPS * UNPACKED_BYTES);
  return (w) => {
    for (const [begin, end] of calls) {
      kernels.matmul(
        format.code,
        w,
        x,
        stride,
        out,
        outStride,
        0,
        0,
        begin,
        end,
        strips,
        blocks,
        tokens,
        dot,
        STREAMS,
        factor,
        scratch,
      );
    }
  };
}

/** Makes `count` matrices one after another, whose groups are copies of one group. Returns their address. */
export function copies(
  area: KernelArea,
  format: WeightFormat,
  strips: number,
  cols: number,
  count: number,
): number {
  const blocks = cols / BLOCK_COLS;
  const size = strips * blocks * format.tileBytes;
  const address = area.alloc(count * size);
  const rows = TILE_ROWS * format.groupStrips;
  area.pack(format, rows, cols, address);
  area.spread(address, format.groupStrips * blocks * format.tileBytes, count * size);
  return address;
}

/** Quantizes `tokens` f32 rows at `x` to the int8 activations of a format, laid out as in a step of so many tokens. */
export function activate(
  area: KernelArea,
  { activation }: WeightFormat,
  x: number,
  cols: number,
  tokens: number,
): number {
  const stride = (cols / BLOCK_COLS) * ACT_BLOCK_BYTES;
  const out = area.alloc(Math.ceil(tokens / ACT_TOKENS) * ACT_TOKENS * stride);
  const { quantize_q8, quantize_q8x4, quantize_super, quantize_super_x4 } = area.kernels;
  const alone = activation === ACT_SUPER ? quantize_super : quantize_q8;
  const shared = activation === ACT_SUPER ? quantize_super_x4 : quantize_q8x4;
  for (let t = 0; t < tokens; t++) {
    const row = x + 4 * t * cols;
    if (tokens === 1) alone(row, out, cols);
    else shared(row, out + (t - (t % ACT_TOKENS)) * stride, t % ACT_TOKENS, cols);
  }
  return out;
}

/** A kernel instance and the addresses of its memory. */
export class KernelArea {
  readonly kernels: KernelExports;
  readonly memory: WebAssembly.Memory;
  #arena = new Arena(CONTROL_BYTES);
  #seed = 1;

  private constructor({ exports, memory }: KernelInstance) {
    this.kernels = exports;
    this.memory = memory;
  }

  static async create(variant: Variant): Promise<KernelArea> {
    const memory = createMemory(AREA_BYTES, variant.endsWith("-shared"));
    return new KernelArea(await createInstance(compileVariant(variant), memory));
  }

  /** Releases every address. */
  reset(): void {
    this.#arena = new Arena(CONTROL_BYTES);
    this.#seed = 1;
  }

  /** Allocates `bytes` bytes that begin a cache line. Returns their address. */
  alloc(bytes: number): number {
    const address = this.#arena.alloc(bytes);
    if (this.#arena.size > AREA_BYTES)
      throw new Error(`Expected a case of at most ${AREA_BYTES} bytes, got ${this.#arena.size}`);
    return address;
  }

  /** Writes `n` random values in [low, high), the same in every run. Returns their address. */
  random(n: number, low = -1, high = 1): number {
    const address = this.alloc(4 * n);
    const values = new Float32Array(this.memory.buffer, address, n);
    for (let i = 0; i < n; i++) {
      this.#seed = (Math.imul(this.#seed, 1664525) + 1013904223) >>> 0;
      values[i] = low + (this.#seed / 2 ** 32) * (high - low);
    }
    return address;
  }

  /** Packs random rows as a whole matrix: f32, or blocks of the type whose blocks the format holds. */
  pack(format: WeightFormat, rows: number, cols: number, out: number): void {
    const strips = (PADDED_ROWS / TILE_ROWS) * Math.ceil(rows / PADDED_ROWS);
    const { file, src, rowBytes, table } = this.#fileRows(format, rows, cols);
    const scratch = this.alloc(PACK_SCRATCH_BYTES);
    const from = [file, format.code, src, rowBytes, table, 0, 0, rows, cols] as const;
    const status = this.kernels.pack(...from, out, 0, strips, SCALE_SHIFT, scratch);
    if (status) throw new Error(`Cannot pack ${format.name}: Expected finite values, got others`);
  }

  #fileRows(
    { name }: WeightFormat,
    rows: number,
    cols: number,
  ): { file: number; src: number; rowBytes: number; table: number } {
    if (precisions.some((precision) => precision === name)) {
      return { file: FILE_F32, src: this.random(rows * cols, -0.05, 0.05), rowBytes: 4 * cols, table: 0 };
    }
    const type = [...fileTypes.values()].find(({ memory }) => memory === name) as FileType;
    const blocks = randomBlocks(
      type.name as BlockTypeName,
      (rows * cols) / type.blockCols,
      0.03,
      randomOf(1),
    );
    const src = this.#bytes(blocks);
    const table = type.grid ? this.#bytes(gridPoints(type.grid)) : 0;
    return { file: type.code, src, rowBytes: (cols / type.blockCols) * type.blockBytes, table };
  }

  #bytes(bytes: Uint8Array | Int8Array): number {
    const address = this.alloc(bytes.length);
    new Uint8Array(this.memory.buffer, address, bytes.length).set(bytes);
    return address;
  }

  /** Writes integers and returns their address. */
  words(values: ArrayLike<number>): number {
    const address = this.alloc(4 * values.length);
    new Uint32Array(this.memory.buffer, address, values.length).set(values);
    return address;
  }

  /** Fills [address, address + total) with copies of its first `bytes` bytes. */
  spread(address: number, bytes: number, total: number): void {
    const all = new Uint8Array(this.memory.buffer);
    for (let done = bytes; done < total; done *= 2) {
      all.copyWithin(address + done, address, address + Math.min(done, total - done));
    }
  }
}
