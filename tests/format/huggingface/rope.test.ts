// What config.json says of rotary positions, in every spelling: GGUF's keys and tensors, and the bits of its files.
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { readRope } from "../../../src/format/huggingface/rope.ts";
import { FormatError, Llama, type LoadOptions, UnsupportedError } from "../../../src/mod.ts";
import { JsonValue } from "../../../src/tokenizer/huggingface/json.ts";
import { fixturePath } from "../../support/fixtures.ts";
import { type GgufValue, meta, type TinyLlamaOptions, tinyLlama } from "../../support/gguf_writer.ts";
import { FOLDER_VOCAB, tinyFolder } from "../../support/safetensors_writer.ts";
import { itShared, sharedJson } from "../../support/shared.ts";

type Config = Readonly<Record<string, unknown>>;

function read(config: Config, headDim = 16, context = 128) {
  const json = JsonValue.parse(new TextEncoder().encode(JSON.stringify(config)), "config.json");
  return readRope(json, { architecture: "a", headDim, context });
}

/** The keys of a configuration, without what all have. */
function keysOf(config: Config): Record<string, unknown> {
  const { metadata } = read(config);
  const usual: Record<string, unknown> = {
    ...{ "rope.dimension_count": 16, context_length: 128, "rope.freq_base": 10000 },
  };
  const found = Array.from(metadata, ([key, { value }]) => [key.replace("a.", ""), value] as const);
  return Object.fromEntries(found.filter(([key, value]) => usual[key] !== value));
}

const factors = (n: number, step: number) => Array.from({ length: n }, (_, i) => 1 + step * i);
const lists = { long_factor: factors(8, 0.5), short_factor: factors(8, 0.125) };

