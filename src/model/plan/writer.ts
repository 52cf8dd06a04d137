// Writes the records of a plan: one method for each operation of assembly/layout/ops.ts, with every operand named.
import { BLOCK_COLS, KV_PAGE, SCALE_SHIFT } from "../../../assembly/layout/blocks.ts";
import * as op from "../../../assembly/layout/ops.ts";
import { kvTypeCodes } from "../../quant/kv_types.ts";
import type { FileType } from "../../quant/registry.ts";
import type {
  DeltaNetSpec,
  ExpertsSpec,
  FeedForwardSpec,
  GatedAct,
  HeadsSpec,
  NormSpec,
  PlainAct,
} from "../arch/spec.ts";
import type { LayerCache } from "../kv_layout.ts";
import type { RopeSpec, RopeTable } from "../rope.ts";
import type { ExpertWeights, Matrix, Vector } from "../weights/weights.ts";
import { biasRows } from "./activations.ts";
import type { ExpertBuffers, HeadTables, NormWeights, Rows } from "./buffers.ts";

/** Which rows of a step a record works on: every token's, or those whose logits are asked for. */
export type RowSet = "tokens" | "outputs";

/** out[t] = row ids[t] of a table, times `scale`. */
export interface EmbedOp {
  readonly table: Matrix;
  readonly scale: number;
  readonly out: Rows;
}

/** out[t] = norm(x[t]) in an activation format. */
export interface NormOp {
  readonly rows: RowSet;
  readonly spec: NormSpec;
  readonly weight: NormWeights;
  readonly x: Rows;
  readonly out: Rows;
  /** ACT_* of out. */
  readonly format: number;
}

/** x[t] = norm of x[t], or of each of its heads; then sum[t] += scale * x[t]. */
export interface NormRowsOp {
  readonly spec: Pick<NormSpec, "kind" | "eps">;
  readonly weight: NormWeights;
  readonly x: Rows;
  /** Values that are normalized together, and how many such heads a row has. */
  readonly n: number;
  readonly heads: number;
  /** Whether each head has weights of its own. */
  readonly own?: boolean;
  readonly sum?: Rows;
  /** Default 1. */
  readonly scale?: number;
}

/** Copies `n` values of each head of x, and writes `zeros` zeros behind them. */
export interface CopyOp {
  readonly x: Rows;
  readonly out: Rows;
  readonly heads: number;
  /** Values from one head to the next. */
  readonly xHead: number;
  readonly outHead: number;
  readonly n: number;
  readonly zeros?: number;
}

/** x[t][i] = f(x[t][i]); see assembly/plan/ops/map.ts. */
export interface MapOp {
  readonly rows: RowSet;
  readonly x: Rows;
  /** Values of a row. */
  readonly n: number;
  readonly kind: "scale" | "clamp" | "cap" | "temperature";
  readonly a: number;
  readonly b?: number;
}

/** out[t] = x[t] in an activation format; with `route` row of slot s is x of its token. */
export interface QuantizeOp {
  readonly x: Rows;
  readonly out: Rows;
  /** Values of a row. */
  readonly n: number;
  /** ACT_* of out. */
  readonly format: number;
  /** Address of the routing table. */
  readonly route?: number;
}

/** out[t] = W x[t] + add[t]. */
export interface MatmulOp {
  readonly rows: RowSet;
  readonly w: Matrix;
  readonly x: Rows;
  readonly out: Rows;
  /** A stride of 0 adds the same row for every token. */
  readonly add: Rows | undefined;
}

/** Cosines and sines of the step's positions. */
export interface AnglesOp {
  readonly table: RopeTable;
}

/** Rotates q in place, rotates k, and stores k and v into the cache. */
export interface RopeStoreOp {
  readonly q: Rows;
  readonly k: Rows;
  readonly v: Rows;
  readonly heads: HeadsSpec;
  /** Undefined: nothing is rotated. */
  readonly rotation: { readonly rope: RopeSpec; readonly angles: number } | undefined;
  /** Undefined: nothing is stored, and k is rotated in place. */
  readonly cache: LayerCache | undefined;
}

/** out[t] = attention of q[t] over the cache. */
export interface AttentionOp {
  readonly q: Rows;
  readonly out: Rows;
  readonly heads: HeadsSpec;
  readonly tables: HeadTables;
  /** What scores are multiplied by. */
  readonly scale: number;
  readonly cap?: number | undefined;
  readonly window?: number | undefined;
  readonly sinks?: Vector | undefined;
  readonly cache: LayerCache;
}

