// Byte-level BPE tokenizers in GGUF files.
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { readGguf } from "../../../src/format/gguf/header.ts";
import { ggufTokenizer } from "../../../src/format/gguf/stored_tokenizer.ts";
import { bytesSource } from "../../../src/source/bytes.ts";
import type { Tokenizer } from "../../../src/tokenizer/core/tokenizer.ts";
import { type ByteBpeData, TokenType } from "../../../src/tokenizer/core/vocabulary_data.ts";
import { pretokenizerNames } from "../../../src/tokenizer/pretokenize/registry.ts";
import { createTokenizer } from "../../../src/tokenizer/registry.ts";
import { FormatError, UnsupportedError } from "../../../src/util/errors.ts";
import { byteLevelKeys } from "../../support/byte_level_vocab.ts";
import { fixtureBytes } from "../../support/fixtures.ts";
import { type GgufValue, meta, metaArray, tinyLlamaGguf } from "../../support/gguf_writer.ts";
import { itOn, sharedBytes } from "../../support/shared.ts";

type Changes = Record<string, GgufValue | undefined>;

/** Tokens that follow the 256 bytes; their ids begin there. */
const pieces = ["Ġt", "Ġth", "he", "Ġthe", "äº", "äºº", "<|endoftext|>", "<|im_end|>", "a  b", "<0x80>"];
const merges = ["Ġ t", "Ġt h", "h e", "Ġt he", "ä º", "äº º"];
const types = [1, 1, 1, 1, 1, 1, 3, 1, 4, 6];
const END = 262;

/** The vocabulary with changed keys (without their "tokenizer.ggml."). */
async function data(changes: Changes = {}): Promise<ByteBpeData> {
  const keys = { ...byteLevelKeys(pieces, merges, types), ...changes };
  const metadata = Object.fromEntries(
    Object.entries(keys).map(([key, value]) => [`tokenizer.ggml.${key}`, value]),
  );
  const { bytes } = tinyLlamaGguf({ metadata, nLayers: 0, dim: 8, tied: true });
  const found = (await readGguf(bytesSource(bytes, "t.gguf"))).tokenizer();
  assert.ok(found?.kind === "byte-bpe");
  return found;
}

async function tokenizer(changes?: Changes): Promise<Tokenizer> {
  return createTokenizer(await data(changes));
}

async function refuses(
  changes: Changes,
  message: RegExp,
  type: typeof FormatError | typeof UnsupportedError = FormatError,
): Promise<void> {
  await assert.rejects(tokenizer(changes), (error) => {
    assert.ok(error instanceof type, String(error));
    assert.match(error.message, message);
    return true;
  });
}

