// Q8_K: blocks of an f32 scale, 256 int8 and 16 sums of them, which nobody needs here.
import { FILE_Q8_K_BYTES, FILE_Q8_K_VALUES } from "../../layout/file_types.gen";
import { put16 } from "../values";

/** out[i] = value first + i of a row, i in [0, n), first and n % 32 == 0; NaN for blocks whose scale is not finite. */
export function decode_q8_k(src: usize, first: i32, n: i32, out: usize): void {
  const end = out + ((<usize>n) << 2);
  for (; out < end; out += 128, first += 32) {
    const block = src + <usize>(first / FILE_Q8_K_VALUES) * FILE_Q8_K_BYTES;
    const g = (first >> 5) & 7;
    const d = load<f32>(block);
    const q = block + 4 + ((<usize>g) << 5);
    put16(v128.load(q), d, -0, out);
    put16(v128.load(q, 16), d, -0, out + 64);
  }
}
