// The kernels of several tokens for formats of superblocks. A register tile is two strips times four tokens. Superblocks are
// unpacked before: to bytes if the engine multiplies those, else to i16 that are weights times the scales of their blocks.
//
// T is the form of the dot product: u8 for DOT_UNSIGNED and DOT_SIGNED; for DOT_MOVED, pairs, i8 if loads splat activations
// and i64 if shuffles do.
import {
  ACTS_SUPER_BYTES,
  ACTS_SUPER_HALVES,
  ACTS_SUPER_MOST,
  ACTS_SUPER_SCALES,
  ACTS_SUPER_SUMS,
  BYTE_SUPER_BYTES,
  BYTE_SUPER_SCALES,
  BYTE_SUPER_VALUES,
  Q4K_HEAD_BYTES,
  Q4K_TILE_BYTES,
  SUPER_BLOCKS,
  SUPER_LESS,
  SUPER_SECOND,
  WIDE_SUPER_BYTES,
  WIDE_SUPER_VALUES,
} from "../layout/blocks";
import { CONST_LOW_NIBBLES } from "../layout/control";
import { dot_add, dot_pairs, RELAXED } from "../simd/dot";
import { high } from "../simd/nibbles";
import { read_ahead } from "./ahead";

// What is taken off a superblock's sums: nothing; dmin times the sums of minima of blocks, or of half blocks; 2^i times the
// sums of scales of half blocks, or of blocks, which stand in the place of minima.
export const LESS_NOTHING: i32 = 0;
export const LESS_MINIMA: i32 = 1;
export const LESS_MINIMA_OF_HALVES: i32 = 2;
export const LESS_HALVES_5: i32 = 3;
export const LESS_HALVES_7: i32 = 4;
export const LESS_BLOCKS_7: i32 = 5;

// How weights lie and are multiplied: weights times scales, i16; bytes; nibbles of q4k as they are packed; bytes as pairs,
// activations splatted by loads or by shuffles.
export const FORM_WIDE: i32 = 0;
export const FORM_BYTES: i32 = 1;
export const FORM_NIBBLES: i32 = 2;
export const FORM_PAIRS: i32 = 3;
export const FORM_SHUFFLED_PAIRS: i32 = 4;

/** Bytes that the kernels work in. */
export const WORK_BYTES = 256;
// Where the sums of what is taken off lie in them: [2 strips][4 tokens][4 rows].
const LESS: usize = 128;

function store8(to: usize, a: v128, b: v128, c: v128, d: v128, e: v128, f: v128, g: v128, h: v128): void {
  v128.store(to, a);
  v128.store(to, b, 16);
  v128.store(to, c, 32);
  v128.store(to, d, 48);
  v128.store(to, e, 64);
  v128.store(to, f, 80);
  v128.store(to, g, 96);
  v128.store(to, h, 112);
}

// acc + sums of pairs, i16.
function add_pairs(acc: v128, a: v128, b: v128): v128 {
  return i32x4.add(acc, i32x4.dot_i16x8_s(a, b));
}

// What is taken off the sums of two strips whose superblocks are `step` apart: i16 [4 rows][2] times i16 [4 tokens][2].
function sum_less(kind: i32, tile: usize, step: usize, x: usize, to: usize): void {
  const blocks = kind === LESS_MINIMA || kind === LESS_BLOCKS_7;
  let a0 = i32x4.splat(0);
  let a1 = a0;
  let a2 = a0;
  let a3 = a0;
  let b0 = a0;
  let b1 = a0;
  let b2 = a0;
  let b3 = a0;
  x += blocks ? ACTS_SUPER_SUMS : ACTS_SUPER_HALVES;
  for (const stop = x + (blocks ? 64 : 128); x < stop; x += 16, tile += 16) {
    const u = v128.load(tile, SUPER_LESS);
    const v = v128.load(tile + step, SUPER_LESS);
    const xv = v128.load(x);
    let xt = v128.shuffle<i32>(xv, xv, 0, 0, 0, 0);
    a0 = add_pairs(a0, u, xt);
    b0 = add_pairs(b0, v, xt);
    xt = v128.shuffle<i32>(xv, xv, 1, 1, 1, 1);
    a1 = add_pairs(a1, u, xt);
    b1 = add_pairs(b1, v, xt);
    xt = v128.shuffle<i32>(xv, xv, 2, 2, 2, 2);
    a2 = add_pairs(a2, u, xt);
    b2 = add_pairs(b2, v, xt);
    xt = v128.shuffle<i32>(xv, xv, 3, 3, 3, 3);
    a3 = add_pairs(a3, u, xt);
    b3 = add_pairs(b3, v, xt);
  }
  store8(to, a0, a1, a2, a3, b0, b1, b2, b3);
}

