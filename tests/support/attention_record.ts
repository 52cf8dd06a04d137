// Records and query tiles for attention(), as a plan and a step have them: for tests and benchmarks.
import {
  QUERY_FIRST_POSITION,
  QUERY_FIRST_TOKEN,
  QUERY_N_TOKENS,
  QUERY_PAGE_TABLE,
  QUERY_TILE_BYTES,
} from "../../assembly/layout/control.ts";
import * as op from "../../assembly/layout/ops.ts";

/** Operands of attention that all its calls share; addresses and strides are bytes. */
export interface AttentionOperands {
  readonly q: number;
  readonly qStride: number;
  readonly out: number;
  readonly outStride: number;
  /** i32 [nHeads]: q heads in order of their kv head, and where those of each kv head begin, i32 [nKvHeads + 1]. */
  readonly heads: number;
  readonly groups: number;
  /** KV_*. */
  readonly type: number;
  /** Offset of the first kv head in a page, and bytes of a kv head. */
  readonly layer: number;
  readonly headBytes: number;
  readonly headDim: number;
  readonly scale: number;
  /** Positions that a query sees; default all. */
  readonly window?: number;
  /** f32 [nHeads]; default none. */
  readonly sinks?: number;
}

/** The words of a record of attention. */
export function attentionRecord(operands: AttentionOperands): Int32Array {
  const words = new Int32Array(op.RECORD_WORDS);
  words[op.REC_OP] = op.OP_ATTENTION;
  words[op.ATT_Q] = operands.q;
  words[op.ATT_Q_STRIDE] = operands.qStride;
  words[op.ATT_OUT] = operands.out;
  words[op.ATT_OUT_STRIDE] = operands.outStride;
  words[op.ATT_HEADS] = operands.heads;
  words[op.ATT_GROUPS] = operands.groups;
  words[op.ATT_KV_TYPE] = operands.type;
  words[op.ATT_LAYER] = operands.layer;
  words[op.ATT_HEAD_BYTES] = operands.headBytes;
  words[op.ATT_HEAD_DIM] = operands.headDim;
  words[op.ATT_WINDOW] = operands.window ?? 0;
  words[op.ATT_SINKS] = operands.sinks ?? 0;
  new Float32Array(words.buffer)[op.ATT_SCALE] = operands.scale;
  return words;
}

/** The words of a query tile: consecutive tokens of one sequence. */
export function queryTile(tile: {
  readonly firstToken: number;
  readonly tokens: number;
  readonly position: number;
  readonly pageTable: number;
}): Int32Array {
  const words = new Int32Array(QUERY_TILE_BYTES / 4);
  words[QUERY_FIRST_TOKEN / 4] = tile.firstToken;
  words[QUERY_N_TOKENS / 4] = tile.tokens;
  words[QUERY_FIRST_POSITION / 4] = tile.position;
  words[QUERY_PAGE_TABLE / 4] = tile.pageTable;
  return words;
}
