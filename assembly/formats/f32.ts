// f32: exact weights. How rows are packed into groups, and products with f32 activations.
import { BLOCK_COLS, F32_GROUP_STRIPS, F32_TILE_BYTES } from "../layout/blocks";
import { madd } from "../simd/math";
import { start_rows, store_rows } from "./groups";

/** Bytes of four columns of a strip, which lie together. */
export const CELL_F32 = 64;
const CELL: usize = CELL_F32;
// The same of a whole group.
const GROUP_CELLS: usize = <usize>F32_GROUP_STRIPS * CELL;
const COLS: usize = BLOCK_COLS;

/** out[c] = W[r, c] * scale, `cell` and `step` as embed_row() of formats.ts has them. */
export function embed_row_f32(cell: usize, step: usize, r: usize, blocks: i32, scale: f32, out: usize): void {
  const stop = out + <usize>blocks * (4 * BLOCK_COLS);
  for (let p = cell + (r << 2); out < stop; out += 16, p += step) {
    for (let c: usize = 0; c < 4; c++) store<f32>(out + (c << 2), load<f32>(p + (c << 4)) * scale);
  }
}

// The address of column c of row r of a block.
function value_at(cell: usize, step: usize, r: usize, c: usize): usize {
  return cell + (c >> 2) * step + ((c & 3) << 4) + (r << 2);
}

/** Packs a row of a block: see pack_row() of formats.ts. */
export function pack_row_f32(row: usize, cell: usize, step: usize, r: usize): i32 {
  for (let c: usize = 0; c < COLS; c++) store<f32>(value_at(cell, step, r, c), load<f32>(row + (c << 2)));
  return 0;
}

/** Zeros as row r of a block. */
export function zero_row_f32(cell: usize, step: usize, r: usize): void {
  for (let c: usize = 0; c < COLS; c++) store<f32>(value_at(cell, step, r, c), 0);
}

// Stores a token's sums of four neighbouring strips, with what is at `add` added unless `add` is 0.
function store_strips(out: usize, add: usize, a: v128, b: v128, c: v128, d: v128): void {
  store_rows(out, add, a);
  store_rows(out + 16, add ? add + 16 : 0, b);
  store_rows(out + 32, add ? add + 32 : 0, c);
  store_rows(out + 48, add ? add + 48 : 0, d);
}

// A group of four strips, and the one `gap` bytes behind it, whose rows are `rowGap` bytes on, times one token.
function pair_f32(t: usize, gap: usize, x: usize, stop: usize, out: usize, rowGap: usize, add: usize): void {
  let u = t + gap;
  let f0 = f32x4.splat(0);
  let f1 = f0;
  let f2 = f0;
  let f3 = f0;
  let g0 = f0;
  let g1 = f0;
  let g2 = f0;
  let g3 = f0;
  // Four columns at a time: a block has 32.
  for (; x < stop; x += 16) {
    const x4 = v128.load(x);
    let xs = v128.shuffle<i32>(x4, x4, 0, 0, 0, 0);
    f0 = madd(f0, v128.load(t), xs);
    f1 = madd(f1, v128.load(t, 64), xs);
    f2 = madd(f2, v128.load(t, 128), xs);
    f3 = madd(f3, v128.load(t, 192), xs);
    g0 = madd(g0, v128.load(u), xs);
    g1 = madd(g1, v128.load(u, 64), xs);
    g2 = madd(g2, v128.load(u, 128), xs);
    g3 = madd(g3, v128.load(u, 192), xs);
    xs = v128.shuffle<i32>(x4, x4, 1, 1, 1, 1);
    f0 = madd(f0, v128.load(t, 16), xs);
    f1 = madd(f1, v128.load(t, 80), xs);
    f2 = madd(f2, v128.load(t, 144), xs);
    f3 = madd(f3, v128.load(t, 208), xs);
    g0 = madd(g0, v128.load(u, 16), xs);
    g1 = madd(g1, v128.load(u, 80), xs);
    g2 = madd(g2, v128.load(u, 144), xs);
    g3 = madd(g3, v128.load(u, 208), xs);
    xs = v128.shuffle<i32>(x4, x4, 2, 2, 2, 2);
    f0 = madd(f0, v128.load(t, 32), xs);
    f1 = madd(f1, v128.load(t, 96), xs);
    f2 = madd(f2, v128.load(t, 160), xs);
    f3 = madd(f3, v128.load(t, 224), xs);
    g0 = madd(g0, v128.load(u, 32), xs);
    g1 = madd(g1, v128.load(u, 96), xs);
    g2 = madd(g2, v128.load(u, 160), xs);
    g3 = madd(g3, v128.load(u, 224), xs);
    xs = v128.shuffle<i32>(x4, x4, 3, 3, 3, 3);
    f0 = madd(f0, v128.load(t, 48), xs);
    f1 = madd(f1, v128.load(t, 112), xs);
    f2 = madd(f2, v128.load(t, 176), xs);
    f3 = madd(f3, v128.load(t, 240), xs);
    g0 = madd(g0, v128.load(u, 48), xs);
    g1 = madd(g1, v128.load(u, 112), xs);
    g2 = madd(g2, v128.load(u, 176), xs);
    g3 = madd(g3, v128.load(u, 240), xs);
    t += GROUP_CELLS;
    u += GROUP_CELLS;
  }
  store_strips(out, add, f0, f1, f2, f3);
  store_strips(out + rowGap, add ? add + rowGap : 0, g0, g1, g2, g3);
}

