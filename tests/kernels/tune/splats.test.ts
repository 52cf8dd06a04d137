// The choice of how activations are splatted, on kernels that only count and a clock that they move.
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { DOT_MOVED, DOT_UNSIGNED, WEIGHT_Q4K, WEIGHT_Q8 } from "../../../assembly/layout/blocks.ts";
import type { KernelExports } from "../../../src/kernels/exports.gen.ts";
import { measureSplats, splatCodes } from "../../../src/kernels/tune/splats.ts";
import type { StreamedMatrix } from "../../../src/kernels/tune/streams.ts";

const matrix = (code: number, strips = 4096): StreamedMatrix => ({
  address: 64,
  format: { code, tileBytes: 74 },
  strips,
  blocks: 64,
});

/** What is chosen where a call takes `loads` or `shuffles` milliseconds, and how many calls there were. */
function choose(
  { loads, shuffles }: { loads: number; shuffles: number },
  matrices = [matrix(WEIGHT_Q8), matrix(WEIGHT_Q4K)],
  dot = DOT_MOVED,
) {
  let time = 0;
  let code = -1;
  let calls = 0;
  const matmul = (...args: number[]) => {
    const [format, end, tokens] = [args[0], args[9], args[12]];
    assert.deepEqual([format, end, tokens], [WEIGHT_Q4K, 1, 8]);
    calls++;
    time += code === splatCodes.loads ? loads : shuffles;
  };
  const splats = measureSplats(
    { matmul } as unknown as KernelExports,
    matrices,
    { x: 0, out: 0, scratch: 0 },
    dot,
    (next) => {
      code = next;
    },
    () => time,
  );
  return { splats, calls };
}

describe("measureSplats()", () => {
  it("takes what takes less time, and loads where nothing tells them apart", () => {
    assert.equal(choose({ loads: 1, shuffles: 0.9 }).splats, "shuffles");
    assert.equal(choose({ loads: 0.9, shuffles: 1 }).splats, "loads");
    assert.equal(choose({ loads: 1, shuffles: 0.99 }).splats, "loads");
  });

  it("takes loads, after some calls, where the clock stands still", () => {
    const { splats, calls } = choose({ loads: 0, shuffles: 0 });
    assert.equal(splats, "loads");
    assert.ok(calls > 0 && calls < 1000, `${calls} calls`);
  });

  it("measures nothing where it makes no difference", () => {
    const faster = { loads: 1, shuffles: 0.5 };
    for (const none of [
      choose(faster, [matrix(WEIGHT_Q8)]),
      choose(faster, [matrix(WEIGHT_Q4K, 64)]),
      choose(faster, [matrix(WEIGHT_Q4K)], DOT_UNSIGNED),
    ]) {
      assert.deepEqual(none, { splats: "loads", calls: 0 });
    }
  });
});
