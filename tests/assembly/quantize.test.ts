// Activations as int8, alone and with others, and the errors that ggml allows.
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import {
  ACT_BLOCK_BYTES,
  ACT_SUMS,
  ACT_SUPER_BYTES,
  ACTS_BLOCK_BYTES,
  ACTS_SUPER_BYTES,
  ACTS_SUPER_MOST,
  SCALE_SHIFT,
  SUPER_COLS,
  WEIGHT_Q4,
  WEIGHT_Q8,
} from "../../assembly/layout/blocks.ts";
import { scaleFactor } from "../../src/model/plan/writer.ts";
import {
  activationIntegers,
  activationScale,
  blocksOfLane,
  decodeTiles,
  packedBytes,
  roundEven,
} from "../reference/quantize.ts";
import { storedRow, superLane, superRow } from "../reference/superblocks.ts";
import { type KernelBench, randomF32 } from "../support/kernels.ts";
import { packF32 } from "../support/packing.ts";
import { itOn, sharedJson } from "../support/shared.ts";
import { assertSameBytes, f32OnEveryVariant, onEveryVariant, variantBenches } from "../support/variants.ts";

const benches = await variantBenches(1 << 20);

/** quantize_q8, and quantize_q8x4 as each of its four tokens. */
const formats = [
  { name: "quantize_q8", lane: undefined },
  ...[0, 1, 2, 3].map((lane) => ({ name: `quantize_q8x4, token ${lane}`, lane })),
] as const;

type Format = (typeof formats)[number];

const LARGEST = 127;

/** The blocks of x; kernel and f32 row have the least alignment allowed. */
function quantize(bench: KernelBench, { lane }: Format, x: Float32Array): Uint8Array {
  const row = bench.put(Float32Array.from([Number.NaN, ...x])) + 4;
  const blocks = x.length / 32;
  if (lane === undefined) {
    const out = bench.alloc(blocks * ACT_BLOCK_BYTES + 4) + 4;
    bench.kernels.quantize_q8(row, out, x.length);
    return bench.u8(out, blocks * ACT_BLOCK_BYTES);
  }
  const out = bench.alloc(blocks * ACTS_BLOCK_BYTES + 4) + 4;
  bench.kernels.quantize_q8x4(row, out, lane, x.length);
  const shared = bench.u8(out, blocks * ACTS_BLOCK_BYTES);
  for (const other of [0, 1, 2, 3].filter((l) => l !== lane)) {
    assert.ok(
      blocksOfLane(shared, other).every((b) => b === 0xff),
      `token ${other} was written`,
    );
  }
  return blocksOfLane(shared, lane);
}

interface Blocks {
  readonly integers: Int32Array;
  readonly scales: number[];
  /** Two of each block: of columns 4v, 4v + 1 and of columns 4v + 2, 4v + 3. */
  readonly sums: number[];
}

/** The blocks of x, the same in every variant. */
function blocksOf(format: Format, x: Float32Array): Blocks {
  const nBlocks = x.length / 32;
  const flat = onEveryVariant(benches, (bench) => {
    const bytes = quantize(bench, format, x);
    const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    const blocks = Array.from({ length: nBlocks }, (_, b) => b);
    return new Uint8Array(
      Float64Array.from([
        ...activationIntegers(bytes, x.length),
        ...blocks.map((b) => activationScale(bytes, b)),
        ...blocks.flatMap((b) => [0, 2].map((i) => view.getInt16(b * ACT_BLOCK_BYTES + ACT_SUMS + i, true))),
      ]).buffer,
    );
  });
  const all = new Float64Array(flat.buffer);
  return {
    integers: Int32Array.from(all.subarray(0, x.length)),
    scales: [...all.subarray(x.length, x.length + nBlocks)],
    sums: [...all.subarray(x.length + nBlocks)],
  };
}

function largestOf(x: Float32Array): number {
  return x.reduce((largest, v) => Math.max(largest, Math.abs(v)), 0);
}

