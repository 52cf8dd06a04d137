// Each component of a tokenizer.json by itself.
// Provides what reads tokenizer.json.
import "../../../src/tokenizer.ts";
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { Tokenizer as Oracle } from "@huggingface/tokenizers";
import fc from "fast-check";
import type { Tokenizer } from "../../../src/tokenizer/core/tokenizer.ts";
import { AlignedText } from "../../../src/tokenizer/huggingface/aligned_text.ts";
import { JsonValue } from "../../../src/tokenizer/huggingface/json.ts";
import { type Normalizer, readNormalizer } from "../../../src/tokenizer/huggingface/normalizing_steps.ts";
import { preTokenize, readPreTokenizers } from "../../../src/tokenizer/huggingface/pre_tokenizers.ts";
import { parseTokenizerFile } from "../../../src/tokenizer/load.ts";
import { createTokenizer } from "../../../src/tokenizer/registry.ts";
import { compileCharsmap } from "../../../src/tokenizer/train/text/charsmap_writer.ts";
import { TokenizerError } from "../../../src/util/errors.ts";
import {
  type AddedTokenJson,
  bosTemplate,
  bpeModel,
  byteLetters,
  byteTokens,
  jsonBytes,
  type TokenizerJson,
  tokenizerJson,
} from "../../support/tokenizer_json.ts";

function jsonOf(json: unknown): JsonValue {
  return JsonValue.parse(jsonBytes(json), "test.json");
}

function tokenizerOf(json: TokenizerJson): Tokenizer {
  return createTokenizer(parseTokenizerFile(jsonBytes(json), { name: "tokenizer.json" }));
}

function normalizerOf(json: unknown): Normalizer {
  return readNormalizer(jsonOf(json));
}

/** Text, and source text, of each word. */
function wordsOf(json: unknown, text: string): [word: string, source: string][] {
  const stages = readPreTokenizers(jsonOf(json));
  const words = preTokenize(stages, new AlignedText(text, 0, text.length), true);
  const plain = preTokenize(stages, new AlignedText(text, 0, text.length), false);
  assert.deepEqual(
    plain.map((word) => word.text),
    words.map((word) => word.text),
  );
  return words.map((word) => [word.text, text.slice(word.begin, word.end)]);
}

function textsOf(json: unknown, text: string): string[] {
  return wordsOf(json, text).map(([word]) => word);
}

