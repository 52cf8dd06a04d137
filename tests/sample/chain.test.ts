import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { Candidates } from "../../src/sample/candidates.ts";
import { createSampler, type SampleMemory, type Sampler, samplerBytes } from "../../src/sample/chain.ts";
import type { ResolvedSampling } from "../../src/sample/registry.ts";
import { resolveSampling, type SamplingOptions, samplers } from "../../src/sample/registry.ts";
import { repeatPenalty } from "../../src/sample/repeat_penalty.ts";
import { Rng } from "../../src/sample/rng.ts";
import { checkParam, type SamplerSpec, type SamplingParam } from "../../src/sample/spec.ts";
import { UsageError } from "../../src/util/errors.ts";
import { choose, filtered, largest, logSumExp, penalise, softmax } from "../reference/sample.ts";
import { KernelBench, randomF32, uniform, workingVariants } from "../support/kernels.ts";
import { itOn, sharedJson } from "../support/shared.ts";

const BENCH_BYTES = 4 << 20;
/** Nothing but the draw. */
const OFF = resolveSampling({ temperature: 1, topK: 0, topP: 1, minP: 0, repeatPenalty: 1, seed: 7 });

/** The first draws of seed 7 over randomF32(50, 2, 0, 3): by default, and unfiltered at temperature 0.7. */
const GOLDEN_FILTERED = [39, 0, 2, 34, 31, 10, 20, 39, 26, 2, 39, 1, 26, 32, 17, 26];
const GOLDEN_UNFILTERED = [2, 38, 33, 25, 26, 42, 9, 1, 20, 33, 3, 44, 20, 46, 40, 20];

const vocabulary = { vocabSize: 0, eosIds: [], bytes: () => new Uint8Array() };

const simd = await KernelBench.create("simd", BENCH_BYTES);

// Puts logits into a memory of which nothing else is in use.
function place(logits: ArrayLike<number>, bench = simd): SampleMemory {
  bench.reset();
  const logitsPtr = bench.put(Float32Array.from(logits));
  const scratchPtr = bench.alloc(samplerBytes(logits.length));
  return { memory: bench.memory, logitsPtr, scratchPtr, vocabSize: logits.length };
}

function samplerOver(logits: ArrayLike<number>, options: SamplingOptions, bench = simd): Sampler {
  return createSampler(resolveSampling(options), bench.kernels, place(logits, bench));
}

interface Kept {
  ids: number[];
  p: number[];
}

// The candidates and their probabilities after the named samplers, by descending logit.
function after(
  names: string[],
  logits: ArrayLike<number>,
  options: Partial<ResolvedSampling>,
  history: number[] = [],
): Kept {
  const candidates = new Candidates(simd.kernels, place(logits));
  candidates.reset(history, history.length);
  const apply = (name: string) =>
    samplers
      .find((sampler) => sampler.name === name)
      ?.create({ ...OFF, ...options }, vocabulary)
      ?.apply(candidates, new Rng(0));
  for (const name of names.filter((name) => name === "repeat_penalty")) apply(name);
  candidates.findBest();
  for (const name of names.filter((name) => name !== "repeat_penalty")) apply(name);
  candidates.keepFirst(logits.length);
  const ids = Array.from({ length: candidates.count }, (_, i) => candidates.id(i));
  const values = ids.map((id) => candidates.logit(id) * candidates.scale);
  candidates.restore();
  simd.checkGuards();
  return { ids, p: softmax(values) };
}

function draws(sampler: Sampler, n: number, history: number[] = []): number[] {
  // Each at a position of its own, as tokens of a text are.
  const ids = [...history, ...new Array<number>(n).fill(-1)];
  return Array.from({ length: n }, (_, i) => sampler.sample(ids, history.length + i));
}

function assertClose(actual: number[], expected: number[], tolerance: number, what: string): void {
  const close = actual.every((value, i) => Math.abs(value - expected[i]!) < tolerance);
  assert.ok(close && actual.length === expected.length, `${what}: ${actual}, expected ${expected}`);
}

// Logits of a peaked distribution, as models have.
function modelLogits(n: number, seed: number): Float32Array {
  return randomF32(n, seed, -1, 1).map((x) => 12 * x * x * x);
}

