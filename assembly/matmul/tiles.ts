// The kernels of several tokens: register tiles of two strips times four tokens, over bytes or over what was unpacked, and
// the unpacking. Sixteen registers hold the eight sums, two vectors of weights and one activation; the loop over a block's
// eight steps is not unrolled, since V8 then keeps all of them there.
import {
  ACTS_BLOCK_BYTES,
  ACTS_SCALES,
  ACTS_SUMS,
  Q4_TILE_BYTES,
  Q4_TILE_VALUES,
  Q8_TILE_BYTES,
  Q8_TILE_VALUES,
  WIDE_TILE_BYTES,
  WIDE_TILE_VALUES,
} from "../layout/blocks";
import { CONST_EIGHT, CONST_FLIP, CONST_LOW_NIBBLES, CONST_ONES_16 } from "../layout/control";
import { dot_add, dot_pairs, RELAXED } from "../simd/dot";
import { f16_mask, load_scales } from "../simd/f16";
import { high } from "../simd/nibbles";
import { accumulate } from "./rows";

// What the byte tiles below differ in, by the types of simd/dot.ts: u8 for DOT_UNSIGNED, i32 for DOT_SIGNED, i8 for pairs.

function tile_start<T>(sums: v128, multiple: v128): v128 {
  if (sizeof<T>() === 4) return i32x4.splat(0);
  return isSigned<T>() ? sums : i32x4.dot_i16x8_s(sums, multiple);
}

function tile_weights<T>(bytes: v128, flip: v128): v128 {
  return sizeof<T>() === 4 ? v128.xor(bytes, flip) : bytes;
}

function tile_dot<T>(acc: v128, x: v128, w: v128): v128 {
  if (sizeof<T>() === 1 && isSigned<T>()) return i16x8.add(acc, dot_pairs(x, w));
  return dot_add(x, w, acc);
}

function tile_sum<T>(acc: v128, ones: v128): v128 {
  return sizeof<T>() === 1 && isSigned<T>() ? i32x4.dot_i16x8_s(acc, ones) : acc;
}

function tile_bytes<T>(
  tile: usize,
  x: usize,
  out: usize,
  outStride: usize,
  strips: i32,
  blocks: i32,
  starts: i32,
  factor: f32,
): void {
  const multiple = i16x8.splat(<i16>starts);
  const flip = v128.load(CONST_FLIP);
  const ones = v128.load(CONST_ONES_16);
  const mask = f16_mask();
  const power = f32x4.splat(factor);
  const rowBytes = (<usize>strips) << 4;
  const stop = x + <usize>blocks * ACTS_BLOCK_BYTES;
  for (; x < stop; x += ACTS_BLOCK_BYTES) {
    const end = out + rowBytes;
    for (let row = out; row < end; row += 32, tile += 2 * Q8_TILE_BYTES) {
      let xv = tile_start<T>(v128.load(x, ACTS_SUMS), multiple);
      let a0 = v128.shuffle<i32>(xv, xv, 0, 0, 0, 0);
      let a1 = v128.shuffle<i32>(xv, xv, 1, 1, 1, 1);
      let a2 = v128.shuffle<i32>(xv, xv, 2, 2, 2, 2);
      let a3 = v128.shuffle<i32>(xv, xv, 3, 3, 3, 3);
      let b0 = a0;
      let b1 = a1;
      let b2 = a2;
      let b3 = a3;
      let xp = x;
      const values = tile + 128;
      for (let p = tile; p < values; p += 16, xp += 16) {
        const u = tile_weights<T>(v128.load(p, Q8_TILE_VALUES), flip);
        const v = tile_weights<T>(v128.load(p, Q8_TILE_BYTES + Q8_TILE_VALUES), flip);
        xv = v128.load(xp);
        let xt = v128.shuffle<i32>(xv, xv, 0, 0, 0, 0);
        a0 = tile_dot<T>(a0, xt, u);
        b0 = tile_dot<T>(b0, xt, v);
        xt = v128.shuffle<i32>(xv, xv, 1, 1, 1, 1);
        a1 = tile_dot<T>(a1, xt, u);
        b1 = tile_dot<T>(b1, xt, v);
        xt = v128.shuffle<i32>(xv, xv, 2, 2, 2, 2);
        a2 = tile_dot<T>(a2, xt, u);
        b2 = tile_dot<T>(b2, xt, v);
        xt = v128.shuffle<i32>(xv, xv, 3, 3, 3, 3);
        a3 = tile_dot<T>(a3, xt, u);
        b3 = tile_dot<T>(b3, xt, v);
      }
      const s = load_scales(tile, mask);
      const z = load_scales(tile + Q8_TILE_BYTES, mask);
      xv = f32x4.mul(v128.load(x, ACTS_SCALES), power);
      let to = row;
      let xs = v128.shuffle<i32>(xv, xv, 0, 0, 0, 0);
      accumulate(to, tile_sum<T>(a0, ones), s, xs);
      accumulate(to + 16, tile_sum<T>(b0, ones), z, xs);
      to += outStride;
      xs = v128.shuffle<i32>(xv, xv, 1, 1, 1, 1);
      accumulate(to, tile_sum<T>(a1, ones), s, xs);
      accumulate(to + 16, tile_sum<T>(b1, ones), z, xs);
      to += outStride;
      xs = v128.shuffle<i32>(xv, xv, 2, 2, 2, 2);
      accumulate(to, tile_sum<T>(a2, ones), s, xs);
      accumulate(to + 16, tile_sum<T>(b2, ones), z, xs);
      to += outStride;
      xs = v128.shuffle<i32>(xv, xv, 3, 3, 3, 3);
      accumulate(to, tile_sum<T>(a3, ones), s, xs);
      accumulate(to + 16, tile_sum<T>(b3, ones), z, xs);
    }
  }
}

