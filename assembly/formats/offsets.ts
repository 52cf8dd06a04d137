// Formats of blocks of 32 columns whose tiles hold what file blocks hold: nl (nibbles that are looked up in a book of 16
// values), q4m and q5 (nibbles or 5 bits, with a scale and a minimum). What is particular to them: how blocks of files become
// tiles, and the products with int8 activations.
//
// F is the code of a format: u8 nl, i8 q4m, u16 q5. Nibbles lie as in q4, 5 bits as in q5k. Bytes of q4m, q5 and of the second
// book are under 128, so every engine with relaxed SIMD takes them as they are.
import {
  ACT_BLOCK_BYTES,
  ACT_SCALE,
  ACT_SUMS,
  BLOCK_COLS,
  DOT_MOVED,
  DOT_SIGNED,
  DOT_WIDE,
  MINIMUM_TILE_BYTES,
  Q4_TILE_BYTES,
  Q4M_TILE_BYTES,
  Q5_TILE_BYTES,
  Q8_TILE_BYTES,
  TILE_MINIMA,
  WEIGHT_MXFP4,
  WEIGHT_NL,
  WEIGHT_Q4K,
  WEIGHT_Q4M,
  WEIGHT_Q5,
  WEIGHT_Q5K,
  WIDE_TILE_VALUES,
} from "../layout/blocks";
import {
  CONST_FIELDS,
  CONST_LOW_NIBBLES,
  CONST_OFFSET_BOOKS,
  CONST_ONES_16,
  CONTROL_PACKED,
  PACKED_LARGE_SCALE,
} from "../layout/control";
import { FILE_Q5_0 } from "../layout/file_types.gen";
import { look_up, RELAXED } from "../simd/dot";
import { f16_finite, f16_mask, load_f16, load_scales, to_f16 } from "../simd/f16";
import { high } from "../simd/nibbles";
import { set_bits } from "../sync";
import { bit_mask } from "../types/values";
import { sum8 } from "./fields";
import { accumulate, accumulate_both } from "./groups";
import { is_packed_q8, multiply_group_q8 } from "./q8";
import { copy_scales, scale4, store_scale, store_transposed, tile_scale } from "./scales";
import { fields_at, store_fields } from "./super_pack";
import { multiply, store_wide, WIDE_TILE } from "./tiles";

function is_nl<F>(): bool {
  return sizeof<F>() === 1 && !isSigned<F>();
}

function is_q5<F>(): bool {
  return sizeof<F>() === 2;
}

function bytes_of<F>(): usize {
  return is_nl<F>() ? Q4_TILE_BYTES : is_q5<F>() ? Q5_TILE_BYTES : Q4M_TILE_BYTES;
}

// Where fields begin in a tile.
function values_of<F>(): usize {
  return is_nl<F>() ? TILE_MINIMA : 2 * TILE_MINIMA;
}

/** Whether tiles of a format have minima behind their scales. */
export function has_tile_minima(weight: i32): bool {
  return weight >= WEIGHT_Q4M;
}

/** Bytes of a tile of a format of this file. */
export function offset_tile_bytes(weight: i32): i32 {
  return weight === WEIGHT_Q5 ? Q5_TILE_BYTES : weight === WEIGHT_Q4M ? Q4M_TILE_BYTES : Q4_TILE_BYTES;
}

// Where fields begin in a tile.
function tile_values(weight: i32): usize {
  return has_tile_minima(weight) ? 2 * TILE_MINIMA : TILE_MINIMA;
}

// ---- Books of nibbles: values above zero by 128, by 16 if that makes all of them positive, or nibbles as they are. Looking up
// and copying q4 are the same, and so done here.

function book_of(weight: i32): usize {
  return CONST_OFFSET_BOOKS + (weight === WEIGHT_NL ? 0 : weight === WEIGHT_MXFP4 ? 16 : 32);
}

