// 8-bit weights times 8-bit activations.
import {
  ACT_BLOCK_BYTES,
  ACT_SCALE,
  ACT_SUMS,
  ACT_TOKENS,
  ACTS_BLOCK_BYTES,
  DOT_MOVED,
  DOT_SIGNED,
  DOT_UNSIGNED,
  GROUP_STRIPS,
  Q8_TILE_BYTES,
  Q8_TILE_VALUES,
  UNPACKED_BLOCKS,
} from "../layout/blocks";
import { CONST_FLIP, CONST_ONES_16, CONST_SIXTEEN_16 } from "../layout/control";
import { activation, dot8_hi, dot8_join, dot8_lo, q8_start, q8_start_second, RELAXED } from "../simd/dot";
import { f16_mask, load_scales } from "../simd/f16";
import { accumulate, group_size, start_rows } from "./rows";
import { tile_signed, tile_unsigned, tile_wide, unpack_q8_wide } from "./tiles";

/**
 * Groups of `strips` strips, `streams` of them at once, `gap` bytes apart, times one token. A block's eight activation
 * vectors stay in registers while the tiles of all groups pass, a tile of each group in turn: so each stream's lines are
 * asked for soon. The f32 sums live in `out`: a store for each strip keeps
 * compilers from carrying loads across strips, which makes JavaScriptCore spill, and leaves registers for the activations.
 */
function walk_q8<T>(
  column: usize,
  x: usize,
  out: usize,
  streams: i32,
  gap: usize,
  strips: i32,
  blocks: i32,
  factor: f32,
): void {
  const ones = v128.load(CONST_ONES_16);
  const flip = v128.load(CONST_FLIP);
  const mask = f16_mask();
  const power = f32x4.splat(factor);
  const step = <usize>strips * Q8_TILE_BYTES;
  const rowBytes = (<usize>strips) << 4;
  const rowGap = (gap / (step * <usize>blocks)) * rowBytes;
  const stop = x + <usize>blocks * ACT_BLOCK_BYTES;
  const ends = <usize>streams * rowGap;
  for (let xp = x; xp < stop; xp += ACT_BLOCK_BYTES, column += step) {
    const xs = f32x4.mul(v128.load32_splat(xp, ACT_SCALE), power);
    const start = q8_start<T>(v128.load32_splat(xp, ACT_SUMS), v128.load(CONST_SIXTEEN_16));
    const x0 = activation<T>(v128.load32_splat(xp));
    const x1 = activation<T>(v128.load32_splat(xp, 4));
    const x2 = activation<T>(v128.load32_splat(xp, 8));
    const x3 = activation<T>(v128.load32_splat(xp, 12));
    const x4 = activation<T>(v128.load32_splat(xp, 16));
    const x5 = activation<T>(v128.load32_splat(xp, 20));
    const x6 = activation<T>(v128.load32_splat(xp, 24));
    const x7 = activation<T>(v128.load32_splat(xp, 28));
    let from = column;
    const sides = out + rowBytes;
    for (let top = out; top < sides; top += 16, from += Q8_TILE_BYTES) {
      const end = top + ends;
      let tile = from;
      for (let row = top; row < end; row += rowGap, tile += gap) {
        let lo = start;
        let hi = q8_start_second<T>(start);
        let u = v128.load(tile, Q8_TILE_VALUES);
        lo = dot8_lo<T>(lo, u, x0, flip, ones);
        hi = dot8_hi<T>(hi, u, x0);
        u = v128.load(tile, Q8_TILE_VALUES + 16);
        lo = dot8_lo<T>(lo, u, x1, flip, ones);
        hi = dot8_hi<T>(hi, u, x1);
        u = v128.load(tile, Q8_TILE_VALUES + 32);
        lo = dot8_lo<T>(lo, u, x2, flip, ones);
        hi = dot8_hi<T>(hi, u, x2);
        u = v128.load(tile, Q8_TILE_VALUES + 48);
        lo = dot8_lo<T>(lo, u, x3, flip, ones);
        hi = dot8_hi<T>(hi, u, x3);
        u = v128.load(tile, Q8_TILE_VALUES + 64);
        lo = dot8_lo<T>(lo, u, x4, flip, ones);
        hi = dot8_hi<T>(hi, u, x4);
        u = v128.load(tile, Q8_TILE_VALUES + 80);
        lo = dot8_lo<T>(lo, u, x5, flip, ones);
        hi = dot8_hi<T>(hi, u, x5);
        u = v128.load(tile, Q8_TILE_VALUES + 96);
        lo = dot8_lo<T>(lo, u, x6, flip, ones);
        hi = dot8_hi<T>(hi, u, x6);
        u = v128.load(tile, Q8_TILE_VALUES + 112);
        lo = dot8_lo<T>(lo, u, x7, flip, ones);
        hi = dot8_hi<T>(hi, u, x7);
        accumulate(row, dot8_join<T>(lo, hi), load_scales(tile, mask), xs);
      }
    }
  }
}

