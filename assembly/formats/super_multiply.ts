// The kernels of several tokens for formats of superblocks. A register tile is two strips times four tokens. Superblocks are
// unpacked before: to bytes if the engine multiplies those, else to i16 that are weights times the scales of their blocks.
import {
  ACTS_SUPER_BYTES,
  ACTS_SUPER_HALVES,
  ACTS_SUPER_SCALES,
  ACTS_SUPER_SUMS,
  BYTE_SUPER_BYTES,
  BYTE_SUPER_SCALES,
  BYTE_SUPER_VALUES,
  WIDE_SUPER_BYTES,
  WIDE_SUPER_MINIMA,
  WIDE_SUPER_VALUES,
} from "../layout/blocks";
import { dot_add, dot_pairs } from "../simd/dot";
import { f16_mask, load_scales } from "../simd/f16";
import { is_q6k } from "./fields";

// What is taken off a superblock's sums: nothing; dmin times the sums of minima of blocks, or of half blocks; 2^i times the
// sums of scales of half blocks, or of blocks, which stand in the place of minima.
export const LESS_NOTHING: i32 = 0;
export const LESS_MINIMA: i32 = 1;
export const LESS_MINIMA_OF_HALVES: i32 = 2;
export const LESS_HALVES_5: i32 = 3;
export const LESS_HALVES_7: i32 = 4;
export const LESS_BLOCKS_7: i32 = 5;

/** Bytes that the kernels work in. */
export const WORK_BYTES = 256;
// Where the sums of what is taken off lie in them: [2 strips][4 tokens][4 rows].
const LESS: usize = 128;

// Adds a superblock's sums of four rows for a token to the rows at `row`; `less` are those that are taken off.
function finish(tile: usize, row: usize, sum: v128, less: v128, xs: v128, kind: i32): void {
  const mask = f16_mask();
  if (kind >= LESS_HALVES_5) sum = i32x4.sub(sum, i32x4.shl(less, kind === LESS_HALVES_5 ? 5 : 7));
  let value = f32x4.mul(f32x4.convert_i32x4_s(sum), f32x4.mul(load_scales(tile, mask), xs));
  if (kind === LESS_MINIMA || kind === LESS_MINIMA_OF_HALVES) {
    const m = f32x4.mul(f32x4.convert_i32x4_s(less), f32x4.mul(load_scales(tile + 8, mask), xs));
    value = f32x4.sub(value, m);
  }
  v128.store(row, f32x4.add(value, v128.load(row)));
}

// Sums of i16 [4 rows][2] (or u8, if `small`) at `weights` times i16 [4 tokens][2] at `x`, `count` of each, for each token.
function sum_pairs(weights: usize, x: usize, count: usize, small: bool, to: usize): void {
  let a = i32x4.splat(0);
  let b = a;
  let c = a;
  let d = a;
  const stop = x + (count << 4);
  for (; x < stop; x += 16) {
    const m = small ? v128.load8x8_u(weights) : v128.load(weights);
    weights += small ? 8 : 16;
    const s = v128.load(x);
    a = i32x4.add(a, i32x4.dot_i16x8_s(m, v128.shuffle<i32>(s, s, 0, 0, 0, 0)));
    b = i32x4.add(b, i32x4.dot_i16x8_s(m, v128.shuffle<i32>(s, s, 1, 1, 1, 1)));
    c = i32x4.add(c, i32x4.dot_i16x8_s(m, v128.shuffle<i32>(s, s, 2, 2, 2, 2)));
    d = i32x4.add(d, i32x4.dot_i16x8_s(m, v128.shuffle<i32>(s, s, 3, 3, 3, 3)));
  }
  v128.store(to, a);
  v128.store(to, b, 16);
  v128.store(to, c, 32);
  v128.store(to, d, 48);
}