/**
 * out[t, r] += sum_c W[r,c] * x[t, c]           a group of strips, four tokens
 * tile    tiles of Q8_TILE_BYTES, `strips` for each block, one behind the other; bytes 0..255, or 0..15
 * x       ACTS_BLOCK_BYTES for each block        from quantize_q8x4(), finite
 * out     f32 rows of the four tokens, outStride bytes apart
 * strips  an even number
 * starts  16 where a byte is a weight + 128, 1 where it is a weight + 8
 * Align: tile, x 4 B; out 16 B                  Reads past the end: none
 * Numerics: as matvec_q8; bytes over 127 need an engine whose dot_form() is DOT_UNSIGNED
 */
export function tile_unsigned(
  tile: usize,
  x: usize,
  out: usize,
  outStride: usize,
  strips: i32,
  blocks: i32,
  starts: i32,
  factor: f32,
): void {
  if (RELAXED) tile_bytes<u8>(tile, x, out, outStride, strips, blocks, starts, factor);
}

/** As tile_unsigned, for bytes that are weights + 128 in an engine whose dot_form() is DOT_SIGNED. */
export function tile_signed(
  tile: usize,
  x: usize,
  out: usize,
  outStride: usize,
  strips: i32,
  blocks: i32,
  factor: f32,
): void {
  if (RELAXED) tile_bytes<i32>(tile, x, out, outStride, strips, blocks, 0, factor);
}

/** As tile_unsigned, for bytes that are weights + 8, with sums of pairs in i16. Any engine with relaxed SIMD. */
export function tile_pairs(
  tile: usize,
  x: usize,
  out: usize,
  outStride: usize,
  strips: i32,
  blocks: i32,
  factor: f32,
): void {
  if (RELAXED) tile_bytes<i8>(tile, x, out, outStride, strips, blocks, 0, factor);
}

