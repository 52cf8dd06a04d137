// Models in folders of safetensors: the bits of the GGUF file with the same weights, from every kind of place.
import assert from "node:assert/strict";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, describe, it } from "node:test";
import { pathToFileURL } from "node:url";
import { inspectModel } from "../../../src/api/inspect.ts";
import { readFolder } from "../../../src/format/huggingface/folder.ts";
import { FormatError, Llama, type LoadOptions, UnsupportedError, UsageError } from "../../../src/mod.ts";
import { detectRuntime } from "../../../src/runtime/detect.ts";
import { openFileSet } from "../../../src/source/file_set.ts";
import { FileShelf } from "../../../src/source/file_shelf.ts";
import { fixtureBytes, fixtureIds, fixturePath } from "../../support/fixtures.ts";
import { meta, type TinyLlamaOptions, tinyLlama } from "../../support/gguf_writer.ts";
import { refused } from "../../support/refused.ts";
import { FOLDER_VOCAB, type FolderOptions, tinyFolder } from "../../support/safetensors_writer.ts";
import { fileReply, hostile, type RawReply, type RawRequest } from "../../support/server.ts";
import { itShared, sharedPath } from "../../support/shared.ts";

type Files = Map<string, Uint8Array<ArrayBuffer>>;

const root = mkdtempSync(join(tmpdir(), "cria-folders-"));
after(() => rmSync(root, { recursive: true, force: true }));
let folders = 0;

function written(files: Files): string {
  const path = join(root, `${folders++}`);
  mkdirSync(path);
  for (const [name, bytes] of files) writeFileSync(join(path, name), bytes);
  return path;
}

const ids = [1, 5, 9, 700, 3, 44];

async function logitsOf(source: Parameters<typeof Llama.load>[0], options: LoadOptions = {}) {
  await using llama = await Llama.load(source, { threads: 1, precision: "f32", ...options });
  return await llama.logits(ids);
}

const withTokenizer: LoadOptions = { tokenizer: fixturePath("bpe.model") };

/** The same weights in GGUF. Files of Hugging Face have one type for all tensors. */
function ggufOf(options: TinyLlamaOptions): Uint8Array<ArrayBuffer> {
  const { type = "F32", tensors } = options;
  const { weights } = tinyLlama({ ...options, vocabSize: FOLDER_VOCAB });
  const vectors = [...weights]
    .filter(([, { shape }]) => shape.length === 1)
    .map(([name]) => [name, { type }]);
  const all = { ...Object.fromEntries(vectors), ...tensors };
  return tinyLlama({ ...options, vocabSize: FOLDER_VOCAB, tensors: all }).file.bytes;
}

async function sameBits(
  options: FolderOptions,
  gguf: TinyLlamaOptions = {},
  load: LoadOptions = {},
): Promise<void> {
  const expected = await logitsOf(ggufOf({ ...options, ...gguf }), { ...withTokenizer, ...load });
  assert.deepEqual(await logitsOf(tinyFolder(options), load), expected);
  assert.ok(expected.some((value) => value !== 0));
}

/** Serves files below /set/. */
function serving(
  files: Files,
  body: (base: URL, requests: readonly RawRequest[]) => Promise<void>,
  reply: (bytes: Uint8Array, request: RawRequest) => RawReply = fileReply,
): Promise<void> {
  const answer = (request: RawRequest) => {
    const bytes = files.get(decodeURIComponent(request.path.replace(/^\/set\/|\?.*$/g, "")));
    return bytes ? reply(bytes, request) : { status: 404 };
  };
  return hostile(answer, (url, requests) => body(new URL("/set/", url), requests));
}