/** walk_q8 with widened operands. */
export function walk_q8_wide(
  column: usize,
  x: usize,
  out: usize,
  streams: i32,
  gap: usize,
  strips: i32,
  blocks: i32,
  factor: f32,
): void {
  walk_q8<i16>(column, x, out, streams, gap, strips, blocks, factor);
}

/** walk_q8 with the sign moved to the activation. No weight may be -128. */
export function walk_q8_moved(
  column: usize,
  x: usize,
  out: usize,
  streams: i32,
  gap: usize,
  strips: i32,
  blocks: i32,
  factor: f32,
): void {
  if (RELAXED) walk_q8<i8>(column, x, out, streams, gap, strips, blocks, factor);
}

/** walk_q8 with weights as unsigned bytes. */
export function walk_q8_unsigned(
  column: usize,
  x: usize,
  out: usize,
  streams: i32,
  gap: usize,
  strips: i32,
  blocks: i32,
  factor: f32,
): void {
  if (RELAXED) walk_q8<u8>(column, x, out, streams, gap, strips, blocks, factor);
}

/** walk_q8 with weights as signed bytes. */
export function walk_q8_signed(
  column: usize,
  x: usize,
  out: usize,
  streams: i32,
  gap: usize,
  strips: i32,
  blocks: i32,
  factor: f32,
): void {
  if (RELAXED) walk_q8<i32>(column, x, out, streams, gap, strips, blocks, factor);
}

function walk(
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
  if (dot === DOT_UNSIGNED) walk_q8_unsigned(column, x, out, streams, gap, strips, blocks, factor);
  else if (dot === DOT_MOVED) walk_q8_moved(column, x, out, streams, gap, strips, blocks, factor);
  else if (dot === DOT_SIGNED) walk_q8_signed(column, x, out, streams, gap, strips, blocks, factor);
  else walk_q8_wide(column, x, out, streams, gap, strips, blocks, factor);
}

/**
 * out[r] = add[r] + sum_c W[r,c] * x[c]        rows of groups [begin, end), one token
 * W       q8 tiles [strips * 4, blocks * 32]   see layout/blocks.ts
 * x       activation blocks [blocks]           from quantize_q8(), finite
 * out     f32 [strips * 4]
 * add     f32 [strips * 4] or 0                may be out
 * strips  of the whole matrix
 * dot     DOT_*: see simd/dot.ts
 * streams groups that are read at once: prefetchers follow more or fewer of them
 * factor  what scales are multiplied by: see MATMUL_FACTOR
 * Align: W, x 4 B; out, add 16 B               Reads past the end: none
 * Numerics: i32 exact per block; f32 across blocks in ascending order, beginning with add, mul and add apart
 */
