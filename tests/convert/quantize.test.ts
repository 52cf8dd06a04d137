// quantize(): which files it writes, from what, and what it leaves behind if it fails.
import assert from "node:assert/strict";
import { existsSync, linkSync, readdirSync, readFileSync, symlinkSync } from "node:fs";
import { dirname } from "node:path";
import { describe, it } from "node:test";
import { quantizeTypes } from "../../src/convert/file_kinds.ts";
import { type QuantizeType, quantize } from "../../src/convert.ts";
import { openModelFile } from "../../src/format/detect.ts";
import type { ModelFile } from "../../src/format/model_file.ts";
import { bytesSource } from "../../src/source/bytes.ts";
import { quantized } from "../reference/quantizers.ts";
import { testFolder } from "../support/cli.ts";
import { tinyParts } from "../support/gguf_parts.ts";
import {
  encodeTensor,
  ggufFile,
  meta,
  metaArray,
  tinyLlama,
  tinyLlamaGguf,
  tinyValues,
} from "../support/gguf_writer.ts";
import { embeddedModel } from "../support/models.ts";
import { itShared, sharedBytes, sharedPath } from "../support/shared.ts";

const folder = testFolder();

/** Collects what is written to a stream. */
function collector(): { stream: WritableStream<Uint8Array>; bytes(): Uint8Array; aborted: boolean } {
  const chunks: Uint8Array[] = [];
  const result = {
    aborted: false,
    bytes: () => new Uint8Array(Buffer.concat(chunks)),
    stream: new WritableStream<Uint8Array>({
      write(chunk) {
        chunks.push(chunk.slice());
      },
      abort() {
        result.aborted = true;
      },
    }),
  };
  return result;
}

async function quantizedFile(input: Uint8Array, type: QuantizeType, threads = 1): Promise<Uint8Array> {
  const { stream, bytes } = collector();
  await quantize(input, stream, { type, threads });
  return bytes();
}

function opened(bytes: Uint8Array): Promise<ModelFile> {
  return openModelFile(bytesSource(bytes));
}

async function tensorBytes(file: ModelFile, name: string): Promise<Uint8Array> {
  const info = file.tensors.get(name);
  assert.ok(info, name);
  const bytes = new Uint8Array(info.byteLength);
  await info.source.read(info.offset, bytes);
  return bytes;
}

function typesOf(file: ModelFile): Record<string, string> {
  return Object.fromEntries([...file.tensors.values()].map(({ name, type }) => [name, type]));
}

// 256 columns, so that every type fits.
const wide = { dim: 256, nLayers: 1, hiddenDim: 256, vocabSize: 320 };

