// Rotary scalings that a caller asks for: what they compute, how far they reach, and what is refused.
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { planLayout } from "../../../src/engine/layout.ts";
import { openModelFile } from "../../../src/format/detect.ts";
import { Llama, type LoadOptions, type RopeScalingOptions } from "../../../src/mod.ts";
import { bytesSource } from "../../../src/source/bytes.ts";
import { UsageError } from "../../../src/util/errors.ts";
import { dynamicFreqs, ropeFreqs, yarnFreqs } from "../../reference/rope.ts";
import { type GgufValue, meta, type TinyLlamaOptions, tinyLlama } from "../../support/gguf_writer.ts";
import { engineOf, someIds } from "../../support/models.ts";
import { compare, exact, toy, toyFile } from "../../support/toy.ts";

const f32 = (value: number) => meta("f32", value);
const scaling = (keys: Record<string, GgufValue>): TinyLlamaOptions => ({
  metadata: Object.fromEntries(
    Object.entries(keys).map(([key, value]) => [`llama.rope.scaling.${key}`, value]),
  ),
});
const yarnFile = scaling({
  type: meta("string", "yarn"),
  factor: f32(4),
  original_context_length: meta("u32", 32),
  attn_factor: f32(1.25),
});
const longRope: TinyLlamaOptions = {
  tensors: Object.fromEntries(
    ["long", "short"].map((name) => [
      `rope_factors_${name}.weight`,
      { shape: [8], values: new Float32Array(8).fill(2) },
    ]),
  ),
};

/** What the reference is told of a rotation. */
const turning = (freqs: ArrayLike<number>, growth = 1) => ({
  rope: () => ({ pairing: "adjacent", dim: 16, theta: 10000, freqs, growth }) as const,
});

const base = ropeFreqs(10000, 16);
const ntk = (factor: number) => ropeFreqs(10000 * factor ** (16 / 14), 16);

async function layoutOf(options: TinyLlamaOptions, load: LoadOptions) {
  return planLayout(await openModelFile(bytesSource(tinyLlama(options).file.bytes)), load);
}

async function refuses(options: TinyLlamaOptions, load: LoadOptions, message: string): Promise<void> {
  await assert.rejects(layoutOf(options, load), (error) => {
    assert.ok(error instanceof UsageError, String(error));
    assert.equal(error.message, `Cannot load ${message}`);
    return true;
  });
}

