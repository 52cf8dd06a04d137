// Runs a plan: the loop over records, segment by segment where threads meet. Every thread runs the records of a segment
// and takes its share of each from the record's counter; what a share computes does not depend on who computes it.
import { attention_f16, attention_f32, attention_q8 } from "./attention";
import { embed_row } from "./embed";
import { glu_f32 } from "./glu";
import { kv_store_f16, kv_store_f32, kv_store_q8 } from "./kv_store";
import {
  ACT_BLOCK_BYTES,
  ACT_F32,
  ACT_TOKENS,
  ACTS_BLOCK_BYTES,
  BLOCK_COLS,
  DOT_MOVED,
  DOT_WIDE,
  F32_GROUP_STRIPS,
  F32_TILE_BYTES,
  FILE_Q8_G,
  GROUP_STRIPS,
  KV_F16,
  KV_F32,
  KV_PAGE,
  Q4_TILE_BYTES,
  Q8_TILE_BYTES,
  TILE_ROWS,
  WEIGHT_F32,
  WEIGHT_Q8,
} from "./layout/blocks";
import {
  CONTROL_BAD_ROW,
  CONTROL_DOT,
  CONTROL_FIRST,
  CONTROL_LAST,
  CONTROL_N_THREADS,
  CONTROL_STREAMS,
  QUERY_FIRST_POSITION,
  QUERY_FIRST_TOKEN,
  QUERY_N_TOKENS,
  QUERY_PAGE_TABLE,
  QUERY_TILE_BYTES,
  STATUS_BAD_RECORD,
  STATUS_OK,
  STEP_IDS,
  STEP_N_OUTPUTS,
  STEP_N_TILES,
  STEP_N_TOKENS,
  STEP_OUTPUTS,
  STEP_PAGE_TABLES,
  STEP_POSITIONS,
  STEP_TILES,
} from "./layout/control";
import {
  ANGLES_FREQS,
  ANGLES_HALF,
  ANGLES_OUT,
  ATT_GROUPS,
  ATT_HEAD_BYTES,
  ATT_HEAD_DIM,
  ATT_HEADS,
  ATT_KV_TYPE,
  ATT_LAYER,
  ATT_N_KV_HEADS,
  ATT_OUT,
  ATT_OUT_STRIDE,
  ATT_Q,
  ATT_Q_STRIDE,
  ATT_SCALE,
  EMBED_COLS,
  EMBED_FACTOR,
  EMBED_OUT,
  EMBED_OUT_STRIDE,
  EMBED_SCALE,
  EMBED_STRIPS,
  EMBED_TABLE,
  EMBED_WEIGHT,
  GLU_FORMAT,
  GLU_GATE,
  GLU_KIND,
  GLU_N,
  GLU_OUT,
  GLU_OUT_STRIDE,
  GLU_STRIDE,
  GLU_UP,
  MATMUL_ADD,
  MATMUL_ADD_STRIDE,
  MATMUL_BLOCKS,
  MATMUL_CHUNK,
  MATMUL_FACTOR,
  MATMUL_LOWEST,
  MATMUL_OUT,
  MATMUL_OUT_STRIDE,
  MATMUL_STRIPS,
  MATMUL_W,
  MATMUL_WEIGHT,
  MATMUL_X,
  MATMUL_X_STRIDE,
  NORM_BIAS,
  NORM_EPS,
  NORM_FORMAT,
  NORM_KIND,
  NORM_N,
  NORM_OUT,
  NORM_OUT_STRIDE,
  NORM_RMS,
  NORM_WEIGHT,
  NORM_X,
  NORM_X_STRIDE,
  OP_ANGLES,
  OP_ATTENTION,
  OP_EMBED,
  OP_GLU,
  OP_MATMUL,
  OP_NORM,
  OP_PACK,
  OP_QUANTIZE,
  OP_ROPE_STORE,
  PACK_CHUNK,
  PACK_COLS,
  PACK_FILE,
  PACK_FIRST_STRIP,
  PACK_GROUP,
  PACK_OUT,
  PACK_PHASE,
  PACK_ROW_BYTES,
  PACK_ROWS,
  PACK_SCALES,
  PACK_SHIFT,
  PACK_SRC,
  PACK_STRIPS,
  PACK_WEIGHT,
  PAIRING_ADJACENT,
  QUANTIZE_N,
  QUANTIZE_OUT,
  QUANTIZE_OUT_STRIDE,
  QUANTIZE_X,
  QUANTIZE_X_STRIDE,
  REC_BARRIER,
  REC_COUNTER,
  REC_FLAGS,
  REC_OP,
  REC_ROWS,
  RECORD_BYTES,
  ROPE_ANGLES,
  ROPE_DIM,
  ROPE_HEAD_BYTES,
  ROPE_HEAD_DIM,
  ROPE_K,
  ROPE_K_STRIDE,
  ROPE_KV_TYPE,
  ROPE_LAYER,
  ROPE_N_HEADS,
  ROPE_N_KV_HEADS,
  ROPE_PAIRING,
  ROPE_Q,
  ROPE_Q_STRIDE,
  ROPE_V,
  ROPE_V_STRIDE,
  ROWS_OUTPUTS,
} from "./layout/ops";
import { matmul_f32 } from "./matmul/f32";
import { matmul_q4 } from "./matmul/q4";
import { matmul_q8 } from "./matmul/q8";
import { group_count } from "./matmul/rows";
import { pack } from "./pack";
import { quantize_q8, quantize_q8x4 } from "./quantize";
import { layernorm_f32, rmsnorm_f32 } from "./rmsnorm";
import { rope_adjacent_f32, rope_angles, rope_halves_f32 } from "./rope";
import {
  CLOSED,
  CLOSED_STALLED,
  close_segment,
  enter_pool,
  enter_segment,
  leave_segment,
  lower,
  open_segment,
  segments,
  share,
  step_status,
  stop_step,
  take,
  take_share,
  wait_segment,
} from "./sync";

