// IQ1_M: blocks of 256 with the low bytes of 32 indexes of grid points, a nibble for each (the upper 3 bits, and the sign of the
// eighth that is added to its values), and four words: four times 3 bits of scales for 16 values each, and 4 bits of an f16 factor.
import { FILE_IQ1_M_BYTES, FILE_IQ1_M_VALUES } from "../../layout/file_types.gen";
import { finite_half } from "../../simd/f16";
import { nibble, put16, with_signs } from "../values";
import { two_points } from "./points";

/** out[i] = value first + i of a row, i in [0, n), first and n % 32 == 0; NaN for blocks whose scale is not finite. */
export function decode_iq1_m(src: usize, grid: usize, first: i32, n: i32, out: usize): void {
  const end = out + ((<usize>n) << 2);
  for (; out < end; out += 128, first += 32) {
    const block = src + <usize>(first / FILE_IQ1_M_VALUES) * FILE_IQ1_M_BYTES;
    const g = (first >> 5) & 7;
    // The factor's lowest bits are in the first word.
    const words = load<u64>(block, 48);
    const low = ((words >> 12) & 15) | ((words >> 24) & 0xf0);
    const d = finite_half(<u32>(low | ((words >> 36) & 0xf00) | ((words >> 48) & 0xf000)));
    for (let i = 0; i < 2; i++) {
      const j = (g << 1) + i;
      const at = block + ((<usize>j) << 1);
      const scale = <i32>(load<u16>(block + 48 + ((<usize>(j >> 2)) << 1)) >> <u16>(3 * (j & 3))) & 7;
      const a = nibble(block + 32, j << 1);
      const b = nibble(block + 32, (j << 1) + 1);
      const q = two_points(grid, load<u8>(at) | ((a & 7) << 8), load<u8>(at, 1) | ((b & 7) << 8));
      // Points are in memory times 8: the eighth is then 1.
      const eighths = with_signs(i8x16.splat(1), (a & 8 ? 0xff : 0) | (b & 8 ? 0xff00 : 0));
      put16(i8x16.add(q, eighths), d * <f32>((scale << 1) + 1) * 0.125, -0, out + ((<usize>i) << 6));
    }
  }
}
