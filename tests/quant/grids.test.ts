// The grids of the IQ types.
import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { describe, it } from "node:test";
import { fileTypes, type GridName } from "../../src/quant/file_types.ts";
import { gridPoints } from "../../src/quant/grids.ts";
import { itShared, sharedJson } from "../support/shared.ts";

/** Points, values of a point, what its values are times, and the first digits of the SHA-256 of its int8 values. */
const grids: Record<GridName, readonly [number, number, number, string]> = {
  iq1: [2048, 8, 8, "ce14cc6490491fa1"],
  iq2_xxs: [256, 8, 1, "05826b5d3e472a3a"],
  iq2_xs: [512, 8, 1, "06e47aaca60b4dc1"],
  iq2_s: [1024, 8, 1, "e1aa1473412b0552"],
  iq3_xxs: [256, 4, 1, "46e35f5a997efdee"],
  iq3_s: [512, 4, 1, "bd1af4945a1717c6"],
};
const names = Object.keys(grids) as GridName[];

describe("gridPoints()", () => {
  it("gives points in ascending order, each once", () => {
    for (const name of names) {
      const [points, size] = grids[name];
      const values = gridPoints(name);
      assert.equal(values.length, points * size, name);
      let before = -1n;
      for (let at = 0; at < values.length; at += size) {
        // The last value counts most.
        const point = [...values.subarray(at, at + size)].reverse();
        const place = point.reduce((sum, value) => 256n * sum + BigInt(value + 128), 0n);
        assert.ok(place > before, `${name}: point ${at / size}`);
        before = place;
      }
    }
  });

  it("has not changed", () => {
    for (const name of names) {
      const digest = createHash("sha256").update(gridPoints(name)).digest("hex");
      assert.equal(digest.slice(0, 16), grids[name][3], name);
    }
  });

  it("has what types need, and no more", () => {
    const needed = new Set([...fileTypes.values()].flatMap(({ grid }) => grid ?? []));
    assert.deepEqual([...needed].sort(), [...names].sort());
  });

  const codebooks = "models/micro/quant/blocks/codebooks.json";
  itShared([codebooks], "gives native's points", () => {
    const native = sharedJson<Record<string, readonly (readonly number[])[]>>(codebooks);
    for (const name of names) {
      const factor = grids[name][2];
      const expected = (native[name] as readonly (readonly number[])[]).flat().map((v) => factor * v);
      assert.deepEqual([...gridPoints(name)], expected, name);
    }
  });
});
