// Every operand of every operation is in its word of the record, and in no other.
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { ACT_Q8, KV_Q8 } from "../../../assembly/layout/blocks.ts";
import * as op from "../../../assembly/layout/ops.ts";
import type { TensorInfo } from "../../../src/format/model_file.ts";
import type { LayerCache } from "../../../src/model/kv_layout.ts";
import { type Plan, PlanWriter, packRecord } from "../../../src/model/plan/writer.ts";
import type { Matrix, Vector } from "../../../src/model/weights/weights.ts";
import { type FileType, fileTypes, weightFormats } from "../../../src/quant/registry.ts";
import { bytesSource } from "../../../src/source/bytes.ts";

const source = bytesSource(new Uint8Array(0), "m");
const info: TensorInfo = { name: "w", shape: [40, 70], type: "F32", source, offset: 0, byteLength: 0 };
const w: Matrix = {
  kind: "matrix",
  info,
  firstRow: 0,
  format: weightFormats.q4,
  address: 0xf000_0040,
  rows: 40,
  cols: 70,
  strips: 10,
  blocks: 3,
};
const bias: Vector = { kind: "vector", info, firstRow: 0, address: 1001, length: 70 };
const weight: Vector = { ...bias, address: 1002, bias };
const rows = (address: number) => ({ address, stride: address + 1 });
const [a, b, c, d] = [rows(2000), rows(3000), rows(4000), rows(5000)] as const;
const cache: LayerCache = {
  type: "q8",
  nKvHeads: 2,
  headDim: 24,
  pageClass: 1,
  headBytes: 6001,
  bytes: 12002,
  offset: 6002,
  table: 6003,
};
const heads = { headDim: 24, nHeads: 6, nKvHeads: 2 };
const rope = { pairing: "halves", dim: 22, theta: 10000, scale: 1 } as const;

const bitsOf = (value: number) => new Int32Array(Float32Array.of(value).buffer)[0] as number;

/** The words of a plan of one record that are not zero. */
function wordsOf(write: (writer: PlanWriter) => void): Record<number, number> {
  const writer = new PlanWriter();
  write(writer);
  const plan: Plan = writer.done();
  assert.equal(plan.records, 1);
  return nonZero(plan.words);
}

function nonZero(words: Int32Array): Record<number, number> {
  assert.equal(words.length, op.RECORD_WORDS);
  return Object.fromEntries([...words.entries()].filter(([, word]) => word !== 0));
}