// Fields of a record: integers, addresses, floats.
function int(record: usize, field: i32): i32 {
  return load<i32>(record + ((<usize>field) << 2));
}

function ptr(record: usize, field: i32): usize {
  return <usize>load<u32>(record + ((<usize>field) << 2));
}

function float(record: usize, field: i32): f32 {
  return load<f32>(record + ((<usize>field) << 2));
}

// Element i of the i32 array whose address a step word holds.
function element(word: usize, i: i32): i32 {
  return load<i32>(<usize>load<u32>(word) + ((<usize>i) << 2));
}

function rows(record: usize): i32 {
  return load<i32>(int(record, REC_ROWS) === ROWS_OUTPUTS ? STEP_N_OUTPUTS : STEP_N_TOKENS);
}

// Where token t's int8 activations begin, of `count` tokens: several share blocks, ACT_TOKENS at a time.
function act_row(base: usize, stride: usize, t: i32, count: i32): usize {
  return base + <usize>(count === 1 ? t : t & -ACT_TOKENS) * stride;
}

// int8 activations of n values (whole blocks) of token t from column `first` on; `out` is the token's act_row().
function quantize_row(row: usize, out: usize, first: i32, n: i32, t: i32, count: i32): void {
  const block = <usize>(first / BLOCK_COLS);
  if (count === 1) quantize_q8(row, out + block * ACT_BLOCK_BYTES, n);
  else quantize_q8x4(row, out + block * ACTS_BLOCK_BYTES, t & (ACT_TOKENS - 1), n);
}

// What is behind n values of a row, up to a whole block, becomes zero. Returns the length with it.
function pad_row(row: usize, n: i32): i32 {
  const padded = (n + BLOCK_COLS - 1) & -BLOCK_COLS;
  for (let i = n; i < padded; i++) store<f32>(row + ((<usize>i) << 2), 0);
  return padded;
}

function run_embed(record: usize): void {
  const n = load<i32>(STEP_N_TOKENS);
  const blocks = int(record, EMBED_COLS) / BLOCK_COLS;
  for (let t = take(record + REC_COUNTER * 4, 1); t < n; t = take(record + REC_COUNTER * 4, 1)) {
    const out = ptr(record, EMBED_OUT) + <usize>t * ptr(record, EMBED_OUT_STRIDE);
    const id = element(STEP_IDS, t);
    embed_row(
      ptr(record, EMBED_TABLE),
      int(record, EMBED_WEIGHT),
      id,
      int(record, EMBED_STRIPS),
      blocks,
      float(record, EMBED_FACTOR),
      float(record, EMBED_SCALE),
      out,
    );
  }
}

