// OP_COPY: copies values of each head of f32 rows to where a head has other parts or another length.
import * as op from "../../layout/ops";
import { int, next, ptr, rows } from "../../record";

/** Runs the record, row by row. */
export function run_copy(record: usize): void {
  const count = rows(record);
  const bytes = (<usize>int(record, op.COPY_N)) << 2;
  const zeros = (<usize>int(record, op.COPY_ZEROS)) << 2;
  for (let i = next(record); i < count; i = next(record)) {
    let x = ptr(record, op.COPY_X) + <usize>i * ptr(record, op.COPY_X_STRIDE);
    let out = ptr(record, op.COPY_OUT) + <usize>i * ptr(record, op.COPY_OUT_STRIDE);
    for (let h = int(record, op.COPY_HEADS); h > 0; h--) {
      memory.copy(out, x, bytes);
      memory.fill(out + bytes, 0, zeros);
      x += ptr(record, op.COPY_X_HEAD);
      out += ptr(record, op.COPY_OUT_HEAD);
    }
  }
}
