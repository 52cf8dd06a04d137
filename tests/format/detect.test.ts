// Model files told apart by their first bytes.
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { openModelFile } from "../../src/format/detect.ts";
import { bytesSource } from "../../src/source/bytes.ts";
import { streamSource } from "../../src/source/stream.ts";
import { SourceError, UnsupportedError } from "../../src/util/errors.ts";
import { ggufFile, tinyLlamaGguf } from "../support/gguf_writer.ts";
import { llama2cFile } from "../support/llama2c_writer.ts";
import { chunked, refused } from "../support/refused.ts";

/** Opens the bytes from memory and from a stream. */
function open(bytes: Uint8Array) {
  return [openModelFile(bytesSource(bytes, "x")), openModelFile(streamSource(chunked(bytes, 10), "x"))];
}

const bytesOf = (text: string, n = text.length) =>
  Uint8Array.from({ length: n }, (_, i) => text.charCodeAt(i) || 0);

describe("openModelFile", () => {
  it("openModelFile() opens GGUF", async () => {
    for (const opened of open(tinyLlamaGguf().bytes)) assert.equal((await opened).format, "gguf");
    for (const opened of open(ggufFile({}).bytes)) assert.equal((await opened).tensors.size, 0);
  });

  it("openModelFile() opens llama2.c of every version", async () => {
    for (const version of [0, 1, 2] as const) {
      for (const shared of [true, false]) {
        for (const opened of open(llama2cFile({ version, shared }).bytes)) {
          const model = await opened;
          assert.equal(model.format, "llama2c");
          assert.equal(model.metadata.get("version")?.value, version);
        }
      }
    }
  });

  it("openModelFile() opens a legacy model that begins like text", async () => {
    // dim 122 is "z", 32 a space.
    for (const config of [
      { dim: 122, n_heads: 1, n_kv_heads: 1 },
      { dim: 32, n_heads: 4, n_kv_heads: 4 },
    ]) {
      for (const opened of open(llama2cFile({ config }).bytes))
        assert.equal((await opened).format, "llama2c");
    }
  });

  it("openModelFile() says that a file is empty", async () => {
    for (const opened of open(new Uint8Array(0))) await refused(opened, /^Cannot read x: The file is empty$/);
  });

  it("openModelFile() says that a file is shorter than any header", async () => {
    for (const n of [1, 3, 4, 8, 23]) {
      const message = new RegExp(
        `^Cannot read x: Expected a model file, got ${n} bytes, fewer than any header has$`,
      );
      for (const opened of open(ggufFile({}).bytes.slice(0, n))) await refused(opened, message);
    }
    for (const opened of open(llama2cFile().bytes.slice(0, 27)))
      await refused(opened, /got 27 bytes, fewer than/);
  });

  it("openModelFile() says what a file of another format is", async () => {
    const files: [string, RegExp][] = [
      [
        "PK\x03\x04",
        /begins with 50 4b 03 04 \(a zip archive, as PyTorch writes\); known formats: GGUF .* llama2\.c/,
      ],
      ["\x80\x02}q", /\(a Python pickle, as PyTorch writes\)/],
      ["\x60\x17\0\0\0\0\0\0{", /60 17 00 00 \(safetensors; pass the folder with config\.json\)/],
      ["<!DOCTYPE html>", /"<!DO" \(a web page\)/],
      ["\n  <html lang=en>", /\(a web page\)/],
      [
        "version https://git-lfs.github.com/spec/v1\noid",
        /"vers" \(a Git LFS pointer, not the file itself\)/,
      ],
      ["lmgg", /"lmgg" \(ggml's format from before GGUF; convert it to GGUF\)/],
      ["tjgg\x03", /"tjgg" \(ggml's format from before GGUF; convert it to GGUF\)/],
      ["FUGG", /"FUGG" \(GGUF's name backwards\)/],
      ["\x1f\x8b\x08", /1f 8b 08 00 \(a gzip archive\)/],
      ['{"a": 1}', /\(JSON\)/],
      ["once upon a time", /begins with "once"; known formats/],
      ["", /begins with 00 00 00 00; known formats/],
      ["\xff\xff\xff\xff", /begins with ff ff ff ff; known formats/],
    ];
    for (const [text, message] of files) {
      for (const opened of open(bytesOf(text, 400))) {
        await refused(opened, /^Cannot read x: Unknown format, the file /);
        await refused(opened, message);
      }
    }
  });

  it("openModelFile() says what a cut llama2.c file should have been", async () => {
    const { bytes } = llama2cFile();
    const message = new RegExp(
      `Unknown format, the file begins with "@\\\\0|begins with 40 00 00 00; known formats: .*\\. ` +
        `If it is a llama2\\.c file: Expected ${bytes.length} bytes for version 0, dim 64, .*, got 1000$`,
    );
    await refused(openModelFile(bytesSource(bytes.slice(0, 1000), "x")), message);
  });

  it("openModelFile() lets the formats' own errors through", async () => {
    for (const opened of open(ggufFile({ version: 9 }).bytes))
      await refused(opened, /version 9/, UnsupportedError);
    for (const opened of open(llama2cFile({ version: 1 }).bytes.fill(9, 4, 8))) {
      await refused(opened, /llama2\.c version 1 or 2, got version 151587081/, UnsupportedError);
    }
    const failing = {
      name: "x",
      size: 100,
      read: () => Promise.reject(new SourceError("gone")),
      close: async () => {},
    };
    await refused(openModelFile(failing), /^gone$/, SourceError);
  });
});
