/** sum + integers * (weight scales * activation scale), each f32x4 or i32x4 of four rows. */
export function scaled(sum: v128, integers: v128, scales: v128, xs: v128): v128 {
  return f32x4.add(sum, f32x4.mul(f32x4.convert_i32x4_s(integers), f32x4.mul(scales, xs)));
}

/** Stores four rows' sums, with what is at `add` added unless that is 0. */
export function store_rows(out: usize, add: usize, sum: v128): void {
  v128.store(out, add ? f32x4.add(sum, v128.load(add)) : sum);
}
