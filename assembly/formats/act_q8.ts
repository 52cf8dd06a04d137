// ACT_Q8: activations as blocks of 32 int8 with a scale and their sums.
import {
  ACT_BLOCK_BYTES,
  ACT_SCALE,
  ACT_SUMS,
  ACT_TOKENS,
  ACTS_BLOCK_BYTES,
  ACTS_SCALES,
  ACTS_SUMS,
  BLOCK_COLS,
} from "../layout/blocks";

// Below this a block is all zeros: its scale's reciprocal would overflow.
const SMALLEST: f32 = 1e-30;

/**
 * Row t of `count`, columns from `first` on: n f32 values at `row`, whole blocks. A row that is alone has blocks of its
 * own; of several, ACT_TOKENS share them.
 */
export function quantize_row_q8(
  row: usize,
  base: usize,
  stride: usize,
  first: i32,
  n: i32,
  t: i32,
  count: i32,
): void {
  const block = <usize>(first / BLOCK_COLS);
  if (count === 1) {
    quantize_q8(row, base + <usize>t * stride + block * ACT_BLOCK_BYTES, n);
  } else {
    const out = base + <usize>(t & -ACT_TOKENS) * stride;
    const lane = t & (ACT_TOKENS - 1);
    quantize_q8x4(row, out + block * ACTS_BLOCK_BYTES, lane, n);
    if (t === count - 1) clear_scales(out + block * ACTS_BLOCK_BYTES, lane + 1, n);
  }
}

// Scales of the tokens from `lane` on, which are not there, become 0. The kernel multiplies by them all the same, and what
// an earlier step left there may make subnormals, which processors multiply slowly.
function clear_scales(out: usize, lane: i32, n: i32): void {
  const stop = out + <usize>(n / BLOCK_COLS) * ACTS_BLOCK_BYTES;
  for (; out < stop; out += ACTS_BLOCK_BYTES) {
    for (let i = lane; i < ACT_TOKENS; i++) store<f32>(out + ((<usize>i) << 2), 0, ACTS_SCALES);
  }
}

function abs_max4(ptr: usize): v128 {
  return f32x4.max(f32x4.abs(v128.load(ptr)), f32x4.abs(v128.load(ptr, 16)));
}

/** Largest magnitude of 32 f32. */
export function abs_max(ptr: usize): f32 {
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

/** 16 f32 times `inverse`, rounded to int8. */
export function round16(ptr: usize, inverse: v128): v128 {
  const a = i16x8.narrow_i32x4_s(round4(ptr, inverse), round4(ptr + 16, inverse));
  const b = i16x8.narrow_i32x4_s(round4(ptr + 32, inverse), round4(ptr + 48, inverse));
  return i8x16.narrow_i16x8_s(a, b);
}

/** What 127 stands for in a block of maximum m; 0 for a block of zeros. NaN and infinity reach it, and so the result. */
export function block_scale(m: f32): f32 {
  return m >= SMALLEST ? m / 127 : m < SMALLEST ? 0 : m;
}

/** What values of a block of maximum m are multiplied by. */
export function inverse_of(m: f32): f32 {
  return m >= SMALLEST ? <f32>127 / m : 0;
}

// -8 * the sums of columns 4v, 4v + 1 and of 4v + 2, 4v + 3 of 32 int8, as two i16 in lane 0.
function block_sums(a: v128, b: v128): v128 {
  const s = i16x8.add(i16x8.extadd_pairwise_i8x16_s(a), i16x8.extadd_pairwise_i8x16_s(b));
  const t = i16x8.add(s, v128.shuffle<i32>(s, s, 2, 3, 0, 1));
  return i16x8.mul(i16x8.add(t, v128.shuffle<i32>(t, t, 1, 0, 3, 2)), i16x8.splat(-8));
}

/**
 * out[b] = block b of x as int8, scale = max|x| / 127
 * x    f32 [n]
 * out  n / 32 blocks of ACT_BLOCK_BYTES: 32 int8, f32 scale, two i16: -8 * sum(int8) of columns 4v, 4v + 1 and of
 *      4v + 2, 4v + 3. Stored weights are above their values; this takes that off in advance: see simd/dot.ts
 * Units: n elements; n % 32 == 0
 * Align: 4 B                    Reads past the end: none
 * Numerics: round to nearest, ties to even; a block whose maximum is under 1e-30 becomes zeros
 */
export function quantize_q8(x: usize, out: usize, n: i32): void {
  for (let i = 0; i < n; i += BLOCK_COLS) {
    const m = abs_max(x);
    const inverse = f32x4.splat(inverse_of(m));
    const a = round16(x, inverse);
    const b = round16(x + 64, inverse);
    v128.store(out, a);
    v128.store(out, b, 16);
    store<f32>(out, block_scale(m), ACT_SCALE);
    v128.store32_lane(out, block_sums(a, b), 0, ACT_SUMS);
    x += 4 * BLOCK_COLS;
    out += ACT_BLOCK_BYTES;
  }
}

/**
 * As quantize_q8, for token `lane` of the four that share blocks.
 * out  n / 32 blocks of ACTS_BLOCK_BYTES; only this token's part is written
 */
export function quantize_q8x4(x: usize, out: usize, lane: i32, n: i32): void {
  out += (<usize>lane) << 2;
  for (let i = 0; i < n; i += BLOCK_COLS) {
    const m = abs_max(x);
    const inverse = f32x4.splat(inverse_of(m));
    const a = round16(x, inverse);
    const b = round16(x + 64, inverse);
    v128.store32_lane(out, a, 0);
    v128.store32_lane(out, a, 1, 16);
    v128.store32_lane(out, a, 2, 32);
    v128.store32_lane(out, a, 3, 48);
    v128.store32_lane(out, b, 0, 64);
    v128.store32_lane(out, b, 1, 80);
    v128.store32_lane(out, b, 2, 96);
    v128.store32_lane(out, b, 3, 112);
    store<f32>(out, block_scale(m), ACTS_SCALES);
    v128.store32_lane(out, block_sums(a, b), 0, ACTS_SUMS);
    x += 4 * BLOCK_COLS;
    out += ACTS_BLOCK_BYTES;
  }
}
