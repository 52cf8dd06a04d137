// The quantizer's module beside plain TypeScript, bit for bit.
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { sizes, text } from "../../src/convert/quantize.gen.ts";
import { tensorType } from "../../src/convert/type_mix.ts";
import { moduleBytes } from "../../src/kernels/packed_modules.ts";
import { quantized, quantizers } from "../reference/quantizers.ts";
import { encodeTensor } from "../support/gguf_writer.ts";
import { randomF32, uniform } from "../support/kernels.ts";

interface Exports {
  readonly memory: WebAssembly.Memory;
  begin(): number;
  encode(type: number, x: number, n: number, out: number): number;
  average(...args: number[]): void;
}

const GUARD = 0xa5;
const kernels = new WebAssembly.Instance(new WebAssembly.Module(moduleBytes(text, sizes)), {
  env: { abort() {} },
}).exports as unknown as Exports;
kernels.memory.grow(16);

/** What encode() writes, and returns; nothing else may be written. */
function encode(type: string, x: Float32Array): { code: number; bytes: Uint8Array } {
  const { code, blockCols, blockBytes } = tensorType(type);
  const memory = new Uint8Array(kernels.memory.buffer);
  const src = kernels.begin();
  const out = src + Math.ceil(x.byteLength / 16) * 16 + 64;
  const bytes = (x.length / blockCols) * blockBytes;
  memory.fill(GUARD, src + x.byteLength, out + bytes + 64);
  memory.set(new Uint8Array(x.buffer, x.byteOffset, x.byteLength), src);
  const result = kernels.encode(code, src, x.length, out);
  assert.ok(
    memory.subarray(out - 64, out).every((byte) => byte === GUARD),
    `${type} writes before`,
  );
  assert.ok(
    memory.subarray(out + bytes, out + bytes + 64).every((byte) => byte === GUARD),
    `${type} writes behind`,
  );
  return { code: result, bytes: memory.slice(out, out + bytes) };
}

/** Values as weights have them: most of them small, a few large. */
function weights(n: number, seed: number, scale: number): Float32Array {
  const random = uniform(seed);
  const next = () => random(0, 1);
  return Float32Array.from(
    { length: n },
    () => scale * (next() + next() + next() - 1.5) * (next() < 0.02 ? 8 : 1),
  );
}

const N = 7 * 256;

const cases: Readonly<Record<string, (i: number) => number>> = {
  zeros: () => 0,
  "negative zeros": () => -0,
  "zeros of both signs": (i) => (i % 3 === 0 ? -0 : 0),
  "equal values": () => 0.7,
  "equal negative values": () => -0.7,
  "one value among zeros": (i) => (i % 256 === 37 ? -3 : 0),
  "only positive values": (i) => 0.1 + (i % 29) / 7,
  "only negative values": (i) => -0.1 - (i % 31) / 7,
  "halves between integers": (i) => ((i % 255) - 127) / 2,
  "values of both extremes": (i) => (i % 2 === 0 ? 5 : -5),
  subnormals: (i) => ((i % 17) - 8) * 1e-41,
  "values near the least": (i) => ((i % 17) - 8) * 1.4e-45,
  "scales that are subnormal halves": (i) => ((i % 19) - 9) * 1e-7,
  "values around the limit of groups": (i) => ((i % 13) - 6) * 3e-16,
  "groups of other sizes": (i) => Math.sin(i * i) * 10 ** ((Math.floor(i / 16) % 9) - 6),
  "large values": (i) => ((i % 23) - 11) * 5000,
};

describe("encode()", () => {
  for (const type of Object.keys(quantizers)) {
    it(`writes ${type} as plain TypeScript does, for values like weights`, () => {
      for (const [seed, scale] of [0.02, 1, 30, 1e-4].entries()) {
        const x = weights(N, seed + 1, scale);
        assert.deepEqual(encode(type, x), { code: 0, bytes: quantized(type, x) }, `scale ${scale}`);
      }
      const x = randomF32(256, 9, -1, 1);
      assert.deepEqual(encode(type, x).bytes, quantized(type, x), "one block of 256");
    });

    it(`writes ${type} as plain TypeScript does, for special values`, () => {
      for (const [name, value] of Object.entries(cases)) {
        const x = Float32Array.from({ length: N }, (_, i) => value(i));
        assert.deepEqual(encode(type, x), { code: 0, bytes: quantized(type, x) }, name);
      }
    });

    it(`refuses NaN, infinity and scales too large for ${type}`, () => {
      for (const bad of [Number.NaN, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY]) {
        for (const i of [0, 3, 255]) {
          const x = weights(256, 3, 1);
          x[i] = bad;
          assert.equal(encode(type, x).code, 1, `${bad} at ${i}`);
        }
      }
      const x = Float32Array.from({ length: 256 }, (_, i) => (i - 128) * 1e36);
      assert.equal(encode(type, x).code, 2);
      assert.equal(encode(type, weights(256, 3, 1)).code, 0, "after a refusal");
    });
  }

  it("quantizes tails of fewer blocks than are done at once", () => {
    for (const type of ["Q8_0", "Q4_0", "Q4_1", "Q5_0", "Q5_1", "IQ4_NL"]) {
      for (const blocks of [1, 2, 3, 5, 6]) {
        const x = weights(32 * blocks, blocks, 1);
        assert.deepEqual(encode(type, x).bytes, quantized(type, x), `${type}, ${blocks} blocks`);
      }
    }
  });

  it("rounds to F16 and BF16 as IEEE does, any count", () => {
    for (const type of ["F16", "BF16", "F32"]) {
      for (const n of [1, 2, 3, 4, 5, 17, 300]) {
        const x = Float32Array.from({ length: n }, (_, i) => Math.sin(i) * 10 ** ((i % 11) - 8));
        assert.deepEqual(encode(type, x), { code: 0, bytes: encodeTensor(type, x) }, `${type}, ${n} values`);
      }
    }
    assert.equal(encode("F16", Float32Array.of(65519.996)).code, 0);
    assert.equal(encode("F16", Float32Array.of(0, 65520)).code, 2);
    assert.equal(encode("BF16", Float32Array.of(3.4e38)).code, 2);
    assert.equal(encode("F16", Float32Array.of(0, 0, 0, 0, Number.NaN)).code, 1);
  });
});

describe("average()", () => {
  it("adds the rows of heads up in their order, and divides", () => {
    const [headRows, cols, heads] = [6, 5, 3];
    const x = weights(heads * headRows * cols, 4, 1);
    const src = kernels.begin();
    const out = src + Math.ceil(x.byteLength / 16) * 16;
    const scratch = out + 4 * headRows * cols + 64;
    new Uint8Array(kernels.memory.buffer).set(new Uint8Array(x.buffer), src);
    kernels.average(0, src, 4 * cols, headRows, cols, heads, 4 * headRows * cols, out, scratch);
    const got = new Float32Array(kernels.memory.buffer.slice(out, out + 4 * headRows * cols));
    const value = (head: number, i: number) => x[head * headRows * cols + i] as number;
    const { fround } = Math;
    const mean = (i: number) => fround(fround(fround(value(0, i) + value(1, i)) + value(2, i)) / 3);
    assert.deepEqual(
      got,
      Float32Array.from({ length: headRows * cols }, (_, i) => mean(i)),
    );
  });
});