// What is taken off a strip's sums.
function sum_less(kind: i32, tile: usize, x: usize, to: usize): void {
  if (kind === LESS_MINIMA || kind === LESS_BLOCKS_7) {
    sum_pairs(tile + WIDE_SUPER_MINIMA, x + ACTS_SUPER_SUMS, 4, false, to);
  } else if (kind === LESS_MINIMA_OF_HALVES) {
    sum_pairs(tile + WIDE_SUPER_MINIMA, x + ACTS_SUPER_HALVES, 8, true, to);
  } else if (kind !== LESS_NOTHING) {
    sum_pairs(tile + BYTE_SUPER_SCALES, x + ACTS_SUPER_HALVES, 8, false, to);
  }
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
  sum_less(kind, tile, x, work + LESS);
  sum_less(kind, tile + step, x, work + LESS + 64);
  for (let t: usize = 0; t < 4; t++, row += outStride) {
    const xs = f32x4.mul(v128.load32_splat(x + (t << 2), ACTS_SUPER_SCALES), f32x4.splat(factor));
    const at = work + (t << 4);
    finish(tile, row, v128.load(at), v128.load(at, LESS), xs, kind);
    finish(tile + step, row + 16, v128.load(at, 64), v128.load(at, LESS + 64), xs, kind);
  }
}

/**
 * out[t, r] += sum_c W[r,c] * x[t, c]           a group of strips, four tokens
 * tile    WIDE_SUPER_BYTES for each strip of each superblock, from unpack_super()
 * x       ACTS_SUPER_BYTES for each superblock   from quantize_super_x4(), finite
 * out     f32 rows of the tokens, outStride bytes apart
 * strips  an even number
 * kind    LESS_*: what is taken off
 * work    WORK_BYTES
 * Align: all 16 B                               Reads past the end: none
 * Numerics: as walk_super()
 */
export function multiply_super_wide(
  tile: usize,
  x: usize,
  out: usize,
  outStride: usize,
  strips: i32,
  supers: i32,
  factor: f32,
  kind: i32,
  work: usize,
): void {
  const stop = x + <usize>supers * ACTS_SUPER_BYTES;
  const end = out + ((<usize>strips) << 4);
  for (; x < stop; x += ACTS_SUPER_BYTES) {
    for (let row = out; row < end; row += 32, tile += 2 * WIDE_SUPER_BYTES) {
      let a0 = i32x4.splat(0);
      let a1 = a0;
      let a2 = a0;
      let a3 = a0;
      let b0 = a0;
      let b1 = a0;
      let b2 = a0;
      let b3 = a0;
      let xp = x;
      const values = tile + (WIDE_SUPER_BYTES - WIDE_SUPER_VALUES);
      for (let p = tile; p < values; p += 32, xp += 16) {
        const x01 = v128.load8x8_s(xp);
        const x23 = v128.load8x8_s(xp, 8);
        let u = v128.load(p, WIDE_SUPER_VALUES);
        let v = v128.load(p, WIDE_SUPER_BYTES + WIDE_SUPER_VALUES);
        let xt = v128.shuffle<i32>(x01, x01, 0, 0, 0, 0);
        a0 = i32x4.add(a0, i32x4.dot_i16x8_s(u, xt));
        b0 = i32x4.add(b0, i32x4.dot_i16x8_s(v, xt));
        xt = v128.shuffle<i32>(x01, x01, 2, 2, 2, 2);
        a1 = i32x4.add(a1, i32x4.dot_i16x8_s(u, xt));
        b1 = i32x4.add(b1, i32x4.dot_i16x8_s(v, xt));
        xt = v128.shuffle<i32>(x23, x23, 0, 0, 0, 0);
        a2 = i32x4.add(a2, i32x4.dot_i16x8_s(u, xt));
        b2 = i32x4.add(b2, i32x4.dot_i16x8_s(v, xt));
        xt = v128.shuffle<i32>(x23, x23, 2, 2, 2, 2);
        a3 = i32x4.add(a3, i32x4.dot_i16x8_s(u, xt));
        b3 = i32x4.add(b3, i32x4.dot_i16x8_s(v, xt));
        u = v128.load(p, WIDE_SUPER_VALUES + 16);
        v = v128.load(p, WIDE_SUPER_BYTES + WIDE_SUPER_VALUES + 16);
        xt = v128.shuffle<i32>(x01, x01, 1, 1, 1, 1);
        a0 = i32x4.add(a0, i32x4.dot_i16x8_s(u, xt));
        b0 = i32x4.add(b0, i32x4.dot_i16x8_s(v, xt));
        xt = v128.shuffle<i32>(x01, x01, 3, 3, 3, 3);
        a1 = i32x4.add(a1, i32x4.dot_i16x8_s(u, xt));
        b1 = i32x4.add(b1, i32x4.dot_i16x8_s(v, xt));
        xt = v128.shuffle<i32>(x23, x23, 1, 1, 1, 1);
        a2 = i32x4.add(a2, i32x4.dot_i16x8_s(u, xt));
        b2 = i32x4.add(b2, i32x4.dot_i16x8_s(v, xt));
        xt = v128.shuffle<i32>(x23, x23, 3, 3, 3, 3);
        a3 = i32x4.add(a3, i32x4.dot_i16x8_s(u, xt));
        b3 = i32x4.add(b3, i32x4.dot_i16x8_s(v, xt));
      }
      v128.store(work, a0);
      v128.store(work, a1, 16);
      v128.store(work, a2, 32);
      v128.store(work, a3, 48);
      v128.store(work, b0, 64);
      v128.store(work, b1, 80);
      v128.store(work, b2, 96);
      v128.store(work, b3, 112);
      finish_pair(kind, tile, WIDE_SUPER_BYTES, x, row, outStride, factor, work);
    }
  }
}