describe("samplers", () => {
  interface Case {
    sampler: string;
    probs: number[];
    expected: number[];
    temp?: number;
    k?: number;
    p?: number;
    last_tokens?: number[];
    repeat_penalty?: number;
    alpha_frequency?: number;
    alpha_presence?: number;
  }

  const options: Record<string, (c: Case) => Partial<ResolvedSampling>> = {
    temp: (c) => ({ temperature: c.temp! }),
    top_k: (c) => ({ topK: c.k! }),
    top_p: (c) => ({ topP: c.p! }),
    min_p: (c) => ({ minP: c.p! }),
    penalties: (c) => ({ repeatPenalty: c.repeat_penalty! }),
  };
  const names: Record<string, string> = { temp: "temperature", penalties: "repeat_penalty" };

  // Worked out by hand: what is kept, divided by its sum.
  const probs = [0.05, 0.15, 0.5, 0.3];
  const ownCases: Case[] = [
    { sampler: "temp", probs, temp: 1, expected: probs },
    { sampler: "temp", probs, temp: 0.5, expected: [25, 225, 2500, 900].map((square) => square / 3650) },
    { sampler: "top_k", probs, k: 1, expected: [1] },
    { sampler: "top_k", probs, k: 3, expected: [50 / 95, 30 / 95, 15 / 95] },
    { sampler: "top_k", probs, k: 4, expected: probs },
    { sampler: "top_p", probs, p: 0.49, expected: [1] },
    { sampler: "top_p", probs, p: 0.7, expected: [5 / 8, 3 / 8] },
    { sampler: "top_p", probs, p: 0.9, expected: [50 / 95, 30 / 95, 15 / 95] },
    { sampler: "min_p", probs, p: 0.05, expected: probs },
    { sampler: "min_p", probs, p: 0.25, expected: [50 / 95, 30 / 95, 15 / 95] },
    { sampler: "min_p", probs, p: 0.59, expected: [5 / 8, 3 / 8] },
    { sampler: "min_p", probs, p: 1, expected: [1] },
    // The logarithms are below zero: a penalty of 2 squares the probability of what was seen.
    {
      ...{ sampler: "penalties", probs, last_tokens: [2], repeat_penalty: 2 },
      expected: [5 / 75, 15 / 75, 25 / 75, 30 / 75],
    },
  ];
  const conformance = "conformance/sampling.json";
  const caseLists = [
    { name: "worked out by hand", value: { load: () => ownCases, n: 13 } },
    {
      name: "llama.cpp's",
      needs: [conformance],
      value: { load: () => sharedJson<{ cases: Case[] }>(conformance).cases, n: 11 },
    },
  ];
  itOn(caseLists, "samplers keep what cases say", ({ load, n }) => {
    const ours = load().filter((c) => options[c.sampler] && !c.alpha_frequency && !c.alpha_presence);
    assert.equal(ours.length, n);
    for (const c of ours) {
      const logits = c.probs.map(Math.log);
      const name = names[c.sampler] ?? c.sampler;
      const { ids, p } = after([name], logits, options[c.sampler]!(c), c.last_tokens);
      // Some of the cases list their probabilities in the order of ids.
      const expected = c.expected.toSorted((a, b) => b - a);
      assertClose(p, expected, 1e-5, JSON.stringify(c));
      const best = c.probs.map((_, id) => id).filter((id) => !c.last_tokens?.includes(id));
      assert.ok(best.includes(ids[0]!));
    }
  });

  // The rule of the queue cases: tokens 0..n-1 with logits ln(id). Token 0 has no probability: no candidate.
  function expectLowestIds(order: string, n: number, k: number, topP: number, minP: number): number {
    let size = n;
    let lowest = 0;
    for (const sampler of order) {
      if (sampler === "k") {
        size = Math.min(size, k);
        lowest = Math.max(lowest, n - k);
      } else if (sampler === "p") {
        const target = Math.ceil(topP * ((n * (n - 1)) / 2 - (lowest * (lowest - 1)) / 2));
        let sum = 0;
        let id = n;
        while (sum < target) sum += --id;
        lowest = id === 1 ? 0 : id;
        size = n - lowest;
      } else {
        lowest = Math.min(Math.max(Math.floor(minP * n), Math.max(1, n - size)), n - 1);
        size = n - lowest;
      }
    }
    return Math.max(lowest, 1);
  }

  it("samplers compose in any order as the queue rule says", () => {
    const n = 10000;
    const logits = Array.from({ length: n }, (_, id) => Math.log(id));
    const letters: Record<string, string> = { k: "top_k", p: "top_p", m: "min_p" };
    const cases: [string, number, number, number][] = [
      ["k", 10000, 1, 0],
      ["k", 1, 1, 0],
      ["p", 0, 1, 0],
      ["p", 0, 0.0003, 0],
      ["p", 0, 0.8, 0],
      ["m", 0, 1, 9997.9 / 9999],
      ["m", 0, 1, 0.1],
      ["kp", 100, 0.8, 0.1],
      ["km", 100, 0.8, 0.1],
      ["pk", 100, 0.8, 0.1],
      ["pm", 100, 0.8, 0.1],
      ["mk", 100, 0.8, 0.1],
      ["mp", 100, 0.8, 9997.9 / 9999],
      ["mp", 100, 0.8, 0.1],
      ["kpm", 100, 0.8, 0.1],
      ["kmp", 100, 0.8, 0.1],
      ["pkm", 100, 0.8, 0.1],
      ["pmk", 100, 0.8, 0.1],
      ["mkp", 100, 0.8, 0.1],
      ["mpk", 100, 0.8, 0.1],
    ];
    for (const [order, topK, topP, minP] of cases) {
      const { ids } = after(
        Array.from(order, (letter) => letters[letter]!),
        logits,
        { topK, topP, minP },
      );
      const lowest = expectLowestIds(order, n, topK, topP, minP);
      assert.equal(ids[0], n - 1, order);
      assert.equal(ids.at(-1), lowest, order);
      assert.equal(ids.length, n - lowest, order);
    }
  });

  it("topP.apply() keeps a token at which the sum reaches p exactly", () => {
    const equal = new Float32Array(8);
    assert.deepEqual(after(["top_p"], equal, { topP: 0.5 }).ids, [0, 1, 2, 3]);
    assert.deepEqual(after(["top_k", "top_p"], equal, { topK: 8, topP: 0.25 }).ids, [0, 1]);
  });

  it("topK.apply(), topP.apply() and minP.apply() keep at least one candidate", () => {
    const logits = [0, 5, 1, -Infinity];
    assert.deepEqual(after(["top_k"], logits, { topK: 1 }).ids, [1]);
    assert.deepEqual(after(["top_p"], logits, { topP: 1e-300 }).ids, [1]);
    assert.deepEqual(after(["top_p"], logits, { topP: 0 }).ids, [1]);
    assert.deepEqual(after(["top_k", "top_p", "min_p"], logits, { topK: 3, topP: 0, minP: 0 }).ids, [1]);
    assert.deepEqual(after(["top_p"], [2, 2, 2, -Infinity], { topP: 0 }).ids, [0]);
    assert.deepEqual(after(["min_p"], logits, { minP: 1 }).ids, [1]);
    assert.deepEqual(after(["top_k", "top_p", "min_p"], logits, { topK: 1, topP: 1e-9, minP: 1 }).ids, [1]);
  });

  it("topP.apply() and minP.apply() take more candidates than are sorted at first", () => {
    const flat = randomF32(3000, 5, 0, 0.01);
    const ids = (options: Partial<ResolvedSampling>) =>
      filtered(flat, { ...OFF, ...options }).map(({ id }) => id);
    assert.deepEqual(after(["top_p"], flat, { topP: 0.02 }).ids, ids({ topP: 0.02 }));
    assert.deepEqual(after(["top_p"], flat, { topP: 0.999 }).ids, ids({ topP: 0.999 }));
    assert.deepEqual(after(["min_p"], flat, { minP: 0.999 }).ids, ids({ minP: 0.999 }));
    assert.deepEqual(after(["min_p"], flat, { minP: 0.5 }).ids, ids({ minP: 0.5 }));
  });

  it("topP.apply() and minP.apply() end where the candidates do", () => {
    const few = new Float32Array(1000).fill(-Infinity);
    few.set([1, 2, 1.5], 600);
    assert.deepEqual(after(["min_p"], few, { minP: 0.1 }).ids, [601, 602, 600]);
    assert.deepEqual(after(["top_p"], few, { topP: 1 - 1e-16 }).ids, [601, 602, 600]);
  });

  it("temperature.apply() scales after the filters", () => {
    const logits = [3, 2, 1, 0];
    const { ids, p } = after(["top_p", "temperature"], logits, { topP: 0.9, temperature: 0.5 });
    assert.deepEqual(ids, [0, 1, 2]);
    assertClose(p, softmax([6, 4, 2]), 1e-6, "p");
  });
});