describe("readNormalizer()", () => {
  // As Hugging Face's tokenizers 0.22.2 has them.
  const cases: [json: Record<string, unknown>, text: string, normalized: string][] = [
    [{ type: "NFC" }, "e\u0301 \u1100\u1161\u11a8 \u212b", "é 각 Å"],
    [{ type: "NFD" }, "é각", "e\u0301\u1100\u1161\u11a8"],
    [{ type: "NFKC" }, "ﬁ ｱﾞ ①", "fi ア\u3099 1".normalize("NFKC")],
    [{ type: "NFKD" }, "ﬁé", "fie\u0301"],
    [{ type: "Lowercase" }, "ΑΣ İI", "ασ i\u0307i"],
    [{ type: "Strip", strip_left: true, strip_right: true }, "\u0085 a b \u0085", "a b"],
    [{ type: "Strip", strip_left: true, strip_right: true }, "\ufeff a ", "\ufeff a"],
    [{ type: "Strip", strip_left: false, strip_right: true }, "  a  ", "  a"],
    [{ type: "Strip", strip_left: true, strip_right: true }, " \n ", ""],
    [{ type: "StripAccents" }, "e\u0301é\u0903x", "eéx"],
    [{ type: "Replace", pattern: { String: "x" }, content: "$&-" }, "axxb", "a$&-$&-b"],
    [{ type: "Replace", pattern: { String: "" }, content: "-" }, "ab", "ab"],
    [{ type: "Replace", pattern: { Regex: "x*" }, content: "-" }, "axxb", "-a-b-"],
    [{ type: "Replace", pattern: { Regex: "x*" }, content: "-" }, "", ""],
    [{ type: "Prepend", prepend: "▁" }, "a", "▁a"],
    [{ type: "Prepend", prepend: "▁" }, "", ""],
    [
      { type: "Nmt" },
      "a\u0001\t\u00a0\u00ad\u200b\ufeff\ufffdb\u2581\u0085\u008f",
      "a \u00a0\u00ad   b \u0085",
    ],
    [{ type: "Sequence", normalizers: [] }, " a", " a"],
    [
      {
        type: "Sequence",
        normalizers: [
          { type: "Prepend", prepend: " " },
          { type: "Replace", pattern: { String: " " }, content: "▁" },
        ],
      },
      "a b",
      "▁a▁b",
    ],
  ];
  for (const [json, text, normalized] of cases) {
    it(`${JSON.stringify(json)} makes ${JSON.stringify(normalized)} of ${JSON.stringify(text)}`, () => {
      const normalizer = normalizerOf(json);
      assert.equal(normalizer.normalize(text), normalized);
      assert.equal(normalizer.align(new AlignedText(text, 0, text.length)).text, normalized);
    });
  }

  it("align() gives the text of normalize(), and sources in order", () => {
    const parts = [
      { type: "NFC" },
      { type: "NFKD" },
      { type: "NFKC" },
      { type: "Lowercase" },
      { type: "Nmt" },
      { type: "StripAccents" },
      { type: "Strip", strip_left: true, strip_right: true },
      { type: "Prepend", prepend: "▁▁" },
      { type: "Replace", pattern: { Regex: "\\s+" }, content: "" },
      { type: "Replace", pattern: { String: "a" }, content: "xyz" },
    ];
    const text = fc.oneof(
      fc.string({ unit: "binary" }),
      fc.string({
        unit: fc.constantFrom("a", " ", "e", "\u0301", "\u0323", "ᄀ", "ᅡ", "ᆨ", "ﾊ", "ﾟ", "𖵣", "𖵧", "ﬁ", "İ"),
      }),
    );
    fc.assert(
      fc.property(fc.subarray(parts), text, (normalizers, source) => {
        const normalizer = normalizerOf({ type: "Sequence", normalizers });
        const aligned = normalizer.align(new AlignedText(source, 0, source.length));
        assert.equal(aligned.text, normalizer.normalize(source));
        let last = 0;
        for (let i = 0; i < aligned.text.length; i++) {
          assert.ok(aligned.startAt(i) >= last && aligned.endAt(i) >= aligned.startAt(i));
          assert.ok(aligned.endAt(i) <= source.length);
          last = aligned.startAt(i);
        }
      }),
    );
  });

  it("NFC of many marks in no order takes no quadratic time", () => {
    const marks = "\u0301\u0323\u05b0\u0345".repeat(50_000);
    const normalized = normalizerOf({ type: "NFC" }).normalize(`e${marks}`);
    const few = normalizerOf({ type: "NFC" }).normalize(`e${"\u0301\u0323\u05b0\u0345".repeat(20)}`);
    assert.equal(few, `e${"\u0301\u0323\u05b0\u0345".repeat(20)}`.normalize("NFC"));
    assert.equal(normalized.length, marks.length);
    assert.equal(normalized.slice(0, 2), few.slice(0, 2));
  });

  it("Precompiled looks up short graphemes as a whole, by their shortest rule, and others by character", () => {
    const rules = new Map([
      ["e\u0301", "E"],
      ["A", "a"],
      ["漢", "kan"],
      ["\r", "R"],
    ]);
    let binary = "";
    for (const byte of compileCharsmap(rules)) binary += String.fromCharCode(byte);
    const normalizer = normalizerOf({ type: "Precompiled", precompiled_charsmap: btoa(binary) });
    const cases: [text: string, normalized: string][] = [
      ["e\u0301e", "Ee"],
      ["A\u0301!", "a!"],
      ["A\u0301\u0301\u0301", "a\u0301\u0301\u0301"],
      ["x漢A", "xkana"],
      ["\r\n\r", "RR"],
      ["", ""],
      ["plain", "plain"],
    ];
    for (const [text, normalized] of cases) {
      assert.equal(normalizer.normalize(text), normalized, JSON.stringify(text));
      assert.equal(normalizer.align(new AlignedText(text, 0, text.length)).text, normalized);
    }
  });
});

