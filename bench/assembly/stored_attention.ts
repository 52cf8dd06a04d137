// Attention that stores all scores before the softmax, to compare blocked attention with.
// It has the same pages, the same rows in a tile and the same order of pages as the kernels in assembly/. Its only difference
// is that scores go through memory.
import { product1_f32, product4_f32 } from "../../assembly/attention/f32";
import { kv_dims, load4 } from "../../assembly/attention/rows";
import { KV_PAGE } from "../../assembly/layout/blocks";
import {
  CONST_EXP2_COEFFICIENTS,
  CONST_EXP2_LOWEST,
  CONST_EXP2_ROUND,
  CONST_ONE,
  QUERY_TILE,
} from "../../assembly/layout/control";
import { sum_f32x4 } from "../../assembly/simd/reduce";

// Query rows that share the registers of a kernel.
const TILE = 4;
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

function madd(sum: v128, a: v128, b: v128): v128 {
  return f32x4.add(sum, f32x4.mul(a, b));
}

function add_to(out: usize, sum: v128): void {
  v128.store(out, f32x4.add(v128.load(out), sum));
}

/**
 * out[r, c] += sum_n a[r, n] * b[n, c]      4 rows r, 8 * groups columns c
 * Like product4_f32 of assembly/attention/f32.ts, but without a factor for the sums.
 */
export function gather4(
  a: usize,
  aStride: usize,
  n: i32,
  b: usize,
  groups: i32,
  out: usize,
  outStride: usize,
): void {
  const stop = a + ((<usize>n) << 2);
  for (; groups > 0; groups--, b += V_GROUP, out += 32) {
    let a0 = a;
    let a1 = a0 + aStride;
    let a2 = a1 + aStride;
    let a3 = a2 + aStride;
    let s0 = f32x4.splat(0);
    let t0 = s0;
    let s1 = s0;
    let t1 = s0;
    let s2 = s0;
    let t2 = s0;
    let s3 = s0;
    let t3 = s0;
    let x: v128, y: v128, w: v128;
    let at = b;
    if (n & 1) {
      x = v128.load(at);
      y = v128.load(at, 16);
      w = v128.load32_splat(a0);
      s0 = f32x4.mul(w, x);
      t0 = f32x4.mul(w, y);
      w = v128.load32_splat(a1);
      s1 = f32x4.mul(w, x);
      t1 = f32x4.mul(w, y);
      w = v128.load32_splat(a2);
      s2 = f32x4.mul(w, x);
      t2 = f32x4.mul(w, y);
      w = v128.load32_splat(a3);
      s3 = f32x4.mul(w, x);
      t3 = f32x4.mul(w, y);
      a0 += 4;
      a1 += 4;
      a2 += 4;
      a3 += 4;
      at += 32;
    }
    while (a0 < stop) {
      x = v128.load(at);
      y = v128.load(at, 16);
      w = v128.load32_splat(a0);
      s0 = madd(s0, w, x);
      t0 = madd(t0, w, y);
      w = v128.load32_splat(a1);
      s1 = madd(s1, w, x);
      t1 = madd(t1, w, y);
      w = v128.load32_splat(a2);
      s2 = madd(s2, w, x);
      t2 = madd(t2, w, y);
      w = v128.load32_splat(a3);
      s3 = madd(s3, w, x);
      t3 = madd(t3, w, y);
      x = v128.load(at, 32);
      y = v128.load(at, 48);
      w = v128.load32_splat(a0, 4);
      s0 = madd(s0, w, x);
      t0 = madd(t0, w, y);
      w = v128.load32_splat(a1, 4);
      s1 = madd(s1, w, x);
      t1 = madd(t1, w, y);
      w = v128.load32_splat(a2, 4);
      s2 = madd(s2, w, x);
      t2 = madd(t2, w, y);
      w = v128.load32_splat(a3, 4);
      s3 = madd(s3, w, x);
      t3 = madd(t3, w, y);
      a0 += 8;
      a1 += 8;
      a2 += 8;
      a3 += 8;
      at += 64;
    }
    add_to(out, s0);
    add_to(out + 16, t0);
    const out1 = out + outStride;
    add_to(out1, s1);
    add_to(out1 + 16, t1);
    const out2 = out1 + outStride;
    add_to(out2, s2);
    add_to(out2 + 16, t2);
    const out3 = out2 + outStride;
    add_to(out3, s3);
    add_to(out3 + 16, t3);
  }
}

