// convert(): GGUF files of folders of safetensors, and models with fewer heads of keys and values.
import assert from "node:assert/strict";
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, it } from "node:test";
import { type ConvertOptions, convert, type ModelSource, quantize } from "../../src/convert.ts";
import { openModelFile } from "../../src/format/detect.ts";
import type { ModelFile } from "../../src/format/model_file.ts";
import { Llama } from "../../src/mod.ts";
import { bytesSource } from "../../src/source/bytes.ts";
import { TokenType } from "../../src/tokenizer/core/vocabulary_data.ts";
import { createTokenizer, type TokenizerData } from "../../src/tokenizer/registry.ts";
import { parseSentencePieceModel } from "../../src/tokenizer/sentencepiece/spm_model.ts";
import { Tokenizer } from "../../src/tokenizer.ts";
import { testFolder } from "../support/cli.ts";
import { fixtureBytes } from "../support/fixtures.ts";
import {
  decodeTensor,
  meta,
  metaArray,
  tinyLlama,
  tinyLlamaGguf,
  tinyVocab,
} from "../support/gguf_writer.ts";
import { huggingFaceFolder } from "../support/huggingface_writer.ts";
import { RANDOM_VOCAB, type RandomModel, randomModel, randomModels } from "../support/random_models.ts";
import { FOLDER_VOCAB, tinyFolder } from "../support/safetensors_writer.ts";
import { itShared, sharedBytes, sharedPath } from "../support/shared.ts";
import { jsonBytes, llama2Json, unigramJson } from "../support/tokenizer_json.ts";

const folder = testFolder();

async function converted(input: ModelSource, options: ConvertOptions = {}): Promise<Uint8Array> {
  const chunks: Uint8Array[] = [];
  const stream = new WritableStream<Uint8Array>({ write: (chunk) => void chunks.push(chunk.slice()) });
  await convert(input, stream, { threads: 1, ...options });
  return new Uint8Array(Buffer.concat(chunks));
}

const opened = (bytes: Uint8Array) => openModelFile(bytesSource(bytes));

async function valuesOf(file: ModelFile, name: string): Promise<Float32Array> {
  const info = file.tensors.get(name);
  assert.ok(info, name);
  const bytes = new Uint8Array(info.byteLength);
  await info.source.read(info.offset, bytes);
  return decodeTensor(info.type, bytes);
}

async function assertSameTensors(got: ModelFile, expected: ModelFile): Promise<void> {
  assert.deepEqual([...got.tensors.keys()].sort(), [...expected.tensors.keys()].sort());
  for (const [name, { shape, type }] of expected.tensors) {
    assert.deepEqual(got.tensors.get(name)?.shape, shape, name);
    assert.equal(got.tensors.get(name)?.type, type, name);
    assert.deepEqual(await valuesOf(got, name), await valuesOf(expected, name), name);
  }
}

/** The mean of heads, as f32 sums in their order. */
function pooled(values: Float32Array, heads: number, kept: number): Float32Array {
  const each = values.length / heads;
  const together = heads / kept;
  return Float32Array.from({ length: kept * each }, (_, i) => {
    const first = Math.floor(i / each) * together;
    let sum = 0;
    for (let h = 0; h < together; h++)
      sum = Math.fround(sum + (values[(first + h) * each + (i % each)] as number));
    return Math.fround(sum / together);
  });
}

