import { BLOCK_COLS, F32_TILE_BYTES } from "../layout/blocks";
import { madd } from "../simd/math";
import { STREAMS, store_rows } from "./rows";

/**
 * out[r] = sum_c W[r,c] * x[c] (+ add[r])      rows of strips [begin, end), one token
 * W    f32 tiles [strips * 4, blocks * 32]      see layout/blocks.ts
 * x    f32 [blocks * 32]                       zeros where a row is padded
 * out  f32 [strips * 4]
 * add  f32 [strips * 4] or 0                   may be out
 * Align: W, x 4 B; out, add 16 B               Reads past the end: none
 * Numerics: f32, columns in ascending order, mul and add apart
 *
 * Eight read streams, each a part of the strips, are eight independent chains of additions.
 */
export function matvec_f32(
  w: usize,
  x: usize,
  out: usize,
  add: usize,
  begin: i32,
  end: i32,
  blocks: i32,
): void {
  const stripBytes = <usize>blocks * F32_TILE_BYTES;
  const stop = x + <usize>blocks * (4 * BLOCK_COLS);
  const length = (end - begin) / STREAMS;
  const tileStep = <usize>length * stripBytes;
  const rowStep = (<usize>length) << 4;
  let strip = begin;
  for (; strip < begin + length; strip++) {
    let t0 = w + <usize>strip * stripBytes;
    let t1 = t0 + tileStep;
    let t2 = t1 + tileStep;
    let t3 = t2 + tileStep;
    let t4 = t3 + tileStep;
    let t5 = t4 + tileStep;
    let t6 = t5 + tileStep;
    let t7 = t6 + tileStep;
    let f0 = f32x4.splat(0);
    let f1 = f0;
    let f2 = f0;
    let f3 = f0;
    let f4 = f0;
    let f5 = f0;
    let f6 = f0;
    let f7 = f0;
    // Four columns at a time: a block has 32.
    for (let xp = x; xp < stop; xp += 16) {
      const x4 = v128.load(xp);
      let xs = v128.shuffle<i32>(x4, x4, 0, 0, 0, 0);
      f0 = madd(f0, v128.load(t0), xs);
      f1 = madd(f1, v128.load(t1), xs);
      f2 = madd(f2, v128.load(t2), xs);
      f3 = madd(f3, v128.load(t3), xs);
      f4 = madd(f4, v128.load(t4), xs);
      f5 = madd(f5, v128.load(t5), xs);
      f6 = madd(f6, v128.load(t6), xs);
      f7 = madd(f7, v128.load(t7), xs);
      xs = v128.shuffle<i32>(x4, x4, 1, 1, 1, 1);
      f0 = madd(f0, v128.load(t0, 16), xs);
      f1 = madd(f1, v128.load(t1, 16), xs);
      f2 = madd(f2, v128.load(t2, 16), xs);
      f3 = madd(f3, v128.load(t3, 16), xs);
      f4 = madd(f4, v128.load(t4, 16), xs);
      f5 = madd(f5, v128.load(t5, 16), xs);
      f6 = madd(f6, v128.load(t6, 16), xs);
      f7 = madd(f7, v128.load(t7, 16), xs);
      xs = v128.shuffle<i32>(x4, x4, 2, 2, 2, 2);
      f0 = madd(f0, v128.load(t0, 32), xs);
      f1 = madd(f1, v128.load(t1, 32), xs);
      f2 = madd(f2, v128.load(t2, 32), xs);
      f3 = madd(f3, v128.load(t3, 32), xs);
      f4 = madd(f4, v128.load(t4, 32), xs);
      f5 = madd(f5, v128.load(t5, 32), xs);
      f6 = madd(f6, v128.load(t6, 32), xs);
      f7 = madd(f7, v128.load(t7, 32), xs);
      xs = v128.shuffle<i32>(x4, x4, 3, 3, 3, 3);
      f0 = madd(f0, v128.load(t0, 48), xs);
      f1 = madd(f1, v128.load(t1, 48), xs);
      f2 = madd(f2, v128.load(t2, 48), xs);
      f3 = madd(f3, v128.load(t3, 48), xs);
      f4 = madd(f4, v128.load(t4, 48), xs);
      f5 = madd(f5, v128.load(t5, 48), xs);
      f6 = madd(f6, v128.load(t6, 48), xs);
      f7 = madd(f7, v128.load(t7, 48), xs);
      t0 += 64;
      t1 += 64;
      t2 += 64;
      t3 += 64;
      t4 += 64;
      t5 += 64;
      t6 += 64;
      t7 += 64;
    }
    const at = (<usize>strip) << 4;
    const addStep = add ? rowStep : 0;
    const row = out + at;
    const addRow = add ? add + at : 0;
    store_rows(row, addRow, f0);
    store_rows(row + rowStep, addRow + addStep, f1);
    store_rows(row + 2 * rowStep, addRow + 2 * addStep, f2);
    store_rows(row + 3 * rowStep, addRow + 3 * addStep, f3);
    store_rows(row + 4 * rowStep, addRow + 4 * addStep, f4);
    store_rows(row + 5 * rowStep, addRow + 5 * addStep, f5);
    store_rows(row + 6 * rowStep, addRow + 6 * addStep, f6);
    store_rows(row + 7 * rowStep, addRow + 7 * addStep, f7);
  }
  for (strip = begin + length * STREAMS; strip < end; strip++) {
    let t0 = w + <usize>strip * stripBytes;
    let f0 = f32x4.splat(0);
    for (let xp = x; xp < stop; xp += 4) {
      const xs = v128.load32_splat(xp);
      f0 = madd(f0, v128.load(t0), xs);
      t0 += 16;
    }
    const at = (<usize>strip) << 4;
    store_rows(out + at, add ? add + at : 0, f0);
  }
}

