// Scalar f64 twins of assembly/plan/ops/norm.ts.

/** out[i] = x[i] / sqrt(mean(x^2) + eps) * weight[i]. */
export function rmsnorm(x: ArrayLike<number>, weight: ArrayLike<number>, eps: number): Float64Array {
  const n = x.length;
  let squares = 0;
  for (let i = 0; i < n; i++) squares += (x[i] as number) ** 2;
  const root = Math.sqrt(squares / n + eps);
  return Float64Array.from({ length: n }, (_, i) => ((x[i] as number) / root) * (weight[i] as number));
}

/** out[i] = (x[i] - mean(x)) / sqrt(variance(x) + eps) * weight[i] + bias[i]. */
export function layernorm(
  x: ArrayLike<number>,
  weight: ArrayLike<number>,
  bias: ArrayLike<number>,
  eps: number,
): Float64Array {
  const n = x.length;
  let mean = 0;
  for (let i = 0; i < n; i++) mean += (x[i] as number) / n;
  let variance = 0;
  for (let i = 0; i < n; i++) variance += ((x[i] as number) - mean) ** 2 / n;
  const root = Math.sqrt(variance + eps);
  return Float64Array.from(
    { length: n },
    (_, i) => (((x[i] as number) - mean) / root) * (weight[i] as number) + (bias[i] as number),
  );
}
