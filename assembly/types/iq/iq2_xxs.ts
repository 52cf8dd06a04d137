// IQ2_XXS: blocks of 256 with an f16 factor, and for each 32 values four indexes of grid points and a word: four times 7 bits of
// signs, and a scale of 4 bits.
import { FILE_IQ2_XXS_BYTES, FILE_IQ2_XXS_VALUES } from "../../layout/file_types.gen";
import { finite_f16 } from "../../simd/f16";
import { put16, with_signs } from "../values";
import { sixteen_signs, two_points } from "./points";

/** out[i] = value first + i of a row, i in [0, n), first and n % 32 == 0; NaN for blocks whose scale is not finite. */
export function decode_iq2_xxs(src: usize, grid: usize, first: i32, n: i32, out: usize): void {
  const end = out + ((<usize>n) << 2);
  for (; out < end; out += 128, first += 32) {
    const block = src + <usize>(first / FILE_IQ2_XXS_VALUES) * FILE_IQ2_XXS_BYTES;
    const g = (first >> 5) & 7;
    const at = block + 2 + ((<usize>g) << 3);
    const word = load<u32>(at, 4);
    const d = finite_f16(block) * (<f32>0.5 + <f32>(word >> 28)) * 0.25;
    const q0 = two_points(grid, load<u8>(at), load<u8>(at, 1));
    const q1 = two_points(grid, load<u8>(at, 2), load<u8>(at, 3));
    put16(with_signs(q0, sixteen_signs(word, 0)), d, -0, out);
    put16(with_signs(q1, sixteen_signs(word, 14)), d, -0, out + 64);
  }
}
