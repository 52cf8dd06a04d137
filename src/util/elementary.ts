// Elementary functions of our own for numbers that are computed once: the same bits in every engine, unlike Math's.

/**
 * Natural logarithm of a normal positive x, error under 2 ulp: the bits of log_f64 in assembly/simd/math.ts.
 * x = 2^k m with m near 1; ln m = 2 artanh((m - 1) / (m + 1)), whose argument is under 0.172.
 */
export function ln(x: number): number {
  const view = new DataView(new ArrayBuffer(8));
  view.setFloat64(0, x);
  const high = view.getUint32(0);
  let k = (high >>> 20) - 1023;
  view.setUint32(0, (high & 0xfffff) | (1023 << 20));
  let m = view.getFloat64(0);
  if (m > Math.SQRT2) {
    m *= 0.5;
    k++;
  }
  const s = (m - 1) / (m + 1);
  let p = 0;
  for (let i = 21; i > 0; i -= 2) p = p * (s * s) + 1 / i;
  return k * LN2_HIGH + (k * LN2_LOW + 2 * s * p);
}

// ln 2 in two parts; the low 32 bits of the first are zero, so that its product with k is exact.
const LN2_HIGH = 0.6931471803691238;
const LN2_LOW = 1.9082149292705877e-10;

/** base ^ exponent for positive numbers: by multiplication, and by square roots, which are exact everywhere. */
export function power(base: number, exponent: number): number {
  let result = 1;
  for (let whole = Math.floor(exponent); whole > 0; whole--) result *= base;
  let root = base;
  for (let rest = exponent % 1; rest > 0; rest %= 1) {
    rest *= 2;
    root = Math.sqrt(root);
    if (rest >= 1) result *= root;
  }
  return result;
}
