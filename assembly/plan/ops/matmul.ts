// OP_MATMUL: weights times activations. Which groups of strips a thread takes, and the loops that the formats share.

import { begin_ahead } from "../../formats/ahead";
import { matmul_f32 } from "../../formats/f32";
import {
  activations_of,
  group_strips,
  is_in_place,
  is_super,
  multiply_group,
  tile_bytes,
  unpack,
  walk,
} from "../../formats/formats";
import { group_count, group_size, start_rows } from "../../formats/groups";
import {
  ACT_F32,
  ACT_TOKENS,
  ACTS_BLOCK_BYTES,
  DOT_MOVED,
  DOT_WIDE,
  UNPACKED_BLOCKS,
} from "../../layout/blocks";
import { CONTROL_DOT, CONTROL_N_THREADS, CONTROL_STREAMS } from "../../layout/control";
import * as op from "../../layout/ops";
import { counter, float, int, ptr, rows } from "../../record";
import { share, take_share } from "../../sync";

/** Runs the record. Threads take shares of its groups. */
export function run_matmul(record: usize, scratch: usize): void {
  const count = rows(record);
  if (!count) return;
  const w = ptr(record, op.MATMUL_W);
  const x = ptr(record, op.MATMUL_X);
  const xs = ptr(record, op.MATMUL_X_STRIDE);
  const out = ptr(record, op.MATMUL_OUT);
  const os = ptr(record, op.MATMUL_OUT_STRIDE);
  const add = ptr(record, op.MATMUL_ADD);
  const as = ptr(record, op.MATMUL_ADD_STRIDE);
  const strips = int(record, op.MATMUL_STRIPS);
  const blocks = int(record, op.MATMUL_BLOCKS);
  const weight = int(record, op.MATMUL_WEIGHT);
  const factor = float(record, op.MATMUL_FACTOR);
  const groups = group_count(strips, group_strips(weight));
  const streams = matmul_streams(groups);
  let dot = load<i32>(CONTROL_DOT);
  if (dot === DOT_MOVED && int(record, op.MATMUL_LOWEST)) dot = DOT_WIDE;
  // One token reads the weights once, in streams as long as can be. For several, shares are long too: a group is read while the
  // one before it is multiplied.
  const unit = count === 1 ? stream_unit(streams) : 1;
  const threads = load<i32>(CONTROL_N_THREADS);
  for (;;) {
    const begin = take_share(counter(record), groups, threads, unit, groups);
    if (begin >= groups) return;
    const end = begin + share(groups - begin, threads, unit, groups);
    matmul(
      weight,
      w,
      x,
      xs,
      out,
      os,
      add,
      as,
      begin,
      end,
      strips,
      blocks,
      count,
      dot,
      streams,
      factor,
      scratch,
    );
  }
}

/**
 * How long the last share of a segment that ends with this record may take the other threads, in turns of a spinning
 * loop. A thread that reads 4 GB/s, or multiplies eight tokens in that time, has a turn of 2 ns for every 8 bytes.
 */
export function patience(record: usize): i32 {
  if (int(record, op.REC_OP) !== op.OP_MATMUL) return 0;
  const weight = int(record, op.MATMUL_WEIGHT);
  const count = rows(record);
  const inGroup = group_strips(weight);
  const groups =
    count === 1
      ? stream_unit(matmul_streams(group_count(int(record, op.MATMUL_STRIPS), inGroup)))
      : int(record, op.MATMUL_CHUNK);
  return groups * inGroup * int(record, op.MATMUL_BLOCKS) * (tile_bytes(weight) >> 3) * ((count + 7) >> 3);
}

// Each stream has two groups at least: with fewer, more streams are only more places where prefetchers begin.
function matmul_streams(groups: i32): i32 {
  return max(1, min(load<i32>(CONTROL_STREAMS), groups >> 1));
}

// Groups that threads share out for one token: with half of the streams the last shares are not too large.
function stream_unit(streams: i32): i32 {
  return max(1, streams >> 1);
}

/**
 * out[t, r] = add[t, r] + sum_c W[r,c] * x[t, c]      rows of groups [begin, end), any number of tokens
 * W       tiles of type `weight` [strips * 4, blocks * 32]      see layout/blocks.ts
 * x       activations in the format that `weight` takes, finite; for several tokens in the layout for several
 * out     f32 [tokens][strips * 4]; with int8 activations of several tokens, rows up to a multiple of ACT_TOKENS are
 *         written, those behind `tokens` with numbers of no use
 * add     f32 alike, or 0; may be out
 * strips  of the whole matrix
 * xStride, outStride, addStride: bytes between tokens; addStride 0: the same row (a bias) for all
 * dot, streams, factor: as matvec()
 * scratch GROUP_STRIPS * UNPACKED_BYTES for each block of a row, up to UNPACKED_BLOCKS, 16 B aligned
 * Align: W, x 4 B; out, add 16 B                      Reads past the end: none
 * Numerics: as matvec(), whose bits each token has, however many share the call
 */
