// OP_CONV: causal convolutions of each channel over a few positions. Inputs that later positions need stay in the cache.
import { KV_PAGE } from "../../layout/blocks";
import { STEP_N_TOKENS, STEP_PAGE_TABLES, STEP_POSITIONS } from "../../layout/control";
import * as op from "../../layout/ops";
import { element, int, next, page_of, ptr, tokens_from } from "../../record";
import { madd } from "../../simd/math";
import { sigmoid } from "./glu";

// Channels that a thread takes at once, and those that lie on a line of the caches.
const PART: i32 = 256;
const LINE: i32 = 16;

/**
 * Runs the record. A unit of work is a part of the channels of one sequence.
 * scratch  64 B for each tap
 */
export function run_conv(record: usize, scratch: usize): void {
  const channels = int(record, op.CONV_CHANNELS);
  const parts = (channels + PART - 1) / PART;
  const count = load<i32>(STEP_N_TOKENS) * parts;
  for (let i = next(record); i < count; i = next(record)) {
    const t = i / parts;
    const n = tokens_from(t);
    if (!n) continue;
    const first = (i % parts) * PART;
    const stop = min(first + PART, channels);
    for (let c = first; c < stop; c += LINE) convolve(record, t, n, c, min(LINE, stop - c), scratch);
  }
}

// Taps of four channels, one vector each.
function gather_taps(kernel: usize, taps: i32, out: usize): void {
  const row = (<usize>taps) << 2;
  for (const stop = kernel + row; kernel < stop; kernel += 4, out += 16) {
    store<f32>(out, load<f32>(kernel));
    store<f32>(out, load<f32>(kernel + row), 4);
    store<f32>(out, load<f32>(kernel + 2 * row), 8);
    store<f32>(out, load<f32>(kernel + 3 * row), 12);
  }
}

// Where the cache has the input of position q, which is before `base`: the first position behind the last one stored.
function kept_row(pages: usize, kept: i32, rowBytes: usize, base: i32, q: i32): usize {
  if (kept === KV_PAGE) return page_of(pages, q) + <usize>(q % KV_PAGE) * rowBytes;
  return page_of(pages, base - 1) + <usize>(kept - base + q) * rowBytes;
}

// `width` channels of tokens t to t + n - 1, which are of one sequence.
function convolve(record: usize, t: i32, n: i32, channel: i32, width: i32, scratch: usize): void {
  const taps = int(record, op.CONV_TAPS);
  const kept = int(record, op.CONV_KEPT);
  const column = (<usize>channel) << 2;
  const tapBytes = (<usize>taps) << 4;
  const bytes = (<usize>width) << 2;
  for (let i: usize = 0; i < bytes; i += 16) {
    gather_taps(
      ptr(record, op.CONV_KERNEL) + (column + i) * <usize>taps,
      taps,
      scratch + (i >> 4) * tapBytes,
    );
  }
  const rowBytes = ptr(record, op.CONV_CHANNELS) << 2;
  const stride = ptr(record, op.CONV_X_STRIDE);
  const outStride = ptr(record, op.CONV_OUT_STRIDE);
  const times = ptr(record, op.CONV_TIMES);
  const gate = ptr(record, op.CONV_GATE);
  const pages = ptr(record, op.CONV_TABLE) + <usize>(<u32>element(STEP_PAGE_TABLES, t));
  const at = ptr(record, op.CONV_LAYER) + column;
  let x = ptr(record, op.CONV_X) + <usize>t * stride + column;
  let out = ptr(record, op.CONV_OUT) + <usize>t * outStride + column;
  let pos = element(STEP_POSITIONS, t);
  const end = pos + n;
  let base = pos;
  for (; pos < end; pos++, x += stride, out += outStride) {
    const first = max(0, pos - taps + 1);
    const isLast = kept < KV_PAGE && (pos + 1 === end || pos % KV_PAGE === KV_PAGE - 1);
    for (let i: usize = 0; i < bytes; i += 16) {
      let now = v128.load(x + i);
      if (times) {
        now = f32x4.mul(now, v128.load(x + i + times));
        v128.store(x + i, now);
      }
      let tap = scratch + ((i >> 4) + 1) * tapBytes - 16;
      let sum = f32x4.mul(now, v128.load(tap));
      for (let q = pos - 1; q >= first; q--) {
        tap -= 16;
        const from = q < base ? kept_row(pages, kept, rowBytes, base, q) + at : x - <usize>(pos - q) * stride;
        sum = madd(sum, v128.load(from + i), v128.load(tap));
      }
      v128.store(out + i, f32x4.mul(sum, gate ? v128.load(x + i + gate) : sigmoid(sum)));
      let to = page_of(pages, pos) + at + i;
      if (kept === KV_PAGE) v128.store(to + <usize>(pos % KV_PAGE) * rowBytes, now);
      if (!isLast) continue;
      // In this order no row of the same page is overwritten before it is read.
      for (let q = pos + 1 - kept; q <= pos; q++, to += rowBytes) {
        let row = f32x4.splat(0);
        if (q >= base) row = v128.load(x + i - <usize>(pos - q) * stride);
        else if (q >= 0) row = v128.load(kept_row(pages, kept, rowBytes, base, q) + at + i);
        v128.store(to, row);
      }
    }
    if (isLast) base = pos + 1;
  }
}