/** Chooses the experts of each token by the router's products, and gives the choices slots. */
export interface RouteOp {
  readonly spec: ExpertsSpec;
  readonly weights: Pick<ExpertWeights, "router" | "choiceBias" | "sharedGate">;
  /** f32 rows of tokens. */
  readonly x: Rows;
  /** What all shares are multiplied by in the end. */
  readonly scale: number;
  readonly buffers: ExpertBuffers;
}

/** out[s] = W x[s] + bias for each slot s, with the matrix and the bias of its expert. */
export interface ExpertsOp {
  /** Address of the routing table. */
  readonly route: number;
  /** Experts of a token. */
  readonly used: number;
  /** Of each expert, all of one format and shape. */
  readonly weights: readonly Matrix[];
  readonly x: Rows;
  readonly out: Rows;
  /** x in steps of one token. */
  readonly alone: Rows;
}

/** out[t] = add[t] + the sum over slots of t, and of the shared expert, of share * (W x[s] + bias). */
export interface CombineOp {
  readonly route: number;
  /** Experts of a token. */
  readonly used: number;
  readonly weights: readonly Matrix[];
  readonly x: Rows;
  /** Rows to work in. */
  readonly slots: Rows;
  /** The matrix of the shared expert, its input, and the slot of token 0. */
  readonly shared: { readonly w: Matrix; readonly x: Rows; readonly slot: number } | undefined;
  readonly add: Rows | undefined;
  readonly out: Rows;
  /** Values of a row. */
  readonly n: number;
}

/** x[t] += scale * row[t]. */
export interface AddOp {
  readonly x: Rows;
  /** A stride of 0 adds the same row for every token. */
  readonly row: Rows;
  /** Values of a row. */
  readonly n: number;
  /** Default 1. */
  readonly scale?: number;
  /** Whether a token's row is that of its position. */
  readonly byPosition?: boolean;
}

/** A causal convolution of each channel: out[t] = gate[t] * conv(x * times)[t], or SiLU(conv(x)[t]). x becomes x * times. */
export interface ConvOp {
  readonly x: Rows;
  /** Values from x to both in the same row; undefined: there are none. */
  readonly beside?: { readonly times: number; readonly gate: number };
  readonly out: Rows;
  /** f32 [channels][taps]. */
  readonly kernel: Vector;
  readonly taps: number;
  readonly cache: LayerCache;
}

/** out[t] = what the state of each head makes of its query, after it has learnt the value of its key. */
export interface DeltaOp {
  readonly spec: DeltaNetSpec;
  /** Queries, keys and values, the first two with a mean square of 1. */
  readonly x: Rows;
  readonly out: Rows;
  /** Rows as far apart. */
  readonly alpha: Rows;
  readonly beta: Rows;
  readonly rates: Vector;
  readonly cache: LayerCache;
}

/** out[t] = act(gate[t]) * up[t], or act(gate[t]), in an activation format. */
export interface GluOp {
  /** "gate only": the act is sigmoid. */
  readonly spec: FeedForwardSpec | "gate only";
  readonly gate: Rows;
  /** As far apart as the gate's rows; undefined if the block has no gate of its own. */
  readonly up: Rows | undefined;
  readonly out: Rows;
  /** Values of a row. */
  readonly n: number;
  /** ACT_* of out. */
  readonly format: number;
  /** Address of the routing table: rows are slots. */
  readonly route?: number;
}

/** Packs rows of a file into the tiles of a matrix, at load. */
export interface PackOp {
  readonly w: Matrix;
  readonly type: FileType;
  /** Address of the rows as they are in the file. */
  readonly src: number;
  readonly rows: number;
  /** The strip of the matrix that begins with the first row. */
  readonly firstStrip: number;
  /** Scales that are stored apart: their address, the values that share one, and where in such a group `src` begins. */
  readonly groups: { readonly scales: number; readonly size: number; readonly phase: number } | undefined;
  /** Address of the grid that the type needs; default 0, none. */
  readonly grid?: number;
  /** Strips that a thread takes at once. */
  readonly chunk: number;
  /** Scales are stored times 2^shift. */
  readonly shift: number;
}