function run_norm(record: usize, scratch: usize): void {
  const count = rows(record);
  const gather = int(record, REC_ROWS) === ROWS_OUTPUTS;
  const n = int(record, NORM_N);
  const eps = float(record, NORM_EPS);
  const weight = ptr(record, NORM_WEIGHT);
  const format = int(record, NORM_FORMAT);
  for (let i = take(record + REC_COUNTER * 4, 1); i < count; i = take(record + REC_COUNTER * 4, 1)) {
    const t = gather ? element(STEP_OUTPUTS, i) : i;
    const x = ptr(record, NORM_X) + <usize>t * ptr(record, NORM_X_STRIDE);
    const stride = ptr(record, NORM_OUT_STRIDE);
    const base = ptr(record, NORM_OUT);
    const row = format === ACT_F32 ? base + <usize>i * stride : scratch;
    if (int(record, NORM_KIND) === NORM_RMS) rmsnorm_f32(x, weight, row, n, eps);
    else layernorm_f32(x, weight, ptr(record, NORM_BIAS), row, n, eps);
    const padded = pad_row(row, n);
    if (format !== ACT_F32) quantize_row(row, act_row(base, stride, i, count), 0, padded, i, count);
  }
}

// The rows of x are padded to whole blocks with zeros.
function run_quantize(record: usize): void {
  const count = rows(record);
  const n = (int(record, QUANTIZE_N) + BLOCK_COLS - 1) & -BLOCK_COLS;
  for (let i = take(record + REC_COUNTER * 4, 1); i < count; i = take(record + REC_COUNTER * 4, 1)) {
    const x = ptr(record, QUANTIZE_X) + <usize>i * ptr(record, QUANTIZE_X_STRIDE);
    const out = act_row(ptr(record, QUANTIZE_OUT), ptr(record, QUANTIZE_OUT_STRIDE), i, count);
    quantize_row(x, out, 0, n, i, count);
  }
}

function group_strips(weight: i32): i32 {
  return weight === WEIGHT_F32 ? F32_GROUP_STRIPS : GROUP_STRIPS;
}

function tile_bytes(weight: i32): i32 {
  return weight === WEIGHT_F32 ? F32_TILE_BYTES : weight === WEIGHT_Q8 ? Q8_TILE_BYTES : Q4_TILE_BYTES;
}

// Each stream has two groups at least: with fewer, more streams are only more places that prefetchers begin at.
function matmul_streams(groups: i32): i32 {
  return max(1, min(load<i32>(CONTROL_STREAMS), groups >> 1));
}

// Groups that threads share out for one token: with half of the streams the last shares are not too large.
function stream_unit(streams: i32): i32 {
  return max(1, streams >> 1);
}

// How long the last share of a segment may take others that end it, in turns of a spinning loop: a thread that reads
// 4 GB/s, or multiplies eight tokens in that time, has a turn of 2 ns for every 8 bytes.
function patience(record: usize): i32 {
  if (int(record, REC_OP) !== OP_MATMUL) return 0;
  const weight = int(record, MATMUL_WEIGHT);
  const count = rows(record);
  const inGroup = group_strips(weight);
  const groups =
    count === 1
      ? stream_unit(matmul_streams(group_count(int(record, MATMUL_STRIPS), inGroup)))
      : int(record, MATMUL_CHUNK);
  return groups * inGroup * int(record, MATMUL_BLOCKS) * (tile_bytes(weight) >> 3) * ((count + 7) >> 3);
}

