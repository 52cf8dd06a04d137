// Bad models, through the door that callers use: each is refused with a message of its own, before anything is
// allocated by a number that the file made up.
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import { openModelFile } from "../../src/format/detect.ts";
import { ggmlTypes, supportedTensorTypes } from "../../src/format/gguf/tensor_types.ts";
import {
  type ByteSource,
  CriaError,
  FormatError,
  Llama,
  type LoadOptions,
  TokenizerError,
  UnsupportedError,
} from "../../src/mod.ts";
import { bytesSource } from "../../src/source/bytes.ts";
import { streamSource } from "../../src/source/stream.ts";
import { ggufCases } from "../support/gguf_cases.ts";
import {
  type GgufValue,
  ggufFile,
  meta,
  metaArray,
  type TinyLlamaOptions,
  tinyLlamaGguf,
  tinyVocab,
} from "../support/gguf_writer.ts";
import { llama2cFile, tokenizerBin } from "../support/llama2c_writer.ts";
import { memoriesOf } from "../support/memory_spy.ts";
import { chunked, refused } from "../support/refused.ts";
import { type ErrorClass, exactly, refuses } from "../support/refuses.ts";

const MAX_U64 = 2n ** 64n - 1n;

const tiny = (options: TinyLlamaOptions = {}) => tinyLlamaGguf(options).bytes;

const keys = (changes: Record<string, GgufValue | undefined>) =>
  tiny({
    nLayers: 1,
    metadata: Object.fromEntries(Object.entries(changes).map(([key, value]) => [`llama.${key}`, value])),
  });

describe("Llama.load() of llama2.c streams of no known size", () => {
  const tokenizer = tokenizerBin(tinyVocab());

  it("refuses what is longer than its header says: an output layer that the header denies", async () => {
    for (const version of [0, 1, 2] as const) {
      const { bytes } = llama2cFile({ version, shared: false });
      // Legacy headers say it by the sign of vocab_size, the others by a flag.
      const view = new DataView(bytes.buffer);
      if (version === 0) view.setInt32(20, -view.getInt32(20, true), true);
      else view.setUint8(36, 1);
      const message = new RegExp(
        `Expected \\d+ bytes for version ${version}, dim 64, .*, got (more|${bytes.length})$`,
      );
      await refused(Llama.load(bytes, { tokenizer, threads: 1 }), message);
      await refused(Llama.load(chunked(bytes, 5000), { tokenizer, threads: 1 }), message);
    }
  });

  it("takes what ends where its header says", async () => {
    for (const options of [
      { version: 0 },
      { version: 0, shared: false },
      { version: 1 },
      { version: 2 },
    ] as const) {
      const { bytes } = llama2cFile(options);
      await using streamed = await Llama.load(chunked(bytes, 5000), { tokenizer, threads: 1 });
      await using whole = await Llama.load(bytes, { tokenizer, threads: 1 });
      assert.deepEqual(await streamed.logits([1, 2, 3]), await whole.logits([1, 2, 3]));
    }
  });
});

describe("Llama.load() of GGUF files that contradict themselves", () => {
  for (const [name, { build, message, type }] of ggufCases) {
    // Those that are sound as files are no models. The one without magic is too short for the other format.
    const short = name === "HEADER_BAD_MAGIC" ? /got 24 bytes, fewer than any header has$/ : undefined;
    const expected =
      short ?? message ?? /^Cannot load bytes: Expected metadata key general\.architecture, got none$/;
    it(`refuses ${name}`, async () => {
      const { bytes } = build();
      await refuses(bytes, expected, type);
      // A stream's size is not known: where a file is cut shows when its end is read, if it is read at all.
      if (name === "DATA_NOT_ENOUGH_DATA") return;
      await refuses(
        chunked(bytes, 1000),
        new RegExp(expected.source.replace("load bytes", "load stream")),
        type,
      );
    });
  }

  it("refuses a model cut at 50 places, from bytes and from a stream", async () => {
    // F32 rows of 64: no padding behind the last tensor, which could be missing unnoticed.
    const bytes = tiny();
    for (let i = 0; i < 50; i++) {
      const n = Math.floor(((bytes.length - 1) * i) / 49);
      const cut = bytes.slice(0, n);
      await refuses(
        cut,
        /^Cannot read bytes: .*(file is empty|fewer than any header has|the file ends at \d+)$/,
      );
      await refused(
        Llama.load(chunked(cut, 5000), { threads: 1 }),
        /^Cannot read stream: .*(file is empty|fewer than any header has|the file ends at \d+)$/,
      );
    }
    (await Llama.load(chunked(bytes, 5000), { threads: 1 })).dispose();
  });
});

