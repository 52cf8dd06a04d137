import assert from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import { BpeSegmenter } from "../../src/tokenizer/bpe.ts";
import { TokenType } from "../../src/tokenizer/tokenizer.ts";
import { Vocabulary } from "../../src/tokenizer/vocabulary.ts";
import { type ScoredPiece, segmentBpe } from "../reference/bpe.ts";
import { itShared, sharedJson } from "../support/shared.ts";
import { dataOf, type Entry, specialEntries } from "./vocabularies.ts";

function segmenter(entries: readonly Entry[]): (text: string) => string[] {
  const vocabulary = new Vocabulary(dataOf([...specialEntries, ...entries], { unkId: 0 }));
  const bpe = new BpeSegmenter(vocabulary, true);
  return (text) => Array.from(bpe.segment(text), (symbol) => bpe.text(symbol));
}

interface Conformance {
  models: {
    name: string;
    pieces: [string, number, string?][];
    cases: ([string, string[]] | { unused: string[]; text: string; pieces: string[] })[];
  }[];
}

const typeNames: Record<string, number> = { NORMAL: TokenType.normal, USER_DEFINED: TokenType.userDefined };

describe("BpeSegmenter", () => {
  itShared(["conformance/sentencepiece_bpe.json"], "segment() gives SentencePiece's own pieces", () => {
    const { models } = sharedJson<Conformance>("conformance/sentencepiece_bpe.json");
    let n = 0;
    for (const { name, pieces, cases } of models) {
      for (const entry of cases) {
        const [text, expected] = Array.isArray(entry) ? entry : [entry.text, entry.pieces];
        const unused = Array.isArray(entry) ? [] : entry.unused;
        const entries = pieces.map(([piece, score, type]): Entry => {
          return [piece, score, unused.includes(piece) ? TokenType.unused : typeNames[type ?? "NORMAL"]];
        });
        assert.deepEqual(segmenter(entries)(text), expected, `${name} ${text}`);
        n++;
      }
    }
    assert.equal(n, 19);
  });

  it("segment() merges the best score first and the leftmost of equals", () => {
    const segment = segmenter([["ab", 1], ["bc", 2], ["aa", 1], ["a"], ["b"], ["c"]]);
    assert.deepEqual(segment(""), []);
    assert.deepEqual(segment("a"), ["a"]);
    assert.deepEqual(segment("ab"), ["ab"]);
    assert.deepEqual(segment("abc"), ["a", "bc"]);
    assert.deepEqual(segment("aaaab"), ["aa", "aa", "b"]);
    assert.deepEqual(segment("aaab"), ["aa", "ab"]);
    assert.deepEqual(segment("xabcabca"), ["x", "a", "bc", "a", "bc", "a"]);
  });

  it("segment() merges characters that are no pieces themselves", () => {
    const segment = segmenter([
      ["🦙é", 1],
      ["🦙éx", 2],
    ]);
    assert.deepEqual(segment("🦙éx🦙🦙é"), ["🦙éx", "🦙", "🦙é"]);
  });

  it("segment() merges infinite scores, and equal zeros of either sign from the left", () => {
    const segment = segmenter([
      ["ab", -Infinity],
      ["bc", Infinity],
      ["cd", 0],
      ["de", -0],
    ]);
    assert.deepEqual(segment("abc"), ["a", "bc"]);
    assert.deepEqual(segment("ab"), ["ab"]);
    assert.deepEqual(segment("cde"), ["cd", "e"]);
  });

  it("segment() lets the first of equal pieces count", () => {
    const vocabulary = new Vocabulary(dataOf([["<unk>", 0, TokenType.unknown], ["a"], ["a"]], { unkId: 0 }));
    assert.deepEqual(new BpeSegmenter(vocabulary, true).segment("aa"), Int32Array.of(1, 1));
  });

  it("segment() merges over the beginning of a space where a piece does", () => {
    assert.deepEqual(
      segmenter([
        ["a▁", 2],
        ["a▁b", 1],
        ["▁b", 0],
      ])("a▁b▁b"),
      ["a▁b", "▁b"],
    );
    assert.deepEqual(
      segmenter([
        ["▁a", 1],
        ["▁▁", 2],
      ])("▁a▁▁▁a▁"),
      ["▁a", "▁▁", "▁a", "▁"],
    );
  });

  it("segment() keeps a character that is marked unused as a character", () => {
    const vocabulary = new Vocabulary(
      dataOf([...specialEntries, ["a", 0, TokenType.unused], ["ab"]], { unkId: 0 }),
    );
    const bpe = new BpeSegmenter(vocabulary, true);
    assert.deepEqual(
      Array.from(bpe.segment("aab"), (symbol) => bpe.character(symbol)),
      [0x61, undefined],
    );
  });

  it("segment() equals the quadratic reference", () => {
    const letters = fc.constantFrom("a", "b", "c", "▁", "🦙");
    const text = (maxLength: number) =>
      fc.array(letters, { minLength: 1, maxLength }).map((all) => all.join(""));
    const kind = fc.constantFrom<ScoredPiece["kind"][]>(
      "normal",
      "normal",
      "normal",
      "userDefined",
      "unused",
    );
    const piece = fc.record({ text: text(5), score: fc.integer({ min: -3, max: 3 }), kind });
    // Single characters are left out of "unused": they have nothing to be split into.
    const pieces = fc
      .uniqueArray(piece, { maxLength: 25, selector: (each) => each.text })
      .map((all) => all.filter((each) => each.kind !== "unused" || [...each.text].length > 1));
    const types = { ...TokenType };
    fc.assert(
      fc.property(
        pieces,
        fc.array(text(20), { minLength: 1, maxLength: 4 }),
        fc.boolean(),
        (all, texts, plain) => {
          const used = plain ? all.map((each) => ({ ...each, kind: "normal" as const })) : all;
          const segment = segmenter(used.map((each) => [each.text, each.score, types[each.kind]]));
          for (const each of texts) assert.deepEqual(segment(each), segmentBpe(used, each));
        },
      ),
      { numRuns: 1000 },
    );
  });

  it("segment() is right for more pairs than it remembers", () => {
    const segment = segmenter([["ab"], ["a"], ["b"]]);
    const others = Array.from({ length: 100_000 }, (_, i) => String.fromCodePoint(0x10000 + i));
    // Each of the others comes after an "a" and before a "b", so that every slot of the memory is used.
    assert.deepEqual(segment(`ab${others.map((other) => `a${other}b`).join("")}ab`), [
      "ab",
      ...others.flatMap((other) => ["a", other, "b"]),
      "ab",
    ]);
  });

  it("segment() takes long runs and long pieces without quadratic work", () => {
    const doubling = Array.from({ length: 18 }, (_, i): Entry => ["a".repeat(2 ** i), i]);
    const segment = segmenter([...doubling, ["a".repeat(100_000), 100], ["▁", 0], ["▁▁", 1]]);
    assert.equal(segment("a".repeat(200_000)).length, 6);
    assert.equal(segment("▁".repeat(200_001)).length, 100_001);
    assert.equal(segment("🦙".repeat(100_000)).length, 100_000);
    assert.equal(segment("ab".repeat(100_000)).length, 200_000);
  });

  it("segment() takes long chains of unused pieces without recursion", () => {
    const chain = Array.from({ length: 3000 }, (_, i): Entry => ["a".repeat(i + 2), i, TokenType.unused]);
    assert.deepEqual(segmenter([["a"], ...chain])("a".repeat(3001)), new Array(3001).fill("a"));
  });
});