describe("convert() of a folder of safetensors", () => {
  for (const shards of [1, 3]) {
    it(`writes the tensors of the GGUF file of the same model: ${shards} files`, async () => {
      const same = await opened(tinyLlama({ vocabSize: FOLDER_VOCAB }).file.bytes);
      const got = await opened(await converted(Object.fromEntries(tinyFolder({ shards }))));
      await assertSameTensors(got, same);
      for (const [key, value] of same.metadata) {
        if (!/^general\.name|^tokenizer/.test(key)) assert.deepEqual(got.metadata.get(key), value, key);
      }
      assert.equal(got.metadata.get("general.file_type")?.value, 0);
    });
  }

  it("keeps BF16 and F16 of matrices, and makes vectors F32", async () => {
    for (const [type, code] of [
      ["BF16", 32],
      ["F16", 1],
    ] as const) {
      const got = await opened(await converted(Object.fromEntries(tinyFolder({ type }))));
      for (const { name, shape, type: stored } of got.tensors.values()) {
        assert.equal(stored, shape.length === 1 ? "F32" : type, name);
      }
      assert.equal(got.metadata.get("general.file_type")?.value, code);
    }
  });

  it("has routers, tables of positions and norms of heads in F32, as llama.cpp wants them", async () => {
    const precise = /(_norm|ffn_gate_inp|position_embd)\.weight$/;
    for (const name of ["qwen3moe", "stablelm"]) {
      const gguf = await opened(await randomModel(randomModels[name] as RandomModel));
      const files = await huggingFaceFolder(gguf, { type: "BF16" });
      const tokenizer = jsonBytes(
        llama2Json(tinyVocab(RANDOM_VOCAB) as unknown as Parameters<typeof llama2Json>[0]),
      );
      const got = await opened(
        await converted({ ...Object.fromEntries(files), "tokenizer.json": tokenizer }),
      );
      const wide = [...got.tensors.values()].filter(({ shape }) => shape.length > 1);
      assert.ok(wide.some((info) => precise.test(info.name)));
      for (const info of wide) assert.equal(info.type, precise.test(info.name) ? "F32" : "BF16", info.name);
    }
  });

  it("writes what quantize() makes of its GGUF file", async () => {
    const files = Object.fromEntries(tinyFolder());
    const once = await converted(files, { type: "Q4_K_M" });
    assert.ok(Buffer.from(once).equals(await converted(await converted(files), { type: "Q4_K_M" })));
  });

  /** A folder with this tokenizer. */
  function withTokenizer(name: string, own: string): Record<string, Uint8Array> {
    const files = Object.fromEntries(tinyFolder());
    delete files["tokenizer.model"];
    return { ...files, [own]: fixtureBytes(name) };
  }

  const texts = [
    ...["Hello world", "  two  spaces ", "a\nb", "it's 1234", "é 日本 \u{1f600}", "", "aaaa bababab"],
    ...["<s> text </s>", "ﬁne Ａ", "a\u{300} \t b"],
  ];

  /** The ids of texts by a converted folder, and by what it was converted from. */
  async function assertSameIds(files: Record<string, Uint8Array>, from: Uint8Array): Promise<ModelFile> {
    const file = await opened(await converted(files));
    const data = file.tokenizer() as TokenizerData;
    assert.equal(data.types.length, FOLDER_VOCAB);
    const ours = createTokenizer(data);
    const theirs = await Tokenizer.load(from);
    for (const text of texts) {
      const ids = theirs.encode(text, { bos: false, eos: false });
      assert.deepEqual(ours.encode(text, { bos: false, eos: false }), ids, text);
      // What stands for an unknown token is each kind's own.
      if (!ids.includes(data.unkId ?? -1)) assert.equal(ours.decode(ids), theirs.decode(ids), text);
    }
    assert.deepEqual(ours.encode("a"), theirs.encode("a"));
    return file;
  }

  for (const [fixture, own, model, pre] of [
    ["bpe.model", "tokenizer.model", "llama", "default"],
    ["bpe.tokenizer.json", "tokenizer.json", "llama", "default"],
    ["unigram.model", "tokenizer.model", "t5", "default"],
    ["gpt2.tokenizer.json", "tokenizer.json", "gpt2", "gpt-2"],
  ] as const) {
    it(`writes a tokenizer that gives the same ids: ${fixture}`, async () => {
      const file = await assertSameIds(withTokenizer(fixture, own), fixtureBytes(fixture));
      assert.equal(file.metadata.get("tokenizer.ggml.model")?.value, model);
      assert.equal(file.metadata.get("tokenizer.ggml.pre")?.value, pre);
    });
  }

  const bpe = parseSentencePieceModel(fixtureBytes("bpe.model"), "bpe.model");
  const unigram = parseSentencePieceModel(fixtureBytes("unigram.model"), "unigram.model");
  const alone = (json: unknown) => ({
    ...withTokenizer("bpe.tokenizer.json", "tokenizer.json"),
    "tokenizer.json": jsonBytes(json),
  });

  it("gives the pieces of Llama 2's tokenizer.json the scores of its tokenizer.model", async () => {
    for (const metaspace of [false, true]) {
      const json = llama2Json(bpe, metaspace);
      const files = alone(json);
      const file = await assertSameIds(files, fixtureBytes("bpe.model"));
      const scores = file.metadata.get("tokenizer.ggml.scores")?.value as Float32Array;
      const types = file.metadata.get("tokenizer.ggml.token_type")?.value as Int32Array;
      const normal = bpe.pieces.flatMap((_, id) => (bpe.types[id] === TokenType.normal ? [id] : []));
      for (const id of normal) assert.equal(scores[id], bpe.scores[id], `${bpe.pieces[id]}`);
      assert.deepEqual(Array.from(types.slice(0, bpe.types.length)), Array.from(bpe.types));
    }
  });

  it("writes a unigram tokenizer.json with its rules", async () => {
    const json = unigramJson(unigram, unigram.charsmap as Uint8Array);
    const files = alone(json);
    const file = await assertSameIds(files, jsonBytes(json));
    assert.equal(file.metadata.get("tokenizer.ggml.model")?.value, "t5");
    assert.deepEqual(file.metadata.get("tokenizer.ggml.precompiled_charsmap")?.value, unigram.charsmap);
    await using llama = await Llama.load(await converted(files), { threads: 1 });
    assert.ok((await llama.complete("The", { maxTokens: 3 })).text.length > 0);
  });

  it("refuses a tokenizer.json that no pieces are like, and says in what", async () => {
    const json = llama2Json(bpe);
    const { model } = json;
    const merges = (model as { merges: [string, string][] }).merges;
    // Two pairs that make the same piece.
    const at = merges.findIndex((pair, i) => pair.join("") === merges[i + 1]?.join(""));
    const apart = [...merges.slice(0, at), ...merges.slice(at + 1), merges[at]];
    for (const [change, problem] of [
      [{ model: { ...model, merges: apart } }, /with merges into \S+ in several places/],
      [{ model: { ...model, merges: merges.slice(1) } }, /with 0 of 1 pairs that make/],
      [{ model: { ...model, byte_fallback: false } }, /with no byte_fallback/],
      [{ model: { ...model, ignore_merges: true } }, /with ignore_merges/],
      [{ normalizer: { type: "Lowercase" } }, /with the normalizer \{"type":"Lowercase"\}/],
      [{ normalizer: null }, /with no step that makes spaces/],
      [{ pre_tokenizer: { type: "Whitespace" } }, /with the pre-tokenizer \{"type":"Whitespace"\}/],
    ] as const) {
      const files = alone({ ...json, ...change });
      await assert.rejects(converted(files), problem);
      await assert.rejects(
        converted(files),
        /^UnsupportedError: Cannot convert .*; a tokenizer\.model beside it counts/,
      );
      const file = await opened(await converted({ ...files, "tokenizer.model": fixtureBytes("bpe.model") }));
      assert.equal(file.metadata.get("tokenizer.ggml.model")?.value, "llama");
    }
  });

  it("takes the chat template along", async () => {
    const files = Object.fromEntries(tinyFolder());
    const json = (value: unknown) => new TextEncoder().encode(JSON.stringify(value));
    const own = { ...files, "tokenizer_config.json": json({ chat_template: "{{ messages }}" }) };
    assert.equal(
      (await opened(await converted(own))).metadata.get("tokenizer.chat_template")?.value,
      "{{ messages }}",
    );
    const apart = { ...own, "chat_template.jinja": new TextEncoder().encode("{{ é }}") };
    assert.equal(
      (await opened(await converted(apart))).metadata.get("tokenizer.chat_template")?.value,
      "{{ é }}",
    );
  });

  it("takes tokenizer and template along of a folder of which a file is named, and replaces none of it", async () => {
    const path = folder.path("named");
    mkdirSync(path);
    const template = new TextEncoder().encode(JSON.stringify({ chat_template: "{{ x }}" }));
    const files = {
      ...withTokenizer("bpe.tokenizer.json", "tokenizer.json"),
      "tokenizer_config.json": template,
    };
    for (const [name, bytes] of Object.entries(files)) writeFileSync(join(path, name), bytes);
    const whole = Buffer.from(await converted(path));
    assert.ok(whole.includes("{{ x }}"));
    for (const name of ["model.safetensors", "config.json"]) {
      assert.ok(whole.equals(await converted(join(path, name))), name);
      await assert.rejects(
        convert(join(path, name), join(path, "tokenizer_config.json")),
        /Expected another file than the input/,
      );
    }
    await assert.rejects(
      convert(path, join(path, "tokenizer.json")),
      /UsageError: .*Expected another file than the input/,
    );
  });

  it("writes files that load and give the same logits", async () => {
    const files = Object.fromEntries(tinyFolder());
    await using direct = await Llama.load(files, { threads: 1 });
    await using written = await Llama.load(await converted(files), { threads: 1 });
    const options = { maxTokens: 12, temperature: 0 };
    assert.equal((await written.complete("The", options)).text, (await direct.complete("The", options)).text);
  });

  it("refuses folders without a tokenizer, and tokenizers with more tokens than the model", async () => {
    const files = new Map(tinyFolder());
    files.delete("tokenizer.model");
    await assert.rejects(
      converted(Object.fromEntries(files)),
      /FormatError: .*Expected tokenizer\.json or tokenizer\.model/,
    );
  });

  const tales = ["models/tales/model.safetensors", "models/tales/tales-f32.gguf"];
  itShared(
    tales,
    "equals the GGUF file of the reference model tensor for tensor, and key for key",
    async () => {
      const path = folder.path("tales.gguf");
      await convert(sharedPath("models/tales"), path);
      const [got, same] = [
        await opened(new Uint8Array(readFileSync(path))),
        await opened(sharedBytes(tales[1] as string)),
      ];
      await assertSameTensors(got, same);
      for (const [key, value] of same.metadata) assert.deepEqual(got.metadata.get(key), value, key);
      const kept = readFileSync(path);
      await assert.rejects(
        convert(sharedPath("models/tales"), sharedPath("models/tales/config.json")),
        /Expected another file than the input|read-only|permission denied/,
      );
      assert.deepEqual(readFileSync(path), kept);
    },
  );
});

