// OP_ADD: adds the same row to the rows of all tokens: a bias of what is added to them next.
import * as op from "../../layout/ops";
import { int, next, ptr, rows } from "../../record";
import { load_tail, store_tail } from "../../simd/reduce";

/** Runs the record, row by row. */
export function run_add(record: usize): void {
  const count = rows(record);
  for (let i = next(record); i < count; i = next(record)) {
    const x = ptr(record, op.ADD_X) + <usize>i * ptr(record, op.ADD_X_STRIDE);
    add_f32(x, ptr(record, op.ADD_ROW), int(record, op.ADD_N));
  }
}

// x[i] += row[i], n elements; reads and writes nothing past the end.
function add_f32(x: usize, row: usize, n: i32): void {
  for (let rest = n; rest > 0; rest -= 4, x += 16, row += 16) {
    if (rest >= 4) v128.store(x, f32x4.add(v128.load(x), v128.load(row)));
    else store_tail(x, rest, f32x4.add(load_tail(x, rest), load_tail(row, rest)));
  }
}