describe("preTokenize()", () => {
  const split = (pattern: unknown, behavior: string, invert = false) => ({
    type: "Split",
    pattern,
    behavior,
    invert,
  });

  // As Hugging Face's tokenizers 0.22.2 splits.
  const behaviors: [behavior: string, invert: boolean, words: string][] = [
    ["Isolated", false, "x a b y a z b b a"],
    ["Isolated", true, "x a b y a z b b a"],
    ["Removed", false, "x y z"],
    ["Removed", true, "a b a b b a"],
    ["MergedWithPrevious", false, "xa b ya zb b a"],
    ["MergedWithPrevious", true, "x a by az b b a"],
    ["MergedWithNext", false, "x a by az b b a"],
    ["MergedWithNext", true, "xa b ya zb b a"],
    ["Contiguous", false, "x ab y a z bba"],
    ["Contiguous", true, "x ab y a z bba"],
  ];
  for (const [behavior, invert, words] of behaviors) {
    it(`Split ${behavior}${invert ? ", inverted," : ""} gives ${words}`, () => {
      assert.deepEqual(textsOf(split({ Regex: "[ab]" }, behavior, invert), "xabyazbba"), words.split(" "));
    });
  }

  it("Split with empty matches splits as Hugging Face does", () => {
    const b = { Regex: "b*" };
    assert.deepEqual(textsOf(split(b, "Isolated"), "xabyazbba"), "x a b y a z bb a".split(" "));
    assert.deepEqual(textsOf(split(b, "MergedWithPrevious"), "xabyazbba"), "x ab y a zbb a".split(" "));
    assert.deepEqual(textsOf(split(b, "MergedWithNext"), "xabyazbba"), "x a by a z bba".split(" "));
  });

  it("Digits and Punctuation split at each character, or at runs", () => {
    const digits = (individual: boolean) => ({ type: "Digits", individual_digits: individual });
    assert.deepEqual(textsOf(digits(false), "a12Ⅻ٣½b3"), ["a", "12Ⅻ٣½", "b", "3"]);
    assert.deepEqual(textsOf(digits(true), "a12Ⅻ"), ["a", "1", "2", "Ⅻ"]);
    assert.deepEqual(textsOf({ type: "Punctuation", behavior: "Isolated" }, "a.b,,$+§¿c"), [
      "a",
      ".",
      "b",
      ",",
      ",",
      "$",
      "+",
      "§",
      "¿",
      "c",
    ]);
    assert.deepEqual(textsOf({ type: "Punctuation", behavior: "Contiguous" }, "a,,b"), ["a", ",,", "b"]);
  });

  it("Whitespace and WhitespaceSplit leave white space out", () => {
    assert.deepEqual(textsOf({ type: "Whitespace" }, "he_llo, wörld!\u200d  ²x½"), [
      "he_llo",
      ",",
      "wörld",
      "!",
      "\u200d",
      "²",
      "x",
      "½",
    ]);
    assert.deepEqual(textsOf({ type: "WhitespaceSplit" }, " a\u0085b\ufeff c"), ["a", "b\ufeff", "c"]);
  });

  it("Metaspace prepends, and splits before each of its characters", () => {
    const metaspace = (prepend_scheme: string, splits: boolean) => ({
      type: "Metaspace",
      replacement: "▁",
      prepend_scheme,
      split: splits,
    });
    assert.deepEqual(wordsOf(metaspace("always", true), "  he w"), [
      ["▁", " "],
      ["▁he", " he"],
      ["▁w", " w"],
    ]);
    assert.deepEqual(wordsOf(metaspace("first", false), "he w"), [["▁he▁w", "he w"]]);
    assert.deepEqual(wordsOf(metaspace("never", false), "he w"), [["he▁w", "he w"]]);
    const twice = {
      type: "Sequence",
      pretokenizers: [{ type: "WhitespaceSplit" }, metaspace("first", true)],
    };
    assert.deepEqual(textsOf(twice, "he wo"), ["▁he", "wo"]);
    assert.deepEqual(textsOf({ type: "Metaspace", replacement: "_", add_prefix_space: false }, "a b"), [
      "a",
      "_b",
    ]);
  });

  it("ByteLevel spells bytes", () => {
    const level = (add_prefix_space: boolean, use_regex: boolean) => ({
      type: "ByteLevel",
      add_prefix_space,
      trim_offsets: true,
      use_regex,
    });
    assert.deepEqual(wordsOf(level(true, true), "he's é"), [
      ["Ġhe", "he"],
      ["'s", "'s"],
      ["ĠÃ©", " é"],
    ]);
    assert.deepEqual(textsOf(level(false, false), "a b"), ["aĠb"]);
    assert.deepEqual(textsOf(level(true, false), " b"), ["Ġb"]);
  });
});

