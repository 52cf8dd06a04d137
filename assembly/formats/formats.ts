// The formats of weights in memory: the only switch over WEIGHT_* in the kernels. A new format is a file beside this one,
// and a case in each function below.
import {
  ACT_F32,
  ACT_Q8,
  F32_GROUP_STRIPS,
  F32_TILE_BYTES,
  GROUP_STRIPS,
  Q4_TILE_BYTES,
  Q8_TILE_BYTES,
  TILE_ROWS,
  WEIGHT_F32,
  WEIGHT_Q8,
} from "../layout/blocks";
import { FILE_Q4_0, FILE_Q8_0 } from "../layout/file_types.gen";
import { CELL_F32, embed_row_f32, pack_row_f32, zero_row_f32 } from "./f32";
import { group_bytes_before, group_size } from "./groups";
import {
  copy_tile_q4,
  embed_row_q4,
  multiply_group_q4,
  pack_row_q4,
  unpack_q4,
  walk_q4,
  zero_row_q4,
} from "./q4";
import {
  copy_tile_q8,
  embed_row_q8,
  multiply_group_q8,
  pack_row_q8,
  unpack_q8,
  walk_q8,
  zero_row_q8,
} from "./q8";

/** ACT_* of the activations that the format is multiplied by. */
export function activations_of(weight: i32): i32 {
  return weight === WEIGHT_F32 ? ACT_F32 : ACT_Q8;
}

/** Strips of a whole group. */
export function group_strips(weight: i32): i32 {
  return weight === WEIGHT_F32 ? F32_GROUP_STRIPS : GROUP_STRIPS;
}

/** Bytes of a tile. */
export function tile_bytes(weight: i32): i32 {
  return weight === WEIGHT_F32 ? F32_TILE_BYTES : weight === WEIGHT_Q8 ? Q8_TILE_BYTES : Q4_TILE_BYTES;
}

/** Bytes of a strip that lie together in its group: a tile, of f32 four columns. */
export function cell_bytes(weight: i32): i32 {
  return weight === WEIGHT_F32 ? CELL_F32 : tile_bytes(weight);
}

/** The address of a strip's first cell, in a matrix of `blocks` blocks of columns. */
export function strip_at(w: usize, weight: i32, strip: i32, blocks: i32): usize {
  const most = group_strips(weight);
  const before = group_bytes_before(strip, blocks, most, <usize>tile_bytes(weight));
  return w + before + <usize>(strip % most) * <usize>cell_bytes(weight);
}

/** Bytes between the cells of a strip. */
export function cell_step(weight: i32, strip: i32, strips: i32): usize {
  return <usize>group_size(strip, strips, group_strips(weight)) * <usize>cell_bytes(weight);
}

// ---- One row.

/**
 * out[c] = W[row, c] * scale
 * W      weight tiles of type `weight` [strips * 4, blocks * 32], the same that matmul reads
 * out    f32 [blocks * 32]
 * factor what scales of tiles are multiplied by: see MATMUL_FACTOR
 * Align: W 4 B, out 16 B        Reads past the end: none
 */
export function embed_row(
  w: usize,
  weight: i32,
  row: i32,
  strips: i32,
  blocks: i32,
  factor: f32,
  scale: f32,
  out: usize,
): void {
  const strip = row / TILE_ROWS;
  const lane = <usize>(row % TILE_ROWS);
  const cell = strip_at(w, weight, strip, blocks);
  const step = cell_step(weight, strip, strips);
  if (weight === WEIGHT_F32) embed_row_f32(cell, step, lane, blocks, scale, out);
  else if (weight === WEIGHT_Q8) embed_row_q8(cell, step, lane, blocks, factor, scale, out);
  else embed_row_q4(cell, step, lane, blocks, factor, scale, out);
}

// ---- Products with int8 activations. The loops around them are in plan/ops/matmul.ts.

/** Groups of `strips` strips, `streams` of them at once, times one token: see walk() in q8.ts. */
export function walk(
  weight: i32,
  dot: i32,
  column: usize,
  x: usize,
  out: usize,
  streams: i32,
  gap: usize,
  strips: i32,
  blocks: i32,
  factor: f32,
): void {
  if (weight === WEIGHT_Q8) walk_q8(dot, column, x, out, streams, gap, strips, blocks, factor);
  else walk_q4(dot, column, x, out, streams, gap, strips, blocks, factor);
}

/** Unpacks tiles for several tokens, if that is worth it; false: multiply_group() takes them as they are. */
export function unpack(weight: i32, dot: i32, tokens: i32, from: usize, to: usize, tiles: i32): bool {
  if (weight === WEIGHT_Q8) return unpack_q8(dot, from, to, tiles);
  return unpack_q4(dot, tokens, from, to, tiles);
}

/** out[t, r] += sum_c W[r,c] * x[t, c] for a group of strips and up to four tokens: see tiles.ts. */
export function multiply_group(
  weight: i32,
  dot: i32,
  unpacked: bool,
  tile: usize,
  x: usize,
  out: usize,
  outStride: usize,
  tokens: i32,
  strips: i32,
  blocks: i32,
  factor: f32,
): void {
  if (weight === WEIGHT_Q8) {
    multiply_group_q8(dot, tile, x, out, outStride, tokens, strips, blocks, factor);
  } else {
    multiply_group_q4(dot, unpacked, tile, x, out, outStride, tokens, strips, blocks, factor);
  }
}

// ---- Packing.

/** FILE_* of the type whose blocks the format keeps bit for bit; -1: none. */
export function copied_type(weight: i32): i32 {
  return weight === WEIGHT_F32 ? -1 : weight === WEIGHT_Q8 ? FILE_Q8_0 : FILE_Q4_0;
}

/** A tile from a block of that type of each of four rows. Returns 0, or 1 + the first row that cannot be packed. */
export function copy_tile(
  weight: i32,
  p0: usize,
  p1: usize,
  p2: usize,
  p3: usize,
  tile: usize,
  shift: i32,
): i32 {
  if (weight === WEIGHT_Q8) return copy_tile_q8(p0, p1, p2, p3, tile, shift);
  return copy_tile_q4(p0, p1, p2, p3, tile, shift);
}

/** 32 f32 values at `row` as row r of the block whose first cell is `cell`. Returns 0, or 1 if one is too large. */
export function pack_row(weight: i32, row: usize, cell: usize, step: usize, r: usize, shift: i32): i32 {
  if (weight === WEIGHT_F32) return pack_row_f32(row, cell, step, r);
  if (weight === WEIGHT_Q8) return pack_row_q8(row, cell, r, shift);
  return pack_row_q4(row, cell, r, shift);
}

/** Zeros as row r of the block whose first cell is `cell`: what pads the last strips. */
export function zero_row(weight: i32, cell: usize, step: usize, r: usize): void {
  if (weight === WEIGHT_F32) zero_row_f32(cell, step, r);
  else if (weight === WEIGHT_Q8) zero_row_q8(cell, r);
  else zero_row_q4(cell, r);
}
