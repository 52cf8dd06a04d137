import { ACT_BLOCK_BYTES, ACT_SCALE, Q8_TILE_BYTES, Q8_TILE_SUMS, Q8_TILE_VALUES } from "../layout/blocks";
import { CONST_ONES_16 } from "../layout/control";
import { dot_hi, dot_join, dot_lo, load_act, q8_start } from "../simd/dot";
import { f16_mask, load_f16x4, two112 } from "../simd/f16";
import { scaled, store_rows } from "./rows";

const HALF = Q8_TILE_VALUES + 64;

// Half a block of one strip, rows 0 and 1 (plain) or all four (relaxed). Small enough that -O3 inlines it.
function half_lo(acc: v128, w: usize, x: usize, ones: v128): v128 {
  acc = dot_lo(acc, v128.load(w), load_act(x), ones);
  acc = dot_lo(acc, v128.load(w, 16), load_act(x + 4), ones);
  acc = dot_lo(acc, v128.load(w, 32), load_act(x + 8), ones);
  return dot_lo(acc, v128.load(w, 48), load_act(x + 12), ones);
}

function half_hi(acc: v128, w: usize, x: usize): v128 {
  acc = dot_hi(acc, v128.load(w), load_act(x));
  acc = dot_hi(acc, v128.load(w, 16), load_act(x + 4));
  acc = dot_hi(acc, v128.load(w, 32), load_act(x + 8));
  return dot_hi(acc, v128.load(w, 48), load_act(x + 12));
}

// The first half of a tile's columns against an activation block, as integers.
function low(tile: usize, x: usize, ones: v128): v128 {
  return half_lo(q8_start(tile + Q8_TILE_SUMS), tile + Q8_TILE_VALUES, x, ones);
}

// The same four weight vectors against another token: they stay in registers.
function four_lo(acc: v128, a: v128, b: v128, c: v128, d: v128, x: usize, ones: v128): v128 {
  acc = dot_lo(acc, a, load_act(x), ones);
  acc = dot_lo(acc, b, load_act(x + 4), ones);
  acc = dot_lo(acc, c, load_act(x + 8), ones);
  return dot_lo(acc, d, load_act(x + 12), ones);
}

function four_hi(acc: v128, a: v128, b: v128, c: v128, d: v128, x: usize): v128 {
  acc = dot_hi(acc, a, load_act(x));
  acc = dot_hi(acc, b, load_act(x + 4));
  acc = dot_hi(acc, c, load_act(x + 8));
  return dot_hi(acc, d, load_act(x + 12));
}

/**
 * out[r] = sum_c W[r,c] * x[c] (+ add[r])      rows of strips [begin, end), one token
 * W    q8 tiles [strips * 4, blocks * 32]      see layout/blocks.ts
 * x    activation blocks [blocks]              from quantize_q8w(), finite
 * out  f32 [strips * 4]
 * add  f32 [strips * 4] or 0                   may be out
 * Align: W, x 4 B; out, add 16 B               Reads past the end: none
 * Numerics: i32 exact per block; f32 across blocks in ascending order, mul and add apart
 *
 * Eight strips at once are eight read streams: one stream leaves a third of the memory's speed unused.
 */
export function matvec_q8(
  w: usize,
  x: usize,
  out: usize,
  add: usize,
  begin: i32,
  end: i32,
  blocks: i32,
): void {
  const ones = v128.load(CONST_ONES_16);
  const scale = two112();
  const mask = f16_mask();
  const zero = i32x4.splat(0);
  const stripBytes = <usize>blocks * Q8_TILE_BYTES;
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
      lo = half_lo(low(t0, xp, ones), t0 + HALF, xp + 16, ones);
      hi = half_hi(half_hi(zero, t0 + Q8_TILE_VALUES, xp), t0 + HALF, xp + 16);
      f0 = scaled(f0, dot_join(lo, hi), load_f16x4(t0, scale, mask), xs);
      t0 += Q8_TILE_BYTES;
      lo = half_lo(low(t1, xp, ones), t1 + HALF, xp + 16, ones);
      hi = half_hi(half_hi(zero, t1 + Q8_TILE_VALUES, xp), t1 + HALF, xp + 16);
      f1 = scaled(f1, dot_join(lo, hi), load_f16x4(t1, scale, mask), xs);
      t1 += Q8_TILE_BYTES;
      lo = half_lo(low(t2, xp, ones), t2 + HALF, xp + 16, ones);
      hi = half_hi(half_hi(zero, t2 + Q8_TILE_VALUES, xp), t2 + HALF, xp + 16);
      f2 = scaled(f2, dot_join(lo, hi), load_f16x4(t2, scale, mask), xs);
      t2 += Q8_TILE_BYTES;
      lo = half_lo(low(t3, xp, ones), t3 + HALF, xp + 16, ones);
      hi = half_hi(half_hi(zero, t3 + Q8_TILE_VALUES, xp), t3 + HALF, xp + 16);
      f3 = scaled(f3, dot_join(lo, hi), load_f16x4(t3, scale, mask), xs);
      t3 += Q8_TILE_BYTES;
      lo = half_lo(low(t4, xp, ones), t4 + HALF, xp + 16, ones);
      hi = half_hi(half_hi(zero, t4 + Q8_TILE_VALUES, xp), t4 + HALF, xp + 16);
      f4 = scaled(f4, dot_join(lo, hi), load_f16x4(t4, scale, mask), xs);
      t4 += Q8_TILE_BYTES;
      lo = half_lo(low(t5, xp, ones), t5 + HALF, xp + 16, ones);
      hi = half_hi(half_hi(zero, t5 + Q8_TILE_VALUES, xp), t5 + HALF, xp + 16);
      f5 = scaled(f5, dot_join(lo, hi), load_f16x4(t5, scale, mask), xs);
      t5 += Q8_TILE_BYTES;
      lo = half_lo(low(t6, xp, ones), t6 + HALF, xp + 16, ones);
      hi = half_hi(half_hi(zero, t6 + Q8_TILE_VALUES, xp), t6 + HALF, xp + 16);
      f6 = scaled(f6, dot_join(lo, hi), load_f16x4(t6, scale, mask), xs);
      t6 += Q8_TILE_BYTES;
      lo = half_lo(low(t7, xp, ones), t7 + HALF, xp + 16, ones);
      hi = half_hi(half_hi(zero, t7 + Q8_TILE_VALUES, xp), t7 + HALF, xp + 16);
      f7 = scaled(f7, dot_join(lo, hi), load_f16x4(t7, scale, mask), xs);
      t7 += Q8_TILE_BYTES;
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
      lo = half_lo(low(t0, xp, ones), t0 + HALF, xp + 16, ones);
      hi = half_hi(half_hi(zero, t0 + Q8_TILE_VALUES, xp), t0 + HALF, xp + 16);
      f0 = scaled(f0, dot_join(lo, hi), load_f16x4(t0, scale, mask), xs);
      t0 += Q8_TILE_BYTES;
    }
    const at = (<usize>strip) << 4;
    store_rows(out + at, add ? add + at : 0, f0);
  }
}