describe("quantize()", () => {
  for (const type of quantizeTypes) {
    it(`writes ${type}: the mix, each tensor's bytes, every key`, async () => {
      const { file, weights } = tinyLlama(wide);
      const written = await opened(await quantizedFile(file.bytes, type));
      const before = await opened(file.bytes);
      assert.deepEqual([...written.tensors.keys()].sort(), [...before.tensors.keys()].sort());
      for (const [name, { shape, values }] of weights) {
        const { type: got } = written.tensors.get(name) as { type: string };
        assert.deepEqual(written.tensors.get(name)?.shape, shape);
        if (shape.length === 1) assert.equal(got, "F32");
        const expected = ["F32", "F16", "BF16"].includes(got)
          ? encodeTensor(got, values)
          : quantized(got, values);
        assert.deepEqual(await tensorBytes(written, name), expected, `${name} as ${got}`);
      }
      for (const [key, value] of before.metadata) assert.deepEqual(written.metadata.get(key), value, key);
      assert.equal(written.metadata.get("general.quantization_version")?.value, 2);
      assert.equal(typeof written.metadata.get("general.file_type")?.value, "number");
    });
  }

  it("writes the same bytes with any number of threads", async () => {
    const { bytes } = tinyLlamaGguf({ ...wide, vocabSize: 1200, type: "F16" });
    for (const type of ["Q4_K_M", "Q8_0", "F16"] as const) {
      const alone = await quantizedFile(bytes, type, 1);
      for (const threads of [2, 3]) {
        assert.ok(
          Buffer.from(await quantizedFile(bytes, type, threads)).equals(alone),
          `${type}, ${threads}`,
        );
      }
    }
  });

  it("mixes types by name, and takes others if rows are no multiple of a block", async () => {
    const narrow = typesOf(await opened(await quantizedFile(tinyLlamaGguf().bytes, "Q4_K_M")));
    assert.equal(narrow["blk.0.ffn_gate.weight"], "Q5_0");
    assert.equal(narrow["blk.1.attn_v.weight"], "Q8_0");
    assert.equal(narrow["output.weight"], "Q8_0");
    const odd = { dim: 40, nHeads: 2, nKvHeads: 1, hiddenDim: 64 };
    const uneven = typesOf(await opened(await quantizedFile(tinyLlamaGguf(odd).bytes, "Q4_0")));
    assert.equal(uneven["blk.0.ffn_gate.weight"], "F16");
    assert.equal(uneven["blk.0.ffn_down.weight"], "Q4_0");
    const tied = typesOf(
      await opened(await quantizedFile(tinyLlamaGguf({ ...wide, tied: true }).bytes, "Q4_0")),
    );
    assert.equal(tied["token_embd.weight"], "Q6_K");
    const untied = typesOf(await opened(await quantizedFile(tinyLlamaGguf(wide).bytes, "Q4_0")));
    assert.equal(untied["token_embd.weight"], "Q4_0");
    assert.equal(untied["output.weight"], "Q6_K");
    const spared = { tensors: { "blk.0.ffn_gate_inp.weight": { shape: [8, 256] } } };
    const experts = typesOf(
      await opened(await quantizedFile(tinyLlamaGguf({ ...wide, ...spared }).bytes, "Q8_0")),
    );
    assert.equal(experts["blk.0.ffn_gate_inp.weight"], "F32");
  });

  it("keeps the bytes of keys, also of texts that are not UTF-8, and drops how parts were split", async () => {
    const file = tinyLlamaGguf({
      metadata: {
        "general.file_type": meta("u32", 1),
        "split.no": meta("u16", 0),
        "test.text": meta("string", "XX"),
        "test.big": meta("u64", 2n ** 63n + 1n),
        "test.flags": metaArray("bool", [true, false]),
        "test.texts": metaArray("string", ["a", "", "é"]),
      },
      alignment: 64,
    });
    const text = file.fields.get("key.test.text.length") as { offset: number; bytes: number };
    file.bytes.set([0xff, 0xfe], text.offset + text.bytes);
    const bytes = await quantizedFile(file.bytes, "Q8_0");
    const written = await opened(bytes);
    assert.equal(written.metadata.has("split.no"), false);
    assert.equal(written.metadata.has("general.alignment"), false);
    assert.equal(written.metadata.get("general.file_type")?.value, 7);
    assert.equal(written.metadata.get("test.big")?.value, 2n ** 63n + 1n);
    assert.deepEqual(written.metadata.get("test.texts")?.value, ["a", "", "é"]);
    const at = Buffer.from(bytes).indexOf("test.text");
    assert.deepEqual([...bytes.subarray(at + 9 + 4 + 8, at + 9 + 4 + 10)], [0xff, 0xfe]);
  });

  it("reads tensors of a stream in the order in which they come", async () => {
    const { bytes } = tinyLlamaGguf(wide);
    const { stream, bytes: got } = collector();
    const parts = new ReadableStream<Uint8Array>({
      start(controller) {
        for (let i = 0; i < bytes.length; i += 10_000) controller.enqueue(bytes.slice(i, i + 10_000));
        controller.close();
      },
    });
    await quantize(parts, stream, { type: "Q4_K_S" });
    const [streamed, direct] = [await opened(got()), await opened(await quantizedFile(bytes, "Q4_K_S"))];
    for (const name of direct.tensors.keys()) {
      assert.deepEqual(await tensorBytes(streamed, name), await tensorBytes(direct, name), name);
    }
    assert.deepEqual(streamed.metadata, direct.metadata);
  });

  it("refuses to quantize twice, unless it is allowed", async () => {
    const layer = { "blk.0.attn_k.weight": { type: "Q4_0" } };
    const once = tinyLlamaGguf({ ...wide, tensors: layer }).bytes;
    await assert.rejects(
      quantize(once, collector().stream, { type: "F16" }),
      /^UsageError: Cannot quantize tensor blk\.0\.attn_k\.weight of bytes: Expected F32, F16, BF16, Q8_0, got Q4_0, which has lost bits/,
    );
    await quantizedFile(await quantizedFile(tinyLlamaGguf(wide).bytes, "Q8_0"), "Q4_1");
    const twice = collector();
    await quantize(once, twice.stream, { type: "F32", allowRequantize: true });
    assert.equal(typesOf(await opened(twice.bytes()))["blk.0.attn_k.weight"], "F32");
  });

  it("says which tensor holds NaN or is too large, and ends the stream with an abort", async () => {
    for (const [value, message] of [
      [
        Number.NaN,
        /tensor blk\.0\.ffn_up\.weight of bytes as Q4_0: Expected finite values, got NaN or infinity/,
      ],
      [
        1e30,
        /tensor blk\.0\.ffn_up\.weight of bytes as Q4_0: Expected values whose scales are at most 65504/,
      ],
    ] as const) {
      const values = tinyValues("x", [256, 256], 1);
      values[70] = value;
      const { bytes } = tinyLlamaGguf({ ...wide, tensors: { "blk.0.ffn_up.weight": { values } } });
      const output = collector();
      await assert.rejects(quantize(bytes, output.stream, { type: "Q4_0" }), message);
      assert.ok(output.aborted);
    }
  });

  it("refuses files without tensors, tensors of types without values, and wrong options", async () => {
    const { stream } = collector();
    const empty = ggufFile({ metadata: [["general.architecture", meta("string", "llama")]] }).bytes;
    await assert.rejects(
      quantize(empty, stream, { type: "F16" }),
      /Expected a model, got a file without tensors/,
    );
    const integers = ggufFile({
      metadata: [["general.architecture", meta("string", "llama")]],
      tensors: [{ name: "x.weight", shape: [4, 32], type: "I8" }],
    }).bytes;
    await assert.rejects(quantize(integers, stream, { type: "F16" }), /UnsupportedError.*x\.weight.*type I8/);
    const model = tinyLlamaGguf().bytes;
    const refuses = (options: object, message: RegExp) =>
      assert.rejects(quantize(model, stream, options as { type: "F16" }), message);
    await refuses({ type: "Q4_K" }, /^UsageError: Cannot quantize to type "Q4_K": Expected one of F32, F16/);
    await refuses({}, /^UsageError: Cannot quantize to type undefined/);
    await refuses({ type: "F16", thread: 1 }, /Unknown option "thread"; did you mean threads\?/);
    await refuses({ type: "F16", threads: 0 }, /Expected threads to be an integer from 1, got 0/);
    await refuses({ type: "F16", allowRequantize: 1 }, /Expected allowRequantize to be true or false/);
    await assert.rejects(
      quantize(model, 7 as unknown as string, { type: "F16" }),
      /Expected a path or a WritableStream, got 7/,
    );
    await assert.rejects(quantize("", stream, { type: "F16" }), /UsageError/);
  });

  it("joins a model in several files", async () => {
    const options = { dim: 64, nLayers: 2 };
    const output = collector();
    const parts = Object.fromEntries(tinyParts(3, options));
    await quantize(parts, output.stream, { type: "Q8_0", threads: 1 });
    const [joined, whole] = [output.bytes(), await quantizedFile(tinyLlamaGguf(options).bytes, "Q8_0")];
    assert.ok(Buffer.from(joined).equals(whole));
  });

  it("ends with the reason of a stream that takes no more", async () => {
    const full = new WritableStream({
      write() {
        throw new Error("no room");
      },
    });
    await assert.rejects(quantize(tinyLlamaGguf().bytes, full, { type: "F16" }), /no room/);
  });

  it("refuses a cut file before anything is written", async () => {
    const { bytes } = tinyLlamaGguf();
    const output = collector();
    await assert.rejects(quantize(bytes.slice(0, -500), output.stream, { type: "Q8_0" }), /FormatError/);
    assert.equal(output.bytes().length, 0);
  });
});

