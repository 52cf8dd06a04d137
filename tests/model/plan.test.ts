// Plans of Llama: their records, barriers and operands, and the buffers that they name.
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { ACT_F32, ACT_Q8, KV_F16 } from "../../assembly/layout/blocks.ts";
import * as op from "../../assembly/layout/ops.ts";
import { Arena } from "../../src/kernels/arena.ts";
import type { ModelConfig, Precision } from "../../src/model/config.ts";
import type { LayerCache } from "../../src/model/kv_layout.ts";
import { type Buffers, placeBuffers } from "../../src/model/plan/buffers.ts";
import { buildPlan } from "../../src/model/plan/plan.ts";
import { readModel } from "../../src/model/read_model.ts";
import { placeWeights } from "../../src/model/weights/place.ts";
import {
  blockOf,
  type Matrix,
  type ModelWeights,
  projectionInputs,
} from "../../src/model/weights/weights.ts";
import { llamaTensors, modelHeader, type Shape, shapeKeys } from "../support/model_file.ts";

const BATCH = 8;
const OUTPUTS = 3;
interface Compiled {
  readonly config: ModelConfig;
  readonly weights: ModelWeights;
  readonly buffers: Buffers;
  readonly records: Int32Array[];
}

function compile(shape: Partial<Shape> = {}, precision: Precision = "q8", tied = false): Compiled {
  const tensors = llamaTensors(shape);
  if (tied) delete tensors["output.weight"];
  const file = modelHeader({ metadata: shapeKeys(shape), tensors });
  const model = readModel(file);
  const arena = new Arena(4096);
  const weights = placeWeights(file, model, arena, precision);
  const buffers = placeBuffers(model, weights.layers, arena, BATCH, OUTPUTS);
  const { words, records } = buildPlan(model, weights, buffers, cachesOf(model.config));
  assert.equal(words.length, records * op.RECORD_WORDS);
  return {
    config: model.config,
    weights,
    buffers,
    records: Array.from({ length: records }, (_, i) =>
      words.subarray(i * op.RECORD_WORDS, (i + 1) * op.RECORD_WORDS),
    ),
  };
}

/** Of an invented place: layer after layer, and a table of its own for each. */
function cachesOf({ nLayers, nKvHeads, headDim }: ModelConfig): LayerCache[] {
  return Array.from({ length: nLayers }, (_, i) => ({
    type: "f16",
    nKvHeads,
    headDim,
    headBytes: 1000,
    bytes: nKvHeads * 1000,
    pageClass: i,
    offset: i * nKvHeads * 1000,
    table: i * 400,
  }));
}

function f32Of(bits: number): number {
  return new Float32Array(Int32Array.of(bits).buffer)[0] as number;
}

const code = (record: Int32Array) => record[op.REC_OP] as number;
const field = (record: Int32Array, name: number) => record[name] as number;

/** Words of a record that hold addresses of rows, and what is done there. */
const operands: Record<number, { reads: readonly number[]; writes: readonly number[] }> = {
  [op.OP_EMBED]: { reads: [], writes: [op.EMBED_OUT] },
  [op.OP_NORM]: { reads: [op.NORM_X], writes: [op.NORM_OUT] },
  [op.OP_QUANTIZE]: { reads: [op.QUANTIZE_X], writes: [op.QUANTIZE_OUT] },
  [op.OP_MATMUL]: { reads: [op.MATMUL_X, op.MATMUL_ADD], writes: [op.MATMUL_OUT] },
  [op.OP_ANGLES]: { reads: [op.ANGLES_FREQS], writes: [op.ANGLES_OUT] },
  [op.OP_ROPE_STORE]: { reads: [op.ROPE_K, op.ROPE_V, op.ROPE_ANGLES], writes: [op.ROPE_Q] },
  [op.OP_ATTENTION]: { reads: [op.ATT_Q], writes: [op.ATT_OUT] },
  [op.OP_GLU]: { reads: [op.GLU_GATE, op.GLU_UP], writes: [op.GLU_OUT] },
};

