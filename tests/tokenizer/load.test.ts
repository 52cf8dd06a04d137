// Telling tokenizer files apart.
// Provides what reads tokenizer.json.
import "../../src/tokenizer.ts";
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import type { SentencePieceData } from "../../src/tokenizer/core/vocabulary_data.ts";
import { parseTokenizerFile } from "../../src/tokenizer/load.ts";
import { FormatError, UnsupportedError, UsageError } from "../../src/util/errors.ts";
import { fixtureBytes } from "../support/fixtures.ts";
import { itOn, type Subject, sharedBytes } from "../support/shared.ts";
import { assertRefused, assertTyped, binFile, modelFile, specialEntries } from "../support/vocabularies.ts";

const model = modelFile([...specialEntries, ["a"]]);
const bin = binFile([["<unk>"], ["\n<s>\n"], ["\n</s>\n"], ["a"]]);

function parse(bytes: Uint8Array, vocabSize?: number) {
  return parseTokenizerFile(bytes, { name: "FILE", vocabSize });
}

/** What a file of SentencePiece's kind has. */
function parsePieces(bytes: Uint8Array, vocabSize?: number): SentencePieceData {
  const data = parse(bytes, vocabSize);
  assert.ok("pieces" in data);
  return data;
}

function unsupported(text: string, message: RegExp): void {
  assertRefused(() => parse(Uint8Array.from(text, (char) => char.charCodeAt(0))), UnsupportedError, message);
}

describe("parseTokenizerFile()", () => {
  it("parseTokenizerFile() refuses a pattern for files that say themselves how texts are split", () => {
    for (const bytes of [model, bin]) {
      assertRefused(
        () => parseTokenizerFile(bytes, { name: "FILE", pattern: "gpt-2" }),
        UsageError,
        /Cannot read FILE with pattern "gpt-2": Expected a tiktoken rank file/,
      );
    }
  });

  it("parseTokenizerFile() tells the formats apart by content", () => {
    assert.deepEqual(parsePieces(model).pieces, ["<unk>", "<s>", "</s>", "a"]);
    assert.deepEqual(parsePieces(bin).pieces, ["<unk>", "<s>", "</s>", "a"]);
    assert.equal(parsePieces(model).removeExtraWhitespaces, true);
    assert.equal(parsePieces(bin).removeExtraWhitespaces, false);
  });

  it("parseTokenizerFile() reads a tokenizer.bin whatever its longest piece", () => {
    for (const longest of [7, 10, 32, 34, 91, 123, 266, 0x0a0a, 65_536, 100_000, 0x0a0a0a]) {
      const piece = "x".repeat(longest);
      assert.equal(parsePieces(binFile([["<unk>"], ["<s>"], ["</s>"], [piece]])).pieces[3], piece);
    }
  });

  it("parseTokenizerFile() reads a model whatever the length of its first piece", () => {
    for (const n of [1, 60, 119, 120, 121, 127, 128, 200, 300, 16_374, 16_376, 20_000]) {
      const piece = "x".repeat(n);
      assert.equal(parsePieces(modelFile([[piece], ...specialEntries])).pieces[0], piece, `${n}`);
    }
  });

  it("parseTokenizerFile() checks the number of pieces against the model's", () => {
    for (const file of [model, bin]) {
      assert.equal(parsePieces(file, 4).pieces.length, 4);
      assertRefused(
        () => parse(file, 3),
        FormatError,
        /^Cannot read FILE: Expected .*3 pieces, as the model has, got 4/,
      );
    }
    assert.equal(parsePieces(model, 5).pieces.length, 4);
    assertRefused(() => parse(bin, 5), FormatError, /Expected 5 pieces, as the model has, got 4/);
  });

  it("parseTokenizerFile() says what other files look like", () => {
    assertRefused(() => parse(new Uint8Array(0)), FormatError, /^Cannot read FILE: The file is empty$/);
    unsupported('{\n  "vocab_size": 3}', /looks like JSON, but no tokenizer\.json; supported: /);
    unsupported("\xef\xbb\xbf [1]", /looks like JSON, but no tokenizer\.json/);
    unsupported("GGUF\x03\0\0\0", /looks like a GGUF model, whose tokenizer is loaded with the model/);
    unsupported(
      '\x60\x02\0\0\0\0\0\0{"__metadata__"',
      /looks like a safetensors model, which has no tokenizer/,
    );
    const model =
      /looks like a llama2\.c model, whose tokenizer is a file beside it; supported: .* and GGUF$/;
    unsupported("\x40\0\0\0\xac\0\0\0\x05\0\0\0", model);
    unsupported("24ka\x02\0\0\0", model);
    unsupported("<!DOCTYPE html>", /looks like a web page/);
    unsupported("version https://git-lfs.github.com/spec/v1", /looks like a Git LFS pointer/);
    unsupported("PK\x03\x04", /looks like nothing that cria knows; supported: a SentencePiece model/);
    unsupported("a", /nothing that cria knows/);
  });

  type Other = { readonly bytes: () => Uint8Array; readonly message: RegExp };
  const own: [string, RegExp][] = [
    ["gpt2.gguf", /GGUF/],
    ["legacy.bin", /llama2\.c model/],
    ["version2.bin", /llama2\.c model/],
  ];
  const published: [string, RegExp][] = [
    ["vocabs/gpt-2.gguf", /GGUF/],
    ["models/tales/model.safetensors", /safetensors/],
    ["models/stories260K/stories260K.bin", /llama2\.c model/],
  ];
  const others: Subject<Other>[] = [
    ...own.map(([name, message]) => ({ name, value: { bytes: () => fixtureBytes(name), message } })),
    ...published.map(([name, message]) => ({
      name,
      needs: [name],
      value: { bytes: () => sharedBytes(name), message },
    })),
  ];
  itOn(others, "parseTokenizerFile() says what real files of other formats are", ({ bytes, message }) => {
    assertRefused(() => parse(bytes().slice(0, 4096)), UnsupportedError, message);
  });

  it("parseTokenizerFile() gives typed errors for any bytes", () => {
    const bytes = fc.oneof(
      fc.uint8Array({ maxLength: 64 }),
      fc.uint8Array({ maxLength: 64 }).map((rest) => Uint8Array.of(0x0a, ...rest)),
      fc.uint8Array({ maxLength: 64 }).map((rest) => Uint8Array.of(9, 0, 0, 0, ...rest)),
    );
    fc.assert(
      fc.property(bytes, (file) => assertTyped(() => parse(file))),
      { numRuns: 1000 },
    );
  });

  it("parseTokenizerFile() reads from shared memory and from the middle of a buffer", () => {
    for (const file of [model, bin]) {
      const all = new Uint8Array(new SharedArrayBuffer(file.length + 7)).subarray(3, 3 + file.length);
      all.set(file);
      assert.deepEqual(parsePieces(all).pieces, ["<unk>", "<s>", "</s>", "a"]);
    }
  });
});