describe("files that quantize() writes", () => {
  const input = () => folder.write("in.gguf", tinyLlamaGguf(wide).bytes);
  const leftovers = () => readdirSync(dirname(folder.path("x"))).filter((name) => name.endsWith(".part"));

  it("replace others, and are reported", async () => {
    const output = folder.write("old.gguf", new Uint8Array(3));
    const seen: number[] = [];
    const written = await quantize(input(), output, {
      type: "Q8_0",
      onProgress: ({ loadedBytes, totalBytes }) => seen.push(loadedBytes / totalBytes),
    });
    const bytes = new Uint8Array(readFileSync(output));
    assert.equal(written.bytes, bytes.length);
    assert.deepEqual(written.types, { F32: 3, Q8_0: 9 });
    assert.ok(written.bitsPerWeight > 8.5 && written.bitsPerWeight < 9);
    assert.equal(seen.at(-1), 1);
    assert.deepEqual(bytes, await quantizedFile(new Uint8Array(readFileSync(input())), "Q8_0"));
    assert.deepEqual(leftovers(), []);
  });

  it("are never their own input, by whatever name", async () => {
    const path = input();
    linkSync(path, folder.path("hard.gguf"));
    symlinkSync(path, folder.path("soft.gguf"));
    const before = readFileSync(path);
    for (const name of [path, folder.path("./in.gguf"), folder.path("hard.gguf"), folder.path("soft.gguf")]) {
      await assert.rejects(
        quantize(path, name, { type: "Q8_0" }),
        /^UsageError: Cannot write .*: Expected another file than the input/,
      );
    }
    assert.deepEqual(readFileSync(path), before);
    assert.deepEqual(leftovers(), []);
  });

  it("are not there after an error or an abort, and no other file is", async () => {
    const path = input();
    const controller = new AbortController();
    const options = {
      type: "Q8_0",
      signal: controller.signal,
      onProgress: () => controller.abort("enough"),
    } as const;
    await assert.rejects(quantize(path, folder.path("new.gguf"), options), (error) => error === "enough");
    assert.equal(existsSync(folder.path("new.gguf")), false);
    const kept = folder.write("kept.gguf", Uint8Array.of(1, 2, 3));
    const values = tinyValues("x", [256, 256], 1);
    values[9] = Number.NaN;
    const bad = tinyLlamaGguf({ ...wide, tensors: { "blk.0.ffn_up.weight": { values } } }).bytes;
    await assert.rejects(quantize(bad, kept, { type: "Q8_0" }), /FormatError/);
    assert.deepEqual([...readFileSync(kept)], [1, 2, 3]);
    assert.deepEqual(leftovers(), []);
  });

  it("cannot be written to folders, devices and places that do not exist", async () => {
    const path = input();
    const refuses = (name: string, message: RegExp) =>
      assert.rejects(quantize(path, name, { type: "Q8_0" }), message);
    await refuses(dirname(path), /SourceError: Cannot write .*: is a directory, expected a file/);
    await refuses("/dev/full", /SourceError: Cannot write \/dev\/full: is a pipe or device, expected a file/);
    await refuses(folder.path("none/x.gguf"), /SourceError: Cannot write .*: no such directory/);
    await refuses(`${path}/x.gguf`, /SourceError: Cannot write .*: a part of the path is not a directory/);
  });
});

