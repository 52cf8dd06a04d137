// Building tokenizers of checked data, and what is refused.
// Provides what reads tokenizer.json.
import "../../src/tokenizer.ts";
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { MAX_PIECES } from "../../src/tokenizer/core/limits.ts";
import { TokenType } from "../../src/tokenizer/core/vocabulary_data.ts";
import { createTokenizer, type TokenizerData } from "../../src/tokenizer/registry.ts";
import { FormatError, TokenizerError, UnsupportedError } from "../../src/util/errors.ts";
import {
  assertRefused,
  byteEntries,
  dataOf,
  llamaData,
  smallEntries,
  specialEntries,
} from "../support/vocabularies.ts";

function refused(data: TokenizerData, message: RegExp): void {
  assertRefused(() => createTokenizer(data), FormatError, message);
}

describe("createTokenizer()", () => {
  it("createTokenizer() gives the vocabulary's size and special ids", () => {
    const tokenizer = createTokenizer(llamaData(smallEntries, { eosIds: [2, 1] }));
    assert.equal(tokenizer.vocabSize, 259 + smallEntries.length);
    assert.equal(tokenizer.bosId, 1);
    assert.deepEqual(tokenizer.eosIds, [2, 1]);
  });

  it("createTokenizer() refuses an unknown kind", () => {
    for (const kind of ["wordpiece", "__proto__", "constructor"]) {
      const data = { ...llamaData([]), kind } as unknown as TokenizerData;
      assertRefused(
        () => createTokenizer(data),
        UnsupportedError,
        /Expected one of spm-bpe, .*byte-bpe.*, got/,
      );
    }
  });

  it("createTokenizer() refuses lists of different lengths", () => {
    refused(dataOf([]), /Expected at least one piece, got none/);
    const data = dataOf(byteEntries);
    refused({ ...data, scores: [] }, /Expected 256 scores, one a piece, got 0/);
    refused({ ...data, scores: new Float32Array(257) }, /Expected 256 scores, one a piece, got 257/);
    refused({ ...data, types: new Int32Array(255) }, /Expected 256 types, one a piece, got 255/);
  });

  it("createTokenizer() refuses more pieces than any vocabulary has", () => {
    const pieces = { length: MAX_PIECES + 1 } as unknown as string[];
    refused({ ...dataOf(byteEntries), pieces }, /Expected at most 1048576 pieces, got 1048577/);
  });

  it("createTokenizer() refuses NaN scores and takes infinite ones", () => {
    refused(dataOf([...byteEntries, ["a", Number.NaN]]), /score of piece 256, got NaN/);
    createTokenizer(dataOf([...byteEntries, ["a", -Infinity], ["b", Infinity]]));
  });

  it("createTokenizer() refuses unknown types", () => {
    for (const type of [0, 7, -1, 1.5, 257, Number.NaN]) {
      refused(dataOf([...byteEntries, ["a", 0, type]]), /Expected a type from 1 to 6 for piece 256, got/);
    }
  });

  it("createTokenizer() refuses ids outside the vocabulary", () => {
    for (const id of [256, -1, 1.5, Number.NaN, 2 ** 53]) {
      refused(dataOf(byteEntries, { bosId: id }), /Expected the BOS id to be from 0 to 255, got/);
      refused(dataOf(byteEntries, { unkId: id }), /Expected the unknown id to be from 0 to 255, got/);
      refused(dataOf(byteEntries, { eosIds: [0, id] }), /Expected the EOS id to be from 0 to 255, got/);
    }
  });

  it("createTokenizer() refuses to add tokens that do not exist", () => {
    refused(dataOf(byteEntries, { addBos: true }), /Expected a BOS id, as BOS is to be added, got none/);
    refused(dataOf(byteEntries, { addEos: true }), /Expected an EOS id, as EOS is to be added, got none/);
  });

  it("createTokenizer() refuses byte tokens that are no bytes", () => {
    for (const piece of [
      "<0x-1>",
      "<0xZZ>",
      "<0x100>",
      "<0x1>",
      "<0xff>",
      "<0x 1>",
      "0x01",
      "",
      "<0x01>\n",
    ]) {
      refused(dataOf([...byteEntries, [piece, 0, TokenType.byte]]), /Expected byte token 256 to be one of/);
    }
    refused(
      dataOf([["<0x-1>", 0, TokenType.byte]]),
      /byte token 0 to be one of <0x00> to <0xFF>, got "<0x-1>"/,
    );
  });

  it("createTokenizer() refuses a vocabulary with neither byte tokens nor an unknown token", () => {
    refused(dataOf([["a"]]), /^Cannot build tokenizer: vocabulary has no byte tokens and no unknown token$/);
    createTokenizer(dataOf([["a"]], { unkId: 0 }));
    createTokenizer(dataOf([["<0x41>", 0, TokenType.byte]]));
  });

  it("createTokenizer() lets the first of equal pieces count", () => {
    const tokenizer = createTokenizer(
      dataOf([...specialEntries, ...byteEntries, ["a"], ["a"], ["<0x00>", 0, TokenType.byte]], { unkId: 0 }),
    );
    assert.deepEqual(tokenizer.encode("a\0"), [259, 3]);
    assert.equal(tokenizer.decode([259, 260, 261, 3]), "aa\0\0");
  });

  it("createTokenizer() takes empty pieces, and pieces of 100 KB", () => {
    const tokenizer = createTokenizer(
      dataOf([...byteEntries, [""], ["", 0, TokenType.userDefined], ["x".repeat(100_000), 1], ["xx", 0]]),
    );
    assert.equal(tokenizer.encode("x".repeat(200_000)).length, 100_000);
    assert.equal(tokenizer.decode([256, 257, 258]).length, 100_000);
    assert.throws(() => tokenizer.decode([260]), TokenizerError);
  });
});