// Adds a superblock's sums of four rows for a token to the rows at `row`. `at` has them, and LESS behind what is taken off:
// integers, or minima, whose f32 factor is `dmin`.
function finish(kind: i32, at: usize, tile: usize, xs: v128, row: usize): void {
  const minima = has_minima(kind);
  let sum = v128.load(at);
  let less = v128.load(at, LESS);
  if (!minima) sum = i32x4.sub(sum, i32x4.shl(less, kind === LESS_HALVES_5 ? 5 : 7));
  let value = f32x4.mul(f32x4.convert_i32x4_s(sum), f32x4.mul(v128.load(tile), xs));
  if (minima) {
    less = f32x4.mul(f32x4.convert_i32x4_s(less), f32x4.mul(v128.load(tile, SUPER_SECOND), xs));
    value = f32x4.sub(value, less);
  }
  v128.store(row, f32x4.add(value, v128.load(row)));
}

function has_minima(kind: i32): bool {
  return kind === LESS_MINIMA || kind === LESS_MINIMA_OF_HALVES;
}

// Ends a superblock of two strips, whose sums are at `work`.
function finish_pair(
  kind: i32,
  tile: usize,
  step: usize,
  x: usize,
  row: usize,
  outStride: usize,
  factor: f32,
  work: usize,
): void {
  for (const stop = x + 16; x < stop; x += 4, work += 16, row += outStride) {
    const xs = f32x4.mul(v128.load32_splat(x, ACTS_SUPER_SCALES), f32x4.splat(factor));
    finish(kind, work, tile, xs, row);
    finish(kind, work + 64, tile + step, xs, row + 16);
  }
}

// Sums of two strips: weights times scales, widened.
function sum_wide(tile: usize, x: usize, work: usize): void {
  let a0 = i32x4.splat(0);
  let a1 = a0;
  let a2 = a0;
  let a3 = a0;
  let b0 = a0;
  let b1 = a0;
  let b2 = a0;
  let b3 = a0;
  for (const stop = x + 1024; x < stop; x += 16, tile += 32) {
    const x01 = v128.load8x8_s(x);
    const x23 = v128.load8x8_s(x, 8);
    let u = v128.load(tile, WIDE_SUPER_VALUES);
    let v = v128.load(tile, WIDE_SUPER_BYTES + WIDE_SUPER_VALUES);
    let xt = v128.shuffle<i32>(x01, x01, 0, 0, 0, 0);
    a0 = add_pairs(a0, u, xt);
    b0 = add_pairs(b0, v, xt);
    xt = v128.shuffle<i32>(x01, x01, 2, 2, 2, 2);
    a1 = add_pairs(a1, u, xt);
    b1 = add_pairs(b1, v, xt);
    xt = v128.shuffle<i32>(x23, x23, 0, 0, 0, 0);
    a2 = add_pairs(a2, u, xt);
    b2 = add_pairs(b2, v, xt);
    xt = v128.shuffle<i32>(x23, x23, 2, 2, 2, 2);
    a3 = add_pairs(a3, u, xt);
    b3 = add_pairs(b3, v, xt);
    u = v128.load(tile, WIDE_SUPER_VALUES + 16);
    v = v128.load(tile, WIDE_SUPER_BYTES + WIDE_SUPER_VALUES + 16);
    xt = v128.shuffle<i32>(x01, x01, 1, 1, 1, 1);
    a0 = add_pairs(a0, u, xt);
    b0 = add_pairs(b0, v, xt);
    xt = v128.shuffle<i32>(x01, x01, 3, 3, 3, 3);
    a1 = add_pairs(a1, u, xt);
    b1 = add_pairs(b1, v, xt);
    xt = v128.shuffle<i32>(x23, x23, 1, 1, 1, 1);
    a2 = add_pairs(a2, u, xt);
    b2 = add_pairs(b2, v, xt);
    xt = v128.shuffle<i32>(x23, x23, 3, 3, 3, 3);
    a3 = add_pairs(a3, u, xt);
    b3 = add_pairs(b3, v, xt);
  }
  store8(work, a0, a1, a2, a3, b0, b1, b2, b3);
}

