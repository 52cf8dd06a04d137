// Adds up what the experts of a token made of it: the end of OP_COMBINE (see experts.ts).
import { madd } from "../../simd/math";
import { load_tail, store_tail } from "../../simd/reduce";

/**
 * out[i] = sum_r share[r] * rows[slot[r]][i] (+ add[i])       r in [0, picked)
 * picks  [picked]: i32 slot, f32 share
 * rows   f32 [slots][n], stride bytes apart
 * add    f32 [n], or 0; may be out
 * out    f32 [n], apart from rows
 * Units: n elements, any; pointers, stride bytes
 * Align: 4 B                    Reads past the end: none
 * Numerics: f32, ascending r, mul and add apart; `add` is added last
 */
export function combine_f32(
  picks: usize,
  picked: i32,
  rows: usize,
  stride: usize,
  add: usize,
  out: usize,
  n: i32,
): void {
  const stop = picks + ((<usize>picked) << 3);
  for (let rest = n, at: usize = 0; rest > 0; rest -= 4, at += 16) {
    let sum = f32x4.splat(0);
    for (let p = picks; p < stop; p += 8) {
      const row = rows + <usize>load<i32>(p) * stride + at;
      sum = madd(sum, v128.load32_splat(p, 4), rest >= 4 ? v128.load(row) : load_tail(row, rest));
    }
    if (rest >= 4) {
      v128.store(out + at, add ? f32x4.add(v128.load(add + at), sum) : sum);
    } else {
      store_tail(out + at, rest, add ? f32x4.add(load_tail(add + at, rest), sum) : sum);
    }
  }
}
