// Tokenizers in GGUF files.
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { readGguf } from "../../../src/format/gguf/header.ts";
import { bytesSource } from "../../../src/source/bytes.ts";
import type { SentencePieceData } from "../../../src/tokenizer/core/vocabulary_data.ts";
import type { TokenizerData } from "../../../src/tokenizer/registry.ts";
import { FormatError, UnsupportedError } from "../../../src/util/errors.ts";
import { fixtureBytes } from "../../support/fixtures.ts";
import { type GgufValue, meta, metaArray, tinyLlamaGguf, tinyVocab } from "../../support/gguf_writer.ts";
import { itOn, sharedBytes } from "../../support/shared.ts";

/** The tokenizer of the tiny model with changed keys (without their "tokenizer.ggml."). */
async function tokenizer(
  changes: Record<string, GgufValue | undefined>,
): Promise<SentencePieceData | undefined> {
  const metadata = Object.fromEntries(
    Object.entries(changes).map(([key, value]) => [`tokenizer.ggml.${key}`, value]),
  );
  const { bytes } = tinyLlamaGguf({ metadata, nLayers: 0, dim: 8, tied: true });
  const model = await readGguf(bytesSource(bytes, "t.gguf"));
  return sentencePiece(model.tokenizer());
}

function sentencePiece(data: TokenizerData | undefined): SentencePieceData | undefined {
  if (data === undefined) return undefined;
  assert.ok(data.kind === "spm-bpe" || data.kind === "spm-unigram");
  return data;
}

async function refuses(
  changes: Record<string, GgufValue | undefined>,
  message: RegExp,
  type: typeof FormatError | typeof UnsupportedError = FormatError,
): Promise<void> {
  await assert.rejects(tokenizer(changes), (error) => {
    assert.ok(error instanceof type, String(error));
    assert.match(error.message, /^Cannot read the tokenizer of t\.gguf: /);
    assert.match(error.message, message);
    return true;
  });
}

const without = {
  model: undefined,
  tokens: undefined,
  scores: undefined,
  token_type: undefined,
} as const;
const noIds = { bos_token_id: undefined, eos_token_id: undefined, unknown_token_id: undefined } as const;

/** A vocabulary of its own. */
const vocab = (pieces: string[]): Record<string, GgufValue | undefined> => ({
  tokens: metaArray("string", pieces),
  scores: metaArray("f32", new Float32Array(pieces.length)),
  token_type: undefined,
  ...noIds,
});