// As tile_bytes, over tiles of q4 as they are stored: for so few tokens that unpacking them first is not worth it.
function tile_nibbles<T>(
  tile: usize,
  x: usize,
  out: usize,
  outStride: usize,
  strips: i32,
  blocks: i32,
  factor: f32,
): void {
  const nibbles = v128.load(CONST_LOW_NIBBLES);
  const ones = v128.load(CONST_ONES_16);
  const mask = f16_mask();
  const power = f32x4.splat(factor);
  const rowBytes = (<usize>strips) << 4;
  const stop = x + <usize>blocks * ACTS_BLOCK_BYTES;
  for (; x < stop; x += ACTS_BLOCK_BYTES) {
    const end = out + rowBytes;
    for (let row = out; row < end; row += 32, tile += 2 * Q4_TILE_BYTES) {
      let xv = tile_start<T>(v128.load(x, ACTS_SUMS), ones);
      let a0 = v128.shuffle<i32>(xv, xv, 0, 0, 0, 0);
      let a1 = v128.shuffle<i32>(xv, xv, 1, 1, 1, 1);
      let a2 = v128.shuffle<i32>(xv, xv, 2, 2, 2, 2);
      let a3 = v128.shuffle<i32>(xv, xv, 3, 3, 3, 3);
      let b0 = a0;
      let b1 = a1;
      let b2 = a2;
      let b3 = a3;
      let xp = x;
      const values = tile + 64;
      for (let p = tile; p < values; p += 16, xp += 16) {
        const w = v128.load(p, Q4_TILE_VALUES);
        const z = v128.load(p, Q4_TILE_BYTES + Q4_TILE_VALUES);
        let u = v128.and(w, nibbles);
        let v = v128.and(z, nibbles);
        xv = v128.load(xp);
        let xt = v128.shuffle<i32>(xv, xv, 0, 0, 0, 0);
        a0 = tile_dot<T>(a0, xt, u);
        b0 = tile_dot<T>(b0, xt, v);
        xt = v128.shuffle<i32>(xv, xv, 1, 1, 1, 1);
        a1 = tile_dot<T>(a1, xt, u);
        b1 = tile_dot<T>(b1, xt, v);
        xt = v128.shuffle<i32>(xv, xv, 2, 2, 2, 2);
        a2 = tile_dot<T>(a2, xt, u);
        b2 = tile_dot<T>(b2, xt, v);
        xt = v128.shuffle<i32>(xv, xv, 3, 3, 3, 3);
        a3 = tile_dot<T>(a3, xt, u);
        b3 = tile_dot<T>(b3, xt, v);
        u = high(w, nibbles);
        v = high(z, nibbles);
        xv = v128.load(xp, 64);
        xt = v128.shuffle<i32>(xv, xv, 0, 0, 0, 0);
        a0 = tile_dot<T>(a0, xt, u);
        b0 = tile_dot<T>(b0, xt, v);
        xt = v128.shuffle<i32>(xv, xv, 1, 1, 1, 1);
        a1 = tile_dot<T>(a1, xt, u);
        b1 = tile_dot<T>(b1, xt, v);
        xt = v128.shuffle<i32>(xv, xv, 2, 2, 2, 2);
        a2 = tile_dot<T>(a2, xt, u);
        b2 = tile_dot<T>(b2, xt, v);
        xt = v128.shuffle<i32>(xv, xv, 3, 3, 3, 3);
        a3 = tile_dot<T>(a3, xt, u);
        b3 = tile_dot<T>(b3, xt, v);
      }
      const s = load_scales(tile, mask);
      const z = load_scales(tile + Q4_TILE_BYTES, mask);
      xv = f32x4.mul(v128.load(x, ACTS_SCALES), power);
      let to = row;
      let xs = v128.shuffle<i32>(xv, xv, 0, 0, 0, 0);
      accumulate(to, tile_sum<T>(a0, ones), s, xs);
      accumulate(to + 16, tile_sum<T>(b0, ones), z, xs);
      to += outStride;
      xs = v128.shuffle<i32>(xv, xv, 1, 1, 1, 1);
      accumulate(to, tile_sum<T>(a1, ones), s, xs);
      accumulate(to + 16, tile_sum<T>(b1, ones), z, xs);
      to += outStride;
      xs = v128.shuffle<i32>(xv, xv, 2, 2, 2, 2);
      accumulate(to, tile_sum<T>(a2, ones), s, xs);
      accumulate(to + 16, tile_sum<T>(b2, ones), z, xs);
      to += outStride;
      xs = v128.shuffle<i32>(xv, xv, 3, 3, 3, 3);
      accumulate(to, tile_sum<T>(a3, ones), s, xs);
      accumulate(to + 16, tile_sum<T>(b3, ones), z, xs);
    }
  }
}