function is_pairs<T>(): bool {
  return isSigned<T>();
}

// Of superblocks' pairs. A processor whose units for products shuffle too is faster with loads; others have units to spare, and
// less to do with one load than with four.
function by_loads<T>(): bool {
  return is_pairs<T>() && sizeof<T>() === 1;
}

// Activation k of four, that of token k in every row: `four` loaded from x.
function splat<T>(x: usize, four: v128, k: i32): v128 {
  if (by_loads<T>()) return v128.load32_splat(x + ((<usize>k) << 2));
  if (k === 0) return v128.shuffle<i32>(four, four, 0, 0, 0, 0);
  if (k === 1) return v128.shuffle<i32>(four, four, 1, 1, 1, 1);
  if (k === 2) return v128.shuffle<i32>(four, four, 2, 2, 2, 2);
  return v128.shuffle<i32>(four, four, 3, 3, 3, 3);
}

function dot<T>(acc: v128, x: v128, w: v128): v128 {
  return is_pairs<T>() ? i16x8.add(acc, dot_pairs(x, w)) : dot_add(x, w, acc);
}

// Adds sums of bytes times their scales to those at `at`. Those that fit i16, as pairs do, take half of the steps.
function gather<T>(at: usize, acc: v128, scales: v128): void {
  const scaled = is_pairs<T>() ? i32x4.dot_i16x8_s(acc, scales) : i32x4.mul(acc, scales);
  v128.store(at, i32x4.add(scaled, v128.load(at)));
}

// The scales of a half of a block, from i16 [4 rows][2 halves].
function scales_of_half<T>(scales: v128, second: bool): v128 {
  if (is_pairs<T>()) {
    return second
      ? v128.shuffle<i16>(scales, scales, 1, 1, 3, 3, 5, 5, 7, 7)
      : v128.shuffle<i16>(scales, scales, 0, 0, 2, 2, 4, 4, 6, 6);
  }
  return i32x4.shr_s(second ? scales : i32x4.shl(scales, 16), 16);
}

// Whether sums of a block fit i16, if weights are at most `top`.
function are_small(x: usize, top: i32): bool {
  const two = v128.load(x, ACTS_SUPER_MOST);
  const most = i32x4.max_s(two, v128.shuffle<i32>(two, two, 2, 3, 0, 1));
  return max(i32x4.extract_lane(most, 0), i32x4.extract_lane(most, 1)) * top <= 32767;
}

function is_nibbles<W>(): bool {
  return isSigned<W>();
}

/**
 * Sums of two strips.
 * heads   unpacked scales of the first strip, BYTE_SUPER_BYTES apart
 * values  weights of its first part; those of the next are `step` behind. W: u8 bytes, of the other strip BYTE_SUPER_BYTES
 *         behind; i8 nibbles as q4k has them, of the other strip in the next tile
 * part    bytes that are added up before they are multiplied by scales
 * own     halves of blocks have scales of their own
 * top     what weights are at most
 */
