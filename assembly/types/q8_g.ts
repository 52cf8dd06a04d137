// Q8_G: int8 of llama2.c, version 2. Each group of values has an f32 scale, stored apart.

/** out[i] = value first + i of a row, i in [0, n). Groups of `group` values are counted from src. */
export function decode_q8_g(src: usize, scales: usize, group: i32, first: i32, n: i32, out: usize): void {
  for (let i = first; i < first + n; i++, out += 4) {
    store<f32>(out, load<f32>(scales + ((<usize>(i / group)) << 2)) * <f32>load<i8>(src + <usize>i));
  }
}
