// IQ3_S: blocks of 256 with an f16 factor, the low bytes of 64 indexes of grid points, their upper bits, 32 bytes of signs, and
// scales of 4 bits for 32 values each.
import { FILE_IQ3_S_BYTES, FILE_IQ3_S_VALUES } from "../../layout/file_types.gen";
import { finite_f16 } from "../../simd/f16";
import { nibble, put16, with_signs } from "../values";
import { four_points } from "./points";

/** out[i] = value first + i of a row, i in [0, n), first and n % 32 == 0; NaN for blocks whose scale is not finite. */
export function decode_iq3_s(src: usize, grid: usize, first: i32, n: i32, out: usize): void {
  const end = out + ((<usize>n) << 2);
  for (; out < end; out += 128, first += 32) {
    const block = src + <usize>(first / FILE_IQ3_S_VALUES) * FILE_IQ3_S_BYTES;
    const g = (first >> 5) & 7;
    const d = finite_f16(block) * <f32>((nibble(block + 106, g) << 1) + 1);
    const at = block + 2 + ((<usize>g) << 3);
    const high = <i32>load<u8>(block + 66 + <usize>g);
    const signs = block + 74 + ((<usize>g) << 2);
    put16(with_signs(four_points(grid, at, high), load<u16>(signs)), d, -0, out);
    put16(with_signs(four_points(grid, at + 4, high >> 4), load<u16>(signs, 2)), d, -0, out + 64);
  }
}
