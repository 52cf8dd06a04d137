// IQ4_NL: blocks of an f16 scale and 16 bytes of nibbles as in Q4_0, which are indexes of 16 values.
import { FILE_IQ4_NL_BYTES, FILE_IQ4_NL_VALUES } from "../../layout/file_types.gen";
import { finite_f16 } from "../../simd/f16";
import { bits_at, put16 } from "../values";
import { iq4_values } from "./iq4_values";

/** out[i] = value first + i of a row, i in [0, n), first and n % 32 == 0; NaN for blocks whose scale is not finite. */
export function decode_iq4_nl(src: usize, first: i32, n: i32, out: usize): void {
  const values = iq4_values();
  const end = out + ((<usize>n) << 2);
  for (; out < end; out += 128, first += 32) {
    const block = src + <usize>(first / FILE_IQ4_NL_VALUES) * FILE_IQ4_NL_BYTES;
    const d = finite_f16(block);
    const q = v128.load(block, 2);
    put16(i8x16.swizzle(values, bits_at(q, 0, 15)), d, -0, out);
    put16(i8x16.swizzle(values, bits_at(q, 4, 15)), d, -0, out + 64);
  }
}
