// Reading of llama2.c's tokenizer.bin.
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import { TokenType } from "../../../src/tokenizer/core/vocabulary_data.ts";
import { createTokenizer } from "../../../src/tokenizer/registry.ts";
import { parseLlama2cTokenizer } from "../../../src/tokenizer/sentencepiece/llama2c_bin.ts";
import { FormatError } from "../../../src/util/errors.ts";
import { fixtureBytes } from "../../support/fixtures.ts";
import { itOn, sharedBytes } from "../../support/shared.ts";
import { assertRefused, assertTyped, binFile, byteEntries } from "../../support/vocabularies.ts";

type BinEntry = readonly [piece: string, score?: number];

const head: readonly BinEntry[] = [["<unk>"], ["\n<s>\n"], ["\n</s>\n"]];
const bytes: readonly BinEntry[] = byteEntries.map(([piece]) => [piece]);
const entries: readonly BinEntry[] = [...head, ...bytes, [" ", -1], ["a", -2], [" a", -0.5], ["  ", -3]];

function refused(file: Uint8Array, message: RegExp, vocabSize?: number): void {
  assertRefused(() => parseLlama2cTokenizer(file, vocabSize), FormatError, message);
}

describe("parseLlama2cTokenizer()", () => {
  it("parseLlama2cTokenizer() gives SentencePiece's spelling, types and defaults", () => {
    const data = parseLlama2cTokenizer(binFile(entries), entries.length);
    assert.deepEqual(data.pieces.slice(0, 5), ["<unk>", "<s>", "</s>", "<0x00>", "<0x01>"]);
    assert.deepEqual(data.pieces.slice(258), ["<0xFF>", "▁", "a", "▁a", "▁▁"]);
    assert.deepEqual(Array.from(data.scores).slice(258), [0, -1, -2, -0.5, -3]);
    assert.deepEqual(Array.from(data.types).slice(0, 4), [
      TokenType.unknown,
      TokenType.control,
      TokenType.control,
      TokenType.byte,
    ]);
    assert.deepEqual(Array.from(data.types).slice(258), [TokenType.byte, 1, 1, 1, 1]);
    const tokenizer = createTokenizer(data);
    assert.deepEqual(tokenizer.encode("a a\n"), [1, 261, 261, 13]);
    assert.equal(tokenizer.decode([1, 261, 261, 13, 2]), "a a\n");
  });

  it("parseLlama2cTokenizer() reads a vocabulary without byte tokens", () => {
    const tokenizer = createTokenizer(parseLlama2cTokenizer(binFile([...head, ["a"], ["<0x00>"]])));
    assert.deepEqual(tokenizer.encode("aé", { bos: false }), [0, 3, 0]);
    assert.equal(tokenizer.decode([3, 4]), "a<0x00>");
  });

  it("parseLlama2cTokenizer() takes a byte token in another place as text", () => {
    const data = parseLlama2cTokenizer(binFile([...head, ...bytes, ["<0x100>"], ["<0x41>"]]));
    assert.deepEqual(Array.from(data.types).slice(258), [TokenType.byte, TokenType.normal, TokenType.normal]);
    assert.equal(createTokenizer(data).decode([259, 260]), "<0x100><0x41>");
  });

  const tok512 = "models/stories260K/tok512.bin";
  const vocabularies = [
    {
      name: "tiny.tokenizer.bin",
      value: {
        bytes: () => fixtureBytes("tiny.tokenizer.bin"),
        ...{ size: 300, pieces: ["<0xFF>", "▁t", "he", "▁the"], last: -41 },
      },
    },
    {
      name: tok512,
      needs: [tok512],
      value: {
        bytes: () => sharedBytes(tok512),
        ...{ size: 512, pieces: ["<0xFF>", "▁t", "he", "▁a"], last: -252 },
      },
    },
  ];
  itOn(vocabularies, "parseLlama2cTokenizer() reads a whole vocabulary", ({ bytes, size, pieces, last }) => {
    const data = parseLlama2cTokenizer(bytes(), size);
    assert.equal(data.pieces.length, size);
    assert.deepEqual(data.pieces.slice(258, 262), pieces);
    assert.equal(data.scores[size - 1], last);
  });

  it("parseLlama2cTokenizer() refuses another number of pieces than the model's, with both", () => {
    refused(
      binFile(entries),
      /^Cannot read tokenizer.bin: Expected 32000 pieces, as the model has, got 263$/,
      32000,
    );
    refused(binFile(entries), /Expected 262 pieces, as the model has, got 263/, 262);
    for (const n of [0, 1, 2]) refused(binFile(head.slice(0, n), 10), /Expected at least 3 pieces, got/);
  });

  it("parseLlama2cTokenizer() refuses a file cut anywhere", () => {
    const file = binFile(entries);
    for (let n = 0; n < file.length; n++) {
      assertRefused(
        () => parseLlama2cTokenizer(file.slice(0, n), entries.length),
        FormatError,
        /^Cannot read/,
      );
    }
  });

  it("parseLlama2cTokenizer() refuses lengths that cannot be", () => {
    const withLength = (length: number) => {
      const file = binFile(entries);
      new DataView(file.buffer).setInt32(8, length, true);
      return file;
    };
    for (const length of [0, -1, 7, 0x7fffffff, -0x80000000]) {
      refused(withLength(length), /Expected piece 0 to have 1 to 6 bytes \(the file's longest\), got/);
    }
    refused(binFile(entries, 0), /Expected the longest piece to have at least 1 byte, got 0/);
    refused(binFile(entries, 5), /Expected piece 2 to have 1 to 5 bytes/);
    const huge = binFile(entries, 0xffffffff);
    new DataView(huge.buffer).setInt32(8, 0x7fffffff, true);
    refused(huge, /Expected 2147483647 bytes at offset 12, the file ends at/);
  });

  it("parseLlama2cTokenizer() refuses pieces that are not UTF-8", () => {
    refused(binFile([...head, [Uint8Array.of(0xe3, 0x81)]]), /Expected UTF-8 in piece 3/);
  });

  it("parseLlama2cTokenizer() keeps a byte order mark, which is a piece", () => {
    assert.deepEqual(parseLlama2cTokenizer(binFile([...head, ["\ufeff"]])).pieces.slice(3), ["\ufeff"]);
  });

  it("parseLlama2cTokenizer() takes a piece of 100 KB", () => {
    const long = "x".repeat(100_000);
    const data = parseLlama2cTokenizer(binFile([...head, [long], ["x"]]));
    assert.equal(createTokenizer(data).decode([3]), long);
  });

  it("parseLlama2cTokenizer() gives typed errors for files with any bytes changed", () => {
    const file = binFile([...head, ...bytes.slice(0, 4), [" a", 1]]);
    const changes = fc.array(fc.tuple(fc.nat(file.length - 1), fc.nat(255)), { minLength: 1, maxLength: 4 });
    fc.assert(
      fc.property(changes, (all) => {
        const changed = file.slice();
        for (const [at, value] of all) changed[at] = value;
        assertTyped(() => createTokenizer(parseLlama2cTokenizer(changed)).encode("a a\0", { special: true }));
      }),
      { numRuns: 1000 },
    );
  });
});
