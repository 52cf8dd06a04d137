// OP_COMBINE: adds up what the experts of a token made of it.
import { STEP_N_TOKENS } from "../../layout/control";
import * as op from "../../layout/ops";
import { int, next, ptr } from "../../record";
import { madd } from "../../simd/math";
import { load_tail, store_tail } from "../../simd/reduce";

/** Runs the record, token by token. */
export function run_combine(record: usize): void {
  const tokens = load<i32>(STEP_N_TOKENS);
  const used = int(record, op.COMBINE_USED);
  const picks = <usize>load<u32>(ptr(record, op.COMBINE_ROUTE), op.ROUTED_PICKS);
  for (let t = next(record); t < tokens; t = next(record)) {
    combine_f32(
      picks + ((<usize>(t * used)) << 3),
      used,
      ptr(record, op.COMBINE_SLOTS),
      ptr(record, op.COMBINE_SLOTS_STRIDE),
      ptr(record, op.COMBINE_X) + <usize>t * ptr(record, op.COMBINE_X_STRIDE),
      int(record, op.COMBINE_N),
    );
  }
}

/**
 * x[i] += sum_r share[r] * rows[slot[r]][i]       r in [0, used)
 * picks  [used]: i32 slot, f32 share
 * rows   f32 [slots][n], stride bytes apart
 * x      f32 [n], apart from rows
 * Units: n elements, any; pointers, stride bytes
 * Align: 4 B                    Reads past the end: none
 * Numerics: f32, ascending r, mul and add apart; x is added last
 */
export function combine_f32(picks: usize, used: i32, rows: usize, stride: usize, x: usize, n: i32): void {
  const stop = picks + ((<usize>used) << 3);
  for (let rest = n, at: usize = 0; rest > 0; rest -= 4, at += 16) {
    let sum = f32x4.splat(0);
    for (let p = picks; p < stop; p += 8) {
      const row = rows + <usize>load<i32>(p) * stride + at;
      sum = madd(sum, v128.load32_splat(p, 4), rest >= 4 ? v128.load(row) : load_tail(row, rest));
    }
    if (rest >= 4) v128.store(x + at, f32x4.add(v128.load(x + at), sum));
    else store_tail(x + at, rest, f32x4.add(load_tail(x + at, rest), sum));
  }
}
