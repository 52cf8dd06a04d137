import { KV_PAGE } from "../layout/blocks";
import { CONST_EXP2_ROUND } from "../layout/control";
import {
  hide,
  ROW_Q,
  ROW_SCALE,
  SCORE_BYTES,
  SCORE_FACTOR,
  SCORE_UNIT,
  softmax_block,
  top_of,
} from "./softmax";

// Weights are quantized to 0..WEIGHT_MAX.
const WEIGHT_MAX: f32 = 32767;
// A block whose largest weight is smaller becomes zeros: its reciprocal would overflow.
const SMALLEST: f32 = 1e-30;
// Bytes of eight dims of V.
const V_GROUP: usize = KV_PAGE * 8;

// Four columns of two int8 each, times the pair in every lane of w.
function dot(sum: v128, w: v128, b: v128): v128 {
  return i32x4.add(sum, i32x4.dot_i16x8_s(w, b));
}

function folded(sum: v128, out: usize, weights: usize): v128 {
  return f32x4.add(
    f32x4.mul(sum, v128.load(weights, SCORE_UNIT)),
    f32x4.mul(v128.load(out), v128.load(weights, SCORE_FACTOR)),
  );
}

/**
 * out[r, c] = sum_n a[r, n] * b[n, c]        4 rows r, 8 * groups columns c
 * fold: out[r, c] = out[r, c] * factor[r] + scale[r] * sum_n a[r, n] * b[n, c]
 * a      i16 pairs [4][pairs]          aStride bytes between rows; fold: SCORE_FACTOR, SCORE_UNIT of row r
 * b      int8 [groups][.. pairs ..][8][2]    groupBytes between groups
 * out    f32 [4][8 * groups]           outStride bytes between rows
 * Units: pairs even
 * Align: b, out 16 B; a 4 B            Reads past the end: none
 * Numerics: i32 exact, converted once. K: at most 256 dims of |int8| <= 128 and |i16| <= 32767, under
 *           2^31 - 1 = 2147483647 with 1073709056; V: 32 positions, 134213632
 *
 * 4 x 8 outputs are 8 accumulators; with two vectors of b, one of a and a product they fill 12 of the 16
 * registers of x86-64; a load widens b for four rows.
 */
