// Files that are parts of models, or no models.
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { FormatError, Llama, Tokenizer, UnsupportedError } from "../../src/mod.ts";
import { readConfig } from "../../src/model/read_model.ts";
import { bytesSource } from "../../src/source/bytes.ts";
import { type GgufValue, meta, tinyLlamaGguf } from "../support/gguf_writer.ts";
import { llamaTensors, modelHeader } from "../support/model_file.ts";
import { refused } from "../support/refused.ts";
import { type ErrorClass, refuses } from "../support/refuses.ts";

const N_TENSORS = Object.keys(llamaTensors()).length;

/** Reads the header of a complete model with more keys, under another name. */
function read(metadata: Record<string, GgufValue | undefined>, name = "m", tensors = llamaTensors()) {
  const file = modelHeader({ metadata, tensors });
  return readConfig({ ...file, source: bytesSource(new Uint8Array(0), name) });
}

function isRefused(run: () => unknown, message: RegExp, type: ErrorClass = UnsupportedError): void {
  assert.throws(run, (error) => {
    assert.ok(error instanceof type, `${error}`);
    assert.match(error.message, message);
    return true;
  });
}

const split = (no: number, count: number, tensors = N_TENSORS): Record<string, GgufValue> => ({
  "split.no": meta("u16", no),
  "split.count": meta("u16", count),
  "split.tensors.count": meta("i32", tensors),
});

describe("parts of a model", () => {
  it("Llama.load() refuses a part before anything is allocated, and says what to do", async () => {
    // Only output.weight is missing: without a look at the keys, the file seems to be tied.
    const first = tinyLlamaGguf({ metadata: split(0, 2, 21), tensors: { "output.weight": undefined } }).bytes;
    await refuses(
      first,
      /^Cannot load bytes: Expected a whole model, got file 1 of 2\. All 2 files must be loaded together: pass the path or URL of one.* all of them by their names: \{ "NAME-00001-of-00002\.gguf"/,
      UnsupportedError,
    );
    const { bytes } = tinyLlamaGguf({ metadata: split(1, 3) });
    await refuses(bytes, /got file 2 of 3\. All 3 files/, UnsupportedError);
  });

  it("Tokenizer.load() takes the vocabulary of a part", async () => {
    const { bytes } = tinyLlamaGguf({ metadata: split(0, 2), tensors: { "output.weight": undefined } });
    assert.equal((await Tokenizer.load(bytes)).vocabSize, 300);
  });

  it("readConfig() refuses a later part, which has no other keys", () => {
    const file = modelHeader({
      architecture: "",
      metadata: split(2, 3),
      tensors: { "output.weight": [[300, 64]] },
    });
    isRefused(() => readConfig(file), /got file 3 of 3/);
  });

  it("readConfig() takes models that were split into one, or merged again", () => {
    for (const keys of [split(0, 1), split(0, 0), split(0, 1, 0), { "split.count": meta("u32", 1) }, {}]) {
      assert.equal(read(keys).nLayers, 1);
      assert.equal(read(keys, "a-00001-of-00001.gguf").nLayers, 1);
    }
    // Whoever keeps the name of the first part after merging.
    assert.equal(read(split(0, 0), "a-00001-of-00003.gguf").nLayers, 1);
  });

  it("readConfig() refuses numbers of parts and tensors that contradict each other", () => {
    isRefused(() => read(split(1, 1)), /Expected split\.no below split\.count 1, got 1$/, FormatError);
    isRefused(
      () => read({ "split.no": meta("u16", 4) }),
      /Expected split\.no below split\.count none, got 4$/,
      FormatError,
    );
    isRefused(
      () => read(split(0, 1, N_TENSORS + 1)),
      /Expected 13 tensors \(split\.tensors\.count\), got 12$/,
      FormatError,
    );
    for (const [key, value] of [
      ["split.count", meta("string", "2")],
      ["split.count", meta("f32", 1.5)],
      ["split.no", meta("i32", -1)],
      ["split.tensors.count", meta("bool", true)],
    ] as const) {
      isRefused(
        () => read({ [key]: value }),
        /to be an integer of at least 0, got (string|f32|i32|bool) /,
        FormatError,
      );
    }
  });

  it("readConfig() believes the name where there are no keys", () => {
    for (const name of ["a-00001-of-00003.gguf", "https://host/a-00001-of-00003.GGUF?download=true"]) {
      isRefused(
        () => read({}, name),
        /got file 1 of 3, by its name \(it has no key split\.count\)\. All 3 files/,
      );
    }
    for (const name of [
      "a-00001-of-00003",
      "a-1-of-3.gguf",
      "00001-of-00003.gguf.old",
      "a-00001-of-00003.gguf.bin",
    ]) {
      assert.equal(read({}, name).nLayers, 1, name);
    }
  });
});

describe("files that are no models", () => {
  it("readConfig() says what they are", () => {
    const type = (value: string) => ({ "general.type": meta("string", value) });
    isRefused(
      () => read(type("adapter")),
      /^Cannot load m: Expected a model, got an adapter \(LoRA\), which changes a model \(general\.type "adapter"\)$/,
    );
    isRefused(() => read(type("mmproj")), /got a projector for images or sound \(general\.type "mmproj"\)$/);
    isRefused(() => read(type("imatrix")), /got an importance matrix, .* \(general\.type "imatrix"\)$/);
    isRefused(() => read({ "adapter.type": meta("string", "lora") }), /got an adapter .* \(adapter\.type\)$/);
    for (const value of ["model", "", "vocab"]) assert.equal(read(type(value)).nLayers, 1);
    assert.equal(read({ "general.type": meta("u32", 1) }).nLayers, 1);
  });

  it("Llama.load() says that a vocabulary has no weights", async () => {
    const { bytes } = tinyLlamaGguf({ nLayers: 1, tensors: { "token_embd.weight": undefined } });
    await refused(Llama.load(bytes), /Expected tensor token_embd\.weight, got none$/);
  });

  it("readConfig() refuses blocks of a later layout, where there are blocks", () => {
    const version = (n: number) => ({ "general.quantization_version": meta("u32", n) });
    const quantized = llamaTensors({}, "Q8_0");
    for (const n of [0, 1, 2]) assert.equal(read(version(n), "m", quantized).nLayers, 1);
    isRefused(
      () => read(version(3), "m", quantized),
      /Unsupported general\.quantization_version 3; supported: up to 2$/,
    );
    assert.equal(read(version(3)).nLayers, 1);
  });
});
