// q4: 4-bit weights with an f16 scale for each row of a block. What is particular to the format: its tiles, how rows are
// packed into them, and the products with int8 activations.
import {
  ACT_BLOCK_BYTES,
  ACT_SCALE,
  ACT_SUMS,
  BLOCK_COLS,
  DOT_MOVED,
  DOT_SIGNED,
  DOT_UNSIGNED,
  DOT_WIDE,
  Q4_TILE_BYTES,
  Q4_TILE_VALUES,
  Q8_TILE_BYTES,
  Q8_TILE_VALUES,
} from "../layout/blocks";
import { CONST_EIGHT, CONST_LOW_NIBBLES, CONST_ONES_16 } from "../layout/control";
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
import { f16_mask, load_f16, load_scales, to_f16 } from "../simd/f16";
import { high } from "../simd/nibbles";
import { abs_max } from "./act_q8";
import { accumulate } from "./groups";
import { is_too_large, store_scale } from "./scales";
import { multiply, store_wide, WIDE_TILE } from "./tiles";

const TILE: usize = Q4_TILE_BYTES;
// Up to so many tokens, nibbles are taken apart in the kernel, again for each four tokens. For more tokens they are
// unpacked once.

// ---- One token.

// As walk() in q8.ts. The two share their frame only, some 20 lines around the sums of a tile. The frame holds a block's
// activations in registers for those sums, so it is not a function of its own.
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

/** walk() of formats.ts for q4. */
export function walk_q4(
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
    // In these builds pairs do for DOT_WIDE: the same integers, and no fourth kernel.
    walk<i8>(column, x, out, streams, gap, strips, blocks, factor);
    return;
  }
  walk<i16>(column, x, out, streams, gap, strips, blocks, factor);
}

// ---- Several tokens.

/** Whether tiles are multiplied as they lie. */
export function is_packed_q4(many: bool): bool {
  return RELAXED && !many;
}

/** Unpacks tiles to bytes, or in builds without the instructions for bytes to i16, if is_packed_q4() is false. */
export function unpack_q4(many: bool, from: usize, to: usize, tiles: i32): void {
  if (!RELAXED) unpack_wide(from, to, tiles);
  else if (many) unpack_bytes(from, to, tiles);
}

/** multiply_group() of formats.ts for q4: tiles as unpack_q4() left them. */
export function multiply_group_q4(
  dot: i32,
  tile: usize,
  x: usize,
  out: usize,
  outStride: usize,
  tokens: i32,
  many: bool,
  strips: i32,
  blocks: i32,
  factor: f32,
): void {
  if (tokens > 2) multiply_tokens<i32>(dot, many, tile, x, out, outStride, strips, blocks, factor);
  else multiply_tokens<i16>(dot, many, tile, x, out, outStride, strips, blocks, factor);
}

function multiply_tokens<N>(
  dot: i32,
  many: bool,
  tile: usize,
  x: usize,
  out: usize,
  outStride: usize,
  strips: i32,
  blocks: i32,
  factor: f32,
): void {
  if (RELAXED) {
    // Bytes are of many tokens: four at a time is right for the last two of them as well.
    // DOT_UNSIGNED and DOT_SIGNED agree on bytes up to 127. Pairs do for DOT_WIDE too, as for one token.
    if (dot === DOT_MOVED || dot === DOT_WIDE) {
      if (many) multiply<i8, u8, i32>(tile, x, out, outStride, strips, blocks, 0, factor);
      else multiply<i8, i8, N>(tile, x, out, outStride, strips, blocks, 0, factor);
    } else {
      if (many) multiply<u8, u8, i32>(tile, x, out, outStride, strips, blocks, 1, factor);
      else multiply<u8, i8, N>(tile, x, out, outStride, strips, blocks, 0, factor);
    }
    return;
  }
  multiply<i16, i16, N>(tile, x, out, outStride, strips, blocks, 0, factor);
}

// Widens `tiles` tiles to i16.
function unpack_wide(from: usize, to: usize, tiles: i32): void {
  const nibbles = v128.load(CONST_LOW_NIBBLES);
  const eight = v128.load(CONST_EIGHT);
  const stop = from + <usize>tiles * TILE;
  for (; from < stop; from += TILE, to += WIDE_TILE) {
    store<u64>(to, load<u64>(from));
    for (let v: usize = 0; v < 4; v++) {
      const bytes = v128.load(from + (v << 4), Q4_TILE_VALUES);
      store_wide(to + (v << 5), i8x16.sub(v128.and(bytes, nibbles), eight));
      store_wide(to + (v << 5) + 128, i8x16.sub(high(bytes, nibbles), eight));
    }
  }
}