describe("rope_scaling", () => {
  it("may be absent, null, or the default in each spelling", () => {
    for (const config of [
      {},
      { rope_scaling: null, rope_theta: null },
      { rope_scaling: { type: "default" }, rope_theta: 10000 },
      { rope_scaling: { rope_type: "default" } },
      { rope_parameters: { rope_type: "default", rope_theta: 10000 } },
      { rope_parameters: { rope_theta: 10000, partial_rotary_factor: 1 } },
      // Sections for positions of images: those of text are all the same.
      { rope_scaling: { type: "mrope", mrope_section: [2, 3, 3] } },
      {
        rope_scaling: {
          type: "mrope",
          rope_type: "default",
          mrope_section: [2, 3, 3],
          mrope_interleaved: true,
        },
      },
      // NTK by 1 is nothing.
      { rope_scaling: { type: "ntk", factor: 1 } },
    ]) {
      assert.deepEqual(keysOf(config), {}, JSON.stringify(config));
    }
    assert.deepEqual(keysOf({ rope_theta: 500000 }), { "rope.freq_base": 500000 });
    assert.deepEqual(keysOf({ rope_theta: 1, rope_parameters: { rope_theta: 1e6 } }), {
      "rope.freq_base": 1e6,
    });
  });

  it("linear", () => {
    const expected = { "rope.scaling.type": "linear", "rope.scaling.factor": 4 };
    for (const config of [
      { rope_scaling: { type: "linear", factor: 4 } },
      { rope_scaling: { rope_type: "linear", factor: 4, type: "yarn" } },
      { rope_parameters: { rope_type: "linear", factor: 4, rope_theta: 10000 } },
    ]) {
      assert.deepEqual(keysOf(config), expected);
    }
  });

  it("ntk, and dynamic with alpha: another base", () => {
    const theta = Math.fround(10000 * 1000 ** (16 / 14));
    for (const scaling of [
      { type: "ntk", factor: 1000 },
      { type: "ntk", alpha: 1000 },
      { type: "dynamic", alpha: 1000, factor: 1, beta_fast: 32, beta_slow: 1, mscale: 1, mscale_all_dim: 1 },
    ]) {
      const { "rope.freq_base": base, ...others } = keysOf({ rope_scaling: scaling });
      assert.deepEqual(others, {});
      assert.ok(Math.abs(Number(base) / theta - 1) < 1e-7, `${base}, expected ${theta}`);
    }
  });

  it("dynamic", () => {
    const dynamic = { "rope.scaling.dynamic_factor": 2 };
    assert.deepEqual(keysOf({ rope_scaling: { type: "dynamic", factor: 2 } }), dynamic);
    const trained = { rope_type: "dynamic", factor: 2, original_max_position_embeddings: 64 };
    assert.deepEqual(keysOf({ rope_scaling: trained }), {
      ...dynamic,
      "rope.scaling.original_context_length": 64,
    });
  });

  it("yarn, whose context reaches as far as its factor says", () => {
    const type = { "rope.scaling.type": "yarn", "rope.scaling.factor": 4 };
    const trained = (n: number) => ({ "rope.scaling.original_context_length": n });
    const yarn = (more: Config) => keysOf({ rope_scaling: { type: "yarn", factor: 4, ...more } });
    const original = { original_max_position_embeddings: 32 };
    assert.deepEqual(yarn({}), { ...type, ...trained(128), context_length: 512 });
    assert.deepEqual(yarn(original), { ...type, ...trained(32) });
    assert.deepEqual(yarn({ original_max_position_embeddings: 64 }), {
      ...type,
      ...trained(64),
      context_length: 256,
    });
    // The contexts say what the factor does not.
    assert.deepEqual(yarn({ ...original, factor: null }), { ...type, ...trained(32) });
    assert.deepEqual(yarn({ ...original, beta_fast: 16, beta_slow: 2, truncate: false, finetuned: true }), {
      ...type,
      ...trained(32),
      ...{ "rope.scaling.yarn_beta_fast": 16, "rope.scaling.yarn_beta_slow": 2 },
      "rope.scaling.yarn_truncate": false,
    });
    assert.deepEqual(yarn({ ...original, truncate: true }), { ...type, ...trained(32) });
    assert.deepEqual(yarn({ ...original, llama_4_scaling_beta: 0.5 }), {
      ...type,
      ...trained(32),
      "attention.temperature_scale": 0.5,
    });
  });

  it("yarn's growth, in each of its ways", () => {
    const usual = 1 + 0.1 * Math.log(4);
    const growth = (more: Config) => {
      const found = keysOf({ rope_scaling: { type: "yarn", factor: 4, ...more } });
      const taken = found["rope.scaling.yarn_log_multiplier"];
      return [found["rope.scaling.attn_factor"], taken];
    };
    assert.deepEqual(growth({}), [undefined, undefined]);
    // What is usual needs no key.
    assert.deepEqual(growth({ attention_factor: usual }), [undefined, undefined]);
    assert.deepEqual(growth({ mscale: 1, mscale_all_dim: 0 }), [undefined, undefined]);
    assert.deepEqual(growth({ mscale: 1, mscale_all_dim: 0.5 }), [undefined, 0.5]);
    assert.deepEqual(growth({ attention_factor: 1.5, mscale: 1, mscale_all_dim: 0.5 }), [
      Math.fround(1.5 / usual),
      undefined,
    ]);
    const [ratio, none] = growth({ mscale: 0.75, mscale_all_dim: 0.5 });
    const grown = (k: number) => 1 + 0.1 * k * Math.log(4);
    assert.ok(Math.abs(Number(ratio) / (grown(0.75) / grown(0.5) / usual) - 1) < 1e-6);
    assert.equal(none, undefined);
  });

  it("longrope, also as su, with the trained context inside or outside", async () => {
    const type = { "rope.scaling.type": "longrope" };
    const trained = { "rope.scaling.original_context_length": 32 };
    const grown = Math.fround(Math.sqrt(1 + Math.log(4) / Math.log(32)));
    for (const [config, growth] of [
      [{ original_max_position_embeddings: 32, rope_scaling: { type: "su", ...lists } }, grown],
      [{ rope_scaling: { type: "longrope", original_max_position_embeddings: 32, ...lists } }, grown],
      [
        {
          original_max_position_embeddings: 32,
          rope_scaling: { rope_type: "longrope", factor: 9, ...lists },
        },
        grown,
      ],
      [
        {
          original_max_position_embeddings: 32,
          rope_scaling: { type: "su", attention_factor: 1.5, ...lists },
        },
        1.5,
      ],
      [
        {
          original_max_position_embeddings: 32,
          rope_scaling: { type: "longrope", long_mscale: 1.25, short_mscale: 1.25, ...lists },
        },
        1.25,
      ],
    ] as const) {
      const { "rope.scaling.attn_factor": found, ...others } = keysOf(config);
      assert.deepEqual(others, { ...type, ...trained });
      assert.ok(Math.abs(Number(found) / growth - 1) < 1e-6);
    }
    // Without it the context is the trained one, and reaches farther.
    const { "rope.scaling.attn_factor": found, ...others } = keysOf({
      rope_scaling: { type: "longrope", factor: 4, ...lists },
    });
    assert.deepEqual(others, {
      ...type,
      ...{ context_length: 512, "rope.scaling.original_context_length": 128 },
    });
    assert.ok(Math.abs(Number(found) / Math.sqrt(1 + Math.log(4) / Math.log(128)) - 1) < 1e-6);
    const { tensors } = read({ rope_scaling: { type: "su", factor: 4, ...lists } });
    for (const [i, [name, list]] of Object.entries({
      rope_factors_long: lists.long_factor,
      rope_factors_short: lists.short_factor,
    }).entries()) {
      const { source, ...info } = tensors[i] as (typeof tensors)[number];
      assert.deepEqual([info.name, info.shape, info.type], [`${name}.weight`, [8], "F32"]);
      const values = new Float32Array(8);
      await source.read(0, new Uint8Array(values.buffer));
      assert.deepEqual([...values], list);
    }
  });

  it("for each type of layers, with a base of those with a window", () => {
    const near = { "rope.freq_base_swa": 10000 };
    const far = { "rope.freq_base": 1e6, "rope.scaling.type": "linear", "rope.scaling.factor": 8 };
    const full = { rope_type: "linear", factor: 8, rope_theta: 1e6 };
    for (const config of [
      {
        rope_parameters: {
          full_attention: full,
          sliding_attention: { rope_type: "default", rope_theta: 10000 },
        },
      },
      { rope_scaling: { rope_type: "linear", factor: 8 }, rope_theta: 1e6, rope_local_base_freq: 10000 },
    ]) {
      const found = Object.fromEntries(
        Array.from(read(config).metadata, ([key, { value }]) => [key.replace("a.", ""), value]),
      );
      assert.deepEqual(found, { "rope.dimension_count": 16, context_length: 128, ...far, ...near });
    }
    const same = { rope_type: "default", rope_theta: 1e6 };
    assert.deepEqual(keysOf({ rope_parameters: { full_attention: same, sliding_attention: { ...same } } }), {
      "rope.freq_base": 1e6,
    });
    assert.deepEqual(keysOf({ rope_parameters: { sliding_attention: same } }), { "rope.freq_base": 1e6 });
  });

  it("of a part of a head", () => {
    for (const config of [
      { partial_rotary_factor: 0.5 },
      { rope_parameters: { partial_rotary_factor: 0.5, rope_type: "default" } },
    ]) {
      assert.deepEqual(keysOf(config), { "rope.dimension_count": 8 });
    }
    const half = { partial_rotary_factor: 0.5, rope_scaling: { type: "ntk", factor: 2 } };
    const base = Number(keysOf(half)["rope.freq_base"]);
    assert.ok(Math.abs(base / (10000 * 2 ** (8 / 6)) - 1) < 1e-7);
    const { tensors } = read({
      ...{ partial_rotary_factor: 0.25, original_max_position_embeddings: 32 },
      rope_scaling: { type: "su", long_factor: [1, 2], short_factor: [1, 1] },
    });
    assert.deepEqual(
      tensors.map(({ shape }) => shape),
      [[2], [2]],
    );
  });

  itShared(["conformance/rope_scaling.json"], "llama3: the published frequencies", async () => {
    const { cases } = sharedJson<{ cases: readonly (Record<string, unknown> & { type: string })[] }>(
      "conformance/rope_scaling.json",
    );
    const { attention, inv_freq, ...scaling } = cases.find(
      ({ type }) => type === "llama3",
    ) as (typeof cases)[0];
    const [info] = read({ rope_scaling: scaling }, 128, 2048).tensors;
    const values = new Float32Array(64);
    await info?.source.read(0, new Uint8Array(values.buffer));
    assert.equal(attention, 1);
    for (const [i, expected] of (inv_freq as number[]).entries()) {
      const freq = 10000 ** (-i / 64) / (values[i] as number);
      assert.ok(Math.abs(freq / expected - 1) < 6e-5, `pair ${i}: ${freq}, expected ${expected}`);
    }
  });
});

