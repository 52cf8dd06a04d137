// IQ1_S: blocks of 256 with an f16 factor, the low bytes of 32 indexes of grid points, and a word for each 32 values: four times
// the upper 3 bits of an index, a scale of 3 bits, and the sign of the eighth that is added to all values.
import { FILE_IQ1_S_BYTES, FILE_IQ1_S_VALUES } from "../../layout/file_types.gen";
import { finite_f16 } from "../../simd/f16";
import { put16 } from "../values";
import { two_points } from "./points";

/** out[i] = value first + i of a row, i in [0, n), first and n % 32 == 0; NaN for blocks whose scale is not finite. */
export function decode_iq1_s(src: usize, grid: usize, first: i32, n: i32, out: usize): void {
  const end = out + ((<usize>n) << 2);
  for (; out < end; out += 128, first += 32) {
    const block = src + <usize>(first / FILE_IQ1_S_VALUES) * FILE_IQ1_S_BYTES;
    const g = (first >> 5) & 7;
    const word = <i32>load<u16>(block + 34 + ((<usize>g) << 1));
    // Points are in memory times 8: the eighth is then 1.
    const d = finite_f16(block) * <f32>(((word >> 11) & 14) + 1) * 0.125;
    const eighth = i8x16.splat(word & 0x8000 ? -1 : 1);
    const at = block + 2 + ((<usize>g) << 2);
    const q0 = two_points(grid, load<u8>(at) | ((word & 7) << 8), load<u8>(at, 1) | ((word & 0x38) << 5));
    const q1 = two_points(
      grid,
      load<u8>(at, 2) | ((word & 0x1c0) << 2),
      load<u8>(at, 3) | ((word & 0xe00) >> 1),
    );
    put16(i8x16.add(q0, eighth), d, -0, out);
    put16(i8x16.add(q1, eighth), d, -0, out + 64);
  }
}