describe("repeatPenalty", () => {
  it("repeatPenalty.apply() divides positive and multiplies other logits once", () => {
    const logits = [2, -2, 0, 4, 1];
    const { memory, logitsPtr, scratchPtr, vocabSize } = place(logits);
    const candidates = new Candidates(simd.kernels, { memory, logitsPtr, scratchPtr, vocabSize });
    const history = [0, 1, 1, 5, 2, 0, -1, 0];
    candidates.reset(history, history.length);
    repeatPenalty.create({ ...OFF, repeatPenalty: 4 }, vocabulary)?.apply(candidates, new Rng(0));
    assert.deepEqual([...simd.f32(logitsPtr, 5)], [0.5, -8, 0, 4, 1]);
    simd.checkGuards();
    candidates.restore();
    assert.deepEqual([...simd.f32(logitsPtr, 5)], logits);
  });

  it("repeatPenalty.apply() looks at the last 64 tokens of those that count", () => {
    const logits = [9, 8, 0];
    const greedy = { temperature: 0, repeatPenalty: 100 };
    const old = (n: number) => [0, ...new Array<number>(n).fill(2)];
    assert.equal(samplerOver(logits, greedy).sample(old(63)), 1);
    assert.equal(samplerOver(logits, greedy).sample(old(64)), 0);
    assert.equal(samplerOver(logits, greedy).sample(Int32Array.of(2, 2, 0, 0), 2), 0);
    assert.equal(samplerOver(logits, greedy).sample(Int32Array.of(2, 2, 0, 0), 3), 1);
  });

  it("repeatPenalty.apply() passes over ids outside of the vocabulary", () => {
    const sampler = samplerOver([9, 8, 0], { temperature: 0, repeatPenalty: 100 });
    assert.equal(sampler.sample([3, -1, 2 ** 31, NaN]), 0);
    assert.equal(sampler.sample([3, -1], 10), 0);
    simd.checkGuards();
  });
});

