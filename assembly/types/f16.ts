// F16: half precision.
import { finite_f16 } from "../simd/f16";

/** out[i] = value first + i of a row, i in [0, n); NaN for what is not finite. */
export function decode_f16(src: usize, first: i32, n: i32, out: usize): void {
  src += (<usize>first) << 1;
  for (let i: usize = 0; i < <usize>n; i++) store<f32>(out + (i << 2), finite_f16(src + (i << 1)));
}
