// Q4_K, Q5_K and Q6_K: blocks of 256 values in groups whose scales are integers themselves. The same bits as ggml's quantizer
// without an importance matrix. Source: quantize_row_q4_K_ref and its siblings of ggml-quants.c.
import { check_finite, half, half_value } from "./half";
import { bytes_of, clamped, nearest, nearest_int } from "./lanes";
import { found_integer, search_offsets } from "./search_offset";
import { found_unsigned, search_scales, TINY } from "./search_scale";
import { Q4_K_BYTES, Q5_K_BYTES, Q6_K_BYTES } from "./targets";

/** Values of a block. */
const VALUES = 256;
/** Largest scale and offset of a group of Q4_K and Q5_K: they have 6 bits. */
const MOST: f32 = 63;

const scales = memory.data(64, 16);
const offsets = memory.data(32, 16);
/** The integers of a block, a byte each. */
const integers = memory.data(VALUES, 16);

/** Q4_K: f16 scale and offset, eight of each in 12 bytes, 256 nibbles. x f32 [n], n % 256 == 0, finite. */
export function encode_q4_k(x: usize, n: i32, out: usize): void {
  for (; n > 0; n -= VALUES, x += 4 * VALUES, out += Q4_K_BYTES) {
    fit_offsets(x, 15, -1, 21, out);
    for (let i: usize = 0; i < 128; i += 16) put_nibbles(i, out + 16);
  }
}

/** Q5_K: as Q4_K, with 32 bytes of fifth bits before the nibbles. x f32 [n], n % 256 == 0, finite. */
export function encode_q5_k(x: usize, n: i32, out: usize): void {
  for (; n > 0; n -= VALUES, x += 4 * VALUES, out += Q5_K_BYTES) {
    fit_offsets(x, 31, -0.5, 16, out);
    for (let i: usize = 0; i < 128; i += 16) put_nibbles(i, out + 48);
    // Byte i has the fifth bits of values i, 32 + i, 64 + i, ...
    for (let i: usize = 0; i < 32; i += 16) {
      let bits = i8x16.splat(0);
      for (let g: usize = 0; g < 8; g++) {
        const fifth = v128.and(v128.load(integers + 32 * g + i), i8x16.splat(16));
        bits = v128.or(bits, g < 4 ? i8x16.shr_u(fifth, 4 - <i32>g) : i8x16.shl(fifth, <i32>g - 4));
      }
      v128.store(out + i, bits, 16);
    }
  }
}

/** Q6_K: 128 bytes of low nibbles, 64 of upper bits, 16 int8 scales, their f16 factor. x f32 [n], n % 256 == 0, finite. */
export function encode_q6_k(x: usize, n: i32, out: usize): void {
  for (; n > 0; n -= VALUES, x += 4 * VALUES, out += Q6_K_BYTES) {
    let most: f32 = 0;
    let extreme: f32 = 0;
    for (let g: usize = 0; g < 16; g += 4) {
      search_scales(x + 64 * g, 32, scales + 4 * g);
      for (let lane: usize = 0; lane < 4; lane++) {
        const scale = load<f32>(scales + ((g + lane) << 2));
        check_finite(scale);
        if (abs(scale) > most) {
          most = abs(scale);
          extreme = scale;
        }
        for (let i: usize = 0; i < 16; i++) {
          store<u8>(integers + ((g + lane) << 4) + i, <u8>found_unsigned(<i32>lane, <i32>i));
        }
      }
    }
    if (most < TINY) {
      memory.fill(out, 0, Q6_K_BYTES);
      continue;
    }
    const inverse: f32 = <f32>-128 / extreme;
    const bits = half(<f32>1 / inverse);
    const d = half_value(bits);
    store<u16>(out, <u16>bits, 208);
    for (let g: usize = 0; g < 16; g++) {
      const scale = <i32>(<i8>min(127, nearest_int(inverse * load<f32>(scales + (g << 2)))));
      store<i8>(out + 192 + g, <i8>scale);
      const own = d * <f32>scale;
      if (own !== 0) v128.store(integers + (g << 4), sixes(x + (g << 6), own));
    }
    put_sixes(out);
  }
}

// The integers of 16 values for a scale, plus 32.
function sixes(x: usize, scale: f32): v128 {
  const s = f32x4.splat(scale);
  const a = clamped(nearest(f32x4.div(v128.load(x), s)), -32, 31);
  const b = clamped(nearest(f32x4.div(v128.load(x, 16), s)), -32, 31);
  const c = clamped(nearest(f32x4.div(v128.load(x, 32), s)), -32, 31);
  const d = clamped(nearest(f32x4.div(v128.load(x, 48), s)), -32, 31);
  return i8x16.add(bytes_of(a, b, c, d), i8x16.splat(32));
}

