// Logarithm, exponential and digamma with the same bits in every runtime.

/**
 * Logarithm and exponential that are the same in every runtime: only additions, multiplications and divisions of
 * doubles, which IEEE 754 fixes to the last bit. The `Math` functions are as each engine likes.
 *
 * Both are within 2 units in the last place, as tests compare with `Math`.
 */

/** ln 2 in two parts; the first has few enough bits that its multiples up to 2^11 are exact. */
const LN2_HIGH = 0.6931471803691238;
const LN2_LOW = 1.9082149292705877e-10;

/** Powers of two with an exponent from -1074 to 1023, at exponent + 1074. */
const POWERS = powersOfTwo();

/** Coefficients of artanh(x) = x + x^3/3 + x^5/5 ..., from x^25 down to x^3. */
const ARTANH = Array.from({ length: 12 }, (_, i) => 1 / (25 - 2 * i));

/** Coefficients of e^x = 1 + x + x^2/2! ..., from x^14 down. */
const EXP = Array.from({ length: 15 }, (_, i) => 1 / factorial(14 - i));

function factorial(n: number): number {
  return n < 2 ? 1 : n * factorial(n - 1);
}

function powersOfTwo(): Float64Array {
  const powers = new Float64Array(1074 + 1024);
  powers[1074] = 1;
  for (let i = 1075; i < powers.length; i++) powers[i] = (powers[i - 1] as number) * 2;
  for (let i = 1073; i >= 0; i--) powers[i] = (powers[i + 1] as number) / 2;
  return powers;
}

function powerOfTwo(exponent: number): number {
  return POWERS[exponent + 1074] as number;
}

/** The natural logarithm; of 0 negative infinity, of a negative number NaN. */
export function log(x: number): number {
  if (!(x > 0 && x < Number.POSITIVE_INFINITY))
    return x === 0 ? Number.NEGATIVE_INFINITY : x > 0 ? x : Number.NaN;
  let exponent = 0;
  let mantissa = x;
  for (let step = 512; step > 0; step >>= 1) {
    if (mantissa >= powerOfTwo(step)) {
      mantissa *= powerOfTwo(-step);
      exponent += step;
    } else if (mantissa < powerOfTwo(1 - step)) {
      mantissa *= powerOfTwo(step);
      exponent -= step;
    }
  }
  while (mantissa < 1) {
    mantissa *= 2;
    exponent--;
  }
  if (mantissa >= Math.SQRT2) {
    mantissa /= 2;
    exponent++;
  }
  return exponent * LN2_HIGH + (logOfMantissa(mantissa) + exponent * LN2_LOW);
}

/** For x from 1/sqrt(2) to sqrt(2): ln x = 2 artanh((x - 1) / (x + 1)), by its Taylor series. */
function logOfMantissa(x: number): number {
  const f = x - 1;
  const s = f / (x + 1);
  const z = s * s;
  let sum = 0;
  for (const coefficient of ARTANH) sum = (sum + coefficient) * z;
  return 2 * s + 2 * s * sum;
}

/** e to the power of x: 0 below -745, infinite above 709.8. */
export function exp(x: number): number {
  if (x < -745.2) return 0;
  if (x > 709.8) return Number.POSITIVE_INFINITY;
  const k = Math.round(x / (LN2_HIGH + LN2_LOW));
  const r = x - k * LN2_HIGH - k * LN2_LOW;
  let sum = 0;
  for (const coefficient of EXP) sum = sum * r + coefficient;
  // Two steps, so that neither 2^1024 nor a result below 2^-1022 is rounded twice.
  return k > 1000 || k < -1000 ? sum * powerOfTwo(k >> 1) * powerOfTwo(k - (k >> 1)) : sum * powerOfTwo(k);
}

/** The logarithmic derivative of the gamma function, for x above 0. Source: Abramowitz and Stegun, 6.3.18. */
export function digamma(x: number): number {
  let result = 0;
  let shifted = x;
  for (; shifted < 7; shifted++) result -= 1 / shifted;
  // The asymptotic series around x - 1/2 has no odd terms.
  const half = shifted - 0.5;
  const inverse = 1 / half;
  const z = inverse * inverse;
  const z2 = z * z;
  return result + (log(half) + z / 24 - (7 / 960) * z2 + (31 / 8064) * z2 * z - (127 / 30720) * z2 * z2);
}
