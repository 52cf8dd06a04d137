// OP_ADD: adds to the rows of all tokens a row each, the same row (a bias), or that of the token's position.
import { STEP_POSITIONS } from "../../layout/control";
import * as op from "../../layout/ops";
import { element, float, int, next, ptr, rows } from "../../record";
import { madd } from "../../simd/math";
import { load_tail, store_tail } from "../../simd/reduce";

/** Runs the record, row by row. */
export function run_add(record: usize): void {
  const count = rows(record);
  const byPosition = int(record, op.ADD_BY_POSITION);
  for (let i = next(record); i < count; i = next(record)) {
    const x = ptr(record, op.ADD_X) + <usize>i * ptr(record, op.ADD_X_STRIDE);
    const index = <usize>(byPosition ? element(STEP_POSITIONS, i) : i);
    const row = ptr(record, op.ADD_ROW) + index * ptr(record, op.ADD_ROW_STRIDE);
    add_f32(x, row, int(record, op.ADD_N), float(record, op.ADD_SCALE));
  }
}

/**
 * x[i] += scale * row[i]
 * x, row  f32 [n]
 * Units: n elements, any; pointers bytes
 * Align: 4 B                    Reads past the end: none
 * Numerics: f32, mul and add apart
 */
export function add_f32(x: usize, row: usize, n: i32, scale: f32): void {
  const s = f32x4.splat(scale);
  for (let rest = n; rest > 0; rest -= 4, x += 16, row += 16) {
    if (rest >= 4) v128.store(x, madd(v128.load(x), v128.load(row), s));
    else store_tail(x, rest, madd(load_tail(x, rest), load_tail(row, rest), s));
  }
}
