// Hostile tokenizer.json files are refused, or cost bounded time and memory.
// Provides what reads tokenizer.json.
import "../../../src/tokenizer.ts";
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import type { Tokenizer } from "../../../src/tokenizer/core/tokenizer.ts";
import { parseTokenizerFile } from "../../../src/tokenizer/load.ts";
import { createTokenizer } from "../../../src/tokenizer/registry.ts";
import { FormatError, TokenizerError, UnsupportedError } from "../../../src/util/errors.ts";
import {
  bpeModel,
  byteLetters,
  byteTokens,
  jsonBytes,
  type TokenizerJson,
  tokenizerJson,
} from "../../support/tokenizer_json.ts";

const NAME = "tokenizer.json";

function load(json: unknown): Tokenizer {
  return loadBytes(jsonBytes(json));
}

function loadBytes(bytes: Uint8Array, vocabSize?: number): Tokenizer {
  return createTokenizer(parseTokenizerFile(bytes, { name: NAME, vocabSize }));
}

const model = bpeModel(["a", "b", "ab"], [["a", "b"]]);

function refuses(json: unknown, message: RegExp, type: new (message: string) => Error = FormatError): void {
  assert.throws(
    () => load(json),
    (error) => {
      assert.ok(error instanceof type, `${error}`);
      assert.match(error.message, message);
      assert.ok(error.message.length < 1000);
      return true;
    },
  );
}

function refusesParts(parts: Partial<TokenizerJson>, message: RegExp, type?: typeof UnsupportedError): void {
  refuses(tokenizerJson({ model, ...parts }), message, type ?? FormatError);
}

describe("parseTokenizerJson(): bytes", () => {
  it("refuses a file cut anywhere", () => {
    const bytes = jsonBytes(tokenizerJson({ model }));
    for (let n = 1; n < bytes.length; n += 7) {
      assert.throws(
        () => loadBytes(bytes.subarray(0, n)),
        (error) => error instanceof FormatError || error instanceof UnsupportedError,
      );
    }
  });

  it("refuses brackets 100,000 deep", () => {
    const deep = (open: string, close: string) =>
      new TextEncoder().encode(`{"version":"1.0","model":${open.repeat(100_000)}1${close.repeat(100_000)}}`);
    assert.throws(() => loadBytes(deep("[", "]")), FormatError);
    assert.throws(() => loadBytes(deep('{"type":', "}")), FormatError);
  });

  it("reads a byte order mark and white space before the object", () => {
    const bytes = new TextEncoder().encode(`\ufeff \n${JSON.stringify(tokenizerJson({ model }))}`);
    assert.deepEqual(loadBytes(bytes).encode("ab"), [2]);
  });

  it("refuses JSON that is no tokenizer.json", () => {
    assert.throws(() => loadBytes(new TextEncoder().encode('{"hidden_size": 64}')), UnsupportedError);
    assert.throws(() => loadBytes(new TextEncoder().encode("[]")), UnsupportedError);
    refuses({ version: "1.0" }, /Expected model to be an object, got nothing/);
    refuses({ version: "1.0", model: [] }, /Expected model to be an object, got an array of 0/);
  });

  it("refuses more tokens than the model has", () => {
    assert.throws(() => loadBytes(jsonBytes(tokenizerJson({ model })), 2), /Expected at most 2 pieces/);
    assert.equal(loadBytes(jsonBytes(tokenizerJson({ model })), 3).vocabSize, 3);
  });
});

