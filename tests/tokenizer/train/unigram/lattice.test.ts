// Lattices against a list of all splits.
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { PieceTrie } from "../../../../src/tokenizer/train/unigram/character_trie.ts";
import { Lattice } from "../../../../src/tokenizer/train/unigram/lattice.ts";

const UNKNOWN_PENALTY = 10;

function encode(text: string): Int32Array {
  return Int32Array.from(Array.from(text), (character) => character.codePointAt(0) as number);
}

function latticeOf(pieces: Record<string, number>): Lattice {
  return new Lattice(
    new PieceTrie(Object.keys(pieces).map(encode)),
    Float32Array.from(Object.values(pieces)),
  );
}

/** All ways to write a word, as numbers of pieces and their score; what no piece begins counts as piece 0. */
function ways(word: string, pieces: Record<string, number>): { path: number[]; score: number }[] {
  if (word === "") return [{ path: [], score: 0 }];
  const names = Object.keys(pieces);
  const unknown = Math.min(...Object.values(pieces)) - UNKNOWN_PENALTY;
  const firsts = names
    .filter((name) => word.startsWith(name))
    .map((name) => ({ name, id: names.indexOf(name) }));
  const starts: { name: string; id: number; score: number }[] = firsts.map(({ name, id }) => ({
    name,
    id,
    score: pieces[name] as number,
  }));
  if (!starts.some(({ name }) => name.length === 1))
    starts.push({ name: word.charAt(0), id: 0, score: unknown });
  return starts.flatMap(({ name, id, score }) =>
    ways(word.slice(name.length), pieces).map((rest) => ({
      path: [id, ...rest.path],
      score: score + rest.score,
    })),
  );
}

const pieces = { a: -2, b: -2.5, c: -3.25, ab: -3, bc: -4, abc: -5.5, ca: -4.75, cab: -5 };

function* words(): Generator<string> {
  let all = [""];
  for (let n = 1; n <= 6; n++) {
    all = all.flatMap((word) => ["a", "b", "c"].map((letter) => word + letter));
    yield* all;
  }
}

describe("Lattice", () => {
  it("best() finds the most probable way", () => {
    const lattice = latticeOf(pieces);
    for (const word of words()) {
      lattice.set(encode(word));
      const best = lattice.best();
      const all = ways(word, pieces);
      const most = Math.max(...all.map(({ score }) => score));
      const score = all.find(({ path }) => `${path}` === `${best}`)?.score as number;
      assert.ok(Math.abs(score - most) < 1e-5, `${word}: ${best}`);
    }
  });

  it("twoBest() finds the two most probable ways", () => {
    const lattice = latticeOf(pieces);
    for (const word of words()) {
      lattice.set(encode(word));
      const found = lattice.twoBest();
      const all = ways(word, pieces).sort((a, b) => b.score - a.score);
      assert.equal(found.length, Math.min(2, all.length), word);
      for (const [i, path] of found.entries()) {
        const score = all.find((way) => `${way.path}` === `${path}`)?.score as number;
        assert.ok(Math.abs(score - (all[i]?.score as number)) < 1e-5, `${word}: ${path}`);
      }
      if (found.length === 2) assert.notDeepEqual(found[0], found[1]);
    }
  });

  it("addExpected() weighs all ways by their probability", () => {
    const lattice = latticeOf(pieces);
    for (const word of words()) {
      const expected = new Float32Array(Object.keys(pieces).length);
      lattice.set(encode(word));
      lattice.addExpected(3, expected);
      const all = ways(word, pieces);
      const total = all.reduce((sum, { score }) => sum + Math.exp(score), 0);
      for (const piece of expected.keys()) {
        const weight = all.reduce(
          (sum, { path, score }) => sum + Math.exp(score) * path.filter((id) => id === piece).length,
          0,
        );
        assert.ok(Math.abs((expected[piece] as number) - (3 * weight) / total) < 1e-4, `${word} ${piece}`);
      }
    }
  });

  it("counts a character without a piece for the first piece", () => {
    const lattice = latticeOf({ a: -1, bc: -2 });
    lattice.set(encode("abxa"));
    assert.deepEqual(lattice.best(), [0, 0, 0, 0]);
    lattice.set(encode("bc"));
    assert.deepEqual(lattice.twoBest(), [[1], [0, 0]]);
  });

  it("takes an empty word, and words of very different length", () => {
    const lattice = latticeOf(pieces);
    lattice.set(encode(""));
    assert.deepEqual(lattice.best(), []);
    const long = "abc".repeat(5000);
    lattice.set(encode(long));
    // ab, then cab again and again, then c.
    assert.equal(lattice.best().length, 5001);
    const expected = new Float32Array(8);
    lattice.addExpected(1, expected);
    assert.ok(expected.every(Number.isFinite), `${expected}`);
    lattice.set(encode("ab"));
    assert.deepEqual(lattice.best(), [3]);
  });
});