/** As tile_unsigned over tiles of q4, in an engine whose dot_form() is DOT_UNSIGNED or DOT_SIGNED. */
export function tile_nibbles_add(
  tile: usize,
  x: usize,
  out: usize,
  outStride: usize,
  strips: i32,
  blocks: i32,
  factor: f32,
): void {
  if (RELAXED) tile_nibbles<u8>(tile, x, out, outStride, strips, blocks, factor);
}

/** As tile_pairs over tiles of q4. */
export function tile_nibbles_pairs(
  tile: usize,
  x: usize,
  out: usize,
  outStride: usize,
  strips: i32,
  blocks: i32,
  factor: f32,
): void {
  if (RELAXED) tile_nibbles<i8>(tile, x, out, outStride, strips, blocks, factor);
}

/**
 * As tile_unsigned, over weights that were unpacked to i16 (WIDE_TILE_BYTES a tile). Any engine.
 */
export function tile_wide(
  tile: usize,
  x: usize,
  out: usize,
  outStride: usize,
  strips: i32,
  blocks: i32,
  factor: f32,
): void {
  const mask = f16_mask();
  const power = f32x4.splat(factor);
  const rowBytes = (<usize>strips) << 4;
  const stop = x + <usize>blocks * ACTS_BLOCK_BYTES;
  for (; x < stop; x += ACTS_BLOCK_BYTES) {
    const end = out + rowBytes;
    for (let row = out; row < end; row += 32, tile += 2 * WIDE_TILE_BYTES) {
      let a0 = i32x4.splat(0);
      let a1 = i32x4.splat(0);
      let a2 = i32x4.splat(0);
      let a3 = i32x4.splat(0);
      let b0 = i32x4.splat(0);
      let b1 = i32x4.splat(0);
      let b2 = i32x4.splat(0);
      let b3 = i32x4.splat(0);
      let xp = x;
      const values = tile + 256;
      for (let p = tile; p < values; p += 32, xp += 16) {
        const x01 = v128.load8x8_s(xp);
        const x23 = v128.load8x8_s(xp, 8);
        let u = v128.load(p, WIDE_TILE_VALUES);
        let v = v128.load(p, WIDE_TILE_BYTES + WIDE_TILE_VALUES);
        let xt = v128.shuffle<i32>(x01, x01, 0, 0, 0, 0);
        a0 = i32x4.add(a0, i32x4.dot_i16x8_s(u, xt));
        b0 = i32x4.add(b0, i32x4.dot_i16x8_s(v, xt));
        xt = v128.shuffle<i32>(x01, x01, 2, 2, 2, 2);
        a1 = i32x4.add(a1, i32x4.dot_i16x8_s(u, xt));
        b1 = i32x4.add(b1, i32x4.dot_i16x8_s(v, xt));
        xt = v128.shuffle<i32>(x23, x23, 0, 0, 0, 0);
        a2 = i32x4.add(a2, i32x4.dot_i16x8_s(u, xt));
        b2 = i32x4.add(b2, i32x4.dot_i16x8_s(v, xt));
        xt = v128.shuffle<i32>(x23, x23, 2, 2, 2, 2);
        a3 = i32x4.add(a3, i32x4.dot_i16x8_s(u, xt));
        b3 = i32x4.add(b3, i32x4.dot_i16x8_s(v, xt));
        u = v128.load(p, WIDE_TILE_VALUES + 16);
        v = v128.load(p, WIDE_TILE_BYTES + WIDE_TILE_VALUES + 16);
        xt = v128.shuffle<i32>(x01, x01, 1, 1, 1, 1);
        a0 = i32x4.add(a0, i32x4.dot_i16x8_s(u, xt));
        b0 = i32x4.add(b0, i32x4.dot_i16x8_s(v, xt));
        xt = v128.shuffle<i32>(x01, x01, 3, 3, 3, 3);
        a1 = i32x4.add(a1, i32x4.dot_i16x8_s(u, xt));
        b1 = i32x4.add(b1, i32x4.dot_i16x8_s(v, xt));
        xt = v128.shuffle<i32>(x23, x23, 1, 1, 1, 1);
        a2 = i32x4.add(a2, i32x4.dot_i16x8_s(u, xt));
        b2 = i32x4.add(b2, i32x4.dot_i16x8_s(v, xt));
        xt = v128.shuffle<i32>(x23, x23, 3, 3, 3, 3);
        a3 = i32x4.add(a3, i32x4.dot_i16x8_s(u, xt));
        b3 = i32x4.add(b3, i32x4.dot_i16x8_s(v, xt));
      }
      const s = load_scales(tile, mask);
      const z = load_scales(tile + WIDE_TILE_BYTES, mask);
      const scales = f32x4.mul(v128.load(x, ACTS_SCALES), power);
      let to = row;
      let xs = v128.shuffle<i32>(scales, scales, 0, 0, 0, 0);
      accumulate(to, a0, s, xs);
      accumulate(to + 16, b0, z, xs);
      to += outStride;
      xs = v128.shuffle<i32>(scales, scales, 1, 1, 1, 1);
      accumulate(to, a1, s, xs);
      accumulate(to + 16, b1, z, xs);
      to += outStride;
      xs = v128.shuffle<i32>(scales, scales, 2, 2, 2, 2);
      accumulate(to, a2, s, xs);
      accumulate(to + 16, b2, z, xs);
      to += outStride;
      xs = v128.shuffle<i32>(scales, scales, 3, 3, 3, 3);
      accumulate(to, a3, s, xs);
      accumulate(to + 16, b3, z, xs);
    }
  }
}