function run_matmul(record: usize, scratch: usize): void {
  const count = rows(record);
  if (!count) return;
  const w = ptr(record, MATMUL_W);
  const x = ptr(record, MATMUL_X);
  const xs = ptr(record, MATMUL_X_STRIDE);
  const out = ptr(record, MATMUL_OUT);
  const os = ptr(record, MATMUL_OUT_STRIDE);
  const add = ptr(record, MATMUL_ADD);
  const as = ptr(record, MATMUL_ADD_STRIDE);
  const strips = int(record, MATMUL_STRIPS);
  const blocks = int(record, MATMUL_BLOCKS);
  const weight = int(record, MATMUL_WEIGHT);
  const factor = float(record, MATMUL_FACTOR);
  const groups = group_count(strips, group_strips(weight));
  const streams = matmul_streams(groups);
  let dot = load<i32>(CONTROL_DOT);
  if (dot === DOT_MOVED && int(record, MATMUL_LOWEST) && weight === WEIGHT_Q8) dot = DOT_WIDE;
  // One token reads the weights once, in streams as long as can be. For more, weights stay in the second cache while
  // tokens pass.
  const unit = count === 1 ? stream_unit(streams) : 1;
  const most = count === 1 ? groups : int(record, MATMUL_CHUNK);
  const threads = load<i32>(CONTROL_N_THREADS);
  const counter = record + REC_COUNTER * 4;
  for (;;) {
    const begin = take_share(counter, groups, threads, unit, most);
    if (begin >= groups) return;
    const end = begin + share(groups - begin, threads, unit, most);
    if (weight === WEIGHT_Q8) {
      matmul_q8(w, x, xs, out, os, add, as, begin, end, strips, blocks, count, dot, streams, factor, scratch);
    } else if (weight === WEIGHT_F32) {
      matmul_f32(w, x, xs, out, os, add, as, begin, end, strips, blocks, count);
    } else {
      matmul_q4(w, x, xs, out, os, add, as, begin, end, strips, blocks, count, dot, streams, factor, scratch);
    }
  }
}

function run_angles(record: usize): void {
  const n = load<i32>(STEP_N_TOKENS);
  const half = int(record, ANGLES_HALF);
  for (let t = take(record + REC_COUNTER * 4, 1); t < n; t = take(record + REC_COUNTER * 4, 1)) {
    const out = ptr(record, ANGLES_OUT) + <usize>t * ((<usize>half) << 3);
    rope_angles(ptr(record, ANGLES_FREQS), element(STEP_POSITIONS, t), half, out);
  }
}

function rotate(pairing: i32, x: usize, angles: usize, half: i32): void {
  if (pairing === PAIRING_ADJACENT) rope_adjacent_f32(x, angles, half);
  else rope_halves_f32(x, angles, half);
}

function run_rope_store(record: usize): void {
  const n = load<i32>(STEP_N_TOKENS);
  const half = int(record, ROPE_DIM) >> 1;
  const headDim = int(record, ROPE_HEAD_DIM);
  const rowBytes = (<usize>headDim) << 2;
  const pairing = int(record, ROPE_PAIRING);
  const type = int(record, ROPE_KV_TYPE);
  for (let t = take(record + REC_COUNTER * 4, 1); t < n; t = take(record + REC_COUNTER * 4, 1)) {
    const token = <usize>t;
    const pos = element(STEP_POSITIONS, t);
    const page = <usize>(
      load<u32>(<usize>(<u32>element(STEP_PAGE_TABLES, t)) + ((<usize>(pos / KV_PAGE)) << 2))
    );
    const slot = pos % KV_PAGE;
    const angles = ptr(record, ROPE_ANGLES) + token * ((<usize>half) << 3);
    let q = ptr(record, ROPE_Q) + token * ptr(record, ROPE_Q_STRIDE);
    for (let h = int(record, ROPE_N_HEADS); h > 0; h--) {
      rotate(pairing, q, angles, half);
      q += rowBytes;
    }
    let k = ptr(record, ROPE_K) + token * ptr(record, ROPE_K_STRIDE);
    let v = ptr(record, ROPE_V) + token * ptr(record, ROPE_V_STRIDE);
    let head = page + ptr(record, ROPE_LAYER);
    for (let h = int(record, ROPE_N_KV_HEADS); h > 0; h--) {
      rotate(pairing, k, angles, half);
      if (type === KV_F16) kv_store_f16(k, v, head, slot, headDim);
      else if (type === KV_F32) kv_store_f32(k, v, head, slot, headDim);
      else kv_store_q8(k, v, head, slot, headDim);
      k += rowBytes;
      v += rowBytes;
      head += ptr(record, ROPE_HEAD_BYTES);
    }
  }
}

