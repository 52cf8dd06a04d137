// Parts of a text in which special tokens stay text.
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { touches } from "../../src/tokenizer/core/plain_parts.ts";
import { TokenType } from "../../src/tokenizer/core/vocabulary_data.ts";
import { parseTokenizerFile } from "../../src/tokenizer/load.ts";
import { createTokenizer } from "../../src/tokenizer/registry.ts";
import { Tokenizer } from "../../src/tokenizer.ts";
import { UsageError } from "../../src/util/errors.ts";
import { byteData } from "../support/byte_vocabularies.ts";
import { writeCharsmap } from "../support/charsmap_writer.ts";
import { fixturePath } from "../support/fixtures.ts";
import { gpt2Json, jsonBytes } from "../support/tokenizer_json.ts";
import { llamaData } from "../support/vocabularies.ts";

describe("encode() with plain", () => {
  it("finds special tokens outside of the parts only", async () => {
    for (const [name, special] of [
      ["bpe.model", "</s>"],
      ["bpe.gguf", "</s>"],
      ["gpt2.gguf", "<|endoftext|>"],
      ["bpe.tokenizer.json", "</s>"],
      ["gpt2.tokenizer.json", "<|endoftext|>"],
    ] as const) {
      const tokenizer = await Tokenizer.load(fixturePath(name));
      const ends = { bos: false, eos: false };
      const [id, ...none] = tokenizer.encode(special, { ...ends, special: true });
      assert.equal(none.length, 0, name);
      const text = special + special + special;
      const n = special.length;
      const count = (plain: number[]) =>
        tokenizer.encode(text, { ...ends, special: true, plain }).filter((other) => other === id).length;
      assert.equal(count([]), 3, name);
      assert.equal(count([n, 2 * n]), 2, name);
      // One unit is enough, at either end; none is not.
      assert.equal(count([n, n + 1, 3 * n - 1, 3 * n]), 1, name);
      assert.equal(count([n, n]), 3, name);
      assert.equal(count([0, 3 * n]), 0, name);
      assert.deepEqual(
        tokenizer.encode(text, { ...ends, special: true, plain: [0, 3 * n] }),
        tokenizer.encode(text, ends),
        name,
      );
      assert.deepEqual(
        tokenizer.encode(text, { ...ends, plain: [0, 1] }),
        tokenizer.encode(text, ends),
        name,
      );
      const { ids, starts } = tokenizer.encodeWithOffsets(text, { ...ends, special: true, plain: [0, n] });
      assert.deepEqual(ids, tokenizer.encode(text, { ...ends, special: true, plain: [0, n] }), name);
      assert.deepEqual(starts.slice(-2), [n, 2 * n], name);
    }
  });

  it("finds marks of turns no more than control tokens, and other tokens as ever", () => {
    const data = byteData([], {
      special: [
        ["<|turn|>", TokenType.userDefined],
        ["<end_of_turn>", TokenType.userDefined],
        ["<think>", TokenType.userDefined],
        ["<|end|>", TokenType.control],
      ],
    });
    const pieces = llamaData(
      [..."<|turn>_ofhikde"]
        .map((piece) => [piece, -1] as const)
        .concat(
          ["<|turn|>", "<end_of_turn>", "<think>"].map((piece) => [piece, 0, TokenType.userDefined] as never),
        ),
      { userDefinedSplitsText: true },
    );
    const json = gpt2Json({ ...data, merges: new Int32Array(0) });
    json.added_tokens = json.added_tokens.map((token) => ({
      ...token,
      special: token.content === "<|end|>",
    }));
    for (const [name, tokenizer] of [
      ["bytes", createTokenizer(data)],
      ["pieces", createTokenizer(pieces)],
      ["json", createTokenizer(parseTokenizerFile(jsonBytes(json), { name: "tokenizer.json" }))],
    ] as const) {
      for (const [text, isMark] of [
        ["<|turn|>", true],
        ["<end_of_turn>", true],
        ["<think>", false],
      ] as const) {
        const encode = (plain?: number[]) =>
          tokenizer.encode(text, { bos: false, special: true, ...(plain && { plain }) });
        assert.equal(encode().length, 1, `${name} ${text}`);
        assert.equal(encode([0, text.length]).length > 1, isMark, `${name} ${text}`);
      }
    }
  });

  it("finds no marks of turns that SentencePiece takes for parts of the text", () => {
    const named = ["<|turn|>", "<think>", "<"].map((piece) => [piece, 0, TokenType.userDefined] as const);
    const letters = [..."▁ab|turn>hik"].map((piece) => [piece, -9] as const);
    for (const kind of ["spm-bpe", "spm-unigram", "spm-char", "spm-word"] as const) {
      const tokenizer = createTokenizer(llamaData([...letters, ...named], { kind, addDummyPrefix: false }));
      const pieces = (ids: number[]) => ids.map((id) => tokenizer.piece(id));
      const encode = (text: string, plain: number[]) =>
        pieces(tokenizer.encode(text, { bos: false, special: true, plain }));
      const turn = "<|turn|>";
      assert.deepEqual(encode(turn, []), [turn], kind);
      for (const plain of [
        [0, 8],
        [0, 1],
        [7, 8],
      ])
        assert.ok(!encode(turn, plain).includes(turn), kind);
      // Of a word model the text would be one word that nobody knows.
      if (kind === "spm-word") continue;
      const text = "a <|turn|>b<|turn|><think>";
      assert.deepEqual(encode(text, []), ["a", "▁", turn, "b", turn, "<think>"], kind);
      const plain = [10, 26];
      const spelled = ["a", "▁", turn, "b", ...turn, "<think>"];
      assert.deepEqual(encode(text, plain), spelled, kind);
      const { ids, starts } = tokenizer.encodeWithOffsets(text, { bos: false, special: true, plain });
      assert.deepEqual(pieces(ids), spelled, kind);
      assert.deepEqual(starts.slice(-3), [17, 18, 19], kind);
    }
  });

  it("finds none either that a charsmap makes of other characters", () => {
    const data = llamaData(
      [...[..."▁a<|turn>"].map((piece) => [piece, -9] as const), ["<|turn|>", 0, TokenType.userDefined]],
      { charsmap: writeCharsmap([["＜", "<"]]), removeExtraWhitespaces: true },
    );
    const tokenizer = createTokenizer(data);
    const [id] = tokenizer.encode("<|turn|>", { bos: false }).slice(-1);
    const text = "  a  ＜|turn|> <|turn|>";
    const count = (plain: number[]) =>
      tokenizer.encode(text, { bos: false, special: true, plain }).filter((other) => other === id).length;
    assert.deepEqual([count([]), count([0, 13]), count([0, 6]), count([12, 13])], [2, 1, 1, 1]);
    assert.deepEqual([count([14, 15]), count([13, 14]), count([0, 22])], [1, 2, 0]);
  });

  it("refuses what are no parts", async () => {
    const tokenizer = await Tokenizer.load(fixturePath("bpe.model"));
    for (const plain of [[1], [2, 1], [0, 4], [-1, 1], [0.5, 1], ["0", "1"], null, {}, [0, 2, 1, 3]]) {
      assert.throws(() => tokenizer.encode("abc", { special: true, plain: plain as never }), UsageError);
    }
  });

  it("touches() knows every place", () => {
    const parts = [2, 4, 4, 5, 8, 9];
    const inParts = (i: number) => (i >= 2 && i < 5) || i === 8;
    for (let begin = 0; begin < 12; begin++) {
      for (let end = begin + 1; end <= 12; end++) {
        const expected = Array.from({ length: end - begin }, (_, i) => inParts(begin + i)).includes(true);
        assert.equal(touches(parts, begin, end), expected, `${begin} ${end}`);
      }
    }
    assert.equal(touches([], 0, 9), false);
  });
});
