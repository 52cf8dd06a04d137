// Rows of tensors in the order of adjacent pairs, whatever part of a file is read.
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { pairedRows } from "../../../src/format/huggingface/paired_rows.ts";
import { bytesSource } from "../../../src/source/bytes.ts";
import { streamSource } from "../../../src/source/stream.ts";
import { randomF32 } from "../../support/kernels.ts";
import { chunked } from "../../support/refused.ts";
import { inHalves } from "../../support/safetensors_writer.ts";

describe("pairedRows()", () => {
  // Three tensors, two of them in halves, with other bytes around them.
  const parts = [
    { values: randomF32(5, 1), rows: 1 },
    { values: randomF32(12 * 3, 2), rows: 12, headRows: 6 },
    { values: randomF32(7, 3), rows: 1 },
    { values: randomF32(8 * 2, 4), rows: 8, headRows: 2 },
    { values: randomF32(4 * 1, 5), rows: 4, headRows: 4 },
    { values: randomF32(3, 6), rows: 1 },
  ];
  const join = (all: readonly Float32Array[]) =>
    Uint8Array.from(
      all.flatMap((values) => [...new Uint8Array(values.buffer, values.byteOffset, values.byteLength)]),
    );
  const expected = join(parts.map(({ values }) => values));
  const stored = join(
    parts.map(({ values, rows, headRows }) => (headRows ? inHalves(values, rows, headRows) : values)),
  );
  let at = 0;
  const tensors = parts.flatMap(({ values, rows, headRows }, i) => {
    const offset = at;
    at += values.byteLength;
    const { byteLength } = values;
    return headRows ? [{ name: `${i}`, offset, byteLength, headRows, rowBytes: byteLength / rows }] : [];
  });

  it("reads any range", async () => {
    assert.notDeepEqual(stored, expected);
    const source = pairedRows(bytesSource(stored), tensors);
    assert.equal(source.size, expected.length);
    for (let begin = 0; begin < expected.length; begin += 3) {
      for (const n of [0, 1, 5, 24, 73, expected.length - begin]) {
        const end = Math.min(expected.length, begin + n);
        const target = new Uint8Array(end - begin);
        await source.read(begin, target);
        assert.deepEqual(target, expected.slice(begin, end), `${begin} to ${end}`);
      }
    }
  });

  it("reads a stream from front to back, once", async () => {
    const source = pairedRows(streamSource(chunked(stored, 13)), tensors);
    for (let begin = 0; begin < expected.length; begin += 10) {
      const target = new Uint8Array(Math.min(10, expected.length - begin));
      await source.read(begin, target);
      assert.deepEqual(target, expected.slice(begin, begin + target.length));
    }
  });

  it("is the source itself if there is nothing to order", () => {
    const source = bytesSource(stored);
    assert.equal(pairedRows(source, []), source);
  });
});
