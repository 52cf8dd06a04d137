// F16: half precision.
import { finite_f16 } from "../simd/f16";

/** out[i] = value first + i of a row, i in [0, n); NaN for what is not finite. */
export function decode_f16(src: usize, first: i32, n: i32, out: usize): void {
  src += (<usize>first) << 1;
  const end = out + ((<usize>n) << 2);
  const sign = i32x4.splat(0x8fffffff);
  const power = f32x4.splat(reinterpret<f32>(0x77800000));
  for (; out + 16 <= end; out += 16, src += 8) {
    const bits = v128.load16x4_s(src);
    const value = f32x4.mul(v128.and(i32x4.shl(bits, 13), sign), power);
    const exponent = v128.and(bits, i32x4.splat(0x7c00));
    const endless = i32x4.eq(exponent, i32x4.splat(0x7c00));
    v128.store(out, v128.bitselect(f32x4.splat(NaN), value, endless));
  }
  for (; out < end; out += 4, src += 2) store<f32>(out, finite_f16(src));
}
