import { block_f32 } from "./attention/f32";
import { block_q8 } from "./attention/q8";
import { abs_max, inverse_of, kv_dims, load4, scale_of } from "./attention/rows";
import { ROW_MAX, ROW_Q, ROW_SCALE, ROW_SUM, SCORE_BYTES } from "./attention/softmax";
import { KV_F16, KV_F32, KV_PAGE, KV_Q8 } from "./layout/blocks";
import { QUERY_TILE } from "./layout/control";
import { f16_mask, load_f16x4, two112 } from "./simd/f16";
import { store_tail } from "./simd/reduce";

// Query rows that share the registers of a kernel.
const TILE = 4;
const SCORES_BYTES: usize = TILE * SCORE_BYTES;
// Largest integer of a quantized query.
const QUERY_MAX: f32 = 32767;

// State, q (f32, or i16 in half the room) and f32 sums of one query.
function row_bytes(dims: i32): usize {
  return <usize>ROW_Q + ((<usize>dims) << 3);
}

// One page's K or V of a head as f32.
function block_bytes(dims: i32): usize {
  return (<usize>dims * KV_PAGE) << 2;
}

/** Bytes of scratch that attention_*() need for QUERY_TILE tokens and nHeads q heads of one kv head. */
export function attention_scratch_bytes(headDim: i32, nHeads: i32): u32 {
  const dims = kv_dims(headDim);
  const rows = <usize>(QUERY_TILE * nHeads) * row_bytes(dims);
  return <u32>(SCORES_BYTES + 2 * block_bytes(dims) + rows);
}

function start_f32(row: usize, q: usize, headDim: i32, scale: f32): void {
  const f = f32x4.splat(scale);
  const dims = kv_dims(headDim);
  for (let i = 0; i < dims; i += 4) {
    v128.store(row + ROW_Q + ((<usize>i) << 2), f32x4.mul(load4(q, i, headDim), f));
  }
}

// q as i16 of full width: K's error is all that is left.
function start_q8(row: usize, q: usize, headDim: i32, scale: f32): void {
  const dims = kv_dims(headDim);
  const top = abs_max(q, headDim);
  const inverse = f32x4.splat(inverse_of(top, QUERY_MAX));
  for (let i = 0; i < dims; i += 4) {
    const x = i32x4.trunc_sat_f32x4_s(f32x4.nearest(f32x4.mul(load4(q, i, headDim), inverse)));
    v128.store64_lane(row + ROW_Q + ((<usize>i) << 1), i16x8.narrow_i32x4_s(x, x), 0);
  }
  store<f32>(row, scale_of(top, QUERY_MAX) * scale, ROW_SCALE);
}

function start_row(type: i32, row: usize, q: usize, headDim: i32, scale: f32): void {
  store<f32>(row, -Infinity, ROW_MAX);
  store<f32>(row, 0, ROW_SUM);
  const dims = <usize>kv_dims(headDim);
  memory.fill(row + ROW_Q + (dims << 2), 0, dims << 2);
  if (type === KV_Q8) start_q8(row, q, headDim, scale);
  else start_f32(row, q, headDim, scale);
}

function finish_row(row: usize, out: usize, headDim: i32): void {
  const sum = v128.load32_splat(row, ROW_SUM);
  let sums = row + ROW_Q + ((<usize>kv_dims(headDim)) << 2);
  for (let rest = headDim; rest > 0; rest -= 4, sums += 16, out += 16) {
    const x = f32x4.div(v128.load(sums), sum);
    if (rest >= 4) v128.store(out, x);
    else store_tail(out, rest, x);
  }
}

/**
 * out[i] = f16[i] as f32
 * Units: n elements, n % 16 == 0
 * Align: 16 B                   Reads past the end: none
 */