/**
 * Records of a model that was compiled: `records` of RECORD_WORDS words each, and behind them matrices that records of experts
 * speak of.
 */
export interface Plan {
  readonly words: Int32Array;
  readonly records: number;
  /** Bytes of weights that each record reads. */
  readonly weightBytes: readonly number[];
  /** The index after the last record of each layer. */
  readonly layerEnds: readonly number[];
}

/** Appends records. Those without a barrier between them must be independent. */
export class PlanWriter {
  readonly #records: Int32Array[] = [];
  readonly #weightBytes: number[] = [];
  readonly #layerEnds: number[] = [];
  // Matrices of experts, and the words of records that say how far they are.
  readonly #experts: Int32Array[] = [];
  readonly #distances: { record: Int32Array; field: number; index: number; target: number }[] = [];

  /** All threads wait for each other after the last record. */
  barrier(): void {
    const last = this.#records.at(-1) as Int32Array;
    last[op.REC_FLAGS] = (last[op.REC_FLAGS] as number) | op.REC_BARRIER;
  }

  /** Steps of one token leave the last record out, or those of several do. A segment is left out if it has one record. */
  leaveOut(steps: "one token" | "several"): void {
    const last = this.#records.at(-1) as Int32Array;
    last[op.REC_FLAGS] = steps === "several" ? op.REC_ALONE : op.REC_SEVERAL;
  }

  /** The last record ends a layer. */
  endLayer(): void {
    this.#layerEnds.push(this.#records.length);
  }

  embed({ table, scale, out }: EmbedOp): void {
    const r = this.#record(op.OP_EMBED);
    r[op.EMBED_TABLE] = table.address;
    r[op.EMBED_WEIGHT] = table.format.code;
    r[op.EMBED_COLS] = table.blocks * BLOCK_COLS;
    r[op.EMBED_OUT] = out.address;
    r[op.EMBED_OUT_STRIDE] = out.stride;
    r[op.EMBED_SCALE] = f32Bits(scale);
    r[op.EMBED_STRIPS] = table.strips;
    r[op.EMBED_FACTOR] = f32Bits(scaleFactor(SCALE_SHIFT));
  }

  norm({ rows, spec, weight, x, out, format }: NormOp): void {
    const r = this.#record(op.OP_NORM, rows);
    r[op.NORM_X] = x.address;
    r[op.NORM_X_STRIDE] = x.stride;
    r[op.NORM_OUT] = out.address;
    r[op.NORM_OUT_STRIDE] = out.stride;
    r[op.NORM_N] = weight.length;
    r[op.NORM_FORMAT] = format;
    r[op.NORM_WEIGHT] = weight.address;
    r[op.NORM_BIAS] = weight.bias?.address ?? 0;
    r[op.NORM_EPS] = f32Bits(spec.eps);
    r[op.NORM_KIND] = normKinds[spec.kind];
  }

  quantize({ x, out, n, format, route }: QuantizeOp): void {
    const r = this.#record(op.OP_QUANTIZE);
    r[op.QUANTIZE_X] = x.address;
    r[op.QUANTIZE_X_STRIDE] = x.stride;
    r[op.QUANTIZE_OUT] = out.address;
    r[op.QUANTIZE_OUT_STRIDE] = out.stride;
    r[op.QUANTIZE_N] = n;
    r[op.QUANTIZE_FORMAT] = format;
    r[op.QUANTIZE_ROUTE] = route ?? 0;
  }

