// The kernels of several tokens for weights with f16 scales: register tiles of two strips times four tokens, or
// two. Sixteen registers hold the eight sums, two vectors of weights and one activation. The loop over a block's eight steps is not
// unrolled, because V8 then keeps all of them there.
//
// One function has the frame of all kernels. Its type arguments choose what differs, so that each kernel has code of its own:
//   T  the form of the dot product, by the types of simd/dot.ts: u8 for DOT_UNSIGNED, i32 for DOT_SIGNED, i8 for pairs,
//      i16 for DOT_WIDE
//   W  how weights lie: u8 as bytes in tiles of Q8_TILE_BYTES, i8 as nibbles in tiles of Q4_TILE_BYTES, i16 widened in
//      tiles of WIDE_TILE_BYTES, u16 as bytes that are widened in registers; with minima u32 as bytes in tiles of
//      MINIMUM_TILE_BYTES, i32 widened
//   N  how many tokens: i32 four, i16 two, sizeof<N>() of them
import {
  ACT_TOKENS,
  ACTS_BLOCK_BYTES,
  ACTS_SCALES,
  ACTS_SUMS,
  MINIMUM_TILE_BYTES,
  Q4_TILE_BYTES,
  Q4_TILE_VALUES,
  Q8_TILE_BYTES,
  Q8_TILE_VALUES,
  TILE_MINIMA,
  WIDE_TILE_BYTES,
  WIDE_TILE_VALUES,
} from "../layout/blocks";
import { CONST_EVEN, CONST_FLIP, CONST_LOW_NIBBLES, CONST_ONES_16 } from "../layout/control";
import { dot_add, dot_pairs } from "../simd/dot";
import { f16_mask, load_scales } from "../simd/f16";
import { high } from "../simd/nibbles";
import { read_ahead } from "./ahead";
import { accumulate, accumulate_both } from "./groups";

/** Bytes of a widened tile. */
export const WIDE_TILE: usize = WIDE_TILE_BYTES;

// Bytes that a kernel which splits weights works in.
const SPLIT_WORK_BYTES: usize = 2 * 32 * ACT_TOKENS;

function is_pairs<T>(): bool {
  return sizeof<T>() === 1 && isSigned<T>();
}

function tile_start<T>(sums: v128, multiple: v128): v128 {
  if (sizeof<T>() === 4) return i32x4.splat(0);
  return is_pairs<T>() ? sums : i32x4.dot_i16x8_s(sums, multiple);
}

function tile_weights<T>(bytes: v128, flip: v128): v128 {
  return sizeof<T>() === 4 ? v128.xor(bytes, flip) : bytes;
}

function tile_dot<T>(acc: v128, x: v128, w: v128): v128 {
  if (is_pairs<T>()) return i16x8.add(acc, dot_pairs(x, w));
  return dot_add(x, w, acc);
}

function tile_sum<T>(acc: v128, ones: v128): v128 {
  return is_pairs<T>() ? i32x4.dot_i16x8_s(acc, ones) : acc;
}

function has_minima<W>(): bool {
  return sizeof<W>() === 4;
}

function is_wide<W>(): bool {
  return sizeof<W>() >= 2 && isSigned<W>();
}

// Whether even and odd columns of bytes are widened in registers.
function is_split<W>(): bool {
  return sizeof<W>() === 2 && !isSigned<W>();
}

function is_nibbles<W>(): bool {
  return sizeof<W>() === 1 && isSigned<W>();
}

function bytes_of<W>(): usize {
  if (has_minima<W>() && !isSigned<W>()) return MINIMUM_TILE_BYTES;
  return is_wide<W>() ? WIDE_TILE_BYTES : is_nibbles<W>() ? Q4_TILE_BYTES : Q8_TILE_BYTES;
}

// Sums of two strips of a token: see accumulate() and accumulate_both(). The latter has minima behind the scales.
function add_sums<W>(
  to: usize,
  a: v128,
  b: v128,
  s: v128,
  z: v128,
  sMinima: v128,
  zMinima: v128,
  xs: v128,
  sum: v128,
): void {
  if (has_minima<W>()) {
    accumulate_both(to, a, s, sMinima, xs, sum);
    accumulate_both(to + 16, b, z, zMinima, xs, sum);
  } else {
    accumulate(to, a, s, xs);
    accumulate(to + 16, b, z, xs);
  }
}

