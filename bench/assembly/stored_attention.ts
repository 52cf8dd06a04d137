// What blocked attention is measured against: attention that stores every score before it takes a softmax.
// Same pages, same rows at once, same order over pages as assembly/attention/attention.ts; the scores' way through
// memory is the only difference.
import { SHARED_ROWS } from "../../assembly/attention/attention";
import { product1, product4 } from "../../assembly/attention/products";
import { kv_dims, load4, row_at, seen } from "../../assembly/attention/rows";
import { exp2_f32x4 } from "../../assembly/attention/softmax";
import { KV_PAGE } from "../../assembly/layout/blocks";
import {
  CONST_EXP2_COEFFICIENTS,
  CONST_EXP2_LOWEST,
  CONST_EXP2_ROUND,
  CONST_ONE,
  QUERY_FIRST_POSITION,
  QUERY_FIRST_TOKEN,
  QUERY_N_TOKENS,
  QUERY_PAGE_TABLE,
  QUERY_TILE,
} from "../../assembly/layout/control";
import * as op from "../../assembly/layout/ops";
import { float, int, ptr } from "../../assembly/record";
import { sum_f32x4 } from "../../assembly/simd/reduce";

// Bytes of eight dims of V.
const V_GROUP: usize = KV_PAGE * 32;
const PAGE_SCORES: usize = KV_PAGE * 4;

// Bytes of a row of scores over `positions` positions, whole pages.
function score_bytes(positions: i32): usize {
  return (<usize>((positions + KV_PAGE - 1) & -KV_PAGE)) << 2;
}

/** Bytes of scratch that attention_stored_f32() needs; `positions` is pos + tokens. */
export function stored_scratch_bytes(headDim: i32, nHeads: i32, tokens: i32, positions: i32): u32 {
  const rows = <usize>(tokens * nHeads);
  const tileRows = <usize>(QUERY_TILE * nHeads);
  return <u32>(rows * score_bytes(positions) + tileRows * ((<usize>kv_dims(headDim)) << 3) + (rows << 2));
}

function largest(s: usize, stop: usize): v128 {
  let a = f32x4.splat(-Infinity);
  let b = a;
  for (; s < stop; s += 32) {
    a = f32x4.pmax(a, v128.load(s));
    b = f32x4.pmax(b, v128.load(s, 16));
  }
  a = f32x4.pmax(a, b);
  a = f32x4.pmax(a, v128.shuffle<i32>(a, a, 2, 3, 0, 1));
  return f32x4.pmax(a, v128.shuffle<i32>(a, a, 1, 0, 3, 2));
}

/**
 * s[i] = 2^(s[i] - max s), and their sum. Uses the polynomial of softmax_block (assembly/attention/softmax.ts).
 * s  f32 scores, whole pages; scores after the first `count` become 0
 */
export function softmax_row(s: usize, count: i32): f32 {
  const stop = s + score_bytes(count);
  for (let p = s + ((<usize>count) << 2); p < stop; p += 4) store<f32>(p, -Infinity);
  const top = largest(s, stop);
  const lowest = v128.load(CONST_EXP2_LOWEST);
  const round = v128.load(CONST_EXP2_ROUND);
  const one = v128.load(CONST_ONE);
  const c1 = v128.load(CONST_EXP2_COEFFICIENTS);
  const c2 = v128.load(CONST_EXP2_COEFFICIENTS, 16);
  const c3 = v128.load(CONST_EXP2_COEFFICIENTS, 32);
  const c4 = v128.load(CONST_EXP2_COEFFICIENTS, 48);
  const c5 = v128.load(CONST_EXP2_COEFFICIENTS, 64);
  let sum = f32x4.splat(0);
  for (let p = s; p < stop; p += 16) {
    const x = f32x4.pmax(f32x4.sub(v128.load(p), top), lowest);
    const y = exp2_f32x4(x, round, one, c1, c2, c3, c4, c5);
    v128.store(p, y);
    sum = f32x4.add(sum, y);
  }
  return sum_f32x4(sum);
}

function rows_of(pos: i32, r: i32, nHeads: i32, first: i32, nRows: i32): i32 {
  return r + SHARED_ROWS <= nRows &&
    seen(pos, r + SHARED_ROWS - 1, nHeads, first) === seen(pos, r, nHeads, first)
    ? SHARED_ROWS
    : 1;
}

/**
 * out[t, h] = sum_p softmax_p(scale * q[t, h] . K[p]) * V[p]     positions p in [0, pos + t], one kv head
 * Arguments as attention() of assembly/attention/attention.ts takes them, but for
 * tile     any number of tokens
 * scratch  stored_scratch_bytes(headDim, nHeads, tokens, pos + tokens)
 * Units: headDim a multiple of 8
 *
 * Three passes: all scores, the softmax of each row, all sums of V. The first and the last pass take eight tokens at a time
 * through the pages, as blocked attention does. So both read K and V from the same level of cache.
 */
