// Merging words of bytes against plain merging.
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import { ByteMerger } from "../../../src/tokenizer/byte_level/byte_merger.ts";
import { ByteVocabulary, packTokens } from "../../../src/tokenizer/byte_level/byte_vocabulary.ts";
import { ConcatenationRanks, MergeRanks } from "../../../src/tokenizer/byte_level/pair_ranks.ts";
import type { MergeRule } from "../../../src/tokenizer/core/merger.ts";
import { FormatError, TokenizerError } from "../../../src/util/errors.ts";
import { assertRefused } from "../../support/vocabularies.ts";

const utf8 = new TextEncoder();

function vocabularyOf(tokens: readonly string[]): ByteVocabulary {
  return new ByteVocabulary({
    ...packTokens(tokens.map((token) => utf8.encode(token))),
    types: tokens.map(() => 1),
  });
}

function mergesOf(tokens: readonly string[], merges: readonly (readonly [string, string])[]): Int32Array {
  return Int32Array.from(
    merges.flatMap(([left, right]) => [left, right, left + right].map((piece) => tokens.indexOf(piece))),
  );
}

/** The definition: again and again the pair of the lowest rank, the leftmost of equals. */
function mergeSlowly(text: string, rank: (left: string, right: string) => number | undefined): string[] {
  const parts = Array.from(text);
  for (;;) {
    let best = -1;
    let bestRank = Number.POSITIVE_INFINITY;
    for (let i = 0; i + 1 < parts.length; i++) {
      const found = rank(parts[i] as string, parts[i + 1] as string) ?? Number.POSITIVE_INFINITY;
      if (found >= bestRank) continue;
      best = i;
      bestRank = found;
    }
    if (best < 0) return parts;
    parts.splice(best, 2, `${parts[best]}${parts[best + 1]}`);
  }
}

function merge(
  tokens: readonly string[],
  vocabulary: ByteVocabulary,
  ranks: MergeRule,
  text: string,
): string[] {
  const bytes = utf8.encode(text);
  const out = new Int32Array(bytes.length);
  const count = new ByteMerger(vocabulary, ranks).merge(bytes, 0, bytes.length, out, 0);
  return Array.from(out.subarray(0, count), (id) => tokens[id] as string);
}

/** Different tokens of the letters a to c, all three of them among these. */
const vocabularies = fc
  .uniqueArray(fc.string({ unit: fc.constantFrom("a", "b", "c"), minLength: 1, maxLength: 7 }), {
    maxLength: 40,
  })
  .chain((tokens) => fc.shuffledSubarray([...new Set([...tokens, "a", "b", "c"])], { minLength: 0 }))
  .map((tokens) => [...new Set([...tokens, "a", "b", "c"])]);
const texts = fc.string({ unit: fc.constantFrom("a", "b", "c"), maxLength: 90 });