/**
 * As matvec_q8, for four tokens and one strip: eight weight vectors of a tile stay in registers while four
 * activation blocks pass.
 * x, out, add: of the first token; the strides (bytes) lead to the next ones
 */
export function mat4_q8(
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
  const scale = two112();
  const mask = f16_mask();
  const zero = i32x4.splat(0);
  const end = strip + <usize>blocks * Q8_TILE_BYTES;
  let x0 = x;
  let x1 = x0 + xStride;
  let x2 = x1 + xStride;
  let x3 = x2 + xStride;
  let f0 = f32x4.splat(0);
  let f1 = f0;
  let f2 = f0;
  let f3 = f0;
  let lo: v128, hi: v128;
  for (let tile = strip; tile < end; tile += Q8_TILE_BYTES) {
    const start = q8_start(tile + Q8_TILE_SUMS);
    const scales = load_f16x4(tile, scale, mask);
    const a = v128.load(tile, Q8_TILE_VALUES);
    const b = v128.load(tile, Q8_TILE_VALUES + 16);
    const c = v128.load(tile, Q8_TILE_VALUES + 32);
    const d = v128.load(tile, Q8_TILE_VALUES + 48);
    const e = v128.load(tile, Q8_TILE_VALUES + 64);
    const f = v128.load(tile, Q8_TILE_VALUES + 80);
    const g = v128.load(tile, Q8_TILE_VALUES + 96);
    const h = v128.load(tile, Q8_TILE_VALUES + 112);
    lo = four_lo(four_lo(start, a, b, c, d, x0, ones), e, f, g, h, x0 + 16, ones);
    hi = four_hi(four_hi(zero, a, b, c, d, x0), e, f, g, h, x0 + 16);
    f0 = scaled(f0, dot_join(lo, hi), scales, v128.load32_splat(x0, ACT_SCALE));
    x0 += ACT_BLOCK_BYTES;
    lo = four_lo(four_lo(start, a, b, c, d, x1, ones), e, f, g, h, x1 + 16, ones);
    hi = four_hi(four_hi(zero, a, b, c, d, x1), e, f, g, h, x1 + 16);
    f1 = scaled(f1, dot_join(lo, hi), scales, v128.load32_splat(x1, ACT_SCALE));
    x1 += ACT_BLOCK_BYTES;
    lo = four_lo(four_lo(start, a, b, c, d, x2, ones), e, f, g, h, x2 + 16, ones);
    hi = four_hi(four_hi(zero, a, b, c, d, x2), e, f, g, h, x2 + 16);
    f2 = scaled(f2, dot_join(lo, hi), scales, v128.load32_splat(x2, ACT_SCALE));
    x2 += ACT_BLOCK_BYTES;
    lo = four_lo(four_lo(start, a, b, c, d, x3, ones), e, f, g, h, x3 + 16, ones);
    hi = four_hi(four_hi(zero, a, b, c, d, x3), e, f, g, h, x3 + 16);
    f3 = scaled(f3, dot_join(lo, hi), scales, v128.load32_splat(x3, ACT_SCALE));
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
 * The rest as matvec_q8, whose bits each token has, however many share the call.
 */
export function matmul_q8(
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
    matvec_q8(w, x, out, add, begin, end, blocks);
    return;
  }
  const stripBytes = <usize>blocks * Q8_TILE_BYTES;
  for (let strip = begin; strip < end; strip++) {
    const at = (<usize>strip) << 4;
    let t = 0;
    for (; t + 4 <= tokens; t += 4) {
      const token = <usize>t;
      mat4_q8(
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
      matvec_q8(w, x + token * xStride, out + token * outStride, addRow, strip, strip + 1, blocks);
    }
  }
}