// One strip of a group times one token; `step` bytes lead to its next four columns.
function strip_f32(t: usize, step: usize, x: usize, stop: usize, out: usize, add: usize): void {
  let f = f32x4.splat(0);
  for (; x < stop; x += 16, t += step) {
    const x4 = v128.load(x);
    f = madd(f, v128.load(t), v128.shuffle<i32>(x4, x4, 0, 0, 0, 0));
    f = madd(f, v128.load(t, 16), v128.shuffle<i32>(x4, x4, 1, 1, 1, 1));
    f = madd(f, v128.load(t, 32), v128.shuffle<i32>(x4, x4, 2, 2, 2, 2));
    f = madd(f, v128.load(t, 48), v128.shuffle<i32>(x4, x4, 3, 3, 3, 3));
  }
  store_rows(out, add, f);
}

/**
 * out[r] = sum_c W[r,c] * x[c] (+ add[r])      rows of groups [begin, end), one token
 * W    f32 tiles [strips * 4, blocks * 32]      see layout/blocks.ts
 * x    f32 [blocks * 32]                       padded with zeros
 * out  f32 [strips * 4]
 * add  f32 [strips * 4] or 0                   may be out
 * Align: W, x 4 B; out, add 16 B               Reads past the end: none
 * Numerics: f32, columns in ascending order, mul and add apart
 *
 * Two groups of four strips at once are eight independent chains of additions and two read streams.
 */
function matvec_f32(
  w: usize,
  x: usize,
  out: usize,
  add: usize,
  begin: i32,
  end: i32,
  strips: i32,
  blocks: i32,
): void {
  const groupBytes = <usize>(F32_GROUP_STRIPS * F32_TILE_BYTES) * <usize>blocks;
  const stop = x + <usize>blocks * (4 * BLOCK_COLS);
  const whole = min(end, strips / F32_GROUP_STRIPS);
  const length = begin < whole ? (whole - begin) >> 1 : 0;
  const gap = <usize>length * groupBytes;
  let group = begin;
  for (; group < begin + length; group++) {
    const at = (<usize>group) << 6;
    pair_f32(w + <usize>group * groupBytes, gap, x, stop, out + at, (<usize>length) << 6, add ? add + at : 0);
  }
  // An odd group, and the last, smaller one.
  group = begin + 2 * length;
  for (; group < end; group++) {
    const size = min(F32_GROUP_STRIPS, strips - group * F32_GROUP_STRIPS);
    for (let s = 0; s < size; s++) {
      const at = (<usize>(group * F32_GROUP_STRIPS + s)) << 4;
      const tile = w + <usize>group * groupBytes + <usize>s * CELL;
      strip_f32(tile, <usize>size * CELL, x, stop, out + at, add ? add + at : 0);
    }
  }
}

/**
 * As matvec_f32, for two tokens and a group of four strips. Each weight vector meets two activations, each activation
 * four weight vectors: eight accumulators. Activations come in whole vectors that are spread by shuffles: see ADR 7.
 * x, out, add: of the first token; the strides (bytes) lead to the next one
 */
