// The tables of rotary frequencies: published values, formulas in f64, and what tables are shared.
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { createInstance, reserveMemory } from "../../../src/kernels/instance.ts";
import { compileVariant } from "../../../src/kernels/variant.ts";
import {
  distinctRopes,
  type RopeSpec,
  ropeTable,
  scoreGrowth,
  writeFrequencies,
} from "../../../src/model/rope.ts";
import { ntkTheta } from "../../../src/util/ntk.ts";
import { dynamicFreqs, ropeFreqs, yarnFreqs } from "../../reference/rope.ts";
import { itShared, sharedJson } from "../../support/shared.ts";

const { memory } = reserveMemory(1 << 20, false, 1 << 20);
const kernel = await createInstance(compileVariant("simd"), memory);
const AT = 1 << 19;

/** The frequencies of a rotation, and what cosines and sines are multiplied by. */
function tableOf(rope: RopeSpec, factors: Record<string, number[]> = {}, contextLength = 128) {
  const addresses: Record<string, { address: number }> = {};
  let at = AT + 4096;
  for (const [name, values] of Object.entries(factors)) {
    new Float32Array(memory.buffer, at, values.length).set(values);
    addresses[name] = { address: at };
    at += 4096;
  }
  writeFrequencies({ ...kernel, memory }, [{ rope, freqs: AT, angles: 0 }], addresses, contextLength);
  const values = new Float32Array(memory.buffer, AT, rope.dim / 2 + 1).slice();
  return { freqs: values.subarray(0, -1), growth: values.at(-1) as number };
}

function assertNear(actual: ArrayLike<number>, expected: ArrayLike<number>, most: number, what: string) {
  assert.equal(actual.length, expected.length, what);
  for (let i = 0; i < actual.length; i++) {
    const [a, e] = [actual[i] as number, expected[i] as number];
    assert.ok(Math.abs(a - e) <= most * Math.abs(e), `${what}, pair ${i}: ${a}, expected ${e}`);
  }
}

const plain: RopeSpec = { pairing: "halves", dim: 128, theta: 10000, scale: 1 };
const yarn = { context: 2048, fast: 32, slow: 1, logMultiplier: 0 };

interface Published {
  readonly type: string;
  readonly attention: number;
  readonly inv_freq: readonly number[];
  readonly factor: number;
  readonly seq_len: number;
}

