// Formats of superblocks: how rows of files are packed into tiles, and looked up.

import {
  Q2K_MINIMA,
  Q6K_SCALES,
  SUPER_BLOCKS,
  SUPER_MINIMA,
  SUPER_SCALES,
  WEIGHT_Q2K,
  WEIGHT_Q4K,
  WEIGHT_Q5K,
  WEIGHT_Q6K,
  WEIGHT_X3K,
  WEIGHT_X4K,
} from "../layout/blocks";
import { CONST_BOOKS } from "../layout/control";
import { FILE_IQ4_XS } from "../layout/file_types.gen";
import { f16_finite } from "../simd/f16";
import { integer_scale, unit_of } from "../types/integer_scales";
import { decode } from "../types/types.gen";
import { store_scale, store_scaled, tile_scale } from "./scales";
import {
  head_size,
  scales_of,
  scales_size,
  tile_size,
  with_book,
  with_halves,
  with_minima,
} from "./super_layout";

const BLOCKS: usize = SUPER_BLOCKS;

/** Four weights of a row of a tile's vectors, unsigned. */
export function fields_at(layout: i32, tile: usize, k: usize, r: usize): u32 {
  const p = tile + (r << 2);
  if (layout === WEIGHT_Q4K || layout === WEIGHT_X4K) {
    const v = load<u32>(p + ((k & 3) << 4));
    return (k < 4 ? v : v >> 4) & 0x0f0f0f0f;
  }
  if (layout === WEIGHT_Q5K) {
    if (k < 5) return load<u32>(p + (k << 4)) & 0x1f1f1f1f;
    if (k === 5) return ((load<u32>(p) >> 5) & 0x07070707) | ((load<u32>(p, 16) >> 2) & 0x18181818);
    if (k === 6) return ((load<u32>(p, 32) >> 5) & 0x07070707) | ((load<u32>(p, 48) >> 2) & 0x18181818);
    const two = ((load<u32>(p, 16) >> 4) & 0x08080808) | ((load<u32>(p, 48) >> 3) & 0x10101010);
    return ((load<u32>(p, 64) >> 5) & 0x07070707) | two;
  }
  if (layout === WEIGHT_Q2K) return (load<u32>(p + ((k >> 2) << 4)) >> <u32>((k & 3) << 1)) & 0x03030303;
  if (layout === WEIGHT_X3K) {
    if (k < 3) return load<u32>(p + (k << 4)) & 0x07070707;
    if (k < 6) return (load<u32>(p + ((k - 3) << 4)) >> 3) & 0x07070707;
    const third = (load<u32>(p, 32) >> (k === 6 ? 4 : 5)) & 0x04040404;
    return ((load<u32>(p + ((k - 6) << 4)) >> 6) & 0x03030303) | third;
  }
  if (k < 6) return load<u32>(p + (k << 4)) & 0x3f3f3f3f;
  const q = k === 6 ? p : p + 48;
  const upper = ((load<u32>(q, 16) >> 4) & 0x0c0c0c0c) | ((load<u32>(q, 32) >> 2) & 0x30303030);
  return ((load<u32>(q) >> 6) & 0x03030303) | upper;
}

