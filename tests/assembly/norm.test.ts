// rmsnorm_f32() and layernorm_f32() against their twins.
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { layernorm, rmsnorm } from "../reference/norm.ts";
import { type KernelBench, nmse, randomF32 } from "../support/kernels.ts";
import { assertSameBytes, f32OnEveryVariant, onEveryVariant, variantBenches } from "../support/variants.ts";

const SIZES = [1, 2, 3, 4, 5, 6, 7, 8, 9, 12, 31, 32, 33, 64, 172, 288, 1023];
// ggml's test-backend-ops asks for 1e-7; f32 arithmetic in a sensible order does far better.
const LIMIT = 1e-12;
const EPS = 1e-5;

const benches = await variantBenches(1 << 20);

/** Copies values behind one more element, so that the row has f32 alignment and no better. */
function putRow(bench: KernelBench, values: Float32Array): number {
  return bench.put(Float32Array.from([Number.NaN, ...values])) + 4;
}

interface Norm {
  readonly name: string;
  run(bench: KernelBench, x: number, weight: number, bias: number, out: number, n: number): void;
  twin(x: Float32Array, weight: Float32Array, bias: Float32Array): Float64Array;
}

const norms: Norm[] = [
  {
    name: "rmsnorm_f32",
    run: ({ kernels }, x, weight, _bias, out, n) => kernels.rmsnorm_f32(x, weight, out, n, EPS),
    twin: (x, weight) => rmsnorm(x, weight, Math.fround(EPS)),
  },
  {
    name: "layernorm_f32",
    run: ({ kernels }, x, weight, bias, out, n) => kernels.layernorm_f32(x, weight, bias, out, n, EPS),
    twin: (x, weight, bias) => layernorm(x, weight, bias, Math.fround(EPS)),
  },
  {
    name: "layernorm_f32 without bias",
    run: ({ kernels }, x, weight, _bias, out, n) => kernels.layernorm_f32(x, weight, 0, out, n, EPS),
    twin: (x, weight) => layernorm(x, weight, new Float32Array(x.length), Math.fround(EPS)),
  },
];

function normalise(norm: Norm, x: Float32Array, weight: Float32Array, bias: Float32Array, inPlace = false) {
  return f32OnEveryVariant(benches, (bench) => {
    const n = x.length;
    const xPtr = putRow(bench, x);
    const out = inPlace ? xPtr : bench.alloc(4 * n + 4) + 4;
    norm.run(bench, xPtr, putRow(bench, weight), putRow(bench, bias), out, n);
    return bench.f32(out, n);
  });
}

for (const norm of norms) {
  describe(norm.name, () => {
    it("agrees with its twin for whole vectors and tails", () => {
      for (const n of SIZES) {
        const x = randomF32(n, n, -10, 10);
        const weight = randomF32(n, n + 1);
        const bias = randomF32(n, n + 2);
        const actual = normalise(norm, x, weight, bias);
        const error = nmse(actual, norm.twin(x, weight, bias));
        assert.ok(error <= LIMIT, `n = ${n}: NMSE ${error}`);
      }
    });

    it("gives the same bits in place", () => {
      for (const n of [3, 33]) {
        const [x, weight, bias] = [randomF32(n, 3, -10, 10), randomF32(n, 4), randomF32(n, 5)];
        assert.deepEqual(normalise(norm, x, weight, bias, true), normalise(norm, x, weight, bias));
      }
    });

    it("writes nothing for n = 0", () => {
      const bytes = onEveryVariant(benches, (bench) => {
        const [x, w, b, out] = [bench.alloc(16), bench.alloc(16), bench.alloc(16), bench.alloc(16)];
        norm.run(bench, x, w, b, out, 0);
        return bench.u8(out, 16);
      });
      assertSameBytes(bytes, new Uint8Array(16).fill(0xff), "out");
    });

    it("stands rows of zeros, and tiny and huge ones", () => {
      for (const scale of [0, 1e-35, 1e-5, 1e15, 1e30]) {
        const x = randomF32(37, 6).map((v) => v * scale);
        const [weight, bias] = [randomF32(37, 7), randomF32(37, 8)];
        const actual = normalise(norm, x, weight, bias);
        const error = nmse(actual, norm.twin(x, weight, bias));
        assert.ok(error <= LIMIT, `scale ${scale}: NMSE ${error}`);
      }
    });

    it("gives NaN for a row with a NaN, wherever it is", () => {
      for (let at = 0; at < 7; at++) {
        const x = randomF32(7, 9);
        x[at] = Number.NaN;
        for (const { bench } of benches) {
          bench.reset();
          const out = bench.put(new Float32Array(7));
          const [xPtr, w, b] = [
            putRow(bench, x),
            putRow(bench, randomF32(7, 1)),
            putRow(bench, randomF32(7, 2)),
          ];
          norm.run(bench, xPtr, w, b, out, 7);
          assert.ok(bench.f32(out, 7).every(Number.isNaN), `NaN at ${at}`);
        }
      }
    });
  });
}

describe("layernorm_f32", () => {
  it("keeps its precision far from zero", () => {
    const x = randomF32(288, 10).map((v) => v + 1000);
    const ones = new Float32Array(288).fill(1);
    const zeros = new Float32Array(288);
    const actual = normalise(norms[1] as Norm, x, ones, zeros);
    const error = nmse(actual, layernorm(x, ones, zeros, Math.fround(EPS)));
    assert.ok(error <= 1e-7, `NMSE ${error}`);
  });
});
