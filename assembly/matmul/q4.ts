// 4-bit weights times 8-bit activations.
import {
  ACT_BLOCK_BYTES,
  ACT_SCALE,
  ACT_SUMS,
  ACT_TOKENS,
  ACTS_BLOCK_BYTES,
  DOT_MOVED,
  DOT_UNSIGNED,
  DOT_WIDE,
  GROUP_STRIPS,
  Q4_TILE_BYTES,
  Q4_TILE_VALUES,
  UNPACKED_BLOCKS,
} from "../layout/blocks";
import { CONST_LOW_NIBBLES, CONST_ONES_16 } from "../layout/control";
import {
  activation,
  dot4_high,
  dot4_high_second,
  dot4_join,
  dot4_low,
  dot4_low_second,
  high_nibbles,
  q4_start,
  q4_start_second,
  RELAXED,
} from "../simd/dot";
import { f16_mask, load_scales } from "../simd/f16";
import { accumulate, group_size, start_rows } from "./rows";
import {
  tile_nibbles_add,
  tile_nibbles_pairs,
  tile_pairs,
  tile_unsigned,
  tile_wide,
  unpack_q4_bytes,
  unpack_q4_wide,
} from "./tiles";

// With so many tokens at most, nibbles are taken apart in the register tile, again for each four tokens; with more they
// are unpacked once for all.
const NIBBLE_TOKENS: i32 = 8;

// As walk_q8 in q8.ts.
function walk_q4<T>(
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
  const nibbles = v128.load(CONST_LOW_NIBBLES);
  const mask = f16_mask();
  const power = f32x4.splat(factor);
  const step = <usize>strips * Q4_TILE_BYTES;
  const rowBytes = (<usize>strips) << 4;
  const rowGap = (gap / (step * <usize>blocks)) * rowBytes;
  const stop = x + <usize>blocks * ACT_BLOCK_BYTES;
  const ends = <usize>streams * rowGap;
  for (let xp = x; xp < stop; xp += ACT_BLOCK_BYTES, column += step) {
    const xs = f32x4.mul(v128.load32_splat(xp, ACT_SCALE), power);
    const start = q4_start<T>(v128.load32_splat(xp, ACT_SUMS), ones);
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
    for (let top = out; top < sides; top += 16, from += Q4_TILE_BYTES) {
      const end = top + ends;
      let tile = from;
      for (let row = top; row < end; row += rowGap, tile += gap) {
        let lo = start;
        let hi = q4_start_second<T>(start);
        let v = v128.load(tile, Q4_TILE_VALUES);
        let n = v128.and(v, nibbles);
        lo = dot4_low<T>(lo, n, x0);
        hi = dot4_low_second<T>(hi, n, x0);
        n = high_nibbles<T>(v, nibbles);
        lo = dot4_high<T>(lo, n, x4);
        hi = dot4_high_second<T>(hi, n, x4);
        v = v128.load(tile, Q4_TILE_VALUES + 16);
        n = v128.and(v, nibbles);
        lo = dot4_low<T>(lo, n, x1);
        hi = dot4_low_second<T>(hi, n, x1);
        n = high_nibbles<T>(v, nibbles);
        lo = dot4_high<T>(lo, n, x5);
        hi = dot4_high_second<T>(hi, n, x5);
        v = v128.load(tile, Q4_TILE_VALUES + 32);
        n = v128.and(v, nibbles);
        lo = dot4_low<T>(lo, n, x2);
        hi = dot4_low_second<T>(hi, n, x2);
        n = high_nibbles<T>(v, nibbles);
        lo = dot4_high<T>(lo, n, x6);
        hi = dot4_high_second<T>(hi, n, x6);
        v = v128.load(tile, Q4_TILE_VALUES + 48);
        n = v128.and(v, nibbles);
        lo = dot4_low<T>(lo, n, x3);
        hi = dot4_low_second<T>(hi, n, x3);
        n = high_nibbles<T>(v, nibbles);
        lo = dot4_high<T>(lo, n, x7);
        hi = dot4_high_second<T>(hi, n, x7);
        accumulate(row, dot4_join<T>(lo, hi, ones), load_scales(tile, mask), xs);
      }
    }
  }
}

/** walk_q4 with widened operands. */
export function walk_q4_wide(
  column: usize,
  x: usize,
  out: usize,
  streams: i32,
  gap: usize,
  strips: i32,
  blocks: i32,
  factor: f32,
): void {
  walk_q4<i16>(column, x, out, streams, gap, strips, blocks, factor);
}