describe("Llama.load() of hyper-parameters that make no sense", () => {
  const cases: [string, Record<string, GgufValue | undefined>, RegExp, ErrorClass?][] = [
    [
      "a billion layers",
      { block_count: meta("u32", 1e9) },
      /llama\.block_count .* \[1, 1024\], got u32 1000000000$/,
    ],
    ["no layers", { block_count: meta("u32", 0) }, /llama\.block_count .* \[1, 1024\], got u32 0$/],
    ["-1 layers", { block_count: meta("i32", -1) }, /llama\.block_count .* \[1, 1024\], got i32 -1$/],
    [
      "more layers than it has",
      { block_count: meta("u32", 1024) },
      /tensor blk\.1\.attn_norm\.weight of bytes: Expected shape \[64\], got none$/,
    ],
    ["no heads", { "attention.head_count": meta("u32", 0) }, /head_count to be .* \[1, 4096\], got u32 0$/],
    [
      "heads that do not divide dim",
      { "attention.head_count": meta("u32", 5) },
      /64 \/ nHeads 5 .*, got 12\.8$/,
    ],
    [
      "heads for each layer",
      { "attention.head_count": metaArray("u32", [4, 4]) },
      /head_count to be an integer in \[1, 4096\], or 1 of them, one for each layer, got 2 in an array of u32$/,
    ],
    [
      "heads that differ between layers",
      { block_count: meta("u32", 2), "attention.head_count": metaArray("u32", [4, 2]) },
      /Unsupported llama\.attention\.head_count that differs between layers, got 4 and 2; /,
      UnsupportedError,
    ],
    [
      "attention that looks ahead",
      { "attention.causal": meta("bool", false) },
      /Unsupported metadata key "llama\.attention\.causal": bool false; supported: true$/,
      UnsupportedError,
    ],
    [
      "a key that nobody knows",
      { "attention.nonsense": meta("u32", 1) },
      /Unsupported metadata key "llama\.attention\.nonsense": u32 1; supported: files without it$/,
      UnsupportedError,
    ],
    ["no kv heads", { "attention.head_count_kv": meta("u32", 0) }, /head_count_kv .* \[1, 4\], got u32 0$/],
    [
      "more kv heads than heads",
      { "attention.head_count_kv": meta("u32", 8) },
      /head_count_kv .* \[1, 4\], got u32 8$/,
    ],
    [
      "kv heads that do not divide",
      { "attention.head_count_kv": meta("u32", 3) },
      /multiple of nKvHeads 3, got 4$/,
    ],
    ["an odd rope dimension", { "rope.dimension_count": meta("u32", 15) }, /the whole head of 16, got 15$/],
    ["another rope dimension", { "rope.dimension_count": meta("u32", 8) }, /the whole head of 16, got 8$/],
    ["no rope dimension", { "rope.dimension_count": meta("u32", 0) }, /dimension_count .*, got u32 0$/],
    [
      "an odd head size",
      { "attention.key_length": meta("u32", 15), "rope.dimension_count": undefined },
      /Expected an even head size, got 15$/,
    ],
    [
      "a huge head size",
      { "attention.key_length": meta("u32", 1 << 30) },
      /key_length .* \[2, 576\], got u32 1073741824$/,
    ],
    ["another head size", { "attention.key_length": meta("u32", 32) }, /the whole head of 32, got 16$/],
    [
      "values of another size",
      { "attention.value_length": meta("u32", 8) },
      /as long as keys \(16\), got 8$/,
    ],
    ["no hidden units", { feed_forward_length: meta("u32", 0) }, /feed_forward_length .*, got u32 0$/],
    [
      "other hidden units",
      { feed_forward_length: meta("u32", 128) },
      /tensor blk\.0\.ffn_gate\.weight of bytes: Expected shape \[128, 64\], got \[96, 64\]$/,
    ],
    ["dim 0", { embedding_length: meta("u32", 0) }, /embedding_length .* \[2, 1048576\], got u32 0$/],
    ["dim 2^40", { embedding_length: meta("u64", 2 ** 40) }, /embedding_length .*, got u64 1099511627776$/],
    [
      "another dim",
      { embedding_length: meta("u32", 32), "rope.dimension_count": undefined },
      /tensor token_embd\.weight of bytes: Expected shape \[300, 32\], got \[300, 64\]$/,
    ],
    ["a context of 0", { context_length: meta("u32", 0) }, /context_length .*, got u32 0$/],
    [
      "a context of 2^64 - 1",
      { context_length: meta("u64", MAX_U64) },
      /context_length .*, got u64 18446744073709551615$/,
    ],
    [
      "a context in words",
      { context_length: meta("string", "long") },
      /context_length .*, got string "long"$/,
    ],
    ["experts", { expert_count: meta("u32", 8) }, /expert_used_count .* in \[1, 8\], got none$/],
    [
      "yarn",
      { "rope.scaling.type": meta("string", "yarn") },
      /rope\.scaling\.factor to be a finite number of at least 1, got none$/,
    ],
  ];
  for (const key of ["attention.layer_norm_rms_epsilon", "rope.freq_base", "rope.scaling.factor"]) {
    for (const value of [0, -1, Number.NaN, Number.POSITIVE_INFINITY]) {
      // No scaling.
      if (key === "rope.scaling.factor" && value === 0) continue;
      const got = new RegExp(`llama\\.${key} to be a .*number .*, got f32 ${value}$`);
      cases.push([`${key} ${value}`, { [key]: meta("f32", value) }, got]);
    }
  }
  const eps = "attention.layer_norm_rms_epsilon";
  cases.push([`no ${eps}`, { [eps]: undefined }, /epsilon to be a number .*, got none$/]);
  cases.push([`${eps} 1e30`, { [eps]: meta("f32", 1e30) }, /in \[1\.17.*e-38, 1\], got f32 1\.00.*e\+30$/]);
  cases.push([`${eps} that f32 cannot hold`, { [eps]: meta("f64", 1e-300) }, /, 1\], got f64 1e-300$/]);
  for (const [title, changes, message, type] of cases) {
    it(`refuses ${title}`, () =>
      refuses(keys(changes), new RegExp(`^Cannot load .*${message.source}`), type));
  }

  it("refuses architectures that it does not know, by name", async () => {
    const architecture = (value: GgufValue | undefined) =>
      tiny({ metadata: { "general.architecture": value } });
    await refuses(
      architecture(meta("string", "gpt1")),
      /^Cannot load bytes: Unsupported architecture "gpt1"; supported: llama, .*; the nearest: gpt2$/,
      UnsupportedError,
    );
    await refuses(
      architecture(meta("string", "x".repeat(1e6))),
      /^.{1,50} architecture "x{80}\.\.\."; supported: llama, [^;]{1,500}$/,
      UnsupportedError,
    );
    const none = /^Cannot load bytes: Expected metadata key general\.architecture, got none$/;
    await refuses(architecture(undefined), none);
    await refuses(architecture(meta("string", "")), none);
    await refuses(architecture(meta("u32", 1)), /"general\.architecture": Expected a string, got .* u32$/);
  });

  it("loads a model that claims an absurd context, with one that fits", async () => {
    for (const [type, n] of [
      ["u64", 2 ** 40],
      ["u32", 2 ** 32 - 1],
      ["u64", Number.MAX_SAFE_INTEGER],
    ] as const) {
      const made = await memoriesOf(async () => {
        await using llama = await Llama.load(keys({ context_length: meta(type, n) }), { threads: 1 });
        assert.equal(llama.contextLength, 4096);
        assert.equal((await llama.complete("the", { maxTokens: 3 })).ids.length, 3);
      });
      assert.ok(made.every((size) => size < 8 << 20));
    }
  });
});

