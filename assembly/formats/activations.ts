// The formats of activations: the only switch over ACT_* in the kernels.
import { ACT_F32, ACT_Q8, BLOCK_COLS } from "../layout/blocks";
import { quantize_row_q8 } from "./act_q8";
import { quantize_row_super } from "./act_super";

/** n values with what pads them to whole blocks. */
export function padded(n: i32): i32 {
  return (n + BLOCK_COLS - 1) & -BLOCK_COLS;
}

/**
 * Where an operation computes columns from `first` on of row t, in f32: in the row itself if the format is f32, else in
 * scratch. finish_row() must follow.
 */
export function begin_row(
  format: i32,
  base: usize,
  stride: usize,
  t: i32,
  first: i32,
  scratch: usize,
): usize {
  return format === ACT_F32 ? base + <usize>t * stride + ((<usize>first) << 2) : scratch;
}

/**
 * Pads n f32 values at `row` with zeros to whole blocks, and stores them in their format as columns from `first` on of
 * row t. `count` rows have this format: several share blocks.
 */
export function finish_row(
  format: i32,
  row: usize,
  base: usize,
  stride: usize,
  first: i32,
  n: i32,
  t: i32,
  count: i32,
): void {
  const all = padded(n);
  for (let i = n; i < all; i++) store<f32>(row + ((<usize>i) << 2), 0);
  if (format !== ACT_F32) store_row(format, row, base, stride, first, n, t, count);
}

/** As finish_row, for values that are padded and that lie elsewhere, whatever the format. */
export function store_row(
  format: i32,
  row: usize,
  base: usize,
  stride: usize,
  first: i32,
  n: i32,
  t: i32,
  count: i32,
): void {
  if (format === ACT_F32) {
    const at = base + <usize>t * stride + ((<usize>first) << 2);
    memory.copy(at, row, (<usize>padded(n)) << 2);
  } else if (format === ACT_Q8) {
    quantize_row_q8(row, base, stride, first, padded(n), t, count);
  } else {
    quantize_row_super(row, base, stride, first, n, t, count);
  }
}
