// Q8_0, Q4_0, Q4_1, Q5_0 and Q5_1: blocks of 32 values with a scale of their own. The same bits as ggml's quantizer.
// Source: quantize_row_q8_0_ref and its siblings of ggml-quants.c, whose order of roundings is kept.
import { half } from "./half";
import { Q4_0_BYTES, Q4_1_BYTES, Q5_0_BYTES, Q5_1_BYTES, Q8_0_BYTES } from "./targets";

/** Values of a block. */
const VALUES = 32;

/** Q8_0: an f16 scale, 32 int8. x f32 [n], n % 32 == 0, finite. */
export function encode_q8_0(x: usize, n: i32, out: usize): void {
  for (; n > 0; n -= VALUES, x += 128, out += Q8_0_BYTES) {
    const d = largest(x) / 127;
    const id = inverse(d);
    store<u16>(out, <u16>half(d));
    const ids = f32x4.splat(id);
    for (let i: usize = 0; i < 32; i += 16) {
      const at = x + (i << 2);
      const q01 = i16x8.narrow_i32x4_s(away(at, ids), away(at + 16, ids));
      const q23 = i16x8.narrow_i32x4_s(away(at + 32, ids), away(at + 48, ids));
      v128.store(out + i, i8x16.narrow_i16x8_s(q01, q23), 2);
    }
  }
}

/** Q4_0: an f16 scale, 32 nibbles, of which 8 is zero. x f32 [n], n % 32 == 0, finite. */
export function encode_q4_0(x: usize, n: i32, out: usize): void {
  for (; n > 0; n -= VALUES, x += 128, out += Q4_0_BYTES) {
    const d = extreme(x) / -8;
    store<u16>(out, <u16>half(d));
    v128.store(out, nibbles(x, 0, inverse(d), 8.5), 2);
  }
}

/** Q4_1: f16 scale and lowest value, 32 nibbles. x f32 [n], n % 32 == 0, finite. */
export function encode_q4_1(x: usize, n: i32, out: usize): void {
  for (; n > 0; n -= VALUES, x += 128, out += Q4_1_BYTES) {
    const low = lowest(x);
    const d = (highest(x) - low) / 15;
    store<u16>(out, <u16>half(d));
    store<u16>(out, <u16>half(low), 2);
    v128.store(out, nibbles(x, low, inverse(d), 0.5), 4);
  }
}

/** Q5_0: an f16 scale, the fifth bits of 32 values, their nibbles; 16 is zero. x f32 [n], n % 32 == 0, finite. */
export function encode_q5_0(x: usize, n: i32, out: usize): void {
  for (; n > 0; n -= VALUES, x += 128, out += Q5_0_BYTES) {
    const d = extreme(x) / -16;
    store<u16>(out, <u16>half(d));
    fives(x, 0, inverse(d), 16.5, out + 2);
  }
}

/** Q5_1: f16 scale and lowest value, the fifth bits of 32 values, their nibbles. x f32 [n], n % 32 == 0, finite. */
export function encode_q5_1(x: usize, n: i32, out: usize): void {
  for (; n > 0; n -= VALUES, x += 128, out += Q5_1_BYTES) {
    const low = lowest(x);
    const d = (highest(x) - low) / 31;
    store<u16>(out, <u16>half(d));
    store<u16>(out, <u16>half(low), 2);
    fives(x, low, inverse(d), 0.5, out + 4);
  }
}

// 1 / d; 0 if d is 0. A scale so small that this is infinite gives zero bits for all values, see small_ints().
function inverse(d: f32): f32 {
  return d !== 0 ? 1 / d : 0;
}

// The largest absolute value of a block.
function largest(x: usize): f32 {
  let m = f32x4.abs(v128.load(x));
  for (let i: usize = 16; i < 128; i += 16) m = f32x4.max(m, f32x4.abs(v128.load(x + i)));
  return lane_max(m);
}

// The first value of a block with the largest absolute value; 0 if all are zeros of any sign.
function extreme(x: usize): f32 {
  const most = largest(x);
  if (most === 0) return 0;
  while (abs(load<f32>(x)) !== most) x += 4;
  return load<f32>(x);
}