describe("a folder with a scaling gives the bits of GGUF", () => {
  const ids = [1, 5, 9, 700, 3, 44, 2, 8, 16, 33];
  const logits = async (source: Parameters<typeof Llama.load>[0], load: LoadOptions) => {
    await using llama = await Llama.load(source, { threads: 1, precision: "f32", ...load });
    return await llama.logits(ids);
  };
  const key = (name: string, value: GgufValue) => [`llama.rope.scaling.${name}`, value] as const;
  const yarn = [key("type", meta("string", "yarn")), key("factor", meta("f32", 4))];
  const trained = key("original_context_length", meta("u32", 32));
  const vector = (values: number[]) => ({ shape: [8], type: "F32", values: Float32Array.from(values) });

  for (const [name, config, gguf, contextLength] of [
    [
      "yarn",
      { rope_scaling: { type: "yarn", factor: 4, original_max_position_embeddings: 32 } },
      { metadata: Object.fromEntries([...yarn, trained]) },
      undefined,
    ],
    [
      "yarn without borders at whole pairs",
      { rope_scaling: { type: "yarn", factor: 4, original_max_position_embeddings: 32, truncate: false } },
      { metadata: Object.fromEntries([...yarn, trained, key("yarn_truncate", meta("bool", false))]) },
      undefined,
    ],
    [
      "longrope",
      {
        original_max_position_embeddings: 32,
        rope_scaling: { type: "longrope", attention_factor: 1.25, ...lists },
      },
      {
        metadata: Object.fromEntries([trained, key("attn_factor", meta("f32", 1.25))]),
        tensors: {
          "rope_factors_long.weight": vector(lists.long_factor),
          "rope_factors_short.weight": vector(lists.short_factor),
        },
      },
      undefined,
    ],
    [
      "dynamic",
      { rope_scaling: { type: "dynamic", factor: 2 } },
      { metadata: Object.fromEntries([key("dynamic_factor", meta("f32", 2))]) },
      200,
    ],
  ] as [string, Config, TinyLlamaOptions, number | undefined][]) {
    it(name, async () => {
      const load: LoadOptions = contextLength === undefined ? {} : { contextLength };
      const shape = { nLayers: 1, vocabSize: FOLDER_VOCAB };
      const plain = tinyLlama(shape).file.bytes;
      const expected = await logits(tinyLlama({ ...shape, ...gguf }).file.bytes, {
        ...load,
        tokenizer: fixturePath("bpe.model"),
      });
      assert.deepEqual(await logits(tinyFolder({ nLayers: 1, config }), load), expected);
      assert.notDeepEqual(await logits(plain, { tokenizer: fixturePath("bpe.model") }), expected);
    });
  }
});

