// OP_GLU: the activation of a feed-forward block, gated or plain.
import { begin_row, finish_row } from "../../formats/activations";
import { BLOCK_COLS } from "../../layout/blocks";
import * as op from "../../layout/ops";
import { float, int, next, ptr, rows } from "../../record";
import { erfc_f32x4, exp_f32x4 } from "../../simd/math";
import { load_tail, store_tail } from "../../simd/reduce";
import { slot_count, slot_expert, slot_token } from "./route";

// Columns that a thread takes at once: whole blocks, so that each part is quantized by itself.
const PART: i32 = 32 * BLOCK_COLS;

/** Runs the record. A unit of work is a part of a row, which is a token's or a slot's. */
export function run_glu(record: usize, scratch: usize): void {
  const n = int(record, op.GLU_N);
  const parts = (n + PART - 1) / PART;
  const table = ptr(record, op.GLU_ROUTE);
  const all = table ? slot_count(table) : rows(record);
  const count = all * parts;
  const stride = ptr(record, op.GLU_STRIDE);
  const format = int(record, op.GLU_FORMAT);
  for (let i = next(record); i < count; i = next(record)) {
    const t = i / parts;
    const first = (i % parts) * PART;
    const width = min(PART, n - first);
    const at = <usize>t * stride + ((<usize>first) << 2);
    const outStride = ptr(record, op.GLU_OUT_STRIDE);
    let base = ptr(record, op.GLU_OUT);
    let index = t;
    let tokens = all;
    if (table) {
      if (slot_token(table, t) < 0) continue;
      const expert = slot_expert(table, t);
      const before = load<i32>(expert, op.ROUTED_FIRST);
      base += <usize>before * outStride;
      index -= before;
      tokens = load<i32>(expert, op.ROUTED_COUNT);
    }
    const row = begin_row(format, base, outStride, index, first, scratch);
    const gate = ptr(record, op.GLU_GATE) + at;
    const up = ptr(record, op.GLU_UP) + at;
    const kind = int(record, op.GLU_KIND);
    if (kind === op.GLU_CLAMPED) {
      clamped_glu_f32(float(record, op.GLU_LIMIT), float(record, op.GLU_ALPHA), gate, up, row, width);
    } else glu_f32(kind, gate, up, row, width);
    finish_row(format, row, base, outStride, first, width, index, tokens);
  }
}

/** 1 / (1 + e^-x) in four lanes. */
export function sigmoid(x: v128): v128 {
  const one = f32x4.splat(1);
  return f32x4.div(one, f32x4.add(one, exp_f32x4(f32x4.neg(x))));
}

// x * sigmoid(2 sqrt(2 / pi) (x + 0.044715 x^3)), which is the tanh form of GELU.
function gelu(x: v128): v128 {
  const cubic = f32x4.mul(f32x4.mul(x, x), f32x4.splat(0.044715));
  const inner = f32x4.mul(x, f32x4.add(f32x4.splat(1), cubic));
  return f32x4.mul(x, sigmoid(f32x4.mul(inner, f32x4.splat(1.5957691216057308))));
}

// x Phi(x) = x erfc(-x / sqrt(2)) / 2, which keeps the small values of negative x.
function exact_gelu(x: v128): v128 {
  const half = f32x4.mul(x, f32x4.splat(0.5));
  return f32x4.mul(half, erfc_f32x4(f32x4.mul(x, f32x4.splat(<f32>-Math.SQRT1_2))));
}

function activate(kind: i32, x: v128): v128 {
  switch (kind) {
    case op.GLU_SWIGLU:
    case op.GLU_SILU:
      return f32x4.mul(x, sigmoid(x));
    case op.GLU_GEGLU:
    case op.GLU_GELU:
      return gelu(x);
    case op.GLU_GEGLU_ERF:
    case op.GLU_GELU_ERF:
      return exact_gelu(x);
    case op.GLU_REGLU:
    case op.GLU_RELU:
      return f32x4.max(x, f32x4.splat(0));
    case op.GLU_SQUARED_RELU:
      x = f32x4.max(x, f32x4.splat(0));
      return f32x4.mul(x, x);
    default:
      return sigmoid(x);
  }
}

/**
 * out[i] = act(gate[i]) * up[i]      kind GLU_SWIGLU (act = SiLU), GLU_GEGLU (GELU, tanh form), GLU_REGLU,
 *                                    GLU_GEGLU_ERF (GELU, exact) or GLU_GATE_ONLY (sigmoid)
 * out[i] = act(gate[i])              kind GLU_SILU, GLU_GELU, GLU_GELU_ERF, GLU_RELU, GLU_SQUARED_RELU; up is not read
 * gate, up, out  f32 [n]             out may be gate or up
 * Units: n elements, any; pointers bytes
 * Align: 4 B                         Reads past the end: none
 * Source: Shazeer 2020, "GLU Variants Improve Transformer", arXiv:2002.05202; Hendrycks and Gimpel 2016,
 *         arXiv:1606.08415
 */
export function glu_f32(kind: i32, gate: usize, up: usize, out: usize, n: i32): void {
  const gated = kind <= op.GLU_REGLU || kind === op.GLU_GATE_ONLY || kind === op.GLU_GEGLU_ERF;
  const stop = gate + ((<usize>n & ~3) << 2);
  for (; gate < stop; gate += 16, up += 16, out += 16) {
    const a = activate(kind, v128.load(gate));
    v128.store(out, gated ? f32x4.mul(a, v128.load(up)) : a);
  }
  const rest = n & 3;
  if (rest) {
    const a = activate(kind, load_tail(gate, rest));
    store_tail(out, rest, gated ? f32x4.mul(a, load_tail(up, rest)) : a);
  }
}

function clamped_glu(limit: v128, alpha: v128, gate: v128, up: v128): v128 {
  const g = f32x4.min(gate, limit);
  const u = f32x4.max(f32x4.min(up, limit), f32x4.neg(limit));
  return f32x4.mul(f32x4.mul(g, sigmoid(f32x4.mul(g, alpha))), f32x4.add(u, f32x4.splat(1)));
}

/**
 * out[i] = g sigmoid(alpha g) (u + 1)    g = min(gate[i], limit), u = up[i] held to [-limit, limit]
 * gate, up, out  f32 [n]                 out may be gate or up
 * Units: n elements, any; pointers bytes; limit positive
 * Align: 4 B                             Reads past the end: none
 * Source: OpenAI 2025, "gpt-oss", model card, arXiv:2508.10925, section 2.2
 */
export function clamped_glu_f32(limit: f32, alpha: f32, gate: usize, up: usize, out: usize, n: i32): void {
  const l = f32x4.splat(limit);
  const a = f32x4.splat(alpha);
  const stop = gate + ((<usize>n & ~3) << 2);
  for (; gate < stop; gate += 16, up += 16, out += 16) {
    v128.store(out, clamped_glu(l, a, v128.load(gate), v128.load(up)));
  }
  const rest = n & 3;
  if (rest) store_tail(out, rest, clamped_glu(l, a, load_tail(gate, rest), load_tail(up, rest)));
}