const letters = [..." abcdefgh▁éx<>/s"];

/** A tokenizer of single characters with added tokens. */
function withAdded(added: Omit<AddedTokenJson, "id">[], rest: Partial<TokenizerJson> = {}): Tokenizer {
  const tokens = ["<unk>", ...letters];
  return tokenizerOf(
    tokenizerJson({
      added_tokens: added.map((token, i) => ({ id: tokens.length + i, ...token })),
      model: bpeModel(tokens, [], { unk_token: "<unk>" }),
      decoder: { type: "Fuse" },
      ...rest,
    }),
  );
}

function piecesOf(tokenizer: Tokenizer, text: string, special = true): string[] {
  return tokenizer.encode(text, { special }).map((id) => tokenizer.piece(id));
}

describe("AddedTokenFinder", () => {
  it("finds special tokens on request, others always", () => {
    for (const normalized of [false, true]) {
      const tokenizer = withAdded([
        { content: "<s>", special: true, normalized: false },
        { content: "ab", normalized },
      ]);
      assert.deepEqual(piecesOf(tokenizer, "ab<s>a", true), ["ab", "<s>", "a"]);
      assert.deepEqual(piecesOf(tokenizer, "ab<s>a", false), ["ab", "<", "s", ">", "a"]);
    }
  });

  it("takes the longest token at a position", () => {
    const tokenizer = withAdded([{ content: "ab" }, { content: "abc" }, { content: "bcde" }]);
    assert.deepEqual(piecesOf(tokenizer, "abcdeab"), ["abc", "d", "e", "ab"]);
  });

  it("takes white space along with lstrip and rstrip, once", () => {
    const tokenizer = withAdded([
      { content: "Q", lstrip: true, rstrip: true },
      { content: "  ", lstrip: true },
    ]);
    const { ids, starts, ends } = tokenizer.encodeWithOffsets("a Q   Qb", { special: true });
    assert.deepEqual(
      ids.map((id) => tokenizer.piece(id)),
      ["a", "Q", "Q", "b"],
    );
    assert.deepEqual(
      [starts, ends],
      [
        [0, 1, 6, 7],
        [1, 6, 7, 8],
      ],
    );
  });

  it("finds single words only between what is no word", () => {
    const tokenizer = withAdded([{ content: "ab", single_word: true }]);
    assert.deepEqual(piecesOf(tokenizer, "ab abc cab é ab<"), [
      "ab",
      " ",
      "a",
      "b",
      "c",
      " ",
      "c",
      "a",
      "b",
      " ",
      "é",
      " ",
      "ab",
      "<",
    ]);
  });

  it("finds normalized tokens in normalized text, others before", () => {
    const normalizer = { type: "Lowercase" };
    const tokenizer = withAdded(
      [
        { content: "AB", normalized: true },
        { content: "CD", normalized: false },
      ],
      { normalizer },
    );
    assert.deepEqual(piecesOf(tokenizer, "aBcdCDAB"), ["AB", "c", "d", "CD", "AB"]);
  });

  it("finds many tokens in time linear in the text", () => {
    const tokens = Array.from({ length: 300 }, (_, i) => ({ content: `${"a".repeat(i + 2)}b` }));
    const tokenizer = withAdded(tokens);
    assert.equal(tokenizer.encode("a".repeat(50_000)).length, 50_000);
    assert.deepEqual(piecesOf(tokenizer, `${"a".repeat(400)}b`).at(-1), `${"a".repeat(301)}b`);
  });
});