// Makes `tiles` tiles of bytes 0..15, in the order of q8.
function unpack_bytes(from: usize, to: usize, tiles: i32): void {
  const nibbles = v128.load(CONST_LOW_NIBBLES);
  const stop = from + <usize>tiles * TILE;
  for (; from < stop; from += TILE, to += Q8_TILE_BYTES) {
    store<u64>(to, load<u64>(from));
    const a = v128.load(from, Q4_TILE_VALUES);
    const b = v128.load(from, Q4_TILE_VALUES + 16);
    const c = v128.load(from, Q4_TILE_VALUES + 32);
    const d = v128.load(from, Q4_TILE_VALUES + 48);
    v128.store(to, v128.and(a, nibbles), Q8_TILE_VALUES);
    v128.store(to, v128.and(b, nibbles), Q8_TILE_VALUES + 16);
    v128.store(to, v128.and(c, nibbles), Q8_TILE_VALUES + 32);
    v128.store(to, v128.and(d, nibbles), Q8_TILE_VALUES + 48);
    v128.store(to, high(a, nibbles), Q8_TILE_VALUES + 64);
    v128.store(to, high(b, nibbles), Q8_TILE_VALUES + 80);
    v128.store(to, high(c, nibbles), Q8_TILE_VALUES + 96);
    v128.store(to, high(d, nibbles), Q8_TILE_VALUES + 112);
  }
}

// ---- Rows.

// The address of columns c and c + 16 of row r of a tile.
function byte_at(tile: usize, r: usize, c: usize): usize {
  return tile + Q4_TILE_VALUES + ((c >> 2) << 4) + (r << 2) + (c & 3);
}

/**
 * Row r of a tile from 32 f32: the value of largest magnitude becomes exactly -8, as Q4_0 has it. Returns 0, or 1 if a
 * value is too large.
 */
export function pack_row_q4(row: usize, tile: usize, r: usize, shift: i32): i32 {
  if (is_too_large(abs_max(row))) return 1;
  let m: f32 = 0;
  for (let c: usize = 0; c < <usize>BLOCK_COLS; c++) {
    const v = load<f32>(row + (c << 2));
    if (abs(v) > abs(m)) m = v;
  }
  const scale = to_f16(m / -8);
  const ptr = tile + (r << 1);
  store<u16>(ptr, scale);
  const d = load_f16(ptr);
  const inverse: f32 = d !== 0 ? 1 / d : 0;
  for (let c: usize = 0; c < 16; c++) {
    const low = <i32>max<f32>(0, min<f32>(15, floor(load<f32>(row + (c << 2)) * inverse + 8.5)));
    const top = <i32>max<f32>(0, min<f32>(15, floor(load<f32>(row + ((c + 16) << 2)) * inverse + 8.5)));
    store<u8>(byte_at(tile, r, c), <u8>(low | (top << 4)));
  }
  store_scale(scale, ptr, shift);
  return 0;
}

/** The same for values that are -8 to 7 times a half: nothing is rounded. */
export function pack_units_q4(row: usize, tile: usize, r: usize, shift: i32): void {
  let unit: f32 = Infinity;
  for (let c: usize = 0; c < <usize>BLOCK_COLS; c++) {
    const v = abs(load<f32>(row + (c << 2)));
    if (v > 0) unit = min(unit, v);
  }
  const inverse: f32 = unit < Infinity ? 1 / unit : 0;
  for (let c: usize = 0; c < 16; c++) {
    const low = <i32>nearest(load<f32>(row + (c << 2)) * inverse) + 8;
    const top = <i32>nearest(load<f32>(row + ((c + 16) << 2)) * inverse) + 8;
    store<u8>(byte_at(tile, r, c), <u8>(low | (top << 4)));
  }
  store_scale(unit < Infinity ? to_f16(unit) : 0, tile + (r << 1), shift);
}

/** Zeros as row r of a tile. */
export function zero_row_q4(tile: usize, r: usize): void {
  store<u16>(tile + (r << 1), 0);
  for (let c: usize = 0; c < 16; c++) store<u8>(byte_at(tile, r, c), 0x88);
}
