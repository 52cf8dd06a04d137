// Rotary scalings that files ask for, each against a forward pass in f64, and what is refused of them.
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { openModelFile } from "../../../src/format/detect.ts";
import { llama } from "../../../src/model/arch/families/llama.ts";
import { ggufHyper } from "../../../src/model/hyper/gguf_hyper.ts";
import { readConfig } from "../../../src/model/read_model.ts";
import { bytesSource } from "../../../src/source/bytes.ts";
import { type ReferenceYarn, ropeFreqs } from "../../reference/rope.ts";
import { type GgufValue, meta, type TinyLlamaOptions, tinyLlama } from "../../support/gguf_writer.ts";
import { engineOf } from "../../support/models.ts";
import { compare, exact } from "../../support/toy.ts";

type Keys = Record<string, GgufValue | undefined>;

const f32 = (value: number) => meta("f32", value);
const scaling = (keys: Keys): Keys =>
  Object.fromEntries(Object.entries(keys).map(([key, value]) => [`llama.rope.scaling.${key}`, value]));
const kind = (type: string, more: Keys = {}) => ({
  metadata: scaling({ type: meta("string", type), ...more }),
});

const trained = { original_context_length: meta("u32", 32) };
const yarnOf = (more: Keys = {}) => kind("yarn", { factor: f32(8), ...trained, ...more });

/** What the reference is told of a rotation. */
const turning =
  (more: { yarn?: ReferenceYarn; freqs?: ArrayLike<number>; growth?: number } = {}) =>
  () =>
    ({ pairing: "adjacent", dim: 16, theta: 10000, ...more }) as const;

const yarn = { factor: 8, context: 32 };

const longFactors = Float32Array.of(1, 1.5, 2, 3, 5, 8, 13, 21);
const shortFactors = Float32Array.of(1, 1, 1, 1.1, 1.2, 1.3, 1.4, 1.5);
const factorsOf = (long: Float32Array, short: Float32Array) => ({
  "rope_factors_long.weight": { shape: [long.length], values: long },
  "rope_factors_short.weight": { shape: [short.length], values: short },
});
const longRope = (more: Keys = {}): TinyLlamaOptions => ({
  tensors: factorsOf(longFactors, shortFactors),
  metadata: scaling({ ...trained, ...more }),
});

async function refuses(options: TinyLlamaOptions, message: string, load = {}): Promise<void> {
  await assert.rejects(engineOf(tinyLlama(options).file.bytes, load), { name: "FormatError", message });
}

async function configOf(options: TinyLlamaOptions) {
  return readConfig(await openModelFile(bytesSource(tinyLlama(options).file.bytes)));
}

describe("YaRN of a file", () => {
  it("extrapolates a part of the fast pairs, and takes whole pairs or not", async () => {
    for (const [keys, more] of [
      [{ yarn_ext_factor: f32(0.5) }, { extrapolation: 0.5 }],
      [{ yarn_ext_factor: f32(-1) }, {}],
      [{ yarn_ext_factor: f32(1) }, {}],
      [{ yarn_truncate: meta("bool", false) }, { truncate: false }],
      // The logarithm of the scale takes its place.
      [{ yarn_attn_factor: f32(0.5) }, {}],
    ] as const) {
      await compare(tinyLlama(yarnOf(keys)), exact, { rope: turning({ yarn: { ...yarn, ...more } }) });
    }
  });

  it("is linear if nothing is extrapolated, and grows by yarn_attn_factor then", async () => {
    const freqs = ropeFreqs(10000, 16).map((freq) => freq / 8);
    const keys = { yarn_ext_factor: f32(0), yarn_attn_factor: f32(1.5) };
    await compare(tinyLlama(yarnOf(keys)), exact, { rope: turning({ freqs, growth: 1.5 }) });
    const more = { ...keys, attn_factor: f32(1.25) };
    await compare(tinyLlama(yarnOf(more)), exact, { rope: turning({ freqs, growth: 1.875 }) });
    assert.equal((await configOf(yarnOf(keys))).ropeScaling, "linear");
  });

  it("grows by attn_factor besides, as every scaling does", async () => {
    const factor = { attn_factor: f32(1.25) };
    await compare(tinyLlama(yarnOf(factor)), exact, { rope: turning({ yarn, growth: 1.25 }) });
    await compare(tinyLlama({ metadata: scaling(factor) }), exact, { rope: turning({ growth: 1.25 }) });
    const freqs = ropeFreqs(10000, 16).map((freq) => freq / 4);
    const linear = kind("linear", { factor: f32(4), ...factor });
    await compare(tinyLlama(linear), exact, { rope: turning({ freqs, growth: 1.25 }) });
  });

  it("leaves its growth to the scores in DeepSeek's way, of which files hold a tenth", async () => {
    const file = tinyLlama({
      architecture: "deep",
      metadata: {
        "deep.rope.scaling.type": meta("string", "yarn"),
        "deep.rope.scaling.factor": f32(8),
        "deep.rope.scaling.original_context_length": meta("u32", 32),
        "deep.rope.scaling.yarn_log_multiplier": f32(0.075),
      },
    });
    const hyper = (of: Parameters<typeof llama.hyper>[0]) =>
      ggufHyper(of, {
        epsilon: "attention.layer_norm_rms_epsilon",
        embedding: "token_embd.weight",
        yarnInScores: true,
      });
    const options = { ...exact, architectures: [{ ...llama, name: "deep", hyper }] };
    const scores = (1 + 0.1 * 0.75 * Math.log(8)) ** 2 / 4;
    // A multiplier of 1 takes the growth of cosines and sines off.
    const rope = turning({ yarn: { ...yarn, logMultiplier: 1 } });
    await compare(file, options, { rope, scale: scores });
  });
});