for (const format of formats) {
  describe(`${format.name}()`, () => {
    it("gives the nearest integers, the scale and the sums of each block", () => {
      for (const nBlocks of [1, 2, 3, 5, 11]) {
        const x = randomF32(32 * nBlocks, nBlocks);
        const { integers, scales, sums } = blocksOf(format, x);
        for (let b = 0; b < nBlocks; b++) {
          const block = x.subarray(32 * b, 32 * b + 32);
          const scale = largestOf(block) / LARGEST;
          assert.equal(scales[b], Math.fround(scale));
          const expected = new Int16Array(2);
          block.forEach((v, i) => {
            const q = integers[32 * b + i] as number;
            assert.ok(Math.abs(q) <= LARGEST);
            assert.ok(Math.abs(v / scale - q) <= 0.50001, `${v} / ${scale} became ${q}`);
            const lane = (i >> 1) & 1;
            expected[lane] = (expected[lane] as number) + -8 * q;
          });
          assert.deepEqual(sums.slice(2 * b, 2 * b + 2), [...expected]);
        }
      }
    });

    it("finds the largest magnitude wherever it is, of either sign", () => {
      for (let at = 0; at < 32; at++) {
        for (const peak of [2, -2]) {
          const x = randomF32(32, at);
          x[at] = peak;
          const { integers, scales } = blocksOf(format, x);
          assert.equal(scales[0], Math.fround(2 / LARGEST));
          assert.equal(integers[at], peak > 0 ? LARGEST : -LARGEST);
        }
      }
    });

    it("rounds ties to even", () => {
      const x = Float32Array.from({ length: 32 }, (_, i) => i - 15.5);
      x[31] = LARGEST;
      const { integers, scales } = blocksOf(format, x);
      assert.deepEqual(scales, [1]);
      assert.deepEqual([...integers], Array.from(x, roundEven));
    });

    it("makes zeros of a block under 1e-30, and nothing else", () => {
      const x = new Float32Array(32 * 5);
      const scales = [0, 1e-35, 2e-30, 1, 1e30];
      scales.forEach((scale, b) => {
        x.set(
          randomF32(32, 7).map((v) => v * scale),
          32 * b,
        );
      });
      const blocks = blocksOf(format, x);
      assert.ok(blocks.integers.subarray(0, 64).every((q) => q === 0));
      assert.deepEqual(blocks.scales.slice(0, 2), [0, 0]);
      const expected = blocks.integers.subarray(96, 128);
      assert.deepEqual(blocks.integers.subarray(64, 96), expected);
      assert.deepEqual(blocks.integers.subarray(128, 160), expected);
      assert.equal(blocks.scales[4], Math.fround(largestOf(x.subarray(128, 160)) / LARGEST));
    });

    it("carries NaN and infinity in the scale of their block alone", () => {
      for (const bad of [Number.NaN, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY]) {
        for (const at of [32, 45, 63]) {
          const x = randomF32(96, 8);
          x[at] = bad;
          for (const { bench } of benches) {
            bench.reset();
            const bytes = quantize(bench, format, x);
            assert.ok(!Number.isFinite(activationScale(bytes, 1)), `${bad} at ${at}`);
            assert.ok(
              Number.isFinite(activationScale(bytes, 0)) && Number.isFinite(activationScale(bytes, 2)),
            );
            bench.checkGuards();
          }
        }
      }
    });

    it("writes nothing for n = 0", () => {
      const bytes = onEveryVariant(benches, (bench) => {
        const out = bench.alloc(16);
        bench.kernels.quantize_q8(bench.alloc(16), out, 0);
        bench.kernels.quantize_q8x4(bench.alloc(16), out, 1, 0);
        return bench.u8(out, 16);
      });
      assertSameBytes(bytes, new Uint8Array(16).fill(0xff), "out");
    });
  });
}

describe("quantize_super_x4()", () => {
  it("says what activations of a sign add up to at most in a block", () => {
    const x = new Float32Array(2 * SUPER_COLS);
    x[0] = LARGEST;
    x[SUPER_COLS] = LARGEST;
    // The third block of the first superblock, and the last of the second one.
    x.fill(-5, 64, 90);
    x.fill(9, 90, 96);
    x.fill(7, 2 * SUPER_COLS - 32);
    for (const lane of [0, 3]) {
      const bytes = onEveryVariant(benches, (bench) => {
        const out = bench.alloc(2 * ACTS_SUPER_BYTES);
        bench.kernels.quantize_super_x4(bench.put(x), out, lane, x.length);
        return bench.u8(out, 2 * ACTS_SUPER_BYTES);
      });
      const view = new DataView(bytes.buffer, bytes.byteOffset);
      const most = [0, 1].map((s) => view.getInt32(s * ACTS_SUPER_BYTES + ACTS_SUPER_MOST + 4 * lane, true));
      assert.deepEqual(most, [5 * 26, 7 * 32]);
    }
  });
});

/** quantize_super, and quantize_super_x4 as each of its four tokens. */
const superFormats = [
  { name: "quantize_super", lane: undefined },
  ...[0, 1, 2, 3].map((lane) => ({ name: `quantize_super_x4, token ${lane}`, lane })),
] as const;

