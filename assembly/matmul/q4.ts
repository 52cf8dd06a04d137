import { ACT_BLOCK_BYTES, ACT_SCALE, ACT_SUM, Q4_TILE_BYTES, Q4_TILE_VALUES } from "../layout/blocks";
import { CONST_LOW_NIBBLES, CONST_ONES_16 } from "../layout/control";
import { dot_hi, dot4_join, dot4_lo, load_act } from "../simd/dot";
import { f16_mask, load_f16x4, two112 } from "../simd/f16";
import { scaled, store_rows } from "./rows";

const HALF = Q4_TILE_VALUES + 32;

// High nibbles. There is no byte shift on x86: engines make i8x16.shr_u of several instructions.
function high(w: v128, nibbles: v128): v128 {
  return v128.and(i16x8.shr_u(w, 4), nibbles);
}

// Two vectors (16 columns: 8 low, 8 high) of one strip against an activation block at x.
function half_lo(acc: v128, w: usize, x: usize, nibbles: v128): v128 {
  const a = v128.load(w);
  const b = v128.load(w, 16);
  acc = dot4_lo(acc, v128.and(a, nibbles), load_act(x));
  acc = dot4_lo(acc, high(a, nibbles), load_act(x + 16));
  acc = dot4_lo(acc, v128.and(b, nibbles), load_act(x + 4));
  return dot4_lo(acc, high(b, nibbles), load_act(x + 20));
}

function half_hi(acc: v128, w: usize, x: usize, nibbles: v128): v128 {
  const a = v128.load(w);
  const b = v128.load(w, 16);
  acc = dot_hi(acc, v128.and(a, nibbles), load_act(x));
  acc = dot_hi(acc, high(a, nibbles), load_act(x + 16));
  acc = dot_hi(acc, v128.and(b, nibbles), load_act(x + 4));
  return dot_hi(acc, high(b, nibbles), load_act(x + 20));
}

// The same four nibble vectors (columns x.. and x+16..) against another token.
function four_lo(acc: v128, a: v128, b: v128, c: v128, d: v128, x: usize): v128 {
  acc = dot4_lo(acc, a, load_act(x));
  acc = dot4_lo(acc, b, load_act(x + 16));
  acc = dot4_lo(acc, c, load_act(x + 4));
  return dot4_lo(acc, d, load_act(x + 20));
}

function four_hi(acc: v128, a: v128, b: v128, c: v128, d: v128, x: usize): v128 {
  acc = dot_hi(acc, a, load_act(x));
  acc = dot_hi(acc, b, load_act(x + 16));
  acc = dot_hi(acc, c, load_act(x + 4));
  return dot_hi(acc, d, load_act(x + 20));
}

/**
 * out[r] = sum_c W[r,c] * x[c] (+ add[r])      rows of strips [begin, end), one token
 * W    q4 tiles [strips * 4, blocks * 32]      see layout/blocks.ts
 * x    activation blocks [blocks]              from quantize_q4w(), finite
 * out  f32 [strips * 4]
 * add  f32 [strips * 4] or 0                   may be out
 * Align: W, x 4 B; out, add 16 B               Reads past the end: none
 * Numerics: i32 exact per block, the nibbles' offset of 8 paid by the block's own sum;
 *           f32 across blocks in ascending order, mul and add apart
 *
 * Eight strips at once are eight read streams: one stream leaves a third of the memory's speed unused.
 */
