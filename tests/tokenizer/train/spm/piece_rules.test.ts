// Which texts may become pieces.
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { type SentencePieceOptions, sentencePieceSpec } from "../../../../src/tokenizer/train/options.ts";
import { PieceRules } from "../../../../src/tokenizer/train/spm/piece_rules.ts";

function isValid(text: string, options: Partial<SentencePieceOptions> = {}): boolean {
  const spec = sentencePieceSpec({ corpus: [], modelType: "bpe", vocabSize: 100, ...options });
  return new PieceRules(spec).isValid(Array.from(text));
}

function check(valid: string[], invalid: string[], options: Partial<SentencePieceOptions> = {}): void {
  for (const text of valid) assert.ok(isValid(text, options), text);
  for (const text of invalid) assert.ok(!isValid(text, options), text);
}

describe("PieceRules", () => {
  // The cases of SentencePiece's own test of IsValidSentencePiece.
  it("keeps scripts apart, and spaces at the beginning", () => {
    check(
      [
        "a",
        "abc",
        "▁",
        "▁a",
        "▁京都",
        "あい",
        "アー",
        "東京タワー",
        "あ漢",
        "1",
        "12",
        "。",
        "▁Ｆ",
        "e\u0301",
        "\u0301",
      ],
      ["", "F1", "▁▁", "a▁", "a▁b", "▁▁a", "aα", "漢a", "ab▅", "a\tb", "a b", "a\0", "x".repeat(17)],
    );
    assert.ok(isValid("x".repeat(16)));
  });

  it("lets scripts, numbers and words join where they may", () => {
    check(["F1", "aα"], ["a▁b"], { splitByUnicodeScript: false });
    check(["F1", "1日", "①"], ["aα"], { splitByNumber: false });
    check(["a▁b", "▁a▁b"], ["a▁", "▁a▁"], { splitByWhitespace: false });
    check(["▁▁▁"], ["▁▁a", "a▁"], { allowWhitespaceOnlyPieces: true });
  });

  it("keeps digits apart where they are to be", () => {
    check(["1", "９", "▁", "٣٣"], ["12", "▁1", "９９"], { splitDigits: true });
  });

  it("knows the longest piece", () => {
    check(["a", "😀"], ["ab", "😀😀"], { maxPieceLength: 1 });
  });
});
