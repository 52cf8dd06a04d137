// OP_EMBED: rows of the embedding table, out of the weight tiles that matmul reads.
import { embed_row } from "../../formats/formats";
import { BLOCK_COLS } from "../../layout/blocks";
import { STEP_IDS, STEP_N_TOKENS } from "../../layout/control";
import * as op from "../../layout/ops";
import { element, float, int, next, ptr } from "../../record";

/** Runs the record, token by token. */
export function run_embed(record: usize): void {
  const n = load<i32>(STEP_N_TOKENS);
  const blocks = int(record, op.EMBED_COLS) / BLOCK_COLS;
  for (let t = next(record); t < n; t = next(record)) {
    embed_row(
      ptr(record, op.EMBED_TABLE),
      int(record, op.EMBED_WEIGHT),
      element(STEP_IDS, t),
      int(record, op.EMBED_STRIPS),
      blocks,
      float(record, op.EMBED_FACTOR),
      float(record, op.EMBED_SCALE),
      ptr(record, op.EMBED_OUT) + <usize>t * ptr(record, op.EMBED_OUT_STRIDE),
    );
  }
}
