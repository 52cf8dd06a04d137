// ACT_SUPER: activations as superblocks of 256 int8 with one scale and the sums of their blocks.
import {
  ACT_SUPER_BYTES,
  ACT_SUPER_SCALE,
  ACT_SUPER_SUMS,
  ACT_TOKENS,
  ACTS_SUPER_BYTES,
  ACTS_SUPER_MOST,
  ACTS_SUPER_SCALES,
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
    for (let at = out + ((<usize>lane) << 2); at < out + 4 * ACT_TOKENS; at += 4) {
      store<f32>(at, 0, ACTS_SUPER_SCALES);
      store<i32>(at, 0, ACTS_SUPER_MOST);
    }
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
  quantize(x, out, 4, n);
}

/**
 * As quantize_super, for token `lane` of the four that share superblocks.
 * out  n / 256 superblocks of ACTS_SUPER_BYTES; only this token's part is written
 */
export function quantize_super_x4(x: usize, out: usize, lane: i32, n: i32): void {
  quantize(x, out + ((<usize>lane) << 2), 4 * ACT_TOKENS, n);
}

// Both layouts are words of a token `step` bytes apart: 64 of values, and those of scales and sums, which the 12 bytes of the
// other tokens, or of nothing, keep 16 bytes behind.
function quantize(x: usize, out: usize, step: usize, n: i32): void {
  const stop = x + ((<usize>n) << 2);
  while (x < stop) {
    const m = super_max(x);
    const inverse = f32x4.splat(inverse_of(m));
    let to = out;
    out += 64 * step;
    store<f32>(out, block_scale(m));
    out += ACT_SUPER_SUMS - ACT_SUPER_SCALE;
    const halves = out + 4 * step;
    let most = 0;
    for (let b: usize = 0; b < 8; b++, x += 4 * BLOCK_COLS) {
      const low = round16(x, inverse);
      const top = round16(x + 64, inverse);
      to = store_words(to, low, step);
      to = store_words(to, top, step);
      const first = sum16(low);
      const second = sum16(top);
      const sum = first + second;
      const positive = sum16(positive16(low)) + sum16(positive16(top));
      most = max(most, max(positive, positive - sum));
      store<i16>(out + (b >> 1) * step + ((b & 1) << 1), <i16>sum);
      store<i16>(halves + b * step, <i16>first);
      store<i16>(halves + b * step, <i16>second, 2);
    }
    out = halves + 8 * step;
    if (step > 4) {
      store<i32>(out, most);
      out += ACTS_SUPER_BYTES - ACTS_SUPER_MOST;
    }
  }
}

function positive16(bytes: v128): v128 {
  return i8x16.max_s(bytes, i8x16.splat(0));
}

function store_words(to: usize, bytes: v128, step: usize): usize {
  v128.store32_lane(to, bytes, 0);
  to += step;
  v128.store32_lane(to, bytes, 1);
  to += step;
  v128.store32_lane(to, bytes, 2);
  to += step;
  v128.store32_lane(to, bytes, 3);
  return to + step;
}