/** Ids to text by a decoder: tokens are the ids' own. */
function decoderOf(decoder: unknown, tokens: readonly string[]): Tokenizer {
  return tokenizerOf(
    tokenizerJson({ decoder, model: bpeModel(["<unk>", ...tokens], [], { unk_token: "<unk>" }) }),
  );
}

function decodes(decoder: unknown, tokens: readonly string[]): string {
  const unique = [...new Set(tokens)];
  const tokenizer = decoderOf(decoder, unique);
  const ids = tokens.map((token) => 1 + unique.indexOf(token));
  const text = tokenizer.decode(ids);
  const stream = tokenizer.stream();
  assert.equal(ids.map((id) => stream.push(id)).join("") + stream.flush(), text);
  return text;
}

describe("DecoderChain", () => {
  const sequence = (...decoders: unknown[]) => ({ type: "Sequence", decoders });
  const replace = (pattern: unknown, content: string) => ({ type: "Replace", pattern, content });
  const strip = (start: number, stop: number) => ({ type: "Strip", content: " ", start, stop });
  const metaspace = (prepend_scheme: string) => ({ type: "Metaspace", replacement: "▁", prepend_scheme });

  // As Hugging Face's tokenizers 0.22.2 decodes.
  const cases: [title: string, decoder: unknown, tokens: string[], text: string][] = [
    ["none joins by spaces", null, ["a", "b", "c"], "a b c"],
    ["Fuse joins", { type: "Fuse" }, ["a", "b"], "ab"],
    ["ByteLevel joins bytes", { type: "ByteLevel" }, ["Ġa", "Ã", "©", "<|x|>", "漢"], " aé<|x|>漢"],
    [
      "ByteFallback joins bytes",
      { type: "ByteFallback" },
      ["a", "<0xE6>", "<0xBC>", "<0xA2>", "<0x0A>"],
      "a漢\n",
    ],
    ["Metaspace drops the first space", metaspace("always"), ["▁▁a", "▁b▁"], "a b "],
    ["Metaspace drops none", metaspace("never"), ["▁a", "▁b"], " a b"],
    ["Strip works on each token", strip(1, 1), ["  a  ", " ", "b "], " a b"],
    [
      "Strip after Fuse works on the text",
      sequence({ type: "Fuse" }, strip(2, 1)),
      [" ", " ", " a ", "b", " ", " "],
      " a b ",
    ],
    ["Strip after Fuse of spaces only", sequence({ type: "Fuse" }, strip(1, 2)), [" ", " ", " "], ""],
    ["Replace works on each token", replace({ Regex: "a+" }, "x"), ["aa", "a", "ba"], "xxbx"],
    [
      "Replace after Fuse works on the text",
      sequence({ type: "Fuse" }, replace({ String: "ab" }, "x")),
      ["a", "b"],
      "x",
    ],
    [
      "Llama's sequence",
      sequence(replace({ String: "▁" }, " "), { type: "ByteFallback" }, { type: "Fuse" }, strip(1, 0)),
      ["▁", "▁a", "<0xC3>", "<0xA9>"],
      " aé",
    ],
    [
      "ByteFallback, then Replace",
      sequence({ type: "ByteFallback" }, replace({ String: "é" }, "e")),
      ["<0xC3>", "<0xA9>", "a"],
      "ea",
    ],
  ];
  for (const [title, decoder, tokens, text] of cases) {
    it(`${title}: ${tokens.join("|")}`, () => {
      assert.equal(decodes(decoder, tokens), text);
    });
  }

  it("stream() never gives half a character, and joined gives decode()", () => {
    const tokenizer = tokenizerOf(
      tokenizerJson({ decoder: { type: "ByteLevel" }, model: bpeModel([...byteLetters, "Ãģ", "¢A"], []) }),
    );
    fc.assert(
      fc.property(fc.array(fc.nat(257)), (ids) => {
        const stream = tokenizer.stream();
        const texts = ids.map((id) => stream.push(id));
        assert.ok(texts.every((text) => text.isWellFormed()));
        assert.equal(texts.join("") + stream.flush(), tokenizer.decode(ids));
        assert.equal(
          new TextDecoder("utf-8", { ignoreBOM: true }).decode(tokenizer.decodeBytes(ids)),
          tokenizer.decode(ids),
        );
      }),
    );
  });
});

