// OP_ROPE_STORE: rotates q and k by their positions, and stores k and v into the cache.
import { kv_store } from "../../attention/kv_types";
import { KV_PAGE } from "../../layout/blocks";
import { STEP_N_TOKENS, STEP_PAGE_TABLES, STEP_POSITIONS } from "../../layout/control";
import * as op from "../../layout/ops";
import { element, int, next, ptr } from "../../record";

/** Runs the record, token by token. */
export function run_rope_store(record: usize): void {
  const n = load<i32>(STEP_N_TOKENS);
  const half = int(record, op.ROPE_DIM) >> 1;
  const headDim = int(record, op.ROPE_HEAD_DIM);
  const rowBytes = (<usize>headDim) << 2;
  const pairing = int(record, op.ROPE_PAIRING);
  const type = int(record, op.ROPE_KV_TYPE);
  const only = int(record, op.ROPE_ONLY);
  const table = ptr(record, op.ROPE_TABLE);
  for (let t = next(record); t < n; t = next(record)) {
    const token = <usize>t;
    const pos = element(STEP_POSITIONS, t);
    const pages = table + <usize>(<u32>element(STEP_PAGE_TABLES, t));
    const page = <usize>load<u32>(pages + ((<usize>(pos / KV_PAGE)) << 2));
    const slot = pos % KV_PAGE;
    const angles = ptr(record, op.ROPE_ANGLES) + token * ((<usize>half) << 3);
    let q = ptr(record, op.ROPE_Q) + token * ptr(record, op.ROPE_Q_STRIDE);
    for (let h = int(record, op.ROPE_N_HEADS); h > 0; h--) {
      rotate(pairing, q, angles, half);
      q += rowBytes;
    }
    let k = ptr(record, op.ROPE_K) + token * ptr(record, op.ROPE_K_STRIDE);
    let v = ptr(record, op.ROPE_V) + token * ptr(record, op.ROPE_V_STRIDE);
    let head = page + ptr(record, op.ROPE_LAYER);
    for (let h = int(record, op.ROPE_N_KV_HEADS); h > 0; h--) {
      rotate(pairing, k, angles, half);
      if (!only) kv_store(type, k, v, head, slot, headDim);
      k += rowBytes;
      v += rowBytes;
      head += ptr(record, op.ROPE_HEAD_BYTES);
    }
  }
}

function rotate(pairing: i32, x: usize, angles: usize, half: i32): void {
  if (pairing === op.PAIRING_ADJACENT) rope_adjacent_f32(x, angles, half);
  else rope_halves_f32(x, angles, half);
}

/**
 * Rotates the pairs (x[2i], x[2i+1]), in place: llama2.c and GGUF's `llama` order.
 * x       f32 [2 * half]
 * angles  f32 [half][2]               from rope_angles()
 * Align: 4 B                          Reads past the end: none
 * Source: Su et al. 2021, arXiv:2104.09864, equation 34
 */
export function rope_adjacent_f32(x: usize, angles: usize, half: i32): void {
  const stop = x + ((<usize>half & ~1) << 3);
  for (; x < stop; x += 16, angles += 16) {
    const v = v128.load(x);
    const a = v128.load(angles);
    const c = v128.shuffle<i32>(a, a, 0, 0, 2, 2);
    const s = v128.shuffle<i32>(a, a, 1, 1, 3, 3);
    // (x0 c - x1 s, x1 c + x0 s): the sine of even lanes changes its sign.
    const swapped = f32x4.mul(v128.shuffle<i32>(v, v, 1, 0, 3, 2), s);
    const signed = v128.xor(swapped, i64x2.splat(0x80000000));
    v128.store(x, f32x4.add(f32x4.mul(v, c), signed));
  }
  if (half & 1) {
    const a = load<f32>(x);
    const b = load<f32>(x, 4);
    const c = load<f32>(angles);
    const s = load<f32>(angles, 4);
    store<f32>(x, a * c - b * s);
    store<f32>(x, b * c + a * s, 4);
  }
}

/**
 * As rope_adjacent_f32, with the pairs (x[i], x[half + i]): Hugging Face's order.
 */
export function rope_halves_f32(x: usize, angles: usize, half: i32): void {
  const bytes = (<usize>half) << 2;
  const vectors = x + ((<usize>half & ~3) << 2);
  const stop = x + bytes;
  for (; x < vectors; x += 16, angles += 32) {
    const a = v128.load(x);
    const b = v128.load(x + bytes);
    const lo = v128.load(angles);
    const hi = v128.load(angles, 16);
    const c = v128.shuffle<i32>(lo, hi, 0, 2, 4, 6);
    const s = v128.shuffle<i32>(lo, hi, 1, 3, 5, 7);
    v128.store(x, f32x4.sub(f32x4.mul(a, c), f32x4.mul(b, s)));
    v128.store(x + bytes, f32x4.add(f32x4.mul(b, c), f32x4.mul(a, s)));
  }
  for (; x < stop; x += 4, angles += 8) {
    const a = load<f32>(x);
    const b = load<f32>(x + bytes);
    const c = load<f32>(angles);
    const s = load<f32>(angles, 4);
    store<f32>(x, a * c - b * s);
    store<f32>(x + bytes, b * c + a * s);
  }
}
