// OP_NORM: RMSNorm and LayerNorm, whose results go on in an activation format.
import { begin_row, finish_row } from "../../formats/activations";
import { STEP_OUTPUTS } from "../../layout/control";
import * as op from "../../layout/ops";
import { element, float, int, next, ptr, rows } from "../../record";
import { load_tail, store_tail, sum_f32x4 } from "../../simd/reduce";

/** Runs the record, row by row. Rows of outputs are gathered from the tokens whose logits were asked for. */
export function run_norm(record: usize, scratch: usize): void {
  const count = rows(record);
  const gather = int(record, op.REC_ROWS) === op.ROWS_OUTPUTS;
  const n = int(record, op.NORM_N);
  const eps = float(record, op.NORM_EPS);
  const weight = ptr(record, op.NORM_WEIGHT);
  const format = int(record, op.NORM_FORMAT);
  for (let i = next(record); i < count; i = next(record)) {
    const t = gather ? element(STEP_OUTPUTS, i) : i;
    const x = ptr(record, op.NORM_X) + <usize>t * ptr(record, op.NORM_X_STRIDE);
    const stride = ptr(record, op.NORM_OUT_STRIDE);
    const base = ptr(record, op.NORM_OUT);
    const row = begin_row(format, base, stride, i, 0, scratch);
    if (int(record, op.NORM_KIND) === op.NORM_RMS) rmsnorm_f32(x, weight, row, n, eps);
    else layernorm_f32(x, weight, ptr(record, op.NORM_BIAS), row, n, eps);
    finish_row(format, row, base, stride, 0, n, i, count);
  }
}

// Sum of (x - mean)^2 over a row, four values at a time, in f64: no square of an f32 overflows there.
function squares(x: usize, n: i32, mean: f32): f64 {
  const m = f32x4.splat(mean);
  const stop = x + ((<usize>n & ~3) << 2);
  let sum = f64x2.splat(0);
  for (; x < stop; x += 16) {
    const d = f32x4.sub(v128.load(x), m);
    const a = f64x2.promote_low_f32x4(d);
    const b = f64x2.promote_low_f32x4(v128.shuffle<i32>(d, d, 2, 3, 0, 1));
    sum = f64x2.add(sum, f64x2.add(f64x2.mul(a, a), f64x2.mul(b, b)));
  }
  let total = f64x2.extract_lane(sum, 0) + f64x2.extract_lane(sum, 1);
  for (let rest = n & 3; rest > 0; rest--, x += 4) {
    const d = <f64>(load<f32>(x) - mean);
    total += d * d;
  }
  return total;
}

function mean_of(x: usize, n: i32): f32 {
  const stop = x + ((<usize>n & ~3) << 2);
  let sum = f32x4.splat(0);
  for (; x < stop; x += 16) sum = f32x4.add(sum, v128.load(x));
  const rest = n & 3;
  if (rest) sum = f32x4.add(sum, load_tail(x, rest));
  return sum_f32x4(sum) / <f32>n;
}

/**
 * out[i] = x[i] / sqrt(mean(x^2) + eps) * weight[i]
 * x, weight, out  f32 [n]       out may be x
 * Units: n elements, any; pointers bytes
 * Align: 4 B                    Reads past the end: none
 * Numerics: f32, squares summed in f64: two lanes, then the tail
 * Source: Zhang and Sennrich 2019, "Root Mean Square Layer Normalization", arXiv:1910.07467
 */
export function rmsnorm_f32(x: usize, weight: usize, out: usize, n: i32, eps: f32): void {
  const factor = <f32>(1 / sqrt(squares(x, n, 0) / <f64>n + <f64>eps));
  const f = f32x4.splat(factor);
  const stop = x + ((<usize>n & ~3) << 2);
  for (; x < stop; x += 16, weight += 16, out += 16) {
    v128.store(out, f32x4.mul(f32x4.mul(v128.load(x), f), v128.load(weight)));
  }
  for (let rest = n & 3; rest > 0; rest--, x += 4, weight += 4, out += 4) {
    store<f32>(out, load<f32>(x) * factor * load<f32>(weight));
  }
}

/**
 * out[i] = (x[i] - mean(x)) / sqrt(var(x) + eps) * weight[i] + bias[i]
 * x, weight, bias, out  f32 [n] out may be x; bias 0: none
 * Units: n elements, any; pointers bytes
 * Align: 4 B                    Reads past the end: none
 * Numerics: f32, two passes (mean, then squares around it), squares summed in f64
 * Source: Ba, Kiros and Hinton 2016, "Layer Normalization", arXiv:1607.06450
 */
export function layernorm_f32(x: usize, weight: usize, bias: usize, out: usize, n: i32, eps: f32): void {
  const mean = mean_of(x, n);
  const factor = <f32>(1 / sqrt(squares(x, n, mean) / <f64>n + <f64>eps));
  const m = f32x4.splat(mean);
  const f = f32x4.splat(factor);
  const bytes = (<usize>n & ~3) << 2;
  const rest = n & 3;
  // (x - mean) * factor * weight, and the bias in a loop of its own, so that no vector asks whether there is one.
  for (let at: usize = 0; at < bytes; at += 16) {
    const d = f32x4.mul(f32x4.sub(v128.load(x + at), m), f);
    v128.store(out + at, f32x4.mul(d, v128.load(weight + at)));
  }
  if (rest) {
    const d = f32x4.mul(f32x4.sub(load_tail(x + bytes, rest), m), f);
    store_tail(out + bytes, rest, f32x4.mul(d, load_tail(weight + bytes, rest)));
  }
  if (!bias) return;
  for (let at: usize = 0; at < bytes; at += 16) {
    v128.store(out + at, f32x4.add(v128.load(out + at), v128.load(bias + at)));
  }
  if (rest)
    store_tail(out + bytes, rest, f32x4.add(load_tail(out + bytes, rest), load_tail(bias + bytes, rest)));
}