describe("Sampler.sample", () => {
  const vocabulary = 1000;
  const history = Array.from({ length: 100 }, (_, i) => (i * 37) % 200);
  const settings: SamplingOptions[] = [
    { temperature: 0 },
    { temperature: 0, repeatPenalty: 3 },
    { temperature: 1, topK: 0, topP: 1 },
    { temperature: 0.3, topK: 0, topP: 1, repeatPenalty: 1.3 },
    { temperature: 5, topK: 0, topP: 1 },
    { temperature: 0.8 },
    { temperature: 2, topK: 5, topP: 1 },
    { temperature: 1.5, topK: 0, topP: 0.95 },
    { temperature: 1, topK: 0, topP: 1, minP: 0.05 },
    { temperature: 1, topK: 100, topP: 0.99, minP: 0.01, repeatPenalty: 1.1 },
    { temperature: 3, topK: vocabulary + 1, topP: 0.9999, minP: 1e-6, repeatPenalty: 0.8 },
  ];

  it("sample() chooses what the naive chain chooses", () => {
    settings.forEach((setting, i) => {
      const options = resolveSampling({ ...setting, seed: 100 + i });
      const rng = new Rng(options.seed);
      for (let step = 0; step < 20; step++) {
        const logits = modelLogits(vocabulary, 31 * i + step);
        const sampler = createSampler(options, simd.kernels, place(logits));
        rng.seek(history.length);
        const u = rng.next();
        assert.equal(sampler.sample(history), choose(logits, history, options, u), JSON.stringify(options));
        simd.checkGuards();
      }
    });
  });

  it("sample() leaves the logits as they were", () => {
    const logits = modelLogits(vocabulary, 1);
    const memory = place(logits);
    for (const setting of settings) {
      createSampler(resolveSampling(setting), simd.kernels, memory).sample(history);
      assert.deepEqual(simd.f32(memory.logitsPtr, vocabulary), logits);
    }
  });

  it("sample() repeats its choices for a seed", () => {
    const logits = randomF32(50, 2, 0, 3);
    const expected = draws(samplerOver(logits, { seed: 7 }), 50);
    assert.deepEqual(draws(samplerOver(logits, { seed: 7 }), 50), expected);
    assert.notDeepEqual(draws(samplerOver(logits, { seed: 8 }), 50), expected);
  });

  it("sample() gives the same ids in every variant", async () => {
    const logits = randomF32(50, 2, 0, 3);
    for (const variant of workingVariants()) {
      const bench = await KernelBench.create(variant, BENCH_BYTES);
      assert.deepEqual(draws(samplerOver(logits, { seed: 7 }, bench), 16), GOLDEN_FILTERED);
      assert.deepEqual(
        draws(samplerOver(logits, { ...OFF, temperature: 0.7 }, bench), 16),
        GOLDEN_UNFILTERED,
      );
    }
  });

  it("sample() draws with the probabilities of the candidates", () => {
    const logits = [1, 0, 2, -1, 0.5, -Infinity, 1.5, -2, 0.1];
    for (const options of [
      { ...OFF },
      { ...OFF, temperature: 1.7 },
      { ...OFF, topK: 5 },
      { ...OFF, topP: 0.9, temperature: 0.6 },
      { ...OFF, minP: 0.2 },
    ]) {
      const n = 5000;
      const counts = new Array<number>(logits.length).fill(0);
      for (const id of draws(samplerOver(logits, options), n)) counts[id]!++;
      const kept = filtered(logits, options);
      const p = softmax(kept.map(({ logit }) => logit / options.temperature));
      let chiSquare = 0;
      kept.forEach(({ id }, i) => {
        chiSquare += (counts[id]! - n * p[i]!) ** 2 / (n * p[i]!);
        counts[id] = 0;
      });
      assert.ok(
        counts.every((count) => count === 0),
        "a token was drawn that is no candidate",
      );
      // 99.9% of all samples of seven degrees of freedom are under this.
      assert.ok(chiSquare < 24.3, `${JSON.stringify(options)}: ${chiSquare}`);
    }
  });

  it("sample() follows logits that move and memory that grows", () => {
    const memory = new WebAssembly.Memory({ initial: 1, maximum: 4 });
    const f32 = () => new Float32Array(memory.buffer);
    const argmax = (ptr: number, n: number) => {
      const row = f32().subarray(ptr / 4, ptr / 4 + n);
      return row.indexOf(largest(row));
    };
    const kernels = { ...simd.kernels, argmax };
    f32().set([1, 3, 2], 0);
    const sampler = createSampler(resolveSampling({ temperature: 0, repeatPenalty: 9 }), kernels, {
      memory,
      logitsPtr: 0,
      scratchPtr: 1024,
      vocabSize: 3,
    });
    assert.equal(sampler.sample([]), 1);
    memory.grow(1);
    assert.equal(sampler.sample([1]), 2);
    f32().set([5, 3, 2], 70000 / 4);
    sampler.logitsPtr = 70000;
    assert.equal(sampler.sample([1]), 0);
    assert.deepEqual([...f32().subarray(0, 3)], [1, 3, 2]);
  });
});

