// Where the weights of Llama are placed, in which format, and which files are refused.
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { OTHER_FILE, supportedTensorTypes } from "../../src/format/gguf/tensor_types.ts";
import { Arena } from "../../src/kernels/arena.ts";
import type { Precision } from "../../src/model/config.ts";
import { readModel } from "../../src/model/read_model.ts";
import { placeWeights } from "../../src/model/weights/place.ts";
import { blockOf, type ModelWeights, projectionInputs } from "../../src/model/weights/weights.ts";
import { weightFormats } from "../../src/quant/registry.ts";
import { FormatError, UnsupportedError } from "../../src/util/errors.ts";
import { meta } from "../support/gguf_writer.ts";
import { llamaTensors, modelHeader } from "../support/model_file.ts";

type Tensors = Record<string, readonly [readonly number[], string?]>;

const tensorsOf = (nLayers: number, type = "F32") => llamaTensors({ nLayers }, type);

function without(tensors: Tensors, name: string): Tensors {
  return Object.fromEntries(Object.entries(tensors).filter(([key]) => key !== name));
}

function place(
  tensors: Tensors,
  options: { nLayers?: number; precision?: Precision; arena?: Arena } = {},
): ModelWeights {
  const { nLayers = 2, precision, arena = new Arena(4096) } = options;
  const file = modelHeader({ tensors, metadata: { "llama.block_count": meta("u32", nLayers) } });
  return placeWeights(file, readModel(file), arena, precision);
}

function refuses(tensors: Tensors, message: string, type: typeof FormatError = FormatError): void {
  assert.throws(
    () => place(tensors),
    (error) => {
      assert.ok(error instanceof type, String(error));
      assert.equal(error.message, `Cannot load tensor ${message}`);
      return true;
    },
  );
}

