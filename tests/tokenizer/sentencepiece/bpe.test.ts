// BPE of SentencePiece vocabularies against plain merging.
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import { type SentencePieceData, TokenType } from "../../../src/tokenizer/core/vocabulary_data.ts";
import { BpeSegmenter } from "../../../src/tokenizer/sentencepiece/bpe.ts";
import { segmentText } from "../../../src/tokenizer/sentencepiece/segmenter.ts";
import { parseSentencePieceModel } from "../../../src/tokenizer/sentencepiece/spm_model.ts";
import { type ScoredPiece, segmentBpe } from "../../reference/bpe.ts";
import { fixtureCorpus } from "../../support/fixture_texts.ts";
import { fixtureBytes } from "../../support/fixtures.ts";
import { itOn, sharedBytes, sharedJson } from "../../support/shared.ts";
import { dataOf, type Entry, specialEntries } from "../../support/vocabularies.ts";

function segmenter(entries: readonly Entry[]): (text: string) => string[] {
  const data = dataOf([...specialEntries, ...entries]);
  const bpe = new BpeSegmenter(data);
  return (text) => Array.from(segmentText(bpe, text), (symbol) => textOf(data, symbol));
}

function textOf({ pieces }: SentencePieceData, symbol: number): string {
  return pieces[symbol] ?? String.fromCodePoint(symbol - pieces.length);
}

