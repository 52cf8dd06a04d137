// Scalar f64 twins of assembly/{quantize,pack}.ts: what files, weight tiles and activation blocks stand for.
// One value at a time, from the layouts' definitions (assembly/layout/blocks.ts, the GGUF specification).
import {
  ACT_BLOCK_BYTES,
  ACT_SCALE,
  BLOCK_COLS,
  F32_TILE_BYTES,
  FILE_BF16,
  FILE_F16,
  FILE_F32,
  FILE_Q4_0_BYTES,
  FILE_Q8_0,
  FILE_Q8_0_BYTES,
  Q4_TILE_BYTES,
  Q4_TILE_VALUES,
  Q8_TILE_BYTES,
  Q8_TILE_PAIR,
  Q8_TILE_SCALE,
  Q8_TILE_VALUES,
  TILE_ROWS,
  WEIGHT_F32,
  WEIGHT_Q8,
} from "../../assembly/layout/blocks.ts";
import { bfloat16Value, halfValue } from "./math.ts";

function viewOf(bytes: Uint8Array): DataView {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}

/** n, or the next multiple of `unit`. */
export function padded(n: number, unit: number): number {
  return Math.ceil(n / unit) * unit;
}

/** Bytes of one tile of a WEIGHT_* type. */
export function tileBytes(weight: number): number {
  return weight === WEIGHT_F32 ? F32_TILE_BYTES : weight === WEIGHT_Q8 ? Q8_TILE_BYTES : Q4_TILE_BYTES;
}

/** Bytes of a packed matrix [rows, cols]. */
export function packedBytes(weight: number, rows: number, cols: number): number {
  return Math.ceil(rows / TILE_ROWS) * Math.ceil(cols / BLOCK_COLS) * tileBytes(weight);
}

/** Offset of the tile that holds row and column. */
function tileAt(weight: number, row: number, col: number, cols: number): number {
  const strip = Math.floor(row / TILE_ROWS);
  const block = Math.floor(col / BLOCK_COLS);
  return (strip * Math.ceil(cols / BLOCK_COLS) + block) * tileBytes(weight);
}

/** The scale of the block of a q8 or q4 tile that holds row and column. */
export function tileScale(weight: number, bytes: Uint8Array, row: number, col: number, cols: number): number {
  const lane = row % TILE_ROWS;
  const at = weight === WEIGHT_Q8 ? lane * Q8_TILE_PAIR + Q8_TILE_SCALE : 2 * lane;
  return halfValue(viewOf(bytes).getUint16(tileAt(weight, row, col, cols) + at, true));
}

/** What a q8 tile stores as minus the sum of the int8 of a row. */
export function tileSum(bytes: Uint8Array, row: number, col: number, cols: number): number {
  const at = tileAt(WEIGHT_Q8, row, col, cols) + Q8_TILE_PAIR * (row % TILE_ROWS);
  return viewOf(bytes).getInt16(at, true);
}

/** The integer a q8 or q4 tile stores for one weight. */
export function tileInteger(
  weight: number,
  bytes: Uint8Array,
  row: number,
  col: number,
  cols: number,
): number {
  const tile = tileAt(weight, row, col, cols);
  const lane = row % TILE_ROWS;
  const c = col % BLOCK_COLS;
  if (weight === WEIGHT_Q8) {
    return viewOf(bytes).getInt8(tile + Q8_TILE_VALUES + 16 * Math.floor(c / 4) + 4 * lane + (c % 4));
  }
  const v = Math.floor((c % 16) / 4);
  const byte = bytes[tile + Q4_TILE_VALUES + 16 * v + 4 * lane + (c % 4)] as number;
  return (c < 16 ? byte % 16 : Math.floor(byte / 16)) - 8;
}

/** The weights [padded rows, padded cols] that tiles stand for. */
export function decodeTiles(weight: number, bytes: Uint8Array, rows: number, cols: number): Float64Array {
  const height = padded(rows, TILE_ROWS);
  const width = padded(cols, BLOCK_COLS);
  const view = viewOf(bytes);
  const out = new Float64Array(height * width);
  for (let r = 0; r < height; r++) {
    for (let c = 0; c < width; c++) {
      out[r * width + c] =
        weight === WEIGHT_F32
          ? view.getFloat32(
              tileAt(weight, r, c, cols) + 4 * ((c % BLOCK_COLS) * TILE_ROWS + (r % TILE_ROWS)),
              true,
            )
          : tileScale(weight, bytes, r, c, cols) * tileInteger(weight, bytes, r, c, cols);
    }
  }
  return out;
}

/** Value i of a row of file blocks (every FILE_* but FILE_Q8_G). */
export function fileValue(file: number, bytes: Uint8Array, i: number): number {
  const view = viewOf(bytes);
  if (file === FILE_F32) return view.getFloat32(4 * i, true);
  if (file === FILE_F16) return halfValue(view.getUint16(2 * i, true));
  if (file === FILE_BF16) return bfloat16Value(view.getUint16(2 * i, true));
  const col = i % 32;
  if (file === FILE_Q8_0) {
    const block = Math.floor(i / 32) * FILE_Q8_0_BYTES;
    return halfValue(view.getUint16(block, true)) * view.getInt8(block + 2 + col);
  }
  const block = Math.floor(i / 32) * FILE_Q4_0_BYTES;
  const byte = view.getUint8(block + 2 + (col % 16));
  return halfValue(view.getUint16(block, true)) * ((col < 16 ? byte % 16 : Math.floor(byte / 16)) - 8);
}

/** Value i of a FILE_Q8_G tensor whose value 0 is value `phase` of its group. */
export function groupedValue(
  bytes: Uint8Array,
  scales: Float32Array,
  group: number,
  phase: number,
  i: number,
): number {
  return (scales[Math.floor((phase + i) / group)] as number) * viewOf(bytes).getInt8(i);
}

/** The int8 of activation blocks; `offset` is what the kernel's build adds to each. */
export function activationIntegers(bytes: Uint8Array, n: number, offset: number): Int32Array {
  const view = viewOf(bytes);
  const at = (i: number) => Math.floor(i / BLOCK_COLS) * ACT_BLOCK_BYTES + (i % BLOCK_COLS);
  return Int32Array.from({ length: n }, (_, i) => view.getInt8(at(i)) - offset);
}

/** The scale of activation block b. */
export function activationScale(bytes: Uint8Array, b: number): number {
  return viewOf(bytes).getFloat32(b * ACT_BLOCK_BYTES + ACT_SCALE, true);
}

/** The values that activation blocks stand for. */
export function decodeActivations(bytes: Uint8Array, n: number, offset: number): Float64Array {
  const integers = activationIntegers(bytes, n, offset);
  return Float64Array.from(integers, (q, i) => q * activationScale(bytes, Math.floor(i / BLOCK_COLS)));
}

/** The nearest integer, ties to the even one. */
export function roundEven(x: number): number {
  const down = Math.floor(x);
  const rest = x - down;
  if (rest === 0.5) return down % 2 === 0 ? down : down + 1;
  return rest < 0.5 ? down : down + 1;
}
