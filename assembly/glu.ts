import { GLU_GEGLU, GLU_GELU, GLU_REGLU, GLU_RELU, GLU_SILU, GLU_SWIGLU } from "./layout/ops";
import { exp_f32x4 } from "./simd/math";
import { load_tail, store_tail } from "./simd/reduce";

function sigmoid(x: v128): v128 {
  const one = f32x4.splat(1);
  return f32x4.div(one, f32x4.add(one, exp_f32x4(f32x4.neg(x))));
}

// x * sigmoid(2 sqrt(2 / pi) (x + 0.044715 x^3)), which is the tanh form of GELU.
function gelu(x: v128): v128 {
  const cubic = f32x4.mul(f32x4.mul(x, x), f32x4.splat(0.044715));
  const inner = f32x4.mul(x, f32x4.add(f32x4.splat(1), cubic));
  return f32x4.mul(x, sigmoid(f32x4.mul(inner, f32x4.splat(1.5957691216057308))));
}

function activate(kind: i32, x: v128): v128 {
  switch (kind) {
    case GLU_SWIGLU:
    case GLU_SILU:
      return f32x4.mul(x, sigmoid(x));
    case GLU_GEGLU:
    case GLU_GELU:
      return gelu(x);
    case GLU_REGLU:
    case GLU_RELU:
      return f32x4.max(x, f32x4.splat(0));
    default:
      return sigmoid(x);
  }
}

/**
 * out[i] = act(gate[i]) * up[i]      kind GLU_SWIGLU (act = SiLU), GLU_GEGLU (GELU, tanh form), GLU_REGLU
 * out[i] = act(gate[i])              kind GLU_SILU, GLU_GELU, GLU_RELU; up is not read
 * gate, up, out  f32 [n]             out may be gate or up
 * Units: n elements, any; pointers bytes
 * Align: 4 B                         Reads past the end: none
 * Source: Shazeer 2020, "GLU Variants Improve Transformer", arXiv:2002.05202; Hendrycks and Gimpel 2016,
 *         arXiv:1606.08415
 */
export function glu_f32(kind: i32, gate: usize, up: usize, out: usize, n: i32): void {
  const gated = kind <= GLU_REGLU;
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
