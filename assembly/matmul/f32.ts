import { BLOCK_COLS, F32_TILE_BYTES } from "../layout/blocks";
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
      let xs = v128.load32_splat(xp);
      f0 = f32x4.add(f0, f32x4.mul(v128.load(t0), xs));
      f1 = f32x4.add(f1, f32x4.mul(v128.load(t1), xs));
      f2 = f32x4.add(f2, f32x4.mul(v128.load(t2), xs));
      f3 = f32x4.add(f3, f32x4.mul(v128.load(t3), xs));
      f4 = f32x4.add(f4, f32x4.mul(v128.load(t4), xs));
      f5 = f32x4.add(f5, f32x4.mul(v128.load(t5), xs));
      f6 = f32x4.add(f6, f32x4.mul(v128.load(t6), xs));
      f7 = f32x4.add(f7, f32x4.mul(v128.load(t7), xs));
      xs = v128.load32_splat(xp, 4);
      f0 = f32x4.add(f0, f32x4.mul(v128.load(t0, 16), xs));
      f1 = f32x4.add(f1, f32x4.mul(v128.load(t1, 16), xs));
      f2 = f32x4.add(f2, f32x4.mul(v128.load(t2, 16), xs));
      f3 = f32x4.add(f3, f32x4.mul(v128.load(t3, 16), xs));
      f4 = f32x4.add(f4, f32x4.mul(v128.load(t4, 16), xs));
      f5 = f32x4.add(f5, f32x4.mul(v128.load(t5, 16), xs));
      f6 = f32x4.add(f6, f32x4.mul(v128.load(t6, 16), xs));
      f7 = f32x4.add(f7, f32x4.mul(v128.load(t7, 16), xs));
      xs = v128.load32_splat(xp, 8);
      f0 = f32x4.add(f0, f32x4.mul(v128.load(t0, 32), xs));
      f1 = f32x4.add(f1, f32x4.mul(v128.load(t1, 32), xs));
      f2 = f32x4.add(f2, f32x4.mul(v128.load(t2, 32), xs));
      f3 = f32x4.add(f3, f32x4.mul(v128.load(t3, 32), xs));
      f4 = f32x4.add(f4, f32x4.mul(v128.load(t4, 32), xs));
      f5 = f32x4.add(f5, f32x4.mul(v128.load(t5, 32), xs));
      f6 = f32x4.add(f6, f32x4.mul(v128.load(t6, 32), xs));
      f7 = f32x4.add(f7, f32x4.mul(v128.load(t7, 32), xs));
      xs = v128.load32_splat(xp, 12);
      f0 = f32x4.add(f0, f32x4.mul(v128.load(t0, 48), xs));
      f1 = f32x4.add(f1, f32x4.mul(v128.load(t1, 48), xs));
      f2 = f32x4.add(f2, f32x4.mul(v128.load(t2, 48), xs));
      f3 = f32x4.add(f3, f32x4.mul(v128.load(t3, 48), xs));
      f4 = f32x4.add(f4, f32x4.mul(v128.load(t4, 48), xs));
      f5 = f32x4.add(f5, f32x4.mul(v128.load(t5, 48), xs));
      f6 = f32x4.add(f6, f32x4.mul(v128.load(t6, 48), xs));
      f7 = f32x4.add(f7, f32x4.mul(v128.load(t7, 48), xs));
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
      f0 = f32x4.add(f0, f32x4.mul(v128.load(t0), xs));
      t0 += 16;
    }
    const at = (<usize>strip) << 4;
    store_rows(out + at, add ? add + at : 0, f0);
  }
}

/**
 * As matvec_f32, for four tokens and one strip: each weight vector meets four activations.
 * x, out, add: of the first token; the strides (bytes) lead to the next ones
 */
export function mat4_f32(
  strip: usize,
  x: usize,
  xStride: usize,
  out: usize,
  outStride: usize,
  add: usize,
  addStride: usize,
  blocks: i32,
): void {
  const end = strip + <usize>blocks * F32_TILE_BYTES;
  let x0 = x;
  let x1 = x0 + xStride;
  let x2 = x1 + xStride;
  let x3 = x2 + xStride;
  let f0 = f32x4.splat(0);
  let f1 = f0;
  let f2 = f0;
  let f3 = f0;
  // Four columns at a time: a block has 32.
  for (let w = strip; w < end; w += 64) {
    let v = v128.load(w);
    f0 = f32x4.add(f0, f32x4.mul(v, v128.load32_splat(x0)));
    f1 = f32x4.add(f1, f32x4.mul(v, v128.load32_splat(x1)));
    f2 = f32x4.add(f2, f32x4.mul(v, v128.load32_splat(x2)));
    f3 = f32x4.add(f3, f32x4.mul(v, v128.load32_splat(x3)));
    v = v128.load(w, 16);
    f0 = f32x4.add(f0, f32x4.mul(v, v128.load32_splat(x0, 4)));
    f1 = f32x4.add(f1, f32x4.mul(v, v128.load32_splat(x1, 4)));
    f2 = f32x4.add(f2, f32x4.mul(v, v128.load32_splat(x2, 4)));
    f3 = f32x4.add(f3, f32x4.mul(v, v128.load32_splat(x3, 4)));
    v = v128.load(w, 32);
    f0 = f32x4.add(f0, f32x4.mul(v, v128.load32_splat(x0, 8)));
    f1 = f32x4.add(f1, f32x4.mul(v, v128.load32_splat(x1, 8)));
    f2 = f32x4.add(f2, f32x4.mul(v, v128.load32_splat(x2, 8)));
    f3 = f32x4.add(f3, f32x4.mul(v, v128.load32_splat(x3, 8)));
    v = v128.load(w, 48);
    f0 = f32x4.add(f0, f32x4.mul(v, v128.load32_splat(x0, 12)));
    f1 = f32x4.add(f1, f32x4.mul(v, v128.load32_splat(x1, 12)));
    f2 = f32x4.add(f2, f32x4.mul(v, v128.load32_splat(x2, 12)));
    f3 = f32x4.add(f3, f32x4.mul(v, v128.load32_splat(x3, 12)));
    x0 += 16;
    x1 += 16;
    x2 += 16;
    x3 += 16;
  }
  store_rows(out, add, f0);
  store_rows(out + outStride, add ? add + addStride : 0, f1);
  store_rows(out + 2 * outStride, add ? add + 2 * addStride : 0, f2);
  store_rows(out + 3 * outStride, add ? add + 3 * addStride : 0, f3);
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
  if (tokens === 1) {
    matvec_f32(w, x, out, add, begin, end, blocks);
    return;
  }
  const stripBytes = <usize>blocks * F32_TILE_BYTES;
  for (let strip = begin; strip < end; strip++) {
    const at = (<usize>strip) << 4;
    let t = 0;
    for (; t + 4 <= tokens; t += 4) {
      const token = <usize>t;
      mat4_f32(
        w + <usize>strip * stripBytes,
        x + token * xStride,
        xStride,
        out + token * outStride + at,
        outStride,
        add ? add + token * addStride + at : 0,
        addStride,
        blocks,
      );
    }
    for (; t < tokens; t++) {
      const token = <usize>t;
      const addRow = add ? add + token * addStride : 0;
      matvec_f32(w, x + token * xStride, out + token * outStride, addRow, strip, strip + 1, blocks);
    }
  }
}