/** The superblocks of x; kernel and f32 row have the least alignment allowed. */
function quantizeSuper(
  bench: KernelBench,
  { lane }: { readonly lane: number | undefined },
  x: Float32Array,
): Uint8Array {
  const row = bench.put(Float32Array.from([Number.NaN, ...x])) + 4;
  const supers = x.length / SUPER_COLS;
  if (lane === undefined) {
    const out = bench.alloc(supers * ACT_SUPER_BYTES + 4) + 4;
    bench.kernels.quantize_super(row, out, x.length);
    return bench.u8(out, supers * ACT_SUPER_BYTES);
  }
  const out = bench.alloc(supers * ACTS_SUPER_BYTES + 4) + 4;
  bench.kernels.quantize_super_x4(row, out, lane, x.length);
  const shared = bench.u8(out, supers * ACTS_SUPER_BYTES);
  for (const other of [0, 1, 2, 3].filter((l) => l !== lane)) {
    assert.ok(
      superLane(shared, other).every((b) => b === 0xff),
      `token ${other} was written`,
    );
  }
  return superLane(shared, lane);
}

for (const format of superFormats) {
  /** The superblocks of x, the same in every variant. */
  const stored = (x: Float32Array) =>
    storedRow(onEveryVariant(benches, (bench) => quantizeSuper(bench, format, x)));

  describe(`${format.name}()`, () => {
    it("gives the integers, scales and sums that are defined, to the bit", () => {
      for (const supers of [1, 2, 3, 5]) {
        for (const scale of [1, 1e-29, 1e30]) {
          const x = randomF32(SUPER_COLS * supers, supers).map((v) => v * scale);
          assert.deepEqual(stored(x), superRow(x));
        }
      }
    });

    it("finds the largest magnitude wherever it is, of either sign", () => {
      for (let at = 0; at < SUPER_COLS; at += 3) {
        const x = randomF32(2 * SUPER_COLS, at);
        x[at] = at % 2 ? 2 : -2;
        const { integers, scales } = stored(x);
        assert.equal(scales[0], Math.fround(2 / LARGEST));
        assert.equal(integers[at], at % 2 ? LARGEST : -LARGEST);
        assert.ok((scales[1] as number) < 1 / LARGEST);
      }
    });

    it("rounds ties to even, and has the largest sums there are", () => {
      const x = Float32Array.from({ length: SUPER_COLS }, (_, i) => (i % 64) - 31.5);
      x[255] = LARGEST;
      const { integers, scales } = stored(x);
      assert.deepEqual([...scales], [1]);
      assert.deepEqual([...integers], Array.from(x, roundEven));
      for (const sign of [1, -1]) {
        const { sums, halves } = stored(new Float32Array(SUPER_COLS).fill(3 * sign));
        assert.deepEqual([...sums], Array(8).fill(sign * 32 * LARGEST));
        assert.deepEqual([...halves], Array(16).fill(sign * 16 * LARGEST));
      }
    });

    it("makes zeros of a superblock under 1e-30, and of no other", () => {
      const x = new Float32Array(SUPER_COLS * 4);
      [0, 1e-35, 2e-30, 1].forEach((scale, s) => {
        x.set(
          randomF32(SUPER_COLS, 7).map((v) => v * scale),
          SUPER_COLS * s,
        );
      });
      const { integers, scales } = stored(x);
      assert.ok(integers.subarray(0, 2 * SUPER_COLS).every((q) => q === 0));
      assert.deepEqual([...scales.subarray(0, 2)], [0, 0]);
      assert.deepEqual(
        integers.subarray(2 * SUPER_COLS, 3 * SUPER_COLS),
        integers.subarray(3 * SUPER_COLS, 4 * SUPER_COLS),
      );
    });

    it("carries NaN and infinity in the scale of their superblock alone", () => {
      for (const bad of [Number.NaN, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY]) {
        for (const at of [0, 100, 255]) {
          const x = randomF32(3 * SUPER_COLS, 8);
          x[SUPER_COLS + at] = bad;
          for (const { bench } of benches) {
            bench.reset();
            const { scales } = storedRow(quantizeSuper(bench, format, x));
            assert.deepEqual([...scales].map(Number.isFinite), [true, false, true], `${bad} at ${at}`);
            bench.checkGuards();
          }
        }
      }
    });

    it("writes nothing for n = 0", () => {
      const bytes = onEveryVariant(benches, (bench) => {
        const out = bench.alloc(16);
        bench.kernels.quantize_super(bench.alloc(16), out, 0);
        bench.kernels.quantize_super_x4(bench.alloc(16), out, 1, 0);
        return bench.u8(out, 16);
      });
      assertSameBytes(bytes, new Uint8Array(16).fill(0xff), "out");
    });
  });
}