describe("LongRoPE of a file", () => {
  const freqsBy = (factors: Float32Array) =>
    ropeFreqs(10000, 16).map((freq, i) => freq / (factors[i] as number));

  it("takes the factors of the context that is asked for, also for a short text", async () => {
    const file = tinyLlama(longRope({ attn_factor: f32(1.25), original_context_length: meta("u32", 40) }));
    for (const [contextLength, factors] of [
      [undefined, longFactors],
      [128, longFactors],
      [41, longFactors],
      [40, shortFactors],
    ] as const) {
      const rope = turning({ freqs: freqsBy(factors), growth: 1.25 });
      await compare(file, { ...exact, contextLength }, { rope });
    }
    // Without the key nothing is longer than what the model was trained for.
    const own = tinyLlama({ tensors: factorsOf(longFactors, shortFactors) });
    await compare(own, exact, { rope: turning({ freqs: freqsBy(shortFactors) }) });
  });

  it("refuses factors that are missing, of the wrong length, or no positive numbers", async () => {
    const at = (name: string) => `Cannot load tensor rope_factors_${name}.weight of bytes:`;
    const without = (name: string): TinyLlamaOptions => ({
      ...longRope(),
      tensors: { ...factorsOf(longFactors, shortFactors), [`rope_factors_${name}.weight`]: undefined },
    });
    await refuses(without("short"), `${at("short")} Expected shape [8], got none`);
    await refuses(without("long"), `${at("long")} Expected shape [8], got none`);
    await refuses(kind("longrope"), `${at("long")} Expected shape [8], got none`);
    for (const length of [7, 16]) {
      const wrong = new Float32Array(length).fill(1);
      const got = `Expected shape [8], got [${length}]`;
      await refuses({ ...longRope(), tensors: factorsOf(wrong, shortFactors) }, `${at("long")} ${got}`);
      await refuses({ ...longRope(), tensors: factorsOf(longFactors, wrong) }, `${at("short")} ${got}`);
    }
    // Also of the factors that this context does not take.
    for (const contextLength of [16, 128]) {
      for (const value of [0, -1]) {
        const wrong = longFactors.with(3, value);
        const got = `Expected values of at least ${contextLength / 2 ** 20}, got ${value}`;
        await refuses({ ...longRope(), tensors: factorsOf(wrong, shortFactors) }, `${at("long")} ${got}`, {
          contextLength,
        });
        await refuses({ ...longRope(), tensors: factorsOf(longFactors, wrong) }, `${at("short")} ${got}`, {
          contextLength,
        });
      }
      for (const value of [Number.NaN, Number.POSITIVE_INFINITY]) {
        const wrong = longFactors.with(3, value);
        await refuses(
          { ...longRope(), tensors: factorsOf(longFactors, wrong) },
          "Cannot load tensor rope_factors_short.weight of type F32 of bytes: Expected finite values, got NaN or infinity",
          { contextLength },
        );
      }
    }
  });

  it("refuses a trained context of 0, beyond the context, or that is no integer", async () => {
    for (const [value, got] of [
      [meta("u32", 0), "u32 0"],
      [meta("u32", 129), "u32 129"],
      [meta("u64", 2n ** 60n), "u64 1152921504606846976"],
      [f32(Number.NaN), "f32 NaN"],
      [f32(32.5), "f32 32.5"],
      [meta("string", "32"), 'string "32"'],
    ] as const) {
      await refuses(
        { ...longRope(), metadata: scaling({ original_context_length: value }) },
        `Cannot load bytes: Expected llama.rope.scaling.original_context_length to be an integer in [1, 128], got ${got}`,
      );
    }
  });
});

