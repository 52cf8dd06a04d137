// Scalar f64 twins of assembly/simd/{math,f16}.ts: number formats and activation functions.

/** The value of an IEEE 754 half, by its definition: infinities and NaN included. */
export function halfValue(bits: number): number {
  return halves[bits] as number;
}

const halves = Float64Array.from({ length: 65536 }, (_, bits) => definedHalf(bits));

function definedHalf(bits: number): number {
  const sign = bits & 0x8000 ? -1 : 1;
  const exponent = (bits >> 10) & 31;
  const mantissa = bits & 1023;
  if (exponent === 31) return mantissa ? Number.NaN : sign * Number.POSITIVE_INFINITY;
  if (exponent === 0) return sign * mantissa * 2 ** -24;
  return sign * (1 + mantissa / 1024) * 2 ** (exponent - 15);
}

/** The bits of the finite half nearest to x, ties to the even mantissa. */
export function nearestHalf(x: number): number {
  const magnitude = Math.abs(x);
  // Positive halves ascend with their bits: find the last one not above x.
  let low = 0;
  let high = 0x7bff;
  while (low < high) {
    const middle = (low + high + 1) >> 1;
    if (halfValue(middle) <= magnitude) low = middle;
    else high = middle - 1;
  }
  const above = Math.min(low + 1, 0x7bff);
  const toLow = magnitude - halfValue(low);
  const toAbove = halfValue(above) - magnitude;
  const nearest = toLow < toAbove || (toLow === toAbove && low % 2 === 0) ? low : above;
  return x < 0 || Object.is(x, -0) ? nearest | 0x8000 : nearest;
}

/** The value of a bfloat16: the upper half of an f32. */
export function bfloat16Value(bits: number): number {
  return new Float32Array(new Uint32Array([bits * 65536]).buffer)[0] as number;
}

/** 1 / (1 + e^-x). */
export function sigmoid(x: number): number {
  return 1 / (1 + Math.exp(-x));
}

/** x sigmoid(x). */
export function silu(x: number): number {
  return x * sigmoid(x);
}

/** The tanh form of GELU (Hendrycks and Gimpel 2016, arXiv:1606.08415, section 2). */
export function gelu(x: number): number {
  return 0.5 * x * (1 + Math.tanh(Math.sqrt(2 / Math.PI) * (x + 0.044715 * x ** 3)));
}

/**
 * erfc(x) to about 1e-14: a series for small |x|, a continued fraction beyond (Abramowitz and Stegun 1964, 7.1.6 and 7.1.14).
 */
export function erfc(x: number): number {
  if (Number.isNaN(x)) return Number.NaN;
  if (x < 0) return 2 - erfc(-x);
  if (x < 2) {
    let term = x;
    let sum = x;
    for (let n = 1; Math.abs(term) > 1e-17 * sum; n++) {
      term *= (2 * x * x) / (2 * n + 1);
      sum += term;
    }
    return 1 - (2 / Math.sqrt(Math.PI)) * Math.exp(-x * x) * sum;
  }
  let fraction = 0;
  for (let n = 120; n > 0; n--) fraction = n / 2 / (x + fraction);
  return Math.exp(-x * x) / Math.sqrt(Math.PI) / (x + fraction);
}

/** The exact GELU: x times the probability that a standard normal number is less than x. */
export function exactGelu(x: number): number {
  return 0.5 * x * erfc(-x / Math.SQRT2);
}

/** max(x, 0). */
export function relu(x: number): number {
  return Math.max(x, 0);
}
