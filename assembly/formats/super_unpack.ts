// Formats of superblocks: how tiles are unpacked for several tokens.

import {
  BYTE_SUPER_BYTES,
  BYTE_SUPER_SCALES,
  BYTE_SUPER_VALUES,
  DOT_MOVED,
  DOT_UNSIGNED,
  Q2K_MINIMA,
  Q6K_SCALES,
  SUPER_LESS,
  SUPER_MINIMA,
  SUPER_SECOND,
  WEIGHT_Q2K,
  WEIGHT_Q4K,
  WEIGHT_Q5K,
  WEIGHT_Q6K,
  WEIGHT_X3K,
  WEIGHT_X4K,
  WIDE_SUPER_BYTES,
  WIDE_SUPER_VALUES,
} from "../layout/blocks";
import { look_up } from "../simd/dot";
import { f16_mask, load_scales } from "../simd/f16";
import { high } from "../simd/nibbles";
import { book_bytes, twice } from "./fields";
import {
  head_size,
  scale_integers,
  scales_of,
  scales_size,
  tile_size,
  with_book,
  with_halves,
  with_minima,
} from "./super_layout";

// Stores vectors of a tile as unsigned bytes.
function unpack_fields(layout: i32, tile: usize, to: usize): void {
  if (layout === WEIGHT_Q4K || layout === WEIGHT_X4K) {
    const nibbles = i8x16.splat(15);
    for (let v: usize = 0; v < 64; v += 16) {
      const bytes = v128.load(tile + v);
      v128.store(to + v, v128.and(bytes, nibbles));
      v128.store(to + v, high(bytes, nibbles), 64);
    }
    return;
  }
  if (layout === WEIGHT_Q5K) {
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
  if (layout === WEIGHT_Q2K) {
    const two = i8x16.splat(3);
    for (let v: usize = 0; v < 32; v += 16, to += 64) {
      const bytes = v128.load(tile + v);
      v128.store(to, v128.and(bytes, two));
      v128.store(to, v128.and(i16x8.shr_u(bytes, 2), two), 16);
      v128.store(to, v128.and(i16x8.shr_u(bytes, 4), two), 32);
      v128.store(to, v128.and(i16x8.shr_u(bytes, 6), two), 48);
    }
    return;
  }
  if (layout === WEIGHT_X3K) {
    const three = i8x16.splat(7);
    for (let v: usize = 0; v < 48; v += 16) {
      const bytes = v128.load(tile + v);
      v128.store(to + v, v128.and(bytes, three));
      v128.store(to + v, v128.and(i16x8.shr_u(bytes, 3), three), 48);
    }
    const last = v128.load(tile, 32);
    const two = i8x16.splat(3);
    const bit2 = i8x16.splat(4);
    const n6 = v128.and(i16x8.shr_u(v128.load(tile), 6), two);
    const n7 = v128.and(i16x8.shr_u(v128.load(tile, 16), 6), two);
    v128.store(to, v128.or(n6, v128.and(i16x8.shr_u(last, 4), bit2)), 96);
    v128.store(to, v128.or(n7, v128.and(i16x8.shr_u(last, 5), bit2)), 112);
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

// d, dmin and what is taken off sums, as unpacked superblocks begin. Scales stand in for minima.
function unpack_head(layout: i32, head: usize, to: usize): void {
  const mask = f16_mask();
  v128.store(to, load_scales(head, mask));
  if (with_minima(layout)) v128.store(to, load_scales(head + 8, mask), SUPER_SECOND);
  const vectors: usize = with_halves(layout) ? 8 : 4;
  const from = head + (layout === WEIGHT_Q2K ? Q2K_MINIMA : with_minima(layout) ? SUPER_MINIMA : Q6K_SCALES);
  for (let j: usize = 0; j < vectors; j++) {
    const at = from + (j << 3);
    let both = with_minima(layout) ? v128.load8x8_u(at) : v128.load8x8_s(at);
    if (layout === WEIGHT_X4K) both = v128.shuffle<i16>(both, both, 0, 4, 1, 5, 2, 6, 3, 7);
    v128.store(to + (j << 4), both, SUPER_LESS);
  }
}

/**
 * Unpacks `supers` superblocks of a group of `strips` strips, in the order in which tiles lie.
 * bytes  BYTE_SUPER_BYTES for each strip of each superblock; false: WIDE_SUPER_BYTES
 * dot    bytes: DOT_MOVED: scales for pairs; DOT_UNSIGNED: values of books plus 128
 */
export function unpack_super(
  layout: i32,
  from: usize,
  to: usize,
  strips: i32,
  supers: i32,
  book: i32,
  dot: i32,
  bytes: bool,
): void {
  const values = book_bytes(book, bytes && dot === DOT_UNSIGNED);
  const size: usize = bytes ? BYTE_SUPER_BYTES : WIDE_SUPER_BYTES;
  const step = <usize>strips * size;
  for (let i = 0; i < supers; i++) {
    const stop = to + step;
    let head = from;
    for (let t = to; t < stop; t += size, head += head_size(layout)) unpack_head(layout, head, t);
    let tile = head;
    for (let b: usize = 0; b < 8; b++) {
      let scales = from + scales_of(layout) + b * scales_size(layout);
      for (let t = to; t < stop; t += size, tile += tile_size(layout), scales += head_size(layout)) {
        const packed = scale_integers(layout, scales);
        // What is widened are bytes first, in the upper half of their place: there they are read before they are written over.
        const at = bytes ? t + (b << 7) + BYTE_SUPER_VALUES : t + (b << 8) + (WIDE_SUPER_VALUES + 128);
        unpack_fields(layout, tile, at);
        if (with_book(layout)) look_up_tile(at, values);
        if (bytes) v128.store(t + (b << 4), byte_scales(layout, dot, packed), BYTE_SUPER_SCALES);
        else widen_tile(layout, at - 128, packed);
      }
    }
    from = tile;
    to = stop;
  }
}

// Replaces the indexes of a tile's 128 bytes by the values of a book.
function look_up_tile(at: usize, book: v128): void {
  for (const stop = at + 128; at < stop; at += 16) v128.store(at, look_up(book, v128.load(at)));
}

// A block's scales in the form that sums of bytes take.
function byte_scales(layout: i32, dot: i32, scales: v128): v128 {
  if (with_halves(layout)) return scales;
  return dot === DOT_MOVED ? twice(scales) : i32x4.extend_low_i16x8_s(scales);
}

function widen_tile(layout: i32, values: usize, scales: v128): void {
  const halves = with_halves(layout);
  const same = twice(scales);
  widen(layout, values, halves ? v128.shuffle<i16>(scales, scales, 0, 0, 2, 2, 4, 4, 6, 6) : same, 0);
  widen(layout, values, halves ? v128.shuffle<i16>(scales, scales, 1, 1, 3, 3, 5, 5, 7, 7) : same, 4);
}

// Widens vectors k to k + 3 and multiplies them by scales, i16 [4 rows][2].
function widen(layout: i32, values: usize, scales: v128, first: usize): void {
  for (let k = first; k < first + 4; k++) {
    const bytes = v128.load(values + (k << 4), 128);
    const to = values + (k << 5);
    const n = layout === WEIGHT_Q6K ? i8x16.sub(bytes, i8x16.splat(32)) : bytes;
    const low = i16x8.extend_low_i8x16_s(n);
    const top = i16x8.extend_high_i8x16_s(n);
    v128.store(to, i16x8.mul(v128.shuffle<i32>(low, top, 0, 2, 4, 6), scales));
    v128.store(to, i16x8.mul(v128.shuffle<i32>(low, top, 1, 3, 5, 7), scales), 16);
  }
}
