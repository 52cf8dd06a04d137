// F32: values as they are.

/** out[i] = value first + i of a row, i in [0, n). */
export function decode_f32(src: usize, first: i32, n: i32, out: usize): void {
  memory.copy(out, src + ((<usize>first) << 2), (<usize>n) << 2);
}
