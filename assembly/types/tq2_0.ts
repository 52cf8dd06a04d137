// TQ2_0: blocks of 256 with 64 bytes of 2 bits and an f16 scale; n stands for n - 1. Bits 2p of 32 bytes are the values 32p to
// 32p + 31 of a half block.
import { FILE_TQ2_0_BYTES, FILE_TQ2_0_VALUES } from "../layout/file_types.gen";
import { finite_f16 } from "../simd/f16";
import { bits_at, put16 } from "./values";

/** out[i] = value first + i of a row, i in [0, n), first and n % 32 == 0; NaN for blocks whose scale is not finite. */
export function decode_tq2_0(src: usize, first: i32, n: i32, out: usize): void {
  const one = i8x16.splat(1);
  const end = out + ((<usize>n) << 2);
  for (; out < end; out += 128, first += 32) {
    const block = src + <usize>(first / FILE_TQ2_0_VALUES) * FILE_TQ2_0_BYTES;
    const d = finite_f16(block + 64);
    const q = block + (<usize>(first & 128) >> 2);
    const shift = (first & 96) >> 4;
    put16(i8x16.sub(bits_at(v128.load(q), shift, 3), one), d, -0, out);
    put16(i8x16.sub(bits_at(v128.load(q, 16), shift, 3), one), d, -0, out + 64);
  }
}
