// Headers of GGUF files.
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { describe, it } from "node:test";
import { GGUF_MAGIC, readGguf } from "../../../src/format/gguf/header.ts";
import { MAX_ARRAY_ELEMENTS, MAX_STRING_BYTES } from "../../../src/format/gguf/metadata.ts";
import { HEADER_CHUNK_BYTES } from "../../../src/format/header_reader.ts";
import type { ByteSource } from "../../../src/source/byte_source.ts";
import { bytesSource } from "../../../src/source/bytes.ts";
import { LOOK_BACK_BYTES } from "../../../src/source/look_back.ts";
import { streamSource } from "../../../src/source/stream.ts";
import { FormatError, UnsupportedError } from "../../../src/util/errors.ts";
import { fixtureBytes } from "../../support/fixtures.ts";
import {
  decodeTensor,
  type GgufFile,
  type GgufValue,
  ggufFile,
  meta,
  metaArray,
  tinyLlama,
  tinyLlamaGguf,
} from "../../support/gguf_writer.ts";
import { placesOf } from "../../support/model_file.ts";
import { embeddedModel, embeddedName } from "../../support/models.ts";
import { chunked, refused } from "../../support/refused.ts";
import { itOn, type Subject, sharedBytes } from "../../support/shared.ts";

const read = (file: GgufFile | Uint8Array) =>
  readGguf(bytesSource(file instanceof Uint8Array ? file : file.bytes));

/** A file with one key "k". */
const withKey = (value: GgufValue) => ggufFile({ metadata: [["k", value]] });

/** Two F32 matrices, "a" of 64 bytes and "b" of 32. */
const twoTensors = () =>
  ggufFile({
    tensors: [
      { name: "a", shape: [2, 8], type: "F32" },
      { name: "b", shape: [1, 8], type: "F32" },
    ],
  });

/** A source that counts what is asked of it. */
function counting(source: ByteSource): ByteSource & { asked: number; largest: number } {
  return {
    name: source.name,
    get size() {
      return source.size;
    },
    asked: 0,
    largest: 0,
    read(offset, target) {
      this.asked += target.length;
      this.largest = Math.max(this.largest, target.length);
      return source.read(offset, target);
    },
    close: () => source.close(),
  };
}

/** Fills `target` from `bytes` and with zeros after their end. */
function copyTo(bytes: Uint8Array, offset: number, target: Uint8Array): void {
  target.fill(0);
  target.set(bytes.subarray(offset, offset + target.length));
}

