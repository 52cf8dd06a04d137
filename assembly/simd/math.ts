// Elementary functions of our own. Every engine's Math rounds in its own way; these give the same bits everywhere. f64
// scalars for tables and sampling, f32x4 for kernels.

const LN2_HI: f64 = 0.6931471803691238; // ln 2, its low 32 bits zero: k * LN2_HI is exact
const LN2_LO: f64 = 1.9082149292705877e-10;
const LOG2_E: f64 = Math.LOG2E;
const SQRT_2: f64 = Math.SQRT2;
// pi / 2 in two parts of 33 bits and a tail: k * PIO2_A is exact up to k = 2^20.
const PIO2_A: f64 = 1.5707963267341256;
const PIO2_B: f64 = 6.077100506303966e-11;
const PIO2_C: f64 = 2.0222662487959506e-21;
const TWO_OVER_PI: f64 = 0.6366197723675814;

/** sum + a * b, each rounded: the result of a fused instruction would depend on the machine. */
export function madd(sum: v128, a: v128, b: v128): v128 {
  return f32x4.add(sum, f32x4.mul(a, b));
}

/**
 * e^x, error under 2 ulp; 0 under -708, infinity over 709.
 * x = k ln 2 + r with |r| <= ln 2 / 2; the series of e^r to r^13 leaves 4e-18.
 */
export function exp_f64(x: f64): f64 {
  if (x < -708) return 0;
  if (x > 709) return Infinity;
  const k = nearest(x * LOG2_E);
  const r = x - k * LN2_HI - k * LN2_LO;
  let p = 1 + r / 13;
  for (let i: f64 = 12; i > 0; i--) p = 1 + (r / i) * p;
  return p * reinterpret<f64>((<i64>k + 1023) << 52);
}

/**
 * Natural logarithm of a normal positive x, error under 2 ulp.
 * x = 2^k m with m near 1; ln m = 2 artanh((m - 1) / (m + 1)), whose argument is under 0.172.
 */
export function log_f64(x: f64): f64 {
  const bits = reinterpret<i64>(x);
  let k = (bits >> 52) - 1023;
  let m = reinterpret<f64>((bits & 0x000fffffffffffff) | 0x3ff0000000000000);
  if (m > SQRT_2) {
    m *= 0.5;
    k++;
  }
  const s = (m - 1) / (m + 1);
  const s2 = s * s;
  let p: f64 = 0;
  for (let i: f64 = 21; i > 0; i -= 2) p = p * s2 + 1 / i;
  return <f64>k * LN2_HI + (<f64>k * LN2_LO + 2 * s * p);
}

/** x^y for normal positive x. */
export function pow_f64(x: f64, y: f64): f64 {
  return exp_f64(y * log_f64(x));
}

// The series of sin (first = 1, p starts from r) or cos (first = 0) on |r| <= pi / 4.
function sin_series(r: f64): f64 {
  const r2 = -r * r;
  let p: f64 = 1;
  for (let i: f64 = 16; i > 1; i -= 2) p = 1 + (r2 / (i * (i + 1))) * p;
  return r * p;
}

function cos_series(r: f64): f64 {
  const r2 = -r * r;
  let p: f64 = 1;
  for (let i: f64 = 17; i > 0; i -= 2) p = 1 + (r2 / (i * (i + 1))) * p;
  return p;
}

/** sin(x + quarters * pi / 2) for |x| up to 2^20, absolute error under 1e-15. */
function sin_quarters(x: f64, quarters: i32): f64 {
  const k = nearest(x * TWO_OVER_PI);
  const r = x - k * PIO2_A - k * PIO2_B - k * PIO2_C;
  const quadrant = (<i32>k + quarters) & 3;
  const s = quadrant & 1 ? cos_series(r) : sin_series(r);
  return quadrant & 2 ? -s : s;
}

/** Sine of |x| up to 2^20, absolute error under 1e-15. */
export function sin_f64(x: f64): f64 {
  return sin_quarters(x, 0);
}

