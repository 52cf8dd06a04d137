// Q2_K: blocks of 256 with 16 bytes of scales (low nibble) and offsets (high nibble) for 16 values each, 64 bytes of 2 bits,
// and the f16 factors of both. Bits 2p of 32 bytes are the values 32p to 32p + 31 of a half block.
import { FILE_Q2_K_BYTES, FILE_Q2_K_VALUES } from "../../layout/file_types.gen";
import { finite_f16 } from "../../simd/f16";
import { bits_at, put16 } from "../values";

/** out[i] = value first + i of a row, i in [0, n), first and n % 32 == 0; NaN for blocks with a factor that is not finite. */
export function decode_q2_k(src: usize, first: i32, n: i32, out: usize): void {
  const end = out + ((<usize>n) << 2);
  for (; out < end; out += 128, first += 32) {
    const block = src + <usize>(first / FILE_Q2_K_VALUES) * FILE_Q2_K_BYTES;
    const g = (first >> 5) & 7;
    const d = finite_f16(block + 80);
    const m = finite_f16(block + 82);
    const s = block + ((<usize>g) << 1);
    const q = block + 16 + ((<usize>(g >> 2)) << 5);
    const shift = (g & 3) << 1;
    const s0 = <i32>load<u8>(s);
    const s1 = <i32>load<u8>(s, 1);
    put16(bits_at(v128.load(q), shift, 3), d * <f32>(s0 & 15), -(m * <f32>(s0 >> 4)), out);
    put16(bits_at(v128.load(q, 16), shift, 3), d * <f32>(s1 & 15), -(m * <f32>(s1 >> 4)), out + 64);
  }
}
