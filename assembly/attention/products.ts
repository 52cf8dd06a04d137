// Products of rows with blocks of K or V, which attention's kernels are made of.
//
// One source has the frame of all kernels. The type argument says what b holds and how sums end:
//   f32  f32 columns; folded sums are added to what is at out, times the row's factor
//   i8   pairs of int8 columns, times pairs of i16; folded sums are scaled by the row's unit, the rest as f32
//   f64  f32 columns; folded sums are added to what is at out as it is
import { madd } from "../simd/math";
import { SCORE_FACTOR, SCORE_UNIT } from "./softmax";

// Adds four columns of b, or of pairs of them, times the value or the pair in every lane of w.
function add_product<T>(sum: v128, w: v128, b: v128): v128 {
  return isFloat<T>() ? madd(sum, w, b) : i32x4.add(sum, i32x4.dot_i16x8_s(w, b));
}

function sum_of<T>(sum: v128): v128 {
  return isFloat<T>() ? sum : f32x4.convert_i32x4_s(sum);
}

/** What a sum becomes that is folded into what is at `out`; `weights` are those of its row. */
export function folded<T>(sum: v128, out: usize, weights: usize): v128 {
  if (sizeof<T>() === 8) return f32x4.add(v128.load(out), sum);
  if (isFloat<T>()) return madd(sum, v128.load(out), v128.load(weights, SCORE_FACTOR));
  return f32x4.add(
    f32x4.mul(sum, v128.load(weights, SCORE_UNIT)),
    f32x4.mul(v128.load(out), v128.load(weights, SCORE_FACTOR)),
  );
}

/**
 * out[r, c] = sum_n a[r, n] * b[n, c]        4 rows r, 8 * groups columns c
 * fold: the same, folded into out[r, c] as the type argument says
 * a    f32, or i16 pairs [4][n]              aStride bytes between rows; fold: SCORE_FACTOR, SCORE_UNIT of row r
 * b    f32, or int8 pairs [groups][.. n ..][8]    groupBytes between groups
 * out  f32 [4][8 * groups]                   outStride bytes between rows
 * Units: n values, or pairs, whose number is even
 * Align: b, out 16 B; a 4 B                  Reads past the end: none
 * Numerics: f32, ascending n, mul and add apart. int8: i32 exact, converted once. K: at most 512 dims of |int8| <= 128
 *           and |i16| <= 32767, under 2^31 - 1 = 2147483647 with 2147418112 (576 dims of |i16| <= 16383: 1207885824); V: 32
 *           positions, 134213632
 *
 * 4 x 8 outputs are 8 accumulators. With two vectors of b, one of a and a product they fill 12 of the 16 registers of
 * x86-64, and each step is 2 + 4 loads for 8 multiplications.
 */
export function product4<T>(
  a: usize,
  aStride: usize,
  n: i32,
  b: usize,
  groupBytes: usize,
  groups: i32,
  out: usize,
  outStride: usize,
  fold: bool,
): void {
  const stop2 = a + ((<usize>n & ~1) << 2);
  const stop = a + ((<usize>n) << 2);
  for (; groups > 0; groups--) {
    let a0 = a;
    let a1 = a0 + aStride;
    let a2 = a1 + aStride;
    let a3 = a2 + aStride;
    let s0 = i32x4.splat(0);
    let t0 = s0;
    let s1 = s0;
    let t1 = s0;
    let s2 = s0;
    let t2 = s0;
    let s3 = s0;
    let t3 = s0;
    let x: v128, y: v128, w: v128;
    let at = b;
    while (a0 < stop2) {
      x = isFloat<T>() ? v128.load(at) : v128.load8x8_s(at);
      y = isFloat<T>() ? v128.load(at, 16) : v128.load8x8_s(at, 8);
      w = v128.load32_splat(a0);
      s0 = add_product<T>(s0, w, x);
      t0 = add_product<T>(t0, w, y);
      w = v128.load32_splat(a1);
      s1 = add_product<T>(s1, w, x);
      t1 = add_product<T>(t1, w, y);
      w = v128.load32_splat(a2);
      s2 = add_product<T>(s2, w, x);
      t2 = add_product<T>(t2, w, y);
      w = v128.load32_splat(a3);
      s3 = add_product<T>(s3, w, x);
      t3 = add_product<T>(t3, w, y);
      x = isFloat<T>() ? v128.load(at, 32) : v128.load8x8_s(at, 16);
      y = isFloat<T>() ? v128.load(at, 48) : v128.load8x8_s(at, 24);
      w = v128.load32_splat(a0, 4);
      s0 = add_product<T>(s0, w, x);
      t0 = add_product<T>(t0, w, y);
      w = v128.load32_splat(a1, 4);
      s1 = add_product<T>(s1, w, x);
      t1 = add_product<T>(t1, w, y);
      w = v128.load32_splat(a2, 4);
      s2 = add_product<T>(s2, w, x);
      t2 = add_product<T>(t2, w, y);
      w = v128.load32_splat(a3, 4);
      s3 = add_product<T>(s3, w, x);
      t3 = add_product<T>(t3, w, y);
      a0 += 8;
      a1 += 8;
      a2 += 8;
      a3 += 8;
      at += isFloat<T>() ? 64 : 32;
    }
    if (isFloat<T>()) {
      if (a0 < stop) {
        x = v128.load(at);
        y = v128.load(at, 16);
        w = v128.load32_splat(a0);
        s0 = add_product<T>(s0, w, x);
        t0 = add_product<T>(t0, w, y);
        w = v128.load32_splat(a1);
        s1 = add_product<T>(s1, w, x);
        t1 = add_product<T>(t1, w, y);
        w = v128.load32_splat(a2);
        s2 = add_product<T>(s2, w, x);
        t2 = add_product<T>(t2, w, y);
        w = v128.load32_splat(a3);
        s3 = add_product<T>(s3, w, x);
        t3 = add_product<T>(t3, w, y);
      }
    }
    s0 = sum_of<T>(s0);
    t0 = sum_of<T>(t0);
    s1 = sum_of<T>(s1);
    t1 = sum_of<T>(t1);
    s2 = sum_of<T>(s2);
    t2 = sum_of<T>(t2);
    s3 = sum_of<T>(s3);
    t3 = sum_of<T>(t3);
    a0 = a;
    a1 = a0 + aStride;
    a2 = a1 + aStride;
    a3 = a2 + aStride;
    const out1 = out + outStride;
    const out2 = out1 + outStride;
    const out3 = out2 + outStride;
    if (fold) {
      s0 = folded<T>(s0, out, a0);
      t0 = folded<T>(t0, out + 16, a0);
      s1 = folded<T>(s1, out1, a1);
      t1 = folded<T>(t1, out1 + 16, a1);
      s2 = folded<T>(s2, out2, a2);
      t2 = folded<T>(t2, out2 + 16, a2);
      s3 = folded<T>(s3, out3, a3);
      t3 = folded<T>(t3, out3 + 16, a3);
    }
    v128.store(out, s0);
    v128.store(out, t0, 16);
    v128.store(out1, s1);
    v128.store(out1, t1, 16);
    v128.store(out2, s2);
    v128.store(out2, t2, 16);
    v128.store(out3, s3);
    v128.store(out3, t3, 16);
    b += groupBytes;
    out += 32;
  }
}

