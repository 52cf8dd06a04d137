// The kernels of sampling against scalar twins.
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import type { Variant } from "../../src/kernels/variant.ts";
import { largest, logSumExp, runningSums, softmax, sortedCandidates, weights } from "../reference/sample.ts";
import { KernelBench, nmse, randomF32, uniform, workingVariants } from "../support/kernels.ts";

const SIZES = [0, 1, 2, 3, 4, 5, 31, 33, 1000, 4096];
const LARGE = 131072;
const BENCH_BYTES = 8 << 20;

// The last bytes of memory: a kernel that reads past the end of its row traps.
function putLast(bench: KernelBench, values: Float32Array): number {
  const ptr = bench.memory.buffer.byteLength - values.byteLength;
  bench.f32(ptr, values.length).set(values);
  return ptr;
}

// Logits of the usual range, with -Infinity here and there but not in the first place.
function randomLogits(n: number, seed = n + 1): Float32Array {
  const logits = randomF32(n, seed, -15, 15);
  for (let i = 5; i < n; i += 7) logits[i] = -Infinity;
  return logits;
}

// Few different values, so that most are ties.
function tiedLogits(n: number): Float32Array {
  return randomF32(n, 3, 0, 6).map(Math.floor);
}

interface TopK {
  ids: number[];
  values: number[];
}

function topK(bench: KernelBench, logits: Float32Array, k: number): TopK {
  bench.reset();
  const room = Math.min(k, logits.length);
  const ids = bench.alloc(4 * room);
  const values = bench.alloc(4 * room);
  const count = bench.kernels.top_k(putLast(bench, logits), logits.length, k, ids, values);
  bench.checkGuards();
  return { ids: [...bench.i32(ids, count)], values: [...bench.f32(values, count)] };
}

function expectedTopK(logits: Float32Array, k: number): TopK {
  const best = sortedCandidates(logits).slice(0, k);
  return { ids: best.map(({ id }) => id), values: best.map(({ logit }) => logit) };
}

function forEachVariant(title: string, body: (bench: KernelBench) => void): void {
  for (const variant of workingVariants()) {
    it(`${title} (${variant})`, async () => body(await KernelBench.create(variant, BENCH_BYTES)));
  }
}

describe("argmax", () => {
  forEachVariant("argmax() finds the largest of any number of logits", (bench) => {
    for (const n of [...SIZES, LARGE]) {
      const logits = randomLogits(n);
      const expected = n === 0 ? -1 : logits.indexOf(largest(logits));
      assert.equal(bench.kernels.argmax(putLast(bench, logits), n), expected, `n ${n}`);
    }
  });

  forEachVariant("argmax() finds it in every place", (bench) => {
    for (let n = 1; n < 14; n++) {
      for (let i = 0; i < n; i++) {
        const logits = randomF32(n, n);
        logits[i] = 2;
        assert.equal(bench.kernels.argmax(putLast(bench, logits), n), i, `${i} of ${n}`);
      }
    }
  });

  forEachVariant("argmax() breaks ties by the lowest id", (bench) => {
    const argmax = (...logits: number[]) =>
      bench.kernels.argmax(putLast(bench, Float32Array.from(logits)), logits.length);
    assert.equal(argmax(1, 3, 2, 0, 3, 3), 1);
    assert.equal(argmax(0, 0, 0, 0, 0, 0, 1, 1, 1), 6);
    assert.equal(argmax(-1, -0, 0), 1);
    assert.equal(argmax(-1, 0, -0), 1);
    assert.equal(argmax(Infinity, 1, Infinity, 2, Infinity), 0);
    assert.equal(argmax(-3e38, -Infinity), 0);
  });

  forEachVariant("argmax() gives -1 for NaN anywhere and for nothing over -Infinity", (bench) => {
    for (const n of [1, 2, 3, 4, 5, 31, 33]) {
      const nothing = new Float32Array(n).fill(-Infinity);
      assert.equal(bench.kernels.argmax(putLast(bench, nothing), n), -1);
      for (let i = 0; i < n; i++) {
        const logits = randomF32(n, n);
        logits[i] = NaN;
        assert.equal(bench.kernels.argmax(putLast(bench, logits), n), -1, `NaN at ${i} of ${n}`);
      }
    }
  });
});

