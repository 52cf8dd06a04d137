// IQ2_XS: blocks of 256 with an f16 factor, a word for each 8 values (9 bits are the index of a grid point, 7 its signs), and
// scales of 4 bits for 16 values each.
import { FILE_IQ2_XS_BYTES, FILE_IQ2_XS_VALUES } from "../../layout/file_types.gen";
import { finite_f16 } from "../../simd/f16";
import { nibble, put16, with_signs } from "../values";
import { eight_signs, two_points } from "./points";

/** out[i] = value first + i of a row, i in [0, n), first and n % 32 == 0; NaN for blocks whose scale is not finite. */
export function decode_iq2_xs(src: usize, grid: usize, first: i32, n: i32, out: usize): void {
  const end = out + ((<usize>n) << 2);
  for (; out < end; out += 128, first += 32) {
    const block = src + <usize>(first / FILE_IQ2_XS_VALUES) * FILE_IQ2_XS_BYTES;
    const g = (first >> 5) & 7;
    const d = finite_f16(block);
    for (let i = 0; i < 2; i++) {
      const j = (g << 1) + i;
      const at = block + 2 + ((<usize>j) << 2);
      const a = <i32>load<u16>(at);
      const b = <i32>load<u16>(at, 2);
      const signs = eight_signs(a >> 9) | (eight_signs(b >> 9) << 8);
      const scale = d * (<f32>0.5 + <f32>nibble(block + 66, j)) * 0.25;
      put16(with_signs(two_points(grid, a & 511, b & 511), signs), scale, -0, out + ((<usize>i) << 6));
    }
  }
}