// What a book is above its values, in eighths: activation blocks have -8 * sum(x).
function starts_of(weight: i32): i32 {
  return weight === WEIGHT_NL ? 16 : weight === WEIGHT_MXFP4 ? 2 : weight < WEIGHT_NL ? 1 : 0;
}

// The values of a book as int8.
function signed_book(weight: i32): v128 {
  return i8x16.sub(v128.load(book_of(weight)), i8x16.splat(<i8>(starts_of(weight) << 3)));
}

// ---- Fields of tiles.

function low<F>(v: v128, mask: v128, book: v128): v128 {
  const n = v128.and(v, mask);
  return is_nl<F>() ? look_up(book, n) : n;
}

function top<F>(v: v128, mask: v128, book: v128): v128 {
  const n = high(v, mask);
  return is_nl<F>() ? look_up(book, n) : n;
}

// Five bits of which the lower three are the upper ones of `a`, and the upper two bits 5 and 6 of `b`.
function five(a: v128, b: v128, low3: v128, bits34: v128): v128 {
  return v128.or(v128.and(i16x8.shr_u(a, 5), low3), v128.and(i16x8.shr_u(b, 2), bits34));
}

// Five bits: the upper ones of `a`, bit 7 of `b` and of `c`.
function last_five(a: v128, b: v128, c: v128, low3: v128, bits34: v128): v128 {
  const bit3 = v128.load(CONST_FIELDS, 48);
  const bit4 = v128.xor(bits34, bit3);
  const two = v128.or(v128.and(i16x8.shr_u(b, 4), bit3), v128.and(i16x8.shr_u(c, 3), bit4));
  return v128.or(v128.and(i16x8.shr_u(a, 5), low3), two);
}

// ---- One token.

// As walk() in q8.ts. `book` is that of nl, and `multiple` what its sums start with; of others, ones.
function walk<T, F>(
  column: usize,
  x: usize,
  out: usize,
  streams: i32,
  gap: usize,
  strips: i32,
  blocks: i32,
  factor: f32,
  book: v128,
  multiple: v128,
): void {
  const fields = v128.load(is_q5<F>() ? CONST_FIELDS : CONST_LOW_NIBBLES);
  const low3 = is_q5<F>() ? v128.load(CONST_FIELDS, 16) : fields;
  const bits34 = is_q5<F>() ? v128.load(CONST_FIELDS, 32) : fields;
  const mask = f16_mask();
  const power = f32x4.splat(factor);
  const step = <usize>strips * bytes_of<F>();
  const rowBytes = (<usize>strips) << 4;
  const rowGap = (gap / (step * <usize>blocks)) * rowBytes;
  const stop = x + <usize>blocks * ACT_BLOCK_BYTES;
  const ends = <usize>streams * rowGap;
  for (let xp = x; xp < stop; xp += ACT_BLOCK_BYTES, column += step) {
    const xs = f32x4.mul(v128.load32_splat(xp, ACT_SCALE), power);
    const start = i32x4.dot_i16x8_s(v128.load32_splat(xp, ACT_SUMS), multiple);
    const sum = is_nl<F>() ? start : f32x4.mul(f32x4.convert_i32x4_s(start), f32x4.splat(-0.125));
    const x0 = activation4<T>(v128.load32_splat(xp));
    const x1 = activation4<T>(v128.load32_splat(xp, 4));
    const x2 = activation4<T>(v128.load32_splat(xp, 8));
    const x3 = activation4<T>(v128.load32_splat(xp, 12));
    const x4 = activation4<T>(v128.load32_splat(xp, 16));
    const x5 = activation4<T>(v128.load32_splat(xp, 20));
    const x6 = activation4<T>(v128.load32_splat(xp, 24));
    const x7 = activation4<T>(v128.load32_splat(xp, 28));
    let from = column;
    const sides = out + rowBytes;
    for (let row0 = out; row0 < sides; row0 += 16, from += bytes_of<F>()) {
      const end = row0 + ends;
      let tile = from;
      for (let row = row0; row < end; row += rowGap, tile += gap) {
        const p = tile + values_of<F>();
        const v0 = v128.load(p);
        const v1 = v128.load(p, 16);
        const v2 = v128.load(p, 32);
        const v3 = v128.load(p, 48);
        const v4 = is_q5<F>() ? v128.load(p, 64) : v0;
        const integers = sum8<T>(
          low<F>(v0, fields, book),
          low<F>(v1, fields, book),
          low<F>(v2, fields, book),
          low<F>(v3, fields, book),
          is_q5<F>() ? low<F>(v4, fields, book) : top<F>(v0, fields, book),
          is_q5<F>() ? five(v0, v1, low3, bits34) : top<F>(v1, fields, book),
          is_q5<F>() ? five(v2, v3, low3, bits34) : top<F>(v2, fields, book),
          is_q5<F>() ? last_five(v4, v1, v3, low3, bits34) : top<F>(v3, fields, book),
          x0,
          x1,
          x2,
          x3,
          x4,
          x5,
          x6,
          x7,
        );
        const scales = load_scales(tile, mask);
        if (is_nl<F>()) accumulate(row, i32x4.add(integers, start), scales, xs);
        else accumulate_both(row, integers, scales, load_scales(tile + TILE_MINIMA, mask), xs, sum);
      }
    }
  }
}

