// The trie of pieces against a map.
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import { MAX_TRIE_UNITS, NONE, PieceTrie, ROOT } from "../../../src/tokenizer/sentencepiece/piece_trie.ts";
import { flatten, unitsOf } from "../../../src/tokenizer/sentencepiece/segmenter.ts";
import { FormatError } from "../../../src/util/errors.ts";
import { assertRefused } from "../../support/vocabularies.ts";

function trieOf(pieces: readonly string[]): PieceTrie {
  return new PieceTrie(flatten(pieces), [...pieces.keys()]);
}

function idOf(trie: PieceTrie, text: string): number {
  const node = trie.walk(ROOT, unitsOf(text), 0, text.length);
  return node === NONE ? NONE : trie.id(node);
}

describe("PieceTrie", () => {
  it("walk() finds pieces and their beginnings, and nothing else", () => {
    const trie = trieOf(["ab", "abcd", "", "b", "ab", "🦙"]);
    assert.equal(idOf(trie, "ab"), 0);
    assert.equal(idOf(trie, "abcd"), 1);
    assert.equal(idOf(trie, "b"), 3);
    assert.equal(idOf(trie, "🦙"), 5);
    assert.equal(idOf(trie, ""), NONE);
    assert.equal(idOf(trie, "abc"), NONE);
    assert.notEqual(trie.walk(ROOT, unitsOf("abc"), 0, 3), NONE);
    assert.equal(trie.walk(ROOT, unitsOf("ac"), 0, 2), NONE);
    assert.equal(trie.walk(ROOT, unitsOf("abcde"), 0, 5), NONE);
    assert.equal(trie.nodes[4], trie.nodes[0]);
    assert.equal(trie.nodes[2], NONE);
  });

  it("walk() finds what a map finds", () => {
    const text = fc.string({ unit: fc.constantFrom("a", "b", "\0", "\uffff"), maxLength: 6 });
    fc.assert(
      fc.property(fc.array(text, { maxLength: 60 }), fc.array(text, { maxLength: 20 }), (pieces, others) => {
        const trie = trieOf(pieces);
        for (const each of [...pieces, ...others]) {
          assert.equal(idOf(trie, each), each === "" ? NONE : pieces.indexOf(each));
        }
      }),
      { numRuns: 200 },
    );
  });

  it("new PieceTrie() grows for pieces that share nothing, and takes one of 100 KB", () => {
    const apart = Array.from({ length: 3000 }, (_, i) => String.fromCharCode(0x4e00 + i).repeat(3));
    const trie = trieOf([...apart, "x".repeat(100_000)]);
    for (const [id, piece] of apart.entries()) assert.equal(idOf(trie, piece), id);
    assert.equal(idOf(trie, "x".repeat(100_000)), 3000);
    assert.equal(idOf(trie, "x".repeat(99_999)), NONE);
  });

  it("new PieceTrie() refuses more text than any vocabulary has", () => {
    const flat = { units: new Uint16Array(MAX_TRIE_UNITS + 1), begins: Int32Array.of(0, MAX_TRIE_UNITS + 1) };
    assertRefused(
      () => new PieceTrie(flat, [0]),
      FormatError,
      /Expected pieces of at most 8388608 characters/,
    );
  });
});