describe("Sampler.sample with hostile logits", () => {
  const everySetting: SamplingOptions[] = [
    { temperature: 0 },
    { ...OFF },
    { seed: 1 },
    { ...OFF, repeatPenalty: 2 },
  ];

  it("sample() refuses NaN and says where", () => {
    for (const options of everySetting) {
      const logits = randomF32(100, 1);
      logits[41] = NaN;
      logits[77] = NaN;
      assert.throws(() => samplerOver(logits, options).sample([41, 3]), {
        name: "SamplingError",
        code: "SAMPLING",
        message: "Cannot sample: Expected logits that are numbers, got NaN for token 41",
      });
    }
  });

  it("sample() restores logits when it refuses them", () => {
    const memory = place([4, NaN, 2]);
    const sampler = createSampler(resolveSampling({ repeatPenalty: 2 }), simd.kernels, memory);
    assert.throws(() => sampler.sample([0, 2]));
    assert.deepEqual([...simd.f32(memory.logitsPtr, 3)], [4, NaN, 2]);
  });

  it("sample() refuses logits of which none is over -Infinity", () => {
    for (const options of everySetting) {
      for (const n of [0, 1, 100]) {
        assert.throws(() => samplerOver(new Float32Array(n).fill(-Infinity), options).sample([0]), {
          name: "SamplingError",
          message: `Cannot sample: Expected a logit over -Infinity, got none among ${n}`,
        });
      }
    }
  });

  it("sample() never draws -Infinity", () => {
    const logits = new Float32Array(100).fill(-Infinity);
    logits[42] = -3e38;
    logits[43] = -3e38;
    for (const options of [...everySetting, { temperature: 999999 }, { ...OFF, temperature: 1e300 }]) {
      for (const id of draws(samplerOver(logits, options), 20)) assert.ok(id === 42 || id === 43);
    }
  });

  it("sample() takes Infinity before all others", () => {
    const logits = [1, Infinity, 3e38, Infinity, -Infinity];
    for (const options of everySetting) assert.equal(samplerOver(logits, options).sample([1]), 1);
  });

  it("sample() takes temperatures however large or small", () => {
    const logits = [1, 2, 3, 2.999];
    for (const temperature of [5e-324, 1e-30]) {
      assert.deepEqual(new Set(draws(samplerOver(logits, { ...OFF, temperature }), 50)), new Set([2]));
    }
    for (const temperature of [999999, 1e300, Number.MAX_VALUE]) {
      const drawn = draws(samplerOver(logits, { ...OFF, temperature }), 200);
      assert.deepEqual(
        drawn.toSorted().filter((id, i, all) => id !== all[i - 1]),
        [0, 1, 2, 3],
      );
    }
  });

  it("sample() takes logits that are all equal, and a single one", () => {
    for (const options of [{ ...OFF }, { seed: 3, topP: 0.5 }, { ...OFF, minP: 1 }]) {
      const next = uniform(1);
      const logits = new Float32Array(1000).fill(next(-9, 9));
      const drawn = draws(samplerOver(logits, options), 100);
      assert.ok(new Set(drawn).size > 10 && drawn.every((id) => id >= 0 && id < 1000));
      assert.deepEqual(draws(samplerOver([-7], options), 3), [0, 0, 0]);
    }
  });

  it("sample() takes penalties however large or small", () => {
    const logits = [1, -1, 0];
    for (const repeatPenalty of [5e-324, 1e-300, 1e300]) {
      for (const temperature of [0, 1]) {
        const sampler = samplerOver(logits, { ...OFF, repeatPenalty, temperature });
        for (const id of draws(sampler, 10, [0, 1, 2])) assert.ok(id >= 0 && id < 3);
      }
    }
  });
});