function activation4<T>(x: v128): v128 {
  return sizeof<T>() === 2 ? i16x8.extend_low_i8x16_s(x) : x;
}

/** walk() of formats.ts. */
export function walk_offsets(
  weight: i32,
  dot: i32,
  column: usize,
  x: usize,
  out: usize,
  streams: i32,
  gap: usize,
  strips: i32,
  blocks: i32,
  factor: f32,
): void {
  if (weight === WEIGHT_Q5) {
    walk_minima<u16>(column, x, out, streams, gap, strips, blocks, factor);
    return;
  }
  if (weight === WEIGHT_Q4M) {
    walk_minima<i8>(column, x, out, streams, gap, strips, blocks, factor);
    return;
  }
  const signed = dot === DOT_SIGNED && weight === WEIGHT_NL;
  const book = signed ? signed_book(weight) : v128.load(book_of(weight));
  const multiple = i16x8.splat(signed ? 0 : <i16>starts_of(weight));
  // Bytes over 127 need an engine that takes them.
  if (RELAXED && (as_bytes(dot) || weight === WEIGHT_MXFP4)) {
    walk<u8, u8>(column, x, out, streams, gap, strips, blocks, factor, book, multiple);
  } else {
    walk<i16, u8>(column, x, out, streams, gap, strips, blocks, factor, book, multiple);
  }
}

function walk_minima<F>(
  column: usize,
  x: usize,
  out: usize,
  streams: i32,
  gap: usize,
  strips: i32,
  blocks: i32,
  factor: f32,
): void {
  const ones = v128.load(CONST_ONES_16);
  if (RELAXED) walk<u8, F>(column, x, out, streams, gap, strips, blocks, factor, ones, ones);
  else walk<i16, F>(column, x, out, streams, gap, strips, blocks, factor, ones, ones);
}

// ---- Several tokens.

// Whether nl is multiplied as bytes, as q8 is.
function as_bytes(dot: i32): bool {
  return RELAXED && dot !== DOT_WIDE && dot !== DOT_MOVED;
}

/** Unpacks tiles to bytes or to i16. */
export function unpack_offsets(weight: i32, dot: i32, many: bool, from: usize, to: usize, tiles: i32): void {
  const minima = has_tile_minima(weight);
  const wide = minima ? !RELAXED : !is_packed_q8(dot, many);
  const values = tile_values(weight);
  const step: usize = wide ? WIDE_TILE : minima ? MINIMUM_TILE_BYTES : Q8_TILE_BYTES;
  const bytes = <usize>offset_tile_bytes(weight);
  const at: usize = wide ? WIDE_TILE_VALUES : values;
  const book = wide ? signed_book(weight) : v128.load(book_of(weight));
  const stop = from + <usize>tiles * bytes;
  for (; from < stop; from += bytes, to += step) {
    store<u64>(to, load<u64>(from));
    if (minima) store<u64>(to, load<u64>(from, TILE_MINIMA), TILE_MINIMA);
    if (weight === WEIGHT_Q5) unpack_five(from + values, to + at);
    else unpack_nibbles(from + values, to + at, book);
    // From the last one on, because what is wide lies on bytes of later columns.
    if (wide) for (let k: usize = 128; k; k -= 16) store_wide(to + 2 * (k - 16), v128.load(to + k));
  }
}