/** walk_q4 with sums of pairs in i16. */
export function walk_q4_pairs(
  column: usize,
  x: usize,
  out: usize,
  streams: i32,
  gap: usize,
  strips: i32,
  blocks: i32,
  factor: f32,
): void {
  if (RELAXED) walk_q4<i8>(column, x, out, streams, gap, strips, blocks, factor);
}

/** walk_q4 with high nibbles where they lie, as parts of unsigned bytes. */
export function walk_q4_unsigned(
  column: usize,
  x: usize,
  out: usize,
  streams: i32,
  gap: usize,
  strips: i32,
  blocks: i32,
  factor: f32,
): void {
  if (RELAXED) walk_q4<u8>(column, x, out, streams, gap, strips, blocks, factor);
}

/** walk_q4 with the instruction that adds to i32. */
export function walk_q4_signed(
  column: usize,
  x: usize,
  out: usize,
  streams: i32,
  gap: usize,
  strips: i32,
  blocks: i32,
  factor: f32,
): void {
  if (RELAXED) walk_q4<i32>(column, x, out, streams, gap, strips, blocks, factor);
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
  if (dot === DOT_WIDE) walk_q4_wide(column, x, out, streams, gap, strips, blocks, factor);
  else if (dot === DOT_MOVED) walk_q4_pairs(column, x, out, streams, gap, strips, blocks, factor);
  else if (dot === DOT_UNSIGNED) walk_q4_unsigned(column, x, out, streams, gap, strips, blocks, factor);
  else walk_q4_signed(column, x, out, streams, gap, strips, blocks, factor);
}

/**
 * out[r] = add[r] + sum_c W[r,c] * x[c]        rows of groups [begin, end), one token
 * W    q4 tiles [strips * 4, blocks * 32]      see layout/blocks.ts
 * The rest as matvec_q8.
 * Numerics: i32 exact per block, the nibbles' offset of 8 paid by the block's own sum;
 *           f32 across blocks in ascending order, beginning with add, mul and add apart
 */
export function matvec_q4(
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
  const groupBytes = <usize>(GROUP_STRIPS * Q4_TILE_BYTES) * <usize>blocks;
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
    const bytes = <usize>(size * Q4_TILE_BYTES) * <usize>blocks;
    walk(dot, w + at * groupBytes, x, out + (at << 7), 1, bytes, size, blocks, factor);
  }
}

/**
 * out[t, r] = add[t, r] + sum_c W[r,c] * x[t, c]      rows of groups [begin, end), any number of tokens
 * As matmul_q8; each token has the bits of matvec_q4.
 */
export function matmul_q4(
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
    matvec_q4(w, x, out, add, begin, end, strips, blocks, dot, streams, factor);
    return;
  }
  start_rows(out, outStride, add, addStride, begin * GROUP_STRIPS, min(end * GROUP_STRIPS, strips), tokens);
  const wide = dot === DOT_WIDE;
  const unpacked = wide || tokens > NIBBLE_TOKENS;
  for (let group = begin; group < end; group++) {
    const size = group_size(group * GROUP_STRIPS, strips, GROUP_STRIPS);
    const step = <usize>(size * Q4_TILE_BYTES);
    const tiles = w + <usize>(group * GROUP_STRIPS) * <usize>blocks * Q4_TILE_BYTES;
    for (let b = 0; b < blocks; b += UNPACKED_BLOCKS) {
      const count = min(UNPACKED_BLOCKS, blocks - b);
      const from = tiles + <usize>b * step;
      if (wide) unpack_q4_wide(from, scratch, count * size);
      else if (unpacked) unpack_q4_bytes(from, scratch, count * size);
      let xp = x + <usize>b * ACTS_BLOCK_BYTES;
      let row = out + ((<usize>group) << 7);
      for (let t = 0; t < tokens; t += ACT_TOKENS) {
        if (wide) {
          tile_wide(scratch, xp, row, outStride, size, count, factor);
        } else if (dot === DOT_MOVED) {
          if (unpacked) tile_pairs(scratch, xp, row, outStride, size, count, factor);
          else tile_nibbles_pairs(from, xp, row, outStride, size, count, factor);
        } else {
          if (unpacked) tile_unsigned(scratch, xp, row, outStride, size, count, 1, factor);
          else tile_nibbles_add(from, xp, row, outStride, size, count, factor);
        }
        xp += <usize>ACT_TOKENS * xStride;
        row += <usize>ACT_TOKENS * outStride;
      }
    }
  }
}
