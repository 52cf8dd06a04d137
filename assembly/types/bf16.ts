// BF16: the upper half of an f32.

/** out[i] = value first + i of a row, i in [0, n). */
export function decode_bf16(src: usize, first: i32, n: i32, out: usize): void {
  src += (<usize>first) << 1;
  for (let i: usize = 0; i < <usize>n; i++) {
    store<u32>(out + (i << 2), (<u32>load<u16>(src + (i << 1))) << 16);
  }
}