describe("byteBpeTokenizer()", () => {
  it("tokenizer() gives bytes, merges, types, ids and flags", async () => {
    const found = await data();
    assert.equal(found.types.length, 266);
    assert.deepEqual(Array.from(found.merges ?? []).slice(0, 6), [0x20, 0x74, 256, 256, 0x68, 257]);
    assert.deepEqual(
      found.bytes.slice(found.offsets[259], found.offsets[260]),
      Uint8Array.of(0x20, 0x74, 0x68, 0x65),
    );
    assert.deepEqual(
      [found.pretokenizer, found.wholeWords, found.bosId, found.unkId, found.addBos, found.addEos],
      ["gpt-2", false, END, undefined, false, false],
    );
  });

  it("encode() merges by the merges, not by ids or because two make a token", async () => {
    const { encode } = await tokenizer().then((each) => ({ encode: (text: string) => each.encode(text) }));
    assert.deepEqual(encode(" the"), [257, 0x65]);
    assert.deepEqual(encode("he"), [258]);
    assert.deepEqual(encode("人"), [261]);
    assert.deepEqual(encode(" a"), [0x20, 0x61]);
  });

  it("encode() takes the text of tokens that are special, and merges of any other", async () => {
    const each = await tokenizer();
    assert.deepEqual(each.encode("he<|endoftext|>", { special: true }), [258, END]);
    assert.equal(each.encode("<|endoftext|>").length, 13);
    // User-defined: as it is in the file, spaces and all.
    assert.deepEqual(each.encode("xa  bx"), [0x78, 264, 0x78]);
    assert.equal(each.decode([264, 265]), "a  b\ufffd");
    assert.deepEqual([each.piece(257), each.piece(264)], ["Ġth", "a  b"]);
  });

  it("tokenizer() takes tokens that end a turn for ends by their names", async () => {
    assert.deepEqual((await data()).eosIds, [END, 263]);
    assert.equal((await data()).types[263], TokenType.control);
    const named = {
      eos_token_id: meta("u32", 0),
      eot_token_id: meta("u32", 1),
      eom_token_id: meta("u32", 2),
    };
    assert.deepEqual((await data(named)).eosIds, [0, 1, 2, END, 263]);
    const harmony = byteLevelKeys(["<|return|>", "<|call|>", "<|end|>"], [], [3, 3, 3]);
    assert.deepEqual((await data({ ...harmony, eos_token_id: undefined })).eosIds, [256, 257]);
  });

  it("tokenizer() takes ids and flags from the file, and llama.cpp's defaults where it has none", async () => {
    const none = { bos_token_id: undefined, eos_token_id: undefined };
    assert.equal((await data(none)).bosId, undefined);
    const special = [...Array(266).keys()].map((id) => (id === 11 ? 3 : 1));
    const control = await data({ ...none, token_type: metaArray("i32", special) });
    assert.deepEqual([control.bosId, control.eosIds[0]], [11, 11]);
    assert.equal((await data({ add_bos_token: meta("bool", true) })).addBos, true);
    assert.equal((await data({ add_eos_token: meta("bool", true) })).addEos, true);
    for (const pre of ["llama-bpe", "tekken"]) {
      const named = { pre: meta("string", pre) };
      assert.deepEqual([(await data(named)).addBos, (await data(named)).wholeWords], [true, true], pre);
      assert.equal((await data({ ...named, ...none })).addBos, false);
      assert.equal((await data({ ...named, add_bos_token: meta("bool", false) })).addBos, false);
    }
    for (const pre of ["glm4", "chatglm-bpe"]) {
      const found = await data({ ...none, pre: meta("string", pre), token_type: metaArray("i32", special) });
      assert.deepEqual([found.bosId, found.eosIds[0], found.addBos], [undefined, 11, false], pre);
    }
    await refuses({ ...none, add_bos_token: meta("bool", true) }, /Expected a BOS id, as BOS is to be added/);
  });

  it("tokenizer() ignores add_space_prefix, as llama.cpp does", async () => {
    const each = await tokenizer({ add_space_prefix: meta("bool", true) });
    assert.deepEqual(each.encode("he"), [258]);
    assert.equal(each.decode(each.encode(" he")), " he");
  });

  it("tokenizer() knows the pre-tokenizers, takes none for the default, and lists them for another", async () => {
    assert.equal((await data({ pre: undefined })).pretokenizer, "default");
    for (const pre of ["default", "qwen2", "smaug-bpe", "gpt-4o", "deepseek-r1-qwen"]) {
      assert.equal((await data({ pre: meta("string", pre) })).pretokenizer, pre);
      assert.ok(pretokenizerNames.includes(pre));
    }
    assert.equal((await data({ pre: meta("string", "") })).pretokenizer, "default");
    for (const pre of ["gpt-5", "gemma4", "cl100k_base", "__proto__"]) {
      await refuses(
        { pre: meta("string", pre) },
        /^Cannot read the tokenizer of t\.gguf: Unsupported pre-tokenizer ".*"; supported: default, llama-bpe, .*viking, /,
        UnsupportedError,
      );
    }
    await refuses({ pre: meta("u32", 1) }, /pre": Expected a string, got a value of type u32$/);
  });

  it("tokenizer() refuses merges of a wrong type or form, or of tokens that are none", async () => {
    await refuses({ merges: undefined }, /merges": Expected an array of strings, got nothing$/);
    await refuses(
      { merges: meta("string", "a b") },
      /Expected an array of string, got a value of type string$/,
    );
    await refuses({ merges: metaArray("u32", [1, 2]) }, /Expected an array of string, got an array of u32$/);
    for (const merge of ["", " ", "ab", "a ", " b", "a"]) {
      await refuses(
        { merges: metaArray("string", ["Ġ t", merge]) },
        /Expected two tokens and a space between them as merge 1/,
      );
    }
    for (const merge of ["a b", "x  y", "hé e", "Ġt e", "<|endoftext|> a", "a b c", "中 a"]) {
      await refuses(
        { merges: metaArray("string", ["Ġ t", merge]) },
        /merges": Expected merge 1 to be of tokens of the vocabulary, got ".*": ".*" is none$/,
      );
    }
  });

  it("tokenizer() takes no merges at all: every byte is a token", async () => {
    const each = await tokenizer({ merges: metaArray("string", []) });
    assert.deepEqual(each.encode("the 人"), Array.from(new TextEncoder().encode("the 人")));
  });

  it("tokenizer() lets the first of equal merges and of equal tokens count", async () => {
    const each = await tokenizer({ merges: metaArray("string", ["h e", "Ġ t", "h e"]) });
    assert.deepEqual(each.encode(" the"), [256, 258]);
    const twice = byteLevelKeys(["he", "he"], ["h e"], [1, 1]);
    assert.deepEqual(
      (await tokenizer({ ...twice, eos_token_id: undefined, bos_token_id: undefined })).encode("he"),
      [256],
    );
  });

  it("tokenizer() refuses byte tokens that are none, tokens of another number, ids outside", async () => {
    for (const piece of ["<0x-1>", "<0xZZ>", "<0x1>", "", "<0xff>"]) {
      const changed = byteLevelKeys([...pieces.slice(0, -1), piece], merges, types);
      await refuses(changed, /Expected byte token 265 to be one of <0x00> to <0xFF>, got "/);
    }
    await refuses({ token_type: metaArray("i32", [1]) }, /Expected 266 elements, one for each token, got 1$/);
    await refuses({ tokens: undefined }, /tokens": Expected an array of strings, got nothing$/);
    await refuses({ tokens: metaArray("string", []) }, /Expected 0 elements|Expected at least one token/);
    await refuses(
      {
        tokens: metaArray("string", []),
        token_type: undefined,
        bos_token_id: undefined,
        eos_token_id: undefined,
      },
      /tokens": Expected at least one token, got none$/,
    );
    for (const key of ["bos", "eos", "unknown", "eot", "eom"]) {
      const { warnings, addBos } = await data({
        [`${key}_token_id`]: meta("u32", 266),
        add_bos_token: meta("bool", true),
      });
      assert.match(
        warnings?.join() ?? "",
        /_token_id" of t\.gguf: Expected an id of a vocabulary of 266 tokens, got 266; /,
      );
      assert.equal(addBos, key !== "bos");
    }
  });

  it("tokenizer() keeps normal tokens that are not in the alphabet for decoding", async () => {
    const each = await tokenizer(byteLevelKeys(["a b", "中"], [], [1, 1]));
    assert.equal(each.decode([256, 257]), "a b中");
    assert.deepEqual(each.encode("中"), [0xe4, 0xb8, 0xad]);
  });

  it("tokenizer() takes normal tokens where the file has no types, and pieces of 100 KB", async () => {
    const untyped = await tokenizer({ token_type: undefined });
    assert.deepEqual(untyped.encode(" th"), [257]);
    assert.equal(untyped.eosIds[0], END);
    const long = "x".repeat(1e5);
    const each = await tokenizer(byteLevelKeys([long], [], [1]));
    assert.equal(each.encode(long).length, 1e5);
    assert.equal(each.decode([256]), long);
  });

  const gpt2 = "vocabs/gpt-2.gguf";
  const vocabularies = [
    {
      name: "gpt2.gguf",
      value: { bytes: () => fixtureBytes("gpt2.gguf"), size: 701, merges: 444, tilde: [220, 93] },
    },
    {
      name: gpt2,
      needs: [gpt2],
      value: { bytes: () => sharedBytes(gpt2), size: 50257, merges: 50000, tilde: [5299] },
    },
  ];
  itOn(vocabularies, "encode() splits with each name as llama.cpp does today", async (known) => {
    const { metadata, tokenizer: read } = await readGguf(bytesSource(known.bytes()));
    assert.ok(read());
    const encode = (pre: string, text: string) => {
      const keys = new Map(metadata).set("tokenizer.ggml.pre", { type: "string", value: pre });
      const found = ggufTokenizer(keys, "gpt-2.gguf");
      return createTokenizer(found as ByteBpeData).encode(text, { bos: false });
    };
    for (const pre of ["deepseek-v3", "hunyuan-dense", "joyai-llm", "hy_v4", "spark2_5", "afmoe"]) {
      assert.deepEqual(encode(pre, "~'s"), [93, 6, 82], pre);
      assert.deepEqual(encode(pre, " ~"), known.tilde, pre);
    }
    assert.deepEqual(encode("deepseek-v3", "it's ~/x"), encode("gpt-2", "it's ~/x"));
  });

  itOn(vocabularies, "tokenizer() reads a whole vocabulary", async ({ bytes, size, merges }) => {
    const file = await readGguf(bytesSource(bytes()));
    const found = file.tokenizer();
    assert.ok(found?.kind === "byte-bpe");
    assert.deepEqual([found.types.length, found.merges?.length], [size, 3 * merges]);
    assert.deepEqual([found.pretokenizer, found.bosId, found.eosIds], ["gpt-2", size - 1, [size - 1]]);
  });
});