describe("sum_exp and walk_exp", () => {
  forEachVariant("sum_exp() sums exponentials", (bench) => {
    for (const n of [...SIZES, LARGE]) {
      for (const scale of [0.25, 1, 8]) {
        const logits = randomLogits(n);
        const shift = largest(logits);
        const expected = runningSums(weights(logits, shift, scale)).at(-1) ?? 0;
        const actual = bench.kernels.sum_exp(putLast(bench, logits), n, shift, scale);
        assert.ok(Math.abs(actual - expected) <= 1e-6 * expected, `n ${n}: ${actual}, expected ${expected}`);
      }
    }
  });

  forEachVariant("walk_exp() stops where the running sum reaches the target", (bench) => {
    for (const n of [1, 2, 3, 4, 5, 31, 33, 1000]) {
      const logits = randomLogits(n);
      const shift = largest(logits);
      const sums = runningSums(weights(logits, shift, 0.5));
      const ptr = putLast(bench, logits);
      let before = 0;
      sums.forEach((sum, i) => {
        // Terms that f32 rounding of the others may hide are left out.
        if (sum - before > 1e-5 * sum) {
          const target = (before + sum) / 2;
          assert.equal(bench.kernels.walk_exp(ptr, n, shift, 0.5, target), i, `${i} of ${n}`);
        }
        before = sum;
      });
    }
  });

  forEachVariant(
    "walk_exp() reaches the sum of sum_exp() exactly, by a term over 0, and no more",
    (bench) => {
      for (const n of [...SIZES, LARGE]) {
        const logits = randomLogits(n);
        const shift = largest(logits);
        const ptr = putLast(bench, logits);
        const sum = bench.kernels.sum_exp(ptr, n, shift, 1);
        const at = bench.kernels.walk_exp(ptr, n, shift, 1, sum);
        assert.ok(n === 0 || (at < n && (logits[at] as number) > -Infinity), `n ${n}: ${at}`);
        assert.equal(bench.kernels.walk_exp(ptr, n, shift, 1, sum * 1.0001 + 1e-9), n);
      }
    },
  );

  forEachVariant("walk_exp() counts equal logits exactly", (bench) => {
    const logits = new Float32Array(11).fill(3);
    const ptr = putLast(bench, logits);
    assert.equal(bench.kernels.sum_exp(ptr, 11, 3, 2), 11);
    for (let i = 0; i < 11; i++) {
      assert.equal(bench.kernels.walk_exp(ptr, 11, 3, 2, i + 1), i);
      assert.equal(bench.kernels.walk_exp(ptr, 11, 3, 2, i + 0.5), i);
    }
    assert.equal(bench.kernels.walk_exp(ptr, 11, 3, 2, 11.5), 11);
  });
});

describe("log_sum_exp", () => {
  forEachVariant("log_sum_exp() equals its f64 twin", (bench) => {
    for (const n of [...SIZES.slice(1), LARGE]) {
      const logits = randomLogits(n);
      const actual = bench.kernels.log_sum_exp(putLast(bench, logits), n);
      assert.ok(Math.abs(actual - logSumExp(logits)) <= 1e-6, `n ${n}: ${actual}`);
    }
  });

  forEachVariant("log_sum_exp() keeps what is not finite apart", (bench) => {
    const of = (...logits: number[]) =>
      bench.kernels.log_sum_exp(putLast(bench, Float32Array.from(logits)), logits.length);
    assert.equal(of(), -Infinity);
    assert.equal(of(-Infinity, -Infinity, -Infinity, -Infinity, -Infinity), -Infinity);
    assert.equal(of(1, Infinity, -Infinity), Infinity);
    assert.equal(of(1, 2, 3, 4, Infinity, NaN), NaN);
    assert.equal(of(NaN, 2, 3, 4, 5), NaN);
    assert.equal(of(3e38, -3e38), Math.fround(3e38));
  });
});

describe("softmax_f32", () => {
  forEachVariant("softmax_f32() equals its f64 twin", (bench) => {
    for (const n of [...SIZES, LARGE]) {
      bench.reset();
      const logits = randomLogits(n);
      const out = bench.alloc(4 * n);
      bench.kernels.softmax_f32(putLast(bench, logits), out, n);
      bench.checkGuards();
      const actual = bench.f32(out, n);
      const error = nmse(actual, softmax(logits));
      assert.ok(error <= 1e-6, `n ${n}: NMSE ${error}`);
      if (n > 5) assert.equal(actual[5], 0);
    }
  });

  forEachVariant("softmax_f32() works in place", (bench) => {
    const logits = randomLogits(33);
    const ptr = putLast(bench, logits);
    bench.kernels.softmax_f32(ptr, ptr, 33);
    assert.ok(nmse(bench.f32(ptr, 33), softmax(logits)) <= 1e-6);
  });

  forEachVariant("softmax_f32() gives NaN everywhere for what has no probabilities", (bench) => {
    for (const bad of [
      [1, NaN, 2, 3, 4],
      [1, Infinity, 2, 3, 4],
      [-Infinity, -Infinity],
    ]) {
      bench.reset();
      const out = bench.put(new Float32Array(bad.length));
      bench.kernels.softmax_f32(putLast(bench, Float32Array.from(bad)), out, bad.length);
      bench.checkGuards();
      assert.deepEqual(
        [...bench.f32(out, bad.length)],
        bad.map(() => NaN),
      );
    }
  });
});