export function matmul(
  weight: i32,
  w: usize,
  x: usize,
  xStride: usize,
  out: usize,
  outStride: usize,
  add: usize,
  addStride: usize,
  begin: i32,
  end: i32,
  strips: i32,
  blocks: i32,
  tokens: i32,
  dot: i32,
  streams: i32,
  factor: f32,
  scratch: usize,
): void {
  if (activations_of(weight) === ACT_F32) {
    matmul_f32(w, x, xStride, out, outStride, add, addStride, begin, end, strips, blocks, tokens);
    return;
  }
  if (tokens === 1) {
    matvec(weight, w, x, out, add, begin, end, strips, blocks, dot, streams, factor, scratch);
    return;
  }
  const most = group_strips(weight);
  const tileBytes = <usize>tile_bytes(weight);
  start_rows(out, outStride, add, addStride, begin * most, min(end * most, strips), tokens);
  const many = tokens > 2 * ACT_TOKENS;
  const inPlace = is_in_place(weight, dot, many);
  // Kernels read ahead once for each block and four tokens; for two strips of each superblock if these are not unpacked. Those
  // that are, are unpacked several at once instead.
  const calls = is_super(weight) ? (inPlace ? blocks >> 1 : 0) : blocks;
  const ahead = calls * ((tokens + ACT_TOKENS - 1) / ACT_TOKENS);
  for (let group = begin; group < end; group++) {
    const size = group_size(group * most, strips, most);
    const step = <usize>size * tileBytes;
    const column = w + <usize>(group * most) * <usize>blocks * tileBytes;
    if (ahead) {
      const next = group + 1 < end ? <usize>group_size((group + 1) * most, strips, most) : 0;
      begin_ahead(column + step * <usize>blocks, next * tileBytes * <usize>blocks, ahead);
    }
    for (let b = 0; b < blocks; b += UNPACKED_BLOCKS) {
      const count = min(UNPACKED_BLOCKS, blocks - b);
      const from = column + <usize>b * step;
      unpack(weight, dot, many, from, scratch, size, count);
      let xp = x + <usize>b * ACTS_BLOCK_BYTES;
      let row = out + ((<usize>(group * most)) << 4);
      for (let t = 0; t < tokens; t += ACT_TOKENS) {
        multiply_group(weight, dot, from, scratch, xp, row, outStride, tokens - t, many, size, count, factor);
        xp += <usize>ACT_TOKENS * xStride;
        row += <usize>ACT_TOKENS * outStride;
      }
    }
  }
}

/**
 * out[r] = add[r] + sum_c W[r,c] * x[c]        rows of groups [begin, end), one token, int8 activations
 * dot     DOT_*: see simd/dot.ts
 * streams groups that are read at once: prefetchers follow more or fewer of them
 * factor  what scales are multiplied by: see MATMUL_FACTOR
 * scratch 1 KiB at least, 16 B aligned
 * The rest as matmul().
 * Numerics: i32 exact per block, what weights are above their values taken off by the block's own sums; f32 across
 *           blocks in ascending order, beginning with add, mul and add apart
 */
export function matvec(
  weight: i32,
  w: usize,
  x: usize,
  out: usize,
  add: usize,
  begin: i32,
  end: i32,
  strips: i32,
  blocks: i32,
  dot: i32,
  streams: i32,
  factor: f32,
  scratch: usize,
): void {
  const most = group_strips(weight);
  start_rows(out, 0, add, 0, begin * most, min(end * most, strips), 1);
  const tileBytes = <usize>tile_bytes(weight);
  const groupBytes = <usize>most * tileBytes * <usize>blocks;
  const rowBytes = (<usize>most) << 4;
  const whole = min(end, strips / most);
  const length = max(0, whole - begin) / streams;
  const gap = <usize>length * groupBytes;
  let group = begin;
  let column = w + <usize>begin * groupBytes;
  let row = out + <usize>begin * rowBytes;
  for (; group < begin + length; group++, column += groupBytes, row += rowBytes) {
    walk(weight, dot, column, x, row, streams, gap, most, blocks, factor, scratch);
  }
  // What the streams leave over is read in fewer streams.
  group = begin + length * streams;
  if (group < whole) {
    const at = <usize>group;
    const left = whole - group;
    walk(
      weight,
      dot,
      w + at * groupBytes,
      x,
      out + at * rowBytes,
      left,
      groupBytes,
      most,
      blocks,
      factor,
      scratch,
    );
  }
  // The last, smaller group is read by itself.
  if (whole < end) {
    const at = <usize>whole;
    const size = strips - whole * most;
    const bytes = <usize>size * tileBytes * <usize>blocks;
    walk(weight, dot, w + at * groupBytes, x, out + at * rowBytes, 1, bytes, size, blocks, factor, scratch);
  }
}
