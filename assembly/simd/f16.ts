// Half precision: widening of scales for kernels, and conversion of single values.
import { CONST_F16_MASK, CONST_SHIFT_13, CONST_TWO_112 } from "../layout/control";

/** f32x4 of 2^112. Load once before a loop. */
export function two112(): v128 {
  return v128.load(CONST_TWO_112);
}

/** i32x4 of 0x8fffffff. Load once before a loop. */
export function f16_mask(): v128 {
  return v128.load(CONST_F16_MASK);
}

/**
 * Four f16 at `ptr` times 2^-112, as f32x4. Exact for both signs if no f16 is subnormal; then the result is not subnormal
 * either. What multiplies it takes the power off again.
 * A half that is sign-extended and shifted left by 13 has sign, exponent and mantissa where f32 has them, with an exponent
 * 112 too small. The shift is a product of i16 pairs with 2^13: JavaScriptCore moves the count of every shift into a
 * register.
 */
export function load_scales(ptr: usize, mask: v128): v128 {
  return v128.and(i32x4.dot_i16x8_s(v128.load16x4_u(ptr), v128.load(CONST_SHIFT_13)), mask);
}

/**
 * Four f16 at `ptr`, widened to f32x4; exact for both signs and for subnormals (infinities and NaN become
 * finite: packing refuses those).
 */
export function load_f16x4(ptr: usize, scale: v128, mask: v128): v128 {
  return f32x4.mul(load_scales(ptr, mask), scale);
}

/** Whether f16 bits are neither NaN nor infinity, which load_f16() would quietly make finite. */
export function f16_finite(bits: u32): bool {
  return (bits & 0x7c00) !== 0x7c00;
}

/** One f16 at `ptr` as f32; exact for finite values. */
export function load_f16(ptr: usize): f32 {
  const h = <u32>((<i32>load<i16>(ptr)) << 13) & 0x8fffffff;
  return reinterpret<f32>(h) * reinterpret<f32>(0x77800000);
}

/** One f16 at `ptr` as f32; NaN if it is not finite. */
export function finite_f16(ptr: usize): f32 {
  return finite_half(load<u16>(ptr));
}

/** The bits of one f16 as f32; NaN if it is not finite. */
export function finite_half(bits: u32): f32 {
  if (!f16_finite(bits)) return NaN;
  return reinterpret<f32>(((bits & 0x8000) << 16) | ((bits & 0x7fff) << 13)) * reinterpret<f32>(0x77800000);
}

/** Nearest f16 (ties to even) of `x`, as bits; overflow saturates to 65504, NaN becomes 0. */
export function to_f16(x: f32): u16 {
  const bits = reinterpret<u32>(x);
  const sign = (bits >> 16) & 0x8000;
  const abs = bits & 0x7fffffff;
  if (abs > 0x7f800000) return 0;
  if (abs >= 0x477fefff) return <u16>(sign | 0x7bff);
  // Adding a power of two whose last mantissa bit is the last f16 bit rounds to even in hardware.
  if (abs < 0x38800000) {
    const rounded = reinterpret<f32>(abs) + <f32>0.5;
    return <u16>(sign | (reinterpret<u32>(rounded) - 0x3f000000));
  }
  const odd = (abs >> 13) & 1;
  return <u16>(sign | ((abs + 0xc8000fff + odd) >> 13));
}
