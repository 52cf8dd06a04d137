// Hyper-parameters that files state: translated, defaulted, and refused out of their intervals.
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { architectures } from "../../src/model/arch/registry.ts";
import type { ModelConfig } from "../../src/model/config.ts";
import { readConfig } from "../../src/model/read_model.ts";
import { FormatError, UnsupportedError } from "../../src/util/errors.ts";
import { type GgufValue, meta, metaArray } from "../support/gguf_writer.ts";
import { type Header, modelHeader } from "../support/model_file.ts";

type Keys = Record<string, GgufValue | undefined>;

const embedding = { "token_embd.weight": [[300, 64]] } as const;

function config(keys: Keys = {}, header: Header = {}): ModelConfig {
  const metadata = Object.fromEntries(Object.entries(keys).map(([key, value]) => [`llama.${key}`, value]));
  return readConfig(modelHeader({ tensors: embedding, ...header, metadata }));
}

function llama2c(header: Record<string, number> = {}): ModelConfig {
  const fields = { dim: 64, hidden_dim: 96, n_layers: 2, n_heads: 4, n_kv_heads: 2, seq_len: 128, ...header };
  const metadata = Object.fromEntries(
    Object.entries(fields).map(([key, value]) => [key, meta("i32", value)] as const),
  );
  return readConfig(modelHeader({ format: "llama2c", metadata, tensors: embedding }));
}

function refuses(keys: Keys, message: string | RegExp, type: typeof FormatError = FormatError): void {
  assert.throws(
    () => config(keys),
    (error) => {
      assert.ok(error instanceof type, String(error));
      if (typeof message === "string") assert.equal(error.message, `Cannot load m: ${message}`);
      else assert.match(error.message, message);
      return true;
    },
  );
}

