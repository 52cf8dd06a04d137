// Rows of queries, keys and values: reading them, their state, and where they lie.
import { KV_DIM_ALIGN, KV_PAGE } from "../layout/blocks";
import { load_tail, store_tail } from "../simd/reduce";
import { ROW_Q, ROW_SUM } from "./softmax";

/** Dims of a row in the cache: headDim padded to KV_DIM_ALIGN. */
export function kv_dims(headDim: i32): i32 {
  return (headDim + KV_DIM_ALIGN - 1) & -KV_DIM_ALIGN;
}

/** Elements i to i + 3 of a row of n; zeros behind its end, which is not read past. */
export function load4(x: usize, i: i32, n: i32): v128 {
  const rest = n - i;
  x += (<usize>i) << 2;
  return rest >= 4 ? v128.load(x) : rest > 0 ? load_tail(x, rest) : f32x4.splat(0);
}

/** Largest magnitude of a row of n; NaN if one is NaN. */
export function abs_max(x: usize, n: i32): f32 {
  let m = f32x4.splat(0);
  for (let i = 0; i < n; i += 4) m = f32x4.max(m, f32x4.abs(load4(x, i, n)));
  m = f32x4.max(m, v128.shuffle<i32>(m, m, 2, 3, 0, 1));
  return max(f32x4.extract_lane(m, 0), f32x4.extract_lane(m, 1));
}

/**
 * 1 / scale_of(top, most): what integers up to `most` are made with.
 * A row whose maximum is under 1e-30 becomes zeros, because the reciprocal would overflow.
 */
export function inverse_of(top: f32, most: f32): f32 {
  return top >= 1e-30 ? most / top : 0;
}

/** What one step of a row's integers stands for; NaN and infinity stay, so that they reach the result. */
export function scale_of(top: f32, most: f32): f32 {
  return top / most;
}

/** Index of a position's dim 0 in K; the next dim is eight elements further. */
export function k_index(slot: i32, dims: i32): usize {
  return <usize>((slot >> 3) * 8 * dims + (slot & 7));
}

/** The address of row r's head in q or out: rows go by token, then by head. */
export function row_at(x: usize, stride: usize, heads: usize, nHeads: i32, r: i32, headDim: i32): usize {
  const h = load<i32>(heads + ((<usize>(r % nHeads)) << 2));
  return x + <usize>(r / nHeads) * stride + ((<usize>(h * headDim)) << 2);
}

/** Positions of the page that begins at `first` that row r sees; none if not positive. */
export function seen(pos: i32, r: i32, nHeads: i32, first: i32): i32 {
  return min(pos + r / nHeads + 1 - first, KV_PAGE);
}

/** Positions of that page that are before what row r sees; all of them or more: it sees none. */
export function unseen(pos: i32, r: i32, nHeads: i32, first: i32, window: i32): i32 {
  return window ? max(pos + r / nHeads + 1 - window - first, 0) : 0;
}

/** Writes a row's result: its sums divided by the sum of its weights. */
export function finish_row(row: usize, out: usize, headDim: i32): void {
  const sum = v128.load32_splat(row, ROW_SUM);
  let sums = row + ROW_Q + ((<usize>kv_dims(headDim)) << 2);
  for (let rest = headDim; rest > 0; rest -= 4, sums += 16, out += 16) {
    const x = f32x4.div(v128.load(sums), sum);
    if (rest >= 4) v128.store(out, x);
    else store_tail(out, rest, x);
  }
}