function run_attention(record: usize, scratch: usize): void {
  const nKvHeads = int(record, ATT_N_KV_HEADS);
  const n = load<i32>(STEP_N_TILES) * nKvHeads;
  const qs = ptr(record, ATT_Q_STRIDE);
  const os = ptr(record, ATT_OUT_STRIDE);
  const headDim = int(record, ATT_HEAD_DIM);
  const type = int(record, ATT_KV_TYPE);
  const scale = float(record, ATT_SCALE);
  for (let i = take(record + REC_COUNTER * 4, 1); i < n; i = take(record + REC_COUNTER * 4, 1)) {
    const tile = <usize>load<u32>(STEP_TILES) + <usize>(i / nKvHeads) * QUERY_TILE_BYTES;
    const kvHead = <usize>(i % nKvHeads);
    const group = ptr(record, ATT_GROUPS) + (kvHead << 2);
    const first = load<i32>(group);
    const nHeads = load<i32>(group, 4) - first;
    const heads = ptr(record, ATT_HEADS) + ((<usize>first) << 2);
    const token = <usize>load<i32>(tile, QUERY_FIRST_TOKEN);
    const tokens = load<i32>(tile, QUERY_N_TOKENS);
    const pos = load<i32>(tile, QUERY_FIRST_POSITION);
    const pages = <usize>load<u32>(tile, QUERY_PAGE_TABLE);
    const head = ptr(record, ATT_LAYER) + kvHead * ptr(record, ATT_HEAD_BYTES);
    const q = ptr(record, ATT_Q) + token * qs;
    const out = ptr(record, ATT_OUT) + token * os;
    if (type === KV_F16) {
      attention_f16(q, qs, out, os, heads, nHeads, tokens, pos, pages, head, headDim, scale, scratch);
    } else if (type === KV_F32) {
      attention_f32(q, qs, out, os, heads, nHeads, tokens, pos, pages, head, headDim, scale, scratch);
    } else {
      attention_q8(q, qs, out, os, heads, nHeads, tokens, pos, pages, head, headDim, scale, scratch);
    }
  }
}

// Columns that a thread takes at once: whole blocks, so that each part is quantized by itself.
const GLU_PART: i32 = 32 * BLOCK_COLS;

function run_glu(record: usize, scratch: usize): void {
  const n = int(record, GLU_N);
  const parts = (n + GLU_PART - 1) / GLU_PART;
  const tokens = rows(record);
  const count = tokens * parts;
  const stride = ptr(record, GLU_STRIDE);
  const format = int(record, GLU_FORMAT);
  for (let i = take(record + REC_COUNTER * 4, 1); i < count; i = take(record + REC_COUNTER * 4, 1)) {
    const t = i / parts;
    const first = (i % parts) * GLU_PART;
    const width = min(GLU_PART, n - first);
    const at = <usize>t * stride + ((<usize>first) << 2);
    const outStride = ptr(record, GLU_OUT_STRIDE);
    const base = ptr(record, GLU_OUT);
    const row = format === ACT_F32 ? base + <usize>t * outStride + ((<usize>first) << 2) : scratch;
    glu_f32(int(record, GLU_KIND), ptr(record, GLU_GATE) + at, ptr(record, GLU_UP) + at, row, width);
    const padded = pad_row(row, width);
    if (format !== ACT_F32) {
      quantize_row(row, act_row(base, outStride, t, tokens), first, padded, t, tokens);
    }
  }
}

// Strips of file rows, in chunks. The lowest row that cannot be packed ends in CONTROL_BAD_ROW.
function run_pack(record: usize, scratch: usize): void {
  const rows = int(record, PACK_ROWS);
  const cols = int(record, PACK_COLS);
  const rowBytes = ptr(record, PACK_ROW_BYTES);
  const file = int(record, PACK_FILE);
  const step = int(record, PACK_CHUNK);
  for (;;) {
    const first = take(record + REC_COUNTER * 4, step) * TILE_ROWS;
    if (first >= rows) return;
    const n = min(step * TILE_ROWS, rows - first);
    // Groups of scales count through the rows: a chunk begins in the middle of one.
    const skipped = file === FILE_Q8_G ? int(record, PACK_PHASE) + first * cols : 0;
    const group = int(record, PACK_GROUP);
    const bad = pack(
      file,
      int(record, PACK_WEIGHT),
      ptr(record, PACK_SRC) + <usize>first * rowBytes,
      rowBytes,
      group ? ptr(record, PACK_SCALES) + ((<usize>(skipped / group)) << 2) : 0,
      group,
      group ? skipped % group : 0,
      n,
      cols,
      ptr(record, PACK_OUT),
      int(record, PACK_FIRST_STRIP) + first / TILE_ROWS,
      int(record, PACK_STRIPS),
      int(record, PACK_SHIFT),
      scratch,
    );
    if (bad) lower(CONTROL_BAD_ROW, first + bad);
  }
}

