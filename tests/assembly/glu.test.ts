// glu_f32() against its twin.
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { clampedGlu } from "../reference/experts.ts";
import { gluKinds } from "../reference/glu.ts";
import { type KernelBench, nmse, randomF32 } from "../support/kernels.ts";
import { assertSameBytes, f32OnEveryVariant, onEveryVariant, variantBenches } from "../support/variants.ts";

const SIZES = [1, 2, 3, 4, 5, 7, 8, 9, 12, 31, 32, 33, 172, 768];
// ggml's test-backend-ops asks for 1e-7.
const LIMIT = 1e-12;

const benches = await variantBenches(1 << 20);

/** Copies values behind one more element, so that the row has f32 alignment and no better. */
function putRow(bench: KernelBench, values: Float32Array): number {
  return bench.put(Float32Array.from([Number.NaN, ...values])) + 4;
}

for (const { name, kind, gated, apply } of gluKinds) {
  const run = (gate: Float32Array, up: Float32Array, target: "out" | "gate" | "up" = "out") =>
    f32OnEveryVariant(benches, (bench) => {
      const gatePtr = putRow(bench, gate);
      const upPtr = putRow(bench, up);
      const out = { out: bench.alloc(4 * gate.length + 4) + 4, gate: gatePtr, up: upPtr }[target];
      bench.kernels.glu_f32(kind, gatePtr, upPtr, out, gate.length);
      return bench.f32(out, gate.length);
    });
  const expected = (gate: Float32Array, up: Float32Array) =>
    Float64Array.from(gate, (g, i) => apply(g, up[i] as number));

  describe(`glu_f32() ${name}`, () => {
    it("agrees with its twin for whole vectors and tails", () => {
      for (const range of [150, 3]) {
        for (const n of SIZES) {
          const gate = randomF32(n, n, -range, range);
          // At least one result that is not nearly zero, to measure the error by.
          gate[n - 1] = range;
          const up = randomF32(n, n + 1, -150, 150);
          const error = nmse(run(gate, up), expected(gate, up));
          assert.ok(error <= LIMIT, `n = ${n}: NMSE ${error}`);
        }
      }
    });

    it("agrees with its twin value by value", () => {
      const gate = Float32Array.from({ length: 801 }, (_, i) => (i - 400) / 20);
      const up = new Float32Array(801).fill(1);
      const actual = run(gate, up);
      expected(gate, up).forEach((e, i) => {
        const error = Math.abs((actual[i] as number) - e);
        assert.ok(
          error <= 1e-6 * Math.max(1, Math.abs(e)),
          `${name}(${gate[i]}) is ${actual[i]}, expected ${e}`,
        );
      });
    });

    it("gives the same bits over gate and over up", () => {
      const gate = randomF32(33, 1, -5, 5);
      const up = randomF32(33, 2);
      assert.deepEqual(run(gate, up, "gate"), run(gate, up));
      assert.deepEqual(run(gate, up, "up"), run(gate, up));
    });

    it("writes nothing for n = 0", () => {
      const bytes = onEveryVariant(benches, (bench) => {
        const out = bench.alloc(16);
        bench.kernels.glu_f32(kind, bench.alloc(16), bench.alloc(16), out, 0);
        return bench.u8(out, 16);
      });
      assertSameBytes(bytes, new Uint8Array(16).fill(0xff), "out");
    });

    it("stands zeros, tiny and huge values, and keeps NaN", () => {
      const gate = Float32Array.from([0, -0, 1e-35, -1e-35, 100, -100, 1e30, -1e30]);
      const up = new Float32Array(8).fill(0.5);
      const actual = run(gate, up);
      expected(gate, up).forEach((e, i) => {
        const error = Math.abs((actual[i] as number) - e);
        assert.ok(error <= 1e-6 * Math.abs(e) + 1e-8, `${name}(${gate[i]}) is ${actual[i]}, expected ${e}`);
      });
      for (const { bench } of benches) {
        bench.reset();
        const out = bench.put(new Float32Array(5));
        const nan = bench.put(new Float32Array(5).fill(Number.NaN));
        bench.kernels.glu_f32(kind, nan, bench.put(new Float32Array(5).fill(1)), out, 5);
        assert.ok(bench.f32(out, 5).every(Number.isNaN));
      }
    });

    it(gated ? "multiplies by up" : "does not read up", () => {
      const gate = randomF32(6, 3, 1, 5);
      const ones = new Float32Array(6).fill(1);
      const zeros = run(gate, new Float32Array(6));
      if (gated) assert.ok(zeros.every((v) => v === 0));
      else assert.deepEqual(zeros, run(gate, ones));
    });
  });
}

describe("clamped_glu_f32()", () => {
  const LIMITS = [0.5, 7];
  const ALPHA = 1.702;
  const run = (limit: number, gate: Float32Array, up: Float32Array, target: "out" | "gate" | "up" = "out") =>
    f32OnEveryVariant(benches, (bench) => {
      const gatePtr = putRow(bench, gate);
      const upPtr = putRow(bench, up);
      const out = { out: bench.alloc(4 * gate.length + 4) + 4, gate: gatePtr, up: upPtr }[target];
      bench.kernels.clamped_glu_f32(limit, ALPHA, gatePtr, upPtr, out, gate.length);
      return bench.f32(out, gate.length);
    });

  it("agrees with its twin for whole vectors and tails, within the limits and beyond", () => {
    for (const limit of LIMITS) {
      for (const n of SIZES) {
        const gate = randomF32(n, n, -3 * limit, 3 * limit);
        const up = randomF32(n, n + 1, -3 * limit, 3 * limit);
        gate[n - 1] = 2 * limit;
        up[n - 1] = 2 * limit;
        const expected = gate.map((g, i) => clampedGlu(g, up[i] as number, limit, ALPHA));
        const error = nmse(run(limit, gate, up), expected);
        assert.ok(error <= LIMIT, `limit ${limit}, n = ${n}: NMSE ${error}`);
      }
    }
  });

  it("gives the same bits over gate and over up, and keeps NaN", () => {
    const gate = randomF32(33, 1, -9, 9);
    const up = randomF32(33, 2, -9, 9);
    assert.deepEqual(run(7, gate, up, "gate"), run(7, gate, up));
    assert.deepEqual(run(7, gate, up, "up"), run(7, gate, up));
    gate[3] = Number.NaN;
    up[30] = Number.NaN;
    const found = run(7, gate, up);
    assert.deepEqual(
      [...found.keys()].filter((i) => Number.isNaN(found[i])),
      [3, 30],
    );
  });
});
