// What sampling asks of a row of logits: the largest ones, sums of exponentials, probabilities.
import { exp_f32x4, exp_f64, log_f64 } from "./simd/math";
import { max_f32x4, store_tail } from "./simd/reduce";

// Four values of a row of which `rest` (at least 1) are left. Behind the last value is -Infinity: its exponential is 0, and
// it is never the largest.
function load_row(x: usize, rest: i32): v128 {
  if (rest >= 4) return v128.load(x);
  let values = f32x4.replace_lane(f32x4.splat(-Infinity), 0, load<f32>(x));
  if (rest > 1) values = f32x4.replace_lane(values, 1, load<f32>(x, 4));
  if (rest > 2) values = f32x4.replace_lane(values, 2, load<f32>(x, 8));
  return values;
}

function is_finite(x: f32): bool {
  return abs<f32>(x) < Infinity;
}

// Largest of a row; NaN if one is NaN, -Infinity for n = 0.
function max_of(x: usize, n: i32): f32 {
  let largest = f32x4.splat(-Infinity);
  for (let rest = n; rest > 0; rest -= 4, x += 16) largest = f32x4.max(largest, load_row(x, rest));
  return max_f32x4(largest);
}

/**
 * id of the largest logit, ties to the lowest id; -1 if a logit is NaN or none is over -Infinity
 * logits  f32 [n]
 * Units: n elements, any; pointers bytes
 * Align: 4 B                    Reads past the end: none
 * Numerics: exact
 */
export function argmax(logits: usize, n: i32): i32 {
  const largest = max_of(logits, n);
  if (!(largest > -Infinity)) return -1;
  const all = f32x4.splat(largest);
  let at = logits;
  for (let rest = n; rest > 3; rest -= 4, at += 16) {
    if (v128.any_true(f32x4.eq(v128.load(at), all))) break;
  }
  while (load<f32>(at) !== largest) at += 4;
  return <i32>((at - logits) >> 2);
}

// exp((x[i] - shift) * scale) in four lanes; 0 behind the end of the row.
function exp_row(x: usize, rest: i32, shift: v128, scale: v128): v128 {
  return exp_f32x4(f32x4.mul(f32x4.sub(load_row(x, rest), shift), scale));
}

/**
 * sum_i exp((x[i] - shift) * scale)
 * x      f32 [n]                -Infinity adds 0; neither NaN nor Infinity
 * shift  the largest of x, so that the sum is at least 1
 * scale  in [2^-100, 2^100]
 * Units: n elements, any; pointers bytes
 * Align: 4 B                    Reads past the end: none
 * Numerics: f32 terms, relative error under 3e-7 each and 0 under e^-87; f64 sum, ascending
 */
export function sum_exp(x: usize, n: i32, shift: f32, scale: f32): f64 {
  const s = f32x4.splat(shift);
  const f = f32x4.splat(scale);
  let sum: f64 = 0;
  for (let rest = n; rest > 0; rest -= 4, x += 16) {
    const e = exp_row(x, rest, s, f);
    sum += <f64>f32x4.extract_lane(e, 0);
    sum += <f64>f32x4.extract_lane(e, 1);
    sum += <f64>f32x4.extract_lane(e, 2);
    sum += <f64>f32x4.extract_lane(e, 3);
  }
  return sum;
}

/**
 * The first i at which the running sum of sum_exp reaches `target`; n if it never does.
 * Everything as in sum_exp, bit for bit: a target up to that sum is reached, and if it is over 0, by a
 * term over 0.
 */
export function walk_exp(x: usize, n: i32, shift: f32, scale: f32, target: f64): i32 {
  const s = f32x4.splat(shift);
  const f = f32x4.splat(scale);
  let sum: f64 = 0;
  for (let i = 0; i < n; i += 4, x += 16) {
    const e = exp_row(x, n - i, s, f);
    sum += <f64>f32x4.extract_lane(e, 0);
    if (sum >= target) return i;
    sum += <f64>f32x4.extract_lane(e, 1);
    if (sum >= target) return i + 1;
    sum += <f64>f32x4.extract_lane(e, 2);
    if (sum >= target) return i + 2;
    sum += <f64>f32x4.extract_lane(e, 3);
    if (sum >= target) return i + 3;
  }
  return n;
}

/**
 * log(sum_i exp(logits[i])): what a logit exceeds its log-probability by
 * logits  f32 [n]
 * returns NaN if a logit is NaN, else Infinity if one is, -Infinity if all are or n = 0
 * Units: n elements, any; pointers bytes
 * Align: 4 B                    Reads past the end: none
 * Numerics: largest + log(sum_exp(logits - largest)), absolute error under 1e-6
 */
export function log_sum_exp(logits: usize, n: i32): f64 {
  const largest = max_of(logits, n);
  if (!is_finite(largest)) return largest;
  return <f64>largest + log_f64(sum_exp(logits, n, largest, 1));
}

/**
 * out[i] = exp(logits[i]) / sum_j exp(logits[j])
 * logits, out  f32 [n]          out may be logits
 * -Infinity gives 0; a NaN, an Infinity or nothing over -Infinity makes every out NaN.
 * Units: n elements, any; pointers bytes
 * Align: 4 B                    Reads past the end: none
 * Numerics: terms and sum as in sum_exp, one f32 product with 1 / sum
 */
