// Keys and values as f16. For many rows a page is widened once, then attention is that of f32. Few rows take it as it is.
import { KV_PAGE } from "../layout/blocks";
import { CONST_SHIFT_13 } from "../layout/control";
import { f16_mask, load_f16x4, to_f16, two112 } from "../simd/f16";
import { madd } from "../simd/math";
import { block_f32 } from "./f32";
import { folded } from "./products";
import { k_index, kv_dims } from "./rows";
import { hide, ROW_Q, SCORE_BYTES, softmax_block } from "./softmax";

// Bytes of eight dims of V.
const V_GROUP: usize = KV_PAGE * 16;

// Dim d of a row of n; zero behind its end.
function f16_dim(x: usize, d: i32, n: i32): u16 {
  return d < n ? to_f16(load<f32>(x + ((<usize>d) << 2))) : 0;
}

/**
 * As kv_store_f32, with f16.
 * Numerics: round to nearest, ties to even; beyond 65504 saturates; NaN becomes 0
 */
export function kv_store_f16(k: usize, v: usize, head: usize, slot: i32, headDim: i32): void {
  const dims = kv_dims(headDim);
  let kAt = head + (k_index(slot, dims) << 1);
  let vAt = head + <usize>((dims * KV_PAGE + slot * 8) << 1);
  for (let d = 0; d < dims; ) {
    for (const stop = d + 8; d < stop; d++) {
      store<u16>(kAt, f16_dim(k, d, headDim));
      store<u16>(vAt, f16_dim(v, d, headDim));
      kAt += 16;
      vAt += 2;
    }
    vAt += 16 * KV_PAGE - 16;
  }
}

/** Widens K and V of a head's block of a page to f32. */
export function widen_page(block: usize, dims: i32, wide: usize): void {
  widen_f16(block, wide, 2 * dims * KV_PAGE);
}

// out[i] = f16[i] as f32, n elements, n % 16 == 0; 16 B aligned.
function widen_f16(x: usize, out: usize, n: i32): void {
  const scale = two112();
  const mask = f16_mask();
  const stop = x + ((<usize>n) << 1);
  for (; x < stop; x += 32, out += 64) {
    v128.store(out, load_f16x4(x, scale, mask));
    v128.store(out, load_f16x4(x + 8, scale, mask), 16);
    v128.store(out, load_f16x4(x + 16, scale, mask), 32);
    v128.store(out, load_f16x4(x + 24, scale, mask), 48);
  }
}

/** block_f32() over what widen_page() made, for 4, 2 or 1 rows; if `wide` is 0, over the block as it is stored. */
export function block_f16(
  block: usize,
  wide: usize,
  from: i32,
  count: i32,
  dims: i32,
  row: usize,
  rowBytes: usize,
  rows: i32,
  scores: usize,
): void {
  if (wide) {
    const v = wide + ((<usize>(dims * KV_PAGE)) << 2);
    block_f32(wide, v, from, count, dims, row, rowBytes, rows, scores);
    return;
  }
  const q = row + ROW_Q;
  product_rows(rows, q, rowBytes, dims, block, (<usize>dims) << 4, 4, scores, SCORE_BYTES, false);
  const stop = scores + <usize>rows * SCORE_BYTES;
  for (let s = scores; s < stop; s += SCORE_BYTES) hide(s, from, count);
  softmax_block(scores, rows, row, rowBytes);
  const sums = q + ((<usize>dims) << 2);
  const v = block + ((<usize>(dims * KV_PAGE)) << 1);
  product_rows(rows, scores, SCORE_BYTES, count, v, V_GROUP, dims >> 3, sums, rowBytes, true);
}

function product_rows(
  rows: i32,
  a: usize,
  aStride: usize,
  n: i32,
  b: usize,
  groupBytes: usize,
  groups: i32,
  out: usize,
  outStride: usize,
  fold: bool,
): void {
  if (rows === 4) product<i32>(a, aStride, n, b, groupBytes, groups, out, outStride, fold);
  else if (rows === 2) product<i16>(a, aStride, n, b, groupBytes, groups, out, outStride, fold);
  else product<i8>(a, aStride, n, b, groupBytes, groups, out, outStride, fold);
}

// As product4() of products.ts, with the same bits, for sizeof<R>() rows and b as f16 [groups][.. n ..][8].
function product<R>(
  a: usize,
  aStride: usize,
  n: i32,
  b: usize,
  groupBytes: usize,
  groups: i32,
  out: usize,
  outStride: usize,
  fold: bool,
): void {
  // As load_scales() of simd/f16.ts, of every other half: columns 0, 2, 4, 6 and 1, 3, 5, 7.
  const shift = v128.load(CONST_SHIFT_13);
  const even = i32x4.shr_u(shift, 16);
  const odd = i32x4.shl(shift, 16);
  const mask = f16_mask();
  const power = two112();
  const stop = a + ((<usize>n) << 2);
  for (; groups > 0; groups--, b += groupBytes, out += 32) {
    let s0 = i32x4.splat(0);
    let t0 = s0;
    let s1 = s0;
    let t1 = s0;
    let s2 = s0;
    let t2 = s0;
    let s3 = s0;
    let t3 = s0;
    let at = b;
    for (let p = a; p < stop; p += 4, at += 16) {
      const x = v128.load(at);
      const u = f32x4.mul(v128.and(i32x4.dot_i16x8_s(x, even), mask), power);
      const v = f32x4.mul(v128.and(i32x4.dot_i16x8_s(x, odd), mask), power);
      let w = v128.load32_splat(p);
      s0 = madd(s0, w, u);
      t0 = madd(t0, w, v);
      if (sizeof<R>() >= 2) {
        w = v128.load32_splat(p + aStride);
        s1 = madd(s1, w, u);
        t1 = madd(t1, w, v);
      }
      if (sizeof<R>() === 4) {
        w = v128.load32_splat(p + 2 * aStride);
        s2 = madd(s2, w, u);
        t2 = madd(t2, w, v);
        w = v128.load32_splat(p + 3 * aStride);
        s3 = madd(s3, w, u);
        t3 = madd(t3, w, v);
      }
    }
    store_columns(out, s0, t0, a, fold);
    if (sizeof<R>() >= 2) store_columns(out + outStride, s1, t1, a + aStride, fold);
    if (sizeof<R>() === 4) {
      store_columns(out + 2 * outStride, s2, t2, a + 2 * aStride, fold);
      store_columns(out + 3 * outStride, s3, t3, a + 3 * aStride, fold);
    }
  }
}

// Stores the sums of eight columns in their order.
function store_columns(out: usize, evens: v128, odds: v128, weights: usize, fold: bool): void {
  let low = v128.shuffle<i32>(evens, odds, 0, 4, 1, 5);
  let top = v128.shuffle<i32>(evens, odds, 2, 6, 3, 7);
  if (fold) {
    low = folded<f32>(low, out, weights);
    top = folded<f32>(top, out + 16, weights);
  }
  v128.store(out, low);
  v128.store(out, top, 16);
}
