// Folders whose files contradict each other, lead elsewhere, or ask for what is not done: refused by name, before weights.
import assert from "node:assert/strict";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, describe, it } from "node:test";
import fc from "fast-check";
import { CriaError, FormatError, Llama, UnsupportedError, UsageError } from "../../../src/mod.ts";
import { memoriesOf } from "../../support/memory_spy.ts";
import { refused } from "../../support/refused.ts";
import type { ErrorClass } from "../../support/refuses.ts";
import { type FolderOptions, safetensorsFile, tinyFolder } from "../../support/safetensors_writer.ts";
import { hostile, type RawRequest } from "../../support/server.ts";

type Files = Map<string, Uint8Array<ArrayBuffer>>;

const INDEX = "model.safetensors.index.json";
const json = (value: unknown) =>
  new TextEncoder().encode(typeof value === "string" ? value : JSON.stringify(value));
const parsed = (files: Files, name: string) => JSON.parse(new TextDecoder().decode(files.get(name)));

/** Checks that files are refused, and that no memory was made but one of a page, which sizes are asked of. */
async function isRefused(files: Files, message: RegExp, type: ErrorClass = FormatError): Promise<void> {
  const made = await memoriesOf(() => refused(Llama.load(files, { threads: 1 }), message, type));
  assert.ok(
    made.every((bytes) => bytes === 65536),
    `made memories of ${made} bytes`,
  );
}

const small: FolderOptions = { nLayers: 1, shards: 2 };

/** A folder with another index; `change` gets the true one. */
function indexed(change: (map: Record<string, string>) => unknown): Files {
  const files = tinyFolder(small);
  const { weight_map } = parsed(files, INDEX);
  return files.set(INDEX, json({ weight_map: change(weight_map) }));
}

describe("an index of shards", () => {
  const folder = mkdtempSync(join(tmpdir(), "cria-index-"));
  after(() => rmSync(folder, { recursive: true, force: true }));
  const outside = [
    "../secret.safetensors",
    "..\\secret.safetensors",
    "a/../../secret.safetensors",
    join(folder, "secret.safetensors"),
    "/etc/passwd",
    "C:\\secret.safetensors",
    "\\\\host\\share\\secret.safetensors",
    "http://127.0.0.1:1/secret.safetensors",
    "file:///etc/passwd",
    "hf:owner/repo/model.safetensors",
    "data:,x",
    "",
    ".",
    "model.safetensors\0",
  ];

  it("may not name files outside of the folder", async () => {
    const path = join(folder, "model");
    mkdirSync(path);
    writeFileSync(join(folder, "secret.safetensors"), safetensorsFile([]));
    for (const name of outside) {
      const files = indexed((map) => ({ ...map, "model.embed_tokens.weight": name }));
      const expected = /^Cannot open a file of .*: Expected the name of a file in it, got "/;
      await isRefused(files, expected);
      for (const [file, bytes] of files) writeFileSync(join(path, file), bytes);
      await refused(Llama.load(path), expected);
    }
  });

  it("makes no request for a file outside of a folder on a server", async () => {
    for (const name of outside) {
      const files = indexed((map) => Object.fromEntries(Object.keys(map).map((key) => [key, name])));
      const answer = ({ path }: RawRequest) => {
        const body = files.get(path.replace("/set/", ""));
        return body ? { body } : { status: 404 };
      };
      await hostile(answer, async (url, requests) => {
        await refused(Llama.load(new URL("/set/", url)), /Expected the name of a file in it/);
        assert.deepEqual(
          new Set(requests.map(({ path }) => path)),
          new Set(["/set/config.json", `/set/${INDEX}`]),
        );
      });
    }
  });

  it("must name a file for each tensor that the file has", async () => {
    await isRefused(
      indexed((map) => ({ ...map, "model.norm.bias": "model-00001-of-00002.safetensors" })),
      /^Cannot load model-00001-of-00002\.safetensors of files: Expected tensor "model\.norm\.bias", as the index says, got none$/,
    );
    await isRefused(
      indexed((map) => ({ ...map, "model.norm.weight": "model-00003-of-00002.safetensors" })),
      /Expected tensor "model\.norm\.weight" in model-00003-of-00002\.safetensors, as the index says, got it here$/,
    );
    await isRefused(
      indexed((map) => ({ ...map, a: "model-00003-of-00002.safetensors" })),
      /^Cannot load files: Expected model-00003-of-00002\.safetensors, as the index says, got no such file$/,
    );
    await isRefused(
      indexed((map) => ({ ...map, "model.norm.weight": "model-00001-of-00002.safetensors" })),
      /^Cannot load model-00002-of-00002\.safetensors: Expected tensor "model\.norm\.weight" in model-00001-of-00002\.safetensors, as the index says, got it here$/,
    );
  });

  it("must be a map of names", async () => {
    for (const map of [null, 7, [], "x", {}, { a: 7 }, { a: null }, { a: ["model.safetensors"] }]) {
      await isRefused(
        indexed(() => map),
        /^Cannot read model\.safetensors\.index\.json: Expected weight_map.* to be /,
      );
    }
    const twice = tinyFolder(small).set(
      INDEX,
      json('{"weight_map":{"a":"b.safetensors","a":"c.safetensors"}}'),
    );
    await isRefused(twice, /index\.json: Expected each key once, got "a" again$/);
    const deep = tinyFolder(small).set(INDEX, json(`{"weight_map":${"[".repeat(100_000)}`));
    await isRefused(deep, /index\.json: Expected JSON nested at most 16 deep, got more$/);
    const many = Object.fromEntries(Array.from({ length: 10_001 }, (_, i) => [`${i}`, `${i}.safetensors`]));
    await isRefused(
      indexed(() => many),
      /Expected weight_map to be 1 to 10000 files, got 10001$/,
    );
  });

  it("must not be endless", async () => {
    const files = tinyFolder(small);
    files.set(INDEX, new Uint8Array((64 << 20) + 1));
    await isRefused(files, /Expected at most 67108864 bytes, got 67108865$/, UsageError);
  });
});