describe("readModel(): hostile", () => {
  const vocab = (entries: unknown) => tokenizerJson({ model: { ...model, merges: [], vocab: entries } });

  it("refuses ids that are no integers in the interval, or stand twice", () => {
    for (const id of ["1", 1.5, -1, 2 ** 32, 1e300, 2 ** 20, null, true, {}]) {
      refuses(vocab({ a: id }), /Expected model\.vocab\.a to be an integer from 0 to 1048575/);
    }
    refuses(vocab({ a: 1, b: 1 }), /Expected model\.vocab\.b to be the only token of its id, got 1 twice/);
  });

  it("refuses a vocabulary of another type, or without tokens", () => {
    refuses(vocab("abc"), /Expected model\.vocab to be an object, got "abc"/);
    refuses(vocab(null), /Expected model\.vocab to be an object, got null/);
    refuses(vocab({}), /Expected model\.vocab to be at least one token/);
    refuses(
      tokenizerJson({ model: { type: "Unigram", unk_id: 0, vocab: {} } }),
      /Expected model\.vocab to be an array/,
    );
  });

  it("keeps tokens apart that are names of objects' own", () => {
    const names = ["__proto__", "constructor", "toString", "hasOwnProperty"];
    const text = `{"version":"1.0","added_tokens":[],"model":{"type":"BPE","merges":[],"ignore_merges":true,"vocab":{${names.map((name, id) => `"${name}":${id}`)}}}}`;
    const tokenizer = loadBytes(new TextEncoder().encode(text));
    assert.equal(tokenizer.vocabSize, 4);
    for (const [id, name] of names.entries()) {
      assert.equal(tokenizer.piece(id), name);
      assert.deepEqual(tokenizer.encode(name), [id]);
    }
    assert.equal(Object.hasOwn(Object.prototype, "0"), false);
  });

  it("has no token in a gap of the ids", () => {
    const tokenizer = load(vocab({ a: 0, b: 70_000 }));
    assert.equal(tokenizer.vocabSize, 70_001);
    assert.deepEqual(tokenizer.encode("ab"), [0, 70_000]);
    assert.throws(() => tokenizer.piece(5), TokenizerError);
    assert.throws(() => tokenizer.decode([5]), TokenizerError);
    for (const id of [-1, 70_001, 0.5, Number.NaN])
      assert.throws(() => tokenizer.decode([id]), TokenizerError);
  });

  it("refuses merges that are no two tokens that make one", () => {
    const merges = (...list: unknown[]) => tokenizerJson({ model: { ...model, merges: list } });
    refuses(
      merges(["a", "b"], ["a", "c"]),
      /Expected model\.merges\[1\] to be two tokens whose texts together/,
    );
    refuses(merges(["b", "a"]), /Expected model\.merges\[0\] to be two tokens whose texts together/);
    refuses(merges(["a", "b", "a"]), /Expected model\.merges\[0\] to be two tokens, got an array of 3/);
    refuses(merges("a b a"), /Expected model\.merges\[0\] to be two tokens/);
    refuses(merges("ab"), /Expected model\.merges\[0\] to be two tokens/);
    refuses(merges(1), /Expected model\.merges\[0\] to be two tokens, got 1/);
    refuses(merges(["a", 1]), /Expected model\.merges\[0\] to be two tokens/);
    refuses(
      tokenizerJson({ model: { ...model, merges: {} } }),
      /Expected model\.merges to be an array, got an object/,
    );
    assert.deepEqual(load(merges("#version: 0.2", "a b")).encode("ab"), [2]);
  });

  it("refuses other models, dropout and affixes", () => {
    const unsupported = (rest: object, message: RegExp) =>
      refuses(tokenizerJson({ model: { ...model, ...rest } }), message, UnsupportedError);
    unsupported(
      { type: "WordPiece" },
      /Model "WordPiece" at model is not supported; supported: BPE, Unigram/,
    );
    unsupported({ type: null, merges: null }, /Model "without merges"/);
    unsupported({ dropout: 0.1 }, /Dropout at model\.dropout is not supported/);
    unsupported({ end_of_word_suffix: "</w>" }, /end_of_word_suffix <\/w> at model\.end_of_word_suffix/);
    unsupported({ continuing_subword_prefix: "##" }, /continuing_subword_prefix ##/);
    assert.deepEqual(load(tokenizerJson({ model: { ...model, type: undefined } })).encode("ab"), [2]);
  });

  it("refuses unigram pieces without a number, and unknown ids outside", () => {
    const unigram = (vocabulary: unknown, unk_id: unknown = 0) =>
      tokenizerJson({ model: { type: "Unigram", unk_id, vocab: vocabulary } });
    refuses(unigram([["a", "1"]]), /Expected model\.vocab\[0\] to be a text and a number/);
    refuses(unigram([["a", null]]), /Expected model\.vocab\[0\] to be a text and a number/);
    refuses(unigram(["a"]), /Expected model\.vocab\[0\] to be a text and a number/);
    refuses(unigram([]), /Expected model\.vocab to be at least one token/);
    refuses(unigram([["a", -1]], 1), /Expected model\.unk_id to be an integer from 0 to 0, got 1/);
  });

  it("takes byte tokens that are none as text", () => {
    const tokens = ["<unk>", "<0x-1>", "<0xZZ>", ...byteTokens.slice(0, 255)];
    const tokenizer = load(
      tokenizerJson({
        model: bpeModel(tokens, [], { unk_token: "<unk>", byte_fallback: true }),
        decoder: { type: "ByteFallback" },
      }),
    );
    assert.equal(tokenizer.decode([1, 2]), "<0x-1><0xZZ>");
    assert.deepEqual(tokenizer.encode("é"), [3 + 0xc3, 3 + 0xa9]);
  });

  it("reads a token of 100 KB", () => {
    const long = "a".repeat(100_000);
    const tokenizer = load(tokenizerJson({ model: bpeModel(["a", long], [], { ignore_merges: true }) }));
    assert.deepEqual(tokenizer.encode(long), [1]);
    assert.equal(tokenizer.encode(`${long}a`).length, 100_001);
  });
});

describe("components: hostile", () => {
  it("names a component that is not supported, its place, and those that are", () => {
    refusesParts(
      { normalizer: { type: "Sequence", normalizers: [{ type: "NFC" }, { type: "BertNormalizer" }] } },
      /^Cannot read tokenizer\.json: Normalizer "BertNormalizer" at normalizer\.normalizers\[1\] is not supported; supported: Sequence, NFC, /,
      UnsupportedError,
    );
    refusesParts(
      { pre_tokenizer: { type: "BertPreTokenizer" } },
      /Pre-tokenizer "BertPreTokenizer" at pre_tokenizer/,
      UnsupportedError,
    );
    refusesParts(
      { decoder: { type: "WordPiece" } },
      /Decoder "WordPiece" at decoder .*supported: Sequence, ByteLevel/,
      UnsupportedError,
    );
    refusesParts(
      { post_processor: { type: "BertProcessing" } },
      /Post-processor "BertProcessing" at post_processor/,
      UnsupportedError,
    );
    refusesParts({ normalizer: { type: "__proto__" } }, /Normalizer "__proto__"/, UnsupportedError);
    refusesParts({ normalizer: { type: "constructor" } }, /Normalizer "constructor"/, UnsupportedError);
  });

  it("refuses components of the wrong type", () => {
    refusesParts({ normalizer: "NFC" }, /Expected normalizer to be an object, got "NFC"/);
    refusesParts({ normalizer: [] }, /Expected normalizer to be an object/);
    refusesParts({ normalizer: { type: 1 } }, /Expected normalizer\.type to be a string, got 1/);
    refusesParts(
      { normalizer: { type: "Prepend" } },
      /Expected normalizer\.prepend to be a string, got nothing/,
    );
    refusesParts(
      { pre_tokenizer: { type: "Split", pattern: {}, behavior: "Isolated" } },
      /Expected pre_tokenizer\.pattern to be/,
    );
    refusesParts(
      { pre_tokenizer: { type: "Split", pattern: { String: " " }, behavior: "x" } },
      /pre_tokenizer\.behavior to be one of Isolated/,
    );
    refusesParts(
      { pre_tokenizer: { type: "Metaspace", replacement: "ab" } },
      /pre_tokenizer\.replacement to be one character, got "ab"/,
    );
    refusesParts(
      { decoder: { type: "Strip", content: " ", start: 1e9, stop: 0 } },
      /decoder\.start to be an integer from 0 to 1024, got 1000000000/,
    );
    refusesParts(
      { pre_tokenizer: { type: "ByteLevel", use_regex: "no" } },
      /pre_tokenizer\.use_regex to be true or false, got "no"/,
    );
  });

  it("refuses sequences of 10,000 parts, and sequences in one another", () => {
    const many = Array.from({ length: 10_000 }, () => ({ type: "NFC" }));
    refusesParts(
      { normalizer: { type: "Sequence", normalizers: many } },
      /Expected normalizer\.normalizers to be at most 64 elements, got 10000/,
    );
    let deep: unknown = { type: "NFC" };
    for (let i = 0; i < 200; i++) deep = { type: "Sequence", normalizers: [deep] };
    refusesParts({ normalizer: deep }, /nested at most 32 deep/);
    let wide: unknown = { type: "Digits", individual_digits: true };
    for (let i = 0; i < 3; i++)
      wide = { type: "Sequence", pretokenizers: Array.from({ length: 60 }, () => wide) };
    refusesParts({ pre_tokenizer: wide }, /at most 64 pre-tokenizers/);
  });

  it("refuses patterns that are not valid, and says where", () => {
    const split = (Regex: string) => ({
      pre_tokenizer: { type: "Split", pattern: { Regex }, behavior: "Isolated" },
    });
    refusesParts(split("(a"), /Expected a valid regular expression.*pre_tokenizer\.pattern\.Regex/);
    refusesParts(split("(a)\\1"), /\\1 .*is not supported.*pre_tokenizer\.pattern\.Regex/, UnsupportedError);
  });

  it("stops patterns that take exponential time", () => {
    const pattern = { Regex: "(?:a+)+$" };
    const tokenizer = load(
      tokenizerJson({ model, pre_tokenizer: { type: "Split", pattern, behavior: "Isolated" } }),
    );
    assert.throws(() => tokenizer.encode(`${"a".repeat(200)}b`), TokenizerError);
    assert.deepEqual(tokenizer.encode("aab"), [0, 2]);
  });

  it("refuses charsmaps that are none", () => {
    const charsmap = (text: unknown) => ({ normalizer: { type: "Precompiled", precompiled_charsmap: text } });
    refusesParts(charsmap("!"), /precompiled_charsmap to be base64/);
    refusesParts(charsmap(1), /precompiled_charsmap to be a string/);
    for (const bytes of ["\x01", "\x01\x02", "\x01\x02\x03", "\xff\xff\xff\xff\0\0\0\0"]) {
      refusesParts(charsmap(btoa(bytes)), /charsmap/);
    }
  });

  it("refuses templates without a text, with two, or with tokens that are none", () => {
    const template = (single: unknown, special_tokens: unknown = {}) => ({
      post_processor: { type: "TemplateProcessing", single, special_tokens },
    });
    const text = { Sequence: { id: "A", type_id: 0 } };
    refusesParts(template([]), /A template of 0 texts/, UnsupportedError);
    refusesParts(template([text, text]), /A template of 2 texts/, UnsupportedError);
    refusesParts(template([{ Sequence: { id: "B" } }]), /A second text/, UnsupportedError);
    refusesParts(
      template([text, { SpecialToken: { id: "x" } }]),
      /SpecialToken\.id to be one of special_tokens, got "x"/,
    );
    refusesParts(
      template([text, { SpecialToken: { id: "x" } }], { x: { ids: [3] } }),
      /ids\[0\] to be an integer from 0 to 2, got 3/,
    );
    refusesParts(template([{}]), /single\[0\] to be/);
  });
});

describe("readAddedTokens(): hostile", () => {
  const added = (...tokens: unknown[]) => ({ added_tokens: tokens as never });

  it("refuses ids outside the limit, of two tokens, or other than the model's", () => {
    refusesParts(
      added({ id: 2 ** 20, content: "x" }),
      /added_tokens\[0\]\.id to be an integer from 0 to 1048575/,
    );
    refusesParts(added({ id: "3", content: "x" }), /added_tokens\[0\]\.id to be an integer/);
    refusesParts(
      added({ id: 3, content: "x" }, { id: 3, content: "y" }),
      /added_tokens\[1\]\.id to be the only token of its id/,
    );
    refusesParts(added({ id: 3, content: "ab" }), /"ab" with the id 3/);
    refusesParts(added({ id: 0, content: "x" }), /"x" with the id 0/);
    refusesParts(added({ id: 3, content: 7 }), /added_tokens\[0\]\.content to be a string, got 7/);
    refusesParts({ added_tokens: {} as never }, /Expected added_tokens to be an array/);
  });

  it("leaves out tokens without content", () => {
    const tokenizer = load(
      tokenizerJson({ model, ...added({ id: 3, content: "" }, { id: 4, content: "<s>", special: true }) }),
    );
    assert.deepEqual(tokenizer.encode("ab<s>", { special: true }), [2, 4]);
    assert.throws(() => tokenizer.piece(3), TokenizerError);
  });

  it("refuses lone surrogates in names", () => {
    const text = JSON.stringify(tokenizerJson({ model })).replace('"ab":2', '"ab":2,"\\ud800":3');
    assert.throws(() => loadBytes(new TextEncoder().encode(text)), FormatError);
  });
});

describe("HuggingFaceTokenizer: hostile texts", () => {
  const llama = tokenizerJson({
    normalizer: { type: "Replace", pattern: { String: " " }, content: "▁" },
    model: bpeModel(
      ["<unk>", ...byteTokens, "a", "aa", "aaaa", "▁", "▁▁"],
      [
        ["a", "a"],
        ["aa", "aa"],
        ["▁", "▁"],
      ],
      {
        unk_token: "<unk>",
        byte_fallback: true,
        fuse_unk: true,
      },
    ),
    decoder: {
      type: "Sequence",
      decoders: [
        { type: "Replace", pattern: { String: "▁" }, content: " " },
        { type: "ByteFallback" },
        { type: "Fuse" },
      ],
    },
  });
  const level = { type: "ByteLevel", add_prefix_space: false, trim_offsets: true, use_regex: true };
  const gpt2 = tokenizerJson({
    pre_tokenizer: level,
    decoder: level,
    model: bpeModel(
      [...byteLetters, "aa", "aaaa", "ĠĠ"],
      [
        ["a", "a"],
        ["aa", "aa"],
        ["Ġ", "Ġ"],
      ],
    ),
  });
  const slow = tokenizerJson({
    pre_tokenizer: { type: "Split", pattern: { Regex: " ?[^ ]+| +(?! )| +" }, behavior: "Isolated" },
    decoder: { type: "Fuse" },
    model: llama.model,
  });
  const texts = ["a", " ", "7", "🦙", "\0", "ab", "a b "].map((part) =>
    part.repeat(1 << 18).slice(0, 1 << 18),
  );
  for (const [name, json] of Object.entries({ llama, gpt2 })) {
    it(`encode() of long texts of one kind is decoded to the same (${name})`, () => {
      const tokenizer = load(json);
      for (const text of texts) assert.ok(tokenizer.decode(tokenizer.encode(text)) === text.toWellFormed());
    });
  }

  it("encode() of long texts with a pattern that has no scanner ends", () => {
    const tokenizer = load(slow);
    for (const text of texts) assert.ok(tokenizer.encode(text).length > 0);
  });

  it("encode() takes lone surrogates for U+FFFD, and NUL as it is", () => {
    for (const json of [llama, gpt2]) {
      const tokenizer = load(json);
      for (const text of ["\ud800", "a\udc80b", "\0\0", "\udfff\ud800", "\ufeff"]) {
        assert.equal(tokenizer.decode(tokenizer.encode(text)), text.toWellFormed());
        assert.deepEqual(tokenizer.encodeWithOffsets(text).ids, tokenizer.encode(text));
      }
    }
  });
});