describe("placeWeights", () => {
  it("placeWeights() finds every tensor and lists it once, in the order of the file", () => {
    for (const nLayers of [1, 2, 5]) {
      const tensors = tensorsOf(nLayers);
      const backwards = Object.fromEntries(Object.entries(tensors).reverse());
      for (const file of [tensors, backwards]) {
        const weights = place(file, { nLayers });
        assert.deepEqual(
          weights.all.map(({ info }) => info.name),
          Object.keys(file),
        );
        assert.equal(weights.layers.length, nLayers);
        weights.layers.forEach((layer, i) => {
          assert.deepEqual(
            projectionInputs(layer.projections).map(({ info }) => info.name),
            ["q", "k", "v"].map((part) => `blk.${i}.attn_${part}.weight`),
          );
          assert.equal(layer.attnOutput.info.name, `blk.${i}.attn_output.weight`);
          assert.equal(layer.attnNorm?.info.name, `blk.${i}.attn_norm.weight`);
          assert.equal(layer.ffnNorm?.info.name, `blk.${i}.ffn_norm.weight`);
          const { gate, up, down } = blockOf(layer);
          assert.equal(gate?.info.name, `blk.${i}.ffn_gate.weight`);
          assert.equal(up.info.name, `blk.${i}.ffn_up.weight`);
          assert.equal(down.info.name, `blk.${i}.ffn_down.weight`);
        });
        assert.equal(weights.output.info.name, "output.weight");
        assert.equal(weights.outputNorm?.info.name, "output_norm.weight");
        assert.equal(weights.ropeFactors, undefined);
      }
    }
  });

  it("placeWeights() gives each tensor room of its own for whole tiles", () => {
    for (const precision of ["f32", "q8", "q4"] as const) {
      const arena = new Arena(4096);
      const { all } = place(tensorsOf(2), { precision, arena });
      let end = 4096;
      for (const weight of [...all].sort((a, b) => a.address - b.address)) {
        assert.equal(weight.address % 64, 0);
        assert.ok(weight.address >= end, weight.info.name);
        if (weight.kind === "vector") {
          assert.equal(weight.length, weight.info.shape[0]);
          end = weight.address + 4 * weight.length;
        } else {
          const [rows, cols] = weight.info.shape as [number, number];
          assert.deepEqual([weight.rows, weight.cols], [rows, cols]);
          assert.deepEqual([weight.strips, weight.blocks], [2 * Math.ceil(rows / 8), Math.ceil(cols / 32)]);
          assert.equal(weight.format, weightFormats[precision]);
          end = weight.address + weight.strips * weight.blocks * weight.format.tileBytes;
        }
      }
      assert.equal(arena.size, end);
    }
  });

  it("placeWeights() ties the output to the embedding where the file has no output", () => {
    const weights = place(without(tensorsOf(2), "output.weight"));
    assert.equal(weights.output, weights.embedding);
    assert.equal(weights.all.filter(({ info }) => info.name === "token_embd.weight").length, 1);
  });

  it("placeWeights() keeps what the file holds: each matrix the format that its type becomes", () => {
    const formats = (tensors: Tensors, precision?: Precision) => {
      const { embedding, layers, output } = place(tensors, { ...(precision && { precision }) });
      const inLayers = new Set(
        layers.flatMap((layer) => {
          const [q, , v] = projectionInputs(layer.projections);
          return [q, v, blockOf(layer).down].map((m) => m?.format.name);
        }),
      );
      return [embedding.format.name, [...inLayers].join(), output.format.name];
    };
    for (const type of ["F32", "F16", "BF16", "Q8_0"]) {
      assert.deepEqual(formats(tensorsOf(2, type)), ["q8", "q8", "q8"], type);
    }
    assert.deepEqual(formats(tensorsOf(2, "Q4_0")), ["q4", "q4", "q4"]);
    // One matrix of another type: it alone has another format.
    const mixed = { ...tensorsOf(2, "Q4_0"), "blk.1.ffn_down.weight": [[64, 96], "Q8_0"] as const };
    assert.deepEqual(formats(mixed), ["q4", "q4,q8", "q4"]);
    const output = { ...tensorsOf(2, "Q4_0"), "output.weight": [[300, 64], "Q8_0"] as const };
    assert.deepEqual(formats(output), ["q4", "q4", "q8"]);
    for (const precision of ["f32", "q8", "q4"] as const) {
      assert.deepEqual(formats(mixed, precision), [precision, precision, precision]);
    }
  });

  it("placeWeights() names each tensor that is missing, and the shape it would have", () => {
    const tensors = tensorsOf(2);
    for (const [name, [shape]] of Object.entries(tensors)) {
      if (name === "output.weight") continue;
      if (name === "token_embd.weight") continue; // readConfig() has missed it before
      refuses(without(tensors, name), `${name} of m: Expected shape [${shape.join(", ")}], got none`);
    }
    assert.throws(() => place(tensorsOf(2), { nLayers: 3 }), {
      name: "FormatError",
      message: "Cannot load tensor blk.2.attn_norm.weight of m: Expected shape [64], got none",
    });
  });

  it("placeWeights() names each tensor of another shape, with both shapes", () => {
    const tensors = tensorsOf(2);
    for (const [name, [shape]] of Object.entries(tensors)) {
      const others = [[...shape, 1], [1, ...shape], shape.slice(1), [...shape].reverse()];
      others.push([...shape.slice(0, -1), (shape.at(-1) as number) + 1]);
      for (const other of others) {
        if (other.join() === shape.join()) continue;
        // The rows of the embedding are the vocabulary: that is checked before.
        if (name === "token_embd.weight" && (other.length !== 2 || other[0] !== shape[0])) continue;
        refuses(
          { ...tensors, [name]: [other] },
          `${name} of m: Expected shape [${shape.join(", ")}], got [${other.join(", ")}]`,
        );
      }
    }
  });

  it("placeWeights() names a tensor whose type it cannot read, and the types it can", () => {
    for (const name of ["token_embd.weight", "blk.1.attn_v.weight", "output_norm.weight", "output.weight"]) {
      const tensors = tensorsOf(2);
      tensors[name] = [(tensors[name] as readonly [readonly number[]])[0], "I8"];
      refuses(
        tensors,
        `${name} of m: Unsupported type I8; supported: ${supportedTensorTypes.join(", ")}; ${OTHER_FILE}`,
        UnsupportedError,
      );
    }
  });

  it("placeWeights() refuses tensors that it would have to leave out", () => {
    const extra = [
      "blk.0.attn_norm.bias",
      "output.bias",
      "blk.2.attn_norm.weight",
      "blk.0.attn_q_norm.weight",
      "blk.0.ffn_gate_exps.weight",
      "blk.x.attn_rot_embd.weight",
    ];
    for (const name of extra) {
      refuses(
        { ...tensorsOf(2), [name]: [[64]] },
        `"${name}" of m: Unsupported by architecture llama; leaving it out would change results`,
        UnsupportedError,
      );
    }
    refuses(
      { ...tensorsOf(2), "line\nend": [[1]] },
      '"line\\nend" of m: Unsupported by architecture llama; leaving it out would change results',
      UnsupportedError,
    );
  });

  it("placeWeights() leaves out tables of rotary angles, which are computed", () => {
    const weights = place({ ...tensorsOf(2), "blk.0.attn_rot_embd.weight": [[8]] });
    assert.ok(weights.all.every(({ info }) => info.name !== "blk.0.attn_rot_embd.weight"));
  });

  it("placeWeights() takes one rotary factor for each pair", () => {
    const factors = place({ ...tensorsOf(2), "rope_freqs.weight": [[8]] }).ropeFactors;
    assert.equal(factors?.length, 8);
    refuses(
      { ...tensorsOf(2), "rope_freqs.weight": [[16]] },
      "rope_freqs.weight of m: Expected shape [8], got [16]",
    );
  });
});
