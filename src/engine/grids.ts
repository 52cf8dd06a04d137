// The grids that decoders of some tensor types read, in linear memory.
import type { Arena } from "../kernels/arena.ts";
import type { Matrix, Vector } from "../model/weights/weights.ts";
import type { GridName } from "../quant/file_types.ts";
import { gridPoints } from "../quant/grids.ts";
import { fileTypes } from "../quant/registry.ts";

/** Addresses of the grids that a model's tensors need. */
export type Grids = ReadonlyMap<GridName, number>;

/** Gives each grid that a weight's type needs an address. */
export function placeGrids(weights: readonly (Matrix | Vector)[], arena: Arena): Grids {
  const grids = new Map<GridName, number>();
  for (const { info } of weights) {
    const grid = fileTypes.get(info.type)?.grid;
    if (grid && !grids.has(grid)) grids.set(grid, arena.alloc(gridPoints(grid).length));
  }
  return grids;
}

/** Writes them. Once, before anything is packed. */
export function writeGrids(grids: Grids, buffer: ArrayBufferLike): void {
  for (const [name, address] of grids) {
    const points = gridPoints(name);
    new Int8Array(buffer, address, points.length).set(points);
  }
}