const LAYER_OPS = [
  op.OP_NORM,
  op.OP_MATMUL,
  op.OP_MATMUL,
  op.OP_MATMUL,
  op.OP_ROPE_STORE,
  op.OP_ATTENTION,
  op.OP_QUANTIZE,
  op.OP_MATMUL,
  op.OP_NORM,
  op.OP_MATMUL,
  op.OP_MATMUL,
  op.OP_GLU,
  op.OP_MATMUL,
];

describe("buildPlan", () => {
  it("buildPlan() emits embedding, layers and output in order", () => {
    for (const nLayers of [1, 2, 5]) {
      for (const precision of ["f32", "q8", "q4"] as const) {
        // Activations of f32 weights are not quantized.
        const layer = LAYER_OPS.filter((code) => precision !== "f32" || code !== op.OP_QUANTIZE);
        const expected = [
          op.OP_EMBED,
          op.OP_ANGLES,
          ...Array.from({ length: nLayers }, () => layer).flat(),
          op.OP_NORM,
          op.OP_MATMUL,
        ];
        assert.deepEqual(compile({ nLayers }, precision).records.map(code), expected);
      }
    }
  });

  it("buildPlan() puts a barrier between records that touch the same rows, nine or ten a layer, and at the end", () => {
    for (const precision of ["f32", "q8", "q4"] as const) {
      const { records } = compile({ nLayers: 3 }, precision);
      let written = new Set<number>();
      let read = new Set<number>();
      for (const record of records) {
        const { reads, writes } = operands[code(record)] as (typeof operands)[number];
        const addresses = (words: readonly number[]) =>
          words.map((word) => field(record, word)).filter((address) => address !== 0);
        for (const address of addresses(reads)) assert.ok(!written.has(address), "read after write");
        for (const address of addresses(writes)) {
          assert.ok(!written.has(address) && !read.has(address), "write after write or read");
        }
        for (const address of addresses(reads)) read.add(address);
        for (const address of addresses(writes)) written.add(address);
        if (field(record, op.REC_FLAGS) & op.REC_BARRIER) {
          written = new Set();
          read = new Set();
        }
      }
      assert.equal(written.size, 0, "the last record ends with a barrier");
      const barriers = records.filter((record) => field(record, op.REC_FLAGS) & op.REC_BARRIER).length;
      assert.equal(barriers, 3 + 3 * (precision === "f32" ? 9 : 10));
    }
  });

  it("buildPlan() multiplies by every matrix once, with its strips and blocks", () => {
    for (const tied of [false, true]) {
      const { records, weights, buffers } = compile({ nLayers: 2, dim: 40, hiddenDim: 172 }, "q8", tied);
      const products = records.filter((record) => code(record) === op.OP_MATMUL);
      const matrices = [
        ...weights.layers
          .map((layer) => ({ ...layer, ...blockOf(layer) }))
          .flatMap(({ projections, attnOutput, gate, up, down }) => [
            ...projectionInputs(projections),
            attnOutput,
            gate as Matrix,
            up,
            down,
          ]),
        weights.output,
      ];
      assert.deepEqual(
        products.map((record) => [
          field(record, op.MATMUL_W),
          field(record, op.MATMUL_WEIGHT),
          field(record, op.MATMUL_STRIPS),
          field(record, op.MATMUL_BLOCKS),
        ]),
        matrices.map(({ address, format, rows, cols }) => [
          address,
          format.code,
          2 * Math.ceil(rows / 8),
          Math.ceil(cols / 32),
        ]),
      );
      for (const [i, record] of products.entries()) {
        const { blocks, format } = matrices[i] as (typeof matrices)[number];
        const chunk = field(record, op.MATMUL_CHUNK);
        assert.ok(chunk >= 1);
        assert.ok(chunk === 1 || chunk * format.groupStrips * blocks * format.tileBytes <= 64 * 1024);
        assert.equal(f32Of(field(record, op.MATMUL_FACTOR)), 2 ** 102);
        assert.equal(field(record, op.MATMUL_LOWEST), 0);
        // Attention's output and the feed-forward block are added to the hidden states, nothing else is.
        const adds = field(record, op.MATMUL_OUT) === buffers.x.address;
        assert.equal(field(record, op.MATMUL_ADD), adds ? buffers.x.address : 0);
        assert.equal(field(record, op.MATMUL_ADD_STRIDE), adds ? buffers.x.stride : 0);
      }
      assert.equal(products.filter((record) => field(record, op.MATMUL_ADD)).length, 4);
      const last = products.at(-1) as Int32Array;
      assert.equal(field(last, op.REC_ROWS), op.ROWS_OUTPUTS);
      assert.equal(field(last, op.MATMUL_OUT), buffers.logits.address);
      assert.equal(field(records[0] as Int32Array, op.EMBED_TABLE), weights.embedding.address);
      assert.equal(weights.output === weights.embedding, tied);
    }
  });

  it("buildPlan() gives every norm its weight, the epsilon and the format of the product after it", () => {
    const formats = { f32: ACT_F32, q8: ACT_Q8, q4: ACT_Q8 };
    for (const precision of ["f32", "q8", "q4"] as const) {
      const { records, weights, config } = compile({ nLayers: 2 }, precision);
      const norms = records.filter((record) => code(record) === op.OP_NORM);
      assert.deepEqual(
        norms.map((record) => field(record, op.NORM_WEIGHT)),
        [...weights.layers.flatMap((layer) => [layer.attnNorm, layer.ffnNorm]), weights.outputNorm].map(
          (norm) => norm?.address,
        ),
      );
      for (const record of norms) {
        assert.equal(f32Of(field(record, op.NORM_EPS)), Math.fround(config.normEps));
        assert.equal(field(record, op.NORM_N), 64);
        assert.equal(field(record, op.NORM_FORMAT), formats[precision]);
        assert.equal(field(record, op.NORM_KIND), op.NORM_RMS);
      }
    }
  });

  it("buildPlan() gives every layer its place in a page, and scores their scale", () => {
    const { records, config } = compile({ nLayers: 3 });
    const stores = records.filter((record) => code(record) === op.OP_ROPE_STORE);
    const reads = records.filter((record) => code(record) === op.OP_ATTENTION);
    assert.equal(stores.length, 3);
    stores.forEach((record, i) => {
      assert.equal(field(record, op.ROPE_LAYER), i * config.nKvHeads * 1000);
      assert.equal(field(record, op.ROPE_HEAD_BYTES), 1000);
      assert.equal(field(record, op.ROPE_KV_TYPE), KV_F16);
      assert.equal(field(record, op.ROPE_TABLE), i * 400);
      assert.equal(field(record, op.ROPE_PAIRING), op.PAIRING_ADJACENT);
      assert.deepEqual(
        [op.ROPE_DIM, op.ROPE_HEAD_DIM, op.ROPE_N_HEADS, op.ROPE_N_KV_HEADS].map((f) => field(record, f)),
        [16, 16, 4, 2],
      );
    });
    reads.forEach((record, i) => {
      assert.equal(field(record, op.ATT_LAYER), i * config.nKvHeads * 1000);
      assert.equal(field(record, op.ATT_HEAD_DIM), 16);
      assert.equal(field(record, op.ATT_HEAD_BYTES), 1000);
      assert.equal(field(record, op.ATT_TABLE), i * 400);
      assert.equal(f32Of(field(record, op.ATT_SCALE)), 0.25);
    });
  });

  it("placeBuffers() pads rows for the tiles that read and write them", () => {
    const { buffers } = compile({ dim: 40, nHeads: 4, nKvHeads: 1, hiddenDim: 33, vocabSize: 301 });
    const strides = Object.entries(buffers)
      .filter(([, place]) => "stride" in Object(place))
      .map(([name, { stride }]) => [name, stride]);
    assert.deepEqual(Object.fromEntries(strides), {
      x: 4 * 64,
      // The widest row, as f32 of whole blocks.
      act: 4 * 64,
      q: 4 * 40,
      k: 4 * 16,
      v: 4 * 16,
      attention: 4 * 64,
      gate: 4 * 40,
      up: 4 * 40,
      // No layer has one: it is x.
      result: 4 * 64,
      logits: 4 * 304,
    });
  });
});
