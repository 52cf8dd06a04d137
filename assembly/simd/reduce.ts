// Sums and maxima of lanes, and the last lanes of a row.

/** Sum of four lanes, always in the order (0 + 2) + (1 + 3). */
export function sum_f32x4(x: v128): f32 {
  const y = f32x4.add(x, v128.shuffle<i32>(x, x, 2, 3, 0, 1));
  return f32x4.extract_lane(y, 0) + f32x4.extract_lane(y, 1);
}

/** Largest of four lanes; NaN if one is NaN. */
export function max_f32x4(x: v128): f32 {
  const y = f32x4.max(x, v128.shuffle<i32>(x, x, 2, 3, 0, 1));
  return max(f32x4.extract_lane(y, 0), f32x4.extract_lane(y, 1));
}

/** The last `rest` (1 to 3) values of a row as a vector with zeros behind them. */
export function load_tail(ptr: usize, rest: i32): v128 {
  let x = v128.load32_zero(ptr);
  if (rest > 1) x = f32x4.replace_lane(x, 1, load<f32>(ptr, 4));
  if (rest > 2) x = f32x4.replace_lane(x, 2, load<f32>(ptr, 8));
  return x;
}

/** Stores the first `rest` (1 to 3) lanes. */
export function store_tail(ptr: usize, rest: i32, x: v128): void {
  store<f32>(ptr, f32x4.extract_lane(x, 0));
  if (rest > 1) store<f32>(ptr, f32x4.extract_lane(x, 1), 4);
  if (rest > 2) store<f32>(ptr, f32x4.extract_lane(x, 2), 8);
}