describe("a folder of safetensors gives the bits of GGUF", () => {
  it("with every type, and every number of heads of keys and values", async () => {
    for (const type of ["F32", "F16", "BF16"]) await sameBits({ type });
    for (const nKvHeads of [1, 2, 4]) await sameBits({ nKvHeads, nLayers: 1 });
  });

  it("with every format in memory", async () => {
    for (const precision of ["q8", "q4"] as const) await sameBits({}, {}, { precision });
    const options = { type: "F16" };
    const expected = await logitsOf(ggufOf(options), { ...withTokenizer, precision: undefined as never });
    assert.deepEqual(await logitsOf(tinyFolder(options), { precision: undefined as never }), expected);
  });

  it("with an output matrix that is the embedding, also if the file has another", async () => {
    await sameBits({ tied: true });
    const expected = await logitsOf(ggufOf({ tied: true }), withTokenizer);
    const both = tinyFolder({ config: { tie_word_embeddings: true } });
    assert.deepEqual(await logitsOf(both), expected);
  });

  it("with heads of another length than dim / heads", async () => {
    const headDim = 24;
    const layers = [0, 1].flatMap((i) => [
      [`blk.${i}.attn_q.weight`, { shape: [4 * headDim, 64] }],
      [`blk.${i}.attn_k.weight`, { shape: [2 * headDim, 64] }],
      [`blk.${i}.attn_v.weight`, { shape: [2 * headDim, 64] }],
      [`blk.${i}.attn_output.weight`, { shape: [64, 4 * headDim] }],
    ]);
    const metadata = {
      "llama.attention.key_length": meta("u32", headDim),
      "llama.attention.value_length": meta("u32", headDim),
      "llama.rope.dimension_count": meta("u32", headDim),
    };
    await sameBits({ headDim, tensors: Object.fromEntries(layers) }, { metadata });
  });

  it("in any number of files", async () => {
    for (const shards of [2, 5]) await sameBits({ shards });
  });

  it("with a linear scaling in each of its spellings", async () => {
    const metadata = { "llama.rope.scaling.factor": meta("f32", 4) };
    for (const config of [
      { rope_scaling: { type: "linear", factor: 4 } },
      { rope_scaling: { rope_type: "linear", factor: 4.0 } },
      { rope_theta: undefined, rope_parameters: { rope_type: "linear", factor: 4, rope_theta: 10000 } },
    ]) {
      await sameBits({ config, nLayers: 1 }, { metadata });
    }
    for (const config of [
      { rope_scaling: null },
      { rope_scaling: { rope_type: "default" } },
      { rope_theta: undefined },
      { rope_parameters: { rope_theta: 10000, rope_type: "default" }, rope_theta: undefined },
    ]) {
      await sameBits({ config, nLayers: 1 });
    }
    await sameBits(
      { config: { rope_theta: 500000 }, nLayers: 1 },
      { metadata: { "llama.rope.freq_base": meta("f32", 500000) } },
    );
  });

  it("with llama3's scaling, whose factors GGUF has in a tensor", async () => {
    const scaling = {
      factor: 8,
      low_freq_factor: 1,
      high_freq_factor: 4,
      original_max_position_embeddings: 32,
    };
    const options = { nLayers: 1, config: { rope_scaling: { rope_type: "llama3", ...scaling } } };
    const factors = (await headerOf(tinyFolder(options))).tensors.get("rope_freqs.weight");
    const values = new Float32Array(8);
    await factors?.source.read(0, new Uint8Array(values.buffer));
    // The published formula, in f64.
    for (const [i, value] of values.entries()) {
      const wavelength = 2 * Math.PI * 10000 ** (i / 8);
      const {
        factor,
        low_freq_factor: low,
        high_freq_factor: high,
        original_max_position_embeddings: n,
      } = scaling;
      const smooth = Math.min(1, Math.max(0, (n / wavelength - low) / (high - low)));
      const expected = 1 / ((1 - smooth) / factor + smooth);
      assert.ok(Math.abs(value / expected - 1) < 1e-5, `factor ${i}: ${value}, expected ${expected}`);
    }
    assert.deepEqual([values[0], values[7]], [1, 8]);
    assert.ok(values.some((value) => value > 1 && value < 8));
    await sameBits(options, { tensors: { "rope_freqs.weight": { shape: [8], values, type: "F32" } } });
  });

  itShared(
    ["models/tales/model.safetensors", "models/tales/tales-f32.gguf"],
    "tales: logits and ids are those of its GGUF file",
    async () => {
      await using gguf = await Llama.load(sharedPath("models/tales/tales-f32.gguf"), { precision: "f32" });
      await using folder = await Llama.load(sharedPath("models/tales"), { precision: "f32" });
      for (const text of [...fixtureIds().texts, 'Once upon a time, there was  a girl.\nLily said: "Hi"']) {
        const ids = gguf.tokenizer.encode(text);
        assert.deepEqual(folder.tokenizer.encode(text), ids);
        if (ids.length > 0) assert.deepEqual(await folder.logits(ids), await gguf.logits(ids));
      }
      assert.deepEqual(folder.tokenizer.eosIds, gguf.tokenizer.eosIds);
      assert.equal(folder.contextLength, gguf.contextLength);
    },
  );
});