describe("Llama.load() of tensors that are not what the model needs", () => {
  it("refuses a model without one of its tensors", async () => {
    for (const [name, shape] of [
      ["blk.0.attn_norm.weight", "[64]"],
      ["blk.1.attn_k.weight", "[32, 64]"],
      ["blk.1.ffn_down.weight", "[64, 96]"],
      ["output_norm.weight", "[64]"],
    ] as const) {
      const expected = `Cannot load tensor ${name} of bytes: Expected shape ${shape}, got none`;
      await refuses(tiny({ tensors: { [name]: undefined } }), exactly(expected));
    }
    await refuses(
      tiny({ tensors: { "token_embd.weight": undefined } }),
      /^Cannot load bytes: Expected tensor token_embd\.weight, got none$/,
    );
  });

  it("refuses tensors of another shape", async () => {
    for (const [name, shape, expected] of [
      ["blk.0.attn_k.weight", [64, 32], "[32, 64]"],
      ["blk.0.ffn_down.weight", [96, 64], "[64, 96]"],
      ["blk.0.attn_norm.weight", [1, 64], "[64]"],
      ["blk.0.attn_q.weight", [4096], "[64, 64]"],
      ["blk.0.attn_q.weight", [1, 64, 64], "[64, 64]"],
      ["output_norm.weight", [63], "[64]"],
      ["output.weight", [299, 64], "[300, 64]"],
    ] as const) {
      const message = `Cannot load tensor ${name} of bytes: Expected shape ${expected}, got [${shape.join(", ")}]`;
      await refuses(tiny({ nLayers: 1, tensors: { [name]: { shape } } }), exactly(message));
    }
  });

  it("refuses tensors that it would have to leave out", async () => {
    for (const name of [
      "blk.0.attn_norm.bias",
      "blk.0.attn_q_norm.weight",
      "output.bias",
      "token_types.weight",
    ]) {
      await refuses(
        tiny({ nLayers: 1, tensors: { [name]: { shape: [64] } } }),
        new RegExp(
          `^Cannot load tensor "${name}" of bytes: Unsupported by architecture llama; leaving it out would change results$`,
        ),
        UnsupportedError,
      );
    }
  });

  it("refuses each type that it cannot read, naming the tensor, the type and the types it can", async () => {
    const file = tinyLlamaGguf({ dim: 256, nLayers: 1, nHeads: 4, nKvHeads: 1, hiddenDim: 8 });
    // Room for the widest type: what lies behind the last tensor is nobody's business.
    const room = new Uint8Array(file.bytes.length + 300 * 256 * 4);
    const types: string[] = [];
    for (const [id, { name }] of ggmlTypes) {
      if (supportedTensorTypes.includes(name)) continue;
      file.set("tensor.output.weight.type", id);
      room.set(file.bytes);
      await refuses(
        room,
        new RegExp(
          `^Cannot load tensor output\\.weight of bytes: Unsupported type ${name}; supported: ${supportedTensorTypes.join(", ")}; take another file of this model, or make one of its F16 file with cria quantize$`,
        ),
        UnsupportedError,
      );
      types.push(name);
    }
    for (const name of ["Q8_1", "I8", "I16", "I32", "I64", "F64"]) assert.ok(types.includes(name), name);
  });

  it("refuses the same tensor twice", () =>
    refuses(
      ggufFile({ tensors: ["a", "b", "a"].map((name) => ({ name, shape: [8], type: "F32" })) }).bytes,
      /Expected each tensor once, got "a" again$/,
    ));
});

