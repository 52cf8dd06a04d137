// OP_QUANTIZE: rows of f32 become activations in the format of the next matmul, or of the next experts.
import { store_row } from "../../formats/activations";
import * as op from "../../layout/ops";
import { int, next, ptr, rows } from "../../record";
import { slot_count, slot_expert, slot_token } from "./route";

/** Runs the record. Rows of x must be padded with zeros to whole blocks. */
export function run_quantize(record: usize): void {
  const table = ptr(record, op.QUANTIZE_ROUTE);
  const count = table ? slot_count(table) : rows(record);
  const n = int(record, op.QUANTIZE_N);
  const out = ptr(record, op.QUANTIZE_OUT);
  const stride = ptr(record, op.QUANTIZE_OUT_STRIDE);
  const format = int(record, op.QUANTIZE_FORMAT);
  for (let i = next(record); i < count; i = next(record)) {
    const t = table ? slot_token(table, i) : i;
    if (t < 0) continue;
    const x = ptr(record, op.QUANTIZE_X) + <usize>t * ptr(record, op.QUANTIZE_X_STRIDE);
    if (!table) {
      store_row(format, x, out, stride, 0, n, i, count);
      continue;
    }
    const expert = slot_expert(table, i);
    const first = load<i32>(expert, op.ROUTED_FIRST);
    const base = out + <usize>first * stride;
    store_row(format, x, base, stride, 0, n, i - first, load<i32>(expert, op.ROUTED_COUNT));
  }
}