export function widen_f16(x: usize, out: usize, n: i32): void {
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

// The address of row r's head in q or out: rows go by token, then by head.
function row_at(x: usize, stride: usize, heads: usize, nHeads: i32, r: i32, headDim: i32): usize {
  const h = load<i32>(heads + ((<usize>(r % nHeads)) << 2));
  return x + <usize>(r / nHeads) * stride + ((<usize>(h * headDim)) << 2);
}

// Positions of the page that begins at `first` that row r sees; none if not positive.
function seen(pos: i32, r: i32, nHeads: i32, first: i32): i32 {
  return min(pos + r / nHeads + 1 - first, KV_PAGE);
}

function attend(
  type: i32,
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
  const elements = <usize>(dims * KV_PAGE);
  const rowBytes = row_bytes(dims);
  const nRows = tokens * nHeads;
  const scores = scratch;
  const wide = scores + SCORES_BYTES;
  const rows = wide + 2 * block_bytes(dims);
  let row = rows;
  for (let r = 0; r < nRows; r++, row += rowBytes) {
    start_row(type, row, row_at(q, qStride, heads, nHeads, r, headDim), headDim, scale * Mathf.LOG2E);
  }
  for (let first = 0; first < pos + tokens; first += KV_PAGE, pages += 4) {
    let k = <usize>load<u32>(pages) + head;
    let v = k + (type === KV_F32 ? elements << 2 : elements);
    const scales = v + elements;
    if (type === KV_F16) {
      widen_f16(k, wide, <i32>elements * 2);
      k = wide;
      v = wide + (elements << 2);
    }
    // The tokens before this page see nothing of it.
    let r = max(first - pos, 0) * nHeads;
    while (r < nRows) {
      const count = seen(pos, r, nHeads, first);
      const tile = r + TILE <= nRows && seen(pos, r + TILE - 1, nHeads, first) === count ? TILE : 1;
      row = rows + <usize>r * rowBytes;
      if (type === KV_Q8) block_q8(k, v, scales, count, dims, row, rowBytes, tile, scores);
      else block_f32(k, v, count, dims, row, rowBytes, tile, scores);
      r += tile;
    }
  }
  row = rows;
  for (let r = 0; r < nRows; r++, row += rowBytes) {
    finish_row(row, row_at(out, outStride, heads, nHeads, r, headDim), headDim);
  }
}

/**
 * out[t, h] = sum_p softmax_p(scale * q[t, h] . K[p]) * V[p]     positions p in [0, pos + t], one kv head
 * q        f32 [tokens][.. headDim ..]    head h at h * headDim; qStride bytes between tokens
 * out      f32 alike                      may be q; only the listed heads are written
 * heads    i32 [nHeads]                   the q heads that share this kv head
 * pages    u32 [(pos + tokens + 31) / 32] page addresses; the kv head's block is `head` bytes into each
 * scratch  attention_scratch_bytes(headDim, nHeads); any content
 * Units: pos, tokens positions, tokens 1..8; headDim even, 2..256; strides, head bytes
 * Align: 16 B page blocks and scratch; 4 B the rest    Reads past the end: none
 * Numerics: f32, mul and add apart; blocks of 32 positions in ascending order, each row on its own, so that
 *           a row's bits do not depend on which rows share the call. Slots behind a row's last position
 *           never meet an operation whose result is kept
 * Source: Dao et al. 2022, "FlashAttention", arXiv:2205.14135; Milakov and Gimelshein 2018,
 *         "Online normalizer calculation for softmax", arXiv:1805.02867; Shazeer 2019, "Fast Transformer
 *         Decoding: One Write-Head is All You Need", arXiv:1911.02150 (heads that share K and V)
 *
 * Tiles: 32 positions (one page) x 4 query rows, the rows being every head of every token. Scores are
 * [4 rows][32 positions] in four groups of 8 positions, sums [4 rows][headDim] in groups of 8 dims: 8
 * accumulators, 2 vectors of K or V, 1 of the query or its weights and 1 product are 12 of 16 registers.
 * A page is read from memory once for all rows: K and V of 64 dims are 16 KiB and stay in the first cache.
 * Rows that see different parts of a page, and rows left over, go one at a time.
 */
export function attention_f32(
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
  attend(
    KV_F32,
    q,
    qStride,
    out,
    outStride,
    heads,
    nHeads,
    tokens,
    pos,
    pages,
    head,
    headDim,
    scale,
    scratch,
  );
}

/** As attention_f32 over f16; a page is widened once for all rows, into scratch. */
export function attention_f16(
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
  attend(
    KV_F16,
    q,
    qStride,
    out,
    outStride,
    heads,
    nHeads,
    tokens,
    pos,
    pages,
    head,
    headDim,
    scale,
    scratch,
  );
}

/**
 * As attention_f32 over int8.
 * Numerics: q becomes i16 (step max|q| / 32767); the products with K are exact i32, then times q's step and
 *           the position's scale. The weights of a block, times V's scales, become i16 of their own step;
 *           the products with V are exact i32 again. What is left is the error of K and V themselves
 */
export function attention_q8(
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
  attend(KV_Q8, q, qStride, out, outStride, heads, nHeads, tokens, pos, pages, head, headDim, scale, scratch);
}