  matmul({ rows, ...operands }: MatmulOp): void {
    writeMatmul(this.#record(op.OP_MATMUL, rows, matrixBytes(operands.w)), operands);
  }

  angles({ table }: AnglesOp): void {
    const r = this.#record(op.OP_ANGLES);
    r[op.ANGLES_FREQS] = table.freqs;
    r[op.ANGLES_OUT] = table.angles;
    r[op.ANGLES_HALF] = table.rope.dim / 2;
  }

  ropeStore({ q, k, v, heads, rotation, cache }: RopeStoreOp): void {
    const r = this.#record(op.OP_ROPE_STORE);
    r[op.ROPE_Q] = q.address;
    r[op.ROPE_Q_STRIDE] = q.stride;
    r[op.ROPE_K] = k.address;
    r[op.ROPE_K_STRIDE] = k.stride;
    r[op.ROPE_V] = v.address;
    r[op.ROPE_V_STRIDE] = v.stride;
    r[op.ROPE_ANGLES] = rotation?.angles ?? 0;
    r[op.ROPE_DIM] = rotation?.rope.dim ?? 0;
    r[op.ROPE_HEAD_DIM] = heads.headDim;
    r[op.ROPE_N_HEADS] = heads.nHeads;
    r[op.ROPE_N_KV_HEADS] = heads.nKvHeads;
    r[op.ROPE_PAIRING] = rotation ? pairings[rotation.rope.pairing] : op.PAIRING_ADJACENT;
    r[op.ROPE_ONLY] = Number(!cache);
    if (!cache) return;
    r[op.ROPE_KV_TYPE] = kvTypeCodes[cache.type];
    r[op.ROPE_LAYER] = cache.offset;
    r[op.ROPE_HEAD_BYTES] = cache.headBytes;
    r[op.ROPE_TABLE] = cache.table;
  }

  attention({ q, out, heads, tables, scale, cap, window, sinks, cache }: AttentionOp): void {
    const r = this.#record(op.OP_ATTENTION);
    r[op.ATT_Q] = q.address;
    r[op.ATT_Q_STRIDE] = q.stride;
    r[op.ATT_OUT] = out.address;
    r[op.ATT_OUT_STRIDE] = out.stride;
    r[op.ATT_GROUPS] = tables.groups;
    r[op.ATT_HEADS] = tables.heads;
    r[op.ATT_N_KV_HEADS] = heads.nKvHeads;
    r[op.ATT_HEAD_DIM] = heads.headDim;
    r[op.ATT_KV_TYPE] = kvTypeCodes[cache.type];
    r[op.ATT_LAYER] = cache.offset;
    r[op.ATT_HEAD_BYTES] = cache.headBytes;
    r[op.ATT_SCALE] = f32Bits(scale);
    r[op.ATT_WINDOW] = window ?? 0;
    r[op.ATT_SINKS] = sinks?.address ?? 0;
    r[op.ATT_CAP] = f32Bits(cap ?? 0);
    r[op.ATT_TABLE] = cache.table;
  }

  route({ spec, weights, x, scale, buffers }: RouteOp): void {
    const { router, choiceBias, sharedGate } = weights;
    const r = this.#record(op.OP_ROUTE, "tokens", matrixBytes(router));
    this.#matrices(r, op.ROUTE_ROUTER, [{ w: router, x, out: buffers.router, add: biasRows(router) }]);
    r[op.ROUTE_N] = spec.n;
    r[op.ROUTE_USED] = spec.used;
    r[op.ROUTE_GATE] = gates[spec.gate];
    r[op.ROUTE_NORMALIZE] = Number(spec.normalize);
    r[op.ROUTE_SCALE] = f32Bits((spec.scale ?? 1) * scale);
    r[op.ROUTE_BIAS] = choiceBias?.address ?? 0;
    r[op.ROUTE_GROUPS] = spec.groups?.n ?? 1;
    r[op.ROUTE_GROUPS_USED] = spec.groups?.used ?? 1;
    r[op.ROUTE_TABLE] = buffers.route;
    r[op.ROUTE_SLOTS] = buffers.slots;
    r[op.ROUTE_PICKS] = buffers.picks;
    r[op.ROUTE_PICKED] = spec.used + (spec.shared ? 1 : 0);
    r[op.ROUTE_SHARED] = buffers.sharedSlot;
    r[op.ROUTE_SHARED_GATE] = sharedGate?.address ?? 0;
    r[op.ROUTE_SHARED_SCALE] = f32Bits(scale);
  }

  experts({ route, used, weights, x, out, alone }: ExpertsOp): void {
    const r = this.#record(op.OP_EXPERTS, "tokens", used * matrixBytes(weights[0] as Matrix));
    this.#matrices(
      r,
      op.EXPERTS_RECORDS,
      weights.map((w) => ({ w, x, out, add: biasRows(w) })),
    );
    r[op.EXPERTS_ROUTE] = route;
    r[op.EXPERTS_ALONE] = alone.address;
  }

