// What decoders of block types share: integers of a block times its scale, bits and nibbles as bytes.

/**
 * out[i] = q[i] * d + m, i in [0, 16)
 * q     int8; d, m f32, NaN if a scale of the block is not finite
 * out   f32 [16], 4 B aligned
 * Numerics: product and sum are each rounded. Types without an offset give -0, which changes nothing.
 */
export function put16(q: v128, d: f32, m: f32, out: usize): void {
  const ds = f32x4.splat(d);
  const ms = f32x4.splat(m);
  // A loop, so that the compiler does not copy this into every decoder.
  for (const end = out + 64; out < end; out += 32) {
    const half = i16x8.extend_low_i8x16_s(q);
    v128.store(out, scaled(i32x4.extend_low_i16x8_s(half), ds, ms));
    v128.store(out, scaled(i32x4.extend_high_i16x8_s(half), ds, ms), 16);
    q = v128.shuffle<u64>(q, q, 1, 0);
  }
}

function scaled(q: v128, d: v128, m: v128): v128 {
  return f32x4.add(f32x4.mul(f32x4.convert_i32x4_s(q), d), m);
}

/** Bits [shift, shift + n) of 16 bytes, if shift + n <= 8 and `mask` is 2^n - 1. */
export function bits_at(bytes: v128, shift: i32, mask: i8): v128 {
  return v128.and(i16x8.shr_u(bytes, shift), i8x16.splat(mask));
}

/** 16 bits as bytes: -1 for each that is set, else 0. */
export function bit_mask(bits: i32): v128 {
  const both = i16x8.splat(<i16>bits);
  const each = v128.shuffle<u8>(both, both, 0, 0, 0, 0, 0, 0, 0, 0, 1, 1, 1, 1, 1, 1, 1, 1);
  const place = i8x16(1, 2, 4, 8, 16, 32, 64, -128, 1, 2, 4, 8, 16, 32, 64, -128);
  return i8x16.eq(v128.and(each, place), place);
}

/** 16 int8 with the sign of each changed whose bit in `signs` is set. */
export function with_signs(q: v128, signs: i32): v128 {
  const mask = bit_mask(signs);
  return i8x16.sub(v128.xor(q, mask), mask);
}

/** Nibble i of the bytes at `ptr`, the low nibble of each first. */
export function nibble(ptr: usize, i: i32): i32 {
  return (<i32>load<u8>(ptr + <usize>(i >> 1)) >> ((i & 1) << 2)) & 15;
}
