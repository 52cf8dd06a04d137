// NVFP4: blocks of 64 with a scale for 16 values each (4 exponent and 3 mantissa bits; 0 and 127 stand for 0), and for each
// 8 bytes of nibbles, low ones first, which are floats of 4 bits.
import { FILE_NVFP4_BYTES, FILE_NVFP4_VALUES } from "../layout/file_types.gen";
import { fp4_doubled } from "./fp4";
import { bits_at, put16 } from "./values";

/** out[i] = value first + i of a row, i in [0, n), first and n % 32 == 0. */
export function decode_nvfp4(src: usize, first: i32, n: i32, out: usize): void {
  const values = fp4_doubled();
  const end = out + ((<usize>n) << 2);
  for (; out < end; out += 128, first += 32) {
    const block = src + <usize>(first / FILE_NVFP4_VALUES) * FILE_NVFP4_BYTES;
    const g = (first >> 5) & 1;
    for (let i: usize = 0; i < 2; i++) {
      const j = ((<usize>g) << 1) + i;
      const q = v128.load64_zero(block + (j << 3), 4);
      const both = v128.shuffle<u64>(bits_at(q, 0, 15), bits_at(q, 4, 15), 0, 2);
      put16(i8x16.swizzle(values, both), half_of_scale(load<u8>(block + j)), -0, out + (i << 6));
    }
  }
}

// The half of a scale: 2^(e - 7) * (1 + m / 8), and m * 2^-9 if e is 0. Bit 7 is not used.
function half_of_scale(bits: u32): f32 {
  if (bits === 127) return 0;
  const e = (bits >> 3) & 15;
  const m = <f32>(bits & 7);
  return e ? reinterpret<f32>((e + 119) << 23) * (1 + m * 0.125) : m * <f32>(1 / 1024.0);
}