describe("ropeScaling", () => {
  it("computes what is asked for, with the same bits for every split of a text", async () => {
    const yarn = yarnFreqs(10000, 16, { factor: 4, context: 128 });
    const changed = { factor: 4, context: 64, fast: 8, slow: 0.5 };
    const cases: [RopeScalingOptions, ArrayLike<number>, number?][] = [
      [{ type: "none" }, base],
      [{ type: "linear", factor: 4 }, base.map((freq) => freq / 4)],
      [{ type: "ntk", factor: 4 }, ntk(4)],
      [{ type: "dynamic", factor: 4 }, dynamicFreqs(10000, 16, { factor: 4, context: 128, length: 512 })],
      [{ type: "yarn", factor: 4 }, yarn.freqs, yarn.growth],
      [
        {
          ...{ type: "yarn", factor: 4, originalContextLength: 64 },
          ...{ betaFast: 8, betaSlow: 0.5, attentionFactor: 1.5 },
        },
        yarnFreqs(10000, 16, changed).freqs,
        1.5,
      ],
    ];
    for (const [ropeScaling, freqs, growth] of cases) {
      await compare(tinyLlama(), { ...exact, ropeScaling }, turning(freqs, growth));
    }
  });

  it("dynamic: takes theta of the context of the load, and leaves it as it is up to the trained one", async () => {
    const dynamic = { type: "dynamic", factor: 2 } as const;
    const plain = await compare(tinyLlama(), exact, {});
    for (const contextLength of [40, 128]) {
      assert.equal(
        await compare(tinyLlama(), { ...exact, contextLength, ropeScaling: dynamic }, {}),
        plain,
        `${contextLength}`,
      );
    }
    for (const length of [129, 200, 256]) {
      const freqs = dynamicFreqs(10000, 16, { factor: 2, context: 128, length });
      const load = { ...exact, contextLength: length, ropeScaling: dynamic };
      await compare(tinyLlama(), load, turning(freqs));
    }
  });

  it("takes the place of the file's own as a whole, but for factors in a tensor", async () => {
    const none = await compare(tinyLlama(), exact, {});
    const unscaled = { ...exact, contextLength: 64, ropeScaling: { type: "none" } } as const;
    assert.equal(await compare(tinyLlama(yarnFile), unscaled, {}), none);
    const linear = { type: "linear", factor: 2 } as const;
    const halved = base.map((freq) => freq / 2);
    await compare(tinyLlama(yarnFile), { ...exact, ropeScaling: linear }, turning(halved));
    const dynamic = scaling({ dynamic_factor: f32(8) });
    const load = { ...exact, contextLength: 256, ropeScaling: linear };
    await compare(tinyLlama(dynamic), load, turning(halved));
    const tensors = { "rope_freqs.weight": { shape: [8], values: new Float32Array(8).fill(4) } };
    const quarters = base.map((freq) => freq / 8);
    await compare(tinyLlama({ tensors }), { ...exact, ropeScaling: linear }, turning(quarters));
  });

  it("leaves layers with a sliding window as they are, unless all have one", async () => {
    const linear = { ...exact, ropeScaling: { type: "linear", factor: 4 } } as const;
    const scaled = base.map((freq) => freq / 4);
    const windows = (windowed: (i: number) => boolean) =>
      toy((spec, i) => ({
        ...spec,
        attention: { ...spec.attention, ...(windowed(i) && { window: 8 }) },
      }));
    const rope = (freqs: ArrayLike<number>) => turning(freqs).rope();
    await compare(
      toyFile(),
      { ...linear, ...windows((i) => i === 0) },
      { window: (i) => (i === 0 ? 8 : undefined), rope: (i) => rope(i === 0 ? base : scaled) },
    );
    const all = { window: () => 8, rope: () => rope(scaled) };
    await compare(toyFile(), { ...linear, ...windows(() => true) }, all);
  });

  it("reaches as many positions as its factor says, or as contextLength asks for", async () => {
    const linear = (factor?: number) => ({ type: "linear", ...(factor && { factor }) }) as const;
    for (const [ropeScaling, contextLength, expected, scale] of [
      [linear(4), undefined, 512, 4],
      [linear(4), 100, 100, 4],
      [linear(1.5), undefined, 192, 1.5],
      [linear(1000), undefined, 4096, 1000],
      [linear(), 384, 384, 3],
      [linear(), 64, 64, 1],
      [{ type: "linear", factor: 4, originalContextLength: 64 }, undefined, 256, 4],
      [{ type: "yarn" }, 384, 384, 3],
      [{ type: "none" }, undefined, 128, 1],
      [{ type: "none" }, 5000, 5000, 1],
    ] as const) {
      const layout = await layoutOf({}, { ropeScaling, ...(contextLength && { contextLength }) });
      const { ropeScale, contextLength: most } = layout.config;
      assert.deepEqual([layout.contextLength, ropeScale], [expected, scale]);
      assert.ok(most >= layout.contextLength);
    }
    // Of a file that scales, the trained context counts.
    const layout = await layoutOf(yarnFile, { ropeScaling: { type: "ntk", factor: 2 } });
    assert.equal(layout.contextLength, 64);
    assert.equal((await layoutOf(yarnFile, { ropeScaling: { type: "none" } })).contextLength, 32);
  });

  it("is said by the configuration", async () => {
    const { config: plain } = await layoutOf({}, {});
    for (const [ropeScaling, expected] of [
      [{ type: "none" }, {}],
      [
        { type: "linear", factor: 2 },
        { ropeScaling: "linear", ropeScale: 2 },
      ],
      [
        { type: "ntk", factor: 2 },
        { ropeScaling: "ntk", ropeTheta: 10000 * 2 ** (16 / 14) },
      ],
      [
        { type: "dynamic", factor: 2 },
        {
          ...{ ropeScaling: "dynamic", ropeFactor: 2, ropeContext: 128 },
          ropeTheta: 10000 * 3 ** (16 / 14),
        },
      ],
      [
        { type: "yarn", factor: 2, attentionFactor: 1.5 },
        {
          ...{ ropeScaling: "yarn", ropeScale: 2, ropeGrowth: 1.5 },
          ...{ yarnContext: 128, yarnFast: 32, yarnSlow: 1, yarnLogMultiplier: 1 },
        },
      ],
    ] as const) {
      const { config } = await layoutOf(yarnFile, {
        ropeScaling: { ...ropeScaling, originalContextLength: 128 } as RopeScalingOptions,
      });
      const contextLength = ropeScaling.type === "none" ? 128 : 256;
      const theta = "ropeTheta" in expected ? expected.ropeTheta : plain.ropeTheta;
      assert.ok(Math.abs(config.ropeTheta / theta - 1) < 1e-13);
      assert.deepEqual(config, { ...plain, contextLength, ...expected, ropeTheta: config.ropeTheta });
    }
  });

  it("refuses contexts that it does not reach, and says what it reaches", async () => {
    await refuses(
      {},
      { contextLength: 513, ropeScaling: { type: "yarn", factor: 4 } },
      "with contextLength 513: Expected at most 512 (the model's 128, and ropeScaling.factor 4)",
    );
    await refuses(
      {},
      { contextLength: 2 ** 20 + 1, ropeScaling: { type: "none" } },
      "with contextLength 1048577: Expected at most 1048576",
    );
    await refuses(
      {},
      { ropeScaling: { type: "linear" } },
      "with ropeScaling linear: Expected ropeScaling.factor or contextLength to say how far it reaches, got neither",
    );
    await refuses(
      {},
      { ropeScaling: { type: "yarn", factor: 2, originalContextLength: 129 } },
      "with ropeScaling.originalContextLength 129: Expected at most 128 (the model's context)",
    );
  });

  it("refuses models that cannot have it", async () => {
    await refuses(
      longRope,
      { ropeScaling: { type: "yarn", factor: 4 } },
      "bytes with ropeScaling yarn: Expected a model without factors of its own (rope_factors_long.weight); leave ropeScaling out: they are its scaling",
    );
    await refuses(
      { metadata: { "llama.rope.freq_base": f32(1) } },
      { ropeScaling: { type: "yarn", factor: 4 } },
      "bytes with ropeScaling yarn: Expected a model whose rotary base is more than 1, got 1",
    );
    const without = toy((spec) => {
      const { rope: _, ...attention } = spec.attention;
      return { ...spec, attention };
    });
    await assert.rejects(
      engineOf(toyFile().file.bytes, { ...without, ropeScaling: { type: "ntk", factor: 2 } }),
      {
        name: "UsageError",
        message:
          "Cannot load bytes with ropeScaling ntk: Expected a model with rotary positions, got architecture toy",
      },
    );
  });

  it("goes on bit for bit from a snapshot, and refuses one of another scaling", async () => {
    const bytes = tinyLlama().file.bytes;
    const ids = someIds(150, 300);
    const options = { temperature: 0, maxTokens: 8, ignoreEos: true };
    const load = { threads: 1, contextLength: 256, ropeScaling: { type: "dynamic" } } as const;
    await using llama = await Llama.load(bytes, load);
    const session = llama.session();
    await session.complete(ids, { ...options, maxTokens: 1 });
    const saved = session.save();
    const expected = await session.complete([], options);
    await using again = await Llama.load(bytes, load);
    assert.deepEqual((await again.restore(saved).complete([], options)).ids, expected.ids);
    for (const ropeScaling of [{ type: "ntk" }, { type: "none" }, { type: "dynamic", factor: 3 }] as const) {
      await using other = await Llama.load(bytes, { ...load, ropeScaling });
      assert.throws(() => other.restore(saved), { name: "SnapshotError" });
    }
  });
});

