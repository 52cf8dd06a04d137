// What is said of a model file is what loading it shows.
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { type Inspection, inspectModel } from "../../src/api/inspect.ts";
import { type ByteSource, FormatError, Llama, UsageError } from "../../src/mod.ts";
import { partName, tinyParts } from "../support/gguf_parts.ts";
import { meta, metaArray, type TinyLlamaOptions, tinyLlamaGguf } from "../support/gguf_writer.ts";
import { llama2cFile } from "../support/llama2c_writer.ts";
import { embeddedModel } from "../support/models.ts";
import { refused } from "../support/refused.ts";
import { tinyGptOss, WINDOW } from "../support/tiny_gpt_oss.ts";

const WASM_PAGE = 65536;

async function inspectTiny(options: TinyLlamaOptions): Promise<Inspection> {
  return inspectModel(tinyLlamaGguf(options).bytes);
}

/** The bytes as a source that notes the last byte that was read. */
function watched(bytes: Uint8Array): { source: ByteSource; end(): number; isClosed(): boolean } {
  let end = 0;
  let closed = false;
  const source: ByteSource = {
    name: "watched",
    size: bytes.length,
    async read(offset, target) {
      target.set(bytes.subarray(offset, offset + target.length));
      end = Math.max(end, offset + target.length);
    },
    async close() {
      closed = true;
    },
  };
  return { source, end: () => end, isClosed: () => closed };
}

describe("inspectModel() of a part", () => {
  it("says what the part says, and names those that are missing", async () => {
    const parts = tinyParts(4, { type: "Q8_0" });
    const only = (...numbers: number[]) =>
      Object.fromEntries(numbers.map((i) => [partName(i, 4), parts.get(partName(i, 4)) as Uint8Array]));
    const { facts } = await inspectModel(only(1, 2, 3, 4));
    assert.deepEqual([facts.part, facts.missing, facts.files?.length], [null, null, 4]);
    for (const [numbers, named, missing] of [
      [[1, 3], 1, [2, 4]],
      [[3], 3, [1, 2, 4]],
    ] as const) {
      const { facts, tensors } = await inspectModel(only(...numbers));
      assert.deepEqual(facts.part, { part: named, parts: 4 });
      assert.deepEqual(
        facts.missing,
        missing.map((i) => partName(i, 4)),
      );
      assert.equal(facts.architecture, named === 1 ? "llama" : "");
      assert.ok(tensors.length > 0 && tensors.length < 10);
      assert.ok("message" in facts.memory);
      assert.match(facts.memory.message, new RegExp(`got no ${facts.missing?.join(", ")}$`));
    }
  });

  it("names no more than sixteen", async () => {
    const metadata = { "split.count": meta("u16", 40), "split.no": meta("u16", 1) };
    const { facts } = await inspectModel({ [partName(2, 40)]: tinyLlamaGguf({ metadata }).bytes });
    assert.equal(facts.missing?.length, 16);
    assert.match("message" in facts.memory ? facts.memory.message : "", /00017-of-00040\.gguf, \.\.\.$/);
  });
});

