// Q5_1: blocks of an f16 scale, an f16 offset, the fifth bits of 32 values and 16 bytes of nibbles as in Q4_0.
import { FILE_Q5_1_BYTES, FILE_Q5_1_VALUES } from "../layout/file_types.gen";
import { finite_f16 } from "../simd/f16";
import { bit_mask, bits_at, put16 } from "./values";

/** out[i] = value first + i of a row, i in [0, n), first and n % 32 == 0; NaN for blocks with a scale or an offset that is not finite. */
export function decode_q5_1(src: usize, first: i32, n: i32, out: usize): void {
  const end = out + ((<usize>n) << 2);
  for (; out < end; out += 128, first += 32) {
    const block = src + <usize>(first / FILE_Q5_1_VALUES) * FILE_Q5_1_BYTES;
    const d = finite_f16(block);
    const m = finite_f16(block + 2);
    const q = v128.load(block, 8);
    put16(fifth(bits_at(q, 0, 15), load<u16>(block, 4)), d, m, out);
    put16(fifth(bits_at(q, 4, 15), load<u16>(block, 6)), d, m, out + 64);
  }
}

// Nibbles with a fifth bit each.
function fifth(nibbles: v128, bits: i32): v128 {
  return v128.or(nibbles, v128.and(i8x16.splat(16), bit_mask(bits)));
}