describe("Sampler.logprob", () => {
  it("logprob() is of the model's own distribution", () => {
    const logits = modelLogits(1000, 4);
    const sampler = samplerOver(logits, { topK: 3, temperature: 0.1, repeatPenalty: 5, seed: 1 });
    assert.ok(Math.abs(sampler.logprob(17) - (logits[17]! - logSumExp(logits))) < 1e-6);
    const id = sampler.sample([1, 2, 3, 17]);
    for (const token of [id, 1, 17, 999]) {
      const actual = sampler.logprob(token);
      assert.ok(Math.abs(actual - (logits[token]! - logSumExp(logits))) < 1e-6);
    }
    assert.notDeepEqual(penalise(logits, [17], 5)[17], logits[17]);
  });

  it("logprob() is 0 for a certain token and -Infinity for an impossible one", () => {
    assert.equal(samplerOver([5], OFF).logprob(0), 0);
    const sampler = samplerOver([1, -Infinity, 1], OFF);
    assert.equal(sampler.logprob(1), -Infinity);
    assert.ok(Math.abs(sampler.logprob(2) - Math.log(0.5)) < 1e-6);
    const infinite = samplerOver([1, Infinity, 3], OFF);
    assert.deepEqual(
      [0, 1, 2].map((id) => infinite.logprob(id)),
      [-Infinity, 0, -Infinity],
    );
  });

  it("logprob() refuses logits without probabilities and ids outside of the vocabulary", () => {
    assert.throws(() => samplerOver([1, 2, NaN], OFF).logprob(0), {
      name: "SamplingError",
      message: /token 2$/,
    });
    assert.throws(() => samplerOver([-Infinity], OFF).logprob(0), { name: "SamplingError" });
    for (const id of [-1, 3, 0.5, NaN]) {
      assert.throws(() => samplerOver([1, 2, 3], OFF).logprob(id), {
        name: "UsageError",
        message: `Cannot give a log-probability: Expected an id in [0, 3), got ${id}`,
      });
    }
  });
});

