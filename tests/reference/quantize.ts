// Scalar f64 twins of assembly/types/, of weight formats and of activations: what files, weight tiles and activation blocks stand for.
// One value at a time, from the layouts' definitions (assembly/layout/blocks.ts, the GGUF specification).
import {
  ACT_BLOCK_BYTES,
  ACT_SCALE,
  ACT_SUMS,
  ACTS_BLOCK_BYTES,
  ACTS_SCALES,
  ACTS_SUMS,
  BLOCK_COLS,
  F32_GROUP_STRIPS,
  F32_TILE_BYTES,
  GROUP_STRIPS,
  PADDED_ROWS,
  Q4_TILE_BYTES,
  Q4_TILE_VALUES,
  Q4M_TILE_BYTES,
  Q5_TILE_BYTES,
  Q8_TILE_BYTES,
  Q8_TILE_VALUES,
  SCALE_SHIFT,
  SUPER_BLOCKS,
  TILE_MINIMA,
  TILE_ROWS,
  WEIGHT_F32,
  WEIGHT_MXFP4,
  WEIGHT_NL,
  WEIGHT_Q4M,
  WEIGHT_Q5,
  WEIGHT_Q8,
} from "../../assembly/layout/blocks.ts";
import {
  FILE_BF16,
  FILE_F16,
  FILE_F32,
  FILE_Q4_0,
  FILE_Q4_0_BYTES,
  FILE_Q8_0,
  FILE_Q8_0_BYTES,
} from "../../assembly/layout/file_types.gen.ts";
import { type FileType, fileTypes } from "../../src/quant/file_types.ts";
import { blockValue } from "./block_types.ts";
import { fileParts, superFiles } from "./file_superblocks.ts";
import { bfloat16Value, halfValue } from "./math.ts";
import { padded, placeInGroup, stripsOf, viewOf } from "./placement.ts";
import { isSuper, superBytes, tileParts, weightValue } from "./superblocks.ts";

export { padded, stripsOf };

/** Bytes of one tile of a WEIGHT_* type; of superblocks with a share of the header. */
function tileBytes(weight: number): number {
  if (isSuper(weight)) return superBytes(weight) / SUPER_BLOCKS;
  if (weight === WEIGHT_Q4M) return Q4M_TILE_BYTES;
  if (weight === WEIGHT_Q5) return Q5_TILE_BYTES;
  return weight === WEIGHT_F32 ? F32_TILE_BYTES : weight === WEIGHT_Q8 ? Q8_TILE_BYTES : Q4_TILE_BYTES;
}

/** Bytes of a packed matrix [rows, cols]. */
export function packedBytes(weight: number, rows: number, cols: number): number {
  return stripsOf(rows) * Math.ceil(cols / BLOCK_COLS) * tileBytes(weight);
}

/** Offset of the q8 or q4 tile that holds row and column of a matrix [rows, cols]. */
function tileAt(weight: number, row: number, col: number, rows: number, cols: number): number {
  const { first, size, at } = placeInGroup(row, rows, GROUP_STRIPS);
  const block = Math.floor(col / BLOCK_COLS);
  return (first * Math.ceil(cols / BLOCK_COLS) + block * size + at) * tileBytes(weight);
}

/** Offset of a weight of an f32 matrix [rows, cols]: groups are [columns / 4][strips][4 columns][4 rows]. */
function f32At(row: number, col: number, rows: number, cols: number): number {
  const { first, size, at } = placeInGroup(row, rows, F32_GROUP_STRIPS);
  const group = first * Math.ceil(cols / BLOCK_COLS) * F32_TILE_BYTES;
  return group + 64 * (Math.floor(col / 4) * size + at) + 16 * (col % 4) + 4 * (row % TILE_ROWS);
}