describe("WordEncoder", () => {
  const tokens = ["<unk>", "a", "b", "ab", "é", "c"];

  it("encode() merges listed pairs in their order, the last of equal ones", () => {
    const all = ["a", "b", "c", "ab", "bc", "abc"];
    const encode = (...merges: [string, string][]) =>
      tokenizerOf(tokenizerJson({ model: bpeModel(all, merges) }))
        .encode("abc")
        .map((id) => all[id]);
    assert.deepEqual(encode(["a", "b"], ["b", "c"]), ["ab", "c"]);
    assert.deepEqual(encode(["b", "c"], ["a", "b"], ["a", "bc"]), ["abc"]);
    assert.deepEqual(encode(["a", "b"], ["b", "c"], ["a", "b"]), ["a", "bc"]);
    assert.deepEqual(encode(), ["a", "b", "c"]);
  });

  it("encode() with ignore_merges takes whole words", () => {
    const json = tokenizerJson({ model: bpeModel(tokens, [], { ignore_merges: true }) });
    assert.deepEqual(tokenizerOf(json).encode("ab"), [3]);
  });

  it("encode() makes unknown tokens of what is unknown, one of each or of a run", () => {
    const encode = (fuse_unk: boolean, text: string) =>
      tokenizerOf(
        tokenizerJson({ model: bpeModel(tokens, [["a", "b"]], { unk_token: "<unk>", fuse_unk }) }),
      ).encodeWithOffsets(text);
    assert.deepEqual(encode(false, "ab🦙xa"), {
      ids: [3, 0, 0, 1],
      starts: [0, 2, 4, 5],
      ends: [2, 4, 5, 6],
    });
    assert.deepEqual(encode(true, "ab🦙xa"), { ids: [3, 0, 1], starts: [0, 2, 5], ends: [2, 5, 6] });
  });

  it("encode() falls back to bytes where there are all", () => {
    const json = tokenizerJson({
      model: bpeModel(["<unk>", ...byteTokens, "a"], [], {
        unk_token: "<unk>",
        byte_fallback: true,
        fuse_unk: true,
      }),
    });
    assert.deepEqual(tokenizerOf(json).encodeWithOffsets("aéa"), {
      ids: [257, 1 + 0xc3, 1 + 0xa9, 257],
      starts: [0, 1, 1, 2],
      ends: [1, 2, 2, 3],
    });
    const some = ["<unk>", ...byteTokens.slice(0, 0x80), "a"];
    const partly = tokenizerJson({
      model: bpeModel(some, [], { unk_token: "<unk>", byte_fallback: true, fuse_unk: true }),
    });
    assert.deepEqual(tokenizerOf(partly).encode("éa\nü"), [0, 129, 1 + 0x0a, 0]);
  });

  it("encode() of what cannot be encoded is an error, not left out", () => {
    const tokenizer = tokenizerOf(tokenizerJson({ model: bpeModel(tokens, []) }));
    assert.throws(() => tokenizer.encode("a🦙"), TokenizerError);
    assert.deepEqual(tokenizer.encode(""), []);
  });

  it("encode() of a unigram model finds the likeliest pieces", () => {
    const vocab = [
      ["<unk>", 0],
      ["a", -1],
      ["b", -1],
      ["ab", -1.5],
      ["c", -5],
      ...byteTokens.map((token) => [token, -9]),
    ];
    const model = (byte_fallback: boolean) => ({ type: "Unigram", unk_id: 0, vocab, byte_fallback });
    const encode = (byteFallback: boolean, text: string) =>
      tokenizerOf(tokenizerJson({ model: model(byteFallback) })).encodeWithOffsets(text);
    assert.deepEqual(encode(false, "abxyc").ids, [3, 0, 4]);
    assert.deepEqual(encode(false, "abxyc").ends, [2, 4, 5]);
    assert.deepEqual(encode(true, "aé").ids, [1, 5 + 0xc3, 5 + 0xa9]);
    assert.deepEqual(encode(false, "a<unk>b").ids, [1, 0, 2]);
  });
});

