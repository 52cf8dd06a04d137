import { ACT_F32, ACT_TOKENS, BLOCK_COLS, PADDED_ROWS, SCALE_SHIFT } from "../../assembly/layout/blocks.ts";
import * as op from "../../assembly/layout/ops.ts";
import type { Arena } from "../kernels/arena.ts";
import { kvTypeCodes } from "../quant/kv_types.ts";
import { weightFormats } from "../quant/registry.ts";
import type { ArchSpec } from "./arch/spec.ts";
import type { KvType, ModelConfig } from "./config.ts";
import type { Matrix, ModelWeights, Vector } from "./weights.ts";

/** Addresses of what a plan works on besides weights, and the strides between its rows. */
export interface Buffers {
  /** Hidden states, f32 [batch][dim]. */
  readonly x: Rows;
  /** Activations in the format of the next matmul [batch]. */
  readonly act: Rows;
  readonly q: Rows;
  readonly k: Rows;
  readonly v: Rows;
  /** Attention's result, f32 [batch][nHeads * headDim]; the padding stays zero. */
  readonly attention: Rows;
  readonly gate: Rows;
  readonly up: Rows;
  /** f32 [outputs][vocabSize]. */
  readonly logits: Rows;
  /** f32 [headDim / 2]. */
  readonly freqs: number;
  /** f32 [batch][headDim / 2][2]. */
  readonly angles: number;
  /** i32 tables of gqa.ts. */
  readonly heads: number;
  readonly groups: number;
}

/** Rows of equal length, `stride` bytes apart. */
export interface Rows {
  readonly address: number;
  readonly stride: number;
}

/** Where keys and values lie inside a page. */
export interface KvShape {
  readonly type: KvType;
  /** Bytes of one kv head of one layer in a page. */
  readonly headBytes: number;
}

const bits = new DataView(new ArrayBuffer(4));

function f32Bits(value: number): number {
  bits.setFloat32(0, value);
  return bits.getInt32(0);
}

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

function padded(n: number, to: number): number {
  return Math.ceil(n / to) * to;
}

/** Gives every buffer its address, for steps of at most `batch` tokens and `outputs` rows of logits. */
export function placeBuffers(config: ModelConfig, arena: Arena, batch: number, outputs: number): Buffers {
  const { dim, hiddenDim, headDim, nHeads, nKvHeads, vocabSize } = config;
  // Kernels of several tokens compute ACT_TOKENS at a time.
  const rows = (n: number, count: number, pad: number): Rows => {
    const stride = 4 * padded(n, pad);
    return { address: arena.alloc(stride * (count > 1 ? padded(count, ACT_TOKENS) : 1)), stride };
  };
  const actBlocks = padded(Math.max(dim, hiddenDim, nHeads * headDim), BLOCK_COLS) / BLOCK_COLS;
  const actStride =
    actBlocks * Math.max(...Object.values(weightFormats).map((format) => format.activationBlockBytes));
  return {
    x: rows(dim, batch, BLOCK_COLS),
    act: { address: arena.alloc(actStride * padded(batch, ACT_TOKENS)), stride: actStride },
    q: rows(nHeads * headDim, batch, PADDED_ROWS),
    k: rows(nKvHeads * headDim, batch, PADDED_ROWS),
    v: rows(nKvHeads * headDim, batch, PADDED_ROWS),
    attention: rows(nHeads * headDim, batch, BLOCK_COLS),
    gate: rows(hiddenDim, batch, PADDED_ROWS),
    up: rows(hiddenDim, batch, PADDED_ROWS),
    logits: rows(vocabSize, outputs, PADDED_ROWS),
    freqs: arena.alloc(2 * headDim),
    angles: arena.alloc(4 * headDim * batch),
    heads: arena.alloc(4 * nHeads),
    groups: arena.alloc(4 * (nKvHeads + 1)),
  };
}

/** A compiled model: `records` records of RECORD_WORDS words each. */
export interface Plan {
  readonly words: Int32Array;
  readonly records: number;
  /** Bytes of weights that each record reads. */
  readonly weightBytes: readonly number[];
  /** What is behind the last record of each layer. */
  readonly layerEnds: readonly number[];
}

