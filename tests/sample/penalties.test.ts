// Biases and penalties of single tokens: OpenAI's meaning, llama.cpp's numbers, and what prompts and bans do.
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { Candidates } from "../../src/sample/candidates.ts";
import { checkSampling, createSampler, samplerBytes } from "../../src/sample/chain.ts";
import {
  resolveSampling,
  type SamplingOptions,
  samplers,
  samplingParams,
} from "../../src/sample/registry.ts";
import { Rng } from "../../src/sample/rng.ts";
import type { ValueParam } from "../../src/sample/spec.ts";
import { softmax } from "../reference/sample.ts";
import { KernelBench } from "../support/kernels.ts";
import { itShared, sharedJson } from "../support/shared.ts";

const bench = await KernelBench.create("simd", 1 << 20);
const off: SamplingOptions = { temperature: 1, topK: 0, topP: 1, minP: 0, seed: 7 };

function placeOf(logits: readonly number[]) {
  bench.reset();
  const logitsPtr = bench.put(Float32Array.from(logits));
  return {
    memory: bench.memory,
    logitsPtr,
    scratchPtr: bench.alloc(samplerBytes(logits.length)),
    vocabSize: logits.length,
  };
}

// The logits after the stages that change them, for a history of which all was generated.
function changed(logits: readonly number[], options: SamplingOptions, history: readonly number[]): number[] {
  const place = placeOf(logits);
  const candidates = new Candidates(bench.kernels, place);
  candidates.reset(history, history.length);
  const vocabulary = { vocabSize: logits.length, eosIds: [], bytes: () => new Uint8Array() };
  for (const { acts, create } of samplers) {
    const stage = acts === "logits" ? create(resolveSampling({ ...off, ...options }), vocabulary) : undefined;
    for (const id of history) stage?.accept?.(id);
    stage?.apply(candidates, new Rng(0));
  }
  const values = logits.map((_, id) => candidates.logit(id));
  candidates.restore();
  assert.deepEqual(
    logits.map((_, id) => candidates.logit(id)),
    [...Float32Array.from(logits)],
  );
  bench.checkGuards();
  return values;
}

function samplerOver(logits: readonly number[], options: SamplingOptions) {
  return createSampler(resolveSampling({ ...off, ...options }), bench.kernels, placeOf(logits));
}

interface MoreCase {
  readonly sampler: string;
  readonly params: {
    readonly last_n: number;
    readonly repeat: number;
    readonly frequency: number;
    readonly presence: number;
    readonly bias: readonly (readonly [number, number | null])[];
  };
  readonly history: readonly number[];
  readonly probs: readonly number[];
}

interface OldCase {
  readonly sampler: string;
  readonly probs: readonly number[];
  readonly expected: readonly number[];
  readonly last_tokens: readonly number[];
  readonly repeat_penalty: number;
  readonly alpha_frequency: number;
  readonly alpha_presence: number;
}

const more = "conformance/samplers_more.json";
const old = "conformance/sampling.json";

