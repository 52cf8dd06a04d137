// OP_ANGLES: cosines and sines of the step's positions, for rotary embeddings.
import { STEP_N_TOKENS, STEP_POSITIONS } from "../../layout/control";
import * as op from "../../layout/ops";
import { element, int, next, ptr } from "../../record";
import { cos_f64, pow_f64, sin_f64 } from "../../simd/math";

/** Runs the record, token by token. */
export function run_angles(record: usize): void {
  const n = load<i32>(STEP_N_TOKENS);
  const half = int(record, op.ANGLES_HALF);
  for (let t = next(record); t < n; t = next(record)) {
    const freqs = ptr(record, op.ANGLES_FREQS);
    const scale = load<f32>(freqs + ((<usize>half) << 2));
    const out = ptr(record, op.ANGLES_OUT) + <usize>t * ((<usize>half) << 3);
    rope_angles(freqs, element(STEP_POSITIONS, t), half, scale, out);
  }
}

/**
 * freqs[i] = theta ^ (-2 i / dim)     for i in [0, dim / 2)
 * freqs  f32 [dim / 2]
 * Units: dim elements, even; theta positive, finite
 * Align: 4 B
 * Source: Su et al. 2021, "RoFormer", arXiv:2104.09864, section 3.2.2
 */
export function rope_freqs(theta: f64, dim: i32, out: usize): void {
  for (let i = 0; i < dim >> 1; i++) {
    store<f32>(out + ((<usize>i) << 2), <f32>pow_f64(theta, <f64>(-2 * i) / <f64>dim));
  }
}

/**
 * out[i] = (cos, sin)(pos * freqs[i]) * scale      for i in [0, half)
 * freqs  f32 [half]; out f32 [half][2]
 * Align: 4 B
 * Numerics: angle, functions and their product with scale in f64, rounded once
 */
export function rope_angles(freqs: usize, pos: i32, half: i32, scale: f32, out: usize): void {
  for (let i = 0; i < half; i++) {
    const angle = <f64>pos * <f64>load<f32>(freqs + ((<usize>i) << 2));
    store<f32>(out + ((<usize>i) << 3), <f32>(cos_f64(angle) * <f64>scale));
    store<f32>(out + ((<usize>i) << 3), <f32>(sin_f64(angle) * <f64>scale), 4);
  }
}
