// OP_ATTENTION: a unit of work is a query tile and one kv head.
import { attention } from "../../attention/attention";
import { QUERY_TILE_BYTES, STEP_N_TILES, STEP_TILES } from "../../layout/control";
import * as op from "../../layout/ops";
import { int, next } from "../../record";

/** Runs the record. */
export function run_attention(record: usize, scratch: usize): void {
  const nKvHeads = int(record, op.ATT_N_KV_HEADS);
  const n = load<i32>(STEP_N_TILES) * nKvHeads;
  for (let i = next(record); i < n; i = next(record)) {
    const tile = <usize>load<u32>(STEP_TILES) + <usize>(i / nKvHeads) * QUERY_TILE_BYTES;
    attention(record, tile, i % nKvHeads, scratch);
  }
}
