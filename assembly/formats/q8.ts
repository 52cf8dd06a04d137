// q8: int8 weights with an f16 scale for each row of a block. What is particular to the format: its tiles, how rows are
// packed into them, and the products with int8 activations.
import {
  ACT_BLOCK_BYTES,
  ACT_SCALE,
  ACT_SUMS,
  BLOCK_COLS,
  DOT_MOVED,
  DOT_SIGNED,
  DOT_UNSIGNED,
  Q8_TILE_BYTES,
  Q8_TILE_VALUES,
} from "../layout/blocks";
import {
  CONST_FLIP,
  CONST_ONES_16,
  CONST_SIXTEEN_16,
  CONTROL_PACKED,
  PACKED_LOWEST,
} from "../layout/control";
import { activation, dot8_hi, dot8_join, dot8_lo, q8_start, q8_start_second, RELAXED } from "../simd/dot";
import { f16_mask, load_f16, load_scales, to_f16 } from "../simd/f16";
import { set_bits } from "../sync";
import { abs_max, round16 } from "./act_q8";
import { accumulate } from "./groups";
import { copy_scales, is_too_large, scale4, store_scale, store_transposed, tile_scale } from "./scales";
import { multiply, store_wide, WIDE_TILE } from "./tiles";

const TILE: usize = Q8_TILE_BYTES;

// ---- One token.

// Whether the instruction adds products of bytes to i32. It takes five cycles on Intel's processors, so eight in a row are
// a chain longer than the processor looks ahead: a tile's are four chains of two.
function adds_bytes<T>(): bool {
  return sizeof<T>() === 4 || (sizeof<T>() === 1 && !isSigned<T>());
}

// acc + two vectors of a tile, 64 bytes apart, times two activations.
function two<T>(tile: usize, x: v128, y: v128, acc: v128, flip: v128): v128 {
  const first = dot8_lo<T>(acc, v128.load(tile, Q8_TILE_VALUES), x, flip, flip);
  return dot8_lo<T>(first, v128.load(tile, Q8_TILE_VALUES + 64), y, flip, flip);
}

// Groups of `strips` strips, `streams` of them at once, `gap` bytes apart, times one token. A block's eight activation
// vectors stay in registers while the tiles of all groups pass, a tile of each group in turn: so each stream's lines are
// asked for soon. The f32 sums live in `out`. A store for each strip keeps compilers from carrying loads across strips,
// which makes JavaScriptCore spill, and leaves registers for the activations.
function walk<T>(
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
        let sum: v128;
        if (adds_bytes<T>()) {
          const none = i32x4.splat(0);
          sum = i32x4.add(
            i32x4.add(two<T>(tile, x0, x4, start, flip), two<T>(tile + 16, x1, x5, none, flip)),
            i32x4.add(two<T>(tile + 32, x2, x6, none, flip), two<T>(tile + 48, x3, x7, none, flip)),
          );
        } else {
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
          sum = dot8_join<T>(lo, hi);
        }
        accumulate(row, sum, load_scales(tile, mask), xs);
      }
    }
  }
}

/** walk() of formats.ts for q8. DOT_MOVED: no weight may be -128. */
export function walk_q8(
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
  if (RELAXED) {
    if (dot === DOT_UNSIGNED) {
      walk<u8>(column, x, out, streams, gap, strips, blocks, factor);
      return;
    }
    if (dot === DOT_SIGNED) {
      walk<i32>(column, x, out, streams, gap, strips, blocks, factor);
      return;
    }
    if (dot === DOT_MOVED) {
      walk<i8>(column, x, out, streams, gap, strips, blocks, factor);
      return;
    }
  }
  walk<i16>(column, x, out, streams, gap, strips, blocks, factor);
}

// ---- Several tokens.

// Whether the form of the dot product takes bytes. DOT_MOVED pays for one token only.
function takes_bytes(dot: i32): bool {
  return RELAXED && (dot === DOT_UNSIGNED || dot === DOT_SIGNED);
}

/** Whether tiles are multiplied as they lie. For few tokens to split them each time costs less than to widen them once. */
export function is_packed_q8(dot: i32, many: bool): bool {
  return takes_bytes(dot) || !many;
}

/** Unpacks tiles if is_packed_q8() is false. */
export function unpack_q8(dot: i32, many: bool, from: usize, to: usize, tiles: i32): void {
  if (!is_packed_q8(dot, many)) unpack_wide(from, to, tiles);
}

/**
 * multiply_group() of formats.ts for q8 and what is unpacked to its tiles: bytes if is_packed_q8(), else widened ones.
 * starts  bytes: what they are above their values, in eighths
 * work    256 bytes, 16 B aligned
 */
export function multiply_group_q8(
  dot: i32,
  tile: usize,
  x: usize,
  out: usize,
  outStride: usize,
  tokens: i32,
  many: bool,
  strips: i32,
  blocks: i32,
  starts: i32,
  factor: f32,
  work: usize,
): void {
  // Of many tokens, four at a time are right for the last two as well.
  if (many && !takes_bytes(dot)) multiply<i16, i16, i32>(tile, x, out, outStride, strips, blocks, 0, factor);
  else if (tokens > 2)
    multiply_bytes<i32>(dot, tile, x, out, outStride, strips, blocks, starts, factor, work);
  else multiply_bytes<i16>(dot, tile, x, out, outStride, strips, blocks, starts, factor, work);
}

