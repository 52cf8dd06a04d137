import { KV_DIM_ALIGN } from "../layout/blocks";
import { load_tail } from "../simd/reduce";

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