function put_sixes(out: usize): void {
  const low = i8x16.splat(15);
  for (let h: usize = 0; h < 2; h++) {
    for (let i: usize = 0; i < 32; i += 16) {
      const from = integers + 128 * h + i;
      const a = v128.load(from);
      const b = v128.load(from, 32);
      const c = v128.load(from, 64);
      const d = v128.load(from, 96);
      v128.store(out + 64 * h + i, v128.or(v128.and(a, low), i8x16.shl(c, 4)));
      v128.store(out + 64 * h + i, v128.or(v128.and(b, low), i8x16.shl(d, 4)), 32);
      const ab = v128.or(i8x16.shr_u(a, 4), i8x16.shl(i8x16.shr_u(b, 4), 2));
      const cd = v128.or(i8x16.shl(i8x16.shr_u(c, 4), 4), i8x16.shl(i8x16.shr_u(d, 4), 6));
      v128.store(out + 32 * h + i, v128.or(ab, cd), 128);
    }
  }
}

// Writes scales and offsets of a block of Q4_K or Q5_K to `out`, and its integers to `integers`.
function fit_offsets(x: usize, most: i32, first: f32, tries: i32, out: usize): void {
  let maxScale: f32 = 0;
  let maxOffset: f32 = 0;
  for (let g: usize = 0; g < 8; g += 4) {
    search_offsets(x + 128 * g, most, first, tries, scales + 4 * g, offsets + 4 * g);
    for (let lane: usize = 0; lane < 4; lane++) {
      const scale = load<f32>(scales + ((g + lane) << 2));
      const offset = load<f32>(offsets + ((g + lane) << 2));
      check_finite(scale);
      check_finite(offset);
      if (scale > maxScale) maxScale = scale;
      if (offset > maxOffset) maxOffset = offset;
      for (let i: usize = 0; i < 32; i++) {
        store<u8>(integers + ((g + lane) << 5) + i, <u8>found_integer(<i32>lane, <i32>i));
      }
    }
  }
  const scaleBits = half(maxScale / MOST);
  const offsetBits = half(maxOffset / MOST);
  store<u16>(out, <u16>scaleBits);
  store<u16>(out, <u16>offsetBits, 2);
  const inverseScale: f32 = maxScale > 0 ? MOST / maxScale : 0;
  const inverseOffset: f32 = maxOffset > 0 ? MOST / maxOffset : 0;
  for (let g: usize = 0; g < 8; g++) {
    const scale = six_bits(inverseScale * load<f32>(scales + (g << 2)));
    const offset = six_bits(inverseOffset * load<f32>(offsets + (g << 2)));
    put_scales(out + 4 + g, g, scale, offset);
    const own = half_value(scaleBits) * <f32>scale;
    if (own === 0) continue;
    const low = half_value(offsetBits) * <f32>offset;
    const to = integers + (g << 5);
    v128.store(to, unsigned(x + (g << 7), own, low, most));
    v128.store(to, unsigned(x + (g << 7) + 64, own, low, most), 16);
  }
}

function six_bits(v: f32): u32 {
  return min<u32>(63, <u32>nearest_int(v) & 255);
}

// Groups 0 to 3 have 6 bits of a byte each; of the others, 4 bits are in a byte that scale and offset share, the upper 2 in
// the bytes of the first groups.
function put_scales(at: usize, g: usize, scale: u32, offset: u32): void {
  if (g < 4) {
    store<u8>(at, <u8>scale);
    store<u8>(at, <u8>offset, 4);
  } else {
    store<u8>(at, <u8>((scale & 15) | ((offset & 15) << 4)), 4);
    store<u8>(at - 4, <u8>(load<u8>(at - 4) | ((scale >> 4) << 6)));
    store<u8>(at, <u8>(load<u8>(at) | ((offset >> 4) << 6)));
  }
}

// The integers of 16 values for a scale and an offset.
function unsigned(x: usize, scale: f32, low: f32, most: i32): v128 {
  const s = f32x4.splat(scale);
  const m = f32x4.splat(low);
  const a = clamped(nearest(f32x4.div(f32x4.add(v128.load(x), m), s)), 0, most);
  const b = clamped(nearest(f32x4.div(f32x4.add(v128.load(x, 16), m), s)), 0, most);
  const c = clamped(nearest(f32x4.div(f32x4.add(v128.load(x, 32), m), s)), 0, most);
  const d = clamped(nearest(f32x4.div(f32x4.add(v128.load(x, 48), m), s)), 0, most);
  return bytes_of(a, b, c, d);
}

// 16 bytes of nibbles, `i` bytes after the first: the low ones are values of one group of 32, the high ones of the next.
function put_nibbles(i: usize, out: usize): void {
  const from = integers + 2 * (i & ~31) + (i & 31);
  const low = v128.and(v128.load(from), i8x16.splat(15));
  const high = v128.and(v128.load(from, 32), i8x16.splat(15));
  v128.store(out + i, v128.or(low, i16x8.shl(high, 4)));
}
