// Formats of superblocks: how tiles are unpacked for several tokens.

import {
  BYTE_SUPER_BYTES,
  BYTE_SUPER_SCALES,
  BYTE_SUPER_VALUES,
  DOT_MOVED,
  DOT_UNSIGNED,
  Q2K_MINIMA,
  Q2K_TILE_BYTES,
  Q4K_TILE_BYTES,
  Q5K_TILE_BYTES,
  Q6K_SCALES,
  Q6K_TILE_BYTES,
  SUPER_LESS,
  SUPER_MINIMA,
  SUPER_SECOND,
  WEIGHT_Q2K,
  WEIGHT_Q4K,
  WEIGHT_Q5K,
  WEIGHT_Q6K,
  WEIGHT_X4K,
  WIDE_SUPER_BYTES,
  WIDE_SUPER_VALUES,
  X3K_TILE_BYTES,
} from "../layout/blocks";
import { CONST_FIELDS, CONST_LOW_NIBBLES } from "../layout/control";
import { look_up } from "../simd/dot";
import { f16_mask, load_scales } from "../simd/f16";
import { high } from "../simd/nibbles";
import { book_bytes, twice } from "./fields";
import {
  head_size,
  scale_integers,
  scales_of,
  scales_size,
  super_size,
  tile_size,
  with_book,
  with_halves,
  with_minima,
} from "./super_layout";

// Superblocks that are unpacked side by side. Memory gives one reader of x86 a little more than half of what it gives four:
// no prefetcher runs further ahead than some 20 lines.
const STREAMS: i32 = 4;

// Each function below goes over the tiles of a block, one strip after the other: `tile` and `to` are those of the first
// strip, `size` is how far apart strips are in `to`, whose tiles end at `stop`. Bodies are not loops, because the test that
// V8 makes in each turn of one costs as much as a vector.

// Stores vectors of tiles as unsigned bytes.
function unpack_fields(layout: i32, tile: usize, to: usize, stop: usize, size: usize): void {
  if (layout === WEIGHT_Q4K || layout === WEIGHT_X4K) unpack_nibbles(tile, to, stop, size);
  else if (layout === WEIGHT_Q5K) unpack_q5k(tile, to, stop, size);
  else if (layout === WEIGHT_Q6K) unpack_q6k(tile, to, stop, size);
  else if (layout === WEIGHT_Q2K) unpack_q2k(tile, to, stop, size);
  else unpack_x3k(tile, to, stop, size);
}

function unpack_nibbles(tile: usize, to: usize, stop: usize, size: usize): void {
  const nibbles = v128.load(CONST_LOW_NIBBLES);
  for (; to < stop; to += size, tile += Q4K_TILE_BYTES) {
    const u = v128.load(tile);
    const v = v128.load(tile, 16);
    const w = v128.load(tile, 32);
    const z = v128.load(tile, 48);
    v128.store(to, v128.and(u, nibbles));
    v128.store(to, v128.and(v, nibbles), 16);
    v128.store(to, v128.and(w, nibbles), 32);
    v128.store(to, v128.and(z, nibbles), 48);
    v128.store(to, high(u, nibbles), 64);
    v128.store(to, high(v, nibbles), 80);
    v128.store(to, high(w, nibbles), 96);
    v128.store(to, high(z, nibbles), 112);
  }
}

function unpack_q5k(tile: usize, to: usize, stop: usize, size: usize): void {
  const low = v128.load(CONST_FIELDS);
  const three = v128.load(CONST_FIELDS, 16);
  const four = v128.load(CONST_FIELDS, 32);
  const bit3 = v128.load(CONST_FIELDS, 48);
  const bit4 = v128.xor(four, bit3);
  for (; to < stop; to += size, tile += Q5K_TILE_BYTES) {
    const v0 = v128.load(tile);
    const v1 = v128.load(tile, 16);
    const v2 = v128.load(tile, 32);
    const v3 = v128.load(tile, 48);
    const v4 = v128.load(tile, 64);
    v128.store(to, v128.and(v0, low));
    v128.store(to, v128.and(v1, low), 16);
    v128.store(to, v128.and(v2, low), 32);
    v128.store(to, v128.and(v3, low), 48);
    v128.store(to, v128.and(v4, low), 64);
    v128.store(to, v128.or(shifted(v0, 5, three), shifted(v1, 2, four)), 80);
    v128.store(to, v128.or(shifted(v2, 5, three), shifted(v3, 2, four)), 96);
    const upper = v128.or(shifted(v1, 4, bit3), shifted(v3, 3, bit4));
    v128.store(to, v128.or(shifted(v4, 5, three), upper), 112);
  }
}

