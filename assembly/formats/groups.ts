// What the matrix kernels of every format share: where groups lie, and the rows that products are added to.
import { ACT_TOKENS } from "../layout/blocks";

/** Sums at `out` += integers * (weight scales * activation scale), each f32x4 or i32x4 of four rows. */
export function accumulate(out: usize, integers: v128, scales: v128, xs: v128): void {
  const product = f32x4.mul(f32x4.convert_i32x4_s(integers), f32x4.mul(scales, xs));
  // Loaded last: V8 would keep it in a register from here to the first of the integers, and spills another.
  v128.store(out, f32x4.add(product, v128.load(out)));
}

/** Sums at `out` += integers * (weight scales * xs) + sum * (minima * xs), `sum` being that of the activations, f32. */
export function accumulate_both(
  out: usize,
  integers: v128,
  scales: v128,
  minima: v128,
  xs: v128,
  sum: v128,
): void {
  const product = f32x4.mul(f32x4.convert_i32x4_s(integers), f32x4.mul(scales, xs));
  const both = f32x4.add(product, f32x4.mul(sum, f32x4.mul(minima, xs)));
  v128.store(out, f32x4.add(both, v128.load(out)));
}

/** Groups of `most` strips that a matrix of `strips` has, the last one counted. */
export function group_count(strips: i32, most: i32): i32 {
  return (strips + most - 1) / most;
}

/** Strips of the group that a strip of a matrix of `strips` lies in; `most` are those of all groups but the last. */
export function group_size(strip: i32, strips: i32, most: i32): i32 {
  return min(most, strips - (strip - (strip % most)));
}

/** Bytes of the groups before the one that a strip lies in. */
export function group_bytes_before(strip: i32, blocks: i32, most: i32, tileBytes: usize): usize {
  return <usize>(strip - (strip % most)) * <usize>blocks * tileBytes;
}

/**
 * What products are added to: rows of strips [begin, end) of each token become those of `add`, or zero if `add` is 0.
 * Nothing is done if `add` is `out`. Kernels of several tokens compute ACT_TOKENS at a time: rows of tokens that do not
 * exist, up to that number, become zero.
 */
export function start_rows(
  out: usize,
  outStride: usize,
  add: usize,
  addStride: usize,
  begin: i32,
  end: i32,
  tokens: i32,
): void {
  if (begin >= end) return;
  const first = (<usize>begin) << 4;
  const bytes = ((<usize>end) << 4) - first;
  if (add !== out) {
    for (let t: usize = 0; t < <usize>tokens; t++) {
      const row = out + t * outStride + first;
      if (add) memory.copy(row, add + t * addStride + first, bytes);
      else memory.fill(row, 0, bytes);
    }
  }
  if (tokens < 2) return;
  const all = <usize>((tokens + ACT_TOKENS - 1) & -ACT_TOKENS);
  for (let t = <usize>tokens; t < all; t++) memory.fill(out + t * outStride + first, 0, bytes);
}

/** Stores four rows' sums, with what is at `add` added unless `add` is 0. */
export function store_rows(out: usize, add: usize, sum: v128): void {
  v128.store(out, add ? f32x4.add(sum, v128.load(add)) : sum);
}
