// Keys and values as f32: how they are stored, and attention to one block of them.
import { KV_PAGE } from "../layout/blocks";
import { product1, product4 } from "./products";
import { k_index, kv_dims, load4 } from "./rows";
import { hide, ROW_Q, SCORE_BYTES, softmax_block } from "./softmax";

// Bytes of eight dims of V.
const V_GROUP: usize = KV_PAGE * 32;

/**
 * head[slot] = k, v                one position of one kv head
 * k, v  f32 [headDim]
 * head  f32 page head block        see layout/blocks.ts; only this slot is written
 * Units: slot 0..31; headDim even, 2..576
 * Align: head 16 B; k, v 4 B       Reads past the end: none
 * Numerics: exact
 */
export function kv_store_f32(k: usize, v: usize, head: usize, slot: i32, headDim: i32): void {
  const dims = kv_dims(headDim);
  let kAt = head + (k_index(slot, dims) << 2);
  let vAt = head + <usize>((dims * KV_PAGE + slot * 8) << 2);
  for (let d = 0; d < dims; d += 8) {
    const a = load4(k, d, headDim);
    const b = load4(k, d + 4, headDim);
    v128.store32_lane(kAt, a, 0);
    v128.store32_lane(kAt, a, 1, 32);
    v128.store32_lane(kAt, a, 2, 64);
    v128.store32_lane(kAt, a, 3, 96);
    v128.store32_lane(kAt, b, 0, 128);
    v128.store32_lane(kAt, b, 1, 160);
    v128.store32_lane(kAt, b, 2, 192);
    v128.store32_lane(kAt, b, 3, 224);
    v128.store(vAt, load4(v, d, headDim));
    v128.store(vAt, load4(v, d + 4, headDim), 16);
    kAt += 256;
    vAt += 32 * KV_PAGE;
  }
}

/** q as f32. */
export function start_f32(row: usize, q: usize, headDim: i32, scale: f32): void {
  const f = f32x4.splat(scale);
  const dims = kv_dims(headDim);
  for (let i = 0; i < dims; i += 4) {
    v128.store(row + ROW_Q + ((<usize>i) << 2), f32x4.mul(load4(q, i, headDim), f));
  }
}

/**
 * One block of 32 positions for `rows` query rows: 4, or 1 (any other number is taken for 1).
 * k       f32 [4][dims][8 positions]
 * v       f32 [dims / 8][32 positions][8 dims]
 * from    the first position that these rows see, below count; weights of those before it are zero
 * count   where the positions end that these rows see, 1..32; nothing behind is used, not even multiplied by zero
 * row     first row: state, f32 [dims] q, f32 [dims] sums; rowBytes between rows
 * scores  [rows] SCORE_BYTES
 */
export function block_f32(
  k: usize,
  v: usize,
  from: i32,
  count: i32,
  dims: i32,
  row: usize,
  rowBytes: usize,
  rows: i32,
  scores: usize,
): void {
  const groups = dims >> 3;
  const q = row + ROW_Q;
  const sums = q + ((<usize>dims) << 2);
  const kGroup = (<usize>dims) << 5;
  if (rows === 4) product4<f32>(q, rowBytes, dims, k, kGroup, 4, scores, SCORE_BYTES, false);
  else product1<f32>(q, dims, k, kGroup, 4, scores, false);
  const stop = scores + <usize>rows * SCORE_BYTES;
  for (let s = scores; s < stop; s += SCORE_BYTES) hide(s, from, count);
  softmax_block(scores, rows, row, rowBytes);
  if (rows === 4) product4<f32>(scores, SCORE_BYTES, count, v, V_GROUP, groups, sums, rowBytes, true);
  else product1<f32>(scores, count, v, V_GROUP, groups, sums, true);
}
