// Collecting ids and offsets.
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { TokenSink } from "../../../src/tokenizer/core/token_sink.ts";

describe("TokenSink", () => {
  it("holds more tokens than its text has units", () => {
    const out = new TokenSink(0, true);
    for (let i = 0; i < 1000; i++) out.push(i, 2 * i, 3 * i);
    const { ids, starts, ends } = out.toOffsets();
    assert.deepEqual(
      [ids.length, ids[999], starts[999], ends[999], ids[0], ends[1]],
      [1000, 999, 1998, 2997, 0, 3],
    );
  });

  it("appends a part of an array, however long, and lets go of what is cut off", () => {
    const ids = Int32Array.from({ length: 500 }, (_, i) => i);
    const out = new TokenSink(10, false);
    out.append(ids, 3, 5);
    out.append(ids, 0, 500);
    assert.deepEqual([out.length, out.last], [502, 499]);
    out.length = 3;
    assert.equal(out.last, 0);
    assert.deepEqual(out.toIds(), [3, 4, 0]);
  });

  it("has room for offsets too where a longer text has left room for ids", () => {
    new TokenSink(100_000, false).toIds();
    const out = new TokenSink(0, true);
    for (let i = 0; i < 1000; i++) out.push(i, i + 1, i + 2);
    const { starts, ends } = out.toOffsets();
    assert.deepEqual([starts[999], ends[999], starts.includes(undefined as never)], [1000, 1001, false]);
  });

  it("shares nothing with another", () => {
    new TokenSink(1000, false).toIds();
    const sinks = [new TokenSink(10, false), new TokenSink(10, false)];
    for (const [i, out] of sinks.entries()) out.push(i, 0, 1);
    assert.deepEqual(
      sinks.map((out) => out.toIds()),
      [[0], [1]],
    );
  });

  it("changes offsets where there are any", () => {
    for (const withOffsets of [true, false]) {
      const out = new TokenSink(4, withOffsets);
      out.push(7, 0, 1);
      out.push(8, 1, 2);
      out.extendLast(4);
      out.mapOffsets(1, (start, end) => [start + 10, end + 20]);
      if (withOffsets) assert.deepEqual(out.toOffsets(), { ids: [7, 8], starts: [0, 11], ends: [1, 24] });
      else assert.deepEqual(out.toIds(), [7, 8]);
    }
  });
});