/** The scale of the block of a q8 or q4 tile that holds row and column, stored times 2^shift. */
export function tileScale(
  weight: number,
  bytes: Uint8Array,
  row: number,
  col: number,
  rows: number,
  cols: number,
  shift: number = SCALE_SHIFT,
): number {
  const at = tileAt(weight, row, col, rows, cols) + 2 * (row % TILE_ROWS);
  return halfValue(viewOf(bytes).getUint16(at, true)) / 2 ** shift;
}

/** What a weight of a q4m or q5 tile is above its integer times its scale; of others 0. */
export function tileMinimum(
  weight: number,
  bytes: Uint8Array,
  row: number,
  col: number,
  rows: number,
  cols: number,
  shift: number = SCALE_SHIFT,
): number {
  if (weight !== WEIGHT_Q4M && weight !== WEIGHT_Q5) return 0;
  const at = tileAt(weight, row, col, rows, cols) + TILE_MINIMA + 2 * (row % TILE_ROWS);
  return halfValue(viewOf(bytes).getUint16(at, true)) / 2 ** shift;
}

const books: Readonly<Record<number, readonly number[]>> = {
  [WEIGHT_NL]: [-127, -104, -83, -65, -49, -35, -22, -10, 1, 13, 25, 38, 53, 69, 89, 113],
  [WEIGHT_MXFP4]: [0, 1, 2, 3, 4, 6, 8, 12, 0, -1, -2, -3, -4, -6, -8, -12],
};

/** Column c of 32 fields of 5 bits; `byte` gives that of a vector. */
function fiveBits(c: number, byte: (v: number) => number): number {
  const bits = (v: number, from: number, count: number) => (byte(v) >> from) & ((1 << count) - 1);
  const v = Math.floor(c / 4);
  if (v < 5) return bits(v, 0, 5);
  if (v === 5) return bits(0, 5, 3) + 8 * bits(1, 5, 2);
  if (v === 6) return bits(2, 5, 3) + 8 * bits(3, 5, 2);
  return bits(4, 5, 3) + 8 * bits(1, 7, 1) + 16 * bits(3, 7, 1);
}

/** The integer that a tile stores for one weight, or that its nibble stands for. */
export function tileInteger(
  weight: number,
  bytes: Uint8Array,
  row: number,
  col: number,
  rows: number,
  cols: number,
): number {
  const tile = tileAt(weight, row, col, rows, cols);
  const lane = row % TILE_ROWS;
  const c = col % BLOCK_COLS;
  if (weight === WEIGHT_Q8) {
    return (bytes[tile + Q8_TILE_VALUES + 16 * Math.floor(c / 4) + 4 * lane + (c % 4)] as number) - 128;
  }
  const values = tile + (weight === WEIGHT_Q4M || weight === WEIGHT_Q5 ? 2 * TILE_MINIMA : Q4_TILE_VALUES);
  const vector = (v: number) => bytes[values + 16 * v + 4 * lane + (c % 4)] as number;
  if (weight === WEIGHT_Q5) return fiveBits(c, vector);
  const byte = vector(Math.floor((c % 16) / 4));
  const nibble = c < 16 ? byte % 16 : Math.floor(byte / 16);
  if (weight === WEIGHT_Q4M) return nibble;
  return books[weight]?.[nibble] ?? nibble - 8;
}

/** The weights [padded rows, padded cols] that tiles stand for, whose scales are stored times 2^shift. */
export function decodeTiles(
  weight: number,
  bytes: Uint8Array,
  rows: number,
  cols: number,
  shift: number = SCALE_SHIFT,
): Float64Array {
  const height = padded(rows, PADDED_ROWS);
  const width = padded(cols, BLOCK_COLS);
  const view = viewOf(bytes);
  const out = new Float64Array(height * width);
  const ofSupers = isSuper(weight);
  let [scale, minimum] = [0, 0];
  for (let r = 0; r < height; r++) {
    for (let c = 0; c < width; c++) {
      const at = r * width + c;
      if (weight === WEIGHT_F32) {
        out[at] = view.getFloat32(f32At(r, c, rows, cols), true);
      } else if (ofSupers) {
        out[at] = weightValue(tileParts(weight, bytes, r, c, rows, cols, shift));
      } else {
        // Both are those of a row's whole block.
        if (c % BLOCK_COLS === 0) {
          scale = tileScale(weight, bytes, r, c, rows, cols, shift);
          minimum = tileMinimum(weight, bytes, r, c, rows, cols, shift);
        }
        out[at] = scale * tileInteger(weight, bytes, r, c, rows, cols) + minimum;
      }
    }
  }
  return out;
}