/** Compiles a model into the records that assembly/plan/ runs. */
export function buildPlan(
  spec: ArchSpec,
  config: ModelConfig,
  weights: ModelWeights,
  buffers: Buffers,
  kv: KvShape,
): Plan {
  const records: Record<number, number>[] = [];
  const weightBytes: number[] = [];
  const emit = (code: number, barrier: boolean, fields: Record<number, number>, bytes = 0) => {
    weightBytes.push(bytes);
    records.push({ [op.REC_OP]: code, [op.REC_FLAGS]: barrier ? op.REC_BARRIER : 0, ...fields });
  };

  const norm = (weight: Vector, format: number, rows: number) =>
    emit(op.OP_NORM, true, {
      [op.REC_ROWS]: rows,
      [op.NORM_X]: buffers.x.address,
      [op.NORM_X_STRIDE]: buffers.x.stride,
      [op.NORM_OUT]: buffers.act.address,
      [op.NORM_OUT_STRIDE]: buffers.act.stride,
      [op.NORM_N]: config.dim,
      [op.NORM_FORMAT]: format,
      [op.NORM_WEIGHT]: weight.address,
      [op.NORM_EPS]: f32Bits(config.normEps),
      [op.NORM_KIND]: spec.norm,
    });

  const matmul = (w: Matrix, x: Rows, out: Rows, barrier: boolean, residual = false, rows = op.ROWS_TOKENS) =>
    emit(
      op.OP_MATMUL,
      barrier,
      {
        [op.REC_ROWS]: rows,
        [op.MATMUL_W]: w.address,
        [op.MATMUL_WEIGHT]: w.format.code,
        [op.MATMUL_X]: x.address,
        [op.MATMUL_X_STRIDE]: x.stride,
        [op.MATMUL_OUT]: out.address,
        [op.MATMUL_OUT_STRIDE]: out.stride,
        [op.MATMUL_STRIPS]: w.strips,
        [op.MATMUL_BLOCKS]: w.blocks,
        [op.MATMUL_ADD]: residual ? out.address : 0,
        [op.MATMUL_ADD_STRIDE]: residual ? out.stride : 0,
        [op.MATMUL_CHUNK]: chunkGroups(w),
        [op.MATMUL_FACTOR]: f32Bits(scaleFactor(SCALE_SHIFT)),
      },
      w.strips * w.blocks * w.format.tileBytes,
    );

  const { x, act, q, k, v, attention, gate, up } = buffers;
  const layerBytes = config.nKvHeads * kv.headBytes;
  const kvType = kvTypeCodes[kv.type];

  emit(op.OP_EMBED, false, {
    [op.EMBED_TABLE]: weights.embedding.address,
    [op.EMBED_WEIGHT]: weights.embedding.format.code,
    [op.EMBED_COLS]: weights.embedding.blocks * BLOCK_COLS,
    [op.EMBED_OUT]: x.address,
    [op.EMBED_OUT_STRIDE]: x.stride,
    [op.EMBED_SCALE]: f32Bits(1),
    [op.EMBED_STRIPS]: weights.embedding.strips,
    [op.EMBED_FACTOR]: f32Bits(scaleFactor(SCALE_SHIFT)),
  });
  emit(op.OP_ANGLES, true, {
    [op.ANGLES_FREQS]: buffers.freqs,
    [op.ANGLES_OUT]: buffers.angles,
    [op.ANGLES_HALF]: config.headDim / 2,
  });
  const layerEnds: number[] = [];
  weights.layers.forEach((layer, index) => {
    const format = layer.q.format.activation;
    norm(layer.attnNorm, format, op.ROWS_TOKENS);
    matmul(layer.q, act, q, false);
    matmul(layer.k, act, k, false);
    matmul(layer.v, act, v, true);
    emit(op.OP_ROPE_STORE, true, {
      [op.ROPE_Q]: q.address,
      [op.ROPE_Q_STRIDE]: q.stride,
      [op.ROPE_K]: k.address,
      [op.ROPE_K_STRIDE]: k.stride,
      [op.ROPE_V]: v.address,
      [op.ROPE_V_STRIDE]: v.stride,
      [op.ROPE_ANGLES]: buffers.angles,
      [op.ROPE_DIM]: config.headDim,
      [op.ROPE_HEAD_DIM]: config.headDim,
      [op.ROPE_N_HEADS]: config.nHeads,
      [op.ROPE_N_KV_HEADS]: config.nKvHeads,
      [op.ROPE_PAIRING]: spec.ropePairing,
      [op.ROPE_KV_TYPE]: kvType,
      [op.ROPE_LAYER]: index * layerBytes,
      [op.ROPE_HEAD_BYTES]: kv.headBytes,
    });
    emit(op.OP_ATTENTION, true, {
      [op.ATT_Q]: q.address,
      [op.ATT_Q_STRIDE]: q.stride,
      [op.ATT_OUT]: attention.address,
      [op.ATT_OUT_STRIDE]: attention.stride,
      [op.ATT_GROUPS]: buffers.groups,
      [op.ATT_HEADS]: buffers.heads,
      [op.ATT_N_KV_HEADS]: config.nKvHeads,
      [op.ATT_HEAD_DIM]: config.headDim,
      [op.ATT_KV_TYPE]: kvType,
      [op.ATT_LAYER]: index * layerBytes,
      [op.ATT_HEAD_BYTES]: kv.headBytes,
      [op.ATT_SCALE]: f32Bits(1 / Math.sqrt(config.headDim)),
    });
    if (format !== ACT_F32) {
      emit(op.OP_QUANTIZE, true, {
        [op.NORM_X]: attention.address,
        [op.NORM_X_STRIDE]: attention.stride,
        [op.NORM_OUT]: act.address,
        [op.NORM_OUT_STRIDE]: act.stride,
        [op.NORM_N]: config.nHeads * config.headDim,
        [op.NORM_FORMAT]: format,
      });
    }
    matmul(layer.attnOutput, format === ACT_F32 ? attention : act, x, true, true);
    norm(layer.ffnNorm, format, op.ROWS_TOKENS);
    matmul(layer.gate, act, gate, false);
    matmul(layer.up, act, up, true);
    emit(op.OP_GLU, true, {
      [op.GLU_GATE]: gate.address,
      [op.GLU_UP]: up.address,
      [op.GLU_STRIDE]: gate.stride,
      [op.GLU_OUT]: act.address,
      [op.GLU_OUT_STRIDE]: act.stride,
      [op.GLU_N]: config.hiddenDim,
      [op.GLU_FORMAT]: format,
      [op.GLU_KIND]: spec.glu,
    });
    matmul(layer.down, act, x, true, true);
    layerEnds.push(records.length);
  });
  norm(weights.outputNorm, weights.output.format.activation, op.ROWS_OUTPUTS);
  matmul(weights.output, act, buffers.logits, true, false, op.ROWS_OUTPUTS);

  const words = new Int32Array(records.length * op.RECORD_WORDS);
  records.forEach((fields, i) => {
    for (const [word, value] of Object.entries(fields)) words[i * op.RECORD_WORDS + Number(word)] = value;
  });
  return { words, records: records.length, weightBytes, layerEnds };
}
