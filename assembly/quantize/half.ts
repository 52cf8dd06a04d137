// Rounding to 16 bits: f16 and bf16, both to the nearest, ties to even.

let overflowed: bool = false;

/** Whether something was too large, for f16 or for a sum, since the last call of this function. */
export function take_overflow(): bool {
  const was = overflowed;
  overflowed = false;
  return was;
}

/** Takes note of a number that is too large if `x` is NaN or infinite: sums of what is very large are. */
export function check_finite(x: f32): void {
  if (!(abs(x) <= f32.MAX_VALUE)) overflowed = true;
}

/** Nearest f16 of a finite `x`, as bits. Beyond 65504 infinity, which take_overflow() tells. */
export function half(x: f32): u32 {
  const bits = reinterpret<u32>(x);
  const sign = (bits >> 16) & 0x8000;
  const abs = bits & 0x7fffffff;
  if (abs >= 0x477ff000) {
    overflowed = true;
    return sign | 0x7c00;
  }
  // Adding a power of two whose last mantissa bit is the last f16 bit rounds to even in hardware.
  if (abs < 0x38800000) {
    return sign | (reinterpret<u32>(reinterpret<f32>(abs) + <f32>0.5) - 0x3f000000);
  }
  return sign | ((abs + 0xc8000fff + ((abs >> 13) & 1)) >> 13);
}

/** The value of finite f16 bits. */
export function half_value(bits: u32): f32 {
  const wide = (<i32>(bits << 16) >> 3) & <i32>0x8fffffff;
  return reinterpret<f32>(wide) * reinterpret<f32>(0x77800000);
}

/** out[i] = nearest f16 of x[i], i in [0, n). */
export function encode_f16(x: usize, n: i32, out: usize): void {
  for (let i: usize = 0; i < <usize>n; i++) store<u16>(out + (i << 1), <u16>half(load<f32>(x + (i << 2))));
}

/** out[i] = nearest bf16 of x[i], i in [0, n); what is too large becomes infinity, which take_overflow() tells. */
export function encode_bf16(x: usize, n: i32, out: usize): void {
  for (let i: usize = 0; i < <usize>n; i++) {
    const bits = load<u32>(x + (i << 2));
    const near = (bits + 0x7fff + ((bits >> 16) & 1)) >> 16;
    if ((near & 0x7fff) === 0x7f80) overflowed = true;
    store<u16>(out + (i << 1), <u16>near);
  }
}
