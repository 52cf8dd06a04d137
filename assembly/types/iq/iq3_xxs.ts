// IQ3_XXS: blocks of 256 with an f16 factor, 64 indexes of grid points, and a word for each 32 values: four times 7 bits of
// signs, and a scale of 4 bits.
import { FILE_IQ3_XXS_BYTES, FILE_IQ3_XXS_VALUES } from "../../layout/file_types.gen";
import { finite_f16 } from "../../simd/f16";
import { put16, with_signs } from "../values";
import { four_points, sixteen_signs } from "./points";

/** out[i] = value first + i of a row, i in [0, n), first and n % 32 == 0; NaN for blocks whose scale is not finite. */
export function decode_iq3_xxs(src: usize, grid: usize, first: i32, n: i32, out: usize): void {
  const end = out + ((<usize>n) << 2);
  for (; out < end; out += 128, first += 32) {
    const block = src + <usize>(first / FILE_IQ3_XXS_VALUES) * FILE_IQ3_XXS_BYTES;
    const g = (first >> 5) & 7;
    const word = load<u32>(block + 66 + ((<usize>g) << 2));
    const d = finite_f16(block) * (<f32>0.5 + <f32>(word >> 28)) * 0.5;
    const at = block + 2 + ((<usize>g) << 3);
    put16(with_signs(four_points(grid, at, 0), sixteen_signs(word, 0)), d, -0, out);
    put16(with_signs(four_points(grid, at + 4, 0), sixteen_signs(word, 14)), d, -0, out + 64);
  }
}