  combine({ route, used, weights, x, slots, shared, add, out, n }: CombineOp): void {
    const bytes = used * matrixBytes(weights[0] as Matrix) + (shared ? matrixBytes(shared.w) : 0);
    const r = this.#record(op.OP_COMBINE, "tokens", bytes);
    this.#matrices(
      r,
      op.COMBINE_RECORDS,
      weights.map((w) => ({ w, x, out: slots, add: biasRows(w) })),
    );
    if (shared) {
      const { w, slot } = shared;
      const rows = { address: slots.address + slot * slots.stride, stride: slots.stride };
      this.#matrices(r, op.COMBINE_SHARED, [{ w, x: shared.x, out: rows, add: biasRows(w) }]);
    }
    r[op.COMBINE_ROUTE] = route;
    r[op.COMBINE_ADD] = add?.address ?? 0;
    r[op.COMBINE_ADD_STRIDE] = add?.stride ?? 0;
    r[op.COMBINE_OUT] = out.address;
    r[op.COMBINE_OUT_STRIDE] = out.stride;
    r[op.COMBINE_N] = n;
    r[op.COMBINE_PICKED] = used + (shared ? 1 : 0);
  }

  add({ x, row, n, scale = 1, byPosition = false }: AddOp): void {
    const r = this.#record(op.OP_ADD);
    r[op.ADD_X] = x.address;
    r[op.ADD_X_STRIDE] = x.stride;
    r[op.ADD_ROW] = row.address;
    r[op.ADD_ROW_STRIDE] = row.stride;
    r[op.ADD_N] = n;
    r[op.ADD_SCALE] = f32Bits(scale);
    r[op.ADD_BY_POSITION] = Number(byPosition);
  }

  normRows({ spec, weight, x, n, heads, own, sum, scale = 1 }: NormRowsOp): void {
    const r = this.#record(op.OP_NORM_ROWS);
    r[op.NORM_ROWS_X] = x.address;
    r[op.NORM_ROWS_X_STRIDE] = x.stride;
    r[op.NORM_ROWS_N] = n;
    r[op.NORM_ROWS_HEADS] = heads;
    r[op.NORM_ROWS_WEIGHT] = weight.address;
    r[op.NORM_ROWS_WEIGHT_STRIDE] = own ? 4 * n : 0;
    r[op.NORM_ROWS_BIAS] = weight.bias?.address ?? 0;
    r[op.NORM_ROWS_EPS] = f32Bits(spec.eps);
    r[op.NORM_ROWS_KIND] = normKinds[spec.kind];
    r[op.NORM_ROWS_SUM] = sum?.address ?? 0;
    r[op.NORM_ROWS_SUM_STRIDE] = sum?.stride ?? 0;
    r[op.NORM_ROWS_SCALE] = f32Bits(scale);
  }

  copy({ x, out, heads, xHead, outHead, n, zeros = 0 }: CopyOp): void {
    const r = this.#record(op.OP_COPY);
    r[op.COPY_X] = x.address;
    r[op.COPY_X_STRIDE] = x.stride;
    r[op.COPY_X_HEAD] = 4 * xHead;
    r[op.COPY_OUT] = out.address;
    r[op.COPY_OUT_STRIDE] = out.stride;
    r[op.COPY_OUT_HEAD] = 4 * outHead;
    r[op.COPY_N] = n;
    r[op.COPY_ZEROS] = zeros;
    r[op.COPY_HEADS] = heads;
  }

  map({ rows, x, n, kind, a, b = 1 }: MapOp): void {
    const r = this.#record(op.OP_MAP, rows);
    r[op.MAP_X] = x.address;
    r[op.MAP_X_STRIDE] = x.stride;
    r[op.MAP_N] = n;
    r[op.MAP_KIND] = mapKinds[kind];
    r[op.MAP_A] = f32Bits(a);
    r[op.MAP_B] = f32Bits(b);
  }

  conv({ x, beside, out, kernel, taps, cache }: ConvOp): void {
    const r = this.#record(op.OP_CONV);
    const channels = kernel.length / taps;
    r[op.CONV_X] = x.address;
    r[op.CONV_X_STRIDE] = x.stride;
    r[op.CONV_TIMES] = 4 * (beside?.times ?? 0);
    r[op.CONV_GATE] = 4 * (beside?.gate ?? 0);
    r[op.CONV_OUT] = out.address;
    r[op.CONV_OUT_STRIDE] = out.stride;
    r[op.CONV_KERNEL] = kernel.address;
    r[op.CONV_CHANNELS] = channels;
    r[op.CONV_TAPS] = taps;
    r[op.CONV_KEPT] = cache.state === undefined ? KV_PAGE : taps - 1;
    // The rows of a state stand behind its matrices.
    r[op.CONV_LAYER] =
      cache.offset + (cache.state === undefined ? 0 : cache.bytes - 4 * channels * (taps - 1));
    r[op.CONV_TABLE] = cache.table;
  }

  delta({ spec, x, out, alpha, beta, rates, cache }: DeltaOp): void {
    const r = this.#record(op.OP_DELTA);
    r[op.DELTA_X] = x.address;
    r[op.DELTA_X_STRIDE] = x.stride;
    r[op.DELTA_OUT] = out.address;
    r[op.DELTA_OUT_STRIDE] = out.stride;
    r[op.DELTA_ALPHA] = alpha.address;
    r[op.DELTA_BETA] = beta.address;
    r[op.DELTA_ALPHA_STRIDE] = alpha.stride;
    r[op.DELTA_RATES] = rates.address;
    r[op.DELTA_HEADS] = spec.heads;
    r[op.DELTA_GROUPS] = spec.keyHeads;
    r[op.DELTA_DIM] = spec.headDim;
    r[op.DELTA_LAYER] = cache.offset;
    r[op.DELTA_TABLE] = cache.table;
    r[op.DELTA_SCALE] = f32Bits(1 / Math.sqrt(spec.headDim));
  }

  glu({ spec, gate, up, out, n, format, route }: GluOp): void {
    const r = this.#record(op.OP_GLU);
    r[op.GLU_GATE] = gate.address;
    r[op.GLU_UP] = (up ?? gate).address;
    r[op.GLU_STRIDE] = gate.stride;
    r[op.GLU_OUT] = out.address;
    r[op.GLU_OUT_STRIDE] = out.stride;
    r[op.GLU_N] = n;
    r[op.GLU_FORMAT] = format;
    r[op.GLU_ROUTE] = route ?? 0;
    if (spec === "gate only") {
      r[op.GLU_KIND] = op.GLU_GATE_ONLY;
      return;
    }
    r[op.GLU_KIND] = spec.gated ? gatedKinds[spec.act] : plainKinds[spec.act];
    if (!spec.gated || !spec.clamp) return;
    r[op.GLU_KIND] = op.GLU_CLAMPED;
    r[op.GLU_LIMIT] = f32Bits(spec.clamp.limit);
    r[op.GLU_ALPHA] = f32Bits(spec.clamp.alpha);
  }

  /** The whole plan. */
  done(): Plan {
    const { length } = this.#records;
    for (const { record, field, index, target } of this.#distances) {
      record[field] = (length + target - index) * op.RECORD_BYTES;
    }
    const words = new Int32Array((length + this.#experts.length) * op.RECORD_WORDS);
    [...this.#records, ...this.#experts].forEach((record, i) => {
      words.set(record, i * op.RECORD_WORDS);
    });
    return {
      words,
      records: length,
      weightBytes: this.#weightBytes,
      layerEnds: this.#layerEnds,
    };
  }

  // Writes matrices behind the plan. `field` of the last record says how far the first of them is.
  #matrices(record: Int32Array, field: number, matrices: readonly Omit<MatmulOp, "rows">[]): void {
    this.#distances.push({ record, field, index: this.#records.length - 1, target: this.#experts.length });
    for (const matrix of matrices) {
      const r = new Int32Array(op.RECORD_WORDS);
      r[op.REC_OP] = op.OP_MATMUL;
      writeMatmul(r, matrix);
      this.#experts.push(r);
    }
  }

  #record(code: number, rows: RowSet = "tokens", weightBytes = 0): Int32Array {
    const record = new Int32Array(op.RECORD_WORDS);
    record[op.REC_OP] = code;
    record[op.REC_ROWS] = rows === "outputs" ? op.ROWS_OUTPUTS : op.ROWS_TOKENS;
    this.#records.push(record);
    this.#weightBytes.push(weightBytes);
    return record;
  }
}

