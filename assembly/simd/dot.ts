// int8 dot products, four rows in lanes: the only file that knows whether relaxed SIMD is there. Every form
// gives the same integers.
//
// A weight vector holds 4 rows x 4 columns of int8; an activation vector the same 4 columns for every row.
//
// relaxed  i16x8.relaxed_dot_i8x16_i7x16_s multiplies and adds pairs in one instruction. Its result is fixed
//          by the specification only if the second operand lies in 0..127, so activations for q8 weights
//          (-63..63) are stored plus ACT_OFFSET, and what that adds is taken off again through the tile's
//          sums. Pairs stay within i16: 2 * 128 * 127 = 32512. Weights of q4 are 0..15 and are the second
//          operand themselves.
// plain    weights are widened to i16 and meet i16 activations in i32x4.dot_i16x8_s; rows 0, 1 and rows 2, 3
//          end in two accumulators, joined once per block.
import { CONST_OFFSET_16 } from "../layout/control";

/** What relaxed builds add to stored activations for q8 weights. */
export const ACT_OFFSET: i32 = ASC_FEATURE_RELAXED_SIMD ? 64 : 0;

/** -ACT_OFFSET * sum(w) of four rows, from the pairs of a q8 tile: where an accumulator starts. */
export function q8_start(pairs: v128): v128 {
  if (ASC_FEATURE_RELAXED_SIMD) return i32x4.dot_i16x8_s(pairs, v128.load(CONST_OFFSET_16));
  return i32x4.splat(0);
}

/** Four activations, splatted to every row, as the dot products below want them. */
export function activation(x: v128): v128 {
  if (ASC_FEATURE_RELAXED_SIMD) return x;
  return i16x8.extend_low_i8x16_s(x);
}

/** acc + w . x; in plain builds rows 0 and 1 only. `ones` is i16x8 of 1. */
export function dot_lo(acc: v128, w: v128, x: v128, ones: v128): v128 {
  if (ASC_FEATURE_RELAXED_SIMD) {
    return i32x4.add(acc, i32x4.dot_i16x8_s(i16x8.relaxed_dot_i8x16_i7x16_s(w, x), ones));
  }
  return i32x4.add(acc, i32x4.dot_i16x8_s(i16x8.extend_low_i8x16_s(w), x));
}

/** Plain builds: acc + w . x of rows 2 and 3. */
export function dot_hi(acc: v128, w: v128, x: v128): v128 {
  if (ASC_FEATURE_RELAXED_SIMD) return acc;
  return i32x4.add(acc, i32x4.dot_i16x8_s(i16x8.extend_high_i8x16_s(w), x));
}

/** The four rows' sums from what dot_lo and dot_hi gathered. */
export function dot_join(lo: v128, hi: v128): v128 {
  if (ASC_FEATURE_RELAXED_SIMD) return lo;
  return i32x4.add(v128.shuffle<i32>(lo, hi, 0, 2, 4, 6), v128.shuffle<i32>(lo, hi, 1, 3, 5, 7));
}

/**
 * Where accumulators of dot4_lo and dot_hi start, from the sums of an activation block in every lane: with what makes
 * weights n - 8 of n. Partial sums stay within i16, whatever the order: each column adds (n - 8) * x at last and -8 * x
 * before its turn, at most 16 * 8 * 127 = 16256 for the columns of a lane.
 */
export function q4_start(sums: v128): v128 {
  if (ASC_FEATURE_RELAXED_SIMD) return sums;
  return i32x4.extend_low_i16x8_s(sums);
}

/** acc + x . n for weights n in 0..15: i16 pairs in relaxed builds. */
export function dot4_lo(acc: v128, n: v128, x: v128): v128 {
  if (ASC_FEATURE_RELAXED_SIMD) return i16x8.add(acc, i16x8.relaxed_dot_i8x16_i7x16_s(x, n));
  return i32x4.add(acc, i32x4.dot_i16x8_s(i16x8.extend_low_i8x16_s(n), x));
}

/** The four rows' sums from what dot4_lo and dot_hi gathered. */
export function dot4_join(lo: v128, hi: v128, ones: v128): v128 {
  if (ASC_FEATURE_RELAXED_SIMD) return i32x4.dot_i16x8_s(lo, ones);
  return dot_join(lo, hi);
}
