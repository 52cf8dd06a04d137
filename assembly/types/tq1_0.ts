// TQ1_0: blocks of 256 with 52 bytes of five (the last four bytes: four) ternary digits, and an f16 scale; n stands for n - 1.
// A byte is a fraction of 256 whose digits come out by multiplication by 3. Digit k of the first 32 bytes are values 32k to
// 32k + 31, that of the next 16 bytes 160 + 16k and on, that of the last four 240 + 4k and on.
import { FILE_TQ1_0_BYTES, FILE_TQ1_0_VALUES } from "../layout/file_types.gen";
import { finite_f16 } from "../simd/f16";

/** out[i] = value first + i of a row, i in [0, n), first and n % 32 == 0; NaN for blocks whose scale is not finite. */
export function decode_tq1_0(src: usize, first: i32, n: i32, out: usize): void {
  const end = first + n;
  for (; first < end; first++, out += 4) {
    const block = src + <usize>(first / FILE_TQ1_0_VALUES) * FILE_TQ1_0_BYTES;
    const i = first & 255;
    let byte = i & 31;
    let k = i >> 5;
    if (i >= 240) {
      byte = 48 + (i & 3);
      k = (i - 240) >> 2;
    } else if (i >= 160) {
      byte = 32 + (i & 15);
      k = (i - 160) >> 4;
    }
    let rest = <u32>load<u8>(block + <usize>byte);
    for (; k > 0; k--) rest = (rest * 3) & 255;
    store<f32>(out, finite_f16(block + 52) * <f32>(<i32>((rest * 3) >> 8) - 1));
  }
}