/** Widens `tiles` tiles of q8 to i16. */
export function unpack_q8_wide(from: usize, to: usize, tiles: i32): void {
  const flip = v128.load(CONST_FLIP);
  const stop = from + <usize>tiles * Q8_TILE_BYTES;
  for (; from < stop; from += Q8_TILE_BYTES, to += WIDE_TILE_BYTES) {
    store<u64>(to, load<u64>(from));
    for (let v: usize = 0; v < 8; v++) {
      store_wide(to + (v << 5), v128.xor(v128.load(from + (v << 4), Q8_TILE_VALUES), flip));
    }
  }
}

/** Widens `tiles` tiles of q4 to i16. */
export function unpack_q4_wide(from: usize, to: usize, tiles: i32): void {
  const nibbles = v128.load(CONST_LOW_NIBBLES);
  const eight = v128.load(CONST_EIGHT);
  const stop = from + <usize>tiles * Q4_TILE_BYTES;
  for (; from < stop; from += Q4_TILE_BYTES, to += WIDE_TILE_BYTES) {
    store<u64>(to, load<u64>(from));
    for (let v: usize = 0; v < 4; v++) {
      const bytes = v128.load(from + (v << 4), Q4_TILE_VALUES);
      store_wide(to + (v << 5), i8x16.sub(v128.and(bytes, nibbles), eight));
      store_wide(to + (v << 5) + 128, i8x16.sub(high(bytes, nibbles), eight));
    }
  }
}

/** Makes tiles of bytes 0..15, in the order of q8, of `tiles` tiles of q4. */
export function unpack_q4_bytes(from: usize, to: usize, tiles: i32): void {
  const nibbles = v128.load(CONST_LOW_NIBBLES);
  const stop = from + <usize>tiles * Q4_TILE_BYTES;
  for (; from < stop; from += Q4_TILE_BYTES, to += Q8_TILE_BYTES) {
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

// 4 rows x 4 columns of int8 as two vectors of 4 rows x 2 columns of i16.
function store_wide(to: usize, bytes: v128): void {
  const low = i16x8.extend_low_i8x16_s(bytes);
  const top = i16x8.extend_high_i8x16_s(bytes);
  v128.store(to, v128.shuffle<i32>(low, top, 0, 2, 4, 6), WIDE_TILE_VALUES);
  v128.store(to, v128.shuffle<i32>(low, top, 1, 3, 5, 7), WIDE_TILE_VALUES + 16);
}
