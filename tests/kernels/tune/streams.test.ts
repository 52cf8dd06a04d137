// The choice of streams, on kernels that only count and a clock that they move.
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { WEIGHT_Q4, WEIGHT_Q8 } from "../../../assembly/layout/blocks.ts";
import type { KernelExports } from "../../../src/kernels/exports.gen.ts";
import { measureStreams, type StreamedMatrix } from "../../../src/kernels/tune/streams.ts";

const matrix = (i: number): StreamedMatrix => ({
  address: i,
  format: { code: i % 2 ? WEIGHT_Q8 : WEIGHT_Q4, tileBytes: 72 },
  strips: 1024,
  blocks: 64,
});

/** What is chosen where a sweep of S streams takes `costs[S]` for each matrix, and the matrices that were read. */
function choose(costs: Record<number, number>, matrices = Array.from({ length: 40 }, (_, i) => matrix(i))) {
  let time = 0;
  const read: number[] = [];
  // matvec(weight, w, x, out, add, begin, end, strips, blocks, dot, streams, factor)
  const kernel = (...args: number[]) => {
    const [address, end, streams] = [args[1], args[6], args[10]] as [number, number, number];
    assert.ok(end <= (args[7] as number) / 8, `${end} groups of a matrix of ${args[7]} strips`);
    read.push(address);
    time += end < 128 ? 0.3 : (costs[streams] as number);
  };
  const kernels = { matvec: kernel } as unknown as KernelExports;
  return { streams: measureStreams(kernels, matrices, { x: 0, out: 0, scratch: 0 }, 2, () => time), read };
}

describe("measureStreams()", () => {
  it("takes the number whose sweeps take the least time", () => {
    assert.equal(choose({ 1: 4, 2: 3, 4: 2, 8: 5 }).streams, 4);
    assert.equal(choose({ 1: 4, 2: 3, 4: 9, 8: 9 }).streams, 2);
    assert.equal(choose({ 1: 4, 2: 3, 4: 2, 8: 1 }).streams, 8);
  });

  it("takes more streams only for a gain, and one where nothing tells them apart", () => {
    assert.equal(choose({ 1: 100, 2: 99, 4: 99, 8: 99 }).streams, 1);
    assert.equal(choose({ 1: 100, 2: 90, 4: 89, 8: 89 }).streams, 2);
    assert.equal(choose({ 1: 0, 2: 0, 4: 0, 8: 0 }).streams, 1);
  });

  it("takes one stream, after some calls, where the clock stands still", () => {
    let calls = 0;
    const kernels = { matvec: () => calls++ } as unknown as KernelExports;
    const matrices = Array.from({ length: 40 }, (_, i) => matrix(i));
    assert.equal(
      measureStreams(kernels, matrices, { x: 0, out: 0, scratch: 0 }, 2, () => 0),
      1,
    );
    assert.ok(calls > 0 && calls < 1000, `${calls} calls`);
  });

  it("reads every matrix of a large model once", () => {
    const { read } = choose({ 1: 1, 2: 1, 4: 1, 8: 1 });
    const sweeps = read.slice(read.lastIndexOf(0));
    assert.equal(new Set(sweeps).size, sweeps.length);
  });

  it("goes round the matrices of a model that is smaller than its sweeps together", () => {
    const two = choose({ 1: 4, 2: 1, 4: 3, 8: 3 }, [matrix(0), matrix(1)]);
    assert.equal(two.streams, 2);
    assert.equal(two.read.filter((address) => address === 1).length, 8);
  });

  it("asks for no more groups than a matrix has", () => {
    const few: StreamedMatrix = { ...matrix(2), address: 2, strips: 32 };
    const { read } = choose({ 1: 4, 2: 3, 4: 3, 8: 3 }, [few, matrix(0), matrix(1), matrix(3)]);
    assert.equal(read[0], few.address);
  });

  it("reads nothing of a model that second caches hold", () => {
    for (const matrices of [[matrix(0)], []]) {
      const { streams, read } = choose({ 1: 4, 2: 1, 4: 1, 8: 1 }, matrices);
      assert.equal(streams, 1);
      assert.deepEqual(read, []);
    }
  });
});
