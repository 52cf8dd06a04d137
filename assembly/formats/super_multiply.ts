// The kernel of several tokens for formats of superblocks: a superblock of a strip is unpacked to i16, weights times the
// scales of their blocks. Then one register tile of two strips times four tokens, or two, adds up a whole superblock.
import {
  ACTS_SUPER_BYTES,
  ACTS_SUPER_SCALES,
  ACTS_SUPER_SUMS,
  WIDE_SUPER_BYTES,
  WIDE_SUPER_MINIMA,
  WIDE_SUPER_VALUES,
} from "../layout/blocks";
import { f16_mask, load_scales } from "../simd/f16";

// Whether there are four tokens: two leave out what tokens 2 and 3 would need.
function is_four<N>(): bool {
  return sizeof<N>() === 4;
}

// Adds a superblock's sums of four rows for a token to the rows at `row`; `m` are its sums of minima.
function finish(tile: usize, row: usize, sum: v128, m: v128, xs: v128, minima: bool): void {
  const mask = f16_mask();
  let value = f32x4.mul(f32x4.convert_i32x4_s(sum), f32x4.mul(load_scales(tile, mask), xs));
  if (minima) {
    value = f32x4.sub(value, f32x4.mul(f32x4.convert_i32x4_s(m), f32x4.mul(load_scales(tile + 8, mask), xs)));
  }
  v128.store(row, f32x4.add(value, v128.load(row)));
}

// The sums of a strip's minima for each of four tokens, stored behind `to`.
function sum_minima(tile: usize, x: usize, to: usize): void {
  let a = i32x4.splat(0);
  let b = a;
  let c = a;
  let d = a;
  const stop = tile + 64;
  for (; tile < stop; tile += 16, x += 16) {
    const m = v128.load(tile, WIDE_SUPER_MINIMA);
    const s = v128.load(x, ACTS_SUPER_SUMS);
    a = i32x4.add(a, i32x4.dot_i16x8_s(m, v128.shuffle<i32>(s, s, 0, 0, 0, 0)));
    b = i32x4.add(b, i32x4.dot_i16x8_s(m, v128.shuffle<i32>(s, s, 1, 1, 1, 1)));
    c = i32x4.add(c, i32x4.dot_i16x8_s(m, v128.shuffle<i32>(s, s, 2, 2, 2, 2)));
    d = i32x4.add(d, i32x4.dot_i16x8_s(m, v128.shuffle<i32>(s, s, 3, 3, 3, 3)));
  }
  v128.store(to, a);
  v128.store(to, b, 16);
  v128.store(to, c, 32);
  v128.store(to, d, 48);
}

/**
 * out[t, r] += sum_c W[r,c] * x[t, c]           a group of strips, sizeof<N>() tokens: i32 four, i16 two
 * tile    WIDE_SUPER_BYTES for each strip of each superblock, from unpack_super()
 * x       ACTS_SUPER_BYTES for each superblock   from quantize_super_x4(), finite
 * out     f32 rows of the tokens, outStride bytes apart
 * strips  an even number
 * minima  whether the format has minima
 * work    128 bytes to work in
 * Align: all 16 B                               Reads past the end: none
 * Numerics: as walk_super()
 */
export function multiply_super<N>(
  tile: usize,
  x: usize,
  out: usize,
  outStride: usize,
  strips: i32,
  supers: i32,
  factor: f32,
  minima: bool,
  work: usize,
): void {
  const power = f32x4.splat(factor);
  const stop = x + <usize>supers * ACTS_SUPER_BYTES;
  const end = out + ((<usize>strips) << 4);
  for (; x < stop; x += ACTS_SUPER_BYTES) {
    for (let row = out; row < end; row += 32, tile += 2 * WIDE_SUPER_BYTES) {
      let a0 = i32x4.splat(0);
      let a1 = a0;
      let a2 = a0;
      let a3 = a0;
      let b0 = a0;
      let b1 = a0;
      let b2 = a0;
      let b3 = a0;
      let xp = x;
      const values = tile + (WIDE_SUPER_BYTES - WIDE_SUPER_VALUES);
      for (let p = tile; p < values; p += 32, xp += 16) {
        const x01 = v128.load8x8_s(xp);
        const x23 = is_four<N>() ? v128.load8x8_s(xp, 8) : x01;
        let u = v128.load(p, WIDE_SUPER_VALUES);
        let v = v128.load(p, WIDE_SUPER_BYTES + WIDE_SUPER_VALUES);
        let xt = v128.shuffle<i32>(x01, x01, 0, 0, 0, 0);
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
        u = v128.load(p, WIDE_SUPER_VALUES + 16);
        v = v128.load(p, WIDE_SUPER_BYTES + WIDE_SUPER_VALUES + 16);
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
      if (minima) {
        sum_minima(tile, x, work);
        sum_minima(tile + WIDE_SUPER_BYTES, x, work + 64);
      }
      const next = tile + WIDE_SUPER_BYTES;
      const scales = f32x4.mul(v128.load(x, ACTS_SUPER_SCALES), power);
      let to = row;
      let xt = v128.shuffle<i32>(scales, scales, 0, 0, 0, 0);
      finish(tile, to, a0, v128.load(work), xt, minima);
      finish(next, to + 16, b0, v128.load(work, 64), xt, minima);
      to += outStride;
      xt = v128.shuffle<i32>(scales, scales, 1, 1, 1, 1);
      finish(tile, to, a1, v128.load(work, 16), xt, minima);
      finish(next, to + 16, b1, v128.load(work, 80), xt, minima);
      if (is_four<N>()) {
        to += outStride;
        xt = v128.shuffle<i32>(scales, scales, 2, 2, 2, 2);
        finish(tile, to, a2, v128.load(work, 32), xt, minima);
        finish(next, to + 16, b2, v128.load(work, 96), xt, minima);
        to += outStride;
        xt = v128.shuffle<i32>(scales, scales, 3, 3, 3, 3);
        finish(tile, to, a3, v128.load(work, 48), xt, minima);
        finish(next, to + 16, b3, v128.load(work, 112), xt, minima);
      }
    }
  }
}