// Stores a token's sums of four neighbouring strips, with what is at `add` added unless that is 0.
function store_strips(out: usize, add: usize, a: v128, b: v128, c: v128, d: v128): void {
  store_rows(out, add, a);
  store_rows(out + 16, add ? add + 16 : 0, b);
  store_rows(out + 32, add ? add + 32 : 0, c);
  store_rows(out + 48, add ? add + 48 : 0, d);
}

/**
 * As matvec_f32, for two tokens and four strips: each weight vector meets two activations, each activation four
 * weight vectors: eight accumulators. Activations come in whole vectors that are spread by shuffles: see ADR 7.
 * strip       the first of the strips, stripBytes apart
 * x, out, add: of the first token; the strides (bytes) lead to the next one
 */
export function tile_f32(
  strip: usize,
  stripBytes: usize,
  x: usize,
  xStride: usize,
  out: usize,
  outStride: usize,
  add: usize,
  addStride: usize,
): void {
  const stop = strip + stripBytes;
  let t0 = strip;
  let t1 = t0 + stripBytes;
  let t2 = t1 + stripBytes;
  let t3 = t2 + stripBytes;
  let y = x + xStride;
  let f0 = f32x4.splat(0);
  let f1 = f0;
  let f2 = f0;
  let f3 = f0;
  let g0 = f0;
  let g1 = f0;
  let g2 = f0;
  let g3 = f0;
  // Four columns at a time: a block has 32.
  while (t0 < stop) {
    const xs = v128.load(x);
    const ys = v128.load(y);
    let a = v128.shuffle<i32>(xs, xs, 0, 0, 0, 0);
    let b = v128.shuffle<i32>(ys, ys, 0, 0, 0, 0);
    let v = v128.load(t0);
    f0 = madd(f0, v, a);
    g0 = madd(g0, v, b);
    v = v128.load(t1);
    f1 = madd(f1, v, a);
    g1 = madd(g1, v, b);
    v = v128.load(t2);
    f2 = madd(f2, v, a);
    g2 = madd(g2, v, b);
    v = v128.load(t3);
    f3 = madd(f3, v, a);
    g3 = madd(g3, v, b);
    a = v128.shuffle<i32>(xs, xs, 1, 1, 1, 1);
    b = v128.shuffle<i32>(ys, ys, 1, 1, 1, 1);
    v = v128.load(t0, 16);
    f0 = madd(f0, v, a);
    g0 = madd(g0, v, b);
    v = v128.load(t1, 16);
    f1 = madd(f1, v, a);
    g1 = madd(g1, v, b);
    v = v128.load(t2, 16);
    f2 = madd(f2, v, a);
    g2 = madd(g2, v, b);
    v = v128.load(t3, 16);
    f3 = madd(f3, v, a);
    g3 = madd(g3, v, b);
    a = v128.shuffle<i32>(xs, xs, 2, 2, 2, 2);
    b = v128.shuffle<i32>(ys, ys, 2, 2, 2, 2);
    v = v128.load(t0, 32);
    f0 = madd(f0, v, a);
    g0 = madd(g0, v, b);
    v = v128.load(t1, 32);
    f1 = madd(f1, v, a);
    g1 = madd(g1, v, b);
    v = v128.load(t2, 32);
    f2 = madd(f2, v, a);
    g2 = madd(g2, v, b);
    v = v128.load(t3, 32);
    f3 = madd(f3, v, a);
    g3 = madd(g3, v, b);
    a = v128.shuffle<i32>(xs, xs, 3, 3, 3, 3);
    b = v128.shuffle<i32>(ys, ys, 3, 3, 3, 3);
    v = v128.load(t0, 48);
    f0 = madd(f0, v, a);
    g0 = madd(g0, v, b);
    v = v128.load(t1, 48);
    f1 = madd(f1, v, a);
    g1 = madd(g1, v, b);
    v = v128.load(t2, 48);
    f2 = madd(f2, v, a);
    g2 = madd(g2, v, b);
    v = v128.load(t3, 48);
    f3 = madd(f3, v, a);
    g3 = madd(g3, v, b);
    x += 16;
    y += 16;
    t0 += 64;
    t1 += 64;
    t2 += 64;
    t3 += 64;
  }
  store_strips(out, add, f0, f1, f2, f3);
  store_strips(out + outStride, add ? add + addStride : 0, g0, g1, g2, g3);
}

