// OP_DELTA: the gated delta rule. Each head has a matrix that maps keys to values: it decays at each position, forgets what it
// knew of the position's key, learns its value instead, and is asked by its query.
import { KV_PAGE } from "../../layout/blocks";
import { STEP_N_TOKENS, STEP_PAGE_TABLES, STEP_POSITIONS } from "../../layout/control";
import * as op from "../../layout/ops";
import { element, float, int, next, page_of, ptr, tokens_from } from "../../record";
import { exp_f32, log_f64, madd } from "../../simd/math";
import { sum_f32x4 } from "../../simd/reduce";

/**
 * Runs the record. A unit of work is a head of one sequence.
 * scratch  8 B for each token of the step
 */
export function run_delta(record: usize, scratch: usize): void {
  const heads = int(record, op.DELTA_HEADS);
  const count = load<i32>(STEP_N_TOKENS) * heads;
  for (let i = next(record); i < count; i = next(record)) {
    const t = i / heads;
    const n = tokens_from(t);
    if (!n) continue;
    const head = i % heads;
    rates(record, t, n, head, scratch);
    run_head(record, t, n, head, scratch);
  }
}

// Decay and learning rate of each token.
function rates(record: usize, t: i32, n: i32, head: i32, out: usize): void {
  const at = (<usize>head) << 2;
  const stride = ptr(record, op.DELTA_ALPHA_STRIDE);
  const rate = <f64>load<f32>(ptr(record, op.DELTA_RATES) + at);
  let alpha = ptr(record, op.DELTA_ALPHA) + <usize>t * stride + at;
  let beta = ptr(record, op.DELTA_BETA) + <usize>t * stride + at;
  for (; n > 0; n--, alpha += stride, beta += stride, out += 8) {
    const a = load<f32>(alpha);
    const softplus = a > 20 ? <f64>a : log_f64(1 + <f64>exp_f32(a));
    store<f32>(out, exp_f32(<f32>(softplus * rate)));
    store<f32>(out, 1 / (1 + exp_f32(-load<f32>(beta))), 4);
  }
}

// The head's matrix over tokens t to t + n - 1.
function run_head(record: usize, t: i32, n: i32, head: i32, rates: usize): void {
  const dim = <usize>int(record, op.DELTA_DIM);
  const groups = <usize>int(record, op.DELTA_GROUPS);
  const rowBytes = dim << 2;
  const bytes = dim * rowBytes;
  const scale = float(record, op.DELTA_SCALE);
  const own = <usize>head * rowBytes;
  const pages = ptr(record, op.DELTA_TABLE) + <usize>(<u32>element(STEP_PAGE_TABLES, t));
  const at = ptr(record, op.DELTA_LAYER) + <usize>head * bytes;
  const first = element(STEP_POSITIONS, t);
  let q = ptr(record, op.DELTA_X) + <usize>t * ptr(record, op.DELTA_X_STRIDE);
  let out = ptr(record, op.DELTA_OUT) + <usize>t * ptr(record, op.DELTA_OUT_STRIDE) + own;
  let state = page_of(pages, first) + at;
  for (let pos = first; pos < first + n; pos++, rates += 8) {
    if (pos % KV_PAGE === 0) {
      // A page begins with what the one before has become.
      state = page_of(pages, pos) + at;
      if (pos) memory.copy(state, page_of(pages, pos - 1) + at, bytes);
      else memory.fill(state, 0, bytes);
    }
    const query = q + (<usize>head % groups) * rowBytes;
    const key = query + groups * rowBytes;
    const v = q + 2 * groups * rowBytes + own;
    const decay = load<f32>(rates);
    const rate = load<f32>(rates, 4);
    let s = state;
    for (let i: usize = 0; i < rowBytes; i += 16, s += 4 * rowBytes) {
      delta_rows(s, query, key, v + i, out + i, rowBytes, decay, rate, scale);
    }
    q += ptr(record, op.DELTA_X_STRIDE);
    out += ptr(record, op.DELTA_OUT_STRIDE);
  }
}

function four_sums(a: v128, b: v128, c: v128, d: v128): v128 {
  const low = f32x4.replace_lane(f32x4.splat(sum_f32x4(a)), 1, sum_f32x4(b));
  return f32x4.replace_lane(f32x4.replace_lane(low, 2, sum_f32x4(c)), 3, sum_f32x4(d));
}

/**
 * S = decay S + rate (v - decay S k) k^T; out = S q, for four rows of S, with k = scale * key and q = scale^2 * query
 * s           f32 [4][dim]
 * query, key  f32 [dim]            v, out  f32 [4]
 * Units: rowBytes 4 * dim, a multiple of 16; pointers bytes
 * Align: 4 B                       Reads past the end: none
 * Numerics: f32, mul and add apart, sums of four lanes
 * Source: Yang, Kautz and Hatamizadeh 2024, "Gated Delta Networks", arXiv:2412.06464, equation 10
 */
function delta_rows(
  s: usize,
  query: usize,
  key: usize,
  v: usize,
  out: usize,
  rowBytes: usize,
  decay: f32,
  rate: f32,
  scale: f32,
): void {
  let a = f32x4.splat(0);
  let b = a;
  let c = a;
  let d = a;
  const s1 = s + rowBytes;
  const s2 = s1 + rowBytes;
  const s3 = s2 + rowBytes;
  for (let i: usize = 0; i < rowBytes; i += 16) {
    const k = v128.load(key + i);
    a = madd(a, v128.load(s + i), k);
    b = madd(b, v128.load(s1 + i), k);
    c = madd(c, v128.load(s2 + i), k);
    d = madd(d, v128.load(s3 + i), k);
  }
  const known = f32x4.mul(four_sums(a, b, c, d), f32x4.splat(decay * scale));
  const news = f32x4.mul(f32x4.sub(v128.load(v), known), f32x4.splat(rate * scale));
  const n0 = v128.shuffle<i32>(news, news, 0, 0, 0, 0);
  const n1 = v128.shuffle<i32>(news, news, 1, 1, 1, 1);
  const n2 = v128.shuffle<i32>(news, news, 2, 2, 2, 2);
  const n3 = v128.shuffle<i32>(news, news, 3, 3, 3, 3);
  const g = f32x4.splat(decay);
  a = b = c = d = f32x4.splat(0);
  for (let i: usize = 0; i < rowBytes; i += 16) {
    const k = v128.load(key + i);
    const q = v128.load(query + i);
    const r0 = madd(f32x4.mul(v128.load(s + i), g), n0, k);
    const r1 = madd(f32x4.mul(v128.load(s1 + i), g), n1, k);
    const r2 = madd(f32x4.mul(v128.load(s2 + i), g), n2, k);
    const r3 = madd(f32x4.mul(v128.load(s3 + i), g), n3, k);
    v128.store(s + i, r0);
    v128.store(s1 + i, r1);
    v128.store(s2 + i, r2);
    v128.store(s3 + i, r3);
    a = madd(a, r0, q);
    b = madd(b, r1, q);
    c = madd(c, r2, q);
    d = madd(d, r3, q);
  }
  v128.store(out, f32x4.mul(four_sums(a, b, c, d), f32x4.splat(scale * scale)));
}
