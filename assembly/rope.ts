import { cos_f64, pow_f64, sin_f64 } from "./simd/math";

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
 * out[i] = (cos, sin)(pos * freqs[i])  for i in [0, half)
 * freqs  f32 [half]; out f32 [half][2]
 * Align: 4 B
 * Numerics: angle and functions in f64, rounded once
 */
export function rope_angles(freqs: usize, pos: i32, half: i32, out: usize): void {
  for (let i = 0; i < half; i++) {
    const angle = <f64>pos * <f64>load<f32>(freqs + ((<usize>i) << 2));
    store<f32>(out + ((<usize>i) << 3), <f32>cos_f64(angle));
    store<f32>(out + ((<usize>i) << 3), <f32>sin_f64(angle), 4);
  }
}

/**
 * Rotates the pairs (x[2i], x[2i+1]), in place: llama2.c and GGUF's `llama` order.
 * x       f32 [2 * half]
 * angles  f32 [half][2]               from rope_angles()
 * Align: 4 B                          Reads past the end: none
 * Source: Su et al. 2021, arXiv:2104.09864, equation 34
 */
export function rope_adjacent_f32(x: usize, angles: usize, half: i32): void {
  const stop = x + ((<usize>half & ~1) << 3);
  for (; x < stop; x += 16, angles += 16) {
    const v = v128.load(x);
    const a = v128.load(angles);
    const c = v128.shuffle<i32>(a, a, 0, 0, 2, 2);
    const s = v128.shuffle<i32>(a, a, 1, 1, 3, 3);
    // (x0 c - x1 s, x1 c + x0 s): the sine of even lanes changes its sign.
    const swapped = f32x4.mul(v128.shuffle<i32>(v, v, 1, 0, 3, 2), s);
    const signed = v128.xor(swapped, i64x2.splat(0x80000000));
    v128.store(x, f32x4.add(f32x4.mul(v, c), signed));
  }
  if (half & 1) {
    const a = load<f32>(x);
    const b = load<f32>(x, 4);
    const c = load<f32>(angles);
    const s = load<f32>(angles, 4);
    store<f32>(x, a * c - b * s);
    store<f32>(x, b * c + a * s, 4);
  }
}

/**
 * As rope_adjacent_f32, with the pairs (x[i], x[half + i]): Hugging Face's order.
 */
export function rope_halves_f32(x: usize, angles: usize, half: i32): void {
  const bytes = (<usize>half) << 2;
  const vectors = x + ((<usize>half & ~3) << 2);
  const stop = x + bytes;
  for (; x < vectors; x += 16, angles += 32) {
    const a = v128.load(x);
    const b = v128.load(x + bytes);
    const lo = v128.load(angles);
    const hi = v128.load(angles, 16);
    const c = v128.shuffle<i32>(lo, hi, 0, 2, 4, 6);
    const s = v128.shuffle<i32>(lo, hi, 1, 3, 5, 7);
    v128.store(x, f32x4.sub(f32x4.mul(a, c), f32x4.mul(b, s)));
    v128.store(x + bytes, f32x4.add(f32x4.mul(b, c), f32x4.mul(a, s)));
  }
  for (; x < stop; x += 4, angles += 8) {
    const a = load<f32>(x);
    const b = load<f32>(x + bytes);
    const c = load<f32>(angles);
    const s = load<f32>(angles, 4);
    store<f32>(x, a * c - b * s);
    store<f32>(x + bytes, b * c + a * s);
  }
}