export function matvec_q4(
  w: usize,
  x: usize,
  out: usize,
  add: usize,
  begin: i32,
  end: i32,
  blocks: i32,
): void {
  const ones = v128.load(CONST_ONES_16);
  const nibbles = v128.load(CONST_LOW_NIBBLES);
  const scale = two112();
  const mask = f16_mask();
  const zero = i32x4.splat(0);
  const stripBytes = <usize>blocks * Q4_TILE_BYTES;
  const stop = x + <usize>blocks * ACT_BLOCK_BYTES;
  let t0 = w + <usize>begin * stripBytes;
  let lo: v128, hi: v128;
  let strip = begin;
  for (; strip + 8 <= end; strip += 8) {
    let t1 = t0 + stripBytes;
    let t2 = t1 + stripBytes;
    let t3 = t2 + stripBytes;
    let t4 = t3 + stripBytes;
    let t5 = t4 + stripBytes;
    let t6 = t5 + stripBytes;
    let t7 = t6 + stripBytes;
    let f0 = f32x4.splat(0);
    let f1 = f0;
    let f2 = f0;
    let f3 = f0;
    let f4 = f0;
    let f5 = f0;
    let f6 = f0;
    let f7 = f0;
    for (let xp = x; xp < stop; xp += ACT_BLOCK_BYTES) {
      const xs = v128.load32_splat(xp, ACT_SCALE);
      const start = v128.load32_splat(xp, ACT_SUM);
      lo = half_lo(half_lo(zero, t0 + Q4_TILE_VALUES, xp, nibbles), t0 + HALF, xp + 8, nibbles);
      hi = half_hi(half_hi(zero, t0 + Q4_TILE_VALUES, xp, nibbles), t0 + HALF, xp + 8, nibbles);
      f0 = scaled(f0, dot4_join(lo, hi, start, ones), load_f16x4(t0, scale, mask), xs);
      t0 += Q4_TILE_BYTES;
      lo = half_lo(half_lo(zero, t1 + Q4_TILE_VALUES, xp, nibbles), t1 + HALF, xp + 8, nibbles);
      hi = half_hi(half_hi(zero, t1 + Q4_TILE_VALUES, xp, nibbles), t1 + HALF, xp + 8, nibbles);
      f1 = scaled(f1, dot4_join(lo, hi, start, ones), load_f16x4(t1, scale, mask), xs);
      t1 += Q4_TILE_BYTES;
      lo = half_lo(half_lo(zero, t2 + Q4_TILE_VALUES, xp, nibbles), t2 + HALF, xp + 8, nibbles);
      hi = half_hi(half_hi(zero, t2 + Q4_TILE_VALUES, xp, nibbles), t2 + HALF, xp + 8, nibbles);
      f2 = scaled(f2, dot4_join(lo, hi, start, ones), load_f16x4(t2, scale, mask), xs);
      t2 += Q4_TILE_BYTES;
      lo = half_lo(half_lo(zero, t3 + Q4_TILE_VALUES, xp, nibbles), t3 + HALF, xp + 8, nibbles);
      hi = half_hi(half_hi(zero, t3 + Q4_TILE_VALUES, xp, nibbles), t3 + HALF, xp + 8, nibbles);
      f3 = scaled(f3, dot4_join(lo, hi, start, ones), load_f16x4(t3, scale, mask), xs);
      t3 += Q4_TILE_BYTES;
      lo = half_lo(half_lo(zero, t4 + Q4_TILE_VALUES, xp, nibbles), t4 + HALF, xp + 8, nibbles);
      hi = half_hi(half_hi(zero, t4 + Q4_TILE_VALUES, xp, nibbles), t4 + HALF, xp + 8, nibbles);
      f4 = scaled(f4, dot4_join(lo, hi, start, ones), load_f16x4(t4, scale, mask), xs);
      t4 += Q4_TILE_BYTES;
      lo = half_lo(half_lo(zero, t5 + Q4_TILE_VALUES, xp, nibbles), t5 + HALF, xp + 8, nibbles);
      hi = half_hi(half_hi(zero, t5 + Q4_TILE_VALUES, xp, nibbles), t5 + HALF, xp + 8, nibbles);
      f5 = scaled(f5, dot4_join(lo, hi, start, ones), load_f16x4(t5, scale, mask), xs);
      t5 += Q4_TILE_BYTES;
      lo = half_lo(half_lo(zero, t6 + Q4_TILE_VALUES, xp, nibbles), t6 + HALF, xp + 8, nibbles);
      hi = half_hi(half_hi(zero, t6 + Q4_TILE_VALUES, xp, nibbles), t6 + HALF, xp + 8, nibbles);
      f6 = scaled(f6, dot4_join(lo, hi, start, ones), load_f16x4(t6, scale, mask), xs);
      t6 += Q4_TILE_BYTES;
      lo = half_lo(half_lo(zero, t7 + Q4_TILE_VALUES, xp, nibbles), t7 + HALF, xp + 8, nibbles);
      hi = half_hi(half_hi(zero, t7 + Q4_TILE_VALUES, xp, nibbles), t7 + HALF, xp + 8, nibbles);
      f7 = scaled(f7, dot4_join(lo, hi, start, ones), load_f16x4(t7, scale, mask), xs);
      t7 += Q4_TILE_BYTES;
    }
    t0 = t7;
    const at = (<usize>strip) << 4;
    const addAt = add ? add + at : 0;
    store_rows(out + at, addAt, f0);
    store_rows(out + at + 16, addAt ? addAt + 16 : 0, f1);
    store_rows(out + at + 32, addAt ? addAt + 32 : 0, f2);
    store_rows(out + at + 48, addAt ? addAt + 48 : 0, f3);
    store_rows(out + at + 64, addAt ? addAt + 64 : 0, f4);
    store_rows(out + at + 80, addAt ? addAt + 80 : 0, f5);
    store_rows(out + at + 96, addAt ? addAt + 96 : 0, f6);
    store_rows(out + at + 112, addAt ? addAt + 112 : 0, f7);
  }
  for (; strip < end; strip++) {
    let f0 = f32x4.splat(0);
    for (let xp = x; xp < stop; xp += ACT_BLOCK_BYTES) {
      const xs = v128.load32_splat(xp, ACT_SCALE);
      const start = v128.load32_splat(xp, ACT_SUM);
      lo = half_lo(half_lo(zero, t0 + Q4_TILE_VALUES, xp, nibbles), t0 + HALF, xp + 8, nibbles);
      hi = half_hi(half_hi(zero, t0 + Q4_TILE_VALUES, xp, nibbles), t0 + HALF, xp + 8, nibbles);
      f0 = scaled(f0, dot4_join(lo, hi, start, ones), load_f16x4(t0, scale, mask), xs);
      t0 += Q4_TILE_BYTES;
    }
    const at = (<usize>strip) << 4;
    store_rows(out + at, add ? add + at : 0, f0);
  }
}

