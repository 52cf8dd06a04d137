// The whole engine against a forward pass in f64, over shapes and file formats.
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import type { KvType, Precision } from "../../src/mod.ts";
import { referenceLogits } from "../reference/llama.ts";
import { meta, type TinyLlamaOptions, type TinyWeight, tinyLlama } from "../support/gguf_writer.ts";
import { nmse } from "../support/kernels.ts";
import { llama2cFile } from "../support/llama2c_writer.ts";
import { allLogits, engineOf, someIds } from "../support/models.ts";

const config = { nLayers: 2, nHeads: 4, nKvHeads: 2, ropeTheta: 10000, normEps: 1e-5 };

async function compare(
  bytes: Uint8Array,
  weights: ReadonlyMap<string, TinyWeight>,
  options: { precision: Precision; kv: KvType },
  most: number,
  shape = config,
): Promise<void> {
  const ids = someIds(40, 300);
  const engine = await engineOf(bytes, options);
  const rows = await allLogits(engine, ids, [17]);
  const expected = referenceLogits(weights, shape, ids);
  assert.equal(rows.length, expected.length);
  const error = nmse(
    rows.flatMap((row) => [...row]),
    expected.flat(),
  );
  assert.ok(error <= most, `NMSE ${error}, at most ${most}`);
}

const exact = { precision: "f32", kv: "f32" } as const;

describe("Engine.step() against f64", () => {
  const shapes: Record<string, TinyLlamaOptions> = {
    GQA: {},
    MHA: { nKvHeads: 4 },
    MQA: { nKvHeads: 1 },
    "tied output": { tied: true },
    "one layer": { nLayers: 1 },
    "rows of no whole block": { dim: 40, nHeads: 4, hiddenDim: 172, nKvHeads: 2 },
    "heads of 2": { dim: 8, nHeads: 4, hiddenDim: 3, nKvHeads: 2 },
    "hidden layers in parts": { hiddenDim: 2100 },
    "one head": { dim: 6, nHeads: 1, nKvHeads: 1, hiddenDim: 33 },
    "rope base 500000": { metadata: { "llama.rope.freq_base": meta("f32", 500000) } },
  };
  for (const [name, options] of Object.entries(shapes)) {
    it(`f32 computes ${name}`, async () => {
      const { file, weights } = tinyLlama(options);
      const ropeTheta = name.startsWith("rope") ? 500000 : 10000;
      const { nLayers = 2, nHeads = 4, nKvHeads = 2 } = options;
      await compare(file.bytes, weights, exact, 1e-9, { ...config, nLayers, nHeads, nKvHeads, ropeTheta });
    });
  }

  for (const type of ["F16", "BF16", "Q8_0", "Q4_0"]) {
    it(`f32 computes what a ${type} file holds`, async () => {
      const { file, weights } = tinyLlama({ type, hiddenDim: 96 });
      await compare(file.bytes, weights, exact, 1e-9);
    });
  }

  // What ggml allows a whole Llama graph: conformance/ggml_thresholds.json, whole_llama_graph.
  for (const kv of ["f32", "f16", "q8"] as const) {
    it(`q8 stays close to a Q8_0 file, kv ${kv}`, async () => {
      const { file, weights } = tinyLlama({ type: "Q8_0" });
      await compare(file.bytes, weights, { precision: "q8", kv }, 2e-3);
    });
    it(`q8 and q4 stay close with hidden layers in parts, kv ${kv}`, async () => {
      for (const [type, precision] of [
        ["Q8_0", "q8"],
        ["Q4_0", "q4"],
      ] as const) {
        const { file, weights } = tinyLlama({ type, hiddenDim: 2080 });
        await compare(file.bytes, weights, { precision, kv }, 2e-3);
      }
    });
    it(`q4 stays close to a Q4_0 file, kv ${kv}`, async () => {
      const { file, weights } = tinyLlama({ type: "Q4_0" });
      await compare(file.bytes, weights, { precision: "q4", kv }, 2e-3);
    });
  }

  for (const version of [0, 1, 2] as const) {
    for (const shared of [true, false]) {
      it(`f32 computes llama2.c version ${version}, ${shared ? "shared" : "separate"} output`, async () => {
        const { bytes, weights } = llama2cFile({ version, shared, groupSize: 16 });
        await compare(bytes, weights, exact, 1e-9);
      });
    }
  }

  it("f32 computes llama2.c version 2 with groups that end inside rows", async () => {
    const { bytes, weights } = llama2cFile({ version: 2, groupSize: 32, config: { hidden_dim: 99 } });
    await compare(bytes, weights, exact, 1e-9);
  });

  it("rope factors and linear scaling divide the frequencies", async () => {
    const factors = Float32Array.from({ length: 8 }, (_, i) => 1 + i);
    const ids = someIds(20, 300);
    const plain = await engineOf(tinyLlama().file.bytes, exact);
    const one = await engineOf(
      tinyLlama({ tensors: { "rope_freqs.weight": { shape: [8], values: new Float32Array(8).fill(2) } } })
        .file.bytes,
      exact,
    );
    const two = await engineOf(
      tinyLlama({
        metadata: {
          "llama.rope.scaling.type": meta("string", "linear"),
          "llama.rope.scaling.factor": meta("f32", 2),
        },
      }).file.bytes,
      exact,
    );
    const several = await engineOf(
      tinyLlama({ tensors: { "rope_freqs.weight": { shape: [8], values: factors } } }).file.bytes,
      exact,
    );
    const expected = await allLogits(one, ids, [20]);
    assert.deepEqual(await allLogits(two, ids, [20]), expected);
    assert.notDeepEqual(await allLogits(plain, ids, [20]), expected);
    assert.notDeepEqual(await allLogits(several, ids, [20]), expected);
  });
});

describe("GQA", () => {
  for (const kv of ["f32", "f16", "q8"] as const) {
    for (const precision of ["f32", "q8", "q4"] as const) {
      it(`gives the bits of the MHA model whose kv heads are copies: ${precision}, kv ${kv}`, async () => {
        for (const nKvHeads of [1, 2]) {
          const gqa = tinyLlama({ nKvHeads });
          const tensors: Record<string, Partial<TinyWeight>> = {};
          for (const [name, { shape, values }] of gqa.weights) {
            if (/attn_[kv]\./.test(name)) {
              tensors[name] = { shape: [64, 64], values: copyHeads(values, shape[1] as number, nKvHeads) };
            }
          }
          const mha = tinyLlama({ nKvHeads: 4, tensors });
          const ids = someIds(40, 300);
          const a = await engineOf(gqa.file.bytes, { precision, kv });
          const b = await engineOf(mha.file.bytes, { precision, kv });
          assert.deepEqual(await allLogits(a, ids, [11]), await allLogits(b, ids, [11]));
        }
      });
    }
  }
});

// Four kv heads of 16 rows each out of fewer: q head h reads head floor(h * nKvHeads / 4).
function copyHeads(values: Float32Array, cols: number, nKvHeads: number): Float32Array {
  const size = 16 * cols;
  const out = new Float32Array(4 * size);
  for (let h = 0; h < 4; h++) {
    const from = Math.floor((h * nKvHeads) / 4) * size;
    out.set(values.subarray(from, from + size), h * size);
  }
  return out;
}