function sum_bytes<T, W>(
  heads: usize,
  values: usize,
  step: usize,
  x: usize,
  part: usize,
  own: bool,
  top: i32,
  work: usize,
): void {
  const nibbles = is_nibbles<W>() ? v128.load(CONST_LOW_NIBBLES) : i32x4.splat(0);
  const small = !is_pairs<T>() && are_small(x, top);
  let a0 = i32x4.splat(0);
  store8(work, a0, a0, a0, a0, a0, a0, a0, a0);
  for (let from: usize = 0; from < 1024; from += part, values += step) {
    a0 = i32x4.splat(0);
    let a1 = a0;
    let a2 = a0;
    let a3 = a0;
    let b0 = a0;
    let b1 = a0;
    let b2 = a0;
    let b3 = a0;
    let p = values;
    for (const stop = p + (is_nibbles<W>() ? 64 : part); p < stop; p += 16, x += 16) {
      const both = v128.load(p);
      const others = is_nibbles<W>() ? v128.load(p, Q4K_TILE_BYTES) : v128.load(p, BYTE_SUPER_BYTES);
      let u = is_nibbles<W>() ? v128.and(both, nibbles) : both;
      let v = is_nibbles<W>() ? v128.and(others, nibbles) : others;
      let xv = by_loads<T>() ? u : v128.load(x);
      let xt = splat<T>(x, xv, 0);
      a0 = dot<T>(a0, xt, u);
      b0 = dot<T>(b0, xt, v);
      xt = splat<T>(x, xv, 1);
      a1 = dot<T>(a1, xt, u);
      b1 = dot<T>(b1, xt, v);
      xt = splat<T>(x, xv, 2);
      a2 = dot<T>(a2, xt, u);
      b2 = dot<T>(b2, xt, v);
      xt = splat<T>(x, xv, 3);
      a3 = dot<T>(a3, xt, u);
      b3 = dot<T>(b3, xt, v);
      if (!is_nibbles<W>()) continue;
      u = high(both, nibbles);
      v = high(others, nibbles);
      xv = v128.load(x, 64);
      xt = v128.shuffle<i32>(xv, xv, 0, 0, 0, 0);
      a0 = dot<T>(a0, xt, u);
      b0 = dot<T>(b0, xt, v);
      xt = v128.shuffle<i32>(xv, xv, 1, 1, 1, 1);
      a1 = dot<T>(a1, xt, u);
      b1 = dot<T>(b1, xt, v);
      xt = v128.shuffle<i32>(xv, xv, 2, 2, 2, 2);
      a2 = dot<T>(a2, xt, u);
      b2 = dot<T>(b2, xt, v);
      xt = v128.shuffle<i32>(xv, xv, 3, 3, 3, 3);
      a3 = dot<T>(a3, xt, u);
      b3 = dot<T>(b3, xt, v);
    }
    if (is_nibbles<W>()) x += 64;
    const scales = heads + ((from >> 7) << 4);
    let s = v128.load(scales, BYTE_SUPER_SCALES);
    let z = v128.load(scales, BYTE_SUPER_BYTES + BYTE_SUPER_SCALES);
    if (!is_nibbles<W>() && own) {
      const second = (from & 64) !== 0;
      s = scales_of_half<T>(s, second);
      z = scales_of_half<T>(z, second);
    }
    if (small) {
      gather<i8>(work, a0, s);
      gather<i8>(work + 16, a1, s);
      gather<i8>(work + 32, a2, s);
      gather<i8>(work + 48, a3, s);
      gather<i8>(work + 64, b0, z);
      gather<i8>(work + 80, b1, z);
      gather<i8>(work + 96, b2, z);
      gather<i8>(work + 112, b3, z);
    } else {
      gather<T>(work, a0, s);
      gather<T>(work + 16, a1, s);
      gather<T>(work + 32, a2, s);
      gather<T>(work + 48, a3, s);
      gather<T>(work + 64, b0, z);
      gather<T>(work + 80, b1, z);
      gather<T>(work + 96, b2, z);
      gather<T>(work + 112, b3, z);
    }
  }
}

// Adds the sums of two pairs of bytes, times scales, to acc.
function add_scaled(acc: v128, x: v128, y: v128, u: v128, v: v128, scales: v128): v128 {
  return add_pairs(acc, i16x8.add(dot_pairs(x, u), dot_pairs(y, v)), scales);
}