describe("PlanWriter", () => {
  it("embed()", () => {
    assert.deepEqual(
      wordsOf((writer) => writer.embed({ table: w, scale: 8, out: a })),
      {
        [op.REC_OP]: op.OP_EMBED,
        [op.EMBED_TABLE]: w.address | 0,
        [op.EMBED_WEIGHT]: w.format.code,
        [op.EMBED_COLS]: 96,
        [op.EMBED_OUT]: 2000,
        [op.EMBED_OUT_STRIDE]: 2001,
        [op.EMBED_SCALE]: bitsOf(8),
        [op.EMBED_STRIPS]: 10,
        [op.EMBED_FACTOR]: bitsOf(2 ** 102),
      },
    );
  });

  it("norm()", () => {
    const spec = { kind: "layer", eps: 1e-6 } as const;
    const record = { rows: "outputs", spec, weight, x: a, out: b, format: ACT_Q8 } as const;
    const expected = {
      [op.REC_OP]: op.OP_NORM,
      [op.REC_ROWS]: op.ROWS_OUTPUTS,
      [op.NORM_X]: 2000,
      [op.NORM_X_STRIDE]: 2001,
      [op.NORM_OUT]: 3000,
      [op.NORM_OUT_STRIDE]: 3001,
      [op.NORM_N]: 70,
      [op.NORM_FORMAT]: ACT_Q8,
      [op.NORM_WEIGHT]: 1002,
      [op.NORM_BIAS]: 1001,
      [op.NORM_EPS]: bitsOf(1e-6),
      [op.NORM_KIND]: op.NORM_LAYER,
    };
    assert.deepEqual(
      wordsOf((writer) => writer.norm(record)),
      expected,
    );
    const { [op.NORM_KIND]: _, [op.REC_ROWS]: __, ...rms } = expected;
    assert.deepEqual(
      wordsOf((writer) => writer.norm({ ...record, rows: "tokens", spec: { kind: "rms", eps: 1e-6 } })),
      rms,
    );
  });

  it("quantize()", () => {
    assert.deepEqual(
      wordsOf((writer) => writer.quantize({ x: a, out: b, n: 70, format: 3 })),
      {
        [op.REC_OP]: op.OP_QUANTIZE,
        [op.QUANTIZE_X]: 2000,
        [op.QUANTIZE_X_STRIDE]: 2001,
        [op.QUANTIZE_OUT]: 3000,
        [op.QUANTIZE_OUT_STRIDE]: 3001,
        [op.QUANTIZE_N]: 70,
        [op.QUANTIZE_FORMAT]: 3,
      },
    );
  });

  it("matmul()", () => {
    const record = { rows: "outputs", w, x: a, out: b, add: c } as const;
    const expected = {
      [op.REC_OP]: op.OP_MATMUL,
      [op.REC_ROWS]: op.ROWS_OUTPUTS,
      [op.MATMUL_W]: w.address | 0,
      [op.MATMUL_WEIGHT]: w.format.code,
      [op.MATMUL_X]: 2000,
      [op.MATMUL_X_STRIDE]: 2001,
      [op.MATMUL_OUT]: 3000,
      [op.MATMUL_OUT_STRIDE]: 3001,
      [op.MATMUL_STRIPS]: 10,
      [op.MATMUL_BLOCKS]: 3,
      [op.MATMUL_ADD]: 4000,
      [op.MATMUL_ADD_STRIDE]: 4001,
      // 64 KiB are 37 groups of 8 strips of 3 tiles of 72 bytes.
      [op.MATMUL_CHUNK]: 37,
      [op.MATMUL_FACTOR]: bitsOf(2 ** 102),
    };
    assert.deepEqual(
      wordsOf((writer) => writer.matmul(record)),
      expected,
    );
    const { [op.MATMUL_ADD]: _, [op.MATMUL_ADD_STRIDE]: __, ...bare } = expected;
    assert.deepEqual(
      wordsOf((writer) => writer.matmul({ ...record, add: undefined })),
      bare,
    );
  });

  it("angles() and ropeStore()", () => {
    const table = { rope, freqs: 7001, angles: 7002 };
    assert.deepEqual(
      wordsOf((writer) => writer.angles({ table })),
      {
        [op.REC_OP]: op.OP_ANGLES,
        [op.ANGLES_FREQS]: 7001,
        [op.ANGLES_OUT]: 7002,
        [op.ANGLES_HALF]: 11,
      },
    );
    const rotation = { rope, angles: 7002 };
    const expected = {
      [op.REC_OP]: op.OP_ROPE_STORE,
      [op.ROPE_Q]: 2000,
      [op.ROPE_Q_STRIDE]: 2001,
      [op.ROPE_K]: 3000,
      [op.ROPE_K_STRIDE]: 3001,
      [op.ROPE_V]: 4000,
      [op.ROPE_V_STRIDE]: 4001,
      [op.ROPE_ANGLES]: 7002,
      [op.ROPE_DIM]: 22,
      [op.ROPE_HEAD_DIM]: 24,
      [op.ROPE_N_HEADS]: 6,
      [op.ROPE_N_KV_HEADS]: 2,
      [op.ROPE_PAIRING]: op.PAIRING_HALVES,
      [op.ROPE_KV_TYPE]: KV_Q8,
      [op.ROPE_LAYER]: 6002,
      [op.ROPE_HEAD_BYTES]: 6001,
      [op.ROPE_TABLE]: 6003,
    };
    assert.deepEqual(
      wordsOf((writer) => writer.ropeStore({ q: a, k: b, v: c, heads, rotation, cache })),
      expected,
    );
    const { [op.ROPE_ANGLES]: _, [op.ROPE_DIM]: __, [op.ROPE_PAIRING]: ___, ...still } = expected;
    assert.deepEqual(
      wordsOf((writer) => writer.ropeStore({ q: a, k: b, v: c, heads, rotation: undefined, cache })),
      still,
    );
  });

  it("attention()", () => {
    const tables = { shape: heads, groups: 7003, heads: 7004 };
    assert.deepEqual(
      wordsOf((writer) => writer.attention({ q: a, out: b, heads, tables, scale: 0.125, cache })),
      {
        [op.REC_OP]: op.OP_ATTENTION,
        [op.ATT_Q]: 2000,
        [op.ATT_Q_STRIDE]: 2001,
        [op.ATT_OUT]: 3000,
        [op.ATT_OUT_STRIDE]: 3001,
        [op.ATT_GROUPS]: 7003,
        [op.ATT_HEADS]: 7004,
        [op.ATT_N_KV_HEADS]: 2,
        [op.ATT_HEAD_DIM]: 24,
        [op.ATT_KV_TYPE]: KV_Q8,
        [op.ATT_LAYER]: 6002,
        [op.ATT_HEAD_BYTES]: 6001,
        [op.ATT_TABLE]: 6003,
        [op.ATT_SCALE]: bitsOf(0.125),
      },
    );
  });

  it("glu(), gated and plain", () => {
    const up = { address: 4000, stride: 2001 };
    const kinds = [
      ["silu", op.GLU_SWIGLU, op.GLU_SILU],
      ["gelu", op.GLU_GEGLU, op.GLU_GELU],
      ["relu", op.GLU_REGLU, op.GLU_RELU],
    ] as const;
    for (const [act, gatedKind, plainKind] of kinds) {
      for (const gated of [true, false]) {
        const kind = gated ? gatedKind : plainKind;
        const record = {
          spec: gated ? { act, gated, gateUp: "split" as const } : { act, gated },
          gate: a,
          up: gated ? up : undefined,
          out: d,
          n: 70,
          format: 1,
        };
        assert.deepEqual(
          wordsOf((writer) => writer.glu(record)),
          {
            [op.REC_OP]: op.OP_GLU,
            [op.GLU_GATE]: 2000,
            [op.GLU_UP]: gated ? 4000 : 2000,
            [op.GLU_STRIDE]: 2001,
            [op.GLU_OUT]: 5000,
            [op.GLU_OUT_STRIDE]: 5001,
            [op.GLU_N]: 70,
            [op.GLU_FORMAT]: 1,
            ...(kind !== 0 && { [op.GLU_KIND]: kind }),
          },
        );
      }
    }
  });

  it("packRecord()", () => {
    const groups = { scales: 8001, size: 16, phase: 5 };
    const type = fileTypes.get("Q8_G") as FileType;
    const rest = { w, type, src: 8002, rows: 30, firstStrip: 2, chunk: 8, shift: 10 };
    const expected = {
      [op.REC_OP]: op.OP_PACK,
      [op.REC_FLAGS]: op.REC_BARRIER,
      [op.PACK_FILE]: type.code,
      [op.PACK_WEIGHT]: w.format.code,
      [op.PACK_SRC]: 8002,
      [op.PACK_ROW_BYTES]: 70,
      [op.PACK_TABLE]: 8001,
      [op.PACK_GROUP]: 16,
      [op.PACK_PHASE]: 5,
      [op.PACK_ROWS]: 30,
      [op.PACK_COLS]: 70,
      [op.PACK_OUT]: w.address | 0,
      [op.PACK_FIRST_STRIP]: 2,
      [op.PACK_STRIPS]: 10,
      [op.PACK_CHUNK]: 8,
      [op.PACK_SHIFT]: 10,
    };
    assert.deepEqual(nonZero(packRecord({ ...rest, groups })), expected);
    const { [op.PACK_TABLE]: _, [op.PACK_GROUP]: __, [op.PACK_PHASE]: ___, ...together } = expected;
    assert.deepEqual(nonZero(packRecord({ ...rest, groups: undefined })), together);
  });

  it("barrier(), endLayer() and weights belong to the record before", () => {
    const writer = new PlanWriter();
    writer.angles({ table: { rope, freqs: 1, angles: 2 } });
    writer.matmul({ rows: "tokens", w, x: a, out: b, add: undefined });
    writer.barrier();
    writer.endLayer();
    writer.quantize({ x: a, out: b, n: 1, format: 1 });
    const { words, records, weightBytes, layerEnds } = writer.done();
    assert.equal(records, 3);
    const flags = [0, 1, 2].map((i) => words[i * op.RECORD_WORDS + op.REC_FLAGS]);
    assert.deepEqual(flags, [0, op.REC_BARRIER, 0]);
    assert.deepEqual(weightBytes, [0, 10 * 3 * 72, 0]);
    assert.deepEqual(layerEnds, [2]);
  });

  it("leaveOut() belongs to the record before, as barriers do", () => {
    const writer = new PlanWriter();
    for (const steps of ["one token", "several"] as const) {
      writer.quantize({ x: a, out: b, n: 1, format: 1 });
      writer.leaveOut(steps);
      writer.barrier();
    }
    const { words } = writer.done();
    const flags = [0, 1].map((i) => words[i * op.RECORD_WORDS + op.REC_FLAGS]);
    assert.deepEqual(flags, [op.REC_SEVERAL | op.REC_BARRIER, op.REC_ALONE | op.REC_BARRIER]);
  });

  it("combine() has the matrices of experts behind the plan, and that of the shared expert behind them", () => {
    const writer = new PlanWriter();
    const shared = { w, x: d, slot: 3 };
    writer.combine({
      route: 7,
      used: 2,
      weights: [w, w],
      x: a,
      slots: b,
      shared,
      add: undefined,
      out: c,
      n: 70,
    });
    writer.barrier();
    const { words, records, weightBytes } = writer.done();
    assert.equal(records, 1);
    const word = (record: number, field: number) => words[record * op.RECORD_WORDS + field];
    assert.deepEqual(weightBytes, [3 * 10 * 3 * 72]);
    assert.equal(word(0, op.COMBINE_RECORDS), op.RECORD_BYTES);
    assert.equal(word(0, op.COMBINE_SHARED), 3 * op.RECORD_BYTES);
    assert.equal(word(0, op.COMBINE_PICKED), 3);
    assert.equal(word(0, op.COMBINE_ADD), 0);
    assert.equal(word(2, op.MATMUL_OUT), b.address);
    assert.equal(word(3, op.MATMUL_OUT), b.address + 3 * b.stride);
    assert.equal(word(3, op.MATMUL_X), d.address);
  });
});
