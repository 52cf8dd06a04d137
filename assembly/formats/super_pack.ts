// Formats of superblocks: how rows of files are packed into tiles, unpacked for several tokens, and looked up.

import {
  BYTE_SUPER_BYTES,
  BYTE_SUPER_SCALES,
  BYTE_SUPER_VALUES,
  Q6K_SCALES,
  SUPER_BLOCKS,
  SUPER_MINIMA,
  SUPER_SCALES,
  WIDE_SUPER_BYTES,
  WIDE_SUPER_MINIMA,
  WIDE_SUPER_VALUES,
} from "../layout/blocks";
import { FILE_Q4_K_BYTES, FILE_Q5_K_BYTES, FILE_Q6_K_BYTES } from "../layout/file_types.gen";
import { f16_finite } from "../simd/f16";
import { high } from "../simd/nibbles";
import { is_q4k, is_q5k, is_q6k, twice } from "./fields";
import { store_scale, tile_scale } from "./scales";
import { has_minima, head_bytes, scale_step, scales_at, tile_of } from "./super";
import { store_wide } from "./tiles";

const BLOCKS: usize = SUPER_BLOCKS;

/** Four weights of a row of a tile's vectors, unsigned. */
export function fields_at<F>(tile: usize, k: usize, r: usize): u32 {
  const p = tile + (r << 2);
  if (is_q4k<F>()) {
    const v = load<u32>(p + ((k & 3) << 4));
    return (k < 4 ? v : v >> 4) & 0x0f0f0f0f;
  }
  if (is_q5k<F>()) {
    if (k < 5) return load<u32>(p + (k << 4)) & 0x1f1f1f1f;
    if (k === 5) return ((load<u32>(p) >> 5) & 0x07070707) | ((load<u32>(p, 16) >> 2) & 0x18181818);
    if (k === 6) return ((load<u32>(p, 32) >> 5) & 0x07070707) | ((load<u32>(p, 48) >> 2) & 0x18181818);
    const two = ((load<u32>(p, 16) >> 4) & 0x08080808) | ((load<u32>(p, 48) >> 3) & 0x10101010);
    return ((load<u32>(p, 64) >> 5) & 0x07070707) | two;
  }
  if (k < 6) return load<u32>(p + (k << 4)) & 0x3f3f3f3f;
  const q = k === 6 ? p : p + 48;
  const upper = ((load<u32>(q, 16) >> 4) & 0x0c0c0c0c) | ((load<u32>(q, 32) >> 2) & 0x30303030);
  return ((load<u32>(q) >> 6) & 0x03030303) | upper;
}

/** Stores four weights of a row for each of the vectors of a tile. */
export function store_fields<F>(
  tile: usize,
  r: usize,
  n0: u32,
  n1: u32,
  n2: u32,
  n3: u32,
  n4: u32,
  n5: u32,
  n6: u32,
  n7: u32,
): void {
  const p = tile + (r << 2);
  if (is_q4k<F>()) {
    store<u32>(p, n0 | (n4 << 4));
    store<u32>(p, n1 | (n5 << 4), 16);
    store<u32>(p, n2 | (n6 << 4), 32);
    store<u32>(p, n3 | (n7 << 4), 48);
  } else if (is_q5k<F>()) {
    store<u32>(p, n0 | ((n5 & 0x07070707) << 5));
    store<u32>(p, n1 | ((n5 & 0x18181818) << 2) | ((n7 & 0x08080808) << 4), 16);
    store<u32>(p, n2 | ((n6 & 0x07070707) << 5), 32);
    store<u32>(p, n3 | ((n6 & 0x18181818) << 2) | ((n7 & 0x10101010) << 3), 48);
    store<u32>(p, n4 | ((n7 & 0x07070707) << 5), 64);
  } else {
    store<u32>(p, n0 | ((n6 & 0x03030303) << 6));
    store<u32>(p, n1 | ((n6 & 0x0c0c0c0c) << 4), 16);
    store<u32>(p, n2 | ((n6 & 0x30303030) << 2), 32);
    store<u32>(p, n3 | ((n7 & 0x03030303) << 6), 48);
    store<u32>(p, n4 | ((n7 & 0x0c0c0c0c) << 4), 64);
    store<u32>(p, n5 | ((n7 & 0x30303030) << 2), 80);
  }
}

