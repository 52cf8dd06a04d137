// Q1_0: blocks of 128 with an f16 scale and a bit for each value: the scale, or if it is not set, minus the scale.
import { FILE_Q1_0_BYTES, FILE_Q1_0_VALUES } from "../layout/file_types.gen";
import { finite_f16 } from "../simd/f16";
import { put16, with_signs } from "./values";

/** out[i] = value first + i of a row, i in [0, n), first and n % 32 == 0; NaN for blocks whose scale is not finite. */
export function decode_q1_0(src: usize, first: i32, n: i32, out: usize): void {
  const minus = i8x16.splat(-1);
  const end = out + ((<usize>n) << 2);
  for (; out < end; out += 128, first += 32) {
    const block = src + <usize>(first / FILE_Q1_0_VALUES) * FILE_Q1_0_BYTES;
    const d = finite_f16(block);
    const bits = block + 2 + (<usize>(first & 96) >> 3);
    put16(with_signs(minus, load<u16>(bits)), d, -0, out);
    put16(with_signs(minus, load<u16>(bits, 2)), d, -0, out + 64);
  }
}