describe("rope_scaling that is refused", () => {
  const refuses = (
    scaling: unknown,
    message: RegExp,
    type: typeof FormatError = FormatError,
    more: Config = {},
  ) =>
    assert.throws(
      () => read({ ...more, rope_scaling: scaling }),
      (error: Error) => {
        assert.ok(error instanceof type, String(error));
        assert.match(error.message, message);
        return true;
      },
    );

  it("types and keys that nobody knows", () => {
    for (const type of ["YaRN", "", "constructor", "dynamic_ntk"]) {
      refuses(
        { type, factor: 4 },
        /Rotary scaling ".*" at rope_scaling\.type is not supported; supported: default, linear, ntk, dynamic, yarn, llama3, longrope, su, mrope$/,
        UnsupportedError,
      );
    }
    refuses({ rope_type: 7 }, /Expected rope_scaling\.rope_type to be a string, got 7$/);
    refuses([], /Expected rope_scaling to be an object, got an array of 0$/);
    refuses(
      { type: "linear", factor: 4, mscale: 2 },
      /A rotary scaling of type linear with it at rope_scaling\.mscale is not supported/,
      UnsupportedError,
    );
    refuses(
      { full_attention: { rope_type: "default" }, chunked_attention: { rope_type: "default" } },
      /at rope_scaling\.chunked_attention is not supported; supported: full_attention, sliding_attention$/,
      UnsupportedError,
    );
    refuses(
      { full_attention: { rope_type: "default" }, sliding_attention: { rope_type: "yarn", factor: 4 } },
      /Rotary scaling "yarn" of another type of layers at rope_scaling\.sliding_attention is not supported/,
      UnsupportedError,
    );
  });

  it("factors that are missing, no numbers, or less than 1", () => {
    for (const type of ["linear", "ntk", "dynamic", "yarn"]) {
      for (const [factor, got] of [
        [undefined, "nothing"],
        [0.5, "0.5"],
        [0, "0"],
        [-4, "-4"],
        ["4", '"4"'],
        [[4], "an array of 1"],
      ] as const) {
        const message = `Expected rope_scaling\\.factor to be a number of at least 1, got ${got}$`;
        refuses({ type, factor }, new RegExp(message));
      }
    }
    refuses(
      { type: "yarn", factor: 4, beta_fast: 0 },
      /rope_scaling\.beta_fast to be a number above 0, got 0$/,
    );
    refuses(
      { type: "yarn", factor: 4, attention_factor: -1 },
      /rope_scaling\.attention_factor to be a number above 0, got -1$/,
    );
    refuses(
      { type: "yarn", factor: 4, mscale: "1" },
      /rope_scaling\.mscale to be a number of at least 0, got "1"$/,
    );
    refuses({ type: "yarn", factor: 4, truncate: 0 }, /rope_scaling\.truncate to be true or false, got 0$/);
  });

  it("trained contexts of 0, and beyond the context", () => {
    for (const type of ["yarn", "dynamic", "longrope"]) {
      const scaling = { type, factor: 4, ...(type === "longrope" && lists) };
      refuses(
        { ...scaling, original_max_position_embeddings: 0 },
        /rope_scaling\.original_max_position_embeddings to be an integer from 1 to 2147483647, got 0$/,
      );
      refuses(
        { ...scaling, original_max_position_embeddings: 129 },
        /rope_scaling\.original_max_position_embeddings to be at most 128, the context \(max_position_embeddings\), got 129$/,
      );
    }
  });

  it("lists of factors of the wrong length, and of no positive numbers", () => {
    const long = (more: Config) => ({ type: "longrope", factor: 4, ...lists, ...more });
    refuses(long({ long_factor: undefined }), /rope_scaling\.long_factor to be an array, got nothing$/);
    refuses(long({ short_factor: 4 }), /rope_scaling\.short_factor to be an array, got 4$/);
    for (const n of [0, 7, 9]) {
      refuses(
        long({ long_factor: factors(n, 1) }),
        new RegExp(
          `rope_scaling\\.long_factor to be 8 numbers, one for each rotated pair, got an array of ${n}$`,
        ),
      );
    }
    for (const [value, got] of [
      [0, "0"],
      [-1, "-1"],
      [null, "null"],
      ["1", '"1"'],
    ] as const) {
      refuses(
        long({ short_factor: [...factors(7, 1), value] }),
        new RegExp(`rope_scaling\\.short_factor\\S* to be a number above 0, got ${got}$`),
      );
    }
    refuses(
      long({ long_mscale: 1.5, short_mscale: 1.25 }),
      /A growth that differs by the context at rope_scaling\.short_mscale is not supported; supported: 1\.5$/,
      UnsupportedError,
    );
  });

  it("shares of a head that are none", () => {
    for (const share of [0, -0.5, 1.5, "1"]) {
      refuses(null, /partial_rotary_factor to be a number above 0/, FormatError, {
        partial_rotary_factor: share,
      });
    }
  });
});