describe("readTemplate()", () => {
  const tokens = ["<s>", "</s>", "a"];
  const added = tokens.slice(0, 2).map((content, id) => ({ id, content, special: true }));
  const special = (id: string) => ({ SpecialToken: { id, type_id: 0 } });
  const text = { Sequence: { id: "A", type_id: 0 } };
  const both = {
    type: "TemplateProcessing",
    single: [special("<s>"), text, special("</s>")],
    special_tokens: { "<s>": { id: "<s>", ids: [0] }, "</s>": { id: "</s>", ids: [1] } },
  };
  const of = (post_processor: unknown) =>
    tokenizerOf(tokenizerJson({ post_processor, added_tokens: added, model: bpeModel(tokens, []) }));

  it("puts tokens around a text", () => {
    assert.deepEqual(of(both).encode("a"), [0, 2, 1]);
    assert.deepEqual(of(both).encode("a", { bos: false, eos: false }), [2]);
    assert.deepEqual(of(both).encodeWithOffsets("a"), { ids: [0, 2, 1], starts: [0, 0, 1], ends: [0, 1, 1] });
    assert.deepEqual(of(bosTemplate("<s>", 0)).encode("a"), [0, 2]);
    assert.deepEqual(of({ type: "Sequence", processors: [{ type: "ByteLevel" }, both] }).encode(""), [0, 1]);
  });

  it("without one nothing is added, but on request", () => {
    assert.deepEqual(of(null).encode("a"), [2]);
    assert.deepEqual(of(null).encode("a", { bos: true, eos: true }), [0, 2, 1]);
    const bare = tokenizerOf(tokenizerJson({ model: bpeModel(tokens, []) }));
    assert.throws(() => bare.encode("a", { bos: true }), TokenizerError);
    assert.throws(() => bare.encode("a", { eos: true }), TokenizerError);
  });
});

/** Where @huggingface/tokenizers, the port to JavaScript, gives other ids than Hugging Face's tokenizers. */
describe("HuggingFaceTokenizer: differences from the oracle", () => {
  const oracleOf = (json: TokenizerJson) =>
    new Oracle(json as never, { clean_up_tokenization_spaces: false });

  it("a split merged with the previous word is one there", () => {
    const json = tokenizerJson({
      pre_tokenizer: {
        type: "Split",
        pattern: { String: " " },
        behavior: "MergedWithPrevious",
        invert: false,
      },
      model: bpeModel(["a", " ", "b", "a "], [["a", " "]]),
    });
    assert.deepEqual(tokenizerOf(json).encode("a b"), [3, 2]);
    assert.deepEqual(oracleOf(json).encode("a b").ids, [0, 1, 2]);
  });

  it("Prepend leaves an empty text empty", () => {
    const json = tokenizerJson({ normalizer: { type: "Prepend", prepend: "▁" }, model: bpeModel(["▁"], []) });
    assert.deepEqual(tokenizerOf(json).encode(""), []);
  });

  it("Lowercase knows no sigma at the end of a word", () => {
    const json = tokenizerJson({
      normalizer: { type: "Lowercase" },
      model: bpeModel(["<unk>", "α", "σ", "ς"], [], { unk_token: "<unk>" }),
    });
    assert.deepEqual(tokenizerOf(json).encode("ΑΣ"), [1, 2]);
    assert.deepEqual(oracleOf(json).encode("ΑΣ").ids, [1, 3]);
  });

  it("Nmt is not known there", () => {
    const json = tokenizerJson({ normalizer: { type: "Nmt" }, model: bpeModel(["a", " "], []) });
    assert.deepEqual(tokenizerOf(json).encode("a\ta"), [0, 1, 0]);
    assert.throws(() => oracleOf(json));
  });

  it("digits are all numbers, not ASCII's only", () => {
    const json = tokenizerJson({
      pre_tokenizer: { type: "Digits", individual_digits: true },
      model: bpeModel(["٣", "٣٣"], [["٣", "٣"]]),
    });
    assert.deepEqual(tokenizerOf(json).encode("٣٣"), [0, 0]);
    assert.deepEqual(oracleOf(json).encode("٣٣").ids, [1]);
  });
});
