// Keys and values as f16: a page is widened once for all rows, then attention is that of f32.
import { KV_PAGE } from "../layout/blocks";
import { f16_mask, load_f16x4, to_f16, two112 } from "../simd/f16";
import { block_f32 } from "./f32";
import { k_index, kv_dims } from "./rows";

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

/** block_f32() over what widen_page() made. */
export function block_f16(
  wide: usize,
  from: i32,
  count: i32,
  dims: i32,
  row: usize,
  rowBytes: usize,
  rows: i32,
  scores: usize,
): void {
  const v = wide + ((<usize>(dims * KV_PAGE)) << 2);
  block_f32(wide, v, from, count, dims, row, rowBytes, rows, scores);
}