export function attention_stored_f32(record: usize, tile: usize, kvHead: i32, scratch: usize): void {
  const headDim = int(record, op.ATT_HEAD_DIM);
  const group = ptr(record, op.ATT_GROUPS) + ((<usize>kvHead) << 2);
  const firstHead = load<i32>(group);
  const nHeads = load<i32>(group, 4) - firstHead;
  const heads = ptr(record, op.ATT_HEADS) + ((<usize>firstHead) << 2);
  const token = <usize>load<i32>(tile, QUERY_FIRST_TOKEN);
  const tokens = load<i32>(tile, QUERY_N_TOKENS);
  const pos = load<i32>(tile, QUERY_FIRST_POSITION);
  const pages = <usize>load<u32>(tile, QUERY_PAGE_TABLE);
  const head = ptr(record, op.ATT_LAYER) + <usize>kvHead * ptr(record, op.ATT_HEAD_BYTES);
  const qStride = ptr(record, op.ATT_Q_STRIDE);
  const q = ptr(record, op.ATT_Q) + token * qStride;
  const outStride = ptr(record, op.ATT_OUT_STRIDE);
  const out = ptr(record, op.ATT_OUT) + token * outStride;

  const dims = kv_dims(headDim);
  const rowBytes = (<usize>dims) << 2;
  const groups = dims >> 3;
  const stride = score_bytes(pos + tokens);
  const nRows = tokens * nHeads;
  const factor = f32x4.splat(float(record, op.ATT_SCALE) * Mathf.LOG2E);
  const tileQ = scratch + <usize>nRows * stride;
  const tileOut = tileQ + <usize>(QUERY_TILE * nHeads) * rowBytes;
  const sums = tileOut + <usize>(QUERY_TILE * nHeads) * rowBytes;

  for (let t = 0; t < tokens; t += QUERY_TILE) {
    const n = min(QUERY_TILE, tokens - t) * nHeads;
    const firstRow = t * nHeads;
    let row = tileQ;
    for (let r = 0; r < n; r++, row += rowBytes) {
      const from = row_at(q, qStride, heads, nHeads, firstRow + r, headDim);
      for (let i = 0; i < dims; i += 4) {
        v128.store(row + ((<usize>i) << 2), f32x4.mul(load4(from, i, headDim), factor));
      }
    }
    let table = pages;
    const end = pos + min(t + QUERY_TILE, tokens);
    for (let first = 0; first < end; first += KV_PAGE, table += 4) {
      const k = <usize>load<u32>(table) + head;
      let r = max(first - pos - t, 0) * nHeads;
      while (r < n) {
        const some = rows_of(pos + t, r, nHeads, first, n);
        const s = scratch + <usize>(firstRow + r) * stride + ((<usize>first) << 2);
        const a = tileQ + <usize>r * rowBytes;
        if (some === SHARED_ROWS)
          product4<f32>(a, rowBytes, dims, k, (<usize>dims) << 5, 4, s, stride, false);
        else product1<f32>(a, dims, k, (<usize>dims) << 5, 4, s, false);
        r += some;
      }
    }
  }

  for (let r = 0; r < nRows; r++) {
    const sum = softmax_row(scratch + <usize>r * stride, pos + r / nHeads + 1);
    store<f32>(sums + ((<usize>r) << 2), sum);
  }

  for (let t = 0; t < tokens; t += QUERY_TILE) {
    const n = min(QUERY_TILE, tokens - t) * nHeads;
    const firstRow = t * nHeads;
    memory.fill(tileOut, 0, <usize>n * rowBytes);
    let table = pages;
    const end = pos + min(t + QUERY_TILE, tokens);
    for (let first = 0; first < end; first += KV_PAGE, table += 4) {
      const v = <usize>load<u32>(table) + head + <usize>dims * PAGE_SCORES;
      let r = max(first - pos - t, 0) * nHeads;
      while (r < n) {
        const some = rows_of(pos + t, r, nHeads, first, n);
        const count = seen(pos + t, r, nHeads, first);
        const s = scratch + <usize>(firstRow + r) * stride + ((<usize>first) << 2);
        const to = tileOut + <usize>r * rowBytes;
        if (some === SHARED_ROWS) product4<f64>(s, stride, count, v, V_GROUP, groups, to, rowBytes, true);
        else product1<f64>(s, count, v, V_GROUP, groups, to, true);
        r += some;
      }
    }
    for (let r = 0; r < n; r++) {
      const sum = v128.load32_splat(sums + ((<usize>(firstRow + r)) << 2));
      const to = row_at(out, outStride, heads, nHeads, firstRow + r, headDim);
      const from = tileOut + <usize>r * rowBytes;
      for (let i = 0; i < headDim; i += 4) {
        const at = (<usize>i) << 2;
        v128.store(to + at, f32x4.div(v128.load(from + at), sum));
      }
    }
  }
}