function unpack_q6k(tile: usize, to: usize, stop: usize, size: usize): void {
  const low = v128.load(CONST_FIELDS, 64);
  const two = v128.load(CONST_FIELDS, 80);
  const bits23 = v128.load(CONST_FIELDS, 96);
  const bits45 = v128.load(CONST_FIELDS, 112);
  for (; to < stop; to += size, tile += Q6K_TILE_BYTES) {
    const v0 = v128.load(tile);
    const v1 = v128.load(tile, 16);
    const v2 = v128.load(tile, 32);
    const v3 = v128.load(tile, 48);
    const v4 = v128.load(tile, 64);
    const v5 = v128.load(tile, 80);
    v128.store(to, v128.and(v0, low));
    v128.store(to, v128.and(v1, low), 16);
    v128.store(to, v128.and(v2, low), 32);
    v128.store(to, v128.and(v3, low), 48);
    v128.store(to, v128.and(v4, low), 64);
    v128.store(to, v128.and(v5, low), 80);
    v128.store(to, v128.or(shifted(v0, 6, two), v128.or(shifted(v1, 4, bits23), shifted(v2, 2, bits45))), 96);
    v128.store(
      to,
      v128.or(shifted(v3, 6, two), v128.or(shifted(v4, 4, bits23), shifted(v5, 2, bits45))),
      112,
    );
  }
}

function unpack_q2k(tile: usize, to: usize, stop: usize, size: usize): void {
  const two = v128.load(CONST_FIELDS, 80);
  for (; to < stop; to += size, tile += Q2K_TILE_BYTES) {
    const u = v128.load(tile);
    const v = v128.load(tile, 16);
    v128.store(to, v128.and(u, two));
    v128.store(to, shifted(u, 2, two), 16);
    v128.store(to, shifted(u, 4, two), 32);
    v128.store(to, shifted(u, 6, two), 48);
    v128.store(to, v128.and(v, two), 64);
    v128.store(to, shifted(v, 2, two), 80);
    v128.store(to, shifted(v, 4, two), 96);
    v128.store(to, shifted(v, 6, two), 112);
  }
}

function unpack_x3k(tile: usize, to: usize, stop: usize, size: usize): void {
  const three = v128.load(CONST_FIELDS, 16);
  const two = v128.load(CONST_FIELDS, 80);
  const bit2 = v128.xor(three, two);
  for (; to < stop; to += size, tile += X3K_TILE_BYTES) {
    const u = v128.load(tile);
    const v = v128.load(tile, 16);
    const w = v128.load(tile, 32);
    v128.store(to, v128.and(u, three));
    v128.store(to, v128.and(v, three), 16);
    v128.store(to, v128.and(w, three), 32);
    v128.store(to, shifted(u, 3, three), 48);
    v128.store(to, shifted(v, 3, three), 64);
    v128.store(to, shifted(w, 3, three), 80);
    v128.store(to, v128.or(shifted(u, 6, two), shifted(w, 4, bit2)), 96);
    v128.store(to, v128.or(shifted(v, 6, two), shifted(w, 5, bit2)), 112);
  }
}

// The bits of `mask` in every byte, after a shift.
function shifted(v: v128, by: i32, mask: v128): v128 {
  return v128.and(i16x8.shr_u(v, by), mask);
}

// d, dmin and what is taken off sums, as unpacked superblocks begin. Scales stand in for minima.
function unpack_head(layout: i32, head: usize, to: usize): void {
  const mask = f16_mask();
  v128.store(to, load_scales(head, mask));
  if (with_minima(layout)) v128.store(to, load_scales(head + 8, mask), SUPER_SECOND);
  if (with_minima(layout)) {
    const from = head + (layout === WEIGHT_Q2K ? Q2K_MINIMA : SUPER_MINIMA);
    four_minima(from, to);
    if (layout === WEIGHT_Q2K) four_minima(from + 32, to + 64);
    return;
  }
  const vectors: usize = with_halves(layout) ? 64 : 32;
  for (let j: usize = 0; j < vectors; j += 8, to += 16) {
    let both = v128.load8x8_s(head + j, Q6K_SCALES);
    if (layout === WEIGHT_X4K) both = v128.shuffle<i16>(both, both, 0, 4, 1, 5, 2, 6, 3, 7);
    v128.store(to, both, SUPER_LESS);
  }
}

function four_minima(from: usize, to: usize): void {
  v128.store(to, v128.load8x8_u(from), SUPER_LESS);
  v128.store(to, v128.load8x8_u(from, 8), SUPER_LESS + 16);
  v128.store(to, v128.load8x8_u(from, 16), SUPER_LESS + 32);
  v128.store(to, v128.load8x8_u(from, 24), SUPER_LESS + 48);
}

