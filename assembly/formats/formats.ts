// The formats of weights in memory: the only switch over WEIGHT_* in the kernels. A new format is a file beside this one,
// and a case in each function below.
import {
  ACT_F32,
  ACT_Q8,
  ACT_SUPER,
  DOT_MOVED,
  DOT_UNSIGNED,
  DOT_WIDE,
  F32_GROUP_STRIPS,
  F32_TILE_BYTES,
  GROUP_STRIPS,
  Q4_TILE_BYTES,
  Q8_TILE_BYTES,
  SUPER_BLOCKS,
  TILE_ROWS,
  WEIGHT_BOOK,
  WEIGHT_F32,
  WEIGHT_MXFP4,
  WEIGHT_NL,
  WEIGHT_Q2K,
  WEIGHT_Q4K,
  WEIGHT_Q4M,
  WEIGHT_Q5,
  WEIGHT_Q5K,
  WEIGHT_Q6K,
  WEIGHT_Q8,
  WEIGHT_X3K,
  WEIGHT_X4K,
  WIDE_SUPER_BYTES,
} from "../layout/blocks";
import { CONTROL_SPLATS, SPLAT_LOADS } from "../layout/control";
import {
  FILE_IQ4_NL,
  FILE_IQ4_XS,
  FILE_MXFP4,
  FILE_Q1_0,
  FILE_Q2_0,
  FILE_Q4_0,
  FILE_Q4_1,
  FILE_Q5_0,
  FILE_Q5_1,
  FILE_Q8_0,
  FILE_TQ1_0,
  FILE_TQ2_0,
} from "../layout/file_types.gen";
import { RELAXED } from "../simd/dot";
import { block_bytes } from "../types/types.gen";
import { CELL_F32, embed_row_f32, pack_row_f32, zero_row_f32 } from "./f32";
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
  is_packed_q4,
  multiply_group_q4,
  pack_row_q4,
  pack_units_q4,
  unpack_q4,
  walk_q4,
  zero_row_q4,
} from "./q4";
import {
  copy_tile_q8,
  embed_row_q8,
  is_packed_q8,
  multiply_group_q8,
  pack_row_q8,
  unpack_q8,
  walk_q8,
  zero_row_q8,
} from "./q8";
import { unshift_tile } from "./scales";
import {
  book_of,
  head_size,
  is_super,
  layout_of,
  super_size,
  tile_size,
  with_book,
  with_halves,
  with_minima,
} from "./super_layout";
import {
  FORM_BYTES,
  FORM_NIBBLES,
  FORM_PAIRS,
  FORM_SHUFFLED_PAIRS,
  FORM_WIDE,
  LESS_BLOCKS_7,
  LESS_HALVES_5,
  LESS_HALVES_7,
  LESS_MINIMA,
  LESS_MINIMA_OF_HALVES,
  LESS_NOTHING,
  multiply_supers,
} from "./super_multiply";
import { embed_row_super, invert_book, pack_coded, pack_iq4_xs, pack_super, zero_super } from "./super_pack";
import { unpack_super } from "./super_unpack";
import { walk_super_form } from "./super_walk";

export { is_super };

// Whether a format is one of offsets.ts.
function is_offset(weight: i32): bool {
  return weight >= WEIGHT_NL && weight < WEIGHT_BOOK;
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
    return <i32>super_size(layout_of(weight)) / SUPER_BLOCKS;
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
    embed_row_super(layout_of(weight), column, size, s, lane, blocks, factor, scale, book_of(weight), out);
    return;
  }
  const cell = strip_at(w, weight, strip, blocks);
  const step = cell_step(weight, strip, strips);
  if (weight === WEIGHT_F32) embed_row_f32(cell, step, lane, blocks, scale, out);
  else if (weight === WEIGHT_Q8) embed_row_q8(cell, step, lane, blocks, factor, scale, out);
  else embed_row_offsets(weight, cell, step, lane, blocks, factor, scale, out);
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
    const book = book_of(weight);
    switch (layout_of(weight)) {
      case WEIGHT_Q4K:
        walk_super_form<u8>(dot, column, x, out, streams, gap, strips, blocks, factor, sums, book);
        break;
      case WEIGHT_Q5K:
        walk_super_form<i8>(dot, column, x, out, streams, gap, strips, blocks, factor, sums, book);
        break;
      case WEIGHT_X4K:
        walk_super_form<i16>(dot, column, x, out, streams, gap, strips, blocks, factor, sums, book);
        break;
      case WEIGHT_X3K:
        walk_super_form<u32>(dot, column, x, out, streams, gap, strips, blocks, factor, sums, book);
        break;
      case WEIGHT_Q2K:
        walk_super_form<i32>(dot, column, x, out, streams, gap, strips, blocks, factor, sums, book);
        break;
      default:
        walk_super_form<u16>(dot, column, x, out, streams, gap, strips, blocks, factor, sums, book);
    }
  } else if (is_offset(weight)) {
    walk_offsets(weight, dot, column, x, out, streams, gap, strips, blocks, factor);
  } else if (weight === WEIGHT_Q8) walk_q8(dot, column, x, out, streams, gap, strips, blocks, factor);
  else walk_q4(dot, column, x, out, streams, gap, strips, blocks, factor);
}

