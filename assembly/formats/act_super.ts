// ACT_SUPER: activations as superblocks of 256 int8 with one scale and the sums of their blocks.
import {
  ACT_SUPER_BYTES,
  ACT_SUPER_HALVES,
  ACT_SUPER_SCALE,
  ACT_SUPER_SUMS,
  ACT_TOKENS,
  ACTS_SUPER_BYTES,
  ACTS_SUPER_HALVES,
  ACTS_SUPER_SCALES,
  ACTS_SUPER_SUMS,
  BLOCK_COLS,
  SUPER_COLS,
} from "../layout/blocks";
import { abs_max, block_scale, inverse_of, round16 } from "./act_q8";

/** Row t of `count`, columns from `first` on: n f32 values at `row`, whole superblocks. As quantize_row_q8(). */
export function quantize_row_super(
  row: usize,
  base: usize,
  stride: usize,
  first: i32,
  n: i32,
  t: i32,
  count: i32,
): void {
  const block = <usize>(first / SUPER_COLS);
  if (count === 1) {
    quantize_super(row, base + <usize>t * stride + block * ACT_SUPER_BYTES, n);
    return;
  }
  const out = base + <usize>(t & -ACT_TOKENS) * stride + block * ACTS_SUPER_BYTES;
  const lane = t & (ACT_TOKENS - 1);
  quantize_super_x4(row, out, lane, n);
  if (t === count - 1) clear_scales(out, lane + 1, n);
}

// Scales of the tokens from `lane` on, which are not there, become 0: see act_q8.ts.
function clear_scales(out: usize, lane: i32, n: i32): void {
  const stop = out + <usize>(n / SUPER_COLS) * ACTS_SUPER_BYTES;
  for (; out < stop; out += ACTS_SUPER_BYTES) {
    for (let i = lane; i < ACT_TOKENS; i++) store<f32>(out + ((<usize>i) << 2), 0, ACTS_SUPER_SCALES);
  }
}

// Largest magnitude of 256 f32.
function super_max(x: usize): f32 {
  let m: f32 = 0;
  const stop = x + 4 * SUPER_COLS;
  for (; x < stop; x += 4 * BLOCK_COLS) m = max(m, abs_max(x));
  return m;
}

// The sum of 16 int8.
function sum16(bytes: v128): i32 {
  const pairs = i16x8.extadd_pairwise_i8x16_s(bytes);
  const sums = i32x4.extadd_pairwise_i16x8_s(pairs);
  const two = i32x4.add(sums, v128.shuffle<i32>(sums, sums, 2, 3, 0, 1));
  return i32x4.extract_lane(two, 0) + i32x4.extract_lane(two, 1);
}

/**
 * out[b] = superblock b of x as int8, scale = max|x| / 127
 * x    f32 [n]
 * out  n / 256 superblocks of ACT_SUPER_BYTES
 * Units: n elements; n % 256 == 0
 * Align: 4 B                    Reads past the end: none
 * Numerics: round to nearest, ties to even; a superblock whose maximum is under 1e-30 becomes zeros
 */
export function quantize_super(x: usize, out: usize, n: i32): void {
  for (let i = 0; i < n; i += SUPER_COLS, out += ACT_SUPER_BYTES) {
    const m = super_max(x);
    const inverse = f32x4.splat(inverse_of(m));
    store<f32>(out, block_scale(m), ACT_SUPER_SCALE);
    for (let b: usize = 0; b < 8; b++, x += 4 * BLOCK_COLS) {
      const low = round16(x, inverse);
      const top = round16(x + 64, inverse);
      v128.store(out + (b << 5), low);
      v128.store(out + (b << 5), top, 16);
      const first = sum16(low);
      const second = sum16(top);
      store<i16>(out + (b << 1), <i16>(first + second), ACT_SUPER_SUMS);
      store<i16>(out + (b << 2), <i16>first, ACT_SUPER_HALVES);
      store<i16>(out + (b << 2), <i16>second, ACT_SUPER_HALVES + 2);
    }
  }
}

/**
 * As quantize_super, for token `lane` of the four that share superblocks.
 * out  n / 256 superblocks of ACTS_SUPER_BYTES; only this token's part is written
 */
export function quantize_super_x4(x: usize, out: usize, lane: i32, n: i32): void {
  const at = (<usize>lane) << 2;
  for (let i = 0; i < n; i += SUPER_COLS, out += ACTS_SUPER_BYTES) {
    const m = super_max(x);
    const inverse = f32x4.splat(inverse_of(m));
    store<f32>(out + at, block_scale(m), ACTS_SUPER_SCALES);
    for (let b: usize = 0; b < 8; b++, x += 4 * BLOCK_COLS) {
      const low = round16(x, inverse);
      const top = round16(x + 64, inverse);
      const to = out + (b << 7) + at;
      v128.store32_lane(to, low, 0);
      v128.store32_lane(to, low, 1, 16);
      v128.store32_lane(to, low, 2, 32);
      v128.store32_lane(to, low, 3, 48);
      v128.store32_lane(to, top, 0, 64);
      v128.store32_lane(to, top, 1, 80);
      v128.store32_lane(to, top, 2, 96);
      v128.store32_lane(to, top, 3, 112);
      const pair = out + ((b >> 1) << 4) + at + ((b & 1) << 1);
      const first = sum16(low);
      const second = sum16(top);
      store<i16>(pair, <i16>(first + second), ACTS_SUPER_SUMS);
      const halves = out + (b << 4) + at;
      store<i16>(halves, <i16>first, ACTS_SUPER_HALVES);
      store<i16>(halves, <i16>second, ACTS_SUPER_HALVES + 2);
    }
  }
}
