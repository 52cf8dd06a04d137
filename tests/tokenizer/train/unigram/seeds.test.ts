// Seed pieces against a count of all substrings.
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { type SentencePieceOptions, sentencePieceSpec } from "../../../../src/tokenizer/train/options.ts";
import { Pace } from "../../../../src/tokenizer/train/pace.ts";
import { PieceRules } from "../../../../src/tokenizer/train/spm/piece_rules.ts";
import { LINE_END } from "../../../../src/tokenizer/train/text/corpus.ts";
import { seedPieces } from "../../../../src/tokenizer/train/unigram/seeds.ts";

function specOf(options: Partial<SentencePieceOptions> = {}) {
  return sentencePieceSpec({ corpus: [], modelType: "unigram", vocabSize: 100, ...options });
}

function seeds(lines: string[], options: Partial<SentencePieceOptions> = {}) {
  const words = new Map<string, number>();
  for (const line of lines) {
    const split = line.split(/(?=▁)/);
    split.forEach((word, i) => {
      const key = i === split.length - 1 ? word + LINE_END : word;
      words.set(key, (words.get(key) ?? 0) + 1);
    });
  }
  return seedPieces(words, specOf(options), new Pace(undefined, undefined));
}

/** Substrings of the lines as they are, by counting all of them and what follows each. */
function reference(lines: string[], options: Partial<SentencePieceOptions> = {}): Map<string, number> {
  const spec = specOf(options);
  const rules = new PieceRules(spec);
  const counts = new Map<string, { n: number; next: Set<string> }>();
  for (const line of lines) {
    const characters = Array.from(line);
    for (let i = 0; i < characters.length; i++) {
      for (let j = i + 1; j <= characters.length && j - i <= spec.maxPieceLength; j++) {
        const piece = characters.slice(i, j);
        if (!rules.isValid(piece)) continue;
        const entry = counts.get(piece.join("")) ?? { n: 0, next: new Set() };
        entry.n++;
        entry.next.add(characters[j] ?? "end");
        counts.set(piece.join(""), entry);
      }
    }
  }
  const found = new Map<string, number>();
  for (const [piece, { n, next }] of counts) {
    const length = Array.from(piece).length;
    if (length === 1) found.set(piece, n);
    else if (n > 1 && next.size > 1) found.set(piece, n * length);
  }
  return found;
}

const lines = [
  "▁the▁cat▁sat▁on▁the▁mat",
  "▁the▁dog▁sat▁on▁the▁cat",
  "▁a▁cat▁ate▁the▁rat",
  "▁thethe▁aaaa▁aaa",
  "▁日本語▁日本▁本😀😀▁😀😀x",
];

describe("seedPieces()", () => {
  it("finds the inner nodes of the suffix tree of the lines, from their words alone", async () => {
    for (const options of [{}, { maxPieceLength: 3 }, { splitByUnicodeScript: false }]) {
      const found = await seeds(lines, options);
      assert.equal(new Map(found).size, found.length);
      assert.deepEqual([...found].sort(), [...reference(lines, options)].sort());
    }
  });

  it("sorts characters by frequency, then pieces by how much text they cover", async () => {
    const found = await seeds(lines);
    const scores = found.map(([, score]) => score);
    const nCharacters = found.filter(([piece]) => Array.from(piece).length === 1).length;
    for (const part of [scores.slice(0, nCharacters), scores.slice(nCharacters)]) {
      assert.deepEqual(
        part,
        part.toSorted((a, b) => b - a),
      );
    }
    assert.deepEqual(found[0], ["▁", 24]);
  });

  it("keeps as many as asked for, besides all characters", async () => {
    const all = await seeds(lines);
    const few = await seeds(lines, { seedSize: 3 });
    const nCharacters = all.filter(([piece]) => Array.from(piece).length === 1).length;
    assert.equal(few.length, nCharacters + 3);
    assert.deepEqual(few, all.slice(0, few.length));
  });

  it("joins words where they may join, and takes runs of spaces where those may be pieces", async () => {
    const whole = new Map(lines.map((line) => [line + LINE_END, 1]));
    const joined = await seedPieces(
      whole,
      specOf({ splitByWhitespace: false }),
      new Pace(undefined, undefined),
    );
    assert.deepEqual([...joined].sort(), [...reference(lines, { splitByWhitespace: false })].sort());
    assert.ok(joined.some(([piece]) => piece === "▁the▁cat"));
    const spaces = new Map([
      ["▁▁▁▁if", 3],
      [`▁▁▁▁x${LINE_END}`, 2],
      [`▁▁y${LINE_END}`, 1],
    ]);
    const found = await seedPieces(
      spaces,
      specOf({ allowWhitespaceOnlyPieces: true }),
      new Pace(undefined, undefined),
    );
    assert.equal(new Map(found).get("▁▁▁"), 3 * 10);
  });

  it("finds no piece in no words, one word, and a million of one letter in no time", async () => {
    assert.deepEqual(await seeds([]), []);
    assert.deepEqual(await seeds(["ab"]), [
      ["a", 1],
      ["b", 1],
    ]);
    const found = await seeds(["a".repeat(1_000_000)]);
    assert.equal(found.length, 16);
  });
});