describe("Llama.load() of llama2.c files that make no sense", () => {
  const options = { tokenizer: tokenizerBin(tinyVocab()), threads: 1 };
  const offsets = ["dim", "hidden_dim", "n_layers", "n_heads", "n_kv_heads", "vocab_size", "seq_len"];
  const whole = ([0, 1, 2] as const).map(
    (version) => llama2cFile({ version, config: { n_layers: 1 } }).bytes,
  );
  const header = (version: 0 | 1 | 2, changes: Readonly<Record<string, number>>) => {
    const bytes = (whole[version] as Uint8Array).slice();
    const view = new DataView(bytes.buffer);
    for (const [key, value] of Object.entries(changes)) {
      view.setInt32((version ? 8 : 0) + 4 * offsets.indexOf(key), value, true);
    }
    return bytes;
  };

  for (const version of [0, 1, 2] as const) {
    it(`refuses hostile numbers in version ${version}`, async () => {
      const before = `^Cannot read bytes: ${version ? "Expected " : "Unknown format, the file begins with "}`;
      for (const key of offsets) {
        for (const value of [0, -1, 2 ** 31 - 1, -(2 ** 31)]) {
          if (key === "vocab_size" && version === 0 && value !== 0) continue;
          await refuses(
            header(version, { [key]: value }),
            new RegExp(version ? `${before}${key} .*, got ${value}$` : before),
            FormatError,
            options,
          );
        }
      }
      await refuses(header(version, { n_heads: 5 }), new RegExp(before), FormatError, options);
      await refuses(header(version, { n_kv_heads: 3 }), new RegExp(before), FormatError, options);
      // Sound numbers that the size of the file contradicts.
      for (const [key, value] of [
        ["n_layers", 2],
        ["vocab_size", 301],
        ["hidden_dim", 95],
      ] as const) {
        const bytes = header(version, { [key]: value });
        const message = new RegExp(`Expected \\d+ bytes for .*, got ${bytes.length}$`);
        await refuses(bytes, message, FormatError, options);
      }
      // From a stream the size shows only at its end; the scales of version 2 are read from other places before.
      const stream = chunked(header(version, { n_layers: 2 }), 4000);
      await refused(Llama.load(stream, options), /the file ends at|Expected finite values/);
    });
  }

  it("refuses files of version 0, 1 and 2 that are cut, from bytes and from a stream", async () => {
    for (const bytes of whole) {
      // Behind the last tensor of version 0 are tables that nobody reads.
      const { tensors } = await openModelFile(bytesSource(bytes));
      const ends = [...tensors.values()].map(
        ({ offset, byteLength, scales }) => (scales?.offset ?? offset) + (scales?.byteLength ?? byteLength),
      );
      for (let i = 0; i < 12; i++) {
        const cut = bytes.slice(0, Math.floor(((Math.max(...ends) - 1) * i) / 11));
        await refuses(cut, /^Cannot read bytes: ./, FormatError, options);
        await refused(Llama.load(chunked(cut, 5000), options), /^Cannot read stream: ./);
      }
    }
  });

  it("refuses head sizes that the kernels have no room for", () =>
    refuses(
      llama2cFile({
        version: 1,
        config: { dim: 1024, hidden_dim: 4, n_layers: 1, n_heads: 1, n_kv_heads: 1 },
      }).bytes,
      /^Cannot load bytes: Expected dim 1024 \/ nHeads 1 to be a head size in \[2, 576\], got 1024$/,
      FormatError,
      options,
    ));

  it("asks for a tokenizer, and loads an absurd context with one that fits", async () => {
    const bytes = header(1, { seq_len: 1 << 24 });
    await refuses(bytes, /Expected a tokenizer in the file, got none; .*--tokenizer FILE/, TokenizerError);
    await using llama = await Llama.load(bytes, options);
    assert.equal(llama.contextLength, 4096);
  });
});

