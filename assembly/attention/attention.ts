// Attention of a query tile over the cache, for one kv head: the loop over pages and rows.
import { KV_PAGE } from "../layout/blocks";
import {
  QUERY_FIRST_POSITION,
  QUERY_FIRST_TOKEN,
  QUERY_N_TOKENS,
  QUERY_PAGE_TABLE,
  QUERY_TILE,
} from "../layout/control";
import * as op from "../layout/ops";
import { float, int, ptr } from "../record";
import { attend_page, begin_page, start_q, takes_stored } from "./kv_types";
import { finish_row, kv_dims, row_at, seen, unseen } from "./rows";
import { ROW_MAX, ROW_Q, ROW_SUM, SCORE_BYTES, set_score_cap } from "./softmax";

/** Query rows that share the registers of a kernel. */
export const SHARED_ROWS = 4;
const SCORES_BYTES: usize = SHARED_ROWS * SCORE_BYTES;

// State, q (f32, or i16 in half the room) and f32 sums of one query.
function row_bytes(dims: i32): usize {
  return <usize>ROW_Q + ((<usize>dims) << 3);
}

// One page's K or V of a head as f32.
function block_bytes(dims: i32): usize {
  return (<usize>dims * KV_PAGE) << 2;
}

/** Bytes of scratch that attention() needs for QUERY_TILE tokens and nHeads q heads of one kv head. */
export function attention_scratch_bytes(headDim: i32, nHeads: i32): u32 {
  const dims = kv_dims(headDim);
  const rows = <usize>(QUERY_TILE * nHeads) * row_bytes(dims);
  return <u32>(SCORES_BYTES + 2 * block_bytes(dims) + rows);
}

// The softmax begins empty, or with the sink of the row's head: a score of weight 1 so far.
function start_row(type: i32, row: usize, q: usize, headDim: i32, scale: f32, sink: usize): void {
  store<f32>(row, sink ? load<f32>(sink) * <f32>Mathf.LOG2E : -Infinity, ROW_MAX);
  store<f32>(row, sink ? 1 : 0, ROW_SUM);
  const dims = <usize>kv_dims(headDim);
  memory.fill(row + ROW_Q + (dims << 2), 0, dims << 2);
  start_q(type, row, q, headDim, scale);
}

// Whether rows r to `last` exist and see the same positions of a page.
function are_alike(pos: i32, r: i32, last: i32, nRows: i32, nHeads: i32, first: i32, window: i32): bool {
  return (
    last < nRows &&
    seen(pos, last, nHeads, first) === seen(pos, r, nHeads, first) &&
    unseen(pos, last, nHeads, first, window) === unseen(pos, r, nHeads, first, window)
  );
}

/**
 * out[t, h] = sum_p softmax_p(scale * q[t, h] . K[p]) * V[p]     positions p in [0, pos + t], q heads h of one kv head
 * With ATT_CAP a score s becomes cap tanh(s / cap). With a window only the last ATT_WINDOW positions p. With sinks the softmax has one more score, that of the head, whose V
 * is zero.
 * record   OP_ATTENTION of layout/ops.ts: q and out, f32 rows of tokens, head h at h * headDim; the q heads of each kv
 *          head; where a kv head lies in a page, and of what type it is. out may be q; only these heads are written
 * tile     the query tile, QUERY_* of layout/control.ts: its tokens, 1 to QUERY_TILE, their positions, their page table
 * scratch  attention_scratch_bytes() of the kv head's q heads; any content
 * Units: headDim even, 2..576; strides bytes
 * Align: 16 B page blocks and scratch; 4 B the rest    Reads past the end: none
 * Numerics: f32, mul and add apart; blocks of 32 positions in ascending order, each row on its own: a row's bits do
 *           not depend on which rows share the call. Slots behind a row's last position never meet an operation
 *           whose result is used. KV_F16: pages are widened, the rest is alike.
 *           KV_Q8: q becomes i16 (step max|q| / 32767); the products with K are exact i32, then times q's step and
 *           the position's scale. The weights of a block, times V's scales, become i16 of their own step; the
 *           products with V are exact i32 again. What is left is the error of K and V themselves
 * Source: Dao et al. 2022, "FlashAttention", arXiv:2205.14135; Milakov and Gimelshein 2018,
 *         "Online normalizer calculation for softmax", arXiv:1805.02867; Shazeer 2019, "Fast Transformer
 *         Decoding: One Write-Head is All You Need", arXiv:1911.02150 (heads that share K and V); Xiao et al. 2023,
 *         "Efficient Streaming Language Models with Attention Sinks", arXiv:2309.17453; Beltagy et al. 2020,
 *         "Longformer", arXiv:2004.05150 (sliding windows)
 *
 * Sizes: 32 positions (one page) x 4 query rows, the rows being every head of every token. Scores are
 * [4 rows][32 positions] in four groups of 8 positions, sums [4 rows][headDim] in groups of 8 dims: 8
 * accumulators, 2 vectors of K or V, 1 of the query or its weights and 1 product are 12 of 16 registers.
 * A page is read from memory once for all rows: K and V of 64 dims are 16 KiB and stay in the first cache.
 * Rows that see different parts of a page, and rows left over, go one at a time, or two if pages are not widened.
 */
