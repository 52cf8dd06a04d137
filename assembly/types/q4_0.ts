// Q4_0: blocks of an f16 scale and 16 bytes. Low nibbles are columns 0 to 15, high nibbles 16 to 31; n stands for n - 8.
import { FILE_Q4_0_BYTES, FILE_Q4_0_VALUES } from "../layout/file_types.gen";
import { finite_f16 } from "../simd/f16";

/** out[i] = value first + i of a row, i in [0, n), first % 32 == 0; NaN for blocks whose scale is not finite. */
export function decode_q4_0(src: usize, first: i32, n: i32, out: usize): void {
  src += <usize>(first / FILE_Q4_0_VALUES) * FILE_Q4_0_BYTES;
  for (; n > 0; n -= FILE_Q4_0_VALUES, src += FILE_Q4_0_BYTES) {
    const d = finite_f16(src);
    const live = <usize>min(n, FILE_Q4_0_VALUES);
    for (let c: usize = 0; c < live; c++, out += 4) {
      const byte = <i32>load<u8>(src + (c & 15), 2);
      store<f32>(out, d * <f32>((c < 16 ? byte & 15 : byte >> 4) - 8));
    }
  }
}