// Four weights of a block of a superblock in a file, columns 4k to 4k + 3, unsigned.
function file_fields<F>(src: usize, b: usize, k: usize): u32 {
  if (is_q6k<F>()) {
    const half = b >> 2;
    const j = b & 3;
    const low = load<u32>(src + (half << 6) + ((j & 1) << 5) + (k << 2));
    const top = load<u32>(src + (half << 5) + (k << 2), 128);
    return ((j > 1 ? low >> 4 : low) & 0x0f0f0f0f) | (((top >> <u32>(j << 1)) & 0x03030303) << 4);
  }
  const qs: usize = is_q5k<F>() ? 48 : 16;
  const bytes = load<u32>(src + qs + ((b >> 1) << 5) + (k << 2));
  const low = (b & 1 ? bytes >> 4 : bytes) & 0x0f0f0f0f;
  if (is_q4k<F>()) return low;
  return low | (((load<u32>(src + (k << 2), 16) >> <u32>b) & 0x01010101) << 4);
}

// The 6-bit scales and minima of a row's superblock of Q4_K or Q5_K.
function pack_scales(src: usize, head: usize, r: usize): void {
  const q = src + 4;
  for (let b: usize = 0; b < BLOCKS; b++) {
    const low = b < 4;
    const mixed = load<u8>(q + b, 4);
    const scale = low ? load<u8>(q + b) & 63 : (mixed & 15) | ((load<u8>(q + b - 4) >> 6) << 4);
    const minimum = low ? mixed & 63 : (mixed >> 4) | ((load<u8>(q + b) >> 6) << 4);
    store<u8>(head + (b << 2) + r, scale, SUPER_SCALES);
    store<u8>(head + ((b >> 1) << 3) + (r << 1) + (b & 1), minimum, SUPER_MINIMA);
  }
}

/**
 * Row r of a superblock, from a file's superblock at `src`: nothing is rounded. `step` bytes lead from a tile to that of
 * the next block. Returns 0, or 1 if d or dmin is NaN or infinite.
 */
export function pack_super<F>(src: usize, head: usize, tile: usize, step: usize, r: usize, shift: i32): i32 {
  if (is_q6k<F>()) {
    const d = load<u16>(src, 208);
    if (!f16_finite(d)) return 1;
    store_scale(d, head + (r << 1), shift);
    for (let b: usize = 0; b < BLOCKS; b++) {
      store<u16>(head + (b << 3) + (r << 1), load<u16>(src + (b << 1), 192), Q6K_SCALES);
    }
  } else {
    const d = load<u16>(src);
    const dmin = load<u16>(src, 2);
    if (!f16_finite(d) || !f16_finite(dmin)) return 1;
    store_scale(d, head + (r << 1), shift);
    store_scale(dmin, head + (r << 1) + 8, shift);
    pack_scales(src, head, r);
  }
  for (let b: usize = 0; b < BLOCKS; b++, tile += step) {
    store_fields<F>(
      tile,
      r,
      file_fields<F>(src, b, 0),
      file_fields<F>(src, b, 1),
      file_fields<F>(src, b, 2),
      file_fields<F>(src, b, 3),
      file_fields<F>(src, b, 4),
      file_fields<F>(src, b, 5),
      file_fields<F>(src, b, 6),
      file_fields<F>(src, b, 7),
    );
  }
  return 0;
}

/** Bytes of a superblock of a file. */
export function file_super<F>(): usize {
  return is_q4k<F>() ? FILE_Q4_K_BYTES : is_q5k<F>() ? FILE_Q5_K_BYTES : FILE_Q6_K_BYTES;
}

/** Zeros as row r of a superblock. */
export function zero_super<F>(head: usize, tile: usize, step: usize, r: usize): void {
  store<u16>(head + (r << 1), 0);
  if (has_minima<F>()) store<u16>(head + (r << 1) + 8, 0);
  for (let b: usize = 0; b < BLOCKS; b++, tile += step) {
    const at = head + scales_at<F>() + b * scale_step<F>();
    if (is_q6k<F>()) {
      store<u16>(at + (r << 1), 0);
    } else {
      store<u8>(at + r, 0);
      store<u8>(head + ((b >> 1) << 3) + (r << 1) + (b & 1), 0, SUPER_MINIMA);
    }
    for (let v: usize = 0; v < tile_of<F>(); v += 16) store<u32>(tile + v + (r << 2), 0);
  }
}