/**
 * As matvec_q4, for four tokens and one strip: the eight nibble vectors of a tile stay in registers while
 * four activation blocks pass.
 * x, out, add: of the first token; the strides (bytes) lead to the next ones
 */
export function mat4_q4(
  strip: usize,
  x: usize,
  xStride: usize,
  out: usize,
  outStride: usize,
  add: usize,
  addStride: usize,
  blocks: i32,
): void {
  const ones = v128.load(CONST_ONES_16);
  const nibbles = v128.load(CONST_LOW_NIBBLES);
  const scale = two112();
  const mask = f16_mask();
  const zero = i32x4.splat(0);
  const end = strip + <usize>blocks * Q4_TILE_BYTES;
  let x0 = x;
  let x1 = x0 + xStride;
  let x2 = x1 + xStride;
  let x3 = x2 + xStride;
  let f0 = f32x4.splat(0);
  let f1 = f0;
  let f2 = f0;
  let f3 = f0;
  let lo: v128, hi: v128;
  for (let tile = strip; tile < end; tile += Q4_TILE_BYTES) {
    const scales = load_f16x4(tile, scale, mask);
    const w0 = v128.load(tile, Q4_TILE_VALUES);
    const w1 = v128.load(tile, Q4_TILE_VALUES + 16);
    const w2 = v128.load(tile, Q4_TILE_VALUES + 32);
    const w3 = v128.load(tile, Q4_TILE_VALUES + 48);
    const a = v128.and(w0, nibbles);
    const b = high(w0, nibbles);
    const c = v128.and(w1, nibbles);
    const d = high(w1, nibbles);
    const e = v128.and(w2, nibbles);
    const f = high(w2, nibbles);
    const g = v128.and(w3, nibbles);
    const h = high(w3, nibbles);
    lo = four_lo(four_lo(zero, a, b, c, d, x0), e, f, g, h, x0 + 8);
    hi = four_hi(four_hi(zero, a, b, c, d, x0), e, f, g, h, x0 + 8);
    lo = dot4_join(lo, hi, v128.load32_splat(x0, ACT_SUM), ones);
    f0 = scaled(f0, lo, scales, v128.load32_splat(x0, ACT_SCALE));
    x0 += ACT_BLOCK_BYTES;
    lo = four_lo(four_lo(zero, a, b, c, d, x1), e, f, g, h, x1 + 8);
    hi = four_hi(four_hi(zero, a, b, c, d, x1), e, f, g, h, x1 + 8);
    lo = dot4_join(lo, hi, v128.load32_splat(x1, ACT_SUM), ones);
    f1 = scaled(f1, lo, scales, v128.load32_splat(x1, ACT_SCALE));
    x1 += ACT_BLOCK_BYTES;
    lo = four_lo(four_lo(zero, a, b, c, d, x2), e, f, g, h, x2 + 8);
    hi = four_hi(four_hi(zero, a, b, c, d, x2), e, f, g, h, x2 + 8);
    lo = dot4_join(lo, hi, v128.load32_splat(x2, ACT_SUM), ones);
    f2 = scaled(f2, lo, scales, v128.load32_splat(x2, ACT_SCALE));
    x2 += ACT_BLOCK_BYTES;
    lo = four_lo(four_lo(zero, a, b, c, d, x3), e, f, g, h, x3 + 8);
    hi = four_hi(four_hi(zero, a, b, c, d, x3), e, f, g, h, x3 + 8);
    lo = dot4_join(lo, hi, v128.load32_splat(x3, ACT_SUM), ones);
    f3 = scaled(f3, lo, scales, v128.load32_splat(x3, ACT_SCALE));
    x3 += ACT_BLOCK_BYTES;
  }
  store_rows(out, add, f0);
  store_rows(out + outStride, add ? add + addStride : 0, f1);
  store_rows(out + 2 * outStride, add ? add + 2 * addStride : 0, f2);
  store_rows(out + 3 * outStride, add ? add + 3 * addStride : 0, f3);
}