/**
 * Unpacks `blocks` blocks of a group of `strips` strips for several tokens, as far as multiply_group() takes them so.
 * many    more than two ACT_TOKENS: few do not pay for what each of them gains by it
 */
export function unpack(
  weight: i32,
  dot: i32,
  many: bool,
  from: usize,
  to: usize,
  strips: i32,
  blocks: i32,
): void {
  if (is_super(weight)) {
    const layout = layout_of(weight);
    const bytes = in_bytes(layout, dot);
    const values = !is_in_place(weight, dot, many);
    unpack_super(layout, from, to, strips, blocks / SUPER_BLOCKS, book_of(weight), dot, bytes, values);
    return;
  }
  const tiles = strips * blocks;
  if (is_offset(weight)) unpack_offsets(weight, dot, many, from, to, tiles);
  else if (weight === WEIGHT_Q8) unpack_q8(dot, many, from, to, tiles);
  else unpack_q4(many, from, to, tiles);
}

/**
 * out[t, r] += sum_c W[r,c] * x[t, c] for a group of strips and up to four tokens: see tiles.ts and super_multiply.ts.
 * packed   the group as it is packed
 * scratch  where unpack() has unpacked it to
 */
export function multiply_group(
  weight: i32,
  dot: i32,
  packed: usize,
  scratch: usize,
  x: usize,
  out: usize,
  outStride: usize,
  tokens: i32,
  many: bool,
  strips: i32,
  blocks: i32,
  factor: f32,
): void {
  if (is_super(weight)) {
    const from = is_in_place(weight, dot, many) ? packed : 0;
    const supers = blocks / SUPER_BLOCKS;
    multiply_super(layout_of(weight), dot, scratch, x, out, outStride, strips, supers, factor, from);
  } else if (is_offset(weight)) {
    multiply_group_offsets(weight, dot, scratch, x, out, outStride, tokens, many, strips, blocks, factor);
  } else if (weight === WEIGHT_Q8) {
    const tile = is_packed_q8(dot, many) ? packed : scratch;
    multiply_group_q8(dot, tile, x, out, outStride, tokens, many, strips, blocks, 16, factor, scratch);
  } else {
    const tile = is_packed_q4(many) ? packed : scratch;
    multiply_group_q4(dot, tile, x, out, outStride, tokens, many, strips, blocks, factor);
  }
}

// Whether superblocks are unpacked to bytes. Books have no form for pairs.
function in_bytes(layout: i32, dot: i32): bool {
  if (!RELAXED || dot === DOT_WIDE) return false;
  return dot !== DOT_MOVED || !with_book(layout);
}

/**
 * Whether the kernel for several tokens takes nibbles of superblocks as they lie, so that only heads are unpacked. With pairs
 * the processor's units for vectors are what it waits for, and to take nibbles apart for each four tokens keeps them longer.
 */
export function is_in_place(weight: i32, dot: i32, many: bool): bool {
  return RELAXED && weight === WEIGHT_Q4K && dot !== DOT_MOVED && dot !== DOT_WIDE && !many;
}

// LESS_* of a format, whose superblocks were unpacked to bytes or not.
function less_of(layout: i32, dot: i32, bytes: bool): i32 {
  if (layout === WEIGHT_Q2K) return LESS_MINIMA_OF_HALVES;
  if (with_minima(layout)) return LESS_MINIMA;
  if (!bytes) return LESS_NOTHING;
  if (layout === WEIGHT_Q6K) return LESS_HALVES_5;
  if (dot !== DOT_UNSIGNED) return LESS_NOTHING;
  return layout === WEIGHT_X4K ? LESS_BLOCKS_7 : LESS_HALVES_7;
}

