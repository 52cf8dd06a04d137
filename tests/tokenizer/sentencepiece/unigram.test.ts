// The unigram model against a search of all splits.
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import { type SentencePieceData, TokenType } from "../../../src/tokenizer/core/vocabulary_data.ts";
import { segmentText } from "../../../src/tokenizer/sentencepiece/segmenter.ts";
import { MAX_NESTED_PIECES, UnigramSegmenter } from "../../../src/tokenizer/sentencepiece/unigram.ts";
import { FormatError } from "../../../src/util/errors.ts";
import { segmentUnigram } from "../../reference/unigram.ts";
import { assertRefused, dataOf, type Entry, specialEntries } from "../../support/vocabularies.ts";

function unigramData(entries: readonly Entry[]): SentencePieceData {
  return dataOf([...specialEntries, ...entries], { kind: "spm-unigram", unkId: 0 });
}

function segmenter(entries: readonly Entry[], precision: "f32" | "f64" = "f32"): (text: string) => string[] {
  const data = unigramData(entries);
  const unigram = new UnigramSegmenter(data, precision);
  return (text) =>
    Array.from(segmentText(unigram, text), (symbol) => {
      return data.pieces[symbol] ?? String.fromCodePoint(symbol - data.pieces.length);
    });
}

describe("UnigramSegmenter", () => {
  it("segment() takes the pieces with the greatest sum of scores", () => {
    const segment = segmenter([
      ["a", -1],
      ["b", -1],
      ["ab", -1.5],
      ["abc", -9],
      ["c", -1],
      ["bc", -0.5],
    ]);
    assert.deepEqual(segment(""), []);
    assert.deepEqual(segment("a"), ["a"]);
    assert.deepEqual(segment("ab"), ["ab"]);
    assert.deepEqual(segment("abc"), ["a", "bc"]);
    assert.deepEqual(segment("abab"), ["ab", "ab"]);
    assert.deepEqual(segment("abcabcabc"), ["a", "bc", "a", "bc", "a", "bc"]);
  });

  it("segment() takes the longest last piece of equal sums", () => {
    const segment = segmenter([
      ["a", -1],
      ["aa", -2],
      ["aaa", -3],
    ]);
    assert.deepEqual(segment("aa"), ["aa"]);
    assert.deepEqual(segment("aaa"), ["aaa"]);
    assert.deepEqual(segment("aaaa"), ["a", "aaa"]);
  });

  it("segment() gives a character that is no piece ten less than the least score", () => {
    const segment = (score: number) =>
      segmenter([
        ["xa", -9],
        ["a", score],
      ])("xa");
    assert.deepEqual(segment(9.5), ["xa"]);
    assert.deepEqual(segment(10.5), ["x", "a"]);
    assert.deepEqual(segmenter([["🦙", -13]])("🦙x工é"), ["🦙", "x", "工", "é"]);
  });

  it("segment() prefers user-defined symbols and never gives unused pieces", () => {
    const segment = segmenter([
      ["a", -1],
      ["b", -1],
      ["ab", -1.5],
      ["ba", -9, TokenType.userDefined],
      ["bab", -0.1, TokenType.unused],
    ]);
    assert.deepEqual(segment("abab"), ["a", "ba", "b"]);
    assert.deepEqual(segment("bab"), ["ba", "b"]);
  });

  it("segment() rounds sums to f32, or not", () => {
    const entries: Entry[] = [
      ["a", -1],
      ["bc", -(2 ** -22)],
      ["b", 0],
      ["c", 0],
    ];
    const text = `${"a".repeat(8)}bc`;
    // 8 + 2^-22 is 8 in f32, so what is found first counts.
    assert.deepEqual(segmenter(entries)(text).slice(8), ["bc"]);
    assert.deepEqual(segmenter(entries, "f64")(text).slice(8), ["b", "c"]);
  });

  it("segment() equals the literal reference", () => {
    const letters = fc.constantFrom("a", "b", "c", "▁", "🦙");
    const text = (maxLength: number) =>
      fc.array(letters, { minLength: 1, maxLength }).map((all) => all.join(""));
    const type = fc.constantFrom(1, 1, 1, 1, TokenType.userDefined, TokenType.unused);
    const score = fc.oneof(fc.integer({ min: -4, max: 1 }), fc.float({ min: -20, max: 0, noNaN: true }));
    const entry = fc.tuple(text(4), score, type);
    const entries = fc.uniqueArray(entry, { maxLength: 25, selector: ([piece]) => piece });
    fc.assert(
      fc.property(
        entries,
        text(60),
        fc.constantFrom<("f32" | "f64")[]>("f32", "f64"),
        (all, each, precision) => {
          const round = precision === "f32" ? Math.fround : (sum: number) => sum;
          assert.deepEqual(segmenter(all, precision)(each), segmentUnigram(unigramData(all), each, round));
        },
      ),
      { numRuns: 1000 },
    );
  });

  it("segment() takes infinite scores", () => {
    const segment = segmenter([
      ["a", -Infinity],
      ["b", Infinity],
      ["ab", 0],
    ]);
    assert.equal(segment("ab").join(""), "ab");
    assert.equal(segment("axb").join(""), "axb");
  });

  it("segment() takes long runs and long pieces without quadratic work", () => {
    const long = "a".repeat(100_000);
    const segment = segmenter([
      ["a", -1],
      ["aaaa", -2],
      [long, -3],
      ["b", -1],
    ]);
    assert.ok(segment(long)[0] === long);
    assert.equal(segment("b".repeat(300_000)).length, 300_000);
    assert.equal(segment("🦙".repeat(300_000)).length, 300_000);
    assert.equal(
      segmenter([
        ["a", -1],
        ["aaaa", -2],
      ])("a".repeat(400_002)).length,
      100_002,
    );
  });

  it("new UnigramSegmenter() refuses more pieces that end one in another than any vocabulary has", () => {
    const nested = Array.from({ length: MAX_NESTED_PIECES }, (_, i): Entry => ["a".repeat(i + 1), -1]);
    assert.deepEqual(segmenter(nested)("aaa"), ["aaa"]);
    assertRefused(
      () => segmenter([...nested, ["a".repeat(300), -1]]),
      FormatError,
      /Expected at most 256 pieces that end one in another, got more/,
    );
  });

  it("segment() gives the same after a long text as before", () => {
    const segment = segmenter([
      ["a", -1],
      ["aa", -1],
    ]);
    const before = segment("aaaaa");
    segment("a".repeat(200_000));
    assert.deepEqual(segment("aaaaa"), before);
    assert.deepEqual(segment(""), []);
  });
});