describe("Llama.load()", () => {
  it("refuses a ropeScaling that nobody knows, and numbers out of their intervals", async () => {
    const bytes = tinyLlama().file.bytes;
    for (const [ropeScaling, message] of [
      ["yarn", /^Cannot load with ropeScaling "yarn": Expected an object$/],
      [null, /^Cannot load with ropeScaling null: Expected an object$/],
      [
        {},
        /^Cannot load with ropeScaling\.type undefined: Expected one of none, linear, ntk, dynamic, yarn$/,
      ],
      [{ type: "longrope" }, /^Cannot load with ropeScaling\.type "longrope": Expected one of none, linear/],
      [
        { type: "yarn", facter: 2 },
        /^Cannot load with ropeScaling: Unknown option "facter"; did you mean factor\?$/,
      ],
      [{ type: "none", factor: 2 }, /^Cannot load with ropeScaling\.factor 2: Expected none with type none$/],
      ...[0.5, 0, -1, Number.NaN, Number.POSITIVE_INFINITY, "2", 2 ** 21].map(
        (factor) =>
          [
            { type: "linear", factor },
            /^Cannot load with ropeScaling\.factor \S+: Expected a number in \[1, 1048576\]$/,
          ] as const,
      ),
      ...[0, -1, 1.5, Number.NaN, 2 ** 21].map(
        (originalContextLength) =>
          [
            { type: "ntk", factor: 2, originalContextLength },
            /^Cannot load with ropeScaling\.originalContextLength \S+: Expected an integer in \[1, 1048576\]$/,
          ] as const,
      ),
      ...["attentionFactor", "betaFast", "betaSlow"].flatMap((name) => [
        [
          { type: "yarn", factor: 2, [name]: Number.NaN },
          new RegExp(`^Cannot load with ropeScaling\\.${name} NaN: Expected a number in \\[\\S+, \\d+\\]$`),
        ] as const,
        [
          { type: "yarn", factor: 2, [name]: 0 },
          new RegExp(`^Cannot load with ropeScaling\\.${name} 0: Expected a number in`),
        ] as const,
        [
          { type: "linear", factor: 2, [name]: 1 },
          new RegExp(
            `^Cannot load with ropeScaling\\.${name} 1: Expected none with type linear; it is yarn's$`,
          ),
        ] as const,
      ]),
    ] as const) {
      await assert.rejects(
        Llama.load(bytes, { ropeScaling: ropeScaling as RopeScalingOptions }),
        (error: Error) => {
          assert.ok(error instanceof UsageError, String(error));
          assert.match(error.message, message);
          return true;
        },
      );
    }
  });
});