export function softmax_f32(logits: usize, out: usize, n: i32): void {
  const largest = max_of(logits, n);
  const factor: f32 = is_finite(largest) ? <f32>(1 / sum_exp(logits, n, largest, 1)) : NaN;
  const shift = f32x4.splat(is_finite(largest) ? largest : 0);
  const one = f32x4.splat(1);
  for (let rest = n; rest > 0; rest -= 4, logits += 16, out += 16) {
    const p = f32x4.mul(exp_row(logits, rest, shift, one), f32x4.splat(factor));
    if (rest >= 4) v128.store(out, p);
    else store_tail(out, rest, p);
  }
}

/**
 * How many leading values v of a sorted row have exp((v - values[0]) * scale) >= p: what min-p keeps
 * values  f32 [n] descending, finite
 * scale   in [2^-100, 2^100]
 * Units: n elements, any; pointers bytes
 * Align: 4 B                    Reads past the end: none
 * Numerics: f64
 */
export function min_p_count(values: usize, n: i32, scale: f32, p: f64): i32 {
  let low = 0;
  let high = n;
  while (low < high) {
    const middle = (low + high) >> 1;
    const x = <f64>load<f32>(values + ((<usize>middle) << 2)) - <f64>load<f32>(values);
    if (exp_f64(x * <f64>scale) >= p) low = middle + 1;
    else high = middle;
  }
  return low;
}

// ---- A binary heap over two arrays, the worst candidate at its root (smallest value, then largest id).

function value_at(values: usize, i: i32): f32 {
  return load<f32>(values + ((<usize>i) << 2));
}

function id_at(ids: usize, i: i32): i32 {
  return load<i32>(ids + ((<usize>i) << 2));
}

function put(ids: usize, values: usize, i: i32, id: i32, value: f32): void {
  store<i32>(ids + ((<usize>i) << 2), id);
  store<f32>(values + ((<usize>i) << 2), value);
}

// Without branches: in a heap no processor can predict them, and they cost more than the comparison.
function is_worse(id: i32, value: f32, otherId: i32, otherValue: f32): i32 {
  return i32(value < otherValue) | (i32(value === otherValue) & i32(id > otherId));
}

// Places a candidate at the free place i or above it.
function sift_up(ids: usize, values: usize, i: i32, id: i32, value: f32): void {
  while (i > 0) {
    const parent = (i - 1) >> 1;
    const parentId = id_at(ids, parent);
    const parentValue = value_at(values, parent);
    if (!is_worse(id, value, parentId, parentValue)) break;
    put(ids, values, i, parentId, parentValue);
    i = parent;
  }
  put(ids, values, i, id, value);
}

// Places a candidate at the free root of a heap of n or below it.
function sift_down(ids: usize, values: usize, n: i32, id: i32, value: f32): void {
  let i = 0;
  for (;;) {
    let child = 2 * i + 1;
    if (child >= n) break;
    const right = min(child + 1, n - 1);
    child += is_worse(id_at(ids, right), value_at(values, right), id_at(ids, child), value_at(values, child));
    const childId = id_at(ids, child);
    const childValue = value_at(values, child);
    if (!is_worse(childId, childValue, id, value)) break;
    put(ids, values, i, childId, childValue);
    i = child;
  }
  put(ids, values, i, id, value);
}

// Whether one of the sixteen values at x is over the bound.
function any_over(x: usize, bound: f32): bool {
  const b = f32x4.splat(bound);
  const first = v128.or(f32x4.gt(v128.load(x), b), f32x4.gt(v128.load(x, 16), b));
  const second = v128.or(f32x4.gt(v128.load(x, 32), b), f32x4.gt(v128.load(x, 48), b));
  return v128.any_true(v128.or(first, second));
}

/**
 * The k largest logits, descending, ties by ascending id; -Infinity is left out
 * logits       f32 [n]          no NaN
 * ids, values  i32 [k], f32 [k] must not overlap each other or logits
 * returns      how many were written, at most min(n, k)
 * Units: n, k elements, any; pointers bytes
 * Align: 4 B                    Reads past the end: none
 * Numerics: exact
 * A heap of the k best so far; what does not beat its root is passed over sixteen at a time. About
 * k ln(n / k) of n logits in random order enter it; O(n log k) in the worst order.
 */
export function top_k(logits: usize, n: i32, k: i32, ids: usize, values: usize): i32 {
  if (k < 1) return 0;
  let count = 0;
  let i = 0;
  for (; i < n && count < k; i++) {
    const value = value_at(logits, i);
    if (value > -Infinity) sift_up(ids, values, count++, i, value);
  }
  while (i < n) {
    const stop = i + 16;
    if (stop <= n && !any_over(logits + ((<usize>i) << 2), value_at(values, 0))) {
      i = stop;
      continue;
    }
    for (; i < n && i < stop; i++) {
      const value = value_at(logits, i);
      if (value > value_at(values, 0)) sift_down(ids, values, k, i, value);
    }
  }
  for (let end = count - 1; end > 0; end--) {
    const id = id_at(ids, end);
    const value = value_at(values, end);
    put(ids, values, end, id_at(ids, 0), value_at(values, 0));
    sift_down(ids, values, end, id, value);
  }
  return count;
}