describe("ggufTokenizer", () => {
  it("tokenizer() gives pieces, scores, types, ids and flags", async () => {
    const expected = tinyVocab();
    const data = await tokenizer({});
    assert.ok(data);
    assert.equal(data.kind, "spm-bpe");
    assert.deepEqual(data.pieces, expected.pieces);
    assert.deepEqual(data.scores, expected.scores);
    assert.deepEqual(data.types, Uint8Array.from(expected.types));
    assert.deepEqual([data.bosId, data.eosIds, data.unkId], [1, [2], 0]);
    assert.deepEqual([data.addBos, data.addEos], [true, false]);
    assert.deepEqual([data.addDummyPrefix, data.removeExtraWhitespaces], [true, false]);
    assert.equal(data.userDefinedSplitsText, true);
  });

  it("tokenizer() gives unigram vocabularies with their rules, and T5's defaults", async () => {
    const pieces = vocab(["<pad>", "</s>", "<unk>", "a"]);
    const t5 = { model: meta("string", "t5"), ...pieces, add_bos_token: undefined, add_eos_token: undefined };
    const types = metaArray("i32", [3, 3, 2, 1]);
    const rules = Uint8Array.of(4, 0, 0, 0, 250, 1, 2, 3, 0);
    const plain = await tokenizer({ ...t5, token_type: types });
    assert.equal(plain?.kind, "spm-unigram");
    assert.deepEqual([plain.bosId, plain.eosIds, plain.unkId], [undefined, [1], 2]);
    assert.deepEqual([plain.addBos, plain.addEos, plain.addDummyPrefix], [false, true, false]);
    assert.equal(plain.charsmap, undefined);
    for (const type of ["u8", "i8"] as const) {
      const data = await tokenizer({
        ...{ ...t5, token_type: types, precompiled_charsmap: metaArray(type, new Int8Array(rules)) },
        ...{ add_space_prefix: meta("bool", true), remove_extra_whitespaces: meta("bool", true) },
      });
      assert.deepEqual(data?.charsmap, rules);
      assert.deepEqual([data.addDummyPrefix, data.removeExtraWhitespaces], [true, true]);
    }
    await refuses(
      { ...t5, precompiled_charsmap: metaArray("f32", [1]) },
      /precompiled_charsmap": Expected an array of u8, got an array of f32$/,
    );
  });

  it("tokenizer() takes flags from the file, and defaults where it has none", async () => {
    const keys = ["add_bos_token", "add_eos_token", "add_space_prefix", "remove_extra_whitespaces"];
    const flags = (data: SentencePieceData | undefined) =>
      data && [data.addBos, data.addEos, data.addDummyPrefix, data.removeExtraWhitespaces];
    const all = (value: GgufValue | undefined) => Object.fromEntries(keys.map((key) => [key, value]));
    assert.deepEqual(flags(await tokenizer(all(undefined))), [true, false, true, false]);
    assert.deepEqual(flags(await tokenizer(all(meta("bool", true)))), [true, true, true, true]);
    assert.deepEqual(flags(await tokenizer(all(meta("bool", false)))), [false, false, false, false]);
    for (const key of keys)
      await refuses({ [key]: meta("u8", 1) }, new RegExp(`${key}": Expected a bool, got .* u8`));
  });

  it("tokenizer() takes special ids from the file", async () => {
    const data = await tokenizer({
      bos_token_id: meta("u32", 7),
      eos_token_id: meta("i32", 8),
      unknown_token_id: meta("u64", 299),
      eot_token_id: meta("u16", 9),
      eom_token_id: meta("u8", 8),
    });
    assert.deepEqual([data?.bosId, data?.eosIds, data?.unkId], [7, [8, 9, 2], 299]);
    const many = await tokenizer({ eos_token_ids: metaArray("u32", [9, 2, 300, 10]) });
    assert.deepEqual(many?.eosIds, [2, 9, 10]);
    assert.match(many?.warnings?.[0] ?? "", /eos_token_ids" .*, got 300; it is passed over$/);
    await refuses(
      { eos_token_ids: metaArray("f32", [9]) },
      /Expected an array of integers, got an array of f32$/,
    );
    await refuses(
      { eos_token_ids: meta("u32", 9) },
      /Expected an array of integers, got a value of type u32$/,
    );
  });

  it("tokenizer() takes the fill tokens of code models for ends, by their keys or names", async () => {
    const pieces = [
      "<unk>",
      "<s>",
      "a",
      "<|fim_pad|>",
      "<|repo_name|>",
      "<|file_sep|>",
      "[EOS]",
      "<|fim_prefix|>",
    ];
    const data = await tokenizer({
      ...vocab(pieces),
      token_type: metaArray("i32", [2, 3, 1, 3, 3, 4, 1, 3]),
    });
    assert.deepEqual(data?.eosIds, [6, 3, 4, 5]);
    assert.deepEqual(Array.from(data?.types ?? []), [2, 3, 1, 3, 3, 3, 3, 3]);
    const keyed = await tokenizer({
      ...vocab(pieces),
      fim_pad_token_id: meta("u32", 7),
      fim_sep_token_id: meta("u32", 99),
    });
    assert.deepEqual(keyed?.eosIds, [6, 7, 4, 5]);
    assert.match(keyed?.warnings?.join() ?? "", /fim_sep_token_id" .* got 99; it is passed over$/);
  });

  it("tokenizer() leaves out ends that are parts of an answer in some vocabularies", async () => {
    const ends = async (...texts: string[]) =>
      (await tokenizer(vocab(["<unk>", "<s>", "x", ...texts])))?.eosIds;
    assert.deepEqual(await ends("<|end|>", "<|return|>", "<|call|>"), [4, 5]);
    assert.deepEqual(await ends("<|end|>", "<|flush|>", "<|calls|>"), [4, 5]);
    assert.deepEqual(await ends("<|end|>", "<|return|>"), [3, 4]);
    assert.deepEqual(await ends("</s>", "<|tool_response>"), [4]);
    assert.deepEqual(await ends("</s>"), [3]);
  });

  it("tokenizer() takes tokens that end a turn for ends by their names", async () => {
    const data = await tokenizer({
      ...vocab(["<unk>", "<s>", "</s>", "a", "<|im_start|>", "<|im_end|>", "<end_of_turn>"]),
      token_type: metaArray("i32", [2, 3, 3, 1, 4, 4, 1]),
    });
    assert.deepEqual(data?.eosIds, [2, 5, 6]);
    assert.deepEqual(Array.from(data?.types ?? []), [2, 3, 3, 1, 4, 3, 3]);
  });

  it("tokenizer() uses the default ids where special tokens are there", async () => {
    const ids = async (changes: Record<string, GgufValue | undefined>) => {
      const data = await tokenizer(changes);
      return data && [data.bosId, data.eosIds, data.unkId];
    };
    assert.deepEqual(await ids(noIds), [1, [2], 0]);
    assert.deepEqual(await ids(vocab(["<unk>", "<s>", "</s>", "a"])), [1, [2], 0]);
    assert.deepEqual(await ids(vocab(["a", "b", "c", "d"])), [undefined, [], undefined]);
    assert.deepEqual(await ids(vocab(["<unk>"])), [undefined, [], 0]);
    assert.deepEqual(await ids(vocab([])), [undefined, [], undefined]);
  });

  it("tokenizer() infers types from how pieces are spelled where the file has none", async () => {
    const pieces = [
      "<unk>",
      "<s>",
      "</s>",
      "<0x00>",
      "<0xfF>",
      "<0x-1>",
      "<0xZZ>",
      "<0x0>",
      "<0x000>",
      "a",
      "",
    ];
    const data = await tokenizer(vocab(pieces));
    assert.deepEqual(Array.from(data?.types ?? []), [2, 3, 3, 6, 6, 1, 1, 1, 1, 1, 1]);
  });

  it("tokenizer() is undefined where the file has none", async () => {
    assert.equal(await tokenizer(without), undefined);
    for (const model of ["no_vocab", "none"]) {
      assert.equal(await tokenizer({ ...without, model: meta("string", model) }), undefined);
    }
  });

  it("tokenizer() names other tokenizers and what is supported", async () => {
    for (const model of ["gpt-2", "bert", "rwkv", "", "__proto__", "constructor"]) {
      const message = new RegExp(`Unsupported model "${model}"; supported: llama, t5, gpt2$`);
      await refuses({ model: meta("string", model) }, message, UnsupportedError);
    }
  });

  it("tokenizer() refuses missing keys", async () => {
    await refuses({ model: undefined }, /"tokenizer\.ggml\.model": Expected a string, got nothing$/);
    await refuses(
      { tokens: undefined },
      /"tokenizer\.ggml\.tokens": Expected an array of strings, got nothing$/,
    );
  });

  it("tokenizer() refuses values and elements of other types", async () => {
    await refuses({ model: meta("u32", 1) }, /model": Expected a string, got a value of type u32$/);
    await refuses(
      { tokens: meta("string", "a") },
      /tokens": Expected an array of string, got a value of type string$/,
    );
    await refuses(
      { tokens: metaArray("u8", [1]) },
      /tokens": Expected an array of string, got an array of u8$/,
    );
    for (const type of ["u8", "u32", "f64"] as const) {
      const message = new RegExp(`scores": Expected an array of f32, got an array of ${type}$`);
      await refuses({ scores: metaArray(type, new Uint8Array(300)) }, message);
    }
    for (const type of ["u8", "u32", "f32", "i64"] as const) {
      const message = new RegExp(`token_type": Expected an array of i32, got an array of ${type}$`);
      await refuses({ token_type: metaArray(type, new Uint8Array(300).fill(1)) }, message);
    }
    for (const key of ["bos", "eos", "unknown", "eot", "eom"]) {
      const message = new RegExp(
        `${key}_token_id": Expected an integer, got a value of type (f32|bool|string)$`,
      );
      await refuses({ [`${key}_token_id`]: meta("f32", 1) }, message);
      await refuses({ [`${key}_token_id`]: meta("bool", true) }, message);
      await refuses({ [`${key}_token_id`]: meta("string", "1") }, message);
    }
  });

  it("tokenizer() refuses tokens, scores and types of different lengths", async () => {
    for (const n of [0, 1, 299, 301]) {
      const message = new RegExp(`Expected 300 elements, one for each token, got ${n}$`);
      await refuses({ scores: metaArray("f32", new Float32Array(n)) }, message);
      await refuses({ token_type: metaArray("i32", new Int32Array(n).fill(1)) }, message);
    }
  });

  it("tokenizer() warns of ids outside the vocabulary, and refuses types that are none", async () => {
    for (const key of ["bos", "eos", "unknown", "eot", "eom"]) {
      for (const value of [
        meta("u32", 300),
        meta("u32", 2 ** 32 - 1),
        meta("i32", -1),
        meta("u64", 2n ** 63n),
      ]) {
        const data = await tokenizer({ [`${key}_token_id`]: value });
        assert.deepEqual([data?.bosId, data?.eosIds, data?.unkId], [1, [2], 0]);
        assert.deepEqual(data?.warnings, [
          `Metadata key "tokenizer.ggml.${key}_token_id" of t.gguf: Expected an id of a vocabulary of 300 tokens, got ${value.value}; it is passed over`,
        ]);
      }
    }
    const ordinary = vocab(["a", "b", "c", "d"]);
    for (const flag of [undefined, meta("bool", true), meta("bool", false)]) {
      const data = await tokenizer({
        ...ordinary,
        bos_token_id: meta("u32", 4),
        eos_token_id: meta("u32", 4),
        add_bos_token: flag,
        add_eos_token: flag,
      });
      assert.deepEqual(
        [data?.bosId, data?.eosIds, data?.addBos, data?.addEos],
        [undefined, [], false, false],
      );
    }
    const zeros = await tokenizer({ token_type: metaArray("i32", new Int32Array(300)) });
    assert.deepEqual(Array.from(zeros?.types ?? []).slice(0, 4), [2, 3, 3, 6]);
    assert.deepEqual(Array.from(zeros?.types ?? []).slice(258), [6, ...Array(41).fill(1)]);
    for (const type of [-1, 7, 2 ** 31 - 1]) {
      const types = new Int32Array(300).fill(1);
      types[299] = type;
      await refuses(
        { token_type: metaArray("i32", types) },
        new RegExp(`Expected 0 to 6 for token 299, got ${type}$`),
      );
    }
  });

  const llama2 = "vocabs/llama-spm.gguf";
  const vocabularies = [
    {
      name: "bpe.gguf",
      value: { bytes: () => fixtureBytes("bpe.gguf"), size: 800, space: 571, second: "er", character: "粉" },
    },
    {
      name: llama2,
      needs: [llama2],
      value: {
        bytes: () => sharedBytes(llama2),
        size: 32000,
        space: 29871,
        second: "▁t",
        character: "\ufeff",
      },
    },
  ];
  itOn(vocabularies, "tokenizer() reads a whole vocabulary", async (known) => {
    const model = await readGguf(bytesSource(known.bytes()));
    const data = sentencePiece(model.tokenizer());
    assert.ok(data);
    assert.equal(data.pieces.length, known.size);
    assert.deepEqual(data.pieces.slice(0, 4), ["<unk>", "<s>", "</s>", "<0x00>"]);
    assert.equal(data.pieces[known.space], "▁");
    assert.ok(data.pieces.includes(known.character));
    assert.equal(new Set(data.pieces).size, known.size);
    assert.deepEqual(Array.from(data.types).slice(0, 4), [2, 3, 3, 6]);
    assert.deepEqual([data.pieces[260], data.scores[260], data.types[260]], [known.second, -1, 1]);
    assert.deepEqual([data.bosId, data.eosIds, data.unkId, data.addBos], [1, [2], 0, true]);
  });
});
