// Q6_K: blocks of 256 with 128 bytes of low nibbles (64 low ones of 64 bytes, then their high ones), 64 bytes of upper 2 bits
// as in Q2_K, 16 int8 scales for 16 values each, and their f16 factor. A value n stands for n - 32.
import { FILE_Q6_K_BYTES, FILE_Q6_K_VALUES } from "../../layout/file_types.gen";
import { finite_f16 } from "../../simd/f16";
import { bits_at, put16 } from "../values";

/** out[i] = value first + i of a row, i in [0, n), first and n % 32 == 0; NaN for blocks whose scale is not finite. */
export function decode_q6_k(src: usize, first: i32, n: i32, out: usize): void {
  const end = out + ((<usize>n) << 2);
  for (; out < end; out += 128, first += 32) {
    const block = src + <usize>(first / FILE_Q6_K_VALUES) * FILE_Q6_K_BYTES;
    const g = (first >> 5) & 7;
    const d = finite_f16(block + 208);
    const half = <usize>(g >> 2);
    const low = block + (half << 6) + ((<usize>(g & 1)) << 5);
    const high = block + 128 + (half << 5);
    const nibbles = (g & 2) << 1;
    const twos = (g & 3) << 1;
    const s = block + 192 + ((<usize>g) << 1);
    const q0 = joined(v128.load(low), nibbles, v128.load(high), twos);
    const q1 = joined(v128.load(low, 16), nibbles, v128.load(high, 16), twos);
    put16(q0, d * <f32>load<i8>(s), -0, out);
    put16(q1, d * <f32>load<i8>(s, 1), -0, out + 64);
  }
}

// Nibbles and two upper bits, minus 32.
function joined(low: v128, nibbles: i32, high: v128, twos: i32): v128 {
  const upper = i16x8.shl(bits_at(high, twos, 3), 4);
  return i8x16.sub(v128.or(bits_at(low, nibbles, 15), upper), i8x16.splat(32));
}
