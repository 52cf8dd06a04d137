// IQ4_XS: blocks of 256 with an f16 factor, the upper 2 bits and the lower 4 of eight scales, and for each 32 values 16 bytes of
// nibbles as in IQ4_NL. A scale s stands for s - 32.
import { FILE_IQ4_XS_BYTES, FILE_IQ4_XS_VALUES } from "../../layout/file_types.gen";
import { finite_f16 } from "../../simd/f16";
import { bits_at, nibble, put16 } from "../values";
import { iq4_values } from "./iq4_values";

/** out[i] = value first + i of a row, i in [0, n), first and n % 32 == 0; NaN for blocks whose scale is not finite. */
export function decode_iq4_xs(src: usize, first: i32, n: i32, out: usize): void {
  const values = iq4_values();
  const end = out + ((<usize>n) << 2);
  for (; out < end; out += 128, first += 32) {
    const block = src + <usize>(first / FILE_IQ4_XS_VALUES) * FILE_IQ4_XS_BYTES;
    const g = (first >> 5) & 7;
    const high = (<i32>load<u16>(block, 2) >> (g << 1)) & 3;
    const d = finite_f16(block) * <f32>((nibble(block + 4, g) | (high << 4)) - 32);
    const q = v128.load(block + ((<usize>g) << 4), 8);
    put16(i8x16.swizzle(values, bits_at(q, 0, 15)), d, -0, out);
    put16(i8x16.swizzle(values, bits_at(q, 4, 15)), d, -0, out + 64);
  }
}