// The activations of a block, i16: columns 0 and 2 of each four beside each other, then 1 and 3, as weights are split.
function widen_activations(x: usize, work: usize): void {
  for (const stop = work + SPLIT_WORK_BYTES; work < stop; work += 16, x += 8) {
    const columns = v128.load8x8_s(x);
    v128.store(work, v128.shuffle<i16>(columns, columns, 0, 2, 1, 3, 4, 6, 5, 7));
  }
}

// Whether there are four tokens: two leave out what tokens 2 and 3 would need.
function is_four<N>(): bool {
  return sizeof<N>() === 4;
}

/**
 * out[t, r] += sum_c W[r,c] * x[t, c]           a group of strips, sizeof<N>() tokens
 * tile    tiles as W says, `strips` for each block, one behind the other
 * x       ACTS_BLOCK_BYTES for each block        from quantize_q8x4(), finite
 * out     f32 rows of the tokens, outStride bytes apart
 * strips  an even number
 * starts  bytes with DOT_UNSIGNED, or split: 16 if a byte is a weight + 128, 1 if it is a weight + 8
 * work    bytes that are split: SPLIT_WORK_BYTES, 16 B aligned
 * Align: tile, x 4 B; out 16 B                  Reads past the end: none
 * Numerics: as matvec(); bytes over 127 need an engine whose dot_form() is DOT_UNSIGNED or DOT_SIGNED
 */
