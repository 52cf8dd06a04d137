// OP_NORM_ROWS: norms of f32 rows, or of each head of a row, in place: of queries and keys, and of what a block adds.
import * as op from "../../layout/ops";
import { float, int, next, ptr, rows } from "../../record";
import { add_f32 } from "./add";
import { layernorm_f32, rmsnorm_f32 } from "./norm";

/** Runs the record. A unit of work is a head of a row. */
export function run_norm_rows(record: usize): void {
  const heads = int(record, op.NORM_ROWS_HEADS);
  const n = int(record, op.NORM_ROWS_N);
  const eps = float(record, op.NORM_ROWS_EPS);
  const bias = ptr(record, op.NORM_ROWS_BIAS);
  const sum = ptr(record, op.NORM_ROWS_SUM);
  const count = rows(record) * heads;
  for (let i = next(record); i < count; i = next(record)) {
    const row = <usize>(i / heads);
    const head = <usize>(i % heads);
    const at = head * ((<usize>n) << 2);
    const x = ptr(record, op.NORM_ROWS_X) + row * ptr(record, op.NORM_ROWS_X_STRIDE) + at;
    const apart = head * ptr(record, op.NORM_ROWS_WEIGHT_STRIDE);
    const weight = ptr(record, op.NORM_ROWS_WEIGHT) + apart;
    if (int(record, op.NORM_ROWS_KIND) === op.NORM_RMS) rmsnorm_f32(x, weight, x, n, eps);
    else layernorm_f32(x, weight, bias ? bias + apart : 0, x, n, eps);
    if (!sum) continue;
    const to = sum + row * ptr(record, op.NORM_ROWS_SUM_STRIDE) + at;
    add_f32(to, x, n, float(record, op.NORM_ROWS_SCALE));
  }
}
