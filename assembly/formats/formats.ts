// The formats of weights in memory: the only switch over WEIGHT_* in the kernels. A new format is a file beside this one,
// and a case in each function below.
import {
  ACT_F32,
  ACT_Q8,
  ACT_SUPER,
  DOT_MOVED,
  DOT_WIDE,
  F32_GROUP_STRIPS,
  F32_TILE_BYTES,
  GROUP_STRIPS,
  Q4_TILE_BYTES,
  Q8_TILE_BYTES,
  SUPER_BLOCKS,
  TILE_ROWS,
  WEIGHT_F32,
  WEIGHT_MXFP4,
  WEIGHT_NL,
  WEIGHT_Q4,
  WEIGHT_Q4K,
  WEIGHT_Q4M,
  WEIGHT_Q5,
  WEIGHT_Q5K,
  WEIGHT_Q8,
  WIDE_SUPER_BYTES,
} from "../layout/blocks";
import {
  FILE_IQ4_NL,
  FILE_MXFP4,
  FILE_Q4_0,
  FILE_Q4_1,
  FILE_Q4_K,
  FILE_Q5_0,
  FILE_Q5_1,
  FILE_Q5_K,
  FILE_Q6_K,
  FILE_Q8_0,
} from "../layout/file_types.gen";
import { RELAXED } from "../simd/dot";
import { CELL_F32, embed_row_f32, pack_row_f32, zero_row_f32 } from "./f32";
import { is_q6k } from "./fields";
import { group_bytes_before, group_size } from "./groups";
import {
  copy_tile_offsets,
  embed_row_offsets,
  multiply_group_offsets,
  offset_tile_bytes,
  unpack_offsets,
  walk_offsets,
  zero_row_offsets,
} from "./offsets";
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
import { unshift_tile } from "./scales";
import { has_minima, head_bytes, super_bytes, tile_of } from "./super";
import {
  LESS_HALVES,
  LESS_MINIMA,
  LESS_NOTHING,
  multiply_super_bytes,
  multiply_super_wide,
} from "./super_multiply";
import {
  embed_row_super,
  file_super,
  pack_super,
  unpack_super_bytes,
  unpack_super_wide,
  zero_super,
} from "./super_pack";
import { walk_super_form } from "./super_walk";

/** Whether a format has superblocks, whose columns share scales of two levels. */
export function is_super(weight: i32): bool {
  return weight > WEIGHT_Q4 && weight < WEIGHT_NL;
}

// Whether a format is one of offsets.ts.
function is_offset(weight: i32): bool {
  return weight >= WEIGHT_NL;
}

/** ACT_* of the activations that the format is multiplied by. */
export function activations_of(weight: i32): i32 {
  return weight === WEIGHT_F32 ? ACT_F32 : is_super(weight) ? ACT_SUPER : ACT_Q8;
}

/** Strips of a whole group. */
export function group_strips(weight: i32): i32 {
  return weight === WEIGHT_F32 ? F32_GROUP_STRIPS : GROUP_STRIPS;
}

/** Bytes of a tile, with its share of the header if the format has superblocks. */
export function tile_bytes(weight: i32): i32 {
  if (is_super(weight)) {
    const bytes =
      weight === WEIGHT_Q4K
        ? super_bytes<u8>()
        : weight === WEIGHT_Q5K
          ? super_bytes<i8>()
          : super_bytes<u16>();
    return <i32>bytes / SUPER_BLOCKS;
  }
  if (is_offset(weight)) return offset_tile_bytes(weight);
  return weight === WEIGHT_F32 ? F32_TILE_BYTES : weight === WEIGHT_Q8 ? Q8_TILE_BYTES : Q4_TILE_BYTES;
}

/** Bytes of a strip that lie together in its group: a tile, of f32 four columns. */
export function cell_bytes(weight: i32): i32 {
  return weight === WEIGHT_F32 ? CELL_F32 : tile_bytes(weight);
}

/** The address of the group that a strip lies in, in a matrix of `blocks` blocks of columns. */
function group_at(w: usize, weight: i32, strip: i32, blocks: i32): usize {
  return w + group_bytes_before(strip, blocks, group_strips(weight), <usize>tile_bytes(weight));
}

