// The f16 scales of tiles: a scale for each of four rows, stored times 2^SCALE_SHIFT.
import { SCALE_SHIFT } from "../layout/blocks";
import { CONTROL_PACKED, PACKED_LARGE_SCALE } from "../layout/control";
import { f16_finite, load_f16, to_f16 } from "../simd/f16";
import { set_bits } from "../sync";

// Largest value accepted for formats with scales: q4 divides it by 8, which must be a finite f16 (at most 65504).
const LARGEST: f32 = 500000;

/** The scale of a tile at `ptr` times `factor`, in every lane. Scales are read as f16 bits shifted by 13. */
export function tile_scale(ptr: usize, factor: f32): v128 {
  const bits = <u32>((<i32>load<i16>(ptr)) << 13) & 0x8fffffff;
  return f32x4.splat(reinterpret<f32>(bits) * factor);
}

/** Four int8 in lane 0 times d, as f32. */
export function scale4(bytes: v128, d: v128): v128 {
  return f32x4.mul(f32x4.convert_i32x4_s(i32x4.extend_low_i16x8_s(i16x8.extend_low_i8x16_s(bytes))), d);
}

/** Whether a value of this magnitude is too large to quantize. */
export function is_too_large(magnitude: f32): bool {
  return magnitude > LARGEST;
}

/**
 * Stores a scale's f16 bits as a tile has them: times 2^shift. A scale that is too large for that is noted in
 * CONTROL_PACKED, and what is stored is of no use: the host then packs the matrix again, with shift 0.
 */
export function store_scale(from: u16, ptr: usize, shift: i32): void {
  if (!shift) {
    store<u16>(ptr, from);
    return;
  }
  const exponent = (from >> 10) & 31;
  if (exponent > <u16>(30 - SCALE_SHIFT)) set_bits(CONTROL_PACKED, PACKED_LARGE_SCALE);
  if (exponent) {
    store<u16>(ptr, from + <u16>(SCALE_SHIFT << 10));
    return;
  }
  store<u16>(ptr, from);
  store<u16>(ptr, to_f16(load_f16(ptr) * <f32>(1 << SCALE_SHIFT)));
}

/** As store_scale(), for a value that is a half divided by a power of two: 2^shift leaves it none of its bits to lose. */
export function store_scaled(value: f32, ptr: usize, shift: i32): void {
  const scaled = value * <f32>(1 << shift);
  if (abs(scaled) > 65504) set_bits(CONTROL_PACKED, PACKED_LARGE_SCALE);
  store<u16>(ptr, to_f16(scaled));
}

/** Copies the scales of four file blocks to `out`; returns 0, or 1 + the first row whose scale is NaN or infinite. */
export function copy_scales(p0: usize, p1: usize, p2: usize, p3: usize, out: usize, shift: i32): i32 {
  const s0 = load<u16>(p0);
  const s1 = load<u16>(p1);
  const s2 = load<u16>(p2);
  const s3 = load<u16>(p3);
  if (!f16_finite(s0)) return 1;
  if (!f16_finite(s1)) return 2;
  if (!f16_finite(s2)) return 3;
  if (!f16_finite(s3)) return 4;
  store_scale(s0, out, shift);
  store_scale(s1, out + 2, shift);
  store_scale(s2, out + 4, shift);
  store_scale(s3, out + 6, shift);
  return 0;
}

/** Takes 2^SCALE_SHIFT off a tile's scales again: exactly what store_scale() was given, subnormals included. */
export function unshift_tile(tile: usize): void {
  const back: f32 = 1 / <f32>(1 << SCALE_SHIFT);
  for (let r: usize = 0; r < 8; r += 2) store<u16>(tile + r, to_f16(load_f16(tile + r) * back));
}

/** Four rows of 16 bytes become four vectors of 4 bytes of each row. */
export function store_transposed(a: v128, b: v128, c: v128, d: v128, out: usize): void {
  const ab = v128.shuffle<i32>(a, b, 0, 4, 1, 5);
  const cd = v128.shuffle<i32>(c, d, 0, 4, 1, 5);
  const ef = v128.shuffle<i32>(a, b, 2, 6, 3, 7);
  const gh = v128.shuffle<i32>(c, d, 2, 6, 3, 7);
  v128.store(out, v128.shuffle<i32>(ab, cd, 0, 1, 4, 5));
  v128.store(out, v128.shuffle<i32>(ab, cd, 2, 3, 6, 7), 16);
  v128.store(out, v128.shuffle<i32>(ef, gh, 0, 1, 4, 5), 32);
  v128.store(out, v128.shuffle<i32>(ef, gh, 2, 3, 6, 7), 48);
}
