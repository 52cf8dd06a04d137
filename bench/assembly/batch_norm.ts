// What RMSNorm and LayerNorm are measured against: BatchNorm of a model that is not trained any more.

/**
 * out[i] = x[i] * scale[i] + shift[i]
 * scale = weight / sqrt(variance + eps) and shift = bias - mean * scale are those of the training: computed once, at load.
 * x, scale, shift, out  f32 [n]     out may be x
 * Units: n elements, n % 4 == 0; pointers bytes
 * Align: 4 B                        Reads past the end: none
 * Source: Ioffe and Szegedy 2015, "Batch Normalization", arXiv:1502.03167, algorithm 2
 */
export function batchnorm_f32(x: usize, scale: usize, shift: usize, out: usize, n: i32): void {
  const stop = x + ((<usize>n) << 2);
  for (; x < stop; x += 16, scale += 16, shift += 16, out += 16) {
    v128.store(out, f32x4.add(f32x4.mul(v128.load(x), v128.load(scale)), v128.load(shift)));
  }
}
