// Q5_K: blocks of 256 with two f16 factors, 12 bytes of 6-bit scales and offsets for 32 values each, 32 bytes of
// fifth bits (bit g belongs to values 32g to 32g + 31), and 128 bytes of nibbles as in Q4_K.
import { FILE_Q5_K_BYTES, FILE_Q5_K_VALUES } from "../../layout/file_types.gen";
import { finite_f16 } from "../../simd/f16";
import { bits_at, put16 } from "../values";
import { k_offset, k_scale } from "./k_scales";

/** out[i] = value first + i of a row, i in [0, n), first and n % 32 == 0; NaN for blocks with a factor that is not finite. */
export function decode_q5_k(src: usize, first: i32, n: i32, out: usize): void {
  const end = out + ((<usize>n) << 2);
  for (; out < end; out += 128, first += 32) {
    const block = src + <usize>(first / FILE_Q5_K_VALUES) * FILE_Q5_K_BYTES;
    const g = (first >> 5) & 7;
    const d = finite_f16(block) * k_scale(block + 4, g);
    const m = -(finite_f16(block + 2) * k_offset(block + 4, g));
    const q = block + 48 + ((<usize>(g >> 1)) << 5);
    const shift = (g & 1) << 2;
    const high0 = i16x8.shl(bits_at(v128.load(block, 16), g, 1), 4);
    const high1 = i16x8.shl(bits_at(v128.load(block, 32), g, 1), 4);
    put16(v128.or(bits_at(v128.load(q), shift, 15), high0), d, m, out);
    put16(v128.or(bits_at(v128.load(q, 16), shift, 15), high1), d, m, out + 64);
  }
}