/** out[c] = W[r, c] * scale of a row of a group whose first superblock is at `column`; `size` strips, the row's is `s`. */
export function embed_row_super<F>(
  column: usize,
  size: usize,
  s: usize,
  r: usize,
  blocks: i32,
  factor: f32,
  scale: f32,
  out: usize,
): void {
  const tiles = size * tile_of<F>();
  for (let b = 0; b < blocks; b += SUPER_BLOCKS) {
    const head = column + s * head_bytes<F>();
    let tile = column + size * head_bytes<F>() + s * tile_of<F>();
    const d = f32x4.extract_lane(tile_scale(head + (r << 1), factor), 0);
    const dmin = has_minima<F>() ? f32x4.extract_lane(tile_scale(head + (r << 1) + 8, factor), 0) : 0;
    for (let i: usize = 0; i < BLOCKS; i++, tile += tiles) {
      const at = head + scales_at<F>() + i * scale_step<F>();
      const minimum = has_minima<F>()
        ? load<u8>(head + ((i >> 1) << 3) + (r << 1) + (i & 1), SUPER_MINIMA)
        : 0;
      const m = dmin * <f32>minimum;
      for (let k: usize = 0; k < 8; k++, out += 16) {
        const q = fields_at<F>(tile, k, r);
        const integer = is_q6k<F>() ? <i32>load<i8>(at + (r << 1) + (k >> 2)) : <i32>load<u8>(at + r);
        const step = d * <f32>integer;
        for (let c: usize = 0; c < 4; c++) {
          const n = <i32>((q >> <u32>(c << 3)) & 255) - (is_q6k<F>() ? 32 : 0);
          const product = step * <f32>n;
          store<f32>(out + (c << 2), (has_minima<F>() ? product - m : product) * scale);
        }
      }
    }
    column += size * (head_bytes<F>() + SUPER_BLOCKS * tile_of<F>());
  }
}

// Stores vectors of a tile as unsigned bytes.
function unpack_fields<F>(tile: usize, to: usize): void {
  if (is_q4k<F>()) {
    const nibbles = i8x16.splat(15);
    for (let v: usize = 0; v < 64; v += 16) {
      const bytes = v128.load(tile + v);
      v128.store(to + v, v128.and(bytes, nibbles));
      v128.store(to + v, high(bytes, nibbles), 64);
    }
    return;
  }
  if (is_q5k<F>()) {
    const low = i8x16.splat(31);
    for (let v: usize = 0; v < 80; v += 16) v128.store(to + v, v128.and(v128.load(tile + v), low));
    const v1 = v128.load(tile, 16);
    const v3 = v128.load(tile, 48);
    const three = i8x16.splat(7);
    const four = i8x16.splat(24);
    const n5 = v128.and(i16x8.shr_u(v128.load(tile), 5), three);
    const n6 = v128.and(i16x8.shr_u(v128.load(tile, 32), 5), three);
    const n7 = v128.and(i16x8.shr_u(v128.load(tile, 64), 5), three);
    v128.store(to, v128.or(n5, v128.and(i16x8.shr_u(v1, 2), four)), 80);
    v128.store(to, v128.or(n6, v128.and(i16x8.shr_u(v3, 2), four)), 96);
    const bit3 = v128.and(i16x8.shr_u(v1, 4), i8x16.splat(8));
    const bit4 = v128.and(i16x8.shr_u(v3, 3), i8x16.splat(16));
    v128.store(to, v128.or(n7, v128.or(bit3, bit4)), 112);
    return;
  }
  const low = i8x16.splat(63);
  for (let v: usize = 0; v < 96; v += 16) v128.store(to + v, v128.and(v128.load(tile + v), low));
  for (let v: usize = 0; v < 32; v += 16, tile += 48) {
    const n = v128.and(i16x8.shr_u(v128.load(tile), 6), i8x16.splat(3));
    const middle = v128.and(i16x8.shr_u(v128.load(tile, 16), 4), i8x16.splat(12));
    const upper = v128.and(i16x8.shr_u(v128.load(tile, 32), 2), i8x16.splat(48));
    v128.store(to + v, v128.or(n, v128.or(middle, upper)), 96);
  }
}

