import { ACT_BLOCK_BYTES, ACT_SCALE, ACT_SUMS, BLOCK_COLS } from "./layout/blocks";
import { ACT_OFFSET } from "./simd/dot";

// Below this a block is all zeros: its scale's reciprocal would overflow.
const SMALLEST: f32 = 1e-30;

function abs_max4(ptr: usize): v128 {
  return f32x4.max(f32x4.abs(v128.load(ptr)), f32x4.abs(v128.load(ptr, 16)));
}

function abs_max(ptr: usize): f32 {
  const m = f32x4.max(
    f32x4.max(abs_max4(ptr), abs_max4(ptr + 32)),
    f32x4.max(abs_max4(ptr + 64), abs_max4(ptr + 96)),
  );
  const n = f32x4.max(m, v128.shuffle<i32>(m, m, 2, 3, 0, 1));
  return max(f32x4.extract_lane(n, 0), f32x4.extract_lane(n, 1));
}

function round4(ptr: usize, inverse: v128): v128 {
  return i32x4.trunc_sat_f32x4_s(f32x4.nearest(f32x4.mul(v128.load(ptr), inverse)));
}

function round16(ptr: usize, inverse: v128): v128 {
  const a = i16x8.narrow_i32x4_s(round4(ptr, inverse), round4(ptr + 16, inverse));
  const b = i16x8.narrow_i32x4_s(round4(ptr + 32, inverse), round4(ptr + 48, inverse));
  return i8x16.narrow_i16x8_s(a, b);
}

/**
 * out[b] = block b of x as int8, scale = max|x| / 63            for q8 weights
 * x    f32 [n]
 * out  n / 32 blocks of ACT_BLOCK_BYTES: 32 int8 (plus ACT_OFFSET in relaxed builds), f32 scale, two i16 0
 * Units: n elements; n % 32 == 0
 * Align: 4 B                    Reads past the end: none
 * Numerics: round to nearest, ties to even; a block whose maximum is under 1e-30 becomes zeros
 */
export function quantize_q8w(x: usize, out: usize, n: i32): void {
  for (let i = 0; i < n; i += BLOCK_COLS) {
    const m = abs_max(x);
    const live = m >= SMALLEST;
    const inverse = f32x4.splat(live ? <f32>63 / m : 0);
    v128.store(out, i8x16.add(round16(x, inverse), i8x16.splat(<i8>ACT_OFFSET)));
    v128.store(out, i8x16.add(round16(x + 64, inverse), i8x16.splat(<i8>ACT_OFFSET)), 16);
    // NaN and infinity reach the scale, so that they reach the result.
    store<f32>(out, live ? m / 63 : m < SMALLEST ? 0 : m, ACT_SCALE);
    store<i32>(out, 0, ACT_SUMS);
    x += 4 * BLOCK_COLS;
    out += ACT_BLOCK_BYTES;
  }
}

/**
 * out[b] = block b of x as int8, scale = max|x| / 127           for q4 weights
 * As quantize_q8w, without offset; the two i16 are -8 * sum(int8) of columns 4v, 4v + 1 and of 4v + 2, 4v + 3: the
 * weights' own offset, paid in advance, where q4_start() in simd/dot.ts wants it.
 */
export function quantize_q4w(x: usize, out: usize, n: i32): void {
  for (let i = 0; i < n; i += BLOCK_COLS) {
    const m = abs_max(x);
    const live = m >= SMALLEST;
    const inverse = f32x4.splat(live ? <f32>127 / m : 0);
    const a = round16(x, inverse);
    const b = round16(x + 64, inverse);
    v128.store(out, a);
    v128.store(out, b, 16);
    // Sums of pairs of columns: 4v and 4v + 1 in even lanes.
    const s = i16x8.add(i16x8.extadd_pairwise_i8x16_s(a), i16x8.extadd_pairwise_i8x16_s(b));
    const t = i16x8.add(s, v128.shuffle<i32>(s, s, 2, 3, 0, 1));
    const sums = i16x8.add(t, v128.shuffle<i32>(t, t, 1, 0, 3, 2));
    store<f32>(out, live ? m / 127 : m < SMALLEST ? 0 : m, ACT_SCALE);
    v128.store32_lane(out, i16x8.mul(sums, i16x8.splat(-8)), 0, ACT_SUMS);
    x += 4 * BLOCK_COLS;
    out += ACT_BLOCK_BYTES;
  }
}