interface Thresholds {
  quantize_fns: {
    n: number;
    total_error: { default: number };
    dot_product_error: { default: number };
  };
}

describe("error of quantization by ggml's test-quantize-fns", () => {
  // Its data, its measures: note that its root mean square divides by n outside the root.
  const cosines = (n: number, offset: number) =>
    Float32Array.from({ length: n }, (_, i) => 0.1 + 2 * Math.cos(i + offset));
  const rmse = (actual: ArrayLike<number>, expected: Float32Array) => {
    let sum = 0;
    expected.forEach((e, i) => {
      sum += ((actual[i] as number) - e) ** 2;
    });
    return Math.sqrt(sum) / expected.length;
  };
  const packed = (bench: KernelBench, weight: number, w: Float32Array) => {
    const out = bench.alloc(packedBytes(weight, 1, w.length));
    assert.equal(packF32(bench, weight, bench.put(w), 1, w.length, out), 0);
    return out;
  };

  interface Limits {
    readonly n: number;
    readonly weights: number;
    readonly activations: number;
    readonly dot: number;
  }
  const thresholds = "conformance/ggml_thresholds.json";
  const ofGgml = (): Limits => {
    const { n, total_error, dot_product_error } = sharedJson<Thresholds>(thresholds).quantize_fns;
    return {
      ...{ n, weights: total_error.default, activations: total_error.default },
      dot: dot_product_error.default,
    };
  };
  // Rounding to a step is off by step / √12 on average if errors are spread evenly: a quarter more for the quantized
  // values, four standard deviations for the dot product.
  const ofRounding = (steps: number) => (): Limits => {
    const n = 4096;
    const [largest, meanSquare] = [2.1, 0.1 ** 2 + 2];
    const weights = largest / steps / Math.sqrt(12 * n);
    const activations = largest / LARGEST / Math.sqrt(12 * n);
    const dot = 4 * Math.sqrt(meanSquare * (weights ** 2 + activations ** 2));
    return { n, weights: 1.25 * weights, activations: 1.25 * activations, dot };
  };

  for (const { name, weight, steps } of [
    { name: "q8", weight: WEIGHT_Q8, steps: 127 },
    { name: "q4", weight: WEIGHT_Q4, steps: 8 },
  ] as const) {
    const format = formats[0];
    const subjects = [
      { name: "even rounding", value: ofRounding(steps) },
      { name: "ggml's limits", needs: [thresholds], value: ofGgml },
    ];
    itOn(subjects, `is under the limits for ${name}`, (load) => {
      const limits = load();
      const n = limits.n;
      const w = cosines(n, 0);
      const x = cosines(n, 1);
      const tiles = onEveryVariant(benches, (bench) =>
        bench.u8(packed(bench, weight, w), packedBytes(weight, 1, n)),
      );
      const weightError = rmse(decodeTiles(weight, tiles, 1, n).subarray(0, n), w);
      const { integers, scales } = blocksOf(format, x);
      const decoded = Float64Array.from(integers, (q, i) => q * (scales[Math.floor(i / 32)] as number));
      const activationError = rmse(decoded, x);
      const [dot] = f32OnEveryVariant(benches, (bench) => {
        const out = bench.alloc(32);
        const acts = quantize(bench, format, x).byteOffset;
        const tiles = packed(bench, weight, w);
        const dot = bench.kernels.dot_form();
        const factor = scaleFactor(SCALE_SHIFT);
        bench.kernels.matvec(weight, tiles, acts, out, 0, 0, 1, 2, n / 32, dot, 1, factor, bench.alloc(1024));
        return bench.f32(out, 1);
      });
      let exact = 0;
      w.forEach((v, i) => {
        exact += v * (x[i] as number);
      });
      const dotError = Math.abs((dot as number) - exact) / n;
      console.log(
        `${name}: weights ${weightError.toExponential(2)}, ` +
          `${LARGEST}-step activations ${activationError.toExponential(2)} ` +
          `(limits ${limits.weights.toExponential(2)}, ${limits.activations.toExponential(2)}); ` +
          `dot product ${dotError.toExponential(2)} (limit ${limits.dot.toExponential(2)})`,
      );
      assert.ok(weightError < limits.weights);
      assert.ok(activationError < limits.activations);
      assert.ok(dotError < limits.dot);
    });
  }
});
