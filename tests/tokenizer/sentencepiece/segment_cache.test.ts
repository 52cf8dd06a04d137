// The cache of segments: bounds, and hits equal to misses.
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { MAX_CACHED_UNITS, SegmentCache } from "../../../src/tokenizer/sentencepiece/segment_cache.ts";
import { unitsOf } from "../../../src/tokenizer/sentencepiece/segmenter.ts";

function add(cache: SegmentCache, word: string, hash: number, symbols: readonly number[]): void {
  cache.add(unitsOf(word), 0, word.length, hash, Int32Array.from(symbols), 0, symbols.length);
}

function find(cache: SegmentCache, word: string, hash: number): number[] | undefined {
  if (!cache.find(unitsOf(word), 0, word.length, hash)) return undefined;
  return [...cache.symbols.subarray(cache.begin, cache.begin + cache.count)];
}

describe("SegmentCache", () => {
  it("find() tells words of one hash apart", () => {
    const cache = new SegmentCache();
    assert.equal(find(cache, "a", 0), undefined);
    for (const [i, word] of ["a", "b", "ab", "ba"].entries()) add(cache, word, 0, [i, i + 1]);
    for (const [i, word] of ["a", "b", "ab", "ba"].entries())
      assert.deepEqual(find(cache, word, 0), [i, i + 1]);
    assert.equal(find(cache, "c", 0), undefined);
    assert.equal(find(cache, "a", 1), undefined);
    assert.equal(find(cache, "abc", 0), undefined);
  });

  it("find() looks at units [begin, end)", () => {
    const cache = new SegmentCache();
    cache.add(unitsOf("xaby"), 1, 3, 7, Int32Array.of(9, 1, 2, 9), 1, 3);
    assert.deepEqual(find(cache, "ab", 7), [1, 2]);
    assert.equal(cache.find(unitsOf("ab"), 0, 1, 7), false);
  });

  it("add() gives up an older word where there is no slot, and never tells a wrong one", () => {
    const cache = new SegmentCache();
    const words = Array.from({ length: 50 }, (_, i) => `w${i}`);
    for (const [i, word] of words.entries()) add(cache, word, -5, [i]);
    const known = words.map((word) => find(cache, word, -5));
    assert.deepEqual(known.at(-1), [49]);
    assert.ok(known.some((symbols) => symbols === undefined));
    for (const [i, symbols] of known.entries()) assert.ok(symbols === undefined || symbols[0] === i);
  });

  it("add() forgets everything where it is full, up to the limit of its room", () => {
    const cache = new SegmentCache();
    const long = (i: number) => String(i).padStart(MAX_CACHED_UNITS, "x");
    for (let i = 0; i < 40_000; i++)
      add(cache, long(i), Math.imul(i, 0x9e3779b1), [i, i, i, i, i, i, i, i, i, i]);
    assert.deepEqual(find(cache, long(39_999), Math.imul(39_999, 0x9e3779b1)), new Array(10).fill(39_999));
    assert.equal(find(cache, long(0), 0), undefined);
    assert.ok(cache.symbols.length <= 1 << 17);
  });
});
