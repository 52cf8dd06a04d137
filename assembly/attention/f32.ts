import { KV_PAGE } from "../layout/blocks";
import { madd } from "../simd/math";
import { hide, ROW_Q, SCORE_BYTES, SCORE_FACTOR, softmax_block } from "./softmax";

// Bytes of eight dims of V.
const V_GROUP: usize = KV_PAGE * 32;

function folded(sum: v128, out: usize, weights: usize): v128 {
  return madd(sum, v128.load(out), v128.load(weights, SCORE_FACTOR));
}

/**
 * out[r, c] = sum_n a[r, n] * b[n, c]  (fold: + out[r, c] * factor[r])      4 rows r, 8 * groups columns c
 * a    f32 [4][n]                  aStride bytes between rows; fold: factor[r] is at SCORE_FACTOR of row r
 * b    f32 [groups][.. n ..][8]    groupBytes between groups
 * out  f32 [4][8 * groups]         outStride bytes between rows
 * Align: b, out 16 B; a 4 B        Reads past the end: none
 * Numerics: f32, ascending n, mul and add apart
 *
 * 4 x 8 outputs are 8 accumulators; with two vectors of b, one of a and a product they fill 12 of the 16
 * registers of x86-64, and each step is 2 + 4 loads for 8 multiplications.
 */
export function product4_f32(
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
    let s0 = f32x4.splat(0);
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
      x = v128.load(at);
      y = v128.load(at, 16);
      w = v128.load32_splat(a0);
      s0 = madd(s0, w, x);
      t0 = madd(t0, w, y);
      w = v128.load32_splat(a1);
      s1 = madd(s1, w, x);
      t1 = madd(t1, w, y);
      w = v128.load32_splat(a2);
      s2 = madd(s2, w, x);
      t2 = madd(t2, w, y);
      w = v128.load32_splat(a3);
      s3 = madd(s3, w, x);
      t3 = madd(t3, w, y);
      x = v128.load(at, 32);
      y = v128.load(at, 48);
      w = v128.load32_splat(a0, 4);
      s0 = madd(s0, w, x);
      t0 = madd(t0, w, y);
      w = v128.load32_splat(a1, 4);
      s1 = madd(s1, w, x);
      t1 = madd(t1, w, y);
      w = v128.load32_splat(a2, 4);
      s2 = madd(s2, w, x);
      t2 = madd(t2, w, y);
      w = v128.load32_splat(a3, 4);
      s3 = madd(s3, w, x);
      t3 = madd(t3, w, y);
      a0 += 8;
      a1 += 8;
      a2 += 8;
      a3 += 8;
      at += 64;
    }
    if (a0 < stop) {
      x = v128.load(at);
      y = v128.load(at, 16);
      w = v128.load32_splat(a0);
      s0 = madd(s0, w, x);
      t0 = madd(t0, w, y);
      w = v128.load32_splat(a1);
      s1 = madd(s1, w, x);
      t1 = madd(t1, w, y);
      w = v128.load32_splat(a2);
      s2 = madd(s2, w, x);
      t2 = madd(t2, w, y);
      w = v128.load32_splat(a3);
      s3 = madd(s3, w, x);
      t3 = madd(t3, w, y);
    }
    a0 = a;
    a1 = a0 + aStride;
    a2 = a1 + aStride;
    a3 = a2 + aStride;
    const out1 = out + outStride;
    const out2 = out1 + outStride;
    const out3 = out2 + outStride;
    if (fold) {
      s0 = folded(s0, out, a0);
      t0 = folded(t0, out + 16, a0);
      s1 = folded(s1, out1, a1);
      t1 = folded(t1, out1 + 16, a1);
      s2 = folded(s2, out2, a2);
      t2 = folded(t2, out2 + 16, a2);
      s3 = folded(s3, out3, a3);
      t3 = folded(t3, out3 + 16, a3);
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
 * As product4_f32 for one row, with the same bits.
 *
 * An addition takes four cycles, so two accumulators would wait for themselves: four groups go at once.
 */
export function product1_f32(
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
      s0 = folded(s0, out, a);
      t0 = folded(t0, out + 16, a);
      s1 = folded(s1, out + 32, a);
      t1 = folded(t1, out + 48, a);
      s2 = folded(s2, out + 64, a);
      t2 = folded(t2, out + 80, a);
      s3 = folded(s3, out + 96, a);
      t3 = folded(t3, out + 112, a);
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
  for (; groups > 0; groups--) {
    let at = b;
    let s = f32x4.splat(0);
    let t = s;
    for (let p = a; p < stop; p += 4, at += 32) {
      w = v128.load32_splat(p);
      s = madd(s, w, v128.load(at));
      t = madd(t, w, v128.load(at, 16));
    }
    if (fold) {
      s = folded(s, out, a);
      t = folded(t, out + 16, a);
    }
    v128.store(out, s);
    v128.store(out, t, 16);
    b += groupBytes;
    out += 32;
  }
}

/**
 * One block of 32 positions for `rows` query rows: 4, or 1 (any other number is taken for 1).
 * k       f32 [4][dims][8 positions]
 * v       f32 [dims / 8][32 positions][8 dims]
 * count   positions that these rows see, 1..32; nothing behind them is used, not even multiplied by zero
 * row     first row: state, f32 [dims] q, f32 [dims] sums; rowBytes between rows
 * scores  [rows] SCORE_BYTES
 */
export function block_f32(
  k: usize,
  v: usize,
  count: i32,
  dims: i32,
  row: usize,
  rowBytes: usize,
  rows: i32,
  scores: usize,
): void {
  const groups = dims >> 3;
  const q = row + ROW_Q;
  const sums = q + ((<usize>dims) << 2);
  const kGroup = (<usize>dims) << 5;
  if (rows === 4) product4_f32(q, rowBytes, dims, k, kGroup, 4, scores, SCORE_BYTES, false);
  else product1_f32(q, dims, k, kGroup, 4, scores, false);
  const stop = scores + <usize>rows * SCORE_BYTES;
  for (let s = scores; s < stop; s += SCORE_BYTES) hide(s, count);
  softmax_block(scores, rows, row, rowBytes);
  if (rows === 4) product4_f32(scores, SCORE_BYTES, count, v, V_GROUP, groups, sums, rowBytes, true);
  else product1_f32(scores, count, v, V_GROUP, groups, sums, true);
}
