// Random rows of tensors as files hold them, for the kernels: f32, or blocks of a quantized type.
import { SCALE_SHIFT } from "../../assembly/layout/blocks.ts";
import { FILE_F32 } from "../../assembly/layout/file_types.gen.ts";
import { gridPoints } from "../../src/quant/grids.ts";
import { type FileType, fileTypes, precisions } from "../../src/quant/registry.ts";
import type { WeightFormat } from "../../src/quant/weight_format.ts";
import { type KernelBench, randomF32, uniform } from "./kernels.ts";
import { packRows } from "./packing.ts";
import { blockScales } from "./random_blocks.ts";

/** Rows [rows, cols] of a FILE_* type, rowBytes apart. */
export interface FileRows {
  readonly file: number;
  readonly bytes: Uint8Array;
  readonly rowBytes: number;
  readonly rows: number;
  readonly cols: number;
  /** The points of the type's grid. */
  readonly grid?: Int8Array;
}

/** Packs whole rows into a matrix at `out`; returns pack()'s status. */
export function packFileRows(
  bench: KernelBench,
  rows: FileRows,
  weight: number,
  out: number,
  shift: number = SCALE_SHIFT,
): number {
  const scales = rows.grid ? bench.put(rows.grid) : 0;
  return packRows(bench, { ...rows, src: bench.put(rows.bytes), scales, weight, out, shift });
}

/** Whether every type of files can become a format; the others have types of their own. */
export function takesAnyType({ name }: WeightFormat): boolean {
  return precisions.some((precision) => precision === name);
}

/** The types that become a format by themselves: for formats that only those become. */
export function naturalTypes({ name }: WeightFormat): FileType[] {
  return [...fileTypes.values()].filter(({ memory }) => memory === name);
}

/** The columns that a format's rows must be a multiple of. */
export function colsUnit(format: WeightFormat): number {
  return takesAnyType(format) ? 1 : Math.max(...naturalTypes(format).map(({ blockCols }) => blockCols));
}

/**
 * `count` random blocks of a type. Scales are of either sign; some are subnormal halves, some 0, all others far from that.
 */
export function randomBlocks(type: string, count: number, seed: number): Uint8Array {
  const { blockBytes } = fileTypes.get(type) as FileType;
  const next = uniform(seed);
  const bytes = new Uint8Array(count * blockBytes);
  for (let i = 0; i < bytes.length; i++) bytes[i] = next(0, 256);
  const view = new DataView(bytes.buffer);
  for (let b = 0; b < count; b++) {
    if (type === "MXFP4") bytes[b * blockBytes] = b % 5 === 3 ? 110 : 122 + (b % 4);
    else
      blockScales(type).forEach(({ peak, set }, i) => {
        const scale = next(0.1, 1) * (next(-1, 1) < 0 ? -1 : 1);
        const rare = (b + 2 * i) % 5 === 3 ? 2 ** -15 : (b + i) % 11 === 7 ? 0 : 1 / peak;
        set(view, b * blockBytes, scale * rare);
      });
  }
  return bytes;
}

/** Random rows of a type with blocks. */
export function blockRows(type: string, rows: number, cols: number, seed: number): FileRows {
  const { code, blockCols, blockBytes, grid } = fileTypes.get(type) as FileType;
  const perRow = cols / blockCols;
  if (!Number.isInteger(perRow)) throw new Error(`${cols} columns are no blocks of ${type}`);
  const bytes = randomBlocks(type, rows * perRow, seed);
  const points = grid && { grid: gridPoints(grid) };
  return { file: code, bytes, rowBytes: perRow * blockBytes, rows, cols, ...points };
}

/** Rows that can be packed to a format: f32 in [-1, 1), or blocks of the first type that becomes it. */
export function rowsFor(format: WeightFormat, rows: number, cols: number, seed: number): FileRows {
  const [type] = takesAnyType(format) ? [] : naturalTypes(format);
  if (type) return blockRows(type.name, rows, cols, seed);
  return f32Rows(randomF32(rows * cols, seed), rows, cols);
}

/** Rows of f32. */
export function f32Rows(values: Float32Array, rows: number, cols: number): FileRows {
  const bytes = new Uint8Array(values.buffer, values.byteOffset, values.byteLength);
  return { file: FILE_F32, bytes, rowBytes: 4 * cols, rows, cols };
}
