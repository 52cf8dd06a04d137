// The softmax of attention, one block of 32 positions at a time.
import { KV_PAGE } from "../layout/blocks";
import { CONST_EXP2_COEFFICIENTS, CONST_EXP2_LOWEST, CONST_EXP2_ROUND, CONST_ONE } from "../layout/control";
import { tanh_f32x4 } from "../simd/math";

// A row of scores is 32 f32, one for each position of a block. softmax_block() turns them into weights in place. Behind
// them it leaves what the kernel of V needs, ready to be loaded as vectors.

/** f32x4: what earlier sums of the row are multiplied by. */
export const SCORE_FACTOR = 128;
/** f32x4: what the block's integer weights stand for (q8); before that, the largest score so far. */
export const SCORE_UNIT = 144;
/** Bytes of a row of scores. */
export const SCORE_BYTES = 160;

/** Offsets in a query row's state: the largest score so far, the sum of weights relative to it. */
export const ROW_MAX = 0;
export const ROW_SUM = 4;
/** f32: what q's integers stand for (q8). */
export const ROW_SCALE = 8;
/** Where a row's q begins; f32 sums [dims] follow at ROW_Q + 4 * dims. */
export const ROW_Q = 16;

// Of the record that this thread works on; 0: none.
let cap: f32 = 0;

/** From here on scores s, in units of log2 e, become cap tanh(s / cap); 0: they stay. */
export function set_score_cap(value: f32): void {
  cap = value;
}

function cap_scores(s: usize): void {
  const c = f32x4.splat(cap);
  for (const stop = s + SCORE_FACTOR; s < stop; s += 16) {
    v128.store(s, f32x4.mul(c, tanh_f32x4(f32x4.div(v128.load(s), c))));
  }
}

/**
 * Caps scores if there is a cap. Then those before `from` and from `count` on become -infinity, whatever they were: slots
 * behind `count` may hold anything.
 */
export function hide(s: usize, from: i32, count: i32): void {
  if (cap !== 0) cap_scores(s);
  for (let i = 0; i < from; i++) store<f32>(s + ((<usize>i) << 2), -Infinity);
  for (let i = count; i < KV_PAGE; i++) store<f32>(s + ((<usize>i) << 2), -Infinity);
}

function top2(a: usize): v128 {
  return f32x4.pmax(v128.load(a), v128.load(a, 16));
}

function add2(a: usize): v128 {
  return f32x4.add(v128.load(a), v128.load(a, 16));
}

/** The largest of a row of scores or weights, in every lane. */
export function top_of(s: usize): v128 {
  let m = f32x4.pmax(f32x4.pmax(top2(s), top2(s + 32)), f32x4.pmax(top2(s + 64), top2(s + 96)));
  m = f32x4.pmax(m, v128.shuffle<i32>(m, m, 2, 3, 0, 1));
  return f32x4.pmax(m, v128.shuffle<i32>(m, m, 1, 0, 3, 2));
}

/**
 * 2^x = 2^k * 2^r, k = round(x), |r| <= 1/2, by a polynomial of degree 5, for x over -127. The constants are those at
 * CONST_EXP2_ROUND, CONST_ONE and CONST_EXP2_COEFFICIENTS: load them once before a loop.
 */
export function exp2_f32x4(
  x: v128,
  round: v128,
  one: v128,
  c1: v128,
  c2: v128,
  c3: v128,
  c4: v128,
  c5: v128,
): v128 {
  const k = f32x4.add(x, round);
  const r = f32x4.sub(x, f32x4.sub(k, round));
  let y = f32x4.add(c4, f32x4.mul(c5, r));
  y = f32x4.add(c3, f32x4.mul(y, r));
  y = f32x4.add(c2, f32x4.mul(y, r));
  y = f32x4.add(c1, f32x4.mul(y, r));
  y = f32x4.add(one, f32x4.mul(y, r));
  // `round` has left k in the low bits; the bits of 1 are the exponent's bias.
  return f32x4.mul(y, i32x4.add(i32x4.shl(k, 23), one));
}

/**
 * One block of the softmax of each row, which never sees all its scores at once:
 *   new = max(max, max_i s[i]);  factor = 2^(max - new);  s[i] = 2^(s[i] - new);  sum = sum * factor + sum_i s[i]
 * s      [rows] SCORE_BYTES: f32 [32] scores in units of log2 e, -infinity for a position that is not seen
 * state  ROW_MAX and ROW_SUM of each row, rowBytes between rows; before the first block -infinity and 0, or a sink and 1
 * Align: 16 B                   Reads past the end: none
 * Numerics: 2^x by exp2_f32x4(), relative error under 2e-7; 2^0 is exactly 1; exactly 0 under -127. The sum is a fixed tree
 * Source: Milakov and Gimelshein 2018, "Online normalizer calculation for softmax", arXiv:1805.02867
 *
 * Each pass goes over all rows, so that the rows' chains of dependent instructions overlap.
 */
export function softmax_block(s: usize, rows: i32, state: usize, rowBytes: usize): void {
  const stop = s + <usize>rows * SCORE_BYTES;
  let row = state;
  for (let at = s; at < stop; at += SCORE_BYTES, row += rowBytes) {
    const before = v128.load32_splat(row, ROW_MAX);
    const top = f32x4.pmax(before, top_of(at));
    v128.store(at, before, SCORE_FACTOR);
    v128.store(at, top, SCORE_UNIT);
    v128.store32_lane(row, top, 0, ROW_MAX);
  }

  const lowest = v128.load(CONST_EXP2_LOWEST);
  const round = v128.load(CONST_EXP2_ROUND);
  const one = v128.load(CONST_ONE);
  const c1 = v128.load(CONST_EXP2_COEFFICIENTS);
  const c2 = v128.load(CONST_EXP2_COEFFICIENTS, 16);
  const c3 = v128.load(CONST_EXP2_COEFFICIENTS, 32);
  const c4 = v128.load(CONST_EXP2_COEFFICIENTS, 48);
  const c5 = v128.load(CONST_EXP2_COEFFICIENTS, 64);
  for (let at = s; at < stop; at += SCORE_BYTES) {
    const top = v128.load(at, SCORE_UNIT);
    // The ninth vector becomes the factor.
    for (let p = at, end = at + SCORE_FACTOR; p <= end; p += 16) {
      const x = f32x4.pmax(f32x4.sub(v128.load(p), top), lowest);
      v128.store(p, exp2_f32x4(x, round, one, c1, c2, c3, c4, c5));
    }
  }

  row = state;
  for (let at = s; at < stop; at += SCORE_BYTES, row += rowBytes) {
    const w = f32x4.add(f32x4.add(add2(at), add2(at + 32)), f32x4.add(add2(at + 64), add2(at + 96)));
    const v = f32x4.add(w, v128.shuffle<i32>(w, w, 2, 3, 0, 1));
    const total = f32x4.add(v, v128.shuffle<i32>(v, v, 1, 0, 3, 2));
    const sum = f32x4.add(f32x4.mul(v128.load32_splat(row, ROW_SUM), v128.load(at, SCORE_FACTOR)), total);
    v128.store32_lane(row, sum, 0, ROW_SUM);
  }
}
