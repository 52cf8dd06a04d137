// BatchNorm of benchmarks against its definition.
import assert from "node:assert/strict";
import { it } from "node:test";
import { batchNorm } from "../../bench/claims/norms.ts";
import { KernelBench, randomF32 } from "../support/kernels.ts";

it("batchnorm_f32() scales and shifts each channel, for one vector and for several", async () => {
  const bench = await KernelBench.create("simd");
  const { batchnorm_f32 } = batchNorm(bench.memory);
  for (const n of [0, 4, 12, 288]) {
    const [x, scale, shift] = [1, 2, 3].map((seed) => randomF32(n, seed)) as [
      Float32Array,
      Float32Array,
      Float32Array,
    ];
    const out = bench.alloc(4 * n + 16);
    batchnorm_f32(bench.put(x), bench.put(scale), bench.put(shift), out, n);
    const expected = x.map((value, i) => Math.fround(value * (scale[i] as number)) + (shift[i] as number));
    assert.deepEqual(bench.f32(out, n), expected);
    assert.ok(bench.u8(out + 4 * n, 16).every((byte) => byte === 0xff));
  }
});