describe("biases and penalties", () => {
  itShared([more, old], "change what llama.cpp's cases say", () => {
    const close = (actual: readonly number[], expected: readonly number[], what: unknown) => {
      const ok = actual.every((value, i) => Math.abs(value - (expected[i] as number)) < 2e-5);
      assert.ok(ok, `${JSON.stringify(what)}: ${actual}`);
    };
    let n = 0;
    const { cases, logits } = sharedJson<{ cases: MoreCase[]; logits: number[] }>(more);
    for (const one of cases) {
      const { sampler, params, history = [], probs } = one;
      // Of 64 tokens or of none: the window of our repetition penalty.
      if (sampler === "penalties" && params.last_n === 64) {
        const { repeat, frequency, presence } = params;
        const options = { repeatPenalty: repeat, frequencyPenalty: frequency, presencePenalty: presence };
        close(softmax(changed(logits, options, history)), probs, one);
        n++;
      }
      if (sampler === "logit_bias") {
        const logitBias = Object.fromEntries(params.bias.map(([id, bias]) => [id, bias ?? -100]));
        close(softmax(changed(logits, { logitBias }, [])), probs, one);
        n++;
      }
    }
    for (const one of sharedJson<{ cases: OldCase[] }>(old).cases) {
      if (one.sampler !== "penalties") continue;
      // Penalties above 2 are taken off in parts.
      const times = 2.5;
      const options = {
        repeatPenalty: one.repeat_penalty,
        frequencyPenalty: one.alpha_frequency / times,
        presencePenalty: one.alpha_presence / times,
      };
      const values = one.probs.map(Math.log);
      const after = changed(values, options, one.last_tokens).map((value, id) =>
        one.repeat_penalty === 1 ? (values[id] as number) - times * ((values[id] as number) - value) : value,
      );
      const ascending = (a: number, b: number) => a - b;
      close(softmax(after).toSorted(ascending), one.expected.toSorted(ascending), one);
      n++;
    }
    assert.equal(n, 8);
  });

  it("act on each other's results in the order of the chain", () => {
    const options = { logitBias: { 1: 3 }, repeatPenalty: 2, frequencyPenalty: 0.5, presencePenalty: 0.25 };
    // (1 + 3) / 2 - 2 * 0.5 - 0.25; -1 * 2 - 0.5 - 0.25
    assert.deepEqual(changed([0, 1, -1], options, [1, 2, 1]), [0, 0.75, -2.75]);
  });

  it("count tokens that were generated and none of the prompt", () => {
    const sampler = samplerOver([1, 2, 3], { temperature: 0, frequencyPenalty: 0.75, presencePenalty: 0.5 });
    assert.equal(sampler.sample([2, 2, 2]), 2);
    sampler.accept(2);
    assert.equal(sampler.sample([2, 2, 2, 2]), 1);
    sampler.accept(1);
    assert.equal(sampler.sample([2, 2, 2, 2, 1]), 2);
    sampler.accept(2);
    assert.equal(sampler.sample([2, 2, 2, 2, 1, 2]), 0);
  });

  it("make repetition likelier if they are negative", () => {
    const sampler = samplerOver([1, 1.5], { temperature: 0, presencePenalty: -1 });
    assert.equal(sampler.sample([]), 1);
    sampler.accept(0);
    assert.equal(sampler.sample([0]), 0);
  });

  it("go on from a state that was saved", () => {
    const options = { temperature: 0, frequencyPenalty: 1, presencePenalty: 1 };
    const sampler = samplerOver([1, 2, 3], options);
    for (const id of [2, 2, 1]) sampler.accept(id);
    const saved = JSON.parse(JSON.stringify(sampler.save()));
    assert.deepEqual(saved, {
      frequency_penalty: [
        [2, 2],
        [1, 1],
      ],
      presence_penalty: [
        [2, 2],
        [1, 1],
      ],
    });
    const again = samplerOver([1, 2, 3], options);
    again.load(saved);
    assert.equal(again.sample([]), sampler.sample([]));
    for (const wrong of [null, {}, [[1]], [[1, -1]], [["1", 1]], 5]) {
      const states = { ...saved, presence_penalty: wrong };
      assert.throws(() => again.load(states), { code: "USAGE", message: /Cannot continue to sample/ });
    }
  });

  it("ban a token at any temperature, and refuse to draw if nothing is left", () => {
    const sampler = samplerOver([9, 1, 1], { temperature: 1e9, logitBias: { 0: -100 } });
    for (let position = 0; position < 200; position++) {
      assert.notEqual(sampler.sample(new Array(position).fill(1)), 0);
    }
    assert.equal(samplerOver([9, 1, 2], { temperature: 0, logitBias: { 0: -100 } }).sample([]), 2);
    assert.equal(samplerOver([9, 1, -2], { logitBias: { 2: 100 } }).sample([]), 2);
    const none = samplerOver([9, 1], { logitBias: { 0: -100, 1: -100 } });
    assert.throws(() => none.sample([]), { code: "SAMPLING" });
  });

  it("refuse ids that the vocabulary does not have", () => {
    const vocabulary = { vocabSize: 10, eosIds: [], bytes: () => new Uint8Array() };
    checkSampling(resolveSampling({ logitBias: { 9: 1 } }), vocabulary);
    assert.throws(() => checkSampling(resolveSampling({ logitBias: { 10: 1 } }), vocabulary), {
      code: "USAGE",
      message: "Cannot sample: Expected ids of logitBias in [0, 10), got 10",
    });
  });

  it("are read from a flag", () => {
    const { parse } = samplingParams.find(({ key }) => key === "logitBias") as ValueParam;
    assert.deepEqual(parse("5=-100,7=2.5,8=+.5"), { 5: -100, 7: 2.5, 8: 0.5 });
    for (const wrong of ["", "5", "5=", "5=x", "5=101", "-5=1", "5=1,", "5=1;6=1"]) {
      assert.equal(parse(wrong), undefined, wrong);
    }
  });
});
