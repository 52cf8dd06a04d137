import { abs_max, inverse_of, kv_dims, load4, scale_of } from "./attention/rows";
import { KV_F16, KV_F32, KV_PAGE } from "./layout/blocks";
import { to_f16 } from "./simd/f16";

const INT8_MAX: f32 = 127;

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

// Index of a position's dim 0 in K; the next dim is eight elements further.
function k_index(slot: i32, dims: i32): usize {
  return <usize>((slot >> 3) * 8 * dims + (slot & 7));
}

/**
 * head[slot] = k, v                one position of one kv head
 * k, v  f32 [headDim]
 * head  f32 page head block        see layout/blocks.ts; only this slot is written
 * Units: slot 0..31; headDim even, 2..256
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

function round4(x: usize, d: i32, n: i32, inverse: v128): v128 {
  return i32x4.trunc_sat_f32x4_s(f32x4.nearest(f32x4.mul(load4(x, d, n), inverse)));
}

// Eight dims as int8.
function round8(x: usize, d: i32, n: i32, inverse: v128): v128 {
  const q = i16x8.narrow_i32x4_s(round4(x, d, n, inverse), round4(x, d + 4, n, inverse));
  return i8x16.narrow_i16x8_s(q, q);
}

/**
 * As kv_store_f32, with int8 and one f32 scale for K and one for V, max|x| / 127.
 * Numerics: round to nearest, ties to even; a row whose maximum is under 1e-30 becomes zeros. NaN or
 *           infinity in k or v makes the scale of K so, and with it every score of this position
 */
export function kv_store_q8(k: usize, v: usize, head: usize, slot: i32, headDim: i32): void {
  const dims = kv_dims(headDim);
  const kTop = abs_max(k, headDim);
  const vTop = abs_max(v, headDim);
  const kInverse = f32x4.splat(inverse_of(kTop, INT8_MAX));
  const vInverse = f32x4.splat(inverse_of(vTop, INT8_MAX));
  let kAt = head + <usize>((slot >> 3) * 8 * dims + (slot & 7) * 2);
  let vAt = head + <usize>(dims * KV_PAGE + (slot >> 1) * 16 + (slot & 1));
  for (let d = 0; d < dims; d += 8) {
    const a = round8(k, d, headDim, kInverse);
    v128.store16_lane(kAt, a, 0);
    v128.store16_lane(kAt, a, 1, 16);
    v128.store16_lane(kAt, a, 2, 32);
    v128.store16_lane(kAt, a, 3, 48);
    const b = round8(v, d, headDim, vInverse);
    v128.store8_lane(vAt, b, 0);
    v128.store8_lane(vAt, b, 1, 2);
    v128.store8_lane(vAt, b, 2, 4);
    v128.store8_lane(vAt, b, 3, 6);
    v128.store8_lane(vAt, b, 4, 8);
    v128.store8_lane(vAt, b, 5, 10);
    v128.store8_lane(vAt, b, 6, 12);
    v128.store8_lane(vAt, b, 7, 14);
    kAt += 64;
    vAt += 8 * KV_PAGE;
  }
  const scales = head + <usize>(2 * dims * KV_PAGE + 4 * slot);
  store<f32>(scales, scale_of(kTop, INT8_MAX) + (vTop - vTop));
  store<f32>(scales, scale_of(vTop, INT8_MAX), 4 * KV_PAGE);
}
