// MXFP4: blocks of the exponent of a power of two (one byte, 127 stands for 2^0) and 16 bytes of nibbles as in Q4_0, which are
// floats of 4 bits.
import { FILE_MXFP4_BYTES, FILE_MXFP4_VALUES } from "../layout/file_types.gen";
import { fp4_doubled } from "./fp4";
import { bits_at, put16 } from "./values";

/** out[i] = value first + i of a row, i in [0, n), first and n % 32 == 0; NaN for blocks whose exponent is 255. */
export function decode_mxfp4(src: usize, first: i32, n: i32, out: usize): void {
  const values = fp4_doubled();
  const end = out + ((<usize>n) << 2);
  for (; out < end; out += 128, first += 32) {
    const block = src + <usize>(first / FILE_MXFP4_VALUES) * FILE_MXFP4_BYTES;
    const q = v128.load(block, 1);
    const d = half_of_power(load<u8>(block));
    put16(i8x16.swizzle(values, bits_at(q, 0, 15)), d, -0, out);
    put16(i8x16.swizzle(values, bits_at(q, 4, 15)), d, -0, out + 64);
  }
}

// 2^(e - 128), the half of 2^(e - 127); 255 is the format's NaN.
function half_of_power(e: u32): f32 {
  if (e === 255) return NaN;
  return reinterpret<f32>(e < 2 ? 0x00200000 << e : (e - 1) << 23);
}