describe("min_p_count", () => {
  forEachVariant("min_p_count() counts what is at least p times as likely as the first", (bench) => {
    for (const n of SIZES) {
      const values = Float32Array.from(sortedCandidates(randomF32(n, n + 1, -5, 5)), ({ logit }) => logit);
      const ptr = putLast(bench, values);
      for (const [p, scale] of [
        [1e-9, 1],
        [0.01, 1],
        [0.01, 0.5],
        [0.3, 2],
        [1, 1],
        [1.05, 1],
      ] as const) {
        const expected = weights(values, values[0] ?? 0, scale).filter((weight) => weight >= p).length;
        assert.equal(bench.kernels.min_p_count(ptr, n, scale, p), expected, `n ${n}, p ${p}`);
      }
    }
  });
});

describe("top_k", () => {
  forEachVariant("top_k() sorts the k best of any number of logits", (bench) => {
    for (const n of SIZES) {
      const logits = randomLogits(n);
      for (const k of [0, 1, 2, 3, 40, n - 1, n, n + 5]) {
        assert.deepEqual(topK(bench, logits, k), expectedTopK(logits, Math.max(k, 0)), `${k} of ${n}`);
      }
    }
  });

  forEachVariant("top_k() breaks ties by ascending id", (bench) => {
    for (const logits of [tiedLogits(33), tiedLogits(1000), new Float32Array(1000)]) {
      for (const k of [1, 7, 33, 999, 1000]) {
        assert.deepEqual(topK(bench, logits, k), expectedTopK(logits, k), `${k} of ${logits.length}`);
      }
    }
    const zeros = Float32Array.of(-0, 0, -0, 0);
    assert.deepEqual(topK(bench, zeros, 4).ids, [0, 1, 2, 3]);
  });

  forEachVariant("top_k() does not depend on the order of the logits", (bench) => {
    const ascending = randomF32(4096, 9).sort();
    const descending = ascending.slice().reverse();
    for (const k of [1, 40, 256, 4096]) {
      assert.deepEqual(topK(bench, ascending, k), expectedTopK(ascending, k), `ascending, ${k}`);
      assert.deepEqual(topK(bench, descending, k), expectedTopK(descending, k), `descending, ${k}`);
    }
  });

  forEachVariant("top_k() leaves -Infinity out and takes Infinity first", (bench) => {
    const logits = Float32Array.of(-Infinity, 1, -Infinity, Infinity, -Infinity, 2, -3e38);
    assert.deepEqual(topK(bench, logits, 7).ids, [3, 5, 1, 6]);
    assert.deepEqual(topK(bench, new Float32Array(100).fill(-Infinity), 10).ids, []);
  });

  forEachVariant("top_k() takes a large vocabulary", (bench) => {
    const logits = randomLogits(LARGE);
    for (const k of [40, LARGE]) {
      const { ids, values } = topK(bench, logits, k);
      const expected = expectedTopK(logits, k);
      assert.deepEqual(Int32Array.from(ids), Int32Array.from(expected.ids));
      assert.deepEqual(Float32Array.from(values), Float32Array.from(expected.values));
    }
  });
});

describe("sampling kernels", () => {
  // Every result of every kernel as bits.
  async function results(variant: Variant): Promise<BigUint64Array> {
    const bench = await KernelBench.create(variant, BENCH_BYTES);
    const next = uniform(1);
    const all: number[] = [];
    for (const n of [1, 5, 33, 1000, LARGE]) {
      bench.reset();
      const logits = randomLogits(n);
      const shift = largest(logits);
      const ptr = putLast(bench, logits);
      const out = bench.alloc(4 * n);
      const { kernels } = bench;
      const sum = kernels.sum_exp(ptr, n, shift, 0.7);
      all.push(sum, kernels.log_sum_exp(ptr, n), kernels.argmax(ptr, n));
      for (let i = 0; i < 5; i++) all.push(kernels.walk_exp(ptr, n, shift, 0.7, next(0, 1) * sum));
      kernels.softmax_f32(ptr, out, n);
      for (const p of bench.f32(out, n)) all.push(p);
    }
    return new BigUint64Array(Float64Array.from(all).buffer);
  }

  it("give the same bits in every variant", async () => {
    const [first, ...others] = workingVariants();
    const expected = await results(first as Variant);
    for (const variant of others) assert.deepEqual(await results(variant), expected, variant);
  });
});