function unpack_nibbles(p: usize, to: usize, book: v128): void {
  const nibbles = v128.load(CONST_LOW_NIBBLES);
  for (const end = p + 64; p < end; p += 16, to += 16) {
    const v = v128.load(p);
    v128.store(to, look_up(book, v128.and(v, nibbles)));
    v128.store(to, look_up(book, high(v, nibbles)), 64);
  }
}

function unpack_five(p: usize, to: usize): void {
  const low5 = v128.load(CONST_FIELDS);
  const low3 = v128.load(CONST_FIELDS, 16);
  const bits34 = v128.load(CONST_FIELDS, 32);
  const v0 = v128.load(p);
  const v1 = v128.load(p, 16);
  const v2 = v128.load(p, 32);
  const v3 = v128.load(p, 48);
  const v4 = v128.load(p, 64);
  v128.store(to, v128.and(v0, low5));
  v128.store(to, v128.and(v1, low5), 16);
  v128.store(to, v128.and(v2, low5), 32);
  v128.store(to, v128.and(v3, low5), 48);
  v128.store(to, v128.and(v4, low5), 64);
  v128.store(to, five(v0, v1, low3, bits34), 80);
  v128.store(to, five(v2, v3, low3, bits34), 96);
  v128.store(to, last_five(v4, v1, v3, low3, bits34), 112);
}

/** multiply_group() of formats.ts: tiles as unpack_offsets() left them. */
export function multiply_group_offsets(
  weight: i32,
  dot: i32,
  tile: usize,
  x: usize,
  out: usize,
  outStride: usize,
  tokens: i32,
  many: bool,
  strips: i32,
  blocks: i32,
  factor: f32,
): void {
  if (has_tile_minima(weight)) {
    if (RELAXED) multiply<u8, u32, i32>(tile, x, out, outStride, strips, blocks, 0, factor);
    else multiply<i16, i32, i32>(tile, x, out, outStride, strips, blocks, 0, factor);
  } else if (RELAXED && as_bytes(dot) && weight === WEIGHT_MXFP4) {
    multiply<u8, u8, i32>(tile, x, out, outStride, strips, blocks, starts_of(weight), factor);
  } else {
    // Behind the widest tiles of bytes.
    const work = tile + <usize>(strips * blocks) * Q8_TILE_BYTES;
    const starts = starts_of(weight);
    multiply_group_q8(dot, tile, x, out, outStride, tokens, many, strips, blocks, starts, factor, work);
  }
}

// ---- Rows.

/** out[c] = W[r, c] * scale, from a strip's first tile on, of q4 too: see embed_row() of formats.ts. */
export function embed_row_offsets(
  weight: i32,
  tile: usize,
  step: usize,
  r: usize,
  blocks: i32,
  factor: f32,
  scale: f32,
  out: usize,
): void {
  const f = f32x4.splat(scale);
  const book = signed_book(weight);
  const values = tile_values(weight);
  const stop = out + <usize>blocks * (4 * BLOCK_COLS);
  for (; out < stop; tile += step) {
    const d = tile_scale(tile + (r << 1), factor);
    const p = tile + values;
    for (let k: usize = 0; k < 8; k++, out += 16) {
      const five = weight === WEIGHT_Q5;
      let n = i32x4.splat(fields_at(five ? WEIGHT_Q5K : WEIGHT_Q4K, p, k, r));
      if (!five) n = look_up(book, n);
      let w = scale4(n, d);
      if (has_tile_minima(weight)) w = f32x4.add(w, tile_scale(tile + TILE_MINIMA + (r << 1), factor));
      v128.store(out, f32x4.mul(w, f));
    }
  }
}

