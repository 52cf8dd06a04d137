// IQ4_NL: blocks of 32 values with a scale, each one of 16 values that lie closer around zero. The same bits as ggml's
// quantizer without an importance matrix. Source: quantize_row_iq4_nl_impl of ggml-quants.c.

import { half } from "./half";
import { iq4_value, nearest_iq4 } from "./iq4_values";
import { transpose4 } from "./lanes";
import { TINY } from "./search_scale";
import { IQ4_NL_BYTES } from "./targets";

/** Values of a block. */
const N: usize = 32;
/** Bytes between a value's four lanes and the next value's. */
const STEP: usize = 16;
/** Roundings on both sides of the first one that are tried. */
const TRIES = 7;
/** The lowest of the 16 values: the extreme of a block becomes about this. */
const FIRST: f32 = -127;

const xs = memory.data(512, 16);
const lanes = memory.data(16, 16);

let sumQX: v128 = i64x2.splat(0);
let sumQ2: v128 = i64x2.splat(0);

/** x f32 [n], n % 32 == 0, finite. Four blocks at once; at the end some of them twice. */
export function encode_iq4_nl(x: usize, n: i32, out: usize): void {
  const blocks = <usize>(n >> 5);
  for (let b: usize = 0; b < blocks; b += 4) {
    const last = blocks - 1;
    const at = x + 128 * b;
    transpose4(
      at,
      x + 128 * min(b + 1, last),
      x + 128 * min(b + 2, last),
      x + 128 * min(b + 3, last),
      <i32>N,
      xs,
    );
    v128.store(lanes, search());
    for (let lane: usize = 0; lane < 4 && b + lane < blocks; lane++) {
      put(at + 128 * lane, load<f32>(lanes + (lane << 2)), out + (b + lane) * IQ4_NL_BYTES);
    }
  }
}

// The scales of four blocks.
function search(): v128 {
  let largest = f32x4.splat(0);
  let extreme = largest;
  for (let i: usize = 0; i < N * STEP; i += STEP) {
    const v = v128.load(xs + i);
    const size = f32x4.abs(v);
    const more = f32x4.gt(size, largest);
    largest = v128.bitselect(size, largest, more);
    extreme = v128.bitselect(v, extreme, more);
  }
  const zero = f32x4.splat(0);
  sum(f32x4.div(f32x4.splat(1), f32x4.div(f32x4.neg(extreme), f32x4.splat(FIRST))));
  let scale = v128.and(f32x4.div(sumQX, sumQ2), f32x4.gt(sumQ2, zero));
  let best = f32x4.mul(scale, sumQX);
  for (let t = -TRIES; t <= TRIES; t++) {
    sum(f32x4.div(f32x4.splat(<f32>t + FIRST), extreme));
    const gain = f32x4.gt(f32x4.mul(sumQX, sumQX), f32x4.mul(best, sumQ2));
    const better = v128.and(f32x4.gt(sumQ2, zero), gain);
    scale = v128.bitselect(f32x4.div(sumQX, sumQ2), scale, better);
    best = v128.bitselect(f32x4.mul(scale, sumQX), best, better);
  }
  return v128.andnot(scale, f32x4.lt(largest, f32x4.splat(TINY)));
}

// Sums of weights times chosen values times values, and times their squares. Weights are the squares of the values.
function sum(inverse: v128): void {
  let qx = f32x4.splat(0);
  let q2 = f32x4.splat(0);
  for (let i: usize = 0; i < N * STEP; i += STEP) {
    const v = v128.load(xs + i);
    const q = nearest_iq4(f32x4.mul(inverse, v));
    const wq = f32x4.mul(f32x4.mul(v, v), q);
    qx = f32x4.add(qx, f32x4.mul(wq, v));
    q2 = f32x4.add(q2, f32x4.mul(wq, q));
  }
  sumQX = qx;
  sumQ2 = q2;
}

function put(x: usize, scale: f32, out: usize): void {
  store<u16>(out, <u16>half(scale));
  const inverse: f32 = scale !== 0 ? 1 / scale : 0;
  for (let i: usize = 0; i < 16; i++) {
    const low = iq4_value(inverse * load<f32>(x + (i << 2)));
    const high = iq4_value(inverse * load<f32>(x + (i << 2), 64));
    store<u8>(out + i, <u8>(low | (high << 4)), 2);
  }
}