describe("readGguf", () => {
  for (const version of [2, 3]) {
    for (const type of ["F32", "F16", "BF16", "Q8_0", "Q4_0"]) {
      it(`readGguf() reads version ${version} with ${type} matrices`, async () => {
        const { file, weights } = tinyLlama({ version, type, tied: version === 2 });
        const model = await read(file);
        assert.equal(model.format, "gguf");
        assert.equal(model.architecture, "llama");
        assert.deepEqual(model.metadata.get("llama.block_count"), { type: "u32", value: 2 });
        assert.deepEqual([...model.tensors.keys()], [...weights.keys()]);
        assert.equal(model.tensors.has("output.weight"), version === 3);
        for (const [name, weight] of weights) {
          const info = model.tensors.get(name);
          assert.ok(info);
          assert.deepEqual(info.shape, weight.shape);
          const bytes = file.bytes.subarray(info.offset, info.offset + info.byteLength);
          assert.deepEqual(decodeTensor(info.type, bytes), weight.values, name);
        }
      });
    }
  }

  it("readGguf() reads the same from a stream of unknown size, whatever its chunks", async () => {
    const { bytes } = tinyLlamaGguf({ type: "Q8_0" });
    const whole = await read(bytes);
    for (const chunkBytes of [1, 13, 4096, 1 << 20]) {
      const source = streamSource(chunked(bytes, chunkBytes), "s");
      const model = await readGguf(source);
      assert.deepEqual(model.metadata, whole.metadata);
      assert.deepEqual(placesOf(model), placesOf(whole));
      // Tensors can be read in file order afterwards.
      for (const { offset, byteLength } of model.tensors.values()) {
        const data = new Uint8Array(byteLength);
        await source.read(offset, data);
        assert.deepEqual(data, bytes.slice(offset, offset + byteLength));
      }
    }
  });

  it("readGguf() reads no more than the header and a chunk, however large the file", async () => {
    const file = ggufFile({ tensors: [{ name: "t", shape: [1, 8], type: "F32" }] }).set(
      "tensor.t.dim1",
      2 ** 40,
    );
    const source = counting({
      name: "huge",
      size: file.dataBegin + 2 ** 45,
      async read(offset, target) {
        target.set(file.bytes.subarray(offset, offset + target.length));
      },
      async close() {},
    });
    const model = await readGguf(source);
    assert.equal(model.tensors.get("t")?.byteLength, 2 ** 45);
    assert.deepEqual(model.tensors.get("t")?.shape, [2 ** 40, 8]);
    assert.ok(source.asked <= HEADER_CHUNK_BYTES, `${source.asked} bytes were read`);
    assert.ok(HEADER_CHUNK_BYTES <= LOOK_BACK_BYTES);
  });

  it("readGguf() reads large vocabularies across chunks", async () => {
    const tokens = Array.from({ length: 20_000 }, (_, i) => `${"▁".repeat(i % 3)}token${i}`);
    const scores = Float32Array.from(tokens, (_, i) => -i);
    const file = ggufFile({
      metadata: [
        ["tokens", metaArray("string", tokens)],
        ["scores", metaArray("f32", scores)],
        ["long", meta("string", "x".repeat(200_000))],
        ["last", meta("u8", 7)],
      ],
    });
    for (const source of [bytesSource(file.bytes), streamSource(chunked(file.bytes, 1000))]) {
      const { metadata } = await readGguf(source);
      assert.deepEqual(metadata.get("tokens"), { type: "array", elementType: "string", value: tokens });
      assert.deepEqual(metadata.get("scores"), { type: "array", elementType: "f32", value: scores });
      assert.equal(String(metadata.get("long")?.value).length, 200_000);
      assert.deepEqual(metadata.get("last"), { type: "u8", value: 7 });
    }
  });

  it("readGguf() keeps byte order marks and names that JavaScript knows", async () => {
    const file = ggufFile({
      metadata: [
        ["__proto__", meta("string", "p")],
        ["constructor", metaArray("string", ["\ufeff", "\ufeffa"])],
      ],
      tensors: [{ name: "__proto__", shape: [8], type: "F32" }],
    });
    const { metadata, tensors } = await read(file);
    assert.equal(metadata.get("__proto__")?.value, "p");
    assert.deepEqual(metadata.get("constructor")?.value, ["\ufeff", "\ufeffa"]);
    assert.equal(tensors.get("__proto__")?.byteLength, 32);
    assert.equal(metadata.get("toString"), undefined);
  });

  it("readGguf() takes any byte but 0 for true", async () => {
    const { metadata } = await read(withKey(metaArray("u8", [0, 1, 2, 255])).set("key.k.elementType", 7));
    assert.deepEqual(metadata.get("k")?.value, [false, true, true, true]);
  });

  it("readGguf() accepts scalars, tensors without elements and bytes after the end", async () => {
    const file = ggufFile({
      tensors: [
        { name: "scalar", shape: [], type: "F32" },
        { name: "none", shape: [0, 32], type: "Q8_0" },
        { name: "also none", shape: [4, 0], type: "F32" },
        { name: "some", shape: [3], type: "F32" },
      ],
    });
    const longer = new Uint8Array(file.bytes.length + 100);
    longer.set(file.bytes);
    for (const bytes of [file.bytes, longer]) {
      const { tensors } = await read(bytes);
      const at = (name: string) => {
        const info = tensors.get(name);
        return info && [info.shape, info.offset - file.dataBegin, info.byteLength];
      };
      assert.deepEqual(at("scalar"), [[], 0, 4]);
      assert.deepEqual(at("none"), [[0, 32], 32, 0]);
      assert.deepEqual(at("also none"), [[4, 0], 32, 0]);
      assert.deepEqual(at("some"), [[3], 32, 12]);
    }
  });

  it("readGguf() accepts a file without the padding of the last tensor, not one with a part of it", async () => {
    const file = ggufFile({ tensors: [{ name: "t", shape: [3], type: "F32" }] });
    const end = file.dataBegin + 12;
    assert.equal(file.bytes.length, file.dataBegin + 32);
    for (const n of [end, end + 20, end + 21]) {
      const bytes = new Uint8Array(n);
      bytes.set(file.bytes.subarray(0, n));
      assert.equal((await read(bytes)).tensors.size, 1);
    }
    await refused(read(file.bytes.slice(0, end - 1)), /Tensor "t": Expected 12 bytes at offset/);
    for (const n of [end + 1, end + 19]) {
      await refused(
        read(file.bytes.slice(0, n)),
        new RegExp(`padding of the last tensor, the file ends at ${n}`),
      );
    }
  });

  it("readGguf() says nothing of the architecture where the file does not", async () => {
    assert.equal((await read(ggufFile({}))).architecture, "");
    const number = ggufFile({ metadata: [["general.architecture", meta("u32", 1)]] });
    await refused(read(number), /"general\.architecture": Expected a string, got a value of type u32/);
  });
});