function is_pairs<T>(): bool {
  return isSigned<T>();
}

function dot<T>(acc: v128, x: v128, w: v128): v128 {
  return is_pairs<T>() ? i16x8.add(acc, dot_pairs(x, w)) : dot_add(x, w, acc);
}

// Adds sums of bytes times their scales to those at `at`.
function gather<T>(at: usize, acc: v128, scales: v128): void {
  const scaled = is_pairs<T>() ? i32x4.dot_i16x8_s(acc, scales) : i32x4.mul(acc, scales);
  v128.store(at, i32x4.add(scaled, v128.load(at)));
}

/**
 * As multiply_super_wide(), for bytes.
 * T     u8 for DOT_UNSIGNED and DOT_SIGNED: scales are i32, of q6k i16 [4 rows][2 halves]; i8 for DOT_MOVED: scales are i16,
 *       each row's twice
 * F     u8: sums of a block are multiplied at once; i8: those of each half, since i16 hold no more; u16: halves have scales
 *       of their own
 * tile  BYTE_SUPER_BYTES for each strip of each superblock
 */
export function multiply_super_bytes<T, F>(
  tile: usize,
  x: usize,
  out: usize,
  outStride: usize,
  strips: i32,
  supers: i32,
  factor: f32,
  kind: i32,
  work: usize,
): void {
  const halves = sizeof<F>() > 1 || isSigned<F>();
  const part: usize = halves ? 64 : 128;
  const stop = x + <usize>supers * ACTS_SUPER_BYTES;
  const end = out + ((<usize>strips) << 4);
  for (; x < stop; x += ACTS_SUPER_BYTES) {
    for (let row = out; row < end; row += 32, tile += 2 * BYTE_SUPER_BYTES) {
      memory.fill(work, 0, 128);
      let xp = x;
      let scales = tile;
      const values = tile + 1024;
      let p = tile;
      let odd = false;
      while (p < values) {
        let a0 = i32x4.splat(0);
        let a1 = a0;
        let a2 = a0;
        let a3 = a0;
        let b0 = a0;
        let b1 = a0;
        let b2 = a0;
        let b3 = a0;
        const last = p + part;
        for (; p < last; p += 16, xp += 16) {
          const u = v128.load(p, BYTE_SUPER_VALUES);
          const v = v128.load(p, BYTE_SUPER_BYTES + BYTE_SUPER_VALUES);
          const xv = v128.load(xp);
          let xt = v128.shuffle<i32>(xv, xv, 0, 0, 0, 0);
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
        let s = v128.load(scales, BYTE_SUPER_SCALES);
        let z = v128.load(scales, BYTE_SUPER_BYTES + BYTE_SUPER_SCALES);
        if (is_q6k<F>()) {
          s = i32x4.shr_s(odd ? s : i32x4.shl(s, 16), 16);
          z = i32x4.shr_s(odd ? z : i32x4.shl(z, 16), 16);
        }
        gather<T>(work, a0, s);
        gather<T>(work + 16, a1, s);
        gather<T>(work + 32, a2, s);
        gather<T>(work + 48, a3, s);
        gather<T>(work + 64, b0, z);
        gather<T>(work + 80, b1, z);
        gather<T>(work + 96, b2, z);
        gather<T>(work + 112, b3, z);
        if (!halves || odd) scales += 16;
        odd = !odd;
      }
      finish_pair(kind, tile, BYTE_SUPER_BYTES, x, row, outStride, factor, work);
    }
  }
}
