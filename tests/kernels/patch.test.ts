// Patches of modules: what is rebuilt is what was built.
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { applyPatch } from "../../src/kernels/patch.ts";

// The other half, which the build uses, is no TypeScript.
const { makePatch } = await import(new URL("../../scripts/patch.mjs", import.meta.url).href);

/** Deterministic bytes below `range`. */
function someBytes(n: number, range: number, seed: number): Buffer {
  let state = seed;
  return Buffer.from(
    Array.from({ length: n }, () => {
      state = (Math.imul(state, 1103515245) + 12345) >>> 0;
      return (state >>> 8) % range;
    }),
  );
}

function checkRoundTrip(base: Buffer, target: Buffer): Buffer {
  const patch = makePatch(base, target);
  assert.deepEqual(Buffer.from(applyPatch(base, patch)), target);
  return patch;
}

describe("applyPatch()", () => {
  it("rebuilds targets of any size from bases of any size", () => {
    for (const n of [0, 1, 5, 6, 7, 127, 128, 129, 1000, 20_000]) {
      for (const m of [0, 1, 6, 500, 17_000]) {
        for (const range of [2, 256]) checkRoundTrip(someBytes(m, range, 1), someBytes(n, range, 2));
      }
    }
  });

  it("rebuilds edited copies from small patches", () => {
    const base = someBytes(30_000, 256, 3);
    const edits: Record<string, Buffer> = {
      none: base,
      "a byte changed": Buffer.from(base.map((byte, i) => (i === 12_345 ? byte ^ 1 : byte))),
      "bytes put in": Buffer.concat([base.subarray(0, 99), Buffer.from("new bytes"), base.subarray(99)]),
      "bytes left out": Buffer.concat([base.subarray(0, 20_000), base.subarray(20_500)]),
      "halves swapped": Buffer.concat([base.subarray(15_000), base.subarray(0, 15_000)]),
      "changed at both ends": Buffer.concat([Buffer.from("x"), base.subarray(1, -1), Buffer.from("y")]),
    };
    for (const [name, target] of Object.entries(edits)) {
      const patch = checkRoundTrip(base, target);
      assert.ok(patch.length < 40, `${name}: ${patch.length} bytes`);
    }
  });

  it("rebuilds a target that only repeats a part of the base", () => {
    checkRoundTrip(someBytes(100, 256, 4), Buffer.concat(Array(50).fill(someBytes(100, 256, 4))));
  });
});
