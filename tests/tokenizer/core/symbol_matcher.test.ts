// Finding symbols against a search of every symbol at every position.
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import {
  MAX_SYMBOL_UNITS,
  type NamedSymbol,
  SymbolMatcher,
} from "../../../src/tokenizer/core/symbol_matcher.ts";
import { FormatError } from "../../../src/util/errors.ts";
import { assertRefused } from "../../support/vocabularies.ts";

/** The longest symbol at each position, by trying all of them; of equal ones the first. */
function naive(symbols: readonly NamedSymbol[], text: string): number[] {
  return Array.from({ length: text.length }, (_, i) => {
    let best: NamedSymbol = ["", -1];
    for (const symbol of symbols) {
      if (text.startsWith(symbol[0], i) && symbol[0].length > best[0].length) best = symbol;
    }
    return best[1];
  });
}

describe("SymbolMatcher", () => {
  it("match() finds the longest symbol at each position", () => {
    const symbols: NamedSymbol[] = [
      ["a", 5],
      ["ab", 6],
      ["abcd", 7],
      ["bc", 8],
      ["ab", 9],
      ["", 10],
    ];
    const matcher = new SymbolMatcher(symbols);
    assert.deepEqual(Array.from(matcher.match("")), []);
    assert.deepEqual(Array.from(matcher.match("abcabcd")), [6, 8, -1, 7, 8, -1, -1]);
    assert.deepEqual(Array.from(new SymbolMatcher([]).match("ab")), [-1, -1]);
  });

  it("match() equals trying every symbol", () => {
    const text = fc.string({ unit: fc.constantFrom("a", "b", "🦙"), maxLength: 12 });
    fc.assert(
      fc.property(fc.array(text, { maxLength: 8 }), text, text, (texts, left, right) => {
        const symbols = texts.map((each, id): NamedSymbol => [each, id]);
        const all = left + texts.join("") + right;
        assert.deepEqual(Array.from(new SymbolMatcher(symbols).match(all)), naive(symbols, all));
      }),
      { numRuns: 500 },
    );
  });

  it("match() takes symbols of 100 KB that almost match without quadratic work", () => {
    const matcher = new SymbolMatcher([
      [`${"a".repeat(100_000)}b`, 1],
      [`b${"a".repeat(100_000)}`, 2],
    ]);
    assert.ok(matcher.match("a".repeat(300_000)).every((id) => id === -1));
    assert.equal(matcher.match(`${"a".repeat(150_000)}b`).indexOf(1), 50_000);
  });

  it("SymbolMatcher() refuses more symbols than its index is meant for", () => {
    const half = "a".repeat(MAX_SYMBOL_UNITS / 2);
    const symbols: NamedSymbol[] = [
      [half, 1],
      [`${half}b`, 2],
    ];
    assertRefused(
      () => new SymbolMatcher(symbols),
      FormatError,
      /at most 4194304 characters in all, got 4194305/,
    );
  });
});