describe("readConfig", () => {
  it("readConfig() translates GGUF's names", () => {
    assert.deepEqual(config(), {
      architecture: "llama",
      dim: 64,
      hiddenDim: 96,
      nLayers: 1,
      nHeads: 4,
      nKvHeads: 2,
      headDim: 16,
      vocabSize: 300,
      contextLength: 128,
      ropeTheta: 10000,
      ropeScale: 1,
      normEps: 1e-5,
    });
  });

  it("readConfig() translates llama2.c's names", () => {
    assert.deepEqual(llama2c(), {
      architecture: "llama",
      dim: 64,
      hiddenDim: 96,
      nLayers: 2,
      nHeads: 4,
      nKvHeads: 2,
      headDim: 16,
      vocabSize: 300,
      contextLength: 128,
      ropeTheta: 10000,
      ropeScale: 1,
      normEps: 1e-5,
    });
  });

  it("readConfig() takes what is said instead of what follows", () => {
    assert.equal(config({ "attention.head_count_kv": undefined }).nKvHeads, 4);
    assert.equal(config({ "attention.key_length": meta("u32", 32) }).headDim, 32);
    assert.equal(config({ "rope.freq_base": meta("f32", 500000) }).ropeTheta, 500000);
    assert.equal(config({ "rope.dimension_count": meta("u32", 16) }).headDim, 16);
    assert.equal(config({ "attention.value_length": meta("u64", 16) }).headDim, 16);
    assert.equal(config({ expert_count: meta("u32", 0) }).nLayers, 1);
    const integers = ["u8", "i8", "u16", "i16", "u32", "i32", "u64", "i64", "f32", "f64"] as const;
    for (const type of integers) assert.equal(config({ block_count: meta(type, 7) }).nLayers, 7, type);
  });

  it("readConfig() takes linear scaling under both its names", () => {
    const four = meta("f32", 4);
    assert.equal(config({ "rope.scaling.factor": four }).ropeScale, 4);
    assert.equal(config({ "rope.scale_linear": four }).ropeScale, 4);
    const both = { "rope.scale_linear": meta("f32", 2), "rope.scaling.factor": four };
    assert.equal(config(both).ropeScale, 4);
    assert.equal(config({ ...both, "rope.scaling.type": meta("string", "linear") }).ropeScale, 4);
    assert.equal(config({ ...both, "rope.scaling.type": meta("string", "none") }).ropeScale, 1);
  });

  it("readConfig() takes a scaling factor of 0 for none, as llama.cpp does", () => {
    const four = meta("f32", 4);
    for (const zero of [meta("f32", 0), meta("f32", -0), meta("f64", 0), meta("u32", 0)]) {
      assert.equal(config({ "rope.scaling.factor": zero }).ropeScale, 1);
      assert.equal(config({ "rope.scale_linear": zero }).ropeScale, 1);
      // The newer name counts, whatever the older one says.
      assert.equal(config({ "rope.scaling.factor": zero, "rope.scale_linear": four }).ropeScale, 1);
      assert.equal(config({ "rope.scaling.factor": four, "rope.scale_linear": zero }).ropeScale, 4);
    }
  });

  it("readConfig() takes numbers that are stated for each layer and equal", () => {
    const perLayer = (n: number, type: "u32" | "i32" | "u64" = "u32") => metaArray(type, [n, n, n]);
    const found = config({
      block_count: meta("u32", 3),
      "attention.head_count": perLayer(4),
      "attention.head_count_kv": perLayer(2, "i32"),
      feed_forward_length: perLayer(96, "u64"),
    });
    assert.deepEqual([found.nLayers, found.nHeads, found.nKvHeads, found.hiddenDim], [3, 4, 2, 96]);
    assert.equal(config({ "attention.head_count_kv": metaArray("u32", [2]) }).nKvHeads, 2);
    for (const [key, max] of [
      ["attention.head_count", 4096],
      ["attention.head_count_kv", 4],
      ["feed_forward_length", 1 << 20],
    ] as const) {
      const three = { block_count: meta("u32", 3) };
      refuses(
        { ...three, [key]: metaArray("u32", [4, 4, 2]) },
        `Unsupported llama.${key} that differs between layers, got 4 and 2; supported: the same for all layers`,
        UnsupportedError,
      );
      const expected = `Expected llama.${key} to be an integer in [1, ${max}], or 3 of them, one for each layer`;
      for (const values of [[], [4], [4, 4], [4, 4, 4, 4]]) {
        refuses(
          { ...three, [key]: metaArray("u32", values) },
          `${expected}, got ${values.length} in an array of u32`,
        );
      }
      refuses({ ...three, [key]: metaArray("i32", [4, -1, 4]) }, `${expected}, got -1 in an array of i32`);
      refuses({ ...three, [key]: metaArray("f32", [4, 4, 0.5]) }, `${expected}, got 0.5 in an array of f32`);
      refuses(
        { ...three, [key]: metaArray("string", ["4", "4", "4"]) },
        `${expected}, got 4 in an array of string`,
      );
      refuses(
        { ...three, [key]: metaArray("bool", [true, true, true]) },
        `${expected}, got true in an array of bool`,
      );
    }
  });

  it("readConfig() caps a context that is longer than any position it can compute", () => {
    for (const [type, n] of [
      ["u32", 2 ** 20 + 1],
      ["u64", 2 ** 40],
      ["u64", Number.MAX_SAFE_INTEGER],
    ] as const) {
      assert.equal(config({ context_length: meta(type, n) }).contextLength, 2 ** 20);
    }
    assert.equal(config({ context_length: meta("u32", 2 ** 20) }).contextLength, 2 ** 20);
    assert.equal(config({ context_length: meta("u32", 1) }).contextLength, 1);
    assert.equal(llama2c({ seq_len: 1 << 24 }).contextLength, 2 ** 20);
  });

  it("readConfig() takes the ends of its intervals", () => {
    assert.equal(config({ block_count: meta("u32", 1024) }).nLayers, 1024);
    assert.equal(config({ feed_forward_length: meta("u32", 1) }).hiddenDim, 1);
    assert.equal(config({ feed_forward_length: meta("u32", 1 << 20) }).hiddenDim, 1 << 20);
    assert.equal(config({ "attention.key_length": meta("u32", 256) }).headDim, 256);
    assert.equal(config({ "attention.key_length": meta("u32", 2) }).headDim, 2);
    assert.equal(config({ "rope.freq_base": meta("f32", 1) }).ropeTheta, 1);
    assert.equal(config({ "attention.layer_norm_rms_epsilon": meta("f32", 1) }).normEps, 1);
    const most = { "attention.head_count": meta("u32", 4096), "attention.head_count_kv": meta("u32", 4096) };
    assert.equal(config({ ...most, "attention.key_length": meta("u32", 2) }).nKvHeads, 4096);
  });

  const integers: [string, number, number][] = [
    ["embedding_length", 2, 1 << 20],
    ["block_count", 1, 1024],
    ["feed_forward_length", 1, 1 << 20],
    ["attention.head_count", 1, 4096],
    ["attention.head_count_kv", 1, 4],
    ["attention.key_length", 2, 576],
    ["attention.value_length", 1, 1 << 20],
    ["rope.dimension_count", 1, 1 << 20],
    ["context_length", 1, Number.MAX_SAFE_INTEGER],
    ["expert_count", 0, 65536],
  ];
  for (const [key, min, max] of integers) {
    it(`readConfig() refuses ${key} that is no integer from ${min} to ${max}`, () => {
      const expected = `Expected llama.${key} to be an integer in [${min}, ${max}]`;
      refuses({ [key]: meta("i64", min - 1) }, `${expected}, got i64 ${min - 1}`);
      refuses({ [key]: meta("i32", -(2 ** 31)) }, `${expected}, got i32 -2147483648`);
      if (max < Number.MAX_SAFE_INTEGER) {
        refuses({ [key]: meta("u64", max + 1) }, `${expected}, got u64 ${max + 1}`);
      }
      refuses({ [key]: meta("u64", 2n ** 64n - 1n) }, `${expected}, got u64 18446744073709551615`);
      refuses({ [key]: meta("f32", min + 0.5) }, `${expected}, got f32 ${min + 0.5}`);
      for (const value of [Number.NaN, Number.POSITIVE_INFINITY]) {
        refuses({ [key]: meta("f64", value) }, `${expected}, got f64 ${value}`);
      }
      refuses({ [key]: meta("bool", true) }, `${expected}, got bool true`);
      refuses({ [key]: meta("string", "4") }, `${expected}, got string "4"`);
      const perLayer = ["feed_forward_length", "attention.head_count", "attention.head_count_kv"].includes(
        key,
      );
      const wrong = perLayer
        ? ", or 1 of them, one for each layer, got 2 in an array of u32"
        : ", got an array of u32";
      refuses({ [key]: metaArray("u32", [4, 4]) }, `${expected}${wrong}`);
    });
  }

  it("readConfig() refuses keys that are missing", () => {
    for (const key of [
      "embedding_length",
      "block_count",
      "feed_forward_length",
      "attention.head_count",
      "context_length",
      "attention.layer_norm_rms_epsilon",
    ]) {
      refuses(
        { [key]: undefined },
        new RegExp(`^Cannot load m: Expected llama\\.${key} to be .*, got none$`),
      );
    }
  });

  const reals: [string, string, number[]][] = [
    ["attention.layer_norm_rms_epsilon", "a number in [1.1754943508222875e-38, 1]", [1.1, 1e30, 1e-300]],
    ["rope.freq_base", "a finite number of at least 1", [0.999, 1e-300]],
    ["rope.scaling.factor", "a finite number of at least 1", [0.5]],
    ["rope.scale_linear", "a finite number of at least 1", [0.5]],
  ];
  for (const [key, expected, more] of reals) {
    it(`readConfig() refuses ${key} that is not ${expected}`, () => {
      const zeros = key.startsWith("rope.scal") ? [] : [0, -0];
      for (const value of [
        ...zeros,
        -1,
        Number.NaN,
        Number.POSITIVE_INFINITY,
        Number.NEGATIVE_INFINITY,
        ...more,
      ]) {
        refuses({ [key]: meta("f64", value) }, `Expected llama.${key} to be ${expected}, got f64 ${value}`);
      }
      refuses({ [key]: meta("string", "1") }, `Expected llama.${key} to be ${expected}, got string "1"`);
      refuses({ [key]: metaArray("f32", [1]) }, /, got an array of f32$/);
    });
  }

  it("readConfig() refuses heads that do not divide or cannot be rotated", () => {
    const heads = (n: number) => ({
      "attention.head_count": meta("u32", n),
      "attention.head_count_kv": undefined,
    });
    refuses(heads(5), "Expected dim 64 / nHeads 5 to be a head size in [2, 576], got 12.8");
    refuses(heads(64), "Expected dim 64 / nHeads 64 to be a head size in [2, 576], got 1");
    refuses(heads(128), "Expected dim 64 / nHeads 128 to be a head size in [2, 576], got 0.5");
    refuses(
      { ...heads(1), embedding_length: meta("u32", 578) },
      "Expected dim 578 / nHeads 1 to be a head size in [2, 576], got 578",
    );
    refuses({ "attention.key_length": meta("u32", 15) }, "Expected an even head size, got 15");
    refuses(
      { "attention.head_count_kv": meta("u32", 3) },
      "Expected nHeads to be a multiple of nKvHeads 3, got 4",
    );
    for (const n of [15, 8, 32]) {
      refuses(
        { "rope.dimension_count": meta("u32", n) },
        `Expected rope to rotate the whole head of 16, got ${n}`,
      );
    }
    refuses({ "attention.value_length": meta("u32", 8) }, "Expected values as long as keys (16), got 8");
  });

  it("readConfig() names what it does not support", () => {
    for (const type of ["YaRN", "su", ""]) {
      refuses(
        { "rope.scaling.type": meta("string", type) },
        `Unsupported llama.rope.scaling.type "${type}"; supported: none, linear, yarn, longrope`,
        UnsupportedError,
      );
    }
    refuses(
      { "rope.scaling.type": meta("u32", 1) },
      "Expected llama.rope.scaling.type to be a string, got u32 1",
    );
  });

  it("readConfig() names the architectures it knows", () => {
    const supported = architectures.map(({ name }) => name).join(", ");
    assert.match(supported, /^llama, .*, gpt-oss,/);
    for (const [name, near] of [
      ["gpt5", "; the nearest: gpt2"],
      ["Llama", "; the nearest: llama"],
      ["llama\n", "; the nearest: llama"],
      ["__proto__", ""],
    ] as const) {
      assert.throws(() => config({}, { architecture: name }), {
        name: "UnsupportedError",
        message: `Cannot load m: Unsupported architecture ${JSON.stringify(name)}; supported: ${supported}${near}`,
      });
    }
    assert.throws(() => config({}, { architecture: "" }), {
      name: "FormatError",
      message: "Cannot load m: Expected metadata key general.architecture, got none",
    });
  });

  it("readConfig() repeats no more than the beginning of a long text", () => {
    const long = "x".repeat(1e6);
    for (const run of [
      () => config({ block_count: meta("string", long) }),
      () => config({ "rope.scaling.type": meta("string", long) }),
      () => config({}, { architecture: long }),
    ]) {
      assert.throws(run, (error) => {
        assert.ok(error instanceof Error && /x{80}\.\.\."/.test(error.message));
        assert.ok(error.message.length < 800, `${error.message.length} characters`);
        return true;
      });
    }
  });

  it("readConfig() takes the vocabulary from the embedding", () => {
    const rows = (shape: number[]) => config({}, { tensors: { "token_embd.weight": [shape] } });
    assert.equal(rows([1, 64]).vocabSize, 1);
    assert.equal(rows([1 << 22, 64]).vocabSize, 1 << 22);
    for (const shape of [[], [300], [0, 64], [(1 << 22) + 1, 64], [1, 300, 64]]) {
      assert.throws(() => rows(shape), {
        name: "FormatError",
        message: `Cannot load tensor token_embd.weight of m: Expected shape [1..4194304, dim], got [${shape.join(", ")}]`,
      });
    }
    assert.throws(() => config({}, { tensors: {} }), {
      name: "FormatError",
      message: "Cannot load m: Expected tensor token_embd.weight, got none",
    });
  });

  it("readConfig() checks llama2.c's numbers as it checks GGUF's", () => {
    const refused = (header: Record<string, number>, message: RegExp) =>
      assert.throws(() => llama2c(header), { name: "FormatError", message });
    refused({ n_layers: 0 }, /Expected n_layers to be an integer in \[1, 1024\], got i32 0$/);
    refused({ n_heads: 0 }, /Expected n_heads to be an integer in \[1, 4096\], got i32 0$/);
    refused({ n_kv_heads: 8 }, /Expected n_kv_heads to be an integer in \[1, 4\], got i32 8$/);
    refused({ n_kv_heads: 3 }, /Expected nHeads to be a multiple of nKvHeads 3, got 4$/);
    refused({ hidden_dim: -1 }, /Expected hidden_dim .*, got i32 -1$/);
    refused({ seq_len: 0 }, /Expected seq_len to be an integer in \[1, 9007199254740991\], got i32 0$/);
    refused({ dim: 1024, n_heads: 1, n_kv_heads: 1 }, /head size in \[2, 576\], got 1024$/);
  });
});