describe("shards", () => {
  const SECOND = "model-00002-of-00002.safetensors";

  it("that lie about their sizes, are cut or go on are refused by name", async () => {
    const files = tinyFolder(small);
    const bytes = files.get(SECOND) as Uint8Array<ArrayBuffer>;
    const longer = new Uint8Array(bytes.length + 4);
    longer.set(bytes);
    for (const other of [
      bytes.slice(0, -4),
      longer,
      bytes.slice(0, 100),
      new Uint8Array(7),
      new Uint8Array(0),
    ]) {
      await isRefused(
        new Map(files).set(SECOND, other),
        /^Cannot read model-00002-of-00002\.safetensors: Expected /,
      );
    }
  });

  it("that come as streams and go on are refused when they end", async () => {
    const files = tinyFolder(small);
    const bytes = files.get(SECOND) as Uint8Array<ArrayBuffer>;
    const longer = new Uint8Array(bytes.length + 4);
    longer.set(bytes);
    const streams = new Map(
      [...files.set(SECOND, longer)].map(([name, b]) => [name, new Blob([b]).stream()] as const),
    );
    await refused(
      Llama.load(streams),
      /^Cannot read model-00002-of-00002\.safetensors: Expected \d+ bytes, .* got more$/,
    );
  });

  it("with a tensor that another has too are refused", async () => {
    const files = tinyFolder(small);
    const { weight_map } = parsed(files, INDEX);
    const first = files.get("model-00001-of-00002.safetensors") as Uint8Array<ArrayBuffer>;
    files.set(SECOND, first);
    files.set(INDEX, json({ weight_map: { ...weight_map, a: SECOND } }));
    await isRefused(
      files,
      /00002\.safetensors: Expected each tensor in one file, got "[\w.]+", which model-00001-of-/,
    );
  });

  it("with tensors that nothing needs are refused, but for tables of angles", async () => {
    const files = tinyFolder({ nLayers: 1 });
    const text = new TextDecoder("latin1").decode(files.get("model.safetensors"));
    const renamed = (name: string) => {
      const long = name.padEnd("model.layers.0.input_layernorm.weight".length, "x");
      const bytes = Uint8Array.from(text.replace("model.layers.0.input_layernorm.weight", long), (c) =>
        c.charCodeAt(0),
      );
      return new Map(files).set("model.safetensors", bytes);
    };
    for (const name of [
      "model.layers.1.input_layernorm.weight",
      "model.layers.00.nput_layernorm.weight",
      "model.layers.0.__proto__",
      "blk.0.attn_norm",
    ]) {
      await isRefused(
        renamed(name),
        /^Cannot load tensor blk\.0\.attn_norm\.weight of config\.json: Expected shape \[64\], got none$/,
      );
    }
    const table = safetensorsFile([
      {
        name: "model.layers.0.self_attn.rotary_emb.inv_freq",
        dtype: "F32",
        shape: [8],
        data: new Uint8Array(32),
      },
    ]);
    const other = new Map(tinyFolder(small)).set("more.safetensors", table);
    const { weight_map } = parsed(other, INDEX);
    other.set(
      INDEX,
      json({
        weight_map: { ...weight_map, "model.layers.0.self_attn.rotary_emb.inv_freq": "more.safetensors" },
      }),
    );
    await using llama = await Llama.load(other, { threads: 1 });
    assert.equal(llama.config.nLayers, 1);
  });

  it("with q and k of no whole heads are refused", async () => {
    const files = tinyFolder({ nLayers: 1, config: { head_dim: 30 } });
    await isRefused(
      files,
      /^Cannot load tensor "model\.layers\.0\.self_attn\.q_proj\.weight" of model\.safetensors: Expected rows of whole heads of an even length \(30\), got shape \[64, 64\]$/,
    );
    await isRefused(
      tinyFolder({ nLayers: 1, config: { head_dim: 1 } }),
      /whole heads of an even length \(1\)/,
    );
  });
});

