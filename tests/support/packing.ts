// Calls of the pack kernel with names for its arguments.
import { SCALE_SHIFT } from "../../assembly/layout/blocks.ts";
import { PACK_SCRATCH_BYTES } from "../../assembly/layout/control.ts";
import { FILE_F32 } from "../../assembly/layout/file_types.gen.ts";
import { stripsOf } from "../reference/quantize.ts";
import type { KernelBench } from "./kernels.ts";

/** Arguments of pack(); what is left out is as for a whole matrix whose scales lie with its values. */
export interface Packing {
  /** FILE_* of the rows and WEIGHT_* of the tiles. */
  readonly file: number;
  readonly weight: number;
  readonly src: number;
  readonly rowBytes: number;
  readonly rows: number;
  readonly cols: number;
  readonly out: number;
  readonly scales?: number;
  readonly group?: number;
  readonly phase?: number;
  readonly firstStrip?: number;
  /** Strips of the whole matrix. */
  readonly strips?: number;
  readonly shift?: number;
}

/** Packs file rows; returns pack()'s status. */
export function packRows(bench: KernelBench, p: Packing): number {
  const { scales = 0, group = 0, phase = 0, firstStrip = 0, shift = SCALE_SHIFT } = p;
  const { strips = stripsOf(p.rows) } = p;
  const scratch = bench.alloc(PACK_SCRATCH_BYTES);
  const from = [p.file, p.weight, p.src, p.rowBytes, scales, group, phase, p.rows, p.cols] as const;
  return bench.kernels.pack(...from, p.out, firstStrip, strips, shift, scratch);
}

/** Packs a whole matrix of f32; returns pack()'s status. */
export function packF32(
  bench: KernelBench,
  weight: number,
  src: number,
  rows: number,
  cols: number,
  out: number,
): number {
  return packRows(bench, { file: FILE_F32, weight, src, rowBytes: 4 * cols, rows, cols, out });
}
