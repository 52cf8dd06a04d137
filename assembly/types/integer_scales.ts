// Types whose values are a unit times an integer scale times a number of a book: what they are made of.
import {
  FILE_IQ1_M,
  FILE_IQ1_S,
  FILE_IQ2_S,
  FILE_IQ2_XS,
  FILE_IQ2_XXS,
  FILE_IQ3_S,
  FILE_IQ3_XXS,
  FILE_IQ4_XS,
  FILE_Q3_K,
} from "../layout/file_types.gen";
import { finite_f16, finite_half } from "../simd/f16";
import { nibble } from "./values";

/** The unit of a block of 256; NaN if its factor is not finite. */
export function unit_of(file: i32, block: usize): f32 {
  switch (file) {
    case FILE_Q3_K:
      return finite_f16(block + 108);
    case FILE_IQ3_XXS:
      return finite_f16(block) * 0.25;
    case FILE_IQ1_M: {
      const s = block + 48;
      const low = (load<u16>(s) >> 12) | ((load<u16>(s, 2) >> 8) & 0xf0);
      return finite_half(low | ((load<u16>(s, 4) >> 4) & 0xf00) | (load<u16>(s, 6) & 0xf000)) * 0.125;
    }
    case FILE_IQ2_XXS:
    case FILE_IQ2_XS:
    case FILE_IQ2_S:
    case FILE_IQ1_S:
      return finite_f16(block) * 0.125;
    default:
      return finite_f16(block);
  }
}

/** The integer scale of 16 values: half 0 or 1 of the 32 of group b. */
export function integer_scale(file: i32, block: usize, b: i32, half: i32): i32 {
  const j = (b << 1) + half;
  switch (file) {
    case FILE_Q3_K: {
      const low = (<i32>load<u8>(block + 96 + <usize>(j & 7)) >> ((j >> 3) << 2)) & 15;
      return (low | (((<i32>load<u8>(block + 104 + <usize>(j & 3)) >> ((j >> 2) << 1)) & 3) << 4)) - 32;
    }
    case FILE_IQ4_XS: {
      const high = (<i32>load<u16>(block, 2) >> (b << 1)) & 3;
      return (nibble(block + 4, b) | (high << 4)) - 32;
    }
    case FILE_IQ3_S:
      return 1 + 2 * nibble(block + 106, b);
    case FILE_IQ3_XXS:
      return 1 + 2 * <i32>(load<u32>(block + 66 + ((<usize>b) << 2)) >> 28);
    case FILE_IQ2_XXS:
      return 1 + 2 * <i32>(load<u32>(block + 6 + ((<usize>b) << 3)) >> 28);
    case FILE_IQ2_XS:
      return 1 + 2 * nibble(block + 66, j);
    case FILE_IQ2_S:
      return 1 + 2 * nibble(block + 74, j);
    case FILE_IQ1_S:
      return 1 + 2 * ((<i32>load<u16>(block + 34 + ((<usize>b) << 1)) >> 12) & 7);
    case FILE_IQ1_M: {
      const bits = <i32>load<u16>(block + 48 + ((<usize>(b >> 1)) << 1));
      return 1 + 2 * ((bits >> (6 * (b & 1) + 3 * half)) & 7);
    }
    default:
      return 0;
  }
}
