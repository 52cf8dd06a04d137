// Tokenizers that do not fit, by themselves or the model.
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { FormatError, Llama, TokenizerError, UnsupportedError } from "../../src/mod.ts";
import {
  type GgufValue,
  meta,
  metaArray,
  type TinyLlamaOptions,
  tinyLlamaGguf,
  tinyVocab,
} from "../support/gguf_writer.ts";
import { tokenizerBin } from "../support/llama2c_writer.ts";
import { refused } from "../support/refused.ts";
import { type ErrorClass, refuses } from "../support/refuses.ts";

const MAX_U64 = 2n ** 64n - 1n;

const tiny = (options: TinyLlamaOptions = {}) => tinyLlamaGguf(options).bytes;

describe("Llama.load() of tokenizers that make no sense", () => {
  const vocab = tinyVocab();
  const types = (change: (types: Int32Array) => void): GgufValue => {
    const copy = vocab.types.slice();
    change(copy);
    return metaArray("i32", copy);
  };
  const piece = (id: number, text: string) => metaArray("string", vocab.pieces.with(id, text));
  const larger = tinyVocab(320);
  const cases: [string, Record<string, GgufValue | undefined>, RegExp, ErrorClass?][] = [
    [
      "scores of u8",
      { scores: metaArray("u8", Array(300).fill(1)) },
      /Expected an array of f32, got an array of u8$/,
    ],
    [
      "scores of f64",
      { scores: metaArray("f64", vocab.scores) },
      /Expected an array of f32, got an array of f64$/,
    ],
    ["a single score", { scores: meta("f32", 1) }, /Expected an array of f32, got a value of type f32$/],
    [
      "too few scores",
      { scores: metaArray("f32", [1]) },
      /Expected 300 elements, one for each token, got 1$/,
    ],
    [
      "a score of NaN",
      { scores: metaArray("f32", vocab.scores.with(7, Number.NaN)) },
      /score of piece 7, got NaN$/,
    ],
    [
      "too many types",
      { token_type: metaArray("i32", Array(301).fill(1)) },
      /Expected 300 elements, .* got 301$/,
    ],
    [
      "types of u32",
      { token_type: metaArray("u32", vocab.types) },
      /Expected an array of i32, got an array of u32$/,
    ],
    ["an unknown type", { token_type: types((t) => t.set([7], 5)) }, /Expected 0 to 6 for token 5, got 7$/],
    [
      "replacement rules",
      { precompiled_charsmap: metaArray("u8", [4, 0, 0, 0, 0]) },
      /Unsupported metadata key "tokenizer\.ggml\.precompiled_charsmap"; supported: files without it$/,
      UnsupportedError,
    ],
    [
      "tokens of numbers",
      { tokens: metaArray("u32", [1, 2]) },
      /Expected an array of string, got an array of u32$/,
    ],
    ["no tokens", { tokens: undefined }, /Expected an array of strings, got nothing$/],
    ["an empty vocabulary", { tokens: metaArray("string", []) }, /Expected 0 elements, .* got 300$/],
    [
      "an id in words",
      { bos_token_id: meta("string", "1") },
      /Expected an integer, got a value of type string$/,
    ],
    [
      "byte <0x-1>",
      { tokens: piece(3, "<0x-1>") },
      /byte token 3 to be one of <0x00> to <0xFF>, got "<0x-1>"$/,
    ],
    ["byte <0xZZ>", { tokens: piece(9, "<0xZZ>") }, /byte token 9 .*, got "<0xZZ>"$/],
    [
      "a kind that is not supported",
      { model: meta("string", "bert") },
      /Unsupported model "bert"; supported: llama, /,
      UnsupportedError,
    ],
    [
      "more tokens than the embedding has rows",
      {
        tokens: metaArray("string", larger.pieces),
        scores: metaArray("f32", larger.scores),
        token_type: metaArray("i32", larger.types),
      },
      /Expected a vocabulary of at most 300 tokens \(rows of token_embd\.weight\), got 320$/,
    ],
    [
      "neither bytes nor an unknown token",
      { token_type: types((t) => t.fill(1, 0, 259)), unknown_token_id: undefined },
      /no byte tokens and no unknown token$/,
    ],
    [
      "no vocabulary at all",
      { model: meta("string", "none") },
      /got none; name one with .*--tokenizer/,
      TokenizerError,
    ],
  ];
  const tokenizer = (changes: Record<string, GgufValue | undefined>) =>
    tiny({
      nLayers: 1,
      metadata: Object.fromEntries(
        Object.entries(changes).map(([key, value]) => [`tokenizer.ggml.${key}`, value]),
      ),
    });
  for (const [title, changes, message, type] of cases) {
    it(`refuses ${title}`, () => refuses(tokenizer(changes), message, type));
  }

  it("passes special ids outside the vocabulary over, and says so in llama.warnings", async () => {
    const warning = (key: string, id: unknown) =>
      `Metadata key "tokenizer.ggml.${key}" of bytes: Expected an id of a vocabulary of 300 tokens, got ${id}; it is passed over`;
    const cases: [Record<string, GgufValue | undefined>, string[]][] = [
      [{}, []],
      [{ bos_token_id: meta("u32", 300) }, [warning("bos_token_id", 300)]],
      [
        { eos_token_id: meta("u64", MAX_U64), eot_token_id: meta("i32", -1) },
        [warning("eos_token_id", MAX_U64), warning("eot_token_id", -1)],
      ],
      [{ unknown_token_id: meta("u32", 2 ** 32 - 1) }, [warning("unknown_token_id", 2 ** 32 - 1)]],
    ];
    await using plain = await Llama.load(tokenizer({}), { threads: 1 });
    const expected = await plain.complete("the king", { maxTokens: 3, temperature: 0 });
    for (const [changes, warnings] of cases) {
      // The ids that there are by default in a vocabulary of this kind take their place, as without the keys.
      await using llama = await Llama.load(tokenizer(changes), { threads: 1 });
      assert.deepEqual(llama.warnings, warnings);
      assert.deepEqual([llama.tokenizer.bosId, llama.tokenizer.eosIds], [1, [2]]);
      const { ids } = await llama.complete("the king", { maxTokens: 3, temperature: 0 });
      assert.deepEqual(ids, expected.ids);
    }
    // Also of a tokenizer from another file.
    await using other = await Llama.load(tokenizer({}), {
      threads: 1,
      tokenizer: tokenizer({ bos_token_id: meta("u32", 300) }),
    });
    assert.deepEqual(other.warnings, [warning("bos_token_id", 300)]);
  });

  it("takes a vocabulary without scores: of all merges the first of a text counts", async () => {
    await using llama = await Llama.load(tokenizer({ scores: undefined }), { threads: 1 });
    const { tokenizer: flat } = llama;
    const texts = (text: string) => flat.encode(text, { bos: false }).map((id) => flat.piece(id));
    assert.deepEqual(texts("the"), ["▁the"]);
    assert.deepEqual(texts("end"), ["▁", "en", "d"]);
    await using plain = await Llama.load(tokenizer({}), { threads: 1 });
    assert.deepEqual(
      plain.tokenizer.encode("end", { bos: false }).map((id) => flat.piece(id)),
      ["▁", "e", "nd"],
    );
    await using integers = await Llama.load(
      tokenizer({ scores: metaArray("i32", Int32Array.from(vocab.scores)) }),
      { threads: 1 },
    );
    for (const text of ["the end and the king", "tering"]) {
      assert.deepEqual(integers.tokenizer.encode(text), plain.tokenizer.encode(text));
    }
  });

  it("takes undefined types for what the pieces are spelled as", async () => {
    const all = types((t) => t.fill(0));
    await using llama = await Llama.load(tokenizer({ token_type: all }), { threads: 1 });
    await using untyped = await Llama.load(tokenizer({ token_type: undefined }), { threads: 1 });
    const text = "the king é z";
    for (const each of [llama, untyped]) {
      assert.deepEqual([each.tokenizer.bosId, each.tokenizer.eosIds], [1, [2]]);
      assert.equal(each.tokenizer.decode(each.tokenizer.encode(text)), text);
    }
    assert.deepEqual(llama.tokenizer.encode(text), untyped.tokenizer.encode(text));
    await using one = await Llama.load(tokenizer({ token_type: types((t) => t.set([0], 299)) }), {
      threads: 1,
    });
    assert.deepEqual(
      [one.tokenizer.decode([299]), one.tokenizer.encode("z", { bos: false }).at(-1)],
      ["z", 299],
    );
  });

  it("takes a vocabulary without byte tokens: what is unknown becomes the unknown token", async () => {
    await using llama = await Llama.load(tokenizer({ token_type: types((t) => t.fill(1, 3, 259)) }), {
      threads: 1,
    });
    assert.deepEqual(llama.tokenizer.encode("é", { bos: false }), [
      llama.tokenizer.encode("▁", { bos: false })[0],
      0,
    ]);
    assert.equal((await llama.complete("the é é", { maxTokens: 4 })).usage.generatedTokens, 4);
  });

  it("says which character a vocabulary cannot encode", async () => {
    // One byte token is left, and no unknown token.
    const poor = { token_type: types((t) => t.fill(1, 0, 258)), unknown_token_id: undefined };
    await using llama = await Llama.load(tokenizer(poor), { threads: 1 });
    await refused(
      llama.complete("the é"),
      /^Cannot encode U\+00E9: Expected a piece, byte tokens or an unknown token for it, the vocabulary has none$/,
      TokenizerError,
    );
    assert.equal((await llama.complete("the king", { maxTokens: 2 })).usage.generatedTokens, 2);
  });

  it("takes pieces of 100 KB and a vocabulary smaller than the embedding", async () => {
    await using long = await Llama.load(tokenizer({ tokens: piece(299, "x".repeat(1e5)) }), { threads: 1 });
    assert.equal((await long.complete("x".repeat(50), { maxTokens: 2 })).usage.generatedTokens, 2);
    const most = {
      metadata: Object.fromEntries(
        Object.entries({
          tokens: metaArray("string", vocab.pieces),
          scores: metaArray("f32", vocab.scores),
          token_type: metaArray("i32", vocab.types),
        }).map(([key, value]) => [`tokenizer.ggml.${key}`, value]),
      ),
    };
    await using padded = await Llama.load(tiny({ ...most, nLayers: 1, vocabSize: 512 }), { threads: 1 });
    assert.equal(padded.tokenizer.vocabSize, 300);
    const { ids } = await padded.complete("the", {
      maxTokens: 50,
      temperature: 5,
      topK: 0,
      topP: 1,
      ignoreEos: true,
    });
    assert.ok(
      ids.every((id) => id < 300),
      "padding is never drawn",
    );
  });

  it("refuses tokenizer files that are none, or another model's", async () => {
    const model = tokenizer({ model: meta("string", "none") });
    const refusesFile = (bytes: Uint8Array, message: RegExp, type: ErrorClass = FormatError) =>
      refuses(model, message, type, { tokenizer: bytes });
    await refusesFile(new Uint8Array(0), /^Cannot read bytes: The file is empty$/);
    await refusesFile(
      new TextEncoder().encode('{"model": {}}'),
      /Model .* is not supported; supported: BPE, Unigram/,
      UnsupportedError,
    );
    await refusesFile(tokenizerBin(larger), /Expected 300 pieces, as the model has, got 320$/);
    await refusesFile(tokenizerBin(tinyVocab()).slice(0, -3), /^Cannot read bytes: ./);
    await refusesFile(model, /Expected a tokenizer in the file, got none/, TokenizerError);
    await refusesFile(
      tokenizer({ scores: metaArray("f64", [1]) }),
      /scores": Expected an array of f32, got /,
    );
  });
});