describe("inspectModel()", () => {
  it("says the memory that loading takes, at the default context and at the full one", async () => {
    const bytes = tinyLlamaGguf({ contextLength: 9000, type: "Q8_0" }).bytes;
    const { facts } = await inspectModel(bytes);
    for (const [memory, contextLength] of [
      [facts.memory, 4096],
      [facts.fullMemory, 9000],
    ] as const) {
      assert.ok(memory && !("message" in memory));
      await using llama = await Llama.load(bytes, { contextLength });
      assert.equal(memory.contextLength, contextLength);
      assert.equal(memory.kvCache, llama.sessionBytes);
      assert.equal(Math.ceil(memory.total / WASM_PAGE) * WASM_PAGE, llama.memoryBytes);
      assert.ok(memory.weights > 0 && memory.weights + memory.kvCache < memory.total);
      assert.deepEqual(facts.config, llama.config);
    }
  });

  it("takes a scaling of positions as loading does, and says what one cannot be had", async () => {
    const { bytes } = tinyLlamaGguf();
    const ropeScaling = { type: "yarn", factor: 4 } as const;
    const { facts } = await inspectModel(bytes, {}, { ropeScaling });
    await using llama = await Llama.load(bytes, { ropeScaling });
    assert.ok(!("message" in facts.memory));
    assert.equal(facts.memory.contextLength, 512);
    assert.deepEqual([facts.config, facts.config?.ropeScaling], [llama.config, "yarn"]);
    const { facts: refused } = await inspectModel(bytes, {}, { ropeScaling: { type: "yarn" } });
    assert.ok("message" in refused.memory && refused.config);
    assert.match(
      refused.memory.message,
      /^Cannot load with ropeScaling yarn: Expected ropeScaling\.factor or/,
    );
    assert.equal(refused.config.ropeScaling, undefined);
  });

  it("says what layers with windows take of the KV cache", async () => {
    const bytes = tinyGptOss({ contextLength: 4096 }).file.bytes;
    const { facts } = await inspectModel(bytes);
    assert.ok(!("message" in facts.memory));
    const { kvCache, windows } = facts.memory;
    // 4 pages hold 7 - 1 + 32 + 64 positions, wherever they begin, and 128 all of them.
    const most = Math.ceil((WINDOW - 1 + 32 + 63) / 32) + 1;
    assert.deepEqual(windows, [{ window: WINDOW, layers: 1, kvCache: (kvCache * most) / (most + 128) }]);
    await using llama = await Llama.load(bytes);
    assert.equal(kvCache, llama.sessionBytes);
    // A context that is no longer than the window has none.
    const short = await inspectModel(bytes, {}, { contextLength: WINDOW });
    assert.ok(!("message" in short.facts.memory));
    assert.deepEqual(short.facts.memory.windows, []);
  });

  it("counts tensors, parameters and bytes by type", async () => {
    const { facts, tensors } = await inspectTiny({
      type: "Q8_0",
      tensors: { "output.weight": { type: "F16" } },
    });
    const [first, ...rest] = facts.types;
    assert.deepEqual([first, ...rest].map((each) => each?.type).sort(), ["F16", "F32", "Q8_0"]);
    // The type with the most bytes comes first.
    assert.deepEqual(
      facts.types.map(({ bytes }) => bytes),
      facts.types.map(({ bytes }) => bytes).sort((a, b) => b - a),
    );
    const f16 = facts.types.find(({ type }) => type === "F16");
    assert.deepEqual(f16, { type: "F16", tensors: 1, parameters: 300 * 64, bytes: 2 * 300 * 64 });
    const sum = facts.types.reduce((sum, { bytes }) => sum + bytes, 0);
    const parameters = tensors.reduce((sum, { shape }) => sum + shape.reduce((n, dim) => n * dim, 1), 0);
    assert.equal(facts.parameters, parameters);
    assert.equal(facts.bitsPerWeight, (8 * sum) / parameters);
    const q8 = await inspectModel(llama2cFile({ config: { dim: 64 }, version: 2, groupSize: 32 }).bytes);
    assert.equal(q8.facts.types.find(({ type }) => type === "Q8_G")?.tensors, 14 + 1);
  });

  it("says what the tokenizer is", async () => {
    const { facts } = await inspectModel(embeddedModel);
    assert.deepEqual(facts.tokenizer, {
      kind: "spm-bpe",
      pretokenizer: null,
      vocabSize: 4096,
      bos: { id: 1, piece: "<s>" },
      eos: [{ id: 2, piece: "</s>" }],
      unk: { id: 0, piece: "<unk>" },
      addsBos: true,
      addsEos: false,
      warnings: [],
    });
    assert.deepEqual([facts.name, facts.architecture, facts.format], ["tales", "llama", "gguf"]);
    const none = await inspectModel(llama2cFile().bytes);
    assert.equal(none.facts.tokenizer, null);
    assert.ok(!("message" in none.facts.memory));
  });

  it("says why a model is not loaded, in the words of loading", async () => {
    for (const options of [
      { architecture: "other" },
      { metadata: { "llama.attention.causal": meta("bool", false) } },
      { metadata: { "split.count": meta("u16", 3), "split.no": meta("u16", 1) } },
      { metadata: { "tokenizer.ggml.model": meta("string", "bert") } },
      { metadata: { "tokenizer.ggml.tokens": metaArray("string", ["<unk>"]) } },
      { metadata: { "llama.embedding_length": undefined } },
      { tensors: { "blk.0.ffn_up.weight": undefined } },
      // More tokens than rows.
      { tensors: { "token_embd.weight": { shape: [299, 64] }, "output.weight": { shape: [299, 64] } } },
    ] satisfies TinyLlamaOptions[]) {
      const bytes = tinyLlamaGguf(options).bytes;
      const expected = await Llama.load(bytes).then(
        () => assert.fail("it loads"),
        ({ code, message }) => ({ code, message }),
      );
      const { facts } = await inspectModel(bytes);
      assert.deepEqual(facts.memory, expected);
      assert.equal(facts.fullMemory, null);
    }
  });

  it("says which part of a model a file is", async () => {
    const { facts } = await inspectTiny({
      metadata: { "split.count": meta("u16", 3), "split.no": meta("u16", 1) },
    });
    assert.deepEqual(facts.part, { part: 2, parts: 3 });
    assert.equal((await inspectTiny({ metadata: { "split.count": meta("u16", 1) } })).facts.part, null);
  });

  it("holds the memory to a budget", async () => {
    const { bytes } = tinyLlamaGguf({ contextLength: 9000 });
    const { facts } = await inspectModel(bytes, {}, { contextLength: 32 });
    assert.ok(!("message" in facts.memory));
    const maxBytes = facts.memory.total;
    const small = await inspectModel(bytes, {}, { contextLength: 32, maxBytes });
    assert.deepEqual(small.facts.memory, facts.memory);
    assert.ok(small.facts.fullMemory && "message" in small.facts.fullMemory);
    assert.equal(small.facts.fullMemory.code, "MEMORY");
    const none = await inspectModel(bytes, {}, { contextLength: 32, maxBytes: maxBytes - 1 });
    assert.ok("message" in none.facts.memory);
    assert.equal(none.facts.memory.code, "MEMORY");
    const long = await inspectModel(bytes, {}, { contextLength: 9001 });
    assert.ok("message" in long.facts.memory);
    assert.equal(long.facts.memory.code, UsageError.code);
  });

  it("reads the header alone, and closes the file", async () => {
    const { bytes, dataBegin } = tinyLlamaGguf({ vocabSize: 20_000 });
    assert.ok(bytes.length > 8 * dataBegin);
    const { source, end, isClosed } = watched(bytes);
    await inspectModel(source);
    assert.ok(end() < dataBegin + 65536, `read to ${end()}, the header ends at ${dataBegin}`);
    assert.ok(isClosed());
    const cut = watched(bytes.subarray(0, 100));
    await refused(inspectModel(cut.source), /the file ends at 100/, FormatError);
    assert.ok(cut.isClosed());
  });

  it("gives the chat template, and null without one", async () => {
    const template = "{{ messages }}";
    const { facts } = await inspectTiny({
      metadata: { "tokenizer.chat_template": meta("string", template) },
    });
    assert.equal(facts.chatTemplate, template);
    assert.equal((await inspectTiny({})).facts.chatTemplate, null);
  });
});