/**
 * out[t, r] = sum_c W[r,c] * x[t, c] (+ add[t, r])      rows of strips [begin, end), any number of tokens
 * xStride, outStride, addStride: bytes between tokens; addStride 0: the same row (a bias) for all
 * The rest as matvec_f32, whose bits each token has, however many share the call.
 */
export function matmul_f32(
  w: usize,
  x: usize,
  xStride: usize,
  out: usize,
  outStride: usize,
  add: usize,
  addStride: usize,
  begin: i32,
  end: i32,
  blocks: i32,
  tokens: i32,
): void {
  const stripBytes = <usize>blocks * F32_TILE_BYTES;
  const pairs = tokens & ~1;
  let strip = begin;
  if (pairs) {
    for (; strip + 4 <= end; strip += 4) {
      const at = (<usize>strip) << 4;
      let xp = x;
      let row = out + at;
      let addRow = add ? add + at : 0;
      for (let t = 0; t < pairs; t += 2) {
        tile_f32(w + <usize>strip * stripBytes, stripBytes, xp, xStride, row, outStride, addRow, addStride);
        xp += 2 * xStride;
        row += 2 * outStride;
        if (add) addRow += 2 * addStride;
      }
    }
  }
  // Strips that are left over, and of the last token of an odd number all.
  for (let t = 0; t < tokens; t++) {
    const token = <usize>t;
    const addRow = add ? add + token * addStride : 0;
    const first = t < pairs ? strip : begin;
    if (first < end) matvec_f32(w, x + token * xStride, out + token * outStride, addRow, first, end, blocks);
  }
}
