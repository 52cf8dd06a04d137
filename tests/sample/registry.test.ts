import assert from "node:assert/strict";
import { describe, it } from "node:test";
import {
  resolveSampling,
  type SamplingOptions,
  samplers,
  samplingParams,
} from "../../src/sample/registry.ts";
import { checkParam, type NumberParam, paramInterval } from "../../src/sample/spec.ts";

function refuses(options: Record<string, unknown>, message: string): void {
  assert.throws(() => resolveSampling(options as SamplingOptions), {
    name: "UsageError",
    code: "USAGE",
    message,
  });
}

describe("samplers", () => {
  it("samplers have the order of the chain", () => {
    assert.deepEqual(
      samplers.map(({ name }) => name),
      [
        ...["logit_bias", "repeat_penalty", "frequency_penalty", "presence_penalty"],
        ...["top_k", "top_p", "min_p", "temperature"],
      ],
    );
  });
});

describe("samplingParams", () => {
  it("samplingParams name flags and request fields", () => {
    const names = samplingParams.map(({ key, flag, valueName, openai }) => [key, flag, valueName, openai]);
    assert.deepEqual(names, [
      ["logitBias", "--logit-bias", "ID=B,...", "logit_bias"],
      ["repeatPenalty", "--repeat-penalty", "R", "repeat_penalty"],
      ["frequencyPenalty", "--frequency-penalty", "F", "frequency_penalty"],
      ["presencePenalty", "--presence-penalty", "F", "presence_penalty"],
      ["topK", "--top-k", "K", "top_k"],
      ["topP", "--top-p", "P", "top_p"],
      ["minP", "--min-p", "P", "min_p"],
      ["temperature", "--temperature", "T", "temperature"],
      ["seed", "--seed", "S", "seed"],
    ]);
  });

  it("samplingParams have defaults that they accept", () => {
    for (const param of samplingParams) {
      if (param.default !== undefined) assert.deepEqual(checkParam(param, param.default), param.default);
    }
  });
});

describe("paramInterval", () => {
  it("paramInterval() writes intervals", () => {
    const interval = (key: string) =>
      paramInterval(samplingParams.find((param) => param.key === key) as NumberParam);
    assert.equal(interval("topP"), "[0, 1]");
    assert.equal(interval("minP"), "[0, 1]");
    assert.equal(interval("temperature"), "[0, Infinity)");
    assert.equal(interval("repeatPenalty"), "(0, Infinity)");
    assert.equal(interval("seed"), "[0, 9007199254740991]");
  });
});

/** Without a seed, which has none. */
const defaults = {
  ...{ temperature: 0.8, topK: 40, topP: 0.9, minP: 0, repeatPenalty: 1 },
  ...{ frequencyPenalty: 0, presencePenalty: 0, logitBias: {} },
};

describe("resolveSampling", () => {
  it("resolveSampling() gives defaults and a new seed each time", () => {
    const { seed, ...rest } = resolveSampling();
    assert.deepEqual(rest, defaults);
    assert.notEqual(resolveSampling().seed, seed);
  });

  it("resolveSampling() keeps what is given and passes other keys over", () => {
    const options = { temperature: 0, topK: 0, topP: 1, minP: 1, repeatPenalty: 0.5, seed: 0 };
    assert.deepEqual(resolveSampling({ ...options, maxTokens: 3 } as SamplingOptions), {
      ...defaults,
      ...options,
    });
    const extreme = { temperature: 999999, topK: 2 ** 53 - 1, topP: 1e-300, seed: 2 ** 53 - 1 };
    assert.deepEqual(resolveSampling(extreme), { ...defaults, ...extreme });
  });

  it("resolveSampling() refuses values outside of their intervals", () => {
    refuses({ frequencyPenalty: 2.1 }, "Cannot sample: Expected frequencyPenalty in [-2, 2], got 2.1");
    refuses({ presencePenalty: -3 }, "Cannot sample: Expected presencePenalty in [-2, 2], got -3");
    for (const logitBias of [
      { 5: 101 },
      { 5: "1" },
      { "-1": 1 },
      { a: 1 },
      { 1.5: 1 },
      [1],
      { "007": 1 },
      { 5: NaN },
    ]) {
      assert.throws(() => resolveSampling({ logitBias } as SamplingOptions), {
        code: "USAGE",
        message: /Expected logitBias to be ids and their biases in \[-100, 100\]/,
      });
    }
    refuses({ topP: -1 }, "Cannot sample: Expected topP in [0, 1], got -1");
    refuses({ topP: 1.5 }, "Cannot sample: Expected topP in [0, 1], got 1.5");
    refuses({ minP: -0.1 }, "Cannot sample: Expected minP in [0, 1], got -0.1");
    refuses({ repeatPenalty: 0 }, "Cannot sample: Expected repeatPenalty in (0, Infinity), got 0");
    refuses(
      { repeatPenalty: Infinity },
      "Cannot sample: Expected repeatPenalty in (0, Infinity), got Infinity",
    );
    refuses({ temperature: -0.5 }, "Cannot sample: Expected temperature in [0, Infinity), got -0.5");
    refuses({ temperature: NaN }, "Cannot sample: Expected temperature in [0, Infinity), got NaN");
    refuses({ temperature: Infinity }, "Cannot sample: Expected temperature in [0, Infinity), got Infinity");
    refuses({ topK: 1.5 }, "Cannot sample: Expected integer topK in [0, 9007199254740991], got 1.5");
    refuses({ topK: -1 }, "Cannot sample: Expected integer topK in [0, 9007199254740991], got -1");
    refuses(
      { seed: 2 ** 53 },
      "Cannot sample: Expected integer seed in [0, 9007199254740991], got 9007199254740992",
    );
  });

  it("resolveSampling() takes undefined for the default, and refuses null", () => {
    const { seed, ...rest } = resolveSampling({ topP: undefined, topK: undefined } as SamplingOptions);
    assert.deepEqual(rest, defaults);
    for (const { key } of samplingParams) {
      assert.throws(() => resolveSampling({ [key]: null }), { code: "USAGE", message: /, got null$/ });
    }
  });

  it("resolveSampling() takes 0 wherever it has a meaning", () => {
    const zeros = { temperature: 0, topK: 0, topP: 0, minP: 0, seed: 0 };
    assert.deepEqual(resolveSampling(zeros), { ...defaults, ...zeros });
  });

  it("resolveSampling() refuses what is no number", () => {
    refuses({ temperature: "0.8" }, 'Cannot sample: Expected temperature in [0, Infinity), got "0.8"');
    refuses({ seed: 7n }, "Cannot sample: Expected integer seed in [0, 9007199254740991], got 7n");
    refuses({ topP: {} }, "Cannot sample: Expected topP in [0, 1], got an object");
    refuses({ topP: "x".repeat(1e6) }, `Cannot sample: Expected topP in [0, 1], got "${"x".repeat(80)}..."`);
  });
});