/** The address of a strip's first cell, in a matrix of `blocks` blocks of columns. Not of superblocks. */
export function strip_at(w: usize, weight: i32, strip: i32, blocks: i32): usize {
  return (
    group_at(w, weight, strip, blocks) + <usize>(strip % group_strips(weight)) * <usize>cell_bytes(weight)
  );
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
  if (is_super(weight)) {
    const size = <usize>group_size(strip, strips, GROUP_STRIPS);
    const column = group_at(w, weight, strip, blocks);
    const s = <usize>(strip % GROUP_STRIPS);
    if (weight === WEIGHT_Q4K) embed_row_super<u8>(column, size, s, lane, blocks, factor, scale, out);
    else if (weight === WEIGHT_Q5K) embed_row_super<i8>(column, size, s, lane, blocks, factor, scale, out);
    else embed_row_super<u16>(column, size, s, lane, blocks, factor, scale, out);
    return;
  }
  const cell = strip_at(w, weight, strip, blocks);
  const step = cell_step(weight, strip, strips);
  if (is_offset(weight)) {
    embed_row_offsets(weight, cell, step, lane, blocks, factor, scale, out);
    return;
  }
  if (weight === WEIGHT_F32) embed_row_f32(cell, step, lane, blocks, scale, out);
  else if (weight === WEIGHT_Q8) embed_row_q8(cell, step, lane, blocks, factor, scale, out);
  else embed_row_q4(cell, step, lane, blocks, factor, scale, out);
}

// ---- Products with int8 activations. The loops around them are in plan/ops/matmul.ts.

/**
 * Groups of `strips` strips, `streams` of them at once, times one token: see walk() in q8.ts.
 * sums  16 bytes for each strip of each stream, to work in
 */
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
  sums: usize,
): void {
  if (is_super(weight)) {
    if (weight === WEIGHT_Q4K)
      walk_super_form<u8>(dot, column, x, out, streams, gap, strips, blocks, factor, sums);
    else if (weight === WEIGHT_Q5K)
      walk_super_form<i8>(dot, column, x, out, streams, gap, strips, blocks, factor, sums);
    else walk_super_form<u16>(dot, column, x, out, streams, gap, strips, blocks, factor, sums);
  } else if (is_offset(weight)) {
    walk_offsets(weight, dot, column, x, out, streams, gap, strips, blocks, factor);
  } else if (weight === WEIGHT_Q8) walk_q8(dot, column, x, out, streams, gap, strips, blocks, factor);
  else walk_q4(dot, column, x, out, streams, gap, strips, blocks, factor);
}

/**
 * Unpacks `blocks` blocks of a group of `strips` strips for several tokens, if that is worth it; false: multiply_group()
 * takes them as they are.
 */
export function unpack(
  weight: i32,
  dot: i32,
  tokens: i32,
  from: usize,
  to: usize,
  strips: i32,
  blocks: i32,
): bool {
  if (is_super(weight)) {
    const supers = blocks / SUPER_BLOCKS;
    if (weight === WEIGHT_Q4K) unpack_super<u8>(dot, from, to, strips, supers);
    else if (weight === WEIGHT_Q5K) unpack_super<i8>(dot, from, to, strips, supers);
    else unpack_super<u16>(dot, from, to, strips, supers);
    return true;
  }
  const tiles = strips * blocks;
  if (is_offset(weight)) {
    unpack_offsets(weight, dot, from, to, tiles);
    return true;
  }
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
  if (is_super(weight)) {
    const supers = blocks / SUPER_BLOCKS;
    if (weight === WEIGHT_Q4K) multiply_super<u8>(dot, tile, x, out, outStride, strips, supers, factor);
    else if (weight === WEIGHT_Q5K) multiply_super<i8>(dot, tile, x, out, outStride, strips, supers, factor);
    else multiply_super<u16>(dot, tile, x, out, outStride, strips, supers, factor);
  } else if (is_offset(weight)) {
    multiply_group_offsets(weight, dot, tile, x, out, outStride, tokens, strips, blocks, factor);
  } else if (weight === WEIGHT_Q8) {
    multiply_group_q8(dot, tile, x, out, outStride, tokens, strips, blocks, factor);
  } else {
    multiply_group_q4(dot, unpacked, tile, x, out, outStride, tokens, strips, blocks, factor);
  }
}

// Whether superblocks are unpacked to bytes. Pairs of i16 hold too few products of q6k.
function in_bytes<F>(dot: i32): bool {
  if (!RELAXED || dot === DOT_WIDE) return false;
  return dot !== DOT_MOVED || !is_q6k<F>();
}

function unpack_super<F>(dot: i32, from: usize, to: usize, strips: i32, supers: i32): void {
  if (in_bytes<F>(dot)) unpack_super_bytes<F>(from, to, strips, supers, dot === DOT_MOVED);
  else unpack_super_wide<F>(from, to, strips, supers);
}