function matrixBytes({ strips, blocks, format }: Matrix): number {
  return strips * blocks * format.tileBytes;
}

function writeMatmul(r: Int32Array, { w, x, out, add }: Omit<MatmulOp, "rows">): void {
  r[op.MATMUL_W] = w.address;
  r[op.MATMUL_WEIGHT] = w.format.code;
  r[op.MATMUL_X] = x.address;
  r[op.MATMUL_X_STRIDE] = x.stride;
  r[op.MATMUL_OUT] = out.address;
  r[op.MATMUL_OUT_STRIDE] = out.stride;
  r[op.MATMUL_STRIPS] = w.strips;
  r[op.MATMUL_BLOCKS] = w.blocks;
  r[op.MATMUL_ADD] = add?.address ?? 0;
  r[op.MATMUL_ADD_STRIDE] = add?.stride ?? 0;
  r[op.MATMUL_CHUNK] = chunkGroups(w);
  r[op.MATMUL_FACTOR] = f32Bits(scaleFactor(SCALE_SHIFT));
}

/** The record that packs. It is a segment by itself. */
export function packRecord({
  w,
  type,
  src,
  rows,
  firstStrip,
  groups,
  grid = 0,
  chunk,
  shift,
}: PackOp): Int32Array {
  const r = new Int32Array(op.RECORD_WORDS);
  r[op.REC_OP] = op.OP_PACK;
  r[op.REC_FLAGS] = op.REC_BARRIER;
  r[op.PACK_FILE] = type.code;
  r[op.PACK_WEIGHT] = w.format.code;
  r[op.PACK_SRC] = src;
  r[op.PACK_ROW_BYTES] = (w.cols / type.blockCols) * type.blockBytes;
  r[op.PACK_TABLE] = groups?.scales ?? grid;
  r[op.PACK_GROUP] = groups?.size ?? 0;
  r[op.PACK_PHASE] = groups?.phase ?? 0;
  r[op.PACK_ROWS] = rows;
  r[op.PACK_COLS] = w.cols;
  r[op.PACK_OUT] = w.address;
  r[op.PACK_FIRST_STRIP] = firstStrip;
  r[op.PACK_STRIPS] = w.strips;
  r[op.PACK_CHUNK] = chunk;
  r[op.PACK_SHIFT] = shift;
  return r;
}

