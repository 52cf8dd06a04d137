// Q2_0: blocks of 64 with an f16 scale and 16 bytes of four values each, the lowest bits first; n stands for n - 1.
import { FILE_Q2_0_BYTES, FILE_Q2_0_VALUES } from "../layout/file_types.gen";
import { finite_f16 } from "../simd/f16";

/** out[i] = value first + i of a row, i in [0, n), first and n % 32 == 0; NaN for blocks whose scale is not finite. */
export function decode_q2_0(src: usize, first: i32, n: i32, out: usize): void {
  const end = first + n;
  for (; first < end; first++, out += 4) {
    const block = src + <usize>(first / FILE_Q2_0_VALUES) * FILE_Q2_0_BYTES;
    const byte = <i32>load<u8>(block + 2 + <usize>((first & 63) >> 2));
    store<f32>(out, finite_f16(block) * <f32>(((byte >> ((first & 3) << 1)) & 3) - 1));
  }
}