function tile_f32(
  t: usize,
  blocks: i32,
  x: usize,
  xStride: usize,
  out: usize,
  outStride: usize,
  add: usize,
  addStride: usize,
): void {
  const stop = x + <usize>blocks * (4 * BLOCK_COLS);
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
  for (; x < stop; x += 16, y += 16, t += GROUP_CELLS) {
    const xs = v128.load(x);
    const ys = v128.load(y);
    let a = v128.shuffle<i32>(xs, xs, 0, 0, 0, 0);
    let b = v128.shuffle<i32>(ys, ys, 0, 0, 0, 0);
    let v = v128.load(t);
    f0 = madd(f0, v, a);
    g0 = madd(g0, v, b);
    v = v128.load(t, 64);
    f1 = madd(f1, v, a);
    g1 = madd(g1, v, b);
    v = v128.load(t, 128);
    f2 = madd(f2, v, a);
    g2 = madd(g2, v, b);
    v = v128.load(t, 192);
    f3 = madd(f3, v, a);
    g3 = madd(g3, v, b);
    a = v128.shuffle<i32>(xs, xs, 1, 1, 1, 1);
    b = v128.shuffle<i32>(ys, ys, 1, 1, 1, 1);
    v = v128.load(t, 16);
    f0 = madd(f0, v, a);
    g0 = madd(g0, v, b);
    v = v128.load(t, 80);
    f1 = madd(f1, v, a);
    g1 = madd(g1, v, b);
    v = v128.load(t, 144);
    f2 = madd(f2, v, a);
    g2 = madd(g2, v, b);
    v = v128.load(t, 208);
    f3 = madd(f3, v, a);
    g3 = madd(g3, v, b);
    a = v128.shuffle<i32>(xs, xs, 2, 2, 2, 2);
    b = v128.shuffle<i32>(ys, ys, 2, 2, 2, 2);
    v = v128.load(t, 32);
    f0 = madd(f0, v, a);
    g0 = madd(g0, v, b);
    v = v128.load(t, 96);
    f1 = madd(f1, v, a);
    g1 = madd(g1, v, b);
    v = v128.load(t, 160);
    f2 = madd(f2, v, a);
    g2 = madd(g2, v, b);
    v = v128.load(t, 224);
    f3 = madd(f3, v, a);
    g3 = madd(g3, v, b);
    a = v128.shuffle<i32>(xs, xs, 3, 3, 3, 3);
    b = v128.shuffle<i32>(ys, ys, 3, 3, 3, 3);
    v = v128.load(t, 48);
    f0 = madd(f0, v, a);
    g0 = madd(g0, v, b);
    v = v128.load(t, 112);
    f1 = madd(f1, v, a);
    g1 = madd(g1, v, b);
    v = v128.load(t, 176);
    f2 = madd(f2, v, a);
    g2 = madd(g2, v, b);
    v = v128.load(t, 240);
    f3 = madd(f3, v, a);
    g3 = madd(g3, v, b);
  }
  store_strips(out, add, f0, f1, f2, f3);
  store_strips(out + outStride, add ? add + addStride : 0, g0, g1, g2, g3);
}

/**
 * out[t, r] = sum_c W[r,c] * x[t, c] (+ add[t, r])      rows of groups [begin, end), any number of tokens
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
  strips: i32,
  blocks: i32,
  tokens: i32,
): void {
  // Without columns, the result is what is added.
  if (!blocks) {
    const first = begin * F32_GROUP_STRIPS;
    start_rows(out, outStride, add, addStride, first, min(end * F32_GROUP_STRIPS, strips), tokens);
    return;
  }
  const groupBytes = <usize>(F32_GROUP_STRIPS * F32_TILE_BYTES) * <usize>blocks;
  const pairs = tokens & ~1;
  const whole = min(end, strips / F32_GROUP_STRIPS);
  let group = begin;
  if (pairs) {
    for (; group < whole; group++) {
      const at = (<usize>group) << 6;
      const tile = w + <usize>group * groupBytes;
      let xp = x;
      let row = out + at;
      let addRow = add ? add + at : 0;
      for (let t = 0; t < pairs; t += 2) {
        tile_f32(tile, blocks, xp, xStride, row, outStride, addRow, addStride);
        xp += 2 * xStride;
        row += 2 * outStride;
        if (add) addRow += 2 * addStride;
      }
    }
  }
  // The strips that are left over, and all strips of the last token of an odd number.
  for (let t = 0; t < tokens; t++) {
    const token = <usize>t;
    const addRow = add ? add + token * addStride : 0;
    const first = t < pairs ? group : begin;
    if (first < end) {
      matvec_f32(w, x + token * xStride, out + token * outStride, addRow, first, end, strips, blocks);
    }
  }
}
