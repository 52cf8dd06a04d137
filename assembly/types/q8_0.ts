// Q8_0: blocks of an f16 scale and 32 int8.
import { FILE_Q8_0_BYTES, FILE_Q8_0_VALUES } from "../layout/file_types.gen";
import { finite_f16 } from "../simd/f16";

/** out[i] = value first + i of a row, i in [0, n), first % 32 == 0; NaN for blocks whose scale is not finite. */
export function decode_q8_0(src: usize, first: i32, n: i32, out: usize): void {
  src += <usize>(first / FILE_Q8_0_VALUES) * FILE_Q8_0_BYTES;
  for (; n > 0; n -= FILE_Q8_0_VALUES, src += FILE_Q8_0_BYTES) {
    const d = finite_f16(src);
    const live = <usize>min(n, FILE_Q8_0_VALUES);
    for (let c: usize = 0; c < live; c++, out += 4) store<f32>(out, d * <f32>load<i8>(src + c, 2));
  }
}