const typesByCode = new Map([...fileTypes.values()].map((type) => [type.code, type]));

function typeOf(file: number): FileType {
  return typesByCode.get(file) as FileType;
}

/** Value i of a row of file blocks (every FILE_* but FILE_Q8_G). */
export function fileValue(file: number, bytes: Uint8Array, i: number): number {
  const view = viewOf(bytes);
  if (file === FILE_F32) return view.getFloat32(4 * i, true);
  if (file === FILE_F16) return halfValue(view.getUint16(2 * i, true));
  if (file === FILE_BF16) return bfloat16Value(view.getUint16(2 * i, true));
  if (file in superFiles) return Math.fround(weightValue(fileParts(file, bytes, i)));
  const col = i % 32;
  if (file === FILE_Q8_0) {
    const block = Math.floor(i / 32) * FILE_Q8_0_BYTES;
    return halfValue(view.getUint16(block, true)) * view.getInt8(block + 2 + col);
  }
  if (file !== FILE_Q4_0) {
    const { name, blockCols, blockBytes } = typeOf(file);
    return blockValue(name, bytes, Math.floor(i / blockCols) * blockBytes, i % blockCols);
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

/** The int8 of activation blocks of one token. */
export function activationIntegers(bytes: Uint8Array, n: number): Int32Array {
  const view = viewOf(bytes);
  const at = (i: number) => Math.floor(i / BLOCK_COLS) * ACT_BLOCK_BYTES + (i % BLOCK_COLS);
  return Int32Array.from({ length: n }, (_, i) => view.getInt8(at(i)));
}

/** The scale of activation block b. */
export function activationScale(bytes: Uint8Array, b: number): number {
  return viewOf(bytes).getFloat32(b * ACT_BLOCK_BYTES + ACT_SCALE, true);
}

/** The values that activation blocks stand for. */
export function decodeActivations(bytes: Uint8Array, n: number): Float64Array {
  const integers = activationIntegers(bytes, n);
  return Float64Array.from(integers, (q, i) => q * activationScale(bytes, Math.floor(i / BLOCK_COLS)));
}

/** Blocks that four tokens share, as the blocks of token `lane` alone. */
export function blocksOfLane(bytes: Uint8Array, lane: number): Uint8Array {
  const blocks = bytes.length / ACTS_BLOCK_BYTES;
  const out = new Uint8Array(blocks * ACT_BLOCK_BYTES);
  for (let b = 0; b < blocks; b++) {
    const from = b * ACTS_BLOCK_BYTES + 4 * lane;
    for (let step = 0; step < 8; step++) {
      out.set(bytes.subarray(from + 16 * step, from + 16 * step + 4), b * ACT_BLOCK_BYTES + 4 * step);
    }
    out.set(bytes.subarray(from + ACTS_SCALES, from + ACTS_SCALES + 4), b * ACT_BLOCK_BYTES + ACT_SCALE);
    out.set(bytes.subarray(from + ACTS_SUMS, from + ACTS_SUMS + 4), b * ACT_BLOCK_BYTES + ACT_SUMS);
  }
  return out;
}

/** The nearest integer, ties to the even one. */
export function roundEven(x: number): number {
  const down = Math.floor(x);
  const rest = x - down;
  if (rest === 0.5) return down % 2 === 0 ? down : down + 1;
  return rest < 0.5 ? down : down + 1;
}
