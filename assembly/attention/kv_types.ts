// The formats of keys and values in the cache: the only switch over KV_* in the kernels. A new format is a file beside this
// one, and a case in each function below.
import { KV_F16, KV_F32, KV_PAGE, KV_Q8 } from "../layout/blocks";
import { block_f16, kv_store_f16, widen_page } from "./f16";
import { block_f32, kv_store_f32, start_f32 } from "./f32";
import { block_q8, kv_store_q8, start_q8 } from "./q8";
import { kv_dims } from "./rows";

// Up to so many rows, it costs less to widen f16 for each kernel than to store what is widened and load it.
const STORED_ROWS: i32 = 4;

/**
 * Bytes of one kv head in a page: its K block, its V block and, for q8, their scales.
 * A multiple of 256.
 */
export function kv_head_bytes(type: i32, headDim: i32): i32 {
  const elements = 2 * kv_dims(headDim) * KV_PAGE;
  if (type === KV_F32) return 4 * elements;
  if (type === KV_F16) return 2 * elements;
  return elements + 8 * KV_PAGE;
}

/** Stores k and v of one position of one kv head: see kv_store_f32(). */
export function kv_store(type: i32, k: usize, v: usize, head: usize, slot: i32, headDim: i32): void {
  if (type === KV_F16) kv_store_f16(k, v, head, slot, headDim);
  else if (type === KV_F32) kv_store_f32(k, v, head, slot, headDim);
  else kv_store_q8(k, v, head, slot, headDim);
}

/** Makes q of a query row, times scale: what block() multiplies K with. */
export function start_q(type: i32, row: usize, q: usize, headDim: i32, scale: f32): void {
  if (type === KV_Q8) start_q8(row, q, headDim, scale);
  else start_f32(row, q, headDim, scale);
}

/** Whether attend_page() takes a page as it is stored for so few rows, and two rows at once. */
export function takes_stored(type: i32, rows: i32): bool {
  return type === KV_F16 && rows <= STORED_ROWS;
}

/** Prepares a head's block of a page, at `block`, for all rows; `wide` is f32 [2][32][dims], 16 B aligned. */
export function begin_page(type: i32, block: usize, dims: i32, wide: usize): void {
  if (type === KV_F16) widen_page(block, dims, wide);
}

/**
 * Attention of `rows` query rows, 4 or 1, to a head's block of a page: see block_f32(). If takes_stored(), `wide` may be 0:
 * begin_page() was not called, and there may be 2 rows.
 * from, count  these rows see positions [from, count), of 0..31
 */
export function attend_page(
  type: i32,
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
  const elements = <usize>(dims * KV_PAGE);
  if (type === KV_Q8) {
    block_q8(block, block + elements, block + 2 * elements, from, count, dims, row, rowBytes, rows, scores);
  } else if (type === KV_F16) {
    block_f16(block, wide, from, count, dims, row, rowBytes, rows, scores);
  } else {
    block_f32(block, block + (elements << 2), from, count, dims, row, rowBytes, rows, scores);
  }
}