describe("Sampler of a model with more rows than tokens", () => {
  const padded = (logits: ArrayLike<number>, vocabSize: number, options: SamplingOptions = OFF): Sampler => {
    const { vocabSize: rows, ...rest } = place(logits);
    return createSampler(resolveSampling(options), simd.kernels, { ...rest, vocabSize, rows });
  };

  it("logprob() and mostLikely() count every row, and give tokens only", () => {
    for (const [tokens, rows] of [
      [290, 300],
      [1, 2],
      [255, 260],
      [3, 1000],
    ] as const) {
      const logits = modelLogits(rows, 5);
      const sampler = padded(logits, tokens);
      const total = logSumExp(logits);
      const found = sampler.mostLikely(rows);
      assert.equal(found.length, tokens);
      for (const { id, logprob } of found) {
        assert.ok(id < tokens);
        assert.ok(Math.abs(logprob - ((logits[id] as number) - total)) < 1e-6);
        assert.equal(logprob, sampler.logprob(id));
      }
      const theirs = Array.from(logits.slice(tokens), (logit) => Math.exp(logit - total));
      const sum = [...found.map(({ logprob }) => Math.exp(logprob)), ...theirs].reduce((a, b) => a + b, 0);
      assert.ok(Math.abs(sum - 1) < 1e-5, `${sum}`);
      assert.throws(() => sampler.logprob(tokens), { name: "UsageError" });
    }
  });

  it("sample() draws as if the rows without a token were not there", () => {
    const logits = modelLogits(300, 6);
    logits.fill(50, 290);
    for (const options of [OFF, { ...OFF, temperature: 0 }, { ...OFF, topK: 40, topP: 0.9, minP: 0.05 }]) {
      const plain = draws(samplerOver(logits.slice(0, 290), options), 50);
      assert.deepEqual(draws(padded(logits, 290, options), 50), plain);
    }
    assert.deepEqual(
      draws(padded(logits, 290, { ...OFF, repeatPenalty: 3 }), 5, [295]),
      draws(padded(logits, 290), 5, [-1]),
    );
  });

  it("logprob() says which row is no number, also one without a token", () => {
    const sampler = padded([1, 2, NaN], 2);
    assert.throws(() => sampler.logprob(0), { name: "SamplingError", message: /NaN for token 2$/ });
    assert.throws(() => sampler.mostLikely(1), { name: "SamplingError" });
    assert.equal(padded([1, 2, Infinity], 2).logprob(1), -Infinity);
  });
});