export function attention(record: usize, tile: usize, kvHead: i32, scratch: usize): void {
  const type = int(record, op.ATT_KV_TYPE);
  const headDim = int(record, op.ATT_HEAD_DIM);
  const scale = float(record, op.ATT_SCALE) * Mathf.LOG2E;
  const group = ptr(record, op.ATT_GROUPS) + ((<usize>kvHead) << 2);
  const firstHead = load<i32>(group);
  const nHeads = load<i32>(group, 4) - firstHead;
  const heads = ptr(record, op.ATT_HEADS) + ((<usize>firstHead) << 2);
  const token = <usize>load<i32>(tile, QUERY_FIRST_TOKEN);
  const tokens = load<i32>(tile, QUERY_N_TOKENS);
  const pos = load<i32>(tile, QUERY_FIRST_POSITION);
  let pages = <usize>load<u32>(tile, QUERY_PAGE_TABLE) + ptr(record, op.ATT_TABLE);
  const head = ptr(record, op.ATT_LAYER) + <usize>kvHead * ptr(record, op.ATT_HEAD_BYTES);
  const qStride = ptr(record, op.ATT_Q_STRIDE);
  const q = ptr(record, op.ATT_Q) + token * qStride;
  const outStride = ptr(record, op.ATT_OUT_STRIDE);
  const window = int(record, op.ATT_WINDOW);
  const sinks = ptr(record, op.ATT_SINKS);
  set_score_cap(float(record, op.ATT_CAP) * <f32>Mathf.LOG2E);
  const out = ptr(record, op.ATT_OUT) + token * outStride;

  const dims = kv_dims(headDim);
  const rowBytes = row_bytes(dims);
  const nRows = tokens * nHeads;
  const stored = takes_stored(type, nRows);
  const wide = scratch + SCORES_BYTES;
  const rows = wide + 2 * block_bytes(dims);
  let row = rows;
  for (let r = 0; r < nRows; r++, row += rowBytes) {
    const sink = sinks ? sinks + ((<usize>load<i32>(heads + ((<usize>(r % nHeads)) << 2))) << 2) : 0;
    start_row(type, row, row_at(q, qStride, heads, nHeads, r, headDim), headDim, scale, sink);
  }
  // Pages before the window of the first token are not read.
  const begin = unseen(pos, 0, nHeads, 0, window) / KV_PAGE;
  pages += (<usize>begin) << 2;
  for (let first = begin * KV_PAGE; first < pos + tokens; first += KV_PAGE, pages += 4) {
    const block = <usize>load<u32>(pages) + head;
    if (!stored) begin_page(type, block, dims, wide);
    // The tokens before this page see nothing of it, and neither do those whose windows begin behind it.
    let r = max(first - pos, 0) * nHeads;
    while (r < nRows) {
      const from = unseen(pos, r, nHeads, first, window);
      if (from >= KV_PAGE) break;
      const count = seen(pos, r, nHeads, first);
      let some = SHARED_ROWS;
      while (some > 1 && !are_alike(pos, r, r + some - 1, nRows, nHeads, first, window))
        some >>= stored ? 1 : 2;
      const at = rows + <usize>r * rowBytes;
      attend_page(type, block, stored ? 0 : wide, from, count, dims, at, rowBytes, some, scratch);
      r += some;
    }
  }
  row = rows;
  for (let r = 0; r < nRows; r++, row += rowBytes) {
    finish_row(row, row_at(out, outStride, heads, nHeads, r, headDim), headDim);
  }
}