/** Zeros as row r of a tile. */
export function zero_row_offsets(weight: i32, tile: usize, r: usize): void {
  const values = tile_values(weight);
  const end = tile + <usize>offset_tile_bytes(weight);
  for (let p = tile; p < tile + values; p += 8) store<u16>(p + (r << 1), 0);
  for (let p = tile + values; p < end; p += 16) store<u32>(p + (r << 2), 0);
}

/**
 * A tile from blocks of four rows, of the type that the format keeps. Returns 0, or 1 + the first row with a scale or minimum
 * that is NaN, infinite or too large.
 */
export function copy_tile_offsets(
  weight: i32,
  file: i32,
  p0: usize,
  p1: usize,
  p2: usize,
  p3: usize,
  tile: usize,
  shift: i32,
): i32 {
  const ofRows = weight === WEIGHT_Q5 || weight === WEIGHT_MXFP4;
  for (let r: usize = 0; ofRows && r < 4; r++) {
    const p = r === 0 ? p0 : r === 1 ? p1 : r === 2 ? p2 : p3;
    const bad =
      weight === WEIGHT_Q5
        ? copy_row_q5(file, p, tile, r, shift)
        : power_scale(load<u8>(p), tile + (r << 1), shift);
    if (bad) return 1 + <i32>r;
  }
  if (weight === WEIGHT_Q5) return 0;
  const at: usize = ofRows ? 1 : weight === WEIGHT_Q4M ? 4 : 2;
  const values = tile + tile_values(weight);
  store_transposed(v128.load(p0 + at), v128.load(p1 + at), v128.load(p2 + at), v128.load(p3 + at), values);
  if (ofRows) return 0;
  const bad = copy_scales(p0, p1, p2, p3, tile, shift);
  if (bad || weight !== WEIGHT_Q4M) return bad;
  return copy_scales(p0 + 2, p1 + 2, p2 + 2, p3 + 2, tile + TILE_MINIMA, shift);
}

// Stores 2^(e - 128 + shift), the scale of doubled values, as f16; less than half of the smallest f16 is 0.
function power_scale(e: u32, ptr: usize, shift: i32): bool {
  const exponent = <i32>e - 128 + shift;
  if (exponent > 15) {
    set_bits(CONTROL_PACKED, PACKED_LARGE_SCALE);
    return e === 255 || !shift;
  }
  store<u16>(ptr, exponent < -24 ? 0 : to_f16(reinterpret<f32>((exponent + 127) << 23)));
  return false;
}

// Row r of a tile from a Q5_0 or Q5_1 block. A weight d * (n - 16) of Q5_0 has the minimum -16 * d.
function copy_row_q5(file: i32, src: usize, tile: usize, r: usize, shift: i32): bool {
  const d = load<u16>(src);
  const ptr = tile + (r << 1);
  let m: u16;
  if (file === FILE_Q5_0) {
    // 16 * d is a finite half only under 65536.
    if (((d >> 10) & 31) > 26) return true;
    m = to_f16(load_f16(src) * -16);
    src += 2;
  } else {
    m = load<u16>(src, 2);
    if (!f16_finite(d) || !f16_finite(m)) return true;
    src += 4;
  }
  store_scale(d, ptr, shift);
  store_scale(m, ptr + TILE_MINIMA, shift);
  const q = v128.load(src, 4);
  const fifth = i8x16.splat(16);
  const nibbles = i8x16.splat(15);
  const a = v128.or(v128.and(q, nibbles), v128.and(bit_mask(load<u16>(src)), fifth));
  const b = v128.or(high(q, nibbles), v128.and(bit_mask(load<u16>(src, 2)), fifth));
  store_fields(WEIGHT_Q5K, tile + 16, r, a, b);
  return false;
}