export function product4_q8(
  a: usize,
  aStride: usize,
  pairs: i32,
  b: usize,
  groupBytes: usize,
  groups: i32,
  out: usize,
  outStride: usize,
  fold: bool,
): void {
  const stop = a + ((<usize>pairs) << 2);
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
    while (a0 < stop) {
      x = v128.load8x8_s(at);
      y = v128.load8x8_s(at, 8);
      w = v128.load32_splat(a0);
      s0 = dot(s0, w, x);
      t0 = dot(t0, w, y);
      w = v128.load32_splat(a1);
      s1 = dot(s1, w, x);
      t1 = dot(t1, w, y);
      w = v128.load32_splat(a2);
      s2 = dot(s2, w, x);
      t2 = dot(t2, w, y);
      w = v128.load32_splat(a3);
      s3 = dot(s3, w, x);
      t3 = dot(t3, w, y);
      x = v128.load8x8_s(at, 16);
      y = v128.load8x8_s(at, 24);
      w = v128.load32_splat(a0, 4);
      s0 = dot(s0, w, x);
      t0 = dot(t0, w, y);
      w = v128.load32_splat(a1, 4);
      s1 = dot(s1, w, x);
      t1 = dot(t1, w, y);
      w = v128.load32_splat(a2, 4);
      s2 = dot(s2, w, x);
      t2 = dot(t2, w, y);
      w = v128.load32_splat(a3, 4);
      s3 = dot(s3, w, x);
      t3 = dot(t3, w, y);
      a0 += 8;
      a1 += 8;
      a2 += 8;
      a3 += 8;
      at += 32;
    }
    s0 = f32x4.convert_i32x4_s(s0);
    t0 = f32x4.convert_i32x4_s(t0);
    s1 = f32x4.convert_i32x4_s(s1);
    t1 = f32x4.convert_i32x4_s(t1);
    s2 = f32x4.convert_i32x4_s(s2);
    t2 = f32x4.convert_i32x4_s(t2);
    s3 = f32x4.convert_i32x4_s(s3);
    t3 = f32x4.convert_i32x4_s(t3);
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

/** As product4_q8 for one row, with the same bits. */
export function product1_q8(
  a: usize,
  pairs: i32,
  b: usize,
  groupBytes: usize,
  groups: i32,
  out: usize,
  fold: bool,
): void {
  const stop = a + ((<usize>pairs) << 2);
  for (; groups > 0; groups--) {
    let at = b;
    let s = i32x4.splat(0);
    let t = s;
    let w: v128;
    for (let p = a; p < stop; p += 8, at += 32) {
      w = v128.load32_splat(p);
      s = dot(s, w, v128.load8x8_s(at));
      t = dot(t, w, v128.load8x8_s(at, 8));
      w = v128.load32_splat(p, 4);
      s = dot(s, w, v128.load8x8_s(at, 16));
      t = dot(t, w, v128.load8x8_s(at, 24));
    }
    s = f32x4.convert_i32x4_s(s);
    t = f32x4.convert_i32x4_s(t);
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

// Integer dot products of a row become scores: times the scales of K and of q.
function scale_scores(s: usize, scales: usize, unit: v128): void {
  for (let stop = s + 4 * KV_PAGE; s < stop; s += 32, scales += 32) {
    v128.store(s, f32x4.mul(f32x4.mul(v128.load(s), v128.load(scales)), unit));
    v128.store(s, f32x4.mul(f32x4.mul(v128.load(s, 16), v128.load(scales, 16)), unit), 16);
  }
}

// s[i] *= scales[i] where position i is seen, 0 elsewhere.
function weigh(s: usize, scales: usize, count: i32): void {
  for (let at = s, stop = s + 4 * KV_PAGE; at < stop; at += 32, scales += 32) {
    v128.store(at, f32x4.mul(v128.load(at), v128.load(scales)));
    v128.store(at, f32x4.mul(v128.load(at, 16), v128.load(scales, 16)), 16);
  }
  for (let i = count; i < KV_PAGE; i++) store<f32>(s + ((<usize>i) << 2), 0);
}

/**
 * w[i] = round(s[i] * scales[i] / unit), unit = max_i (s[i] * scales[i]) / 32767
 * s       [rows] SCORE_BYTES: f32 [32] softmax weights; become i16 [32], the unit goes to SCORE_UNIT
 * scales  f32 [32] of V, not negative
 * count   positions that are seen: the others weigh zero whatever their scales
 * Align: 16 B                   Reads past the end: none
 * Numerics: round to nearest, ties to even; a maximum under 1e-30 gives zeros
 */
export function quantize_weights(s: usize, rows: i32, scales: usize, count: i32): void {
  const stop = s + <usize>rows * SCORE_BYTES;
  for (let at = s; at < stop; at += SCORE_BYTES) weigh(at, scales, count);
  const round = v128.load(CONST_EXP2_ROUND);
  const most = f32x4.splat(WEIGHT_MAX);
  const smallest = f32x4.splat(SMALLEST);
  for (let at = s; at < stop; at += SCORE_BYTES) {
    const top = top_of(at);
    v128.store(at, f32x4.div(top, most), SCORE_UNIT);
    const inverse = v128.and(f32x4.div(most, top), f32x4.ge(top, smallest));
    // `round` leaves the nearest integer in the low bits, above its own bits.
    for (let i: usize = 0; i < 2 * KV_PAGE; i += 16) {
      const x = f32x4.add(f32x4.mul(v128.load(at + 2 * i), inverse), round);
      const y = f32x4.add(f32x4.mul(v128.load(at + 2 * i, 16), inverse), round);
      v128.store(at + i, i16x8.narrow_i32x4_s(i32x4.sub(x, round), i32x4.sub(y, round)));
    }
  }
}

/**
 * One block of 32 positions for `rows` query rows: 4, or 1 (any other number is taken for 1).
 * k       int8 [4][dims / 2][8 positions][2 dims]
 * v       int8 [dims / 8][16 position pairs][8 dims][2 positions]
 * scales  f32 [32] of K, f32 [32] of V
 * count   positions that these rows see, 1..32; weights of the others are integer zeros
 * row     first row: state, i16 [dims] q, f32 [dims] sums; rowBytes between rows
 * scores  [rows] SCORE_BYTES
 */
export function block_q8(
  k: usize,
  v: usize,
  scales: usize,
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
  const kGroup = (<usize>dims) << 3;
  if (rows === 4) product4_q8(q, rowBytes, dims >> 1, k, kGroup, 4, scores, SCORE_BYTES, false);
  else product1_q8(q, dims >> 1, k, kGroup, 4, scores, false);
  const stop = scores + <usize>rows * SCORE_BYTES;
  for (let s = scores, r = row; s < stop; s += SCORE_BYTES, r += rowBytes) {
    scale_scores(s, scales, v128.load32_splat(r, ROW_SCALE));
    hide(s, count);
  }
  softmax_block(scores, rows, row, rowBytes);
  quantize_weights(scores, rows, scales + 4 * KV_PAGE, count);
  const pairs = ((count + 3) & ~3) >> 1;
  if (rows === 4) product4_q8(scores, SCORE_BYTES, pairs, v, V_GROUP, groups, sums, rowBytes, true);
  else product1_q8(scores, pairs, v, V_GROUP, groups, sums, true);
}