// d, dmin and minima of a header, as unpacked superblocks begin.
function unpack_head<F>(head: usize, to: usize): void {
  store<u64>(to, load<u64>(head));
  if (!has_minima<F>()) return;
  store<u64>(to, load<u64>(head, 8), 8);
  for (let j: usize = 0; j < 4; j++) {
    v128.store(to + (j << 4), v128.load8x8_u(head + (j << 3), SUPER_MINIMA), WIDE_SUPER_MINIMA);
  }
}

/** Unpacks `supers` superblocks of a group of `strips` strips: WIDE_SUPER_BYTES for each strip of each. */
export function unpack_super_wide<F>(from: usize, to: usize, strips: i32, supers: i32): void {
  const tiles = <usize>strips * tile_of<F>();
  const heads = <usize>strips * head_bytes<F>();
  for (let i = 0; i < supers; i++, from += heads + SUPER_BLOCKS * tiles) {
    for (let s: usize = 0; s < <usize>strips; s++, to += WIDE_SUPER_BYTES) {
      const head = from + s * head_bytes<F>();
      unpack_head<F>(head, to);
      let tile = from + heads + s * tile_of<F>();
      let values = to + WIDE_SUPER_VALUES;
      let scales = head + scales_at<F>();
      for (let b = 0; b < SUPER_BLOCKS; b++, tile += tiles, values += 256, scales += scale_step<F>()) {
        // Bytes first, into the upper half of their place: there they are read before they are written over.
        unpack_fields<F>(tile, values + 128);
        const packed = is_q6k<F>() ? v128.load8x8_s(scales) : v128.load8x8_u(scales);
        const first = is_q6k<F>() ? v128.shuffle<i16>(packed, packed, 0, 0, 2, 2, 4, 4, 6, 6) : twice(packed);
        const second = is_q6k<F>() ? v128.shuffle<i16>(packed, packed, 1, 1, 3, 3, 5, 5, 7, 7) : first;
        widen<F>(values, first, 0);
        widen<F>(values, second, 4);
      }
    }
  }
}

/** The same to bytes: BYTE_SUPER_BYTES for each strip of each superblock. `pairs`: scales for DOT_MOVED. */
export function unpack_super_bytes<F>(from: usize, to: usize, strips: i32, supers: i32, pairs: bool): void {
  const tiles = <usize>strips * tile_of<F>();
  const heads = <usize>strips * head_bytes<F>();
  for (let i = 0; i < supers; i++, from += heads + SUPER_BLOCKS * tiles) {
    for (let s: usize = 0; s < <usize>strips; s++, to += BYTE_SUPER_BYTES) {
      const head = from + s * head_bytes<F>();
      unpack_head<F>(head, to);
      let tile = from + heads + s * tile_of<F>();
      let scales = head + scales_at<F>();
      for (let b: usize = 0; b < BLOCKS; b++, tile += tiles, scales += scale_step<F>()) {
        unpack_fields<F>(tile, to + BYTE_SUPER_VALUES + (b << 7));
        const packed = is_q6k<F>() ? v128.load8x8_s(scales) : v128.load8x8_u(scales);
        const same = is_q6k<F>() ? packed : pairs ? twice(packed) : i32x4.extend_low_i16x8_s(packed);
        v128.store(to + (b << 4), same, BYTE_SUPER_SCALES);
      }
    }
  }
}

// Widens vectors k to k + 3 and multiplies them by scales, i16 [4 rows][2].
function widen<F>(values: usize, scales: v128, first: usize): void {
  for (let k = first; k < first + 4; k++) {
    const bytes = v128.load(values + (k << 4), 128);
    const to = values + (k << 5);
    const n = is_q6k<F>() ? i8x16.sub(bytes, i8x16.splat(32)) : bytes;
    const low = i16x8.extend_low_i8x16_s(n);
    const top = i16x8.extend_high_i8x16_s(n);
    v128.store(to, i16x8.mul(v128.shuffle<i32>(low, top, 0, 2, 4, 6), scales));
    v128.store(to, i16x8.mul(v128.shuffle<i32>(low, top, 1, 3, 5, 7), scales), 16);
  }
}
