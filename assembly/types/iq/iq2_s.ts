// IQ2_S: blocks of 256 with an f16 factor, the low bytes of 32 indexes of grid points, their 32 bytes of signs, the upper 2 bits
// of the indexes, and scales of 4 bits for 16 values each.
import { FILE_IQ2_S_BYTES, FILE_IQ2_S_VALUES } from "../../layout/file_types.gen";
import { finite_f16 } from "../../simd/f16";
import { nibble, put16, with_signs } from "../values";
import { two_points } from "./points";

/** out[i] = value first + i of a row, i in [0, n), first and n % 32 == 0; NaN for blocks whose scale is not finite. */
export function decode_iq2_s(src: usize, grid: usize, first: i32, n: i32, out: usize): void {
  const end = out + ((<usize>n) << 2);
  for (; out < end; out += 128, first += 32) {
    const block = src + <usize>(first / FILE_IQ2_S_VALUES) * FILE_IQ2_S_BYTES;
    const g = (first >> 5) & 7;
    const d = finite_f16(block);
    for (let i = 0; i < 2; i++) {
      const j = (g << 1) + i;
      const at = block + 2 + ((<usize>j) << 1);
      const high = <i32>load<u8>(block + 66 + <usize>g) >> (i << 2);
      const q = two_points(grid, load<u8>(at) | ((high & 3) << 8), load<u8>(at, 1) | ((high & 12) << 6));
      const scale = d * (<f32>0.5 + <f32>nibble(block + 74, j)) * 0.25;
      put16(with_signs(q, load<u16>(at, 32)), scale, -0, out + ((<usize>i) << 6));
    }
  }
}