describe("readGguf, hostile files", () => {
  it("readGguf() refuses lengths past the end, of 2^63 and of 2^64 - 1", async () => {
    const lengths = [1000n, 2n ** 31n, 2n ** 32n, 2n ** 53n, 2n ** 63n, 2n ** 64n - 1n];
    const files: [string, () => GgufFile][] = [
      ["nTensors", () => twoTensors()],
      ["nKeys", () => withKey(meta("u8", 1))],
      ["key.k.keyLength", () => withKey(meta("u8", 1))],
      ["key.k.length", () => withKey(meta("string", "text"))],
      ["key.k.length", () => withKey(metaArray("u8", [1, 2, 3]))],
      ["key.k.length", () => withKey(metaArray("f64", [1, 2, 3]))],
      ["key.k.length", () => withKey(metaArray("u64", [1, 2, 3]))],
      ["key.k.length", () => withKey(metaArray("bool", [true]))],
      ["key.k.length", () => withKey(metaArray("string", ["a", "b"]))],
      ["tensor.a.nameLength", () => twoTensors()],
    ];
    for (const [field, build] of files) {
      for (const length of lengths) {
        const { bytes } = build().set(field, length);
        const known = counting(bytesSource(bytes, "h"));
        await refused(readGguf(known), /^Cannot read h: Expected /);
        const unknown = counting(streamSource(chunked(bytes, 10), "h"));
        await refused(readGguf(unknown), /^Cannot read h: Expected /);
        // What is asked for is what memory was taken for.
        assert.ok(known.largest <= bytes.length, `${field} ${length}: asked for ${known.largest} bytes`);
        assert.ok(
          unknown.largest <= HEADER_CHUNK_BYTES,
          `${field} ${length}: asked for ${unknown.largest} bytes`,
        );
      }
    }
  });

  it("readGguf() takes memory for no more than twice what has arrived", async () => {
    for (const length of [MAX_STRING_BYTES, 1 << 25]) {
      const start = withKey(meta("string", "")).set("key.k.length", length).bytes;
      const bytes = new Uint8Array(300_000);
      bytes.set(start);
      const source = counting(streamSource(chunked(bytes, 1 << 16), "h"));
      await refused(readGguf(source), /the file ends at 300000/);
      assert.ok(source.largest <= 2 * bytes.length, `asked for ${source.largest} bytes`);
    }
  });

  it("readGguf() refuses strings and arrays above its limits in a file that could hold them", async () => {
    const limits: [GgufFile, number][] = [
      [withKey(meta("string", "")), MAX_STRING_BYTES],
      [withKey(metaArray("u8", [])), MAX_ARRAY_ELEMENTS],
      [withKey(metaArray("string", [])), MAX_ARRAY_ELEMENTS],
    ];
    for (const [file, limit] of limits) {
      const source: ByteSource = {
        ...bytesSource(file.bytes, "h"),
        size: 2 ** 40,
        read: async (offset, target) => void copyTo(file.bytes, offset, target),
      };
      file.set("key.k.length", limit + 1);
      await refused(readGguf(source), new RegExp(`Expected at most ${limit} .* got ${limit + 1}$`));
    }
  });

  it("readGguf() refuses an empty key", () =>
    refused(read(ggufFile({ metadata: [["", meta("u8", 1)]] })), /empty/));

  it("readGguf() refuses unknown value types, also of elements, and arrays of arrays", async () => {
    for (const id of [13, 255, 2 ** 31, 2 ** 32 - 1]) {
      const message = new RegExp(`Metadata key "k": Expected a value type from 0 to 12, got ${id}$`);
      await refused(read(withKey(meta("u8", 1)).set("key.k.type", id)), message);
      await refused(read(withKey(metaArray("u8", [1])).set("key.k.elementType", id)), message);
    }
    const nested = withKey(metaArray("u32", [4, 1, 0, 5])).set("key.k.elementType", 9);
    await refused(read(nested), /Metadata key "k": Unsupported array of arrays/, UnsupportedError);
  });

  it("readGguf() refuses alignments of 0, 13, beyond a megabyte or of the wrong type", async () => {
    const aligned = (value: GgufValue) =>
      read(
        ggufFile({
          metadata: [["general.alignment", value]],
          tensors: [{ name: "t", shape: [8], type: "F32" }],
        }),
      );
    for (const n of [0, 13, 48, 2 ** 21, 2 ** 31, 2 ** 32 - 1]) {
      await refused(aligned(meta("u32", n)), new RegExp(`power of two up to 1048576, got ${n}$`));
    }
    for (const type of ["u8", "i32", "u64", "f32"] as const) {
      await refused(aligned(meta(type, 32)), new RegExp(`Expected a u32 .*, got a value of type ${type}$`));
    }
    await refused(aligned(meta("string", "32")), /got a value of type string$/);
    await refused(aligned(metaArray("u32", [32])), /got a value of type array$/);
    assert.equal((await aligned(meta("u32", 32))).tensors.size, 1);
  });

  it("readGguf() refuses more than four dimensions and products that would wrap", async () => {
    for (const n of [5, 255, 2 ** 32 - 1]) {
      await refused(read(twoTensors().set("tensor.a.nDims", n)), /"a": Expected at most 4 dimensions/);
    }
    const sizes: [number | bigint, number | bigint][] = [
      [2 ** 42 + 1, 2 ** 22],
      [2n ** 63n, 2],
      [8, 2n ** 64n - 1n],
      [2 ** 53, 1],
      [2 ** 51, 1],
      [2 ** 32, 2 ** 32],
      [0, 2n ** 63n],
      [2n ** 63n, 0],
    ];
    for (const [dim0, dim1] of sizes) {
      const file = twoTensors().set("tensor.a.dim0", dim0).set("tensor.a.dim1", dim1);
      await refused(read(file), /"a": Expected at most 9007199254740991 bytes, got shape/);
    }
    // Large, but no overflow: the file is too short.
    await refused(
      read(twoTensors().set("tensor.a.dim0", 2 ** 42 + 1)),
      /"a": Expected 35184372088840 bytes at offset/,
    );
  });

  it("readGguf() refuses sums that would wrap", async () => {
    const file = ggufFile({
      tensors: ["a", "b", "c"].map((name) => ({ name, shape: [8], type: "F32" })),
    });
    for (const name of ["a", "b", "c"]) file.set(`tensor.${name}.dim0`, 2 ** 50);
    file.set("tensor.b.offset", 2 ** 52).set("tensor.c.offset", 2 ** 53);
    await refused(read(file), /the file ends at/);
    const unknown = streamSource(chunked(file.bytes, 100));
    await refused(
      readGguf(unknown),
      /"b": Expected 4503599627370496 bytes at offset \d+, the file ends at 9007199254740991/,
    );
  });

  it("readGguf() refuses tensors that overlap, leave gaps, lie elsewhere or come twice", async () => {
    for (const offset of [0, 32, 63, 65, 96, 2 ** 40, 2n ** 63n, 2n ** 64n - 64n]) {
      const message = new RegExp(`"b": Expected offset 64, .* got ${offset}$`);
      await refused(read(twoTensors().set("tensor.b.offset", offset)), message);
    }
    await refused(read(twoTensors().set("tensor.a.offset", 64)), /"a": Expected offset 0, .* got 64$/);
    const twice = ggufFile({ tensors: ["t", "t"].map((name) => ({ name, shape: [8], type: "F32" })) });
    await refused(read(twice), /Expected each tensor once, got "t" again/);
  });

  it("readGguf() refuses rows that are no multiple of the block", async () => {
    const file = ggufFile({ tensors: [{ name: "q", shape: [2, 32], type: "Q8_0" }] });
    for (const n of [1, 31, 33, 48]) {
      await refused(
        read(file.set("tensor.q.dim0", n)),
        new RegExp(`rows of a multiple of 32 .* Q8_0, got ${n}$`),
      );
    }
    await refused(
      read(ggufFile({ tensors: [{ name: "s", shape: [], type: "F32" }] }).set("tensor.s.type", 8)),
      /got 1$/,
    );
  });

  it("readGguf() says what a file is that is no GGUF", async () => {
    const zip = ggufFile({}).set("magic", 0x04034b50);
    await refused(read(zip), /begins with "GGUF", got 50 4b 03 04 \(a zip archive, as PyTorch writes\)/);
    for (const magic of ["lmgg", "tjgg", "ggjt"]) {
      const bytes = new TextEncoder().encode(magic.padEnd(30, "."));
      await refused(
        read(bytes),
        new RegExp(`got "${magic}" \\(ggml's format from before GGUF; convert it to GGUF\\)`),
      );
    }
  });

  it("readGguf() tells big-endian files and other versions apart", async () => {
    for (const version of [2, 3]) {
      const message = new RegExp(`little-endian GGUF file, got a big-endian one \\(version ${version}\\)`);
      await refused(read(ggufFile({}).set("version", version << 24)), message, UnsupportedError);
    }
    for (const version of [0, 1, 4, 65535, 2 ** 32 - 1]) {
      await refused(read(ggufFile({ version })), new RegExp(`got version ${version}$`), UnsupportedError);
    }
  });

  it("readGguf() escapes names in messages", async () => {
    const file = ggufFile({ metadata: [["a\n\u001b[31m", meta("u8", 1)]] });
    const name = [...file.fields.keys()].find((field) => field.endsWith(".type")) as string;
    await refused(read(file.set(name, 99)), /^[\x20-\x7e]*"a\\n\\u001b\[31m": Expected a value type/);
  });

  it("readGguf() refuses a model cut anywhere", async () => {
    const { bytes, dataBegin } = tinyLlamaGguf();
    let inHeader = 0;
    for (let i = 0; i < 50; i++) {
      const n = Math.floor((i * bytes.length) / 50);
      await refused(read(bytes.slice(0, n)), /the file ends at/);
      await refused(readWhole(streamSource(chunked(bytes.slice(0, n), 5000))), /the file ends at/);
    }
    // The header is a small part: cut it more finely.
    for (let n = 0; n < dataBegin; n += 97, inHeader++) {
      await refused(read(bytes.slice(0, n)), /the file ends at/);
      await refused(readGguf(streamSource(chunked(bytes.slice(0, n), 5000))), /the file ends at/);
    }
    assert.ok(inHeader > 50);
    for (const n of [dataBegin - 1, dataBegin, bytes.length - 1]) {
      await refused(read(bytes.slice(0, n)), /the file ends at/);
    }
    await read(bytes);
    await readWhole(streamSource(chunked(bytes, 5000)));
  });

  it("GGUF_MAGIC is the name of the format", () => {
    assert.equal(new DataView(new TextEncoder().encode("GGUF").buffer).getUint32(0, true), GGUF_MAGIC);
  });
});

