// The natural logarithm by additions, multiplications and divisions only: engines differ in the last bit of Math.log.

/** ln(x) of a finite number above 0, relative error under 1e-14. */
export function ln(x: number): number {
  // x = m 2^k with m in [2/3, 4/3); ln(m) = 2 artanh(s).
  let k = 0;
  let m = x;
  while (m >= 4 / 3) [m, k] = [m / 2, k + 1];
  while (m < 2 / 3) [m, k] = [m * 2, k - 1];
  const s = (m - 1) / (m + 1);
  let sum = 0;
  for (let n = 25; n > 0; n -= 2) sum = 1 / n + sum * s * s;
  return k * Math.LN2 + 2 * s * sum;
}
