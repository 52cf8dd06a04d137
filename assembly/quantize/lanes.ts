// Four groups of values side by side: lane k of a vector belongs to group k. So every group's sums are added up in the order
// of its own values, as one at a time would be, and four are done at once.

/** What nearest_int() of ggml adds: the lowest mantissa bit of the sum then counts ones. */
const MAGIC: f32 = 12582912;

/**
 * out[i] = value i of the four groups at x, x + step, x + 2 * step and x + 3 * step, i in [0, n), n % 4 == 0
 * x f32, out f32x4 [n], step in bytes
 */
export function transpose(x: usize, step: usize, n: i32, out: usize): void {
  transpose4(x, x + step, x + 2 * step, x + 3 * step, n, out);
}

/** As transpose(), of groups anywhere. */
export function transpose4(a: usize, b: usize, c: usize, d: usize, n: i32, out: usize): void {
  for (const end = a + ((<usize>n) << 2); a < end; a += 16, b += 16, c += 16, d += 16, out += 64) {
    const va = v128.load(a);
    const vb = v128.load(b);
    const vc = v128.load(c);
    const vd = v128.load(d);
    const ab = v128.shuffle<f32>(va, vb, 0, 4, 1, 5);
    const cd = v128.shuffle<f32>(vc, vd, 0, 4, 1, 5);
    const ab2 = v128.shuffle<f32>(va, vb, 2, 6, 3, 7);
    const cd2 = v128.shuffle<f32>(vc, vd, 2, 6, 3, 7);
    v128.store(out, v128.shuffle<i64>(ab, cd, 0, 2));
    v128.store(out, v128.shuffle<i64>(ab, cd, 1, 3), 16);
    v128.store(out, v128.shuffle<i64>(ab2, cd2, 0, 2), 32);
    v128.store(out, v128.shuffle<i64>(ab2, cd2, 1, 3), 48);
  }
}

/** The nearest integers, ties to even, with ggml's results also for what is too large to have one. */
export function nearest(v: v128): v128 {
  const bits = v128.and(f32x4.add(v, f32x4.splat(MAGIC)), i32x4.splat(0x7fffff));
  return i32x4.sub(bits, i32x4.splat(0x400000));
}

/** As nearest(), of one value. */
export function nearest_int(v: f32): i32 {
  return <i32>(reinterpret<u32>(v + MAGIC) & 0x7fffff) - 0x400000;
}

/** Integers clamped to [low, high]. */
export function clamped(v: v128, low: i32, high: i32): v128 {
  return i32x4.min_s(i32x4.max_s(v, i32x4.splat(low)), i32x4.splat(high));
}

/** Four vectors of integers in [-128, 127] as bytes. */
export function bytes_of(a: v128, b: v128, c: v128, d: v128): v128 {
  return i8x16.narrow_i16x8_s(i16x8.narrow_i32x4_s(a, b), i16x8.narrow_i32x4_s(c, d));
}