/** Opens a model and reads each tensor. */
async function readWhole(source: ByteSource): Promise<void> {
  const model = await readGguf(source);
  for (const { offset, byteLength } of model.tensors.values()) {
    await source.read(offset, new Uint8Array(byteLength));
  }
}

describe("readGguf(), whole files", () => {
  interface Known {
    readonly bytes: () => Uint8Array<ArrayBuffer>;
    readonly nTensors: number;
    readonly type: string | undefined;
  }
  const own: [string, number, string | undefined][] = [
    ["gqa-f32.gguf", 21, "F32"],
    ["mha-tied-f16.gguf", 20, "F16"],
    ["gqa-q8_0.gguf", 21, "Q8_0"],
    ["mqa-q4_0.gguf", 30, "Q4_0"],
    ["odd-bf16.gguf", 12, "BF16"],
    ["bpe.gguf", 0, undefined],
    ["gpt2.gguf", 0, undefined],
  ];
  const published: [string, number, string | undefined][] = [
    ["models/tales/tales-f32.gguf", 56, "F32"],
    ["models/tales/tales-q8_0.gguf", 56, "Q8_0"],
    ["models/stories260K/stories260K-f32.gguf", 47, "F32"],
    ["vocabs/llama-spm.gguf", 0, undefined],
    ["vocabs/gpt-2.gguf", 0, undefined],
  ];
  const files: Subject<Known>[] = [
    ...own.map(([name, nTensors, type]) => ({
      name,
      value: { bytes: () => fixtureBytes(name), nTensors, type },
    })),
    ...published.map(([name, nTensors, type]) => ({
      name,
      needs: [name],
      value: { bytes: () => sharedBytes(name), nTensors, type },
    })),
  ];
  itOn(files, "reads what is in it, from a stream too", async ({ bytes: load, nTensors, type }) => {
    const bytes = load();
    const model = await readGguf(bytesSource(bytes, "m.gguf"));
    assert.equal(model.tensors.size, nTensors);
    assert.equal(model.tensors.get("blk.0.attn_q.weight")?.type, type);
    const isGpt2 = model.metadata.get("tokenizer.ggml.model")?.value === "gpt2";
    assert.equal(model.architecture, isGpt2 ? "gpt2" : "llama");
    const last = [...model.tensors.values()].at(-1);
    // The last tensor may be filled up to a whole line.
    if (last !== undefined) assert.equal(Math.ceil((last.offset + last.byteLength) / 32) * 32, bytes.length);
    const streamed = await readGguf(streamSource(chunked(bytes, 1 << 16), "m.gguf"));
    assert.deepEqual(placesOf(streamed), placesOf(model));
    assert.deepEqual([...streamed.metadata.keys()], [...model.metadata.keys()]);
  });

  const large = "models/tales/tales-f32.gguf";
  const cut = [
    { name: embeddedName, value: () => new Uint8Array(readFileSync(embeddedModel)) },
    { name: large, needs: [large], value: () => sharedBytes(large) },
  ];
  itOn(cut, "refuses a file cut short", async (load) => {
    const bytes = load();
    for (let i = 0; i < 20; i++) {
      const error = await read(bytes.subarray(0, Math.floor((i * bytes.length) / 20))).catch((e) => e);
      assert.ok(error instanceof FormatError);
    }
  });
});