describe("llama.cpp's own files", () => {
  const source = "models/tales/tales-f32.gguf";
  for (const [name, type] of [
    ["models/tales/tales-q8_0.gguf", "Q8_0"],
    ["models/micro/tales/tales-q4_0.gguf", "Q4_0"],
    ["models/micro/tales/tales-q4_k_m.gguf", "Q4_K_M"],
    ["models/micro/tales/tales-q5_k_m.gguf", "Q5_K_M"],
  ] as const) {
    itShared([source, name], `are what quantize() writes, byte for byte: ${type}`, async () => {
      const path = folder.path(`${type}.gguf`);
      await quantize(sharedPath(source), path, { type });
      assert.ok(Buffer.from(sharedBytes(name)).equals(readFileSync(path)));
    });
  }
});

describe("the embedded model", () => {
  const source = "models/tales/tales-f32.gguf";
  itShared([source], "is what quantize() writes of the trained weights: Q4_K_S", async () => {
    const path = folder.path("embedded.gguf");
    await quantize(sharedPath(source), path, { type: "Q4_K_S" });
    assert.ok(readFileSync(embeddedModel).equals(readFileSync(path)));
  });
});

describe("tensor types that were quantized before", () => {
  for (const [name, type] of [
    ["q4_k_m", "Q4_K"],
    ["iq3_s", "IQ3_S"],
    ["tq1_0", "TQ1_0"],
    ["q2_0", "Q2_0"],
  ] as const) {
    const file = `models/micro/quant/llama-${name}.gguf`;
    itShared([file], `are read: ${type}`, async () => {
      const output = collector();
      await quantize(sharedBytes(file), output.stream, { type: "F32", allowRequantize: true, threads: 1 });
      const [got, given] = [await opened(output.bytes()), await opened(sharedBytes(file))];
      assert.ok([...given.tensors.values()].some((info) => info.type === type));
      assert.ok([...got.tensors.values()].every((info) => info.type === "F32"));
    });
  }
});
