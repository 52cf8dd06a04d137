// Each matrix has its own format: layers that mix formats get their activations in each that is needed.
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import * as op from "../../../assembly/layout/ops.ts";
import type { TensorInfo } from "../../../src/format/model_file.ts";
import type { Precision } from "../../../src/model/config.ts";
import type { ChooseFormat } from "../../../src/model/weights/formats.ts";
import { blockOf, projectionInputs } from "../../../src/model/weights/weights.ts";
import { referenceLogits } from "../../reference/llama.ts";
import { type TinyWeight, tinyLlama } from "../../support/gguf_writer.ts";
import { nmse, workingVariants } from "../../support/kernels.ts";
import { allLogits, engineOf, hashLogits, someIds } from "../../support/models.ts";

const config = { nLayers: 2, nHeads: 4, nKvHeads: 2, ropeTheta: 10000, normEps: 1e-5 };
const ids = someIds(40, 300);

/** The format that holds what the file's type does. */
const asInFile: ChooseFormat = ({ type }) => (type === "F32" ? "f32" : type === "Q4_0" ? "q4" : "q8");

const mixes: Record<string, Record<string, string>> = {
  "one of q, k and v": { attn_q: "F32" },
  "two of them, and the gate": { attn_k: "F32", attn_v: "F32", ffn_gate: "F32" },
  "q4 beside q8 and f32": { attn_q: "Q4_0", attn_k: "F32", ffn_up: "Q4_0", ffn_gate: "F32" },
  "what reads attention and the gated unit": { attn_output: "F32", ffn_down: "F32" },
  "all that read f32, but one": {
    attn_q: "F32",
    attn_k: "F32",
    attn_output: "F32",
    ffn_gate: "F32",
    ffn_up: "F32",
  },
};

/** A Q8_0 file in which some matrices of layer 1 (or of both) have another type. */
function mixed(types: Record<string, string>, layers = [1]) {
  const tensors: Record<string, Partial<TinyWeight>> = {};
  for (const layer of layers) {
    for (const [stem, type] of Object.entries(types)) tensors[`blk.${layer}.${stem}.weight`] = { type };
  }
  return tinyLlama({ type: "Q8_0", tensors });
}

const flat = (rows: readonly ArrayLike<number>[]) => rows.flatMap((row) => Array.from(row));

describe("formats that are mixed inside a layer", () => {
  for (const [name, types] of Object.entries(mixes)) {
    it(`compute what f64 does, with the same bits in every build and split: ${name}`, async () => {
      for (const layers of [[1], [0, 1]]) {
        const { file, weights } = mixed(types, layers);
        const expected = flat(referenceLogits(weights, config, ids));
        const hashes = new Set<string>();
        for (const kernel of workingVariants()) {
          const engine = await engineOf(file.bytes, { formats: asInFile, kv: "f32", kernel });
          for (const steps of [[17], [1], [64]]) {
            const rows = await allLogits(engine, ids, steps);
            assert.ok(nmse(flat(rows), expected) < 2e-3);
            hashes.add(hashLogits(rows));
          }
        }
        assert.equal(hashes.size, 1);
      }
    });
  }

  it("are what each matrix computes by itself: f32 for all but one changes little, and something", async () => {
    const { file, weights } = tinyLlama({ type: "Q8_0" });
    const expected = flat(referenceLogits(weights, config, ids));
    const errorOf = async (formats: ChooseFormat) =>
      nmse(flat(await allLogits(await engineOf(file.bytes, { formats, kv: "f32" }), ids, [17])), expected);
    const all = await errorOf(() => "f32");
    assert.ok(all < 1e-9);
    for (const stem of ["attn_q", "attn_k", "attn_v", "attn_output", "ffn_gate", "ffn_up", "ffn_down"]) {
      const isOne = (info: TensorInfo) => info.name === `blk.0.${stem}.weight`;
      const one = await errorOf((info) => (isOne(info) ? "q8" : "f32"));
      assert.ok(one > 1e-9 && one < 1e-3, `${stem}: ${one}`);
      const others = await errorOf((info) => (isOne(info) ? "f32" : "q8"));
      assert.ok(others > one && others < 2e-3, `${stem}: ${others}`);
    }
  });

  it("have one norm for each format that the matrices after it take", async () => {
    const formats: ChooseFormat = ({ name }): Precision => {
      if (/^blk\.1\.(attn_k|ffn_gate)\./.test(name)) return "f32";
      return name === "blk.1.attn_q.weight" ? "q4" : "q8";
    };
    const { layout } = await engineOf(tinyLlama().file.bytes, { formats });
    const { words, layerEnds } = layout.plan;
    const codes = Array.from(
      { length: layout.plan.records },
      (_, i) => words[i * op.RECORD_WORDS + op.REC_OP] as number,
    );
    const norms = (begin: number, end: number) =>
      codes.slice(begin, end).filter((code) => code === op.OP_NORM).length;
    const [first = 0, second = 0] = layerEnds;
    assert.deepEqual([norms(0, first), norms(first, second), norms(second, codes.length)], [2, 4, 1]);
    assert.equal(layout.buffers.moreActs.length, 1);
    const formatsOf = layout.weights.layers.map((layer) => {
      const { gate, up } = blockOf(layer);
      return [...projectionInputs(layer.projections), gate, up].map((matrix) => matrix?.format.name);
    });
    assert.deepEqual(formatsOf, [
      ["q8", "q8", "q8", "q8", "q8"],
      ["q4", "f32", "q8", "f32", "q8"],
    ]);
  });

  it("are what files get that mix types: each matrix has the format that its type becomes", async () => {
    const { file } = mixed({ attn_q: "F32", attn_k: "Q4_0" });
    const { layout } = await engineOf(file.bytes);
    const formats = layout.weights.layers.map(({ projections }) =>
      projectionInputs(projections).map(({ format }) => format.name),
    );
    assert.deepEqual(formats, [
      ["q8", "q8", "q8"],
      ["q8", "q4", "q8"],
    ]);
    // Both take the same activations.
    assert.equal(layout.buffers.moreActs.length, 0);
  });
});