function lowest(x: usize): f32 {
  let m = v128.load(x);
  for (let i: usize = 16; i < 128; i += 16) m = f32x4.min(m, v128.load(x + i));
  const low = min(
    min(f32x4.extract_lane(m, 0), f32x4.extract_lane(m, 1)),
    min(f32x4.extract_lane(m, 2), f32x4.extract_lane(m, 3)),
  );
  if (low !== 0) return low;
  // Of zeros of both signs, the first counts.
  while (load<f32>(x) !== 0) x += 4;
  return load<f32>(x);
}

function highest(x: usize): f32 {
  let m = v128.load(x);
  for (let i: usize = 16; i < 128; i += 16) m = f32x4.max(m, v128.load(x + i));
  return lane_max(m);
}

function lane_max(m: v128): f32 {
  return max(
    max(f32x4.extract_lane(m, 0), f32x4.extract_lane(m, 1)),
    max(f32x4.extract_lane(m, 2), f32x4.extract_lane(m, 3)),
  );
}

// x * id as integers, halves rounded away from zero.
function away(x: usize, ids: v128): v128 {
  const v = f32x4.mul(v128.load(x), ids);
  const whole = f32x4.trunc(v);
  const over = f32x4.ge(f32x4.abs(f32x4.sub(v, whole)), f32x4.splat(0.5));
  const one = v128.or(v128.and(v, f32x4.splat(-0)), f32x4.splat(1));
  return small_ints(f32x4.add(whole, v128.and(over, one)));
}

// (x - low) * id + bias without its fraction.
function ints(x: usize, low: v128, ids: v128, bias: v128): v128 {
  return small_ints(f32x4.add(f32x4.mul(f32x4.sub(v128.load(x), low), ids), bias));
}

// Integers of floats; 0 for infinities, as in x86 code that keeps the low byte of what cannot be converted.
function small_ints(v: v128): v128 {
  const known = f32x4.lt(f32x4.abs(v), f32x4.splat(2147483648));
  return v128.and(i32x4.trunc_sat_f32x4_s(v), known);
}

// The 16 values at x as bytes.
function bytes16(x: usize, low: v128, ids: v128, bias: v128): v128 {
  return i8x16.narrow_i16x8_s(
    i16x8.narrow_i32x4_s(ints(x, low, ids, bias), ints(x + 16, low, ids, bias)),
    i16x8.narrow_i32x4_s(ints(x + 32, low, ids, bias), ints(x + 48, low, ids, bias)),
  );
}

// Low nibbles are values 0 to 15, high ones 16 to 31.
function nibbles(x: usize, low: f32, id: f32, bias: f32): v128 {
  const lows = f32x4.splat(low);
  const ids = f32x4.splat(id);
  const biases = f32x4.splat(bias);
  const most = i8x16.splat(15);
  const first = i8x16.min_s(bytes16(x, lows, ids, biases), most);
  const second = i8x16.min_s(bytes16(x + 64, lows, ids, biases), most);
  return v128.or(first, i16x8.shl(second, 4));
}

// 4 bytes of fifth bits, then nibbles as above.
function fives(x: usize, low: f32, id: f32, bias: f32, out: usize): void {
  const lows = f32x4.splat(low);
  const ids = f32x4.splat(id);
  const biases = f32x4.splat(bias);
  const most = i8x16.splat(31);
  const first = i8x16.min_s(bytes16(x, lows, ids, biases), most);
  const second = i8x16.min_s(bytes16(x + 64, lows, ids, biases), most);
  const fifth = i8x16.splat(16);
  store<u16>(out, <u16>i8x16.bitmask(i8x16.eq(v128.and(first, fifth), fifth)));
  store<u16>(out, <u16>i8x16.bitmask(i8x16.eq(v128.and(second, fifth), fifth)), 2);
  const low4 = i8x16.splat(15);
  v128.store(out, v128.or(v128.and(first, low4), i16x8.shl(v128.and(second, low4), 4)), 4);
}