/** Stores 32 weights of a row, unsigned bytes, into a tile: 16 of each half. */
export function store_fields(layout: i32, tile: usize, r: usize, first: v128, second: v128): void {
  const n0 = i32x4.extract_lane(first, 0);
  const n1 = i32x4.extract_lane(first, 1);
  const n2 = i32x4.extract_lane(first, 2);
  const n3 = i32x4.extract_lane(first, 3);
  const n4 = i32x4.extract_lane(second, 0);
  const n5 = i32x4.extract_lane(second, 1);
  const n6 = i32x4.extract_lane(second, 2);
  const n7 = i32x4.extract_lane(second, 3);
  const p = tile + (r << 2);
  if (layout === WEIGHT_Q4K || layout === WEIGHT_X4K) {
    store<u32>(p, n0 | (n4 << 4));
    store<u32>(p, n1 | (n5 << 4), 16);
    store<u32>(p, n2 | (n6 << 4), 32);
    store<u32>(p, n3 | (n7 << 4), 48);
  } else if (layout === WEIGHT_Q5K) {
    store<u32>(p, n0 | ((n5 & 0x07070707) << 5));
    store<u32>(p, n1 | ((n5 & 0x18181818) << 2) | ((n7 & 0x08080808) << 4), 16);
    store<u32>(p, n2 | ((n6 & 0x07070707) << 5), 32);
    store<u32>(p, n3 | ((n6 & 0x18181818) << 2) | ((n7 & 0x10101010) << 3), 48);
    store<u32>(p, n4 | ((n7 & 0x07070707) << 5), 64);
  } else if (layout === WEIGHT_Q2K) {
    store<u32>(p, n0 | (n1 << 2) | (n2 << 4) | (n3 << 6));
    store<u32>(p, n4 | (n5 << 2) | (n6 << 4) | (n7 << 6), 16);
  } else if (layout === WEIGHT_X3K) {
    store<u32>(p, n0 | (n3 << 3) | ((n6 & 0x03030303) << 6));
    store<u32>(p, n1 | (n4 << 3) | ((n7 & 0x03030303) << 6), 16);
    store<u32>(p, n2 | (n5 << 3) | ((n6 & 0x04040404) << 4) | ((n7 & 0x04040404) << 5), 32);
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
function file_fields(layout: i32, src: usize, b: usize, k: usize): u32 {
  if (layout === WEIGHT_Q6K) {
    const half = b >> 2;
    const j = b & 3;
    const low = load<u32>(src + (half << 6) + ((j & 1) << 5) + (k << 2));
    const top = load<u32>(src + (half << 5) + (k << 2), 128);
    return ((j > 1 ? low >> 4 : low) & 0x0f0f0f0f) | (((top >> <u32>(j << 1)) & 0x03030303) << 4);
  }
  if (layout === WEIGHT_Q2K) {
    return (load<u32>(src + ((b >> 2) << 5) + (k << 2), 16) >> <u32>((b & 3) << 1)) & 0x03030303;
  }
  const qs: usize = layout === WEIGHT_Q5K ? 48 : 16;
  const bytes = load<u32>(src + qs + ((b >> 1) << 5) + (k << 2));
  const low = (b & 1 ? bytes >> 4 : bytes) & 0x0f0f0f0f;
  if (layout === WEIGHT_Q4K) return low;
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

// The 4-bit scales and minima of a row's superblock of Q2_K.
function pack_scales_q2k(src: usize, head: usize, r: usize): void {
  for (let i: usize = 0; i < 2 * BLOCKS; i++) {
    const at = head + ((i >> 1) << 3) + (r << 1) + (i & 1);
    const both = load<u8>(src + i);
    store<u8>(at, both & 15, SUPER_SCALES);
    store<u8>(at, both >> 4, Q2K_MINIMA);
  }
}

// The header of row r from one of a file. Returns 1 if d or dmin is NaN or infinite.
function pack_head(layout: i32, src: usize, head: usize, r: usize, shift: i32): i32 {
  const from = layout === WEIGHT_Q6K ? src + 208 : layout === WEIGHT_Q2K ? src + 80 : src;
  const d = load<u16>(from);
  if (!f16_finite(d)) return 1;
  store_scale(d, head + (r << 1), shift);
  if (layout === WEIGHT_Q6K) {
    for (let b: usize = 0; b < BLOCKS; b++) {
      store<u16>(head + (b << 3) + (r << 1), load<u16>(src + (b << 1), 192), Q6K_SCALES);
    }
    return 0;
  }
  const dmin = load<u16>(from, 2);
  if (!f16_finite(dmin)) return 1;
  store_scale(dmin, head + (r << 1) + 8, shift);
  if (layout === WEIGHT_Q2K) pack_scales_q2k(src, head, r);
  else pack_scales(src, head, r);
  return 0;
}

/**
 * Row r of a superblock, from a file's superblock at `src`: nothing is rounded. `step` bytes lead from a tile to that of
 * the next block, `codes` has 32 bytes to work in. Returns 0, or 1 if d or dmin is NaN or infinite.
 */
export function pack_super(
  layout: i32,
  src: usize,
  head: usize,
  tile: usize,
  step: usize,
  r: usize,
  shift: i32,
  codes: usize,
): i32 {
  if (pack_head(layout, src, head, r, shift)) return 1;
  for (let b: usize = 0; b < BLOCKS; b++, tile += step) {
    for (let k: usize = 0; k < 8; k++) store<u32>(codes + (k << 2), file_fields(layout, src, b, k));
    store_fields(layout, tile, r, v128.load(codes), v128.load(codes, 16));
  }
  return 0;
}

/**
 * The same for formats with a book, from any type whose values are d * scale * book[n]: its values are taken apart again,
 * which is exact.
 * scratch  PACK_SCRATCH_BYTES; from 160 on the book's inverse, by invert_book()
 */
export function pack_coded(
  layout: i32,
  file: i32,
  src: usize,
  table: usize,
  head: usize,
  tile: usize,
  step: usize,
  r: usize,
  shift: i32,
  scratch: usize,
): i32 {
  const d = unit_of(file, src);
  if (!(abs(d) <= f32.MAX_VALUE)) return 1;
  store_scaled(d, head + (r << 1), shift);
  const codes = scratch + 128;
  for (let b: usize = 0; b < BLOCKS; b++, tile += step) {
    decode(file, src, table, 0, (<i32>b) << 5, 32, scratch);
    const at = head + scales_of(layout) + b * scales_size(layout);
    for (let half: usize = 0; half < 2; half++) {
      const scale = integer_scale(file, src, <i32>b, <i32>half);
      if (with_halves(layout)) store<i8>(at + (r << 1) + half, <i8>scale);
      else store<i8>(at + r, <i8>scale);
      const unit = d * <f32>scale;
      const inverse: f32 = unit !== 0 ? 1 / unit : 0;
      for (let c = half << 4; c < (half << 4) + 16; c++) {
        const value = <i32>nearest(load<f32>(scratch + (c << 2)) * inverse);
        store<u8>(codes + c, load<u8>(scratch + 160 + <usize>(value + 128)));
      }
    }
    store_fields(layout, tile, r, v128.load(codes), v128.load(codes, 16));
  }
  return 0;
}

/** Writes the inverse of a book: at value + 128 its index, 256 bytes. */
export function invert_book(book: i32, to: usize): void {
  memory.fill(to, 0, 256);
  const values = CONST_BOOKS + ((<usize>book) << 4);
  // Books of less than 16 values end with zeros: the first of equal values counts.
  for (let i = 15; i >= 0; i--) store<u8>(to + <usize>(<i32>load<i8>(values + <usize>i) + 128), <u8>i);
}

/** The same for IQ4_XS, whose nibbles lie as those of tiles. */
export function pack_iq4_xs(src: usize, head: usize, tile: usize, step: usize, r: usize, shift: i32): i32 {
  const d = load<u16>(src);
  if (!f16_finite(d)) return 1;
  store_scale(d, head + (r << 1), shift);
  for (let b: usize = 0; b < BLOCKS; b++, tile += step) {
    store<i8>(head + (b << 2) + r, <i8>integer_scale(FILE_IQ4_XS, src, <i32>b, 0), Q6K_SCALES);
    const from = src + 8 + (b << 4);
    for (let v: usize = 0; v < 4; v++) store<u32>(tile + (v << 4) + (r << 2), load<u32>(from + (v << 2)));
  }
  return 0;
}

/** Zeros as row r of a superblock. */
export function zero_super(layout: i32, head: usize, tile: usize, step: usize, r: usize): void {
  store<u16>(head + (r << 1), 0);
  if (with_minima(layout)) store<u16>(head + (r << 1) + 8, 0);
  for (let b: usize = 0; b < BLOCKS; b++, tile += step) {
    const at = head + scales_of(layout) + b * scales_size(layout);
    if (with_halves(layout)) store<u16>(at + (r << 1), 0);
    else store<u8>(at + r, 0);
    if (layout === WEIGHT_Q2K) store<u16>(head + (b << 3) + (r << 1), 0, Q2K_MINIMA);
    else if (with_minima(layout)) store<u8>(head + ((b >> 1) << 3) + (r << 1) + (b & 1), 0, SUPER_MINIMA);
    for (let v: usize = 0; v < tile_size(layout); v += 16) store<u32>(tile + v + (r << 2), 0);
  }
}

/** out[c] = W[r, c] * scale of a row of a group whose first superblock is at `column`; `size` strips, the row's is `s`. */
export function embed_row_super(
  layout: i32,
  column: usize,
  size: usize,
  s: usize,
  r: usize,
  blocks: i32,
  factor: f32,
  scale: f32,
  book: i32,
  out: usize,
): void {
  const values = CONST_BOOKS + ((<usize>book) << 4);
  const tiles = size * tile_size(layout);
  for (let b = 0; b < blocks; b += SUPER_BLOCKS) {
    const head = column + s * head_size(layout);
    let tile = column + size * head_size(layout) + s * tile_size(layout);
    const d = f32x4.extract_lane(tile_scale(head + (r << 1), factor), 0);
    const dmin = with_minima(layout) ? f32x4.extract_lane(tile_scale(head + (r << 1) + 8, factor), 0) : 0;
    for (let i: usize = 0; i < BLOCKS; i++, tile += tiles) {
      const at = head + scales_of(layout) + i * scales_size(layout);
      for (let k: usize = 0; k < 8; k++, out += 16) {
        const q = fields_at(layout, tile, k, r);
        const side = with_halves(layout) ? (r << 1) + (k >> 2) : r;
        const step = d * (!with_minima(layout) ? <f32>load<i8>(at + side) : <f32>load<u8>(at + side));
        let m: f32 = 0;
        if (layout === WEIGHT_Q2K) m = dmin * <f32>load<u8>(head + (i << 3) + side, Q2K_MINIMA);
        else if (with_minima(layout))
          m = dmin * <f32>load<u8>(head + ((i >> 1) << 3) + (r << 1) + (i & 1), SUPER_MINIMA);
        for (let c: usize = 0; c < 4; c++) {
          let n = <i32>((q >> <u32>(c << 3)) & 255);
          if (with_book(layout)) n = load<i8>(values + <usize>n);
          else if (layout === WEIGHT_Q6K) n -= 32;
          const product = step * <f32>n;
          store<f32>(out + (c << 2), (with_minima(layout) ? product - m : product) * scale);
        }
      }
    }
    column += size * (head_size(layout) + SUPER_BLOCKS * tile_size(layout));
  }
}