describe("frequencies", () => {
  itShared(["conformance/rope_scaling.json"], "are the published ones, in every case there is", () => {
    const { cases } = sharedJson<{ cases: readonly Published[] }>("conformance/rope_scaling.json");
    assert.deepEqual(
      cases.map(({ type }) => type),
      ["default", "dynamic", "yarn", "llama3"],
    );
    for (const { type, attention, inv_freq: expected, factor, seq_len: length } of cases) {
      const grown = (factor * length) / 2048 - (factor - 1);
      const ropes: Record<string, RopeSpec> = {
        default: plain,
        dynamic: { ...plain, theta: ntkTheta(10000, 128, grown) },
        yarn: { ...plain, scale: factor, yarn },
        llama3: { ...plain, factors: "optional" },
      };
      const factors: Record<string, number[]> =
        type === "llama3" ? { ropeFactors: llama3Factors(factor) } : {};
      const { freqs, growth } = tableOf(ropes[type] as RopeSpec, factors);
      // They have five digits.
      assertNear(freqs, expected, 6e-5, type);
      assertNear([growth], [attention], 1e-7, type);
    }
  });

  it("follow the formulas, whatever the numbers", () => {
    for (const [dim, theta, factor] of [
      [2, 10000, 4],
      [4, 10000, 4],
      [6, 500000, 1.5],
      [64, 1e6, 8],
      [128, 150000, 32],
    ] as const) {
      const rope = { ...plain, dim, theta };
      const freqs = ropeFreqs(theta, dim);
      assertNear(
        tableOf({ ...rope, scale: factor }).freqs,
        freqs.map((f) => f / factor),
        2e-7,
        "linear",
      );
      if (dim === 2) {
        assert.equal(ntkTheta(theta, dim, factor), theta);
        continue;
      }
      const context = 512;
      const dynamic = tableOf({ ...rope, theta: ntkTheta(theta, dim, factor * 3 - (factor - 1)) });
      const expected = dynamicFreqs(theta, dim, { factor, context, length: 3 * context });
      assertNear(dynamic.freqs, expected, 2e-7, "dynamic");
      for (const more of [
        {},
        { extrapolation: 0.5 },
        { fractional: true },
        { fast: 4, slow: 0.25, logMultiplier: 0.5 },
      ]) {
        const { fractional, ...others } = { fractional: false, ...more };
        const reference = yarnFreqs(theta, dim, { factor, context, truncate: !fractional, ...others });
        const table = tableOf({ ...rope, scale: factor, yarn: { ...yarn, context, ...more } });
        assertNear(table.freqs, reference.freqs, 3e-7, `yarn ${JSON.stringify(more)}`);
        assertNear([table.growth], [reference.growth], 1e-7, "growth");
      }
    }
  });

  it("of NTK turn the slowest pair by the factor, and the fastest as before", () => {
    const { freqs } = tableOf({ ...plain, theta: ntkTheta(10000, 128, 8) });
    const before = ropeFreqs(10000, 128);
    assert.equal(freqs[0], 1);
    assertNear([freqs[63] as number], [(before[63] as number) / 8], 2e-7, "slowest");
    assert.equal(ntkTheta(10000, 128, 1), 10000);
  });

  it("are divided by LongRoPE's long factors beyond the trained context, and by the short ones up to it", () => {
    const rope: RopeSpec = { ...plain, dim: 4, factors: { context: 64 }, growth: 1.25 };
    const factors = { longFactors: [2, 8], shortFactors: [1, 0.5], ropeFactors: [100, 100] };
    for (const [context, expected] of [
      [1, [1, 0.02]],
      [64, [1, 0.02]],
      [65, [0.5, 0.00125]],
      [4096, [0.5, 0.00125]],
    ] as const) {
      const { freqs, growth } = tableOf(rope, factors, context);
      assertNear(freqs, expected, 2e-7, `context ${context}`);
      assert.equal(growth, 1.25);
    }
  });

  it("grow by the factor of the file, YaRN's own, or neither", () => {
    const grown = 1 + 0.1 * Math.log(8);
    const scaled = { ...plain, scale: 8 };
    const growth = (rope: RopeSpec) => tableOf(rope).growth;
    assert.equal(growth(plain), 1);
    assert.equal(growth({ ...scaled, growth: 1.5 }), 1.5);
    assertNear([growth({ ...scaled, yarn })], [grown], 1e-7, "yarn");
    assertNear([growth({ ...scaled, yarn, growth: 1.2 })], [1.2 * grown], 1e-7, "both");
    // A multiplier of 1 takes all of it off.
    assert.equal(growth({ ...scaled, yarn: { ...yarn, logMultiplier: 1 } }), 1);
  });

  it("leave the growth to the scores in DeepSeek's way", () => {
    const inScores = { ...yarn, logMultiplier: 0.75, inScores: true };
    const rope = { ...plain, scale: 40, yarn: inScores };
    assert.equal(tableOf(rope).growth, 1);
    const expected = (1 + 0.075 * Math.log(40)) ** 2;
    assertNear([scoreGrowth(rope)], [expected], 1e-14, "scores");
    assertNear([scoreGrowth({ ...rope, growth: 1.1 })], [1.21 * expected], 1e-14, "scores");
    // Without a multiplier there is nothing to leave.
    const without = { ...rope, yarn: { ...inScores, logMultiplier: 0 } };
    assertNear([tableOf(without).growth], [1 + 0.1 * Math.log(40)], 1e-7, "rotation");
    assert.deepEqual(
      [without, { ...rope, yarn: { ...yarn, logMultiplier: 0.75 } }, plain, undefined].map(scoreGrowth),
      [1, 1, 1, 1],
    );
  });
});

describe("tables", () => {
  it("are shared by rotations with the same angles, and by no others", () => {
    const same: RopeSpec = { ...plain, pairing: "adjacent", yarn: undefined as never };
    const others: RopeSpec[] = [
      { ...plain, dim: 64 },
      { ...plain, theta: 500000 },
      { ...plain, scale: 2 },
      { ...plain, scale: 2, yarn },
      { ...plain, scale: 2, yarn: { ...yarn, fast: 16 } },
      { ...plain, growth: 1.5 },
      { ...plain, factors: "optional" },
      { ...plain, factors: { context: 64 } },
      { ...plain, factors: { context: 65 } },
    ];
    const equal = others.map((rope) => structuredClone(rope));
    assert.deepEqual(distinctRopes([plain, undefined, same, ...others, ...equal, plain]), [plain, ...others]);
    const tables = [plain, ...others].map((rope, i) => ({ rope, freqs: i, angles: i }));
    assert.equal(ropeTable(tables, same).freqs, 0);
    for (const [i, rope] of equal.entries()) assert.equal(ropeTable(tables, rope).freqs, i + 1);
  });
});

/** The published formula (huggingface/transformers, llama3), for the file's low, high and original context. */
function llama3Factors(factor: number): number[] {
  return Array.from({ length: 64 }, (_, i) => {
    const wavelength = 2 * Math.PI * 10000 ** (i / 64);
    const smooth = Math.min(1, Math.max(0, (2048 / wavelength - 1) / (4 - 1)));
    return 1 / ((1 - smooth) / factor + smooth);
  });
}