describe("config.json", () => {
  const config = (keys: Record<string, unknown>) => tinyFolder({ nLayers: 1, config: keys });

  it("must be JSON that programs agree on", async () => {
    for (const text of ["", "{", "[]", "null", "7", "\u0000"]) {
      await isRefused(tinyFolder().set("config.json", json(text)), /^Cannot read config\.json: Expected /);
    }
    const twice = '{"architectures":["LlamaForCausalLM"],"hidden_size":64,"hidden_size":32}';
    await isRefused(
      tinyFolder().set("config.json", json(twice)),
      /Expected each key once, got "hidden_size" again$/,
    );
    await isRefused(
      tinyFolder().set("config.json", new Uint8Array((4 << 20) + 1)),
      /at most 4194304 bytes/,
      UsageError,
    );
  });

  it("must name an architecture that is known", async () => {
    for (const [architectures, got] of [
      [["BertModel"], '"BertModel"'],
      [["__proto__"], '"__proto__"'],
      [[], "none"],
    ] as const) {
      await isRefused(
        config({ architectures }),
        new RegExp(
          `^Cannot load config\\.json: Unsupported architecture ${got}; supported: LlamaForCausalLM, MistralForCausalLM, .*, Cohere2ForCausalLM\\.`,
        ),
        UnsupportedError,
      );
    }
    await isRefused(
      config({ architectures: undefined }),
      /Expected architectures to be an array, got nothing$/,
    );
    await isRefused(config({ architectures: [7] }), /Expected architectures\[0\] to be a string, got 7$/);
  });

  it("must have numbers that make sense", async () => {
    for (const key of [
      "hidden_size",
      "num_hidden_layers",
      "num_attention_heads",
      "vocab_size",
      "intermediate_size",
    ]) {
      for (const value of [0, -1, 1.5, "64", 2 ** 31, 1e300, [64], true]) {
        await isRefused(
          config({ [key]: value }),
          new RegExp(`config\\.json: Expected ${key} to be an integer from 1 to 2147483647, got `),
        );
      }
      await isRefused(
        config({ [key]: undefined }),
        new RegExp(`Expected ${key} to be an integer .* got nothing$`),
      );
      await isRefused(config({ [key]: 2 ** 31 - 1 }), /^Cannot (read|load) /);
    }
    for (const value of [0, -1e-5, "1e-5", [1]]) {
      await isRefused(config({ rms_norm_eps: value }), /Expected rms_norm_eps to be a number above 0, got /);
      await isRefused(
        config({ rope_theta: value }),
        /Expected rope_theta to be a number of at least 1, got /,
      );
    }
    await isRefused(
      config({ num_key_value_heads: 3 }),
      /Expected nHeads to be a multiple of nKvHeads 3, got 4$/,
    );
    await isRefused(
      config({ vocab_size: 801 }),
      /Expected vocab_size to be 800, the rows of the embedding, got 801$/,
    );
  });

  it("must agree with the tensors on biases and the output matrix", async () => {
    await isRefused(
      config({ attention_bias: true }),
      /^Cannot load config\.json: Expected biases among the tensors, as config\.json says \(attn_q\.bias\)$/,
    );
    await isRefused(config({ mlp_bias: true }), /Expected biases among the tensors/);
    const untied = tinyFolder({ nLayers: 1, tied: true, config: { tie_word_embeddings: false } });
    await isRefused(untied, /Expected an output matrix \(lm_head\.weight\) among the tensors/);
  });

  it("may not ask for what is not computed", async () => {
    for (const [keys, message] of [
      [
        { quantization_config: { quant_method: "fp8" } },
        /Key "quantization_config" .* not supported; supported: models without it/,
      ],
      [{ hidden_act: "gelu" }, /Key "hidden_act" with "gelu" .* supported: silu, swish/],
      [{ attn_logit_softcapping: 50 }, /Key "attn_logit_softcapping"/],
      [{ num_local_experts: 8 }, /Key "num_local_experts"/],
      [{ partial_rotary_factor: 0.5 }, /supported: 1$/],
      [{ auto_map: { AutoModel: "x.Y" } }, /Key "auto_map"/],
      [{ layer_types: ["full_attention", "linear_attention"] }, /Key "layer_types"/],
      [{ is_decoder: true }, /Key "is_decoder"/],
      [{ constructor: 1 }, /Key "constructor"/],
      [
        { rope_scaling: { type: "xpos", factor: 4 } },
        /Rotary scaling "xpos" at rope_scaling\.type is not supported; supported: default, linear, ntk, dynamic, /,
      ],
      [{ rope_local_base_freq: 500000 }, /Unsupported metadata key "llama\.rope\.freq_base_swa"/],
      [
        { rope_scaling: { rope_type: "linear", factor: 4, mscale: 2 } },
        /at rope_scaling\.mscale is not supported/,
      ],
    ] as const) {
      await isRefused(config(keys), message, UnsupportedError);
    }
    for (const [scaling, message] of [
      [{ type: "linear" }, /Expected rope_scaling\.factor to be a number of at least 1, got nothing$/],
      [
        { type: "linear", factor: 0.5 },
        /Expected rope_scaling\.factor to be a number of at least 1, got 0\.5$/,
      ],
      [
        { rope_type: "llama3", factor: 8, low_freq_factor: 4, high_freq_factor: 4 },
        /to be above low_freq_factor 4, got 4$/,
      ],
      [
        { rope_type: "llama3", factor: 8, low_freq_factor: 0, high_freq_factor: 4 },
        /low_freq_factor to be a number above 0/,
      ],
      [{ rope_type: 7 }, /Expected rope_scaling\.rope_type to be a string, got 7$/],
      [[], /Expected rope_scaling to be an object, got an array of 0$/],
    ] as const) {
      await isRefused(config({ rope_scaling: scaling }), message);
    }
  });

  it("may say what changes nothing", async () => {
    const keys = {
      ...{
        _name_or_path: "x",
        transformers_version: "4.0",
        attention_dropout: 0.1,
        pretraining_tp: 2,
        use_cache: false,
      },
      ...{
        sliding_window: null,
        quantization_config: null,
        temperature: 2,
        id2label: { 0: "a" },
        is_decoder: false,
      },
      layer_types: ["full_attention"],
    };
    await using llama = await Llama.load(config(keys), { threads: 1 });
    assert.equal(llama.contextLength, 128);
  });

  it("of Mistral caps the context at the sliding window", async () => {
    const mistral = { architectures: ["MistralForCausalLM"], model_type: "mistral", sliding_window: 48 };
    await using llama = await Llama.load(config(mistral), { threads: 1 });
    assert.deepEqual([llama.contextLength, llama.config.architecture], [48, "llama"]);
  });
});

describe("changed files", () => {
  it("are refused by typed errors, or load", async () => {
    const whole = tinyFolder({ nLayers: 1, shards: 2, dim: 32, hiddenDim: 32 });
    const names = ["config.json", INDEX, "model-00002-of-00002.safetensors"];
    await fc.assert(
      fc.asyncProperty(
        fc.constantFrom(...names),
        fc.array(
          fc.tuple(fc.nat(700), fc.oneof(fc.nat(255), fc.constantFrom(34, 44, 48, 57, 91, 123, 125))),
          {
            minLength: 1,
            maxLength: 4,
          },
        ),
        async (name, changes) => {
          const bytes = (whole.get(name) as Uint8Array<ArrayBuffer>).slice();
          for (const [at, value] of changes) bytes[at % bytes.length] = value;
          try {
            const llama = await Llama.load(new Map(whole).set(name, bytes), {
              threads: 1,
              contextLength: 8,
              precision: "f32",
            });
            llama.dispose();
          } catch (error) {
            if (!(error instanceof CriaError)) throw error;
            assert.match(error.message, /^Cannot /);
          }
        },
      ),
      { numRuns: 60 },
    );
  });
});
