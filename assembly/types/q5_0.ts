// Q5_0: blocks of an f16 scale, the fifth bits of 32 values and 16 bytes of nibbles as in Q4_0; n stands for n - 16.
import { FILE_Q5_0_BYTES, FILE_Q5_0_VALUES } from "../layout/file_types.gen";
import { finite_f16 } from "../simd/f16";
import { bit_mask, bits_at, put16 } from "./values";

/** out[i] = value first + i of a row, i in [0, n), first and n % 32 == 0; NaN for blocks whose scale is not finite. */
export function decode_q5_0(src: usize, first: i32, n: i32, out: usize): void {
  const end = out + ((<usize>n) << 2);
  for (; out < end; out += 128, first += 32) {
    const block = src + <usize>(first / FILE_Q5_0_VALUES) * FILE_Q5_0_BYTES;
    const d = finite_f16(block);
    const q = v128.load(block, 6);
    put16(fifth(bits_at(q, 0, 15), load<u16>(block, 2)), d, -0, out);
    put16(fifth(bits_at(q, 4, 15), load<u16>(block, 4)), d, -0, out + 64);
  }
}

// Nibbles with a fifth bit each, minus 16: if the bit is not set, the upper bits of n - 16 all are.
function fifth(nibbles: v128, bits: i32): v128 {
  return v128.or(nibbles, v128.andnot(i8x16.splat(-16), bit_mask(bits)));
}