function multiply_super(
  layout: i32,
  dot: i32,
  tile: usize,
  x: usize,
  out: usize,
  outStride: usize,
  strips: i32,
  supers: i32,
  factor: f32,
  packed: usize,
): void {
  const bytes = in_bytes(layout, dot);
  const own = with_halves(layout);
  let form = FORM_WIDE;
  let part: usize = own ? 64 : 128;
  let top = 0;
  if (bytes && dot === DOT_MOVED) {
    form = load<i32>(CONTROL_SPLATS) === SPLAT_LOADS ? FORM_PAIRS : FORM_SHUFFLED_PAIRS;
    // i16 hold the sums of 32 columns of 4 bits, of 16 of 5 bits, and of 8 of 6 bits.
    if (layout === WEIGHT_Q6K) part = 32;
    else if (layout === WEIGHT_Q5K) part = 64;
  } else if (bytes) {
    form = packed ? FORM_NIBBLES : FORM_BYTES;
    top = layout === WEIGHT_Q4K ? 15 : layout === WEIGHT_Q5K ? 31 : layout === WEIGHT_Q2K ? 3 : 32768;
  }
  multiply_supers(
    form,
    tile,
    packed,
    x,
    out,
    outStride,
    strips,
    supers,
    factor,
    less_of(layout, dot, bytes),
    part,
    own,
    top,
    // Behind the largest unpacked superblocks.
    tile + <usize>(supers * strips) * WIDE_SUPER_BYTES,
  );
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
  if (weight === WEIGHT_Q8) return copy_tile_q8(p0, p1, p2, p3, tile, shift);
  return copy_tile_offsets(weight, file, p0, p1, p2, p3, tile, shift);
}

// Types whose values are -1 to 2 times a half.
function has_units(file: i32): bool {
  return file === FILE_TQ1_0 || file === FILE_TQ2_0 || file === FILE_Q1_0 || file === FILE_Q2_0;
}

/** 32 f32 values of a file at `row` as row r of the block whose first cell is `cell`. Returns 0, or 1 if one is too large. */
export function pack_row(
  file: i32,
  weight: i32,
  row: usize,
  cell: usize,
  step: usize,
  r: usize,
  shift: i32,
): i32 {
  if (weight === WEIGHT_F32) return pack_row_f32(row, cell, step, r);
  if (weight === WEIGHT_Q8) return pack_row_q8(row, cell, r, shift);
  if (!has_units(file)) return pack_row_q4(row, cell, r, shift);
  pack_units_q4(row, cell, r, shift);
  return 0;
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
  file: i32,
  weight: i32,
  src: usize,
  table: usize,
  w: usize,
  strip: i32,
  strips: i32,
  blocks: i32,
  r: usize,
  shift: i32,
  scratch: usize,
): i32 {
  const size = <usize>group_size(strip, strips, GROUP_STRIPS);
  const s = <usize>(strip % GROUP_STRIPS);
  let column = group_at(w, weight, strip, blocks);
  const layout = layout_of(weight);
  const tiles = size * tile_size(layout);
  const heads = size * head_size(layout);
  const bytes = <usize>block_bytes(file);
  for (let b = 0; b < blocks; b += SUPER_BLOCKS, column += size * super_size(layout)) {
    const head = column + s * head_size(layout);
    const tile = column + heads + s * tile_size(layout);
    if (!src) {
      zero_super(layout, head, tile, tiles, r);
      continue;
    }
    let bad = 0;
    if (!with_book(layout)) bad = pack_super(layout, src, head, tile, tiles, r, shift, scratch);
    else if (file === FILE_IQ4_XS) bad = pack_iq4_xs(src, head, tile, tiles, r, shift);
    else bad = pack_coded(layout, file, src, table, head, tile, tiles, r, shift, scratch);
    if (bad) return 1;
    src += bytes;
  }
  return 0;
}

/** Writes what packing into a format with a book needs to `scratch`. */
export function begin_super(weight: i32, scratch: usize): void {
  invert_book(book_of(weight), scratch + 160);
}

/** Takes 2^SCALE_SHIFT off the scales of a strip: see unshift_scales(). */
export function unshift_super(weight: i32, w: usize, strip: i32, strips: i32, blocks: i32): void {
  const size = <usize>group_size(strip, strips, GROUP_STRIPS);
  const step = size * SUPER_BLOCKS * <usize>tile_bytes(weight);
  const layout = layout_of(weight);
  let head = group_at(w, weight, strip, blocks) + <usize>(strip % GROUP_STRIPS) * head_size(layout);
  for (let b = 0; b < blocks; b += SUPER_BLOCKS, head += step) {
    unshift_tile(head);
    if (with_minima(layout)) unshift_tile(head + 8);
  }
}
