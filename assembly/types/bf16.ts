// BF16: the upper half of an f32.

/** out[i] = value first + i of a row, i in [0, n). */
export function decode_bf16(src: usize, first: i32, n: i32, out: usize): void {
  src += (<usize>first) << 1;
  const end = out + ((<usize>n) << 2);
  for (; out + 16 <= end; out += 16, src += 8) v128.store(out, i32x4.shl(v128.load16x4_u(src), 16));
  for (; out < end; out += 4, src += 2) store<u32>(out, (<u32>load<u16>(src)) << 16);
}