export function multiply<T, W, N>(
  tile: usize,
  x: usize,
  out: usize,
  outStride: usize,
  strips: i32,
  blocks: i32,
  starts: i32,
  factor: f32,
  work: usize = 0,
): void {
  // Only what a kernel needs: a load whose value is not used stays in the module, because it could trap.
  const none = i32x4.splat(0);
  const nibbles = is_nibbles<W>() ? v128.load(CONST_LOW_NIBBLES) : none;
  const multiple = !isSigned<W>() && !has_minima<W>() ? i16x8.splat(<i16>starts) : none;
  const even = is_split<W>() ? v128.load(CONST_EVEN) : none;
  const flip = sizeof<T>() === 4 ? v128.load(CONST_FLIP) : none;
  const ones = is_nibbles<W>() || has_minima<W>() || is_pairs<T>() ? v128.load(CONST_ONES_16) : none;
  const mask = f16_mask();
  const power = f32x4.splat(factor);
  const rowBytes = (<usize>strips) << 4;
  const stop = x + <usize>blocks * ACTS_BLOCK_BYTES;
  for (; x < stop; x += ACTS_BLOCK_BYTES) {
    read_ahead();
    if (is_split<W>()) widen_activations(x, work);
    const end = out + rowBytes;
    for (let row = out; row < end; row += 32, tile += 2 * bytes_of<W>()) {
      let xv = i32x4.splat(0);
      let xt: v128;
      let a0 = xv;
      let a1 = xv;
      let a2 = xv;
      let a3 = xv;
      if (sizeof<W>() === 1 || is_split<W>()) {
        xv = tile_start<T>(v128.load(x, ACTS_SUMS), is_nibbles<W>() ? ones : multiple);
        a0 = v128.shuffle<i32>(xv, xv, 0, 0, 0, 0);
        a1 = v128.shuffle<i32>(xv, xv, 1, 1, 1, 1);
        a2 = v128.shuffle<i32>(xv, xv, 2, 2, 2, 2);
        a3 = v128.shuffle<i32>(xv, xv, 3, 3, 3, 3);
      }
      let b0 = a0;
      let b1 = a1;
      let b2 = a2;
      let b3 = a3;
      let xp = x;
      let u: v128;
      let v: v128;
      if (is_wide<W>() || is_split<W>()) {
        if (is_split<W>()) xp = work;
        // Vectors of two columns: so many bytes of a tile and of activations are four columns.
        const step: usize = is_split<W>() ? 16 : 32;
        let p = tile + (is_split<W>() ? Q8_TILE_VALUES : WIDE_TILE_VALUES);
        for (const values = p + 8 * step; p < values; p += step, xp += 48 - step) {
          const x01 = is_split<W>() ? v128.load(xp) : v128.load8x8_s(xp);
          const x23 = !is_four<N>() ? x01 : is_split<W>() ? v128.load(xp, 16) : v128.load8x8_s(xp, 8);
          let w = v128.load(p);
          let z = is_split<W>() ? v128.load(p, Q8_TILE_BYTES) : v128.load(p, WIDE_TILE_BYTES);
          u = is_split<W>() ? v128.and(w, even) : w;
          v = is_split<W>() ? v128.and(z, even) : z;
          xt = v128.shuffle<i32>(x01, x01, 0, 0, 0, 0);
          a0 = i32x4.add(a0, i32x4.dot_i16x8_s(u, xt));
          b0 = i32x4.add(b0, i32x4.dot_i16x8_s(v, xt));
          xt = v128.shuffle<i32>(x01, x01, 2, 2, 2, 2);
          a1 = i32x4.add(a1, i32x4.dot_i16x8_s(u, xt));
          b1 = i32x4.add(b1, i32x4.dot_i16x8_s(v, xt));
          if (is_four<N>()) {
            xt = v128.shuffle<i32>(x23, x23, 0, 0, 0, 0);
            a2 = i32x4.add(a2, i32x4.dot_i16x8_s(u, xt));
            b2 = i32x4.add(b2, i32x4.dot_i16x8_s(v, xt));
            xt = v128.shuffle<i32>(x23, x23, 2, 2, 2, 2);
            a3 = i32x4.add(a3, i32x4.dot_i16x8_s(u, xt));
            b3 = i32x4.add(b3, i32x4.dot_i16x8_s(v, xt));
          }
          if (!is_split<W>()) {
            w = v128.load(p, 16);
            z = v128.load(p, WIDE_TILE_BYTES + 16);
          }
          u = is_split<W>() ? i16x8.shr_u(w, 8) : w;
          v = is_split<W>() ? i16x8.shr_u(z, 8) : z;
          xt = v128.shuffle<i32>(x01, x01, 1, 1, 1, 1);
          a0 = i32x4.add(a0, i32x4.dot_i16x8_s(u, xt));
          b0 = i32x4.add(b0, i32x4.dot_i16x8_s(v, xt));
          xt = v128.shuffle<i32>(x01, x01, 3, 3, 3, 3);
          a1 = i32x4.add(a1, i32x4.dot_i16x8_s(u, xt));
          b1 = i32x4.add(b1, i32x4.dot_i16x8_s(v, xt));
          if (is_four<N>()) {
            xt = v128.shuffle<i32>(x23, x23, 1, 1, 1, 1);
            a2 = i32x4.add(a2, i32x4.dot_i16x8_s(u, xt));
            b2 = i32x4.add(b2, i32x4.dot_i16x8_s(v, xt));
            xt = v128.shuffle<i32>(x23, x23, 3, 3, 3, 3);
            a3 = i32x4.add(a3, i32x4.dot_i16x8_s(u, xt));
            b3 = i32x4.add(b3, i32x4.dot_i16x8_s(v, xt));
          }
        }
      } else if (is_nibbles<W>()) {
        const values = tile + (Q4_TILE_BYTES - Q4_TILE_VALUES);
        for (let p = tile; p < values; p += 16, xp += 16) {
          const w = v128.load(p, Q4_TILE_VALUES);
          const z = v128.load(p, Q4_TILE_BYTES + Q4_TILE_VALUES);
          u = v128.and(w, nibbles);
          v = v128.and(z, nibbles);
          xv = v128.load(xp);
          xt = v128.shuffle<i32>(xv, xv, 0, 0, 0, 0);
          a0 = tile_dot<T>(a0, xt, u);
          b0 = tile_dot<T>(b0, xt, v);
          xt = v128.shuffle<i32>(xv, xv, 1, 1, 1, 1);
          a1 = tile_dot<T>(a1, xt, u);
          b1 = tile_dot<T>(b1, xt, v);
          if (is_four<N>()) {
            xt = v128.shuffle<i32>(xv, xv, 2, 2, 2, 2);
            a2 = tile_dot<T>(a2, xt, u);
            b2 = tile_dot<T>(b2, xt, v);
            xt = v128.shuffle<i32>(xv, xv, 3, 3, 3, 3);
            a3 = tile_dot<T>(a3, xt, u);
            b3 = tile_dot<T>(b3, xt, v);
          }
          u = high(w, nibbles);
          v = high(z, nibbles);
          xv = v128.load(xp, 64);
          xt = v128.shuffle<i32>(xv, xv, 0, 0, 0, 0);
          a0 = tile_dot<T>(a0, xt, u);
          b0 = tile_dot<T>(b0, xt, v);
          xt = v128.shuffle<i32>(xv, xv, 1, 1, 1, 1);
          a1 = tile_dot<T>(a1, xt, u);
          b1 = tile_dot<T>(b1, xt, v);
          if (is_four<N>()) {
            xt = v128.shuffle<i32>(xv, xv, 2, 2, 2, 2);
            a2 = tile_dot<T>(a2, xt, u);
            b2 = tile_dot<T>(b2, xt, v);
            xt = v128.shuffle<i32>(xv, xv, 3, 3, 3, 3);
            a3 = tile_dot<T>(a3, xt, u);
            b3 = tile_dot<T>(b3, xt, v);
          }
        }
      } else {
        const values = tile + (Q8_TILE_BYTES - Q8_TILE_VALUES);
        for (let p = tile; p < values; p += 16, xp += 16) {
          if (has_minima<W>()) {
            u = v128.load(p, MINIMUM_TILE_BYTES - 128);
            v = v128.load(p, 2 * MINIMUM_TILE_BYTES - 128);
          } else {
            u = tile_weights<T>(v128.load(p, Q8_TILE_VALUES), flip);
            v = tile_weights<T>(v128.load(p, Q8_TILE_BYTES + Q8_TILE_VALUES), flip);
          }
          xv = v128.load(xp);
          xt = v128.shuffle<i32>(xv, xv, 0, 0, 0, 0);
          a0 = tile_dot<T>(a0, xt, u);
          b0 = tile_dot<T>(b0, xt, v);
          xt = v128.shuffle<i32>(xv, xv, 1, 1, 1, 1);
          a1 = tile_dot<T>(a1, xt, u);
          b1 = tile_dot<T>(b1, xt, v);
          if (is_four<N>()) {
            xt = v128.shuffle<i32>(xv, xv, 2, 2, 2, 2);
            a2 = tile_dot<T>(a2, xt, u);
            b2 = tile_dot<T>(b2, xt, v);
            xt = v128.shuffle<i32>(xv, xv, 3, 3, 3, 3);
            a3 = tile_dot<T>(a3, xt, u);
            b3 = tile_dot<T>(b3, xt, v);
          }
        }
      }
      const s = load_scales(tile, mask);
      const z = load_scales(tile + bytes_of<W>(), mask);
      let m = none;
      let n = none;
      let sums = none;
      let sum = none;
      if (has_minima<W>()) {
        m = load_scales(tile + TILE_MINIMA, mask);
        n = load_scales(tile + bytes_of<W>() + TILE_MINIMA, mask);
        sums = f32x4.convert_i32x4_s(i32x4.dot_i16x8_s(v128.load(x, ACTS_SUMS), ones));
        sums = f32x4.mul(sums, f32x4.splat(-0.125));
      }
      xv = f32x4.mul(v128.load(x, ACTS_SCALES), power);
      let to = row;
      xt = v128.shuffle<i32>(xv, xv, 0, 0, 0, 0);
      if (has_minima<W>()) sum = v128.shuffle<i32>(sums, sums, 0, 0, 0, 0);
      add_sums<W>(to, tile_sum<T>(a0, ones), tile_sum<T>(b0, ones), s, z, m, n, xt, sum);
      to += outStride;
      xt = v128.shuffle<i32>(xv, xv, 1, 1, 1, 1);
      if (has_minima<W>()) sum = v128.shuffle<i32>(sums, sums, 1, 1, 1, 1);
      add_sums<W>(to, tile_sum<T>(a1, ones), tile_sum<T>(b1, ones), s, z, m, n, xt, sum);
      if (is_four<N>()) {
        to += outStride;
        xt = v128.shuffle<i32>(xv, xv, 2, 2, 2, 2);
        if (has_minima<W>()) sum = v128.shuffle<i32>(sums, sums, 2, 2, 2, 2);
        add_sums<W>(to, tile_sum<T>(a2, ones), tile_sum<T>(b2, ones), s, z, m, n, xt, sum);
        to += outStride;
        xt = v128.shuffle<i32>(xv, xv, 3, 3, 3, 3);
        if (has_minima<W>()) sum = v128.shuffle<i32>(sums, sums, 3, 3, 3, 3);
        add_sums<W>(to, tile_sum<T>(a3, ones), tile_sum<T>(b3, ones), s, z, m, n, xt, sum);
      }
    }
  }
}

/** 4 rows x 4 columns of int8 as two vectors of 4 rows x 2 columns of i16, WIDE_TILE_VALUES behind `to`. */
export function store_wide(to: usize, bytes: v128): void {
  const low = i16x8.extend_low_i8x16_s(bytes);
  const top = i16x8.extend_high_i8x16_s(bytes);
  v128.store(to, v128.shuffle<i32>(low, top, 0, 2, 4, 6), WIDE_TILE_VALUES);
  v128.store(to, v128.shuffle<i32>(low, top, 1, 3, 5, 7), WIDE_TILE_VALUES + 16);
}
