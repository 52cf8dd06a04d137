// Scale and offset of groups of 32 values, by a weighted least squares fit for several roundings. Q4_K and Q5_K use it.
// Source: make_qkx2_quants of ggml-quants.c, without its use_mad; sums, products and comparisons are in its order.
import { clamped, nearest, transpose } from "./lanes";

/** Values of a group. */
const N: usize = 32;
/** Bytes between a value's four lanes and the next value's. */
const STEP: usize = 16;
const BYTES = 512;

const xs = memory.data(BYTES, 16);
const weights = memory.data(BYTES, 16);
const integers = memory.data(BYTES, 16);
const tried = memory.data(BYTES, 16);

/**
 * Fits x[i] = scale * integer[i] - offset, integers in [0, most], of four groups of 32 values that follow one another.
 * x       f32 [4][32], finite
 * first   what is added to `most` in the first try; each further one adds 0.1, `tries` in all
 * scales  f32 [4], may be negative; 0 for a group of equal values
 * offsets f32 [4], 0 at least
 */
export function search_offsets(
  x: usize,
  most: i32,
  first: f32,
  tries: i32,
  scales: usize,
  offsets: usize,
): void {
  transpose(x, 4 * N, <i32>N, xs);
  weigh();
  const zero = f32x4.splat(0);
  let low = v128.load(xs);
  let high = low;
  let sumW = v128.load(weights);
  let sumX = f32x4.mul(sumW, low);
  for (let i = STEP; i < N * STEP; i += STEP) {
    const v = v128.load(xs + i);
    const w = v128.load(weights + i);
    low = f32x4.pmin(low, v);
    high = f32x4.pmax(high, v);
    sumW = f32x4.add(sumW, w);
    sumX = f32x4.add(sumX, f32x4.mul(w, v));
  }
  low = f32x4.pmin(low, zero);
  const flat = f32x4.eq(high, low);
  const start = low;
  let inverse = f32x4.div(f32x4.splat(<f32>most), f32x4.sub(high, low));
  let scale = f32x4.div(f32x4.splat(1), inverse);
  round(low, inverse, most, integers);
  let error = misfit(scale, low, integers);
  for (let t = 0; t < tries; t++) {
    const top = first + <f32>0.1 * <f32>t + <f32>most;
    inverse = f32x4.div(f32x4.splat(top), f32x4.sub(high, low));
    // Sums of weights times integers, their squares, and their products with the values.
    let sumL = zero;
    let sumL2 = zero;
    let sumXL = zero;
    for (let i: usize = 0; i < N * STEP; i += STEP) {
      const v = v128.load(xs + i);
      const l = rounded(v, low, inverse, most);
      v128.store(tried + i, l);
      const wl = f32x4.mul(v128.load(weights + i), l);
      sumL = f32x4.add(sumL, wl);
      sumL2 = f32x4.add(sumL2, f32x4.mul(wl, l));
      sumXL = f32x4.add(sumXL, f32x4.mul(wl, v));
    }
    const d = f32x4.sub(f32x4.mul(sumW, sumL2), f32x4.mul(sumL, sumL));
    let newScale = f32x4.div(f32x4.sub(f32x4.mul(sumW, sumXL), f32x4.mul(sumX, sumL)), d);
    let newLow = f32x4.div(f32x4.sub(f32x4.mul(sumL2, sumX), f32x4.mul(sumL, sumXL)), d);
    const above = f32x4.gt(newLow, zero);
    newScale = v128.bitselect(f32x4.div(sumXL, sumL2), newScale, above);
    newLow = v128.andnot(newLow, above);
    const newError = misfit(newScale, newLow, tried);
    const better = v128.and(f32x4.gt(d, zero), f32x4.lt(newError, error));
    error = v128.bitselect(newError, error, better);
    scale = v128.bitselect(newScale, scale, better);
    low = v128.bitselect(newLow, low, better);
    if (v128.any_true(better)) keep(better);
  }
  v128.store(scales, v128.andnot(scale, flat));
  v128.store(offsets, f32x4.neg(v128.bitselect(start, low, flat)));
  if (v128.any_true(flat)) {
    for (let i: usize = 0; i < N * STEP; i += STEP) {
      v128.store(integers + i, v128.andnot(v128.load(integers + i), flat));
    }
  }
}

/** Integer i of group `lane` of the last search. */
export function found_integer(lane: i32, i: i32): i32 {
  return <i32>load<f32>(integers + <usize>i * STEP + ((<usize>lane) << 2));
}

// A value counts by its size and the root mean square of its group.
function weigh(): void {
  let sum = f32x4.splat(0);
  for (let i: usize = 0; i < N * STEP; i += STEP) {
    const v = v128.load(xs + i);
    sum = f32x4.add(sum, f32x4.mul(v, v));
  }
  const mean = f32x4.sqrt(f32x4.div(sum, f32x4.splat(<f32>N)));
  for (let i: usize = 0; i < N * STEP; i += STEP) {
    v128.store(weights + i, f32x4.add(mean, f32x4.abs(v128.load(xs + i))));
  }
}

function rounded(v: v128, low: v128, inverse: v128, most: i32): v128 {
  const l = nearest(f32x4.mul(inverse, f32x4.sub(v, low)));
  return f32x4.convert_i32x4_s(clamped(l, 0, most));
}

function round(low: v128, inverse: v128, most: i32, out: usize): void {
  for (let i: usize = 0; i < N * STEP; i += STEP) {
    v128.store(out + i, rounded(v128.load(xs + i), low, inverse, most));
  }
}

// The weighted squares of what scale * l + low misses.
function misfit(scale: v128, low: v128, ls: usize): v128 {
  let error = f32x4.splat(0);
  for (let i: usize = 0; i < N * STEP; i += STEP) {
    const value = f32x4.add(f32x4.mul(scale, v128.load(ls + i)), low);
    const miss = f32x4.sub(value, v128.load(xs + i));
    error = f32x4.add(error, f32x4.mul(v128.load(weights + i), f32x4.mul(miss, miss)));
  }
  return error;
}

function keep(better: v128): void {
  for (let i: usize = 0; i < N * STEP; i += STEP) {
    v128.store(integers + i, v128.bitselect(v128.load(tried + i), v128.load(integers + i), better));
  }
}
