// Scalar f64 twin of assembly/plan/ops/matmul.ts.

/** out[t, r] = sum_c w[r, c] * x[t, c] for w [rows, cols] and x [tokens, cols]. */
export function matmul(
  w: ArrayLike<number>,
  x: ArrayLike<number>,
  tokens: number,
  rows: number,
  cols: number,
): Float64Array {
  const out = new Float64Array(tokens * rows);
  for (let t = 0; t < tokens; t++) {
    for (let r = 0; r < rows; r++) {
      let sum = 0;
      for (let c = 0; c < cols; c++) sum += (w[r * cols + c] as number) * (x[t * cols + c] as number);
      out[t * rows + r] = sum;
    }
  }
  return out;
}