/**
 * out[t, r] = sum_c W[r,c] * x[t, c] (+ add[t, r])      rows of strips [begin, end), any number of tokens
 * xStride, outStride, addStride: bytes between tokens; addStride 0: the same row (a bias) for all
 * The rest as matvec_q4, whose bits each token has, however many share the call.
 */
export function matmul_q4(
  w: usize,
  x: usize,
  xStride: usize,
  out: usize,
  outStride: usize,
  add: usize,
  addStride: usize,
  begin: i32,
  end: i32,
  blocks: i32,
  tokens: i32,
): void {
  if (tokens === 1) {
    matvec_q4(w, x, out, add, begin, end, blocks);
    return;
  }
  const stripBytes = <usize>blocks * Q4_TILE_BYTES;
  for (let strip = begin; strip < end; strip++) {
    const at = (<usize>strip) << 4;
    let t = 0;
    for (; t + 4 <= tokens; t += 4) {
      const token = <usize>t;
      mat4_q4(
        w + <usize>strip * stripBytes,
        x + token * xStride,
        xStride,
        out + token * outStride + at,
        outStride,
        add ? add + token * addStride + at : 0,
        addStride,
        blocks,
      );
    }
    for (; t < tokens; t++) {
      const token = <usize>t;
      const addRow = add ? add + token * addStride : 0;
      matvec_q4(w, x + token * xStride, out + token * outStride, addRow, strip, strip + 1, blocks);
    }
  }
}
