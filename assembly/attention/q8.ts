// Keys and values as int8 with a scale for each position: how they are stored, and attention to one block of them.
import { KV_PAGE } from "../layout/blocks";
import { CONST_EXP2_ROUND } from "../layout/control";
import { product1, product4 } from "./products";
import { abs_max, inverse_of, kv_dims, load4, scale_of } from "./rows";
import { hide, ROW_Q, ROW_SCALE, SCORE_BYTES, SCORE_UNIT, softmax_block, top_of } from "./softmax";

const INT8_MAX: f32 = 127;
// Largest integer of a quantized query: products of up to WIDE_DIMS dims stay under 2^31 with it, of more with its half.
const QUERY_MAX: f32 = 32767;
const WIDE_QUERY_MAX: f32 = 16383;
const WIDE_DIMS: i32 = 512;
// Weights are quantized to 0..WEIGHT_MAX.
const WEIGHT_MAX: f32 = 32767;
// A block whose largest weight is smaller becomes zeros: its reciprocal would overflow.
const SMALLEST: f32 = 1e-30;
// Bytes of eight dims of V.
const V_GROUP: usize = KV_PAGE * 8;

function round4(x: usize, d: i32, n: i32, inverse: v128): v128 {
  return i32x4.trunc_sat_f32x4_s(f32x4.nearest(f32x4.mul(load4(x, d, n), inverse)));
}

// Eight dims as int8.
function round8(x: usize, d: i32, n: i32, inverse: v128): v128 {
  const q = i16x8.narrow_i32x4_s(round4(x, d, n, inverse), round4(x, d + 4, n, inverse));
  return i8x16.narrow_i16x8_s(q, q);
}

/**
 * As kv_store_f32, with int8 and one f32 scale for K and one for V, max|x| / 127.
 * Numerics: round to nearest, ties to even; a row whose maximum is under 1e-30 becomes zeros. NaN or
 *           infinity in k or v makes the scale of K so, and with it every score of this position
 */
export function kv_store_q8(k: usize, v: usize, head: usize, slot: i32, headDim: i32): void {
  const dims = kv_dims(headDim);
  const kTop = abs_max(k, headDim);
  const vTop = abs_max(v, headDim);
  const kInverse = f32x4.splat(inverse_of(kTop, INT8_MAX));
  const vInverse = f32x4.splat(inverse_of(vTop, INT8_MAX));
  let kAt = head + <usize>((slot >> 3) * 8 * dims + (slot & 7) * 2);
  let vAt = head + <usize>(dims * KV_PAGE + (slot >> 1) * 16 + (slot & 1));
  for (let d = 0; d < dims; d += 8) {
    const a = round8(k, d, headDim, kInverse);
    v128.store16_lane(kAt, a, 0);
    v128.store16_lane(kAt, a, 1, 16);
    v128.store16_lane(kAt, a, 2, 32);
    v128.store16_lane(kAt, a, 3, 48);
    const b = round8(v, d, headDim, vInverse);
    v128.store8_lane(vAt, b, 0);
    v128.store8_lane(vAt, b, 1, 2);
    v128.store8_lane(vAt, b, 2, 4);
    v128.store8_lane(vAt, b, 3, 6);
    v128.store8_lane(vAt, b, 4, 8);
    v128.store8_lane(vAt, b, 5, 10);
    v128.store8_lane(vAt, b, 6, 12);
    v128.store8_lane(vAt, b, 7, 14);
    kAt += 64;
    vAt += 8 * KV_PAGE;
  }
  const scales = head + <usize>(2 * dims * KV_PAGE + 4 * slot);
  store<f32>(scales, scale_of(kTop, INT8_MAX) + (vTop - vTop));
  store<f32>(scales, scale_of(vTop, INT8_MAX), 4 * KV_PAGE);
}

/** q as i16 of full width: only K's error is left. */
export function start_q8(row: usize, q: usize, headDim: i32, scale: f32): void {
  const dims = kv_dims(headDim);
  const top = abs_max(q, headDim);
  const most = dims > WIDE_DIMS ? WIDE_QUERY_MAX : QUERY_MAX;
  const inverse = f32x4.splat(inverse_of(top, most));
  for (let i = 0; i < dims; i += 4) {
    const x = i32x4.trunc_sat_f32x4_s(f32x4.nearest(f32x4.mul(load4(q, i, headDim), inverse)));
    v128.store64_lane(row + ROW_Q + ((<usize>i) << 1), i16x8.narrow_i32x4_s(x, x), 0);
  }
  store<f32>(row, scale_of(top, most) * scale, ROW_SCALE);
}

// Integer dot products of a row become scores: times the scales of K and of q.
function scale_scores(s: usize, scales: usize, unit: v128): void {
  for (let stop = s + 4 * KV_PAGE; s < stop; s += 32, scales += 32) {
    v128.store(s, f32x4.mul(f32x4.mul(v128.load(s), v128.load(scales)), unit));
    v128.store(s, f32x4.mul(f32x4.mul(v128.load(s, 16), v128.load(scales, 16)), unit), 16);
  }
}

// s[i] *= scales[i] if position i is seen; s[i] = 0 otherwise.
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
function quantize_weights(s: usize, rows: i32, scales: usize, count: i32): void {
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
 * from    the first position that these rows see, below count
 * count   where the positions end that these rows see, 1..32; weights of all others are integer zeros
 * row     first row: state, i16 [dims] q, f32 [dims] sums; rowBytes between rows
 * scores  [rows] SCORE_BYTES
 */
export function block_q8(
  k: usize,
  v: usize,
  scales: usize,
  from: i32,
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
  if (rows === 4) product4<i8>(q, rowBytes, dims >> 1, k, kGroup, 4, scores, SCORE_BYTES, false);
  else product1<i8>(q, dims >> 1, k, kGroup, 4, scores, false);
  const stop = scores + <usize>rows * SCORE_BYTES;
  for (let s = scores, r = row; s < stop; s += SCORE_BYTES, r += rowBytes) {
    scale_scores(s, scales, v128.load32_splat(r, ROW_SCALE));
    hide(s, from, count);
  }
  softmax_block(scores, rows, row, rowBytes);
  quantize_weights(scores, rows, scales + 4 * KV_PAGE, count);
  const pairs = ((count + 3) & ~3) >> 1;
  if (rows === 4) product4<i8>(scores, SCORE_BYTES, pairs, v, V_GROUP, groups, sums, rowBytes, true);
  else product1<i8>(scores, pairs, v, V_GROUP, groups, sums, true);
}
