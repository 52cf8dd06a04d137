// Q4_1: blocks of an f16 scale, an f16 offset and 16 bytes. Low nibbles are columns 0 to 15, high nibbles 16 to 31.
import { FILE_Q4_1_BYTES, FILE_Q4_1_VALUES } from "../layout/file_types.gen";
import { finite_f16 } from "../simd/f16";
import { bits_at, put16 } from "./values";

/** out[i] = value first + i of a row, i in [0, n), first and n % 32 == 0; NaN for blocks with a scale or an offset that is not finite. */
export function decode_q4_1(src: usize, first: i32, n: i32, out: usize): void {
  const end = out + ((<usize>n) << 2);
  for (; out < end; out += 128, first += 32) {
    const block = src + <usize>(first / FILE_Q4_1_VALUES) * FILE_Q4_1_BYTES;
    const d = finite_f16(block);
    const m = finite_f16(block + 2);
    const q = v128.load(block, 4);
    put16(bits_at(q, 0, 15), d, m, out);
    put16(bits_at(q, 4, 15), d, m, out + 64);
  }
}
