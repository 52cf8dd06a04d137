// Formats of superblocks: how tiles are unpacked for several tokens.

import {
  BYTE_SUPER_BYTES,
  BYTE_SUPER_SCALES,
  BYTE_SUPER_VALUES,
  DOT_MOVED,
  DOT_UNSIGNED,
  Q2K_MINIMA,
  Q6K_SCALES,
  SUPER_BLOCKS,
  SUPER_MINIMA,
  WEIGHT_Q2K,
  WEIGHT_Q4K,
  WEIGHT_Q5K,
  WEIGHT_Q6K,
  WEIGHT_X3K,
  WEIGHT_X4K,
  WIDE_SUPER_BYTES,
  WIDE_SUPER_MINIMA,
  WIDE_SUPER_VALUES,
} from "../layout/blocks";
import { look_up } from "../simd/dot";
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

const BLOCKS: usize = SUPER_BLOCKS;

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

// d, dmin and minima of a header, as unpacked superblocks begin. Scales of blocks with a book stand in for minima.
function unpack_head(layout: i32, head: usize, to: usize): void {
  store<u64>(to, load<u64>(head));
  if (with_minima(layout)) store<u64>(to, load<u64>(head, 8), 8);
  for (let j: usize = 0; j < 4; j++) {
    if (layout === WEIGHT_Q2K) {
      v128.store(to + (j << 4), v128.load(head + (j << 4), Q2K_MINIMA), WIDE_SUPER_MINIMA);
    } else if (with_minima(layout)) {
      v128.store(to + (j << 4), v128.load8x8_u(head + (j << 3), SUPER_MINIMA), WIDE_SUPER_MINIMA);
    } else if (layout === WEIGHT_X4K) {
      const both = v128.load8x8_s(head + (j << 3), Q6K_SCALES);
      const pairs = v128.shuffle<i16>(both, both, 0, 4, 1, 5, 2, 6, 3, 7);
      v128.store(to + (j << 4), pairs, WIDE_SUPER_MINIMA);
    }
  }
}

/** Unpacks `supers` superblocks of a group of `strips` strips: WIDE_SUPER_BYTES for each strip of each. */
export function unpack_super_wide(
  layout: i32,
  from: usize,
  to: usize,
  strips: i32,
  supers: i32,
  book: i32,
): void {
  const tiles = <usize>strips * tile_size(layout);
  const heads = <usize>strips * head_size(layout);
  for (let i = 0; i < supers; i++, from += heads + SUPER_BLOCKS * tiles) {
    for (let s: usize = 0; s < <usize>strips; s++, to += WIDE_SUPER_BYTES) {
      const head = from + s * head_size(layout);
      unpack_head(layout, head, to);
      let tile = from + heads + s * tile_size(layout);
      let values = to + WIDE_SUPER_VALUES;
      let scales = head + scales_of(layout);
      for (let b = 0; b < SUPER_BLOCKS; b++, tile += tiles, values += 256, scales += scales_size(layout)) {
        // Bytes first, into the upper half of their place: there they are read before they are written over.
        unpack_fields(layout, tile, values + 128);
        if (with_book(layout)) look_up_tile(values + 128, book_bytes(book, false));
        const packed = scale_integers(layout, scales);
        const first = with_halves(layout)
          ? v128.shuffle<i16>(packed, packed, 0, 0, 2, 2, 4, 4, 6, 6)
          : twice(packed);
        const second = with_halves(layout)
          ? v128.shuffle<i16>(packed, packed, 1, 1, 3, 3, 5, 5, 7, 7)
          : first;
        widen(layout, values, first, 0);
        widen(layout, values, second, 4);
      }
    }
  }
}

// Replaces the indexes of a tile's 128 bytes by the values of a book.
function look_up_tile(at: usize, book: v128): void {
  for (const stop = at + 128; at < stop; at += 16) v128.store(at, look_up(book, v128.load(at)));
}

/**
 * The same to bytes: BYTE_SUPER_BYTES for each strip of each superblock.
 * dot  DOT_MOVED: scales for pairs; DOT_UNSIGNED: values of books plus 128
 */
export function unpack_super_bytes(
  layout: i32,
  from: usize,
  to: usize,
  strips: i32,
  supers: i32,
  book: i32,
  dot: i32,
): void {
  const tiles = <usize>strips * tile_size(layout);
  const heads = <usize>strips * head_size(layout);
  for (let i = 0; i < supers; i++, from += heads + SUPER_BLOCKS * tiles) {
    for (let s: usize = 0; s < <usize>strips; s++, to += BYTE_SUPER_BYTES) {
      const head = from + s * head_size(layout);
      unpack_head(layout, head, to);
      let tile = from + heads + s * tile_size(layout);
      let scales = head + scales_of(layout);
      for (let b: usize = 0; b < BLOCKS; b++, tile += tiles, scales += scales_size(layout)) {
        const values = to + BYTE_SUPER_VALUES + (b << 7);
        unpack_fields(layout, tile, values);
        if (with_book(layout)) look_up_tile(values, book_bytes(book, dot === DOT_UNSIGNED));
        const packed = scale_integers(layout, scales);
        const whole = dot === DOT_MOVED ? twice(packed) : i32x4.extend_low_i16x8_s(packed);
        const same = with_halves(layout) ? packed : whole;
        v128.store(to + (b << 4), same, BYTE_SUPER_SCALES);
      }
    }
  }
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