/**
 * Unpacks `supers` superblocks of a group of `strips` strips, each with its strips in the order in which tiles lie.
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
  values: bool,
): void {
  const size = <usize>strips * super_size(layout);
  const step = <usize>strips * (bytes ? BYTE_SUPER_BYTES : WIDE_SUPER_BYTES);
  const streams = min(supers, STREAMS);
  const length = supers / streams;
  const gap = <usize>length * size;
  const toGap = <usize>length * step;
  let i = 0;
  for (; i < length; i++, from += size, to += step) {
    unpack_supers(layout, from, to, streams, gap, toGap, strips, book, dot, bytes, values);
  }
  from += <usize>(streams - 1) * gap;
  to += <usize>(streams - 1) * toGap;
  for (i *= streams; i < supers; i++, from += size, to += step) {
    unpack_supers(layout, from, to, 1, size, step, strips, book, dot, bytes, values);
  }
}

// The next superblock of each stream, a block of each in turn.
function unpack_supers(
  layout: i32,
  from: usize,
  to: usize,
  streams: i32,
  gap: usize,
  toGap: usize,
  strips: i32,
  book: i32,
  dot: i32,
  bytes: bool,
  hasValues: bool,
): void {
  const values = book_bytes(book, bytes && dot === DOT_UNSIGNED);
  const size: usize = bytes ? BYTE_SUPER_BYTES : WIDE_SUPER_BYTES;
  const last = from + <usize>streams * gap;
  const step = <usize>strips * size;
  let at = to;
  for (let s = from; s < last; s += gap, at += toGap) {
    let head = s;
    for (let t = at; t < at + step; t += size, head += head_size(layout)) unpack_head(layout, head, t);
  }
  const tiles = <usize>strips * tile_size(layout);
  const heads = <usize>strips * head_size(layout);
  for (let b: usize = 0; b < 8; b++) {
    const scales = scales_of(layout) + b * scales_size(layout);
    const tile = heads + b * tiles;
    // What is widened are bytes first, in the upper half of their place: there they are read before they are written over.
    const value = bytes ? (b << 7) + BYTE_SUPER_VALUES : (b << 8) + (WIDE_SUPER_VALUES + 128);
    at = to;
    for (let s = from; s < last; s += gap, at += toGap) {
      const stop = at + step;
      if (hasValues) unpack_fields(layout, s + tile, at + value, stop + value, size);
      if (with_book(layout)) look_up_tiles(at + value, stop + value, size, values);
      if (bytes) byte_scales(layout, dot, s + scales, at + (b << 4), stop + (b << 4));
      else widen_tiles(layout, at + value - 128, stop + value - 128, s + scales);
    }
  }
}

// Replaces the indexes of tiles by the values of a book.
function look_up_tiles(to: usize, stop: usize, size: usize, book: v128): void {
  for (; to < stop; to += size) {
    look_up_two(to, book);
    look_up_two(to + 32, book);
    look_up_two(to + 64, book);
    look_up_two(to + 96, book);
  }
}

function look_up_two(to: usize, book: v128): void {
  v128.store(to, look_up(book, v128.load(to)));
  v128.store(to, look_up(book, v128.load(to, 16)), 16);
}

// Scales of a block of each strip, in the form that sums of bytes take.
function byte_scales(layout: i32, dot: i32, scales: usize, to: usize, stop: usize): void {
  const step = head_size(layout);
  const signed = !with_minima(layout);
  const halves = with_halves(layout);
  const pairs = dot === DOT_MOVED;
  for (; to < stop; to += BYTE_SUPER_BYTES, scales += step) {
    const s = signed ? v128.load8x8_s(scales) : v128.load8x8_u(scales);
    const own = halves ? s : pairs ? twice(s) : i32x4.extend_low_i16x8_s(s);
    v128.store(to, own, BYTE_SUPER_SCALES);
  }
}

function widen_tiles(layout: i32, to: usize, stop: usize, scales: usize): void {
  const halves = with_halves(layout);
  const less = i8x16.splat(layout === WEIGHT_Q6K ? 32 : 0);
  const step = head_size(layout);
  for (; to < stop; to += WIDE_SUPER_BYTES, scales += step) {
    const s = scale_integers(layout, scales);
    const same = twice(s);
    const first = halves ? v128.shuffle<i16>(s, s, 0, 0, 2, 2, 4, 4, 6, 6) : same;
    const second = halves ? v128.shuffle<i16>(s, s, 1, 1, 3, 3, 5, 5, 7, 7) : same;
    widen(to, 0, first, less);
    widen(to, 1, first, less);
    widen(to, 2, first, less);
    widen(to, 3, first, less);
    widen(to, 4, second, less);
    widen(to, 5, second, less);
    widen(to, 6, second, less);
    widen(to, 7, second, less);
  }
}

// Widens vector k of bytes, less what they are above their values, and multiplies it by scales, i16 [4 rows][2].
function widen(values: usize, k: usize, scales: v128, less: v128): void {
  const n = i8x16.sub(v128.load(values + (k << 4), 128), less);
  const to = values + (k << 5);
  const low = i16x8.extend_low_i8x16_s(n);
  const top = i16x8.extend_high_i8x16_s(n);
  v128.store(to, i16x8.mul(v128.shuffle<i32>(low, top, 0, 2, 4, 6), scales));
  v128.store(to, i16x8.mul(v128.shuffle<i32>(low, top, 1, 3, 5, 7), scales), 16);
}
