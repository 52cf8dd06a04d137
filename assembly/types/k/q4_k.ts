// Q4_K: blocks of 256 with two f16 factors, 12 bytes of 6-bit scales and offsets for 32 values each, and 128 bytes.
// Low nibbles of 32 bytes are a group of 32 values, their high nibbles the next.
import { FILE_Q4_K_BYTES, FILE_Q4_K_VALUES } from "../../layout/file_types.gen";
import { finite_f16 } from "../../simd/f16";
import { bits_at, put16 } from "../values";
import { k_offset, k_scale } from "./k_scales";

/** out[i] = value first + i of a row, i in [0, n), first and n % 32 == 0; NaN for blocks with a factor that is not finite. */
export function decode_q4_k(src: usize, first: i32, n: i32, out: usize): void {
  const end = out + ((<usize>n) << 2);
  for (; out < end; out += 128, first += 32) {
    const block = src + <usize>(first / FILE_Q4_K_VALUES) * FILE_Q4_K_BYTES;
    const g = (first >> 5) & 7;
    const d = finite_f16(block) * k_scale(block + 4, g);
    const m = -(finite_f16(block + 2) * k_offset(block + 4, g));
    const q = block + 16 + ((<usize>(g >> 1)) << 5);
    const shift = (g & 1) << 2;
    put16(bits_at(v128.load(q), shift, 15), d, m, out);
    put16(bits_at(v128.load(q, 16), shift, 15), d, m, out + 64);
  }
}