function multiply_bytes<N>(
  dot: i32,
  tile: usize,
  x: usize,
  out: usize,
  outStride: usize,
  strips: i32,
  blocks: i32,
  starts: i32,
  factor: f32,
  work: usize,
): void {
  if (RELAXED) {
    if (dot === DOT_UNSIGNED) {
      multiply<u8, u8, N>(tile, x, out, outStride, strips, blocks, starts, factor);
      return;
    }
    if (dot === DOT_SIGNED) {
      multiply<i32, u8, N>(tile, x, out, outStride, strips, blocks, 0, factor);
      return;
    }
  }
  multiply<i16, u16, N>(tile, x, out, outStride, strips, blocks, starts, factor, work);
}

// Widens `tiles` tiles to i16.
function unpack_wide(from: usize, to: usize, tiles: i32): void {
  const flip = v128.load(CONST_FLIP);
  const stop = from + <usize>tiles * TILE;
  for (; from < stop; from += TILE, to += WIDE_TILE) {
    store<u64>(to, load<u64>(from));
    for (let v: usize = 0; v < 8; v++) {
      store_wide(to + (v << 5), v128.xor(v128.load(from + (v << 4), Q8_TILE_VALUES), flip));
    }
  }
}

// ---- Rows.

/** out[c] = W[r, c] * scale, from a strip's first tile on: see embed_row() of formats.ts. */
export function embed_row_q8(
  tile: usize,
  step: usize,
  r: usize,
  blocks: i32,
  factor: f32,
  scale: f32,
  out: usize,
): void {
  const f = f32x4.splat(scale);
  const stop = out + <usize>blocks * (4 * BLOCK_COLS);
  for (; out < stop; out += 4 * BLOCK_COLS, tile += step) {
    const d = tile_scale(tile + (r << 1), factor);
    for (let v: usize = 0; v < 8; v++) {
      const q = v128.load32_zero(tile + Q8_TILE_VALUES + (v << 4) + (r << 2));
      v128.store(out + (v << 4), f32x4.mul(scale4(v128.xor(q, i8x16.splat(-128)), d), f));
    }
  }
}

/** Row r of a tile from 32 f32: d = max|x| / 127 as f16, q = round(x / d). Returns 0, or 1 if a value is too large. */
export function pack_row_q8(row: usize, tile: usize, r: usize, shift: i32): i32 {
  const largest = abs_max(row);
  if (is_too_large(largest)) return 1;
  const scale = to_f16(largest / 127);
  const ptr = tile + (r << 1);
  store<u16>(ptr, scale);
  const d = load_f16(ptr);
  const inverse = f32x4.splat(d > 0 ? 1 / d : 0);
  const to = tile + (r << 2);
  for (let half: usize = 0; half < 128; half += 64) {
    // Narrowing ends at -128 and 127; a value that rounds to -128 becomes -127.
    const rounded = i8x16.max_s(round16(row + half, inverse), i8x16.splat(-127));
    const bytes = v128.xor(rounded, i8x16.splat(-128));
    v128.store32_lane(to + half, bytes, 0, Q8_TILE_VALUES);
    v128.store32_lane(to + half, bytes, 1, Q8_TILE_VALUES + 16);
    v128.store32_lane(to + half, bytes, 2, Q8_TILE_VALUES + 32);
    v128.store32_lane(to + half, bytes, 3, Q8_TILE_VALUES + 48);
  }
  store_scale(scale, ptr, shift);
  return 0;
}

/** Zeros as row r of a tile. */
export function zero_row_q8(tile: usize, r: usize): void {
  store<u16>(tile + (r << 1), 0);
  for (let v: usize = 0; v < 8; v++) store<u32>(tile + Q8_TILE_VALUES + (v << 4) + (r << 2), 0x80808080);
}

/** A tile from Q8_0 blocks of four rows: nothing is rounded. Returns as copy_scales(). */
export function copy_tile_q8(p0: usize, p1: usize, p2: usize, p3: usize, tile: usize, shift: i32): i32 {
  copy_values(p0 + 2, p1 + 2, p2 + 2, p3 + 2, tile + Q8_TILE_VALUES);
  copy_values(p0 + 18, p1 + 18, p2 + 18, p3 + 18, tile + Q8_TILE_VALUES + 64);
  return copy_scales(p0, p1, p2, p3, tile, shift);
}

// 16 values of four rows: bytes w + 128. A weight of -128 is noted in CONTROL_PACKED.
function copy_values(p0: usize, p1: usize, p2: usize, p3: usize, out: usize): void {
  const flip = i8x16.splat(-128);
  const a = v128.xor(v128.load(p0), flip);
  const b = v128.xor(v128.load(p1), flip);
  const c = v128.xor(v128.load(p2), flip);
  const d = v128.xor(v128.load(p3), flip);
  if (!i8x16.all_true(i8x16.min_u(i8x16.min_u(a, b), i8x16.min_u(c, d)))) {
    set_bits(CONTROL_PACKED, PACKED_LOWEST);
  }
  store_transposed(a, b, c, d, out);
}
