// Whatever the bytes are: a model file opens, and then lies inside its bytes, or is refused by a typed error.
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import { openModelFile } from "../../src/format/detect.ts";
import type { ByteSource } from "../../src/source/byte_source.ts";
import { bytesSource } from "../../src/source/bytes.ts";
import { streamSource } from "../../src/source/stream.ts";
import { CriaError } from "../../src/util/errors.ts";
import { tinyLlamaGguf } from "../support/gguf_writer.ts";
import { llama2cFile } from "../support/llama2c_writer.ts";
import { chunked } from "../support/refused.ts";

/** Opens a file and checks all that a model says; true where it was accepted. */
async function survives(source: ByteSource, size: number): Promise<boolean> {
  try {
    const model = await openModelFile(source);
    for (const { name, offset, byteLength, scales, shape } of model.tensors.values()) {
      assert.ok(Number.isSafeInteger(offset) && offset >= 0, name);
      assert.ok(Number.isSafeInteger(byteLength) && byteLength >= 0, name);
      assert.ok(shape.every((dim) => Number.isSafeInteger(dim) && dim >= 0));
      if (source.size !== undefined) assert.ok(offset + byteLength + (scales?.byteLength ?? 0) <= size, name);
    }
    model.tokenizer();
    return true;
  } catch (error) {
    if (!(error instanceof CriaError)) throw error;
    assert.match(error.message, /^Cannot read /);
    return false;
  }
}

const flips = (n: number) =>
  fc.array(fc.tuple(fc.nat(n - 1), fc.oneof(fc.nat(255), fc.constantFrom(0, 1, 127, 128, 255))), {
    minLength: 1,
    maxLength: 6,
  });

// 304 tokens: the last tensor has no padding that could be cut away unnoticed.
const gguf = tinyLlamaGguf({ type: "Q8_0", nLayers: 1, vocabSize: 304 });
const files: [string, Uint8Array, number][] = [
  ["GGUF", gguf.bytes, gguf.dataBegin],
  // The first kilobyte has all keys but the vocabulary's.
  ["GGUF's keys", gguf.bytes, 1024],
  ["llama2.c legacy", llama2cFile({ config: { n_layers: 1 } }).bytes, 28],
  ["llama2.c 1", llama2cFile({ version: 1, config: { n_layers: 1 } }).bytes, 40],
  ["llama2.c 2", llama2cFile({ version: 2, config: { n_layers: 1 } }).bytes, 42],
];

describe("openModelFile, changed files", () => {
  for (const [title, bytes, headerBytes] of files) {
    it(`openModelFile() survives changed header bytes of ${title}`, () =>
      fc.assert(
        fc.asyncProperty(
          flips(headerBytes),
          fc.integer({ min: 1, max: 5000 }),
          async (changes, chunkBytes) => {
            const changed = bytes.slice();
            for (const [at, value] of changes) changed[at] = value;
            await survives(bytesSource(changed), changed.length);
            await survives(streamSource(chunked(changed, chunkBytes)), changed.length);
          },
        ),
        { numRuns: 150 },
      ));

    it(`openModelFile() refuses ${title} cut anywhere`, () =>
      fc.assert(
        fc.asyncProperty(fc.nat(bytes.length - 1), async (n) => {
          assert.equal(await survives(bytesSource(bytes.slice(0, n)), n), false);
        }),
        { numRuns: 60 },
      ));
  }

  it("openModelFile() survives any bytes, also behind GGUF's or llama2.c's name", () =>
    fc.assert(
      fc.asyncProperty(
        fc.uint8Array({ maxLength: 400 }),
        fc.constantFrom(
          "",
          "GGUF\x03\0\0\0",
          "GGUF\x03\0\0\0\x01\0\0\0\0\0\0\0\x01\0\0\0\0\0\0\0",
          "24ka\x02\0\0\0",
        ),
        async (bytes, prefix) => {
          const all = Uint8Array.from([...Array.from(prefix, (char) => char.charCodeAt(0)), ...bytes]);
          await survives(bytesSource(all), all.length);
          await survives(streamSource(chunked(all, 7)), all.length);
        },
      ),
      { numRuns: 300 },
    ));

  it("openModelFile() accepts the files when they are not changed", async () => {
    for (const [title, bytes] of files) assert.ok(await survives(bytesSource(bytes), bytes.length), title);
  });
});