// Sums of two strips as pairs, if i16 hold no more than the sums of eight columns: bytes up to 63.
function sum_eights<T>(heads: usize, x: usize, work: usize): void {
  let a0 = i32x4.splat(0);
  let a1 = a0;
  let a2 = a0;
  let a3 = a0;
  let b0 = a0;
  let b1 = a0;
  let b2 = a0;
  let b3 = a0;
  for (let from: usize = 0; from < 1024; from += 64) {
    const scales = heads + ((from >> 7) << 4);
    const second = (from & 64) !== 0;
    const s = scales_of_half<i8>(v128.load(scales, BYTE_SUPER_SCALES), second);
    const z = scales_of_half<i8>(v128.load(scales, BYTE_SUPER_BYTES + BYTE_SUPER_SCALES), second);
    let p = heads + from;
    for (const stop = p + 64; p < stop; p += 32, x += 32) {
      const u0 = v128.load(p, BYTE_SUPER_VALUES);
      const u1 = v128.load(p, BYTE_SUPER_VALUES + 16);
      const v0 = v128.load(p, BYTE_SUPER_BYTES + BYTE_SUPER_VALUES);
      const v1 = v128.load(p, BYTE_SUPER_BYTES + BYTE_SUPER_VALUES + 16);
      const y0 = by_loads<T>() ? u0 : v128.load(x);
      const y1 = by_loads<T>() ? u0 : v128.load(x, 16);
      let x0 = splat<T>(x, y0, 0);
      let x1 = splat<T>(x + 16, y1, 0);
      a0 = add_scaled(a0, x0, x1, u0, u1, s);
      b0 = add_scaled(b0, x0, x1, v0, v1, z);
      x0 = splat<T>(x, y0, 1);
      x1 = splat<T>(x + 16, y1, 1);
      a1 = add_scaled(a1, x0, x1, u0, u1, s);
      b1 = add_scaled(b1, x0, x1, v0, v1, z);
      x0 = splat<T>(x, y0, 2);
      x1 = splat<T>(x + 16, y1, 2);
      a2 = add_scaled(a2, x0, x1, u0, u1, s);
      b2 = add_scaled(b2, x0, x1, v0, v1, z);
      x0 = splat<T>(x, y0, 3);
      x1 = splat<T>(x + 16, y1, 3);
      a3 = add_scaled(a3, x0, x1, u0, u1, s);
      b3 = add_scaled(b3, x0, x1, v0, v1, z);
    }
  }
  store8(work, a0, a1, a2, a3, b0, b1, b2, b3);
}

/**
 * out[t, r] += sum_c W[r,c] * x[t, c]           a group of strips, four tokens
 * form    FORM_*
 * tile    WIDE_SUPER_BYTES or BYTE_SUPER_BYTES for each strip of each superblock, from unpack_super()
 * packed  FORM_NIBBLES: the group as it is packed; then only heads are unpacked
 * x       ACTS_SUPER_BYTES for each superblock   from quantize_super_x4(), finite
 * out     f32 rows of the tokens, outStride bytes apart
 * strips  an even number
 * kind    LESS_*: what is taken off
 * part    bytes: how many of a tile of 128 are added up before scales: i16 hold no more, or `own`
 * own     bytes: halves of blocks have scales of their own
 * top     bytes: the largest of them, if scales are not negative
 * work    WORK_BYTES
 * Align: all 16 B                               Reads past the end: none
 * Numerics: as walk_super()
 */
export function multiply_supers(
  form: i32,
  tile: usize,
  packed: usize,
  x: usize,
  out: usize,
  outStride: usize,
  strips: i32,
  supers: i32,
  factor: f32,
  kind: i32,
  part: usize,
  own: bool,
  top: i32,
  work: usize,
): void {
  const stop = x + <usize>supers * ACTS_SUPER_BYTES;
  const end = out + ((<usize>strips) << 4);
  const size: usize = form === FORM_WIDE ? WIDE_SUPER_BYTES : BYTE_SUPER_BYTES;
  const block = <usize>strips * Q4K_TILE_BYTES;
  for (; x < stop; x += ACTS_SUPER_BYTES, packed += SUPER_BLOCKS * block) {
    packed += <usize>strips * Q4K_HEAD_BYTES;
    let nibbles = packed;
    for (let row = out; row < end; row += 32, tile += 2 * size, nibbles += 2 * Q4K_TILE_BYTES) {
      const values = tile + BYTE_SUPER_VALUES;
      if (!RELAXED || form === FORM_WIDE) sum_wide(tile, x, work);
      else if (form === FORM_NIBBLES) {
        read_ahead();
        sum_bytes<u8, i8>(tile, nibbles, block, x, 128, false, top, work);
      } else if (form === FORM_BYTES) sum_bytes<u8, u8>(tile, values, part, x, part, own, top, work);
      else if (part < 64 && form === FORM_PAIRS) sum_eights<i8>(tile, x, work);
      else if (part < 64) sum_eights<i64>(tile, x, work);
      else if (form === FORM_PAIRS) sum_bytes<i8, u8>(tile, values, part, x, part, own, 0, work);
      else sum_bytes<i64, u8>(tile, values, part, x, part, own, 0, work);
      if (kind === LESS_NOTHING) memory.fill(work + LESS, 0, 128);
      else sum_less(kind, tile, size, x, work + LESS);
      finish_pair(kind, tile, size, x, row, outStride, factor, work);
    }
  }
}