function isEqual(left: Int32Array, right: Int32Array): boolean {
  return left.length === right.length && left.every((symbol, i) => symbol === right[i]);
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
  // Worked out by hand.
  const own: Conformance = {
    models: [
      {
        name: "merges by score, then from the left",
        pieces: [
          ["a", 0],
          ["b", 0],
          ["c", 0],
          ["d", 0],
          ["ab", -1],
          ["bc", -0.5],
          ["abc", -2],
          ["cd", -3],
        ],
        cases: [
          ["", []],
          ["ab", ["ab"]],
          ["abc", ["abc"]],
          ["abcd", ["abc", "d"]],
          ["cdab", ["cd", "ab"]],
          ["xaby", ["x", "ab", "y"]],
          { unused: ["abc"], text: "abcd", pieces: ["a", "bc", "d"] },
          { unused: ["bc"], text: "bcd", pieces: ["b", "c", "d"] },
        ],
      },
      {
        name: "symbols of the user are never split",
        pieces: [
          ["a", 0],
          ["b", 0],
          ["ab", -1],
          ["ba", 5, "USER_DEFINED"],
          ["bab", 0, "USER_DEFINED"],
        ],
        cases: [
          ["ab", ["ab"]],
          ["aba", ["a", "ba"]],
          ["ababab", ["a", "bab", "ab"]],
        ],
      },
    ],
  };
  const conformance = "conformance/sentencepiece_bpe.json";
  const lists = [
    { name: "cases worked out by hand", value: { load: () => own, expectedCases: 11 } },
    {
      name: "SentencePiece's own",
      needs: [conformance],
      value: { load: () => sharedJson<Conformance>(conformance), expectedCases: 19 },
    },
  ];
  itOn(lists, "segment() gives the pieces", ({ load, expectedCases }) => {
    const { models } = load();
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
    assert.equal(n, expectedCases);
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
    const bpe = new BpeSegmenter(dataOf([["<unk>", 0, TokenType.unknown], ["a"], ["a"]]));
    assert.deepEqual(segmentText(bpe, "aa"), Int32Array.of(1, 1));
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

  it("segment() keeps a character that is marked unused, which nothing can replace", () => {
    assert.deepEqual(segmenter([["a", 0, TokenType.unused], ["ab"]])("aab"), ["a", "ab"]);
  });

  // Words are merged up to some length, and divided without merging from there on.
  for (const maxLength of [20, 200]) {
    it(`segment() equals the quadratic reference, texts of up to ${maxLength} characters`, () => {
      const kinds = fc.constantFrom<ScoredPiece["kind"][][]>(
        ["normal"],
        ["normal", "normal", "normal", "unused"],
        ["normal", "normal", "normal", "unused", "userDefined"],
      );
      const cases = fc
        .tuple(fc.subarray(["a", "b", "c", "▁", "🦙"], { minLength: 1 }), kinds)
        .chain(([letters, some]) => {
          const text = (most: number) =>
            fc
              .array(fc.constantFrom(...letters), { minLength: 1, maxLength: most, size: "max" })
              .map((all) => all.join(""));
          const piece = fc.record({
            text: fc.oneof({ weight: 4, arbitrary: text(4) }, text(10)),
            score: fc.integer({ min: -3, max: 3 }),
            kind: fc.constantFrom(...some),
          });
          const pieces = fc.uniqueArray(piece, { maxLength: 60, size: "max", selector: (each) => each.text });
          return fc.tuple(pieces, fc.array(text(maxLength), { minLength: 1, maxLength: 4, size: "max" }));
        });
      fc.assert(
        fc.property(cases, ([all, texts]) => {
          // Single characters are left out of "unused": they have nothing to be split into.
          const used = all.filter((each) => each.kind !== "unused" || [...each.text].length > 1);
          const segment = segmenter(used.map((each) => [each.text, each.score, TokenType[each.kind]]));
          for (const each of texts) assert.deepEqual(segment(each), segmentBpe(used, each));
        }),
        { numRuns: 500 },
      );
    });
  }

  it("segment() merges a run of one symbol as pair by pair", () => {
    const run = (unit: string, n: number) => unit.repeat(n);
    const side = fc.string({ unit: fc.constantFrom("a", "b", "▁"), maxLength: 6 });
    const piece = fc.oneof(
      fc.integer({ min: 1, max: 9 }).map((n) => run("a", n)),
      fc
        .tuple(side, fc.integer({ min: 1, max: 4 }), side)
        .map(([left, n, right]) => left + run("a", n) + right),
    );
    const scored = fc.record({
      text: piece,
      score: fc.integer({ min: -3, max: 3 }),
      kind: fc.constant("normal"),
    });
    const pieces = fc.uniqueArray(scored, { maxLength: 14, selector: (each) => each.text });
    fc.assert(
      fc.property(pieces, side, fc.integer({ min: 60, max: 90 }), side, (all, left, n, right) => {
        const used = all as ScoredPiece[];
        const text = left + run("a", n) + right;
        const segment = segmenter(used.map((each) => [each.text, each.score]));
        assert.deepEqual(segment(text), segmentBpe(used, text));
      }),
      { numRuns: 300 },
    );
  });

  it("segment() gives the same whether or not it remembers words", () => {
    const text = fc.string({ unit: fc.constantFrom("a", "b", "c", "▁", "工", "🦙"), maxLength: 120 });
    const entry = fc.tuple(
      fc.string({ unit: fc.constantFrom("a", "b", "c", "▁", "工", "🦙"), minLength: 1, maxLength: 4 }),
      fc.integer({ min: -9, max: 9 }),
      fc.constantFrom(1, 1, 1, TokenType.unused, TokenType.userDefined),
    );
    const entries = fc.uniqueArray(entry, { maxLength: 40, selector: ([piece]) => piece });
    fc.assert(
      fc.property(entries, fc.array(text, { minLength: 1, maxLength: 20 }), (all, texts) => {
        const data = dataOf([...specialEntries, ...all]);
        const cached = new BpeSegmenter(data);
        const uncached = new BpeSegmenter(data, { cache: false });
        for (const each of [...texts, ...texts]) {
          assert.deepEqual(segmentText(cached, each), segmentText(uncached, each));
        }
      }),
      { numRuns: 200 },
    );
  });

  const llama2 = "vocabs/llama2-tokenizer.model";
  const book = "text/botchan.txt";
  const books = [
    { name: "made-up sentences", value: { model: () => fixtureBytes("bpe.model"), text: fixtureCorpus } },
    {
      name: "a book",
      needs: [llama2, book],
      value: {
        model: () => sharedBytes(llama2),
        text: () => new TextDecoder().decode(sharedBytes(book)),
      },
    },
  ];
  itOn(books, "segment() gives the same from its cache", ({ model, text: load }) => {
    const data = parseSentencePieceModel(model());
    const text = load().replaceAll(" ", "▁");
    const cached = new BpeSegmenter(data);
    const expected = segmentText(new BpeSegmenter(data, { cache: false }), text);
    for (let i = 0; i < 2; i++) assert.ok(isEqual(segmentText(cached, text), expected));
  });

  it("segment() equals the quadratic reference on long words", () => {
    const letters = fc.constantFrom("a", "b", "c");
    const text = (minLength: number, maxLength: number) =>
      fc.array(letters, { minLength, maxLength }).map((all) => all.join(""));
    const piece = fc.record({
      text: text(1, 6),
      score: fc.integer({ min: -30, max: 30 }),
      kind: fc.constant("normal"),
    });
    const pieces = fc.uniqueArray(piece, { minLength: 20, maxLength: 60, selector: (each) => each.text });
    fc.assert(
      fc.property(pieces, text(200, 400), (all, each) => {
        const used = all as ScoredPiece[];
        const segment = segmenter(used.map(({ text: piece, score }) => [piece, score]));
        assert.deepEqual(segment(each), segmentBpe(used, each));
      }),
      { numRuns: 40 },
    );
  });

  it("segment() merges only listed pairs, in their order", () => {
    const data = dataOf([...specialEntries, ["a"], ["b"], ["c"], ["ab"], ["bc"], ["abc"]]);
    const [a, b, c, ab, bc, abc] = [3, 4, 5, 6, 7, 8] as const;
    const segment = (merges: number[], text: string) => [
      ...segmentText(new BpeSegmenter(data, { merges: Int32Array.from(merges) }), text),
    ];
    assert.deepEqual(segment([], "abc"), [a, b, c]);
    assert.deepEqual(segment([a, b, ab, b, c, bc], "abc"), [ab, c]);
    assert.deepEqual(segment([b, c, bc, a, b, ab], "abc"), [a, bc]);
    assert.deepEqual(segment([b, c, bc, a, b, ab, ab, c, abc], "abcab"), [a, bc, ab]);
    assert.deepEqual(segment([a, b, ab, ab, c, abc], "abcxbc"), [abc, 9 + 0x78, b, c]);
    const long = "abc".repeat(200);
    assert.deepEqual(segment([a, b, ab, ab, c, abc], long), new Array(200).fill(abc));
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
    assert.ok(segmenter([["a"], ...chain])("a".repeat(3001)).every((piece) => piece === "a"));
  });
});
