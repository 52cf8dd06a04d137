// Rotary embeddings against their twins.
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { ropeAdjacent, ropeFreqs, ropeHalves } from "../reference/rope.ts";
import { type KernelBench, nmse, randomF32 } from "../support/kernels.ts";
import { assertSameBytes, f32OnEveryVariant, onEveryVariant, variantBenches } from "../support/variants.ts";

const DIMS = [2, 4, 6, 8, 10, 12, 14, 32, 64, 128];
const POSITIONS = [0, 1, 2, 511, 131071];
// ggml's test-backend-ops asks for 1e-7.
const LIMIT = 1e-12;

const benches = await variantBenches(1 << 20);

function freqsOf(theta: number, dim: number): Float32Array {
  return f32OnEveryVariant(benches, (bench) => {
    const out = bench.alloc(2 * dim);
    bench.kernels.rope_freqs(theta, dim, out);
    return bench.f32(out, dim / 2);
  });
}

describe("rope_freqs()", () => {
  it("gives theta^(-2i/dim), rounded once", () => {
    for (const theta of [1, 10000, 500000, 1e6]) {
      for (const dim of DIMS) {
        const expected = ropeFreqs(theta, dim);
        freqsOf(theta, dim).forEach((freq, i) => {
          const e = expected[i] as number;
          assert.ok(
            Math.abs(freq - e) <= 6e-8 * e,
            `theta ${theta}, dim ${dim}, ${i}: ${freq}, expected ${e}`,
          );
        });
        assert.equal(freqsOf(theta, dim)[0], 1);
      }
    }
  });

  it("writes nothing for dim = 0", () => {
    const bytes = onEveryVariant(benches, (bench) => {
      const out = bench.alloc(16);
      bench.kernels.rope_freqs(10000, 0, out);
      return bench.u8(out, 16);
    });
    assertSameBytes(bytes, new Uint8Array(16).fill(0xff), "out");
  });
});

describe("rope_angles()", () => {
  it("gives cosine and sine of every angle, rounded once", () => {
    for (const half of [0, 1, 2, 3, 4, 5, 32]) {
      for (const pos of POSITIONS) {
        const freqs = Float32Array.from(ropeFreqs(10000, 2 * half));
        const angles = f32OnEveryVariant(benches, (bench) => {
          const out = bench.alloc(8 * half);
          bench.kernels.rope_angles(bench.put(freqs), pos, half, 1, out);
          return bench.f32(out, 2 * half);
        });
        freqs.forEach((freq, i) => {
          const [cos, sin] = [Math.cos(pos * freq), Math.sin(pos * freq)];
          assert.ok(Math.abs((angles[2 * i] as number) - cos) <= 6e-8, `cos: pos ${pos}, half ${half}, ${i}`);
          assert.ok(
            Math.abs((angles[2 * i + 1] as number) - sin) <= 6e-8,
            `sin: pos ${pos}, half ${half}, ${i}`,
          );
        });
      }
    }
  });
});

const pairings = [
  { name: "rope_adjacent_f32()", kernel: "rope_adjacent_f32", twin: ropeAdjacent },
  { name: "rope_halves_f32()", kernel: "rope_halves_f32", twin: ropeHalves },
] as const;

for (const { name, kernel, twin } of pairings) {
  // The row has f32 alignment and no better.
  const rotate = (bench: KernelBench, x: Float32Array, freqs: Float32Array, pos: number) => {
    const half = freqs.length;
    const angles = bench.alloc(8 * half);
    bench.kernels.rope_angles(bench.put(freqs), pos, half, 1, angles);
    const ptr = bench.put(Float32Array.from([Number.NaN, ...x])) + 4;
    bench.kernels[kernel](ptr, angles, half);
    return bench.f32(ptr, x.length);
  };

  describe(name, () => {
    it("agrees with its twin for every head size and position", () => {
      for (const dim of DIMS) {
        const freqs = freqsOf(10000, dim);
        for (const pos of POSITIONS) {
          const x = randomF32(dim, dim + pos);
          const actual = f32OnEveryVariant(benches, (bench) => rotate(bench, x, freqs, pos));
          const error = nmse(actual, twin(x, freqs, pos));
          assert.ok(error <= LIMIT, `dim ${dim}, pos ${pos}: NMSE ${error}`);
        }
      }
    });

    it("changes nothing at position 0", () => {
      for (const dim of DIMS) {
        const x = randomF32(dim, dim);
        assert.deepEqual(
          f32OnEveryVariant(benches, (bench) => rotate(bench, x, freqsOf1(dim), 0)),
          x,
        );
      }
    });

    it("leaves what lies behind the rotated part", () => {
      for (const dim of DIMS) {
        const x = randomF32(dim + 5, dim);
        const actual = f32OnEveryVariant(benches, (bench) => rotate(bench, x, freqsOf1(dim), 7));
        assert.deepEqual(actual.slice(dim), x.slice(dim));
        const error = nmse(actual.slice(0, dim), twin(x.slice(0, dim), freqsOf1(dim), 7));
        assert.ok(error <= LIMIT, `dim ${dim}: NMSE ${error}`);
      }
    });

    it("stands zeros, tiny and huge values", () => {
      for (const scale of [0, 1e-35, 1e30]) {
        const x = randomF32(14, 3).map((v) => v * scale);
        const actual = f32OnEveryVariant(benches, (bench) => rotate(bench, x, freqsOf1(14), 511));
        const error = nmse(actual, twin(x, freqsOf1(14), 511));
        assert.ok(error <= LIMIT, `scale ${scale}: NMSE ${error}`);
      }
    });

    it("does nothing for no pairs", () => {
      const x = randomF32(4, 4);
      const actual = f32OnEveryVariant(benches, (bench) => rotate(bench, x, new Float32Array(0), 5));
      assert.deepEqual(actual, x);
    });
  });
}

/** Frequencies that need no kernel. */
function freqsOf1(dim: number): Float32Array {
  return Float32Array.from(ropeFreqs(10000, dim));
}