/** Like gather4, but for one row. It takes four groups at once, like product1_f32. */
export function gather1(a: usize, n: i32, b: usize, groups: i32, out: usize): void {
  const stop = a + ((<usize>n) << 2);
  let w: v128;
  for (; groups >= 4; groups -= 4, b += V_GROUP << 2, out += 128) {
    let b0 = b;
    let b1 = b0 + V_GROUP;
    let b2 = b1 + V_GROUP;
    let b3 = b2 + V_GROUP;
    let s0 = f32x4.splat(0);
    let t0 = s0;
    let s1 = s0;
    let t1 = s0;
    let s2 = s0;
    let t2 = s0;
    let s3 = s0;
    let t3 = s0;
    for (let at = a; at < stop; at += 4) {
      w = v128.load32_splat(at);
      s0 = madd(s0, w, v128.load(b0));
      t0 = madd(t0, w, v128.load(b0, 16));
      s1 = madd(s1, w, v128.load(b1));
      t1 = madd(t1, w, v128.load(b1, 16));
      s2 = madd(s2, w, v128.load(b2));
      t2 = madd(t2, w, v128.load(b2, 16));
      s3 = madd(s3, w, v128.load(b3));
      t3 = madd(t3, w, v128.load(b3, 16));
      b0 += 32;
      b1 += 32;
      b2 += 32;
      b3 += 32;
    }
    add_to(out, s0);
    add_to(out + 16, t0);
    add_to(out + 32, s1);
    add_to(out + 48, t1);
    add_to(out + 64, s2);
    add_to(out + 80, t2);
    add_to(out + 96, s3);
    add_to(out + 112, t3);
  }
  for (; groups > 0; groups--, b += V_GROUP, out += 32) {
    let at = b;
    let s = f32x4.splat(0);
    let t = s;
    for (let p = a; p < stop; p += 4, at += 32) {
      w = v128.load32_splat(p);
      s = madd(s, w, v128.load(at));
      t = madd(t, w, v128.load(at, 16));
    }
    add_to(out, s);
    add_to(out + 16, t);
  }
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
    const k = f32x4.add(x, round);
    const r = f32x4.sub(x, f32x4.sub(k, round));
    let y = f32x4.add(c4, f32x4.mul(c5, r));
    y = f32x4.add(c3, f32x4.mul(y, r));
    y = f32x4.add(c2, f32x4.mul(y, r));
    y = f32x4.add(c1, f32x4.mul(y, r));
    y = f32x4.add(one, f32x4.mul(y, r));
    y = f32x4.mul(y, i32x4.add(i32x4.shl(k, 23), one));
    v128.store(p, y);
    sum = f32x4.add(sum, y);
  }
  return sum_f32x4(sum);
}

// The address of row r's head in q or out: rows go by token, then by head.
function row_at(x: usize, stride: usize, heads: usize, nHeads: i32, r: i32, headDim: i32): usize {
  const h = load<i32>(heads + ((<usize>(r % nHeads)) << 2));
  return x + <usize>(r / nHeads) * stride + ((<usize>(h * headDim)) << 2);
}

// Positions of the page that begins at `first` that row r sees; none if not positive.
function seen(pos: i32, r: i32, nHeads: i32, first: i32): i32 {
  return min(pos + r / nHeads + 1 - first, KV_PAGE);
}

function tile_of(pos: i32, r: i32, nHeads: i32, first: i32, nRows: i32): i32 {
  return r + TILE <= nRows && seen(pos, r + TILE - 1, nHeads, first) === seen(pos, r, nHeads, first)
    ? TILE
    : 1;
}

/**
 * out[t, h] = sum_p softmax_p(scale * q[t, h] . K[p]) * V[p]     positions p in [0, pos + t], one kv head
 * Arguments are those of the kernel attention_f32, except:
 * tokens   any number
 * scratch  stored_scratch_bytes(headDim, nHeads, tokens, pos + tokens)
 * Units: headDim a multiple of 8
 *
 * Three passes: all scores, the softmax of each row, all sums of V. The first and the last pass take eight tokens at a time
 * through the pages, as blocked attention does. So both read K and V from the same level of cache.
 */
export function attention_stored_f32(
  q: usize,
  qStride: usize,
  out: usize,
  outStride: usize,
  heads: usize,
  nHeads: i32,
  tokens: i32,
  pos: i32,
  pages: usize,
  head: usize,
  headDim: i32,
  scale: f32,
  scratch: usize,
): void {
  const dims = kv_dims(headDim);
  const rowBytes = (<usize>dims) << 2;
  const groups = dims >> 3;
  const stride = score_bytes(pos + tokens);
  const nRows = tokens * nHeads;
  const factor = f32x4.splat(scale * Mathf.LOG2E);
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
        const tile = tile_of(pos + t, r, nHeads, first, n);
        const s = scratch + <usize>(firstRow + r) * stride + ((<usize>first) << 2);
        const a = tileQ + <usize>r * rowBytes;
        if (tile === TILE) product4_f32(a, rowBytes, dims, k, (<usize>dims) << 5, 4, s, stride, false);
        else product1_f32(a, dims, k, (<usize>dims) << 5, 4, s, false);
        r += tile;
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
        const tile = tile_of(pos + t, r, nHeads, first, n);
        const count = seen(pos + t, r, nHeads, first);
        const s = scratch + <usize>(firstRow + r) * stride + ((<usize>first) << 2);
        const to = tileOut + <usize>r * rowBytes;
        if (tile === TILE) gather4(s, stride, count, v, groups, to, rowBytes);
        else gather1(s, count, v, groups, to);
        r += tile;
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