/**
 * As product4 for one row, with the same bits.
 *
 * An f32 addition takes four cycles, so two accumulators would wait for themselves: four groups go at once.
 */
export function product1<T>(
  a: usize,
  n: i32,
  b: usize,
  groupBytes: usize,
  groups: i32,
  out: usize,
  fold: bool,
): void {
  const stop = a + ((<usize>n) << 2);
  let w: v128;
  if (isFloat<T>()) {
    for (; groups >= 4; groups -= 4) {
      let b0 = b;
      let b1 = b0 + groupBytes;
      let b2 = b1 + groupBytes;
      let b3 = b2 + groupBytes;
      let s0 = f32x4.splat(0);
      let t0 = s0;
      let s1 = s0;
      let t1 = s0;
      let s2 = s0;
      let t2 = s0;
      let s3 = s0;
      let t3 = s0;
      for (let at = a; at < stop; at += 4) {
        w = v128.load32_splat(at);
        s0 = madd(s0, w, v128.load(b0));
        t0 = madd(t0, w, v128.load(b0, 16));
        s1 = madd(s1, w, v128.load(b1));
        t1 = madd(t1, w, v128.load(b1, 16));
        s2 = madd(s2, w, v128.load(b2));
        t2 = madd(t2, w, v128.load(b2, 16));
        s3 = madd(s3, w, v128.load(b3));
        t3 = madd(t3, w, v128.load(b3, 16));
        b0 += 32;
        b1 += 32;
        b2 += 32;
        b3 += 32;
      }
      if (fold) {
        s0 = folded<T>(s0, out, a);
        t0 = folded<T>(t0, out + 16, a);
        s1 = folded<T>(s1, out + 32, a);
        t1 = folded<T>(t1, out + 48, a);
        s2 = folded<T>(s2, out + 64, a);
        t2 = folded<T>(t2, out + 80, a);
        s3 = folded<T>(s3, out + 96, a);
        t3 = folded<T>(t3, out + 112, a);
      }
      v128.store(out, s0);
      v128.store(out, t0, 16);
      v128.store(out, s1, 32);
      v128.store(out, t1, 48);
      v128.store(out, s2, 64);
      v128.store(out, t2, 80);
      v128.store(out, s3, 96);
      v128.store(out, t3, 112);
      b += groupBytes << 2;
      out += 128;
    }
  }
  for (; groups > 0; groups--) {
    let at = b;
    let s = i32x4.splat(0);
    let t = s;
    if (isFloat<T>()) {
      for (let p = a; p < stop; p += 4, at += 32) {
        w = v128.load32_splat(p);
        s = madd(s, w, v128.load(at));
        t = madd(t, w, v128.load(at, 16));
      }
    } else {
      for (let p = a; p < stop; p += 8, at += 32) {
        w = v128.load32_splat(p);
        s = add_product<T>(s, w, v128.load8x8_s(at));
        t = add_product<T>(t, w, v128.load8x8_s(at, 8));
        w = v128.load32_splat(p, 4);
        s = add_product<T>(s, w, v128.load8x8_s(at, 16));
        t = add_product<T>(t, w, v128.load8x8_s(at, 24));
      }
    }
    s = sum_of<T>(s);
    t = sum_of<T>(t);
    if (fold) {
      s = folded<T>(s, out, a);
      t = folded<T>(t, out + 16, a);
    }
    v128.store(out, s);
    v128.store(out, t, 16);
    b += groupBytes;
    out += 32;
  }
}