export function matvec_q8(
  w: usize,
  x: usize,
  out: usize,
  add: usize,
  begin: i32,
  end: i32,
  strips: i32,
  blocks: i32,
  dot: i32,
  streams: i32,
  factor: f32,
): void {
  start_rows(out, 0, add, 0, begin * GROUP_STRIPS, min(end * GROUP_STRIPS, strips), 1);
  const groupBytes = <usize>(GROUP_STRIPS * Q8_TILE_BYTES) * <usize>blocks;
  const whole = min(end, strips / GROUP_STRIPS);
  const length = max(0, whole - begin) / streams;
  const gap = <usize>length * groupBytes;
  let group = begin;
  let column = w + <usize>begin * groupBytes;
  let row = out + ((<usize>begin) << 7);
  for (; group < begin + length; group++, column += groupBytes, row += 128) {
    walk(dot, column, x, row, streams, gap, GROUP_STRIPS, blocks, factor);
  }
  // What the streams leave over is read in fewer, and the last, smaller group by itself.
  group = begin + length * streams;
  if (group < whole) {
    const at = <usize>group;
    walk(
      dot,
      w + at * groupBytes,
      x,
      out + (at << 7),
      whole - group,
      groupBytes,
      GROUP_STRIPS,
      blocks,
      factor,
    );
  }
  if (whole < end) {
    const at = <usize>whole;
    const size = strips - whole * GROUP_STRIPS;
    const bytes = <usize>(size * Q8_TILE_BYTES) * <usize>blocks;
    walk(dot, w + at * groupBytes, x, out + (at << 7), 1, bytes, size, blocks, factor);
  }
}

/**
 * out[t, r] = add[t, r] + sum_c W[r,c] * x[t, c]      rows of groups [begin, end), any number of tokens
 * x         for one token as matvec_q8; for several from quantize_q8x4(), four rows together
 * out       rows up to a multiple of ACT_TOKENS are written, those behind `tokens` with numbers of no use
 * xStride, outStride, addStride: bytes between tokens; addStride 0: the same row (a bias) for all
 * scratch   UNPACKED_BLOCKS * GROUP_STRIPS * WIDE_TILE_BYTES, 16 B aligned
 * The rest as matvec_q8, whose bits each token has, however many share the call.
 */
export function matmul_q8(
  w: usize,
  x: usize,
  xStride: usize,
  out: usize,
  outStride: usize,
  add: usize,
  addStride: usize,
  begin: i32,
  end: i32,
  strips: i32,
  blocks: i32,
  tokens: i32,
  dot: i32,
  streams: i32,
  factor: f32,
  scratch: usize,
): void {
  if (tokens === 1) {
    matvec_q8(w, x, out, add, begin, end, strips, blocks, dot, streams, factor);
    return;
  }
  start_rows(out, outStride, add, addStride, begin * GROUP_STRIPS, min(end * GROUP_STRIPS, strips), tokens);
  // Moving signs pays for one token only.
  const wide = dot !== DOT_UNSIGNED && dot !== DOT_SIGNED;
  for (let group = begin; group < end; group++) {
    const size = group_size(group * GROUP_STRIPS, strips, GROUP_STRIPS);
    const step = <usize>(size * Q8_TILE_BYTES);
    const tiles = w + <usize>(group * GROUP_STRIPS) * <usize>blocks * Q8_TILE_BYTES;
    for (let b = 0; b < blocks; b += UNPACKED_BLOCKS) {
      const count = min(UNPACKED_BLOCKS, blocks - b);
      const from = tiles + <usize>b * step;
      if (wide) unpack_q8_wide(from, scratch, count * size);
      let xp = x + <usize>b * ACTS_BLOCK_BYTES;
      let row = out + ((<usize>group) << 7);
      for (let t = 0; t < tokens; t += ACT_TOKENS) {
        if (wide) tile_wide(scratch, xp, row, outStride, size, count, factor);
        else if (dot === DOT_UNSIGNED) tile_unsigned(from, xp, row, outStride, size, count, 16, factor);
        else tile_signed(from, xp, row, outStride, size, count, factor);
        xp += <usize>ACT_TOKENS * xStride;
        row += <usize>ACT_TOKENS * outStride;
      }
    }
  }
}
