// OP_QUANTIZE: rows of f32 become activations in the format of the next matmul.
import { store_row } from "../../formats/activations";
import * as op from "../../layout/ops";
import { int, next, ptr, rows } from "../../record";

/** Runs the record. Rows of x must be padded with zeros to whole blocks. */
export function run_quantize(record: usize): void {
  const count = rows(record);
  const n = int(record, op.QUANTIZE_N);
  const out = ptr(record, op.QUANTIZE_OUT);
  const stride = ptr(record, op.QUANTIZE_OUT_STRIDE);
  for (let i = next(record); i < count; i = next(record)) {
    const x = ptr(record, op.QUANTIZE_X) + <usize>i * ptr(record, op.QUANTIZE_X_STRIDE);
    store_row(int(record, op.QUANTIZE_FORMAT), x, out, stride, 0, n, i, count);
  }
}