const normKinds: Readonly<Record<NormSpec["kind"], number>> = { rms: op.NORM_RMS, layer: op.NORM_LAYER };

const mapKinds: Readonly<Record<MapOp["kind"], number>> = {
  scale: op.MAP_SCALE,
  clamp: op.MAP_CLAMP,
  cap: op.MAP_CAP,
  temperature: op.MAP_TEMPERATURE,
};

const pairings: Readonly<Record<RopeSpec["pairing"], number>> = {
  adjacent: op.PAIRING_ADJACENT,
  halves: op.PAIRING_HALVES,
};

const gates: Readonly<Record<ExpertsSpec["gate"], number>> = {
  softmax: op.GATE_SOFTMAX,
  sigmoid: op.GATE_SIGMOID,
  "softmax of chosen": op.GATE_SOFTMAX_OF_CHOSEN,
};

const gatedKinds: Readonly<Record<GatedAct, number>> = {
  silu: op.GLU_SWIGLU,
  gelu: op.GLU_GEGLU,
  "gelu erf": op.GLU_GEGLU_ERF,
  relu: op.GLU_REGLU,
};

const plainKinds: Readonly<Record<PlainAct, number>> = {
  silu: op.GLU_SILU,
  gelu: op.GLU_GELU,
  "gelu erf": op.GLU_GELU_ERF,
  relu: op.GLU_RELU,
  relu2: op.GLU_SQUARED_RELU,
};

// Bytes of weights that a thread takes at once for several tokens: the second cache holds them while tokens pass.
const CHUNK_BYTES = 64 * 1024;

/** Groups of strips of a matrix that a thread takes at once at most, for several tokens. */
export function chunkGroups(matrix: Pick<Matrix, "blocks" | "format">): number {
  const { tileBytes, groupStrips } = matrix.format;
  return Math.max(1, Math.floor(CHUNK_BYTES / (matrix.blocks * tileBytes * groupStrips)));
}

/**
 * What scales in tiles are multiplied by: they are stored times 2^shift, and read as f16 bits shifted to where f32 has
 * its mantissa, which is 2^-112 of their value.
 */
export function scaleFactor(shift: number): number {
  return 2 ** (112 - shift);
}

const bits = new DataView(new ArrayBuffer(4));

function f32Bits(value: number): number {
  bits.setFloat32(0, value);
  return bits.getInt32(0);
}
