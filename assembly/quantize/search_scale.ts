// Scales of groups of 16 values without an offset, by a weighted least squares fit for several roundings. Q6_K uses it.
// Source: make_qx_quants of ggml-quants.c for its rmse_type 1; sums, products and comparisons are in its order.
import { clamped, nearest, transpose } from "./lanes";

/** Values of a group. */
const N: usize = 16;
/** Bytes between a value's four lanes and the next value's. */
const STEP: usize = 16;
const BYTES = 256;
/** Groups whose values are all below this become zero. */
export const TINY: f32 = 1e-15;

const xs = memory.data(BYTES, 16);
const integers = memory.data(BYTES, 16);

/** Sums of the last try: weights times values times integers, weights times squares of integers. */
let sumXL: v128 = i64x2.splat(0);
let sumL2: v128 = i64x2.splat(0);

/**
 * Fits x[i] = scale * (integer[i] - half), integers in [0, 2 * half), of four groups of 16 values that follow one another.
 * x      f32 [4][16], finite
 * scales f32 [4], of either sign; 0 for groups of zeros, whose integers are 0 too
 */
export function search_scales(x: usize, half: i32, scales: usize): void {
  transpose(x, 4 * N, <i32>N, xs);
  let largest = f32x4.splat(0);
  let extreme = largest;
  for (let i: usize = 0; i < N * STEP; i += STEP) {
    const v = v128.load(xs + i);
    const size = f32x4.abs(v);
    const more = f32x4.gt(size, largest);
    largest = v128.bitselect(size, largest, more);
    extreme = v128.bitselect(v, extreme, more);
  }
  const tiny = f32x4.lt(largest, f32x4.splat(TINY));
  const zero = f32x4.splat(0);
  let inverse = f32x4.div(f32x4.splat(<f32>-half), extreme);
  sum(inverse, half);
  keep(inverse, half, i32x4.splat(-1));
  let scale = v128.andnot(f32x4.div(sumXL, sumL2), f32x4.eq(sumL2, zero));
  let best = f32x4.mul(scale, sumXL);
  for (let t = -9; t <= 9; t++) {
    if (t === 0) continue;
    inverse = f32x4.div(f32x4.splat(-(<f32>half + <f32>0.1 * <f32>t)), extreme);
    sum(inverse, half);
    const gain = f32x4.gt(f32x4.mul(sumXL, sumXL), f32x4.mul(best, sumL2));
    const better = v128.and(f32x4.gt(sumL2, zero), gain);
    if (!v128.any_true(better)) continue;
    scale = v128.bitselect(f32x4.div(sumXL, sumL2), scale, better);
    best = v128.bitselect(f32x4.mul(scale, sumXL), best, better);
    keep(inverse, half, better);
  }
  v128.store(scales, v128.andnot(scale, tiny));
  if (v128.any_true(tiny)) {
    for (let i: usize = 0; i < N * STEP; i += STEP) {
      v128.store(integers + i, v128.andnot(v128.load(integers + i), tiny));
    }
  }
}

/** Integer i of group `lane` of the last search. */
export function found_unsigned(lane: i32, i: i32): i32 {
  return load<i32>(integers + <usize>i * STEP + ((<usize>lane) << 2));
}

// Values are weighted by their squares.
function sum(inverse: v128, half: i32): void {
  let xl = f32x4.splat(0);
  let l2 = f32x4.splat(0);
  for (let i: usize = 0; i < N * STEP; i += STEP) {
    const v = v128.load(xs + i);
    const l = f32x4.convert_i32x4_s(clamped(nearest(f32x4.mul(inverse, v)), -half, half - 1));
    const w = f32x4.mul(v, v);
    xl = f32x4.add(xl, f32x4.mul(f32x4.mul(w, v), l));
    l2 = f32x4.add(l2, f32x4.mul(f32x4.mul(w, l), l));
  }
  sumXL = xl;
  sumL2 = l2;
}

function keep(inverse: v128, half: i32, better: v128): void {
  for (let i: usize = 0; i < N * STEP; i += STEP) {
    const l = clamped(nearest(f32x4.mul(inverse, v128.load(xs + i))), -half, half - 1);
    const old = v128.load(integers + i);
    v128.store(integers + i, v128.bitselect(i32x4.add(l, i32x4.splat(half)), old, better));
  }
}