// Takes part in the records [record, stop) of one segment, until no work is left to take. Returns STATUS_OK, or why the
// step stopped.
function run_segment(record: usize, stop: usize, scratch: usize): i32 {
  for (; record < stop; record += RECORD_BYTES) {
    const status = step_status();
    if (status !== STATUS_OK) return status;
    switch (int(record, REC_OP)) {
      case OP_EMBED:
        run_embed(record);
        break;
      case OP_NORM:
        run_norm(record, scratch);
        break;
      case OP_QUANTIZE:
        run_quantize(record);
        break;
      case OP_MATMUL:
        run_matmul(record, scratch);
        break;
      case OP_ANGLES:
        run_angles(record);
        break;
      case OP_ROPE_STORE:
        run_rope_store(record);
        break;
      case OP_ATTENTION:
        run_attention(record, scratch);
        break;
      case OP_GLU:
        run_glu(record, scratch);
        break;
      case OP_PACK:
        run_pack(record, scratch);
        break;
      default:
        stop_step(STATUS_BAD_RECORD);
        return STATUS_BAD_RECORD;
    }
  }
  return STATUS_OK;
}

// Sleeps of the host's thread in one run after which its helpers are held to cost more than they do.
const MOST_SLEEPS: i32 = 4;

/**
 * Runs records [begin, end) of a plan over the step that the control words describe (layout/control.ts), with the
 * help of the threads in work() that have a part in it. Called by the host's thread.
 * plan     records of layout/ops.ts, counters (REC_COUNTER) zero; they are zero again afterwards
 * scratch  16 B aligned; as large as the widest row and attention_scratch_bytes() ask for
 * CONTROL_N_THREADS  how many threads take part. It comes back lower if waiting for one of them was not worth it.
 * The last record of a range must have a barrier.
 * Returns STATUS_OK, or why the step stopped; its results are then worthless
 */
export function run_step(plan: usize, begin: i32, end: i32, scratch: usize): i32 {
  let threads = load<i32>(CONTROL_N_THREADS);
  let sleeps = 0;
  let first = plan + <usize>begin * RECORD_BYTES;
  const stop = plan + <usize>end * RECORD_BYTES;
  while (first < stop) {
    let last = first;
    while (!(int(last, REC_FLAGS) & REC_BARRIER)) last += RECORD_BYTES;
    const next = last + RECORD_BYTES;
    let status: i32;
    if (threads > 1) {
      open_segment(first, next);
      status = run_segment(first, next, scratch);
      const closed = close_segment(patience(last));
      // A chunk of attention grows with the context, and is worth waiting for.
      if (closed !== CLOSED && int(last, REC_OP) !== OP_ATTENTION) {
        sleeps++;
        if (closed === CLOSED_STALLED || sleeps === MOST_SLEEPS) {
          sleeps = 0;
          threads >>= 1;
          store<i32>(CONTROL_N_THREADS, threads);
        }
      }
    } else {
      status = run_segment(first, next, scratch);
    }
    if (status === STATUS_OK) status = step_status();
    if (status !== STATUS_OK) return status;
    // Nobody takes work from these counters any more.
    for (; first < next; first += RECORD_BYTES) store<i32>(first + REC_COUNTER * 4, 0);
  }
  return STATUS_OK;
}

/**
 * Lets the other threads begin with record `begin`, a segment of its own; run_step(), which must be next, then does what
 * is left of it. Called by the host's thread, where CONTROL_N_THREADS is more than 1; it can do something else meanwhile.
 */
export function open_step(plan: usize, begin: i32): void {
  const record = plan + <usize>begin * RECORD_BYTES;
  open_segment(record, record + RECORD_BYTES);
}

/**
 * Helps with every segment in which this thread has a part, and sleeps in between, until CONTROL_SHUTDOWN is set.
 * scratch  this thread's own, as for run_step()
 */
export function work(scratch: usize): void {
  const index = enter_pool();
  let seen = segments();
  while (wait_segment(seen, index)) {
    // Before entering, so that a segment that begins after this is never missed.
    seen = segments();
    if (!enter_segment()) continue;
    run_segment(<usize>load<u32>(CONTROL_FIRST), <usize>load<u32>(CONTROL_LAST), scratch);
    leave_segment();
  }
}