/** Cosine of |x| up to 2^20, absolute error under 1e-15. */
export function cos_f64(x: f64): f64 {
  return sin_quarters(x, 1);
}

/**
 * e^x in four lanes, relative error under 3e-7; 0 under -87, finite at most e^88; NaN stays NaN.
 * As exp_f64, with the series to r^7 (r <= 0.347: 5e-9 are left).
 */
export function exp_f32x4(x: v128): v128 {
  const live = f32x4.ge(x, f32x4.splat(-87));
  // max and min keep NaN.
  const c = f32x4.min(f32x4.max(x, f32x4.splat(-87)), f32x4.splat(88));
  const k = f32x4.nearest(f32x4.mul(c, f32x4.splat(<f32>LOG2_E)));
  const r = f32x4.sub(
    f32x4.sub(c, f32x4.mul(k, f32x4.splat(0.693359375))),
    f32x4.mul(k, f32x4.splat(-2.1219444e-4)),
  );
  let p = f32x4.add(f32x4.splat(1.0 / 720.0), f32x4.mul(r, f32x4.splat(1.0 / 5040.0)));
  p = f32x4.add(f32x4.splat(1.0 / 120.0), f32x4.mul(r, p));
  p = f32x4.add(f32x4.splat(1.0 / 24.0), f32x4.mul(r, p));
  p = f32x4.add(f32x4.splat(1.0 / 6.0), f32x4.mul(r, p));
  p = f32x4.add(f32x4.splat(0.5), f32x4.mul(r, p));
  p = f32x4.add(f32x4.splat(1), f32x4.mul(r, p));
  p = f32x4.add(f32x4.splat(1), f32x4.mul(r, p));
  const power = i32x4.shl(i32x4.add(i32x4.trunc_sat_f32x4_s(k), i32x4.splat(127)), 23);
  // Lanes under -87 become zero; NaN lanes compare false both ways and are kept by the second mask.
  return v128.and(f32x4.mul(p, power), v128.or(live, f32x4.ne(x, x)));
}

/** e^x of one value by exp_f32x4. */
export function exp_f32(x: f32): f32 {
  return f32x4.extract_lane(exp_f32x4(f32x4.splat(x)), 0);
}

/** tanh(x) in four lanes, as 1 - 2 / (e^(2x) + 1); absolute error under 2e-7; NaN stays NaN. */
export function tanh_f32x4(x: v128): v128 {
  const e = exp_f32x4(f32x4.add(x, x));
  const one = f32x4.splat(1);
  return f32x4.sub(one, f32x4.div(f32x4.splat(2), f32x4.add(e, one)));
}

/**
 * erfc(x) = 1 - erf(x) in four lanes, relative error under 2e-6 up to x = 9, where it is 1e-37; NaN stays NaN.
 * With t = 1 / (1 + |x| / 2): t e^(-x^2 + P(t)), P of degree 9; 2 minus that for negative x.
 * Source: Press et al. 1992, "Numerical Recipes in C", second edition, section 6.2, whose P is right to 1.2e-7
 */
export function erfc_f32x4(x: v128): v128 {
  const z = f32x4.abs(x);
  const one = f32x4.splat(1);
  const t = f32x4.div(one, madd(one, z, f32x4.splat(0.5)));
  let p = madd(f32x4.splat(-0.82215223), t, f32x4.splat(0.17087277));
  p = madd(f32x4.splat(1.48851587), t, p);
  p = madd(f32x4.splat(-1.13520398), t, p);
  p = madd(f32x4.splat(0.27886807), t, p);
  p = madd(f32x4.splat(-0.18628806), t, p);
  p = madd(f32x4.splat(0.09678418), t, p);
  p = madd(f32x4.splat(0.37409196), t, p);
  p = madd(f32x4.splat(1.00002368), t, p);
  p = madd(f32x4.splat(-1.26551223), t, p);
  const tail = f32x4.mul(t, exp_f32x4(f32x4.sub(p, f32x4.mul(z, z))));
  return v128.bitselect(f32x4.sub(f32x4.splat(2), tail), tail, f32x4.lt(x, f32x4.splat(0)));
}
