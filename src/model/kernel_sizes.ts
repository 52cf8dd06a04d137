// Bytes that kernels ask for, by the same arithmetic as theirs (a test compares the two). An instance is not asked: the
// memory that it would need takes 4 to 10 GiB of addresses in most runtimes, however small it is.
import { KV_DIM_ALIGN, KV_F16, KV_F32, KV_PAGE } from "../../assembly/layout/blocks.ts";
import { QUERY_TILE } from "../../assembly/layout/control.ts";

// Scores of one attention block of four queries, and what a query keeps beside its values; see assembly/attention/.
const SCORES_BYTES = 4 * 160;
const QUERY_STATE_BYTES = 16;

const paddedDims = (headDim: number) => Math.ceil(headDim / KV_DIM_ALIGN) * KV_DIM_ALIGN;

/** Bytes of one kv head in a page of a KV type: kv_head_bytes() of assembly/attention/kv_types.ts. */
export function kvHeadBytes(type: number, headDim: number): number {
  const elements = 2 * paddedDims(headDim) * KV_PAGE;
  if (type === KV_F32) return 4 * elements;
  if (type === KV_F16) return 2 * elements;
  return elements + 2 * KV_PAGE * 4;
}

/** Bytes of scratch for `nHeads` query heads of one kv head: attention_scratch_bytes() of assembly/attention/attention.ts. */
export function attentionScratchBytes(headDim: number, nHeads: number): number {
  const dims = paddedDims(headDim);
  const blockBytes = 4 * dims * KV_PAGE;
  const rowBytes = QUERY_STATE_BYTES + 8 * dims;
  return SCORES_BYTES + 2 * blockBytes + QUERY_TILE * nHeads * rowBytes;
}