describe("Llama.load() of files with changed bytes", () => {
  const file = tinyLlamaGguf({ type: "Q8_0", nLayers: 1, dim: 32, nHeads: 2, nKvHeads: 1, hiddenDim: 32 });
  const int8 = llama2cFile({ version: 2, config: { n_layers: 1 } }).bytes;
  const files: [string, Uint8Array<ArrayBuffer>, number, LoadOptions][] = [
    ["the header of a GGUF", file.bytes, file.dataBegin, {}],
    // The first kilobyte has all keys but the vocabulary's, the last one has the tensors.
    ["the keys of a GGUF", file.bytes, 1024, {}],
    ["the header of a llama2.c file", int8, 64, { tokenizer: tokenizerBin(tinyVocab()) }],
  ];
  for (const [title, bytes, headerBytes, options] of files) {
    it(`loads or refuses, whichever byte of ${title} is changed`, () =>
      fc.assert(
        fc.asyncProperty(
          fc.nat(headerBytes - 1),
          fc.oneof(fc.nat(255), fc.constantFrom(0, 1, 127, 128, 255)),
          fc.boolean(),
          async (at, value, asStream) => {
            const changed = bytes.slice();
            changed[at] = value;
            let read = 0;
            const whole = asStream ? streamSource(chunked(changed, 3000)) : bytesSource(changed);
            const source: ByteSource = {
              name: whole.name,
              get size() {
                return whole.size;
              },
              read: async (offset, target) => {
                await whole.read(offset, target);
                // What a stream does not have is asked for once, and refused, without being counted.
                read += target.length;
              },
              close: () => whole.close(),
            };
            const made = await memoriesOf(async () => {
              try {
                const llama = await Llama.load(source, { threads: 1, ...options });
                await llama.complete("the", { maxTokens: 2 });
                llama.dispose();
              } catch (error) {
                if (!(error instanceof CriaError)) throw error;
                assert.ok(error.message.length < 1000 && /^Cannot /.test(error.message), error.message);
              }
            });
            // A stream's size is not known: what its header says is bounded by the address space only.
            if (!asStream)
              assert.ok(
                made.every((size) => size < 16 << 20),
                `made ${made}`,
              );
            assert.ok(read < 2 * changed.length + (1 << 20), `read ${read} bytes`);
          },
        ),
        { numRuns: 80 },
      ));
  }
});