describe("dynamic scaling of a file", () => {
  const dynamic = (factor: number) => ({ metadata: scaling({ dynamic_factor: f32(factor) }) });

  it("leaves everything as it is up to the model's context, which is the default", async () => {
    const plain = await compare(tinyLlama(), exact, {});
    assert.equal(await compare(tinyLlama(dynamic(4)), exact, {}), plain);
    assert.equal(await compare(tinyLlama(dynamic(4)), { ...exact, contextLength: 50 }, {}), plain);
    assert.equal(await compare(tinyLlama(dynamic(1)), exact, {}), plain);
  });

  it("raises theta for a longer one, for all positions alike", async () => {
    for (const contextLength of [129, 256, 512]) {
      const theta = 10000 * ((4 * contextLength) / 128 - 3) ** (16 / 14);
      const rope = turning({ freqs: ropeFreqs(theta, 16) });
      await compare(tinyLlama(dynamic(4)), { ...exact, contextLength }, { rope });
    }
  });

  it("reaches the model's context times its factor", async () => {
    await assert.rejects(engineOf(tinyLlama(dynamic(4)).file.bytes, { contextLength: 513 }), {
      name: "UsageError",
      message:
        "Cannot load with contextLength 513: Expected at most 512 (the model's context); ropeScaling reaches beyond it",
    });
  });

  it("refuses factors of less than 1, and what is no number", async () => {
    for (const [factor, got] of [
      [f32(0), "f32 0"],
      [f32(0.5), "f32 0.5"],
      [f32(-2), "f32 -2"],
      [f32(Number.NaN), "f32 NaN"],
      [f32(2 ** 21), "f32 2097152"],
    ] as const) {
      await refuses(
        { metadata: scaling({ dynamic_factor: factor }) },
        `Cannot load bytes: Expected llama.rope.scaling.dynamic_factor to be a number in [1, 1048576], got ${got}`,
      );
    }
  });
});

describe("readConfig()", () => {
  it("says what scaling was recognised", async () => {
    const usual = await configOf({});
    const { ropeScaling, ...others } = usual;
    assert.equal(ropeScaling, undefined);
    for (const [options, expected] of [
      [kind("none", { factor: f32(4) }), {}],
      [kind("linear", { factor: f32(4) }), { ropeScaling: "linear", ropeScale: 4 }],
      [kind("linear", { factor: f32(0) }), {}],
      [
        { metadata: scaling({ dynamic_factor: f32(4) }) },
        { ropeScaling: "dynamic", ropeFactor: 4, ropeContext: 128 },
      ],
      [longRope({ attn_factor: f32(1.25) }), { ropeScaling: "longrope", ropeContext: 32, ropeGrowth: 1.25 }],
      [
        { tensors: { "rope_freqs.weight": { shape: [8], values: new Float32Array(8).fill(2) } } },
        { ropeScaling: "llama3" },
      ],
      [
        yarnOf({ yarn_ext_factor: f32(0.5), yarn_truncate: meta("bool", false) }),
        {
          ropeScaling: "yarn",
          ropeScale: 8,
          ...{ yarnContext: 32, yarnFast: 32, yarnSlow: 1, yarnLogMultiplier: 0 },
          ...{ yarnExtrapolation: 0.5, yarnFractional: 1 },
        },
      ],
    ] as const) {
      assert.deepEqual(await configOf(options as TinyLlamaOptions), { ...others, ...expected });
    }
  });
});