function multiply_super<F>(
  dot: i32,
  tile: usize,
  x: usize,
  out: usize,
  outStride: usize,
  strips: i32,
  supers: i32,
  factor: f32,
): void {
  const minima = has_minima<F>() ? LESS_MINIMA : LESS_NOTHING;
  // Behind the largest unpacked superblocks.
  const work = tile + <usize>(supers * strips) * WIDE_SUPER_BYTES;
  if (RELAXED && in_bytes<F>(dot)) {
    if (is_q6k<F>()) {
      multiply_super_bytes<u8, u16>(tile, x, out, outStride, strips, supers, factor, LESS_HALVES, work);
    } else if (dot !== DOT_MOVED) {
      multiply_super_bytes<u8, u8>(tile, x, out, outStride, strips, supers, factor, minima, work);
    } else {
      multiply_super_bytes<i8, F>(tile, x, out, outStride, strips, supers, factor, minima, work);
    }
    return;
  }
  multiply_super_wide(tile, x, out, outStride, strips, supers, factor, minima, work);
}

// ---- Packing.

/** Whether the format keeps the blocks of a FILE_* type as they are. */
export function is_copied(weight: i32, file: i32): bool {
  return file === copied_type(weight) || (weight === WEIGHT_Q5 && file === FILE_Q5_0);
}

function copied_type(weight: i32): i32 {
  if (weight === WEIGHT_NL) return FILE_IQ4_NL;
  if (weight === WEIGHT_MXFP4) return FILE_MXFP4;
  if (weight === WEIGHT_Q4M) return FILE_Q4_1;
  if (weight === WEIGHT_Q5) return FILE_Q5_1;
  if (is_super(weight))
    return weight === WEIGHT_Q4K ? FILE_Q4_K : weight === WEIGHT_Q5K ? FILE_Q5_K : FILE_Q6_K;
  return weight === WEIGHT_F32 ? -1 : weight === WEIGHT_Q8 ? FILE_Q8_0 : FILE_Q4_0;
}

/** A tile from a block of that type of each of four rows. Returns 0, or 1 + the first row that cannot be packed. */
export function copy_tile(
  weight: i32,
  file: i32,
  p0: usize,
  p1: usize,
  p2: usize,
  p3: usize,
  tile: usize,
  shift: i32,
): i32 {
  if (is_offset(weight)) return copy_tile_offsets(weight, file, p0, p1, p2, p3, tile, shift);
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
  else if (is_offset(weight)) zero_row_offsets(weight, cell, r);
  else zero_row_q4(cell, r);
}

/**
 * Packs a row of file superblocks at `src` as row r of a strip, or zeros if `src` is 0. Returns 0, or 1 if a scale is NaN
 * or infinite.
 */
export function pack_super_row(
  weight: i32,
  src: usize,
  w: usize,
  strip: i32,
  strips: i32,
  blocks: i32,
  r: usize,
  shift: i32,
): i32 {
  const size = <usize>group_size(strip, strips, GROUP_STRIPS);
  const column = group_at(w, weight, strip, blocks);
  const s = <usize>(strip % GROUP_STRIPS);
  if (weight === WEIGHT_Q4K) return pack_row_super<u8>(src, column, size, s, blocks, r, shift);
  if (weight === WEIGHT_Q5K) return pack_row_super<i8>(src, column, size, s, blocks, r, shift);
  return pack_row_super<u16>(src, column, size, s, blocks, r, shift);
}

function pack_row_super<F>(
  src: usize,
  column: usize,
  size: usize,
  s: usize,
  blocks: i32,
  r: usize,
  shift: i32,
): i32 {
  const tiles = size * tile_of<F>();
  const heads = size * head_bytes<F>();
  for (let b = 0; b < blocks; b += SUPER_BLOCKS, column += size * super_bytes<F>()) {
    const head = column + s * head_bytes<F>();
    const tile = column + heads + s * tile_of<F>();
    if (!src) {
      zero_super<F>(head, tile, tiles, r);
      continue;
    }
    if (pack_super<F>(src, head, tile, tiles, r, shift)) return 1;
    src += file_super<F>();
  }
  return 0;
}

/** Takes 2^SCALE_SHIFT off the scales of a strip: see unshift_scales(). */
export function unshift_super(weight: i32, w: usize, strip: i32, strips: i32, blocks: i32): void {
  const size = <usize>group_size(strip, strips, GROUP_STRIPS);
  const step = size * SUPER_BLOCKS * <usize>tile_bytes(weight);
  const bytes: usize = weight > WEIGHT_Q5K ? head_bytes<u16>() : head_bytes<u8>();
  let head = group_at(w, weight, strip, blocks) + <usize>(strip % GROUP_STRIPS) * bytes;
  for (let b = 0; b < blocks; b += SUPER_BLOCKS, head += step) {
    unshift_tile(head);
    if (weight <= WEIGHT_Q5K) unshift_tile(head + 8);
  }
}