describe("Sampler.mostLikely", () => {
  it("mostLikely() gives the model's own order, whatever the samplers are, and changes no draw", () => {
    const logits = modelLogits(1000, 4);
    logits[700] = logits[3] as number;
    const order = [...logits.keys()].sort((a, b) => logits[b]! - logits[a]! || a - b);
    const options = { ...OFF, topK: 3, temperature: 0.1, repeatPenalty: 5, seed: 1 };
    const sampler = samplerOver(logits, options);
    const drawn: number[] = [];
    for (const n of [0, 1, 2, 3, 255, 256, 257, 1000, 5000]) {
      const found = sampler.mostLikely(n);
      assert.deepEqual(
        found.map(({ id }) => id),
        order.slice(0, n),
      );
      for (const { id, logprob } of found) assert.equal(logprob, sampler.logprob(id));
      drawn.push(sampler.sample([1, 2, 17, ...drawn.map(() => -1)]));
    }
    assert.deepEqual(drawn, draws(samplerOver(logits, options), 9, [1, 2, 17]));
  });

  it("mostLikely() leaves impossible tokens out and refuses logits without probabilities", () => {
    const found = samplerOver([1, -Infinity, 1, -Infinity], OFF).mostLikely(4);
    assert.deepEqual(
      found.map(({ id }) => id),
      [0, 2],
    );
    for (const { logprob } of found) assert.ok(Math.abs(logprob - Math.log(0.5)) < 1e-6);
    assert.deepEqual(samplerOver([1, Infinity, 3], OFF).mostLikely(1), [{ id: 1, logprob: 0 }]);
    for (const logits of [[1, NaN], [-Infinity]]) {
      assert.throws(() => samplerOver(logits, OFF).mostLikely(1), { name: "SamplingError" });
    }
  });
});

// A sampler as mirostat or DRY is one: it has a state, and an option that is no number.
interface BanOptions extends ResolvedSampling {
  /** Ids that may be drawn once only. */
  once: readonly number[];
}

const once: SamplerSpec<BanOptions> = {
  name: "once",
  acts: "logits",
  params: [],
  create({ once: ids }) {
    let spent: number[] = [];
    return {
      apply(candidates) {
        for (const id of spent) candidates.setLogit(id, -Infinity);
      },
      accept(id) {
        if (ids.includes(id)) spent.push(id);
      },
      save: () => [...spent],
      load(state) {
        if (!Array.isArray(state)) throw new UsageError("Cannot continue: Expected ids that are spent");
        spent = [...state];
      },
    };
  },
};

describe("Sampler of stages with a state", () => {
  const specs = [...samplers, once] as unknown as readonly SamplerSpec<ResolvedSampling>[];
  const options = { ...resolveSampling({ temperature: 0 }), once: [1, 2] };
  const make = () => createSampler(options, simd.kernels, place([1, 9, 8, 2]), { specs });

  it("changes a state by accept() only", () => {
    const sampler = make();
    assert.deepEqual([sampler.sample([]), sampler.sample([])], [1, 1]);
    sampler.accept(1);
    assert.equal(sampler.sample([]), 2);
    sampler.accept(2);
    assert.equal(sampler.sample([]), 3);
    sampler.accept(3);
    assert.equal(sampler.sample([]), 3);
  });

  it("continues from a saved state, also one that went through JSON", () => {
    const sampler = make();
    sampler.accept(1);
    const saved = JSON.parse(JSON.stringify(sampler.save()));
    assert.deepEqual(saved, { once: [1] });
    sampler.accept(2);
    const other = make();
    other.load(saved);
    assert.deepEqual([sampler.sample([]), other.sample([])], [3, 2]);
  });

  it("refuses states of other samplers", () => {
    const refused = (states: unknown, message: RegExp, sampler = make()) =>
      assert.throws(() => sampler.load(states), { name: "UsageError", message });
    refused({}, /^Cannot continue to sample: Expected the states of once, got those of none$/);
    refused({ once: [], more: 1 }, /got those of once, more$/);
    refused(undefined, /got undefined$/);
    refused({ once: 3 }, /Expected ids that are spent/);
    refused({ once: [] }, /Expected no states of samplers, got those of once$/, samplerOver([1], OFF));
  });
});

describe("checkParam()", () => {
  const bias: SamplingParam = {
    ...{ kind: "value", key: "bias", flag: "--bias", valueName: "MAP", help: "", openai: "logit_bias" },
    expected: "an object of ids and numbers",
    default: {},
    read: (value) => (typeof value === "object" && value !== null ? { ...value } : undefined),
    parse: (text) => (text === "{}" ? {} : undefined),
  };

  it("takes options that are no numbers as their sampler reads them", () => {
    const given = { 7: -100 };
    const read = checkParam(bias, given);
    assert.deepEqual(read, given);
    assert.notEqual(read, given);
    assert.throws(() => checkParam(bias, "7"), {
      name: "UsageError",
      message: 'Cannot sample: Expected bias to be an object of ids and numbers, got "7"',
    });
  });
});