describe("convert() with kvHeads", () => {
  const options = { nHeads: 4, nKvHeads: 4, dim: 64 };

  it("averages neighbouring heads of keys and values", async () => {
    const { file, weights } = tinyLlama(options);
    for (const kvHeads of [1, 2, 4]) {
      const got = await opened(await converted(file.bytes, { kvHeads }));
      assert.equal(got.metadata.get("llama.attention.head_count_kv")?.value, kvHeads);
      for (const [name, { shape, values }] of weights) {
        const isPooled = /attn_[kv]\./.test(name);
        assert.deepEqual(got.tensors.get(name)?.shape, isPooled ? [16 * kvHeads, 64] : shape, name);
        assert.deepEqual(await valuesOf(got, name), isPooled ? pooled(values, 4, kvHeads) : values, name);
      }
    }
  });

  it("gives the same for heads that are the same, and loads", async () => {
    const equal = (values: Float32Array) => {
      for (let h = 1; h < 4; h++) values.copyWithin((h * values.length) / 4, 0, values.length / 4);
      return values;
    };
    const { weights } = tinyLlama(options);
    const tensors = Object.fromEntries(
      [...weights]
        .filter(([name]) => /attn_[kv]\./.test(name))
        .map(([name, { values }]) => [name, { values: equal(values) }]),
    );
    const input = tinyLlama({ ...options, tensors }).file.bytes;
    await using all = await Llama.load(input, { threads: 1, precision: "f32" });
    await using one = await Llama.load(await converted(input, { kvHeads: 1 }), {
      threads: 1,
      precision: "f32",
    });
    assert.equal(one.config.nKvHeads, 1);
    const text = "abc abc";
    const [a, b] = [await all.perplexity(text), await one.perplexity(text)];
    assert.ok(Math.abs(a.nll - b.nll) < 1e-5, `${a.nll} and ${b.nll}`);
  });

  it("quantizes what it has averaged, and keeps a quantized type", async () => {
    const { file } = tinyLlama({ ...options, type: "Q8_0" });
    const kept = await opened(await converted(file.bytes, { kvHeads: 2 }));
    assert.equal(kept.tensors.get("blk.0.attn_k.weight")?.type, "Q8_0");
    const other = await opened(await converted(file.bytes, { kvHeads: 2, type: "Q4_0" }));
    assert.equal(other.tensors.get("blk.1.attn_v.weight")?.type, "Q4_0");
    const again = tinyLlama({ ...options, type: "Q4_0" }).file.bytes;
    await assert.rejects(
      converted(again, { kvHeads: 2 }),
      /UsageError: .*got Q4_0, which has lost bits already/,
    );
    await converted(again, { kvHeads: 2, allowRequantize: true });
  });

  it("averages biases too, and works on folders", async () => {
    const bias = Float32Array.from({ length: 64 }, (_, i) => i / 7);
    const tensors = { "blk.0.attn_k.bias": { shape: [64], values: bias } };
    const got = await opened(await converted(tinyLlama({ ...options, tensors }).file.bytes, { kvHeads: 1 }));
    assert.deepEqual(await valuesOf(got, "blk.0.attn_k.bias"), pooled(bias, 4, 1));
    const files = Object.fromEntries(tinyFolder({ nKvHeads: 4 }));
    const direct = await converted(await converted(files), { kvHeads: 2 });
    await assertSameTensors(await opened(await converted(files, { kvHeads: 2 })), await opened(direct));
  });

  it("refuses numbers that do not divide, and heads that are not plain", async () => {
    const { bytes } = tinyLlamaGguf(options);
    const refuses = (input: Uint8Array, kvHeads: number, message: RegExp) =>
      assert.rejects(converted(input, { kvHeads }), message);
    await refuses(
      bytes,
      3,
      /UsageError: Cannot convert bytes with kvHeads 3: Expected a divisor of the 4 heads/,
    );
    await refuses(bytes, 8, /Expected a divisor of the 4 heads/);
    await refuses(bytes, 0, /Expected kvHeads to be an integer from 1, got 0/);
    const fused = tinyLlamaGguf({ ...options, tensors: { "blk.0.attn_qkv.weight": { shape: [192, 64] } } });
    await refuses(fused.bytes, 2, /UnsupportedError: .*Unsupported tensor blk\.0\.attn_qkv\.weight/);
    const norm = tinyLlamaGguf({ ...options, tensors: { "blk.0.attn_k_norm.weight": { shape: [64] } } });
    await refuses(norm.bytes, 2, /UnsupportedError: .*Unsupported tensor blk\.0\.attn_k_norm\.weight/);
    const layers = { metadata: { "llama.attention.head_count_kv": metaArray("u32", [4, 4]) } };
    await refuses(
      tinyLlamaGguf({ ...options, ...layers }).bytes,
      2,
      /Expected one number of heads for all layers/,
    );
    const five = { metadata: { "llama.attention.head_count_kv": meta("u32", 5) } };
    await refuses(tinyLlamaGguf({ ...options, ...five }).bytes, 1, /UnsupportedError: .*attn_k\.weight/);
  });
});

describe("convert() and quantize()", () => {
  it("refuse llama2.c files", async () => {
    const { llama2cFile } = await import("../support/llama2c_writer.ts");
    const { bytes } = llama2cFile();
    await assert.rejects(converted(bytes), /UnsupportedError: .*Unsupported llama2\.c file/);
    await assert.rejects(
      quantize(bytes, new WritableStream(), { type: "F16" }),
      /Unsupported llama2\.c file/,
    );
  });
});
