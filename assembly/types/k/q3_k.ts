// Q3_K: blocks of 256 with 32 bytes of third bits (bit g belongs to values 32g to 32g + 31), 64 bytes of 2 bits as in Q2_K,
// 16 scales of 6 bits for 16 values each, and their f16 factor. A value n stands for n - 4, a scale s for s - 32.
import { FILE_Q3_K_BYTES, FILE_Q3_K_VALUES } from "../../layout/file_types.gen";
import { finite_f16 } from "../../simd/f16";
import { bits_at, put16 } from "../values";

/** out[i] = value first + i of a row, i in [0, n), first and n % 32 == 0; NaN for blocks whose scale is not finite. */
export function decode_q3_k(src: usize, first: i32, n: i32, out: usize): void {
  const end = out + ((<usize>n) << 2);
  for (; out < end; out += 128, first += 32) {
    const block = src + <usize>(first / FILE_Q3_K_VALUES) * FILE_Q3_K_BYTES;
    const g = (first >> 5) & 7;
    const d = finite_f16(block + 108);
    const q = block + 32 + ((<usize>(g >> 2)) << 5);
    const shift = (g & 3) << 1;
    put16(third(v128.load(block), g, bits_at(v128.load(q), shift, 3)), d * scale(block, g << 1), -0, out);
    const high = third(v128.load(block, 16), g, bits_at(v128.load(q, 16), shift, 3));
    put16(high, d * scale(block, (g << 1) + 1), -0, out + 64);
  }
}

// Two bits and a third one, bit g of 16 bytes, minus 4.
function third(bytes: v128, g: i32, two: v128): v128 {
  return i8x16.sub(v128.or(two, i16x8.shl(bits_at(bytes, g, 1), 2)), i8x16.splat(4));
}

// Scale j: its low nibbles lie in 8 bytes, first the low ones; its upper two bits in 4 bytes, first the lowest.
function scale(block: usize, j: i32): f32 {
  const low = (<i32>load<u8>(block + 96 + <usize>(j & 7)) >> ((j >> 3) << 2)) & 15;
  const high = (<i32>load<u8>(block + 104 + <usize>(j & 3)) >> ((j >> 2) << 1)) & 3;
  return <f32>((low | (high << 4)) - 32);
}