describe("ByteMerger", () => {
  it("merge() does what merging pair by pair does, by the ranks of tokens", () => {
    fc.assert(
      fc.property(vocabularies, texts, (tokens, text) => {
        const vocabulary = vocabularyOf(tokens);
        const expected = mergeSlowly(text, (left, right) => {
          const id = tokens.indexOf(left + right);
          return id < 0 ? undefined : id;
        });
        assert.deepEqual(merge(tokens, vocabulary, new ConcatenationRanks(vocabulary), text), expected);
      }),
      { numRuns: 600 },
    );
  });

  it("merge() does what merging pair by pair does, by a list of merges", () => {
    const cases = vocabularies.chain((tokens) => {
      const all = tokens.flatMap((token) =>
        Array.from(token.slice(1), (_, i) => [token.slice(0, i + 1), token.slice(i + 1)] as const),
      );
      const known = all.filter((pair) => pair.every((piece) => tokens.includes(piece)));
      return fc.tuple(fc.constant(tokens), fc.shuffledSubarray(known), texts);
    });
    fc.assert(
      fc.property(cases, ([tokens, merges, text]) => {
        const vocabulary = vocabularyOf(tokens);
        const ranks = new MergeRanks(mergesOf(tokens, merges), vocabulary);
        const expected = mergeSlowly(text, (left, right) => {
          const rank = merges.findIndex((pair) => pair[0] === left && pair[1] === right);
          return rank < 0 ? undefined : rank;
        });
        assert.deepEqual(merge(tokens, vocabulary, ranks, text), expected);
      }),
      { numRuns: 600 },
    );
  });

  it("merge() takes words of no byte, one, and of any length", () => {
    const tokens = ["a", "b", "aa", "aab", "aaaa"];
    const vocabulary = vocabularyOf(tokens);
    const ranks = new ConcatenationRanks(vocabulary);
    for (let n = 0; n < 300; n++) {
      const text = "a".repeat(n) + (n % 3 === 0 ? "b" : "");
      const expected = mergeSlowly(text, (left, right) => {
        const id = tokens.indexOf(left + right);
        return id < 0 ? undefined : id;
      });
      assert.deepEqual(merge(tokens, vocabulary, ranks, text), expected, `${n}`);
    }
  });

  it("merge() gives a token up that merging never makes", () => {
    // "ab" is made before "bc" can be, so "abc" never is.
    const tokens = ["a", "b", "c", "ab", "bc", "abcd", "d", "cd"];
    const vocabulary = vocabularyOf(tokens);
    const ranks = new MergeRanks(
      mergesOf(tokens, [
        ["a", "b"],
        ["b", "c"],
      ]),
      vocabulary,
    );
    assert.deepEqual(merge(tokens, vocabulary, ranks, "abcd"), ["ab", "c", "d"]);
  });

  it("merge() takes ranks that fall while a token is built", () => {
    const cases: [tokens: string, text: string, expected: string[]][] = [
      // "abab" alone is made by "ab", "aba"; here "bb" comes before.
      ["abab aba bb b bbb ab a", "ababb", ["aba", "bb"]],
      ["b abb baaa ba aa ab a", "abba", ["ab", "ba"]],
      ["bbaa abab a b bab bb bbb ba", "babb", ["ba", "bb"]],
    ];
    for (const [list, text, expected] of cases) {
      const tokens = list.split(" ");
      const vocabulary = vocabularyOf(tokens);
      assert.deepEqual(merge(tokens, vocabulary, new ConcatenationRanks(vocabulary), text), expected);
    }
  });

  it("merge() stays linear with a vocabulary made against it", () => {
    // Each position begins a thousand tokens, none of which goes with what follows.
    const tokens = ["a", "b", ...Array.from({ length: 250 }, (_, i) => `${"a".repeat(i + 2)}b`)];
    const vocabulary = vocabularyOf(tokens);
    const ranks = new ConcatenationRanks(vocabulary);
    const text = "a".repeat(200_000);
    assert.equal(merge(tokens, vocabulary, ranks, text).length, 200_000);
  });

  it("merge() takes tokens of 100 KB", () => {
    const long = "a".repeat(1 << 17);
    const tokens = ["a", "b", "aa"];
    for (let n = 4; n <= long.length; n *= 2) tokens.push(long.slice(0, n));
    const vocabulary = vocabularyOf(tokens);
    const ranks = new ConcatenationRanks(vocabulary);
    assert.equal(merge(tokens, vocabulary, ranks, long.repeat(3)).length, 3);
    assert.equal(merge(tokens, vocabulary, ranks, `${long.slice(1)}b`).length, 18);
  });

  it("merge() says which byte has no token", () => {
    const vocabulary = vocabularyOf(["a", "ab"]);
    assertRefused(
      () => merge(["a", "ab"], vocabulary, new ConcatenationRanks(vocabulary), "a b"),
      TokenizerError,
      /^Cannot encode byte 0x20: Expected a token for it \(Ġ\), the vocabulary has none$/,
    );
  });
});

describe("MergeRanks", () => {
  const tokens = ["a", "b", "ab"];
  const vocabulary = vocabularyOf(tokens);

  it("constructor() refuses ids outside the vocabulary and results that are not the two together", () => {
    for (const merges of [
      [0, 1, 3],
      [0, -1, 2],
      [0, 1, 1],
      [1, 0, 2],
      [0, 2, 2],
    ]) {
      assertRefused(
        () => new MergeRanks(Int32Array.from(merges), vocabulary),
        FormatError,
        /Expected merge 0 to be of/,
      );
    }
    assertRefused(
      () => new MergeRanks(Int32Array.of(0, 1), vocabulary),
      FormatError,
      /merges of 3 ids, got 2 ids/,
    );
  });

  it("rank() lets the first of equal merges count, and knows no others", () => {
    const ranks = new MergeRanks(Int32Array.of(0, 1, 2, 0, 1, 2), vocabulary);
    assert.equal(ranks.rank(0, 1), 0);
    assert.ok(ranks.rank(1, 0) > 2 ** 30);
    assert.equal(ranks.result(0), 2);
    assert.ok(new MergeRanks(new Int32Array(0), vocabulary).rank(0, 1) > 2 ** 30);
  });
});
