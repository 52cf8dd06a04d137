import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { schedule, thorough } from "../../bench/measure.ts";
import { matrixWork, someIds } from "../../bench/models.ts";
import { generatedText } from "../../bench/tokenizer.ts";
import type { LayerWeights, Matrix, Vector } from "../../src/model/weights/weights.ts";
import { type FormatName, weightFormats } from "../../src/quant/registry.ts";
import { bytesSource } from "../../src/source/bytes.ts";

const source = bytesSource(new Uint8Array(0));

function matrix(rows: number, cols: number, name: FormatName): Matrix {
  const info = { name: "w", shape: [rows, cols], type: "F32", source, offset: 0, byteLength: 0 };
  const strips = Math.ceil(rows / 4);
  const blocks = Math.ceil(cols / 32);
  const format = weightFormats[name];
  return { kind: "matrix", info, firstRow: 0, format, address: 0, rows, cols, strips, blocks };
}

const norm: Vector = {
  kind: "vector",
  info: matrix(1, 1, "f32").info,
  firstRow: 0,
  address: 0,
  length: 8,
};

function layer(q: Matrix, other: Matrix): LayerWeights {
  const feedForward = { gate: other, up: other, down: other };
  const projections = { q, k: other, v: other };
  return { attnNorm: norm, ffnNorm: norm, projections, attnOutput: other, feedForward };
}

describe("matrixWork()", () => {
  it("counts tiles with their padding, multiplications without, and no vectors", () => {
    // 5 x 33: 2 strips of 2 blocks.
    const layers = [1, 2, 3].map(() => layer(matrix(5, 33, "q8"), matrix(4, 32, "q4")));
    const work = matrixWork({ layers, output: matrix(8, 32, "f32") });
    assert.deepEqual(work, {
      layerBytes: 3 * (4 * 136 + 6 * 72),
      layerMacs: 3 * (5 * 33 + 6 * 4 * 32),
      outputBytes: 2 * 512,
      outputMacs: 8 * 32,
    });
  });

  it("counts headers of superblocks", () => {
    // 8 x 512: 2 strips of 2 superblocks, each a header and 8 tiles.
    const layers = [layer(matrix(8, 512, "q4k"), matrix(8, 512, "q6k"))];
    const { layerBytes } = matrixWork({ layers, output: matrix(8, 32, "f32") });
    assert.equal(layerBytes, 4 * (80 + 8 * 64) + 6 * 4 * (72 + 8 * 96));
    const small = [
      layer(matrix(8, 512, "q2k"), matrix(8, 512, "iq4xs")),
      layer(matrix(8, 256, "iq2"), matrix(8, 256, "q3k")),
    ];
    const bytes = matrixWork({ layers: small, output: matrix(8, 32, "f32") }).layerBytes;
    assert.equal(bytes, 4 * (144 + 8 * 32) + 6 * 4 * (40 + 8 * 64) + 7 * 2 * (72 + 8 * 48));
  });

  it("is nothing but the output without layers", () => {
    const { layerBytes, layerMacs } = matrixWork({ layers: [], output: matrix(4, 32, "q8") });
    assert.deepEqual([layerBytes, layerMacs], [0, 0]);
  });
});

describe("schedule()", () => {
  it("takes many samples of short calls", () => {
    assert.deepEqual(schedule(1000, thorough), { rounds: 2, samplesPerRound: 5, msPerRound: 100 });
  });

  it("takes three samples of the longest calls, and more rounds of the others", () => {
    assert.deepEqual(schedule(60e9, thorough), { rounds: 1, samplesPerRound: 3, msPerRound: 0 });
    assert.deepEqual(schedule(1000e6, thorough), { rounds: 4, samplesPerRound: 1, msPerRound: 0 });
    assert.deepEqual(schedule(250e6, thorough), { rounds: 5, samplesPerRound: 3, msPerRound: 0 });
  });
});

describe("someIds()", () => {
  it("are ids of the vocabulary, the same each time", () => {
    const ids = someIds(500, 7);
    assert.deepEqual(new Set(ids), new Set([0, 1, 2, 3, 4, 5, 6]));
    assert.deepEqual(someIds(500, 7), ids);
    assert.deepEqual(someIds(0, 7), []);
  });
});

describe("generatedText()", () => {
  it("has as many words as asked for, the same each time", () => {
    const text = generatedText(1000);
    assert.equal(text.split(" ").length, 1000);
    assert.ok(new Set(text.split(" ")).size > 300);
    assert.equal(generatedText(1000), text);
  });
});
