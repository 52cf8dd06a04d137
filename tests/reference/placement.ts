// Where rows of weight matrices lie: strips of rows in groups, as assembly/layout/blocks.ts defines them; and views of bytes.
import { PADDED_ROWS, TILE_ROWS } from "../../assembly/layout/blocks.ts";

let lastBytes: Uint8Array | undefined;
let lastView: DataView;

/** The view of some bytes: of the same bytes as last time, the same view. */
export function viewOf(bytes: Uint8Array): DataView {
  if (bytes !== lastBytes) {
    lastBytes = bytes;
    lastView = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  }
  return lastView;
}

/** n, or the next multiple of `unit`. */
export function padded(n: number, unit: number): number {
  return Math.ceil(n / unit) * unit;
}

/** Strips of a matrix: an even number. */
export function stripsOf(rows: number): number {
  return padded(rows, PADDED_ROWS) / TILE_ROWS;
}

/** The first strip and the strips of the group that holds a row, and which of them holds it. */
export function placeInGroup(
  row: number,
  rows: number,
  most: number,
): { first: number; size: number; at: number } {
  const strip = Math.floor(row / TILE_ROWS);
  const at = strip % most;
  const first = strip - at;
  return { first, size: Math.min(most, stripsOf(rows) - first), at };
}