/** What is read of a folder. */
function headerOf(files: Files) {
  return readFolder(new FileShelf(openFileSet(files, detectRuntime())), undefined);
}

describe("Llama.load() of safetensors", () => {
  it("takes the folder, or any of its files, by path and URL", async () => {
    const files = tinyFolder({ shards: 3, nLayers: 1 });
    const expected = await logitsOf(files);
    const path = written(files);
    const shard = "model-00002-of-00003.safetensors";
    for (const source of [path, `${path}/`, pathToFileURL(path), pathToFileURL(`${path}/`).href]) {
      assert.deepEqual(await logitsOf(source), expected);
    }
    for (const name of ["model.safetensors.index.json", shard, "config.json"]) {
      assert.deepEqual(await logitsOf(join(path, name)), expected);
      assert.deepEqual(await logitsOf(pathToFileURL(join(path, name))), expected);
    }
  });

  it("is shown as it is, without its weights", async () => {
    const { facts } = await inspectModel(written(tinyFolder({ shards: 2, nLayers: 1 })));
    assert.deepEqual([facts.format, facts.architecture, facts.config?.nKvHeads], ["safetensors", "llama", 2]);
    assert.ok("total" in facts.memory);
    assert.equal(facts.types[0]?.tensors, 12);
  });

  it("takes one file of weights among several", async () => {
    const files = tinyFolder({ nLayers: 1 });
    const other = tinyFolder({ nLayers: 1, seed: 2 }).get("model.safetensors") as Uint8Array<ArrayBuffer>;
    const path = written(new Map(files).set("other.safetensors", other));
    assert.deepEqual(await logitsOf(join(path, "model.safetensors")), await logitsOf(files));
    assert.notDeepEqual(await logitsOf(join(path, "other.safetensors")), await logitsOf(files));
  });

  it("takes files by their names: bytes, Blobs, streams", async () => {
    const files = tinyFolder({ shards: 2, nLayers: 1 });
    const expected = await logitsOf(files);
    for (const kind of [
      (bytes: Uint8Array<ArrayBuffer>) => new Blob([bytes]),
      (bytes: Uint8Array<ArrayBuffer>) => new Blob([bytes]).stream(),
    ]) {
      const map = new Map([...files].map(([name, bytes]) => [name, kind(bytes)] as const));
      assert.deepEqual(await logitsOf(map), expected);
    }
    assert.deepEqual(await logitsOf(Object.fromEntries(files)), expected);
  });

  it("takes a folder on a server, with ranges and without", async () => {
    const files = tinyFolder({ shards: 3, nLayers: 1 });
    const expected = await logitsOf(files);
    for (const reply of [fileReply, (bytes: Uint8Array): RawReply => ({ body: bytes })]) {
      await serving(
        files,
        async (base, requests) => {
          assert.deepEqual(await logitsOf(base), expected);
          assert.deepEqual(await logitsOf(new URL("model.safetensors.index.json", base).href), expected);
          assert.ok(requests.every(({ path }) => path.startsWith("/set/")));
        },
        reply,
      );
    }
  });

  it("says what lies beside a file that comes alone", async () => {
    const bytes = tinyFolder({ nLayers: 1 }).get("model.safetensors") as Uint8Array<ArrayBuffer>;
    for (const source of [bytes, new Blob([bytes]), new Blob([bytes]).stream()]) {
      await refused(
        Llama.load(source),
        /^Cannot load \w+: Expected config\.json and a tokenizer beside it, got one file alone; pass the path or URL of the folder, or files by name: /,
        UsageError,
      );
    }
    const path = written(new Map([["model.safetensors", bytes]]));
    await refused(Llama.load(join(path, "model.safetensors")), /Expected config\.json in it .*, got none$/);
    await refused(
      Llama.load(path, { sha256: "0".repeat(64) }),
      /Expected a model in one file, got several$/,
      UsageError,
    );
  });

  it("says which files of weights it looked for", async () => {
    const files = tinyFolder({ nLayers: 1 });
    files.delete("model.safetensors");
    await refused(
      Llama.load(files),
      /^Cannot load files: Expected model\.safetensors or model\.safetensors\.index\.json in it, got neither; weights of other formats/,
      UnsupportedError,
    );
    const shards = tinyFolder({ nLayers: 1, shards: 2 });
    shards.delete("model.safetensors.index.json");
    const path = written(shards);
    await refused(
      Llama.load(join(path, "model-00001-of-00002.safetensors")),
      /Expected model\.safetensors\.index\.json in .*, which says what is in each file, got none$/,
    );
  });

  it("names tensors of types that are not loaded", async () => {
    const files = tinyFolder({ nLayers: 1 });
    const text = new TextDecoder("latin1").decode(files.get("model.safetensors"));
    const bytes = Uint8Array.from(text.replace(/("model\.norm\.weight":\{"dtype":)"F32"/, '$1"I32"'), (c) =>
      c.charCodeAt(0),
    );
    await refused(
      Llama.load(files.set("model.safetensors", bytes)),
      /^Cannot load tensor output_norm\.weight.*: Unsupported type I32; supported: F32/,
      UnsupportedError,
    );
  });
});

describe("tokenizers in a folder", () => {
  const text = fixtureIds().texts[0] as string;

  it("are tokenizer.json, else tokenizer.model, else what the caller names", async () => {
    const model = tinyFolder({ nLayers: 1 });
    const json = new Map(model).set("tokenizer.json", fixtureBytes("bpe.tokenizer.json"));
    json.set("tokenizer.model", new Uint8Array([1, 2, 3]));
    for (const files of [model, json]) {
      await using llama = await Llama.load(files, { threads: 1 });
      assert.deepEqual(llama.tokenizer.encode(text, { bos: false }), fixtureIds().vocabularies.bpe[0]);
      assert.deepEqual([llama.tokenizer.bosId, llama.tokenizer.eosIds], [1, [2]]);
    }
    // One that is damaged does no harm if another is named.
    const damaged = new Map(model).set("tokenizer.json", new TextEncoder().encode("{")) as Files;
    await refused(Llama.load(damaged), /^Cannot read tokenizer\.json: /, UnsupportedError);
    await using llama = await Llama.load(damaged, { ...withTokenizer, threads: 1 });
    assert.ok(llama.tokenizer.encode(text).length > 0);
    model.delete("tokenizer.model");
    await refused(
      Llama.load(model),
      /name one with the tokenizer option/,
      (await import("../../../src/mod.ts")).TokenizerError,
    );
  });

  it("end texts with every id that config.json and generation_config.json name", async () => {
    const files = tinyFolder({ nLayers: 1, config: { eos_token_id: [2, 7] } });
    const generation = { eos_token_id: [9, 2, 100_000], temperature: 0.1, top_k: 1 };
    files.set("generation_config.json", new TextEncoder().encode(JSON.stringify(generation)));
    await using llama = await Llama.load(files, { threads: 1 });
    assert.deepEqual(llama.tokenizer.eosIds, [2, 7, 9]);
    assert.deepEqual(llama.warnings, [
      'Key "eos_token_id" of generation_config.json: Expected an id of a vocabulary of 800 tokens, got 100000; it is passed over',
    ]);
  });

  it("add what tokenizer_config.json says", async () => {
    const settings = (value: unknown) => {
      const files = tinyFolder({ nLayers: 1 });
      return files.set("tokenizer_config.json", new TextEncoder().encode(JSON.stringify(value)));
    };
    const encoded = async (value: unknown) => {
      await using llama = await Llama.load(settings(value), { threads: 1 });
      return llama.tokenizer.encode("a");
    };
    const plain = await encoded({});
    assert.equal(plain[0], 1);
    assert.deepEqual(await encoded({ add_bos_token: false, add_eos_token: true }), [...plain.slice(1), 2]);
    await refused(
      encoded({ add_bos_token: "yes" }),
      /add_bos_token to be true or false, got "yes"/,
      FormatError,
    );
  });
});
