// What a step takes of all that waits for one.
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import type { Segment } from "../../src/engine/step_area.ts";
import { chooseChunks, Entry } from "../../src/engine/step_queue.ts";
import type { Sequence } from "../../src/model/kv_cache.ts";

/** Tokens of prompts beside those that decode. */
const BESIDE = 32;
const limits = { batch: 64, maxOutputs: 64 };

function entries(...sizes: (number | [number, Segment["outputs"]])[]): Entry[] {
  return sizes.map((size, order) => {
    const [end, outputs] = typeof size === "number" ? [size, "last" as const] : size;
    const work = { sequence: {} as Sequence, ids: [], begin: 0, end, outputs, lastStep: 0, read() {} };
    return new Entry(work, undefined, order);
  });
}

/** What is chosen, as [which, how many ids]. */
function chunks(waiting: Entry[], { batch, maxOutputs } = limits): [number, number][] {
  return chooseChunks(waiting, { batch, maxOutputs }, () => BESIDE).map(({ order, next, chunkEnd }) => [
    order,
    chunkEnd - next,
  ]);
}

describe("chooseChunks()", () => {
  it("takes all that fits, in the order of arrival", () => {
    assert.deepEqual(chunks(entries()), []);
    assert.deepEqual(chunks(entries(1)), [[0, 1]]);
    assert.deepEqual(chunks(entries(64)), [[0, 64]]);
    assert.deepEqual(chunks(entries(65)), [[0, 64]]);
    assert.deepEqual(chunks(entries(10, 20, 34, 5)), [
      [0, 10],
      [1, 20],
      [2, 34],
    ]);
    assert.deepEqual(chunks(entries(60, 10)), [
      [0, 60],
      [1, 4],
    ]);
    assert.equal(chunks(entries(2, 2, 2, 2, 2, 2, 2, 2, 2)).length, 8);
  });

  it("takes decoding first, and prompts in smaller parts beside it", () => {
    assert.deepEqual(chunks(entries(200, 1, 5, 1)), [
      [1, 1],
      [3, 1],
      [0, BESIDE],
    ]);
    assert.deepEqual(chunks(entries(3, 1, 5, 100)), [
      [1, 1],
      [0, 3],
      [2, 5],
      [3, BESIDE - 8],
    ]);
  });

  it("asks how much of prompts there may be beside so many that decode", () => {
    const asked: number[] = [];
    const beside = (decoding: number) => asked.push(decoding) && 5;
    const sizes = (waiting: Entry[]) => chooseChunks(waiting, limits, beside).map(({ chunkEnd }) => chunkEnd);
    assert.deepEqual(sizes(entries(1, 1, 100)), [1, 1, 5]);
    assert.deepEqual(sizes(entries(100)), [64]);
    assert.deepEqual(asked, [2]);
    const none = (waiting: Entry[]) => chooseChunks(waiting, limits, () => 0).map(({ order }) => order);
    assert.deepEqual(
      none(entries(100, 1, 1, 1, 1, 1, 1, 1, 1, 1)),
      [1, 2, 3, 4, 5, 6, 7, 8],
      "no place is kept",
    );
    assert.deepEqual(none(entries(100)), [0]);
  });

  it("keeps a place for a prompt, however many decode", () => {
    const waiting = entries(1, 1, 1, 1, 1, 1, 1, 1, 1, 100);
    assert.deepEqual(chunks(waiting), [...[0, 1, 2, 3, 4, 5, 6].map((i) => [i, 1]), [9, 32]]);
    assert.equal(chunks(waiting.slice(0, 9)).length, 8);
  });

  it("goes on where the last step ended", () => {
    const [entry] = entries(150) as [Entry];
    for (const n of [64, 64, 22]) {
      assert.deepEqual(chunks([entry]), [[0, n]]);
      assert.equal(entry.segment.outputs, entry.chunkEnd === 150 ? "last" : "none");
      entry.next = entry.chunkEnd;
    }
    assert.equal(entry.remaining, 0);
  });

  it("asks for no more rows of logits than there are", () => {
    const rows = { batch: 64, maxOutputs: 8 };
    assert.deepEqual(chunks(entries([30, "all"]), rows), [[0, 8]]);
    assert.deepEqual(chunks(entries(1, 1, [30, "all"], 5), rows), [
      [0, 1],
      [1, 1],
      [2, 6],
    ]);
    assert.deepEqual(chunks(entries([8, "all"], [40, "none"], 3), rows), [
      [0, 8],
      [1, 40],
    ]);
    assert.equal(chunks(entries(1, 1, 1, 1, 1, 1, 1, 1, 1), rows).length, 8);
    assert.deepEqual(chunks(entries([2, "all"], [2, "all"]), { batch: 2, maxOutputs: 2 }), [[0, 2]]);
    assert.deepEqual(chunks(entries(1, 1, 1), { batch: 2, maxOutputs: 2 }).length, 2);
  });
});
