// SentencePiece tokenizers: encoding, decoding, offsets.
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import { Tokenizer } from "../../../src/mod.ts";
import { type SentencePieceData, TokenType } from "../../../src/tokenizer/core/vocabulary_data.ts";
import { createTokenizer } from "../../../src/tokenizer/registry.ts";
import { Charsmap } from "../../../src/tokenizer/sentencepiece/charsmap.ts";
import { TokenizerError } from "../../../src/util/errors.ts";
import { writeCharsmap } from "../../support/charsmap_writer.ts";
import { fixtureIds, fixturePath } from "../../support/fixtures.ts";
import { itOn, type Subject, sharedJson, sharedPath } from "../../support/shared.ts";
import {
  assertRefused,
  byteEntries,
  dataOf,
  type Entry,
  FIRST_ID,
  llamaData,
  smallEntries,
  specialEntries,
} from "../../support/vocabularies.ts";

function idsOf(data: SentencePieceData): (...pieces: string[]) => number[] {
  return (...pieces) =>
    pieces.map((piece) => {
      const id = data.pieces.indexOf(piece);
      assert.ok(id >= 0, `no piece ${piece}`);
      return id;
    });
}

/** Text as decoding gives it back. */
function decoded(text: string): string {
  return text.toWellFormed().replaceAll("\u2581", " ");
}

/** Any UTF-16: lone surrogates, NUL, noncharacters; and much that vocabularies have. */
const anyText = fc.oneof(
  fc.array(fc.nat(0xffff), { maxLength: 40 }).map((units) => String.fromCharCode(...units)),
  fc.string({ unit: "binary", maxLength: 40 }),
  fc.string({
    unit: fc.constantFrom("▁", " ", "h", "e", "l", "o", "🦙", "\ud83e", "\0", "\ufeff"),
    maxLength: 40,
  }),
);

const small = llamaData(smallEntries);
const smallIds = idsOf(small);

function bytesOf(character: string): number[] {
  return Array.from(new TextEncoder().encode(character), (byte) => 3 + byte);
}

/** A text and its ids without BOS. */
type Case = readonly [text: string, ids: readonly number[]];

/** A vocabulary, and lists of cases that are known of it. */
interface Known {
  readonly load: () => Tokenizer | Promise<Tokenizer>;
  readonly cases: () => readonly Case[];
  /** How many cases there must be. */
  readonly n: number;
  /** Whether every text comes back from its ids. */
  readonly roundTrip: boolean;
}

const llama2Files = ["vocabs/llama2-tokenizer.bin", "vocabs/llama2-tokenizer.model"];

function fixtureCases(vocabulary: "bpe" | "unigram"): Case[] {
  const { texts, vocabularies } = fixtureIds();
  return texts.map((text, i) => [text, vocabularies[vocabulary][i] as number[]]);
}

/** A subject of the fixtures. */
function ownVocabulary(file: string, vocabulary: "bpe" | "unigram"): Subject<Known> {
  const load = () => Tokenizer.load(fixturePath(file));
  const n = fixtureCases(vocabulary).length;
  return {
    name: file,
    value: { load, cases: () => fixtureCases(vocabulary), n, roundTrip: vocabulary === "bpe" },
  };
}

/** A subject of the reference data: a file, who says its ids, and where they are. */
function reference(
  file: string,
  says: string,
  needs: string,
  rest: Omit<Known, "load" | "roundTrip"> & { readonly roundTrip?: boolean },
): Subject<Known> {
  const load = () => Tokenizer.load(sharedPath(file));
  return { name: `${says} of ${file}`, needs: [needs, file], value: { load, roundTrip: true, ...rest } };
}

const spmCases = (file: string) => () =>
  sharedJson<{ cases: { text: string; ids: number[] }[] }>(file).cases.map(
    ({ text, ids }): Case => [text, ids],
  );

function ggmlCases(): Case[] {
  const { texts, vocabs } = sharedJson<{ texts: string[]; vocabs: { "llama-spm": { ids: number[][] } } }>(
    ggml,
  );
  return texts.map((text, i) => [text, vocabs["llama-spm"].ids[i] as number[]]);
}

function llama2cCases(): Case[] {
  const { cases } = sharedJson<{ tokenizer: { cases: { prompt: string; ids: number[] }[] } }>(
    llama2c,
  ).tokenizer;
  return cases.map(({ prompt, ids }) => [prompt, ids.slice(1)]);
}

function talesCases(): Case[] {
  const { cases } = sharedJson<{ cases: { prompt: string; prompt_ids: number[] }[] }>(tales);
  return cases.map(({ prompt, prompt_ids }) => [prompt, prompt_ids.slice(1)]);
}

const ggml = "conformance/ggml_vocab_ids.json";
const llama2c = "conformance/llama2c.json";
const spmLlama2 = "conformance/spm_llama2_tokenizer.json";
const spmUnigram = "conformance/spm_unigram_en.json";
const tales = "models/tales/expected.json";

const conformance: readonly Subject<Known>[] = [
  ownVocabulary("bpe.model", "bpe"),
  ownVocabulary("bpe.bin", "bpe"),
  ownVocabulary("bpe.gguf", "bpe"),
  ownVocabulary("unigram.model", "unigram"),
  ...llama2Files.flatMap((file) => [
    reference(file, "llama2.c's ids", llama2c, { cases: llama2cCases, n: 5 }),
    reference(file, "spm_encode's ids", spmLlama2, { cases: spmCases(spmLlama2), n: 112 }),
    reference(file, "llama.cpp's ids", ggml, { cases: ggmlCases, n: 46 }),
  ]),
  reference("vocabs/llama-spm.gguf", "llama.cpp's ids", ggml, { cases: ggmlCases, n: 46 }),
  reference("models/tales/tokenizer.model", "llama-tokenize's ids", tales, { cases: talesCases, n: 3 }),
  reference("vocabs/spm-unigram-en.model", "spm_encode's ids", spmUnigram, {
    ...{ cases: spmCases(spmUnigram), n: 101, roundTrip: false },
  }),
];

describe("SentencePieceTokenizer: conformance", () => {
  itOn(conformance, "encode() gives the ids", async ({ load, cases, n, roundTrip }) => {
    const tokenizer = await load();
    const all = cases();
    assert.ok(all.length >= n, `${all.length} cases`);
    for (const [text, ids] of all) {
      assert.deepEqual(tokenizer.encode(text, { bos: false, eos: false }), ids, JSON.stringify(text));
      if (roundTrip) assert.equal(tokenizer.decode(ids), decoded(text));
    }
  });

  itOn(conformance, "encode() puts BOS first if the vocabulary says so, and if asked", async ({ load }) => {
    const tokenizer = await load();
    const ids = tokenizer.encode("the", { bos: false });
    assert.deepEqual(tokenizer.encode("the", { bos: true }), [1, ...ids]);
    assert.deepEqual(tokenizer.encode("the"), [1, ...ids]);
    assert.equal(tokenizer.decode([1, ...ids]), "the");
  });

  const everyVocabulary: Subject<() => Promise<Tokenizer>>[] = [
    ...["bpe.model", "bpe.bin", "tiny.tokenizer.bin"].map((name) => ({
      name,
      value: () => Tokenizer.load(fixturePath(name)),
    })),
    ...[...llama2Files, "models/stories260K/tok512.bin"].map((name) => ({
      name,
      needs: [name],
      value: () => Tokenizer.load(sharedPath(name)),
    })),
  ];

  itOn(everyVocabulary, "decode(encode()) is the text", async (load) => {
    const tokenizer = await load();
    fc.assert(
      fc.property(anyText, (text) => {
        assert.equal(tokenizer.decode(tokenizer.encode(text)), decoded(text));
      }),
      { numRuns: 300 },
    );
  });

  const long: Subject<{ file: string; letters: number }>[] = [
    { name: "bpe.model", value: { file: fixturePath("bpe.model"), letters: 200_000 } },
    {
      name: "vocabs/llama2-tokenizer.model",
      needs: ["vocabs/llama2-tokenizer.model"],
      value: { file: sharedPath("vocabs/llama2-tokenizer.model"), letters: 50_002 },
    },
  ];
  itOn(long, "encode() takes 200 KB of anything without quadratic work", async ({ file, letters }) => {
    const tokenizer = await Tokenizer.load(file);
    const n = 200_000;
    for (const unit of ["a", " ", "7", "\n", "🦙", "é", "=", "ab", "Hello", "工", "\ud800", "\0"]) {
      const text = unit.repeat(n / unit.length);
      assert.ok(tokenizer.decode(tokenizer.encode(text)) === decoded(text), unit);
    }
    assert.equal(tokenizer.encode("a".repeat(n), { bos: false }).length, letters);
  });
});

describe("SentencePieceTokenizer", () => {
  it("encode() puts a space before the text and merges by score", () => {
    const tokenizer = createTokenizer(small);
    assert.deepEqual(tokenizer.encode(""), []);
    assert.deepEqual(tokenizer.encode("h"), smallIds("▁", "h"));
    assert.deepEqual(tokenizer.encode("hello world"), smallIds("▁hello", "▁world"));
    assert.deepEqual(tokenizer.encode(" hello"), smallIds("▁", "▁hello"));
    assert.deepEqual(tokenizer.encode("   hello"), smallIds("▁▁", "▁", "▁hello"));
    assert.deepEqual(tokenizer.encode(" "), smallIds("▁▁"));
    assert.deepEqual(tokenizer.encode("hello hello hello "), smallIds("▁hello", "▁hello", "▁hello", "▁"));
  });

  it("encode() puts no space where the vocabulary says so", () => {
    const tokenizer = createTokenizer(llamaData(smallEntries, { addDummyPrefix: false }));
    assert.deepEqual(tokenizer.encode("hello hello"), smallIds("he", "llo", "▁hello"));
    assert.equal(tokenizer.decode(smallIds("▁hello", "▁hello")), " hello hello");
  });

  it("encode() adds BOS and EOS by default as the vocabulary says, and as asked", () => {
    const tokenizer = createTokenizer(small);
    assert.deepEqual(tokenizer.encode("", { bos: true, eos: true }), [1, 2]);
    assert.deepEqual(tokenizer.encode("h", { bos: true }), [1, ...smallIds("▁", "h")]);
    const adding = createTokenizer(llamaData(smallEntries, { addBos: true, addEos: true, eosIds: [2, 0] }));
    assert.deepEqual(adding.encode("h"), [1, ...smallIds("▁", "h"), 2]);
    assert.deepEqual(adding.encode("h", { bos: false, eos: false }), smallIds("▁", "h"));
    const without = createTokenizer(dataOf(byteEntries));
    assertRefused(
      () => without.encode("", { bos: true }),
      TokenizerError,
      /Cannot add BOS: The vocabulary has no BOS/,
    );
    assertRefused(
      () => without.encode("", { eos: true }),
      TokenizerError,
      /Cannot add EOS: The vocabulary has no EOS/,
    );
  });

  it("encode() falls back to bytes", () => {
    const tokenizer = createTokenizer(llamaData(smallEntries, { addDummyPrefix: false }));
    assert.deepEqual(tokenizer.encode("\0\n~"), [3, 13, 3 + 0x7e]);
    for (const text of ["\x7f", "\x80", "\u07ff", "\u0800", "\uffff", "\u{10000}", "\u{10ffff}", "\ufeff"]) {
      const bytes = Array.from(new TextEncoder().encode(text), (byte) => 3 + byte);
      assert.deepEqual(tokenizer.encode(`h${text}h${text}${text}`), [
        ...smallIds("h"),
        ...bytes,
        ...smallIds("h"),
        ...bytes,
        ...bytes,
      ]);
    }
  });

  it("encode() takes lone surrogates as U+FFFD", () => {
    const tokenizer = createTokenizer(small);
    const replaced = tokenizer.encode("h\ufffd");
    assert.deepEqual(replaced, [...smallIds("▁", "h"), 3 + 0xef, 3 + 0xbf, 3 + 0xbd]);
    assert.deepEqual(tokenizer.encode("h\ud83e"), replaced);
    assert.deepEqual(tokenizer.encode("h\udd99"), replaced);
    assert.deepEqual(tokenizer.encode("h\ud83e\udd99"), smallIds("▁", "h", "🦙"));
    assert.deepEqual(tokenizer.encode("\udd99\ud83e"), tokenizer.encode("\ufffd\ufffd"));
  });

  it("encode() gives one unknown token for a run of unknown characters", () => {
    const data = dataOf([...specialEntries, ["a"], ["b"], ["ab", 1]], { unkId: 0 });
    const tokenizer = createTokenizer(data);
    assert.deepEqual(tokenizer.encode("xyzab🦙axa"), [0, 5, 0, 3, 0, 3]);
    assert.equal(tokenizer.decode([0, 5, 0]), " ⁇ ab ⁇ ");
    assert.equal(createTokenizer({ ...data, unkSurface: "?" }).decode([3, 0]), "a?");
  });

  it("encode() refuses what has neither a piece, bytes nor an unknown token", () => {
    const tokenizer = createTokenizer(dataOf([["a"], ...byteEntries.slice(0, 0xf0)]));
    assert.deepEqual(tokenizer.encode("aé"), [0, 1 + 0xc3, 1 + 0xa9]);
    assertRefused(
      () => tokenizer.encode("a🦙"),
      TokenizerError,
      /^Cannot encode U\+1F999: Expected a piece, byte/,
    );
    const partial = createTokenizer(
      dataOf([["a"], ["<unk>", 0, TokenType.unknown], ...byteEntries.slice(1)], { unkId: 1 }),
    );
    assert.deepEqual(partial.encode("\0\0a\x01\0"), [1, 0, 2, 1]);
  });

  it("encode() removes extra spaces where the vocabulary says so", () => {
    const tokenizer = createTokenizer(llamaData(smallEntries, { removeExtraWhitespaces: true }));
    assert.deepEqual(tokenizer.encode("  hello    world  "), smallIds("▁hello", "▁world"));
    for (const text of ["", " ", "   "]) assert.deepEqual(tokenizer.encode(text), []);
    assert.equal(tokenizer.decode(smallIds("▁", "▁", "▁hello", "▁", "▁world")), "hello  world");
    assert.equal(tokenizer.encode(`${" ".repeat(200_000)}h${" ".repeat(200_000)}`).length, 2);
    assert.equal(
      tokenizer.encode(`${"▁".repeat(200_000)}h${"▁".repeat(200_000)}`, { bos: false }).length,
      50_002,
    );
  });

  it("encode() parses control and unknown tokens only with `special`", () => {
    const tokenizer = createTokenizer(small);
    const text = "<s>hello</s><unk> world";
    assert.ok(tokenizer.encode(text).every((id) => id > 2));
    assert.equal(tokenizer.decode(tokenizer.encode(text)), text);
    assert.deepEqual(tokenizer.encode(text, { special: true }), [
      1,
      ...smallIds("▁hello"),
      2,
      0,
      ...smallIds("▁", "▁world"),
    ]);
    assert.deepEqual(tokenizer.encode("<s><s>", { special: true }), [1, 1]);
    assert.deepEqual(tokenizer.encode("", { special: true }), []);
    assert.deepEqual(tokenizer.encode("<s", { special: true }), tokenizer.encode("<s"));
  });

  it("encode() finds the longest control token, spaces included", () => {
    const entries: Entry[] = [
      ...smallEntries,
      ["<s>x", 0, TokenType.control],
      ["<a b>", 0, TokenType.control],
    ];
    const data = llamaData(entries);
    const tokenizer = createTokenizer(data);
    const ids = idsOf(data);
    assert.deepEqual(tokenizer.encode("<s>x<s>h<a b>", { special: true }), [
      ...ids("<s>x"),
      1,
      ...ids("▁", "h"),
      ...ids("<a b>"),
    ]);
  });

  it("encode() never splits user-defined symbols", () => {
    const entries: Entry[] = [
      ...smallEntries,
      ["wor", 9, TokenType.userDefined],
      ["▁▁▁", 0, TokenType.userDefined],
    ];
    const data = llamaData(entries);
    const ids = idsOf(data);
    const tokenizer = createTokenizer(data);
    assert.deepEqual(tokenizer.encode("hello worwor"), ids("▁hello", "▁", "wor", "wor"));
    assert.deepEqual(tokenizer.encode("world"), ids("▁", "wor", "ld"));
    assert.deepEqual(tokenizer.encode("   h"), ids("▁▁▁", "▁", "h"));
    assert.equal(tokenizer.decode(ids("▁▁▁", "▁", "h")), "   h");
  });

  it("encode() cuts at user-defined symbols where the vocabulary says so", () => {
    const entries: Entry[] = [...smallEntries, ["<|x|>", 0, TokenType.userDefined]];
    const data = llamaData(entries, { userDefinedSplitsText: true });
    const ids = idsOf(data);
    const tokenizer = createTokenizer(data);
    assert.deepEqual(tokenizer.encode("<|x|>hello<|x|><|x|> hello"), [
      ...ids("<|x|>", "▁hello", "<|x|>", "<|x|>"),
      ...ids("▁", "▁hello"),
    ]);
    assert.deepEqual(tokenizer.encode("<s><|x|>hello", { special: true }), [1, ...ids("<|x|>", "▁hello")]);
    const uncut = createTokenizer(llamaData(entries));
    assert.deepEqual(uncut.encode("<|x|>hello"), ids("▁", "<|x|>", "he", "llo"));
  });

  it("encode() never gives unused pieces", () => {
    const data = llamaData(
      smallEntries.map(
        ([piece, score]): Entry => [piece, score, piece === "▁hello" ? TokenType.unused : undefined],
      ),
    );
    const tokenizer = createTokenizer(data);
    assert.deepEqual(tokenizer.encode("hello hello"), idsOf(data)("▁he", "llo", "▁he", "llo"));
    assert.equal(tokenizer.decode(idsOf(data)("▁hello")), "hello");
  });

  it("encodeWithOffsets() gives the part of the text that each id stands for", () => {
    const tokenizer = createTokenizer(small);
    const got = tokenizer.encodeWithOffsets("hello 🦙é~ w", { bos: true, eos: true });
    assert.deepEqual(got.ids, [1, ...smallIds("▁hello", "▁", "🦙", "é"), 3 + 0x7e, ...smallIds("▁w"), 2]);
    assert.deepEqual(got.starts, [0, 0, 5, 6, 8, 9, 10, 12]);
    assert.deepEqual(got.ends, [0, 5, 6, 8, 9, 10, 12, 12]);
    assert.deepEqual(tokenizer.encodeWithOffsets(""), { ids: [], starts: [], ends: [] });
  });

  it("encodeWithOffsets() gives each byte of a character the whole of it, and a dummy prefix nothing", () => {
    const tokenizer = createTokenizer(small);
    const got = tokenizer.encodeWithOffsets("工\u{10000}");
    assert.deepEqual(
      got.ids.slice(1),
      [..."\u5de5\u{10000}"].flatMap((each) => bytesOf(each)),
    );
    assert.deepEqual(got.starts, [0, 0, 0, 0, 1, 1, 1, 1]);
    assert.deepEqual(got.ends, [0, 1, 1, 1, 3, 3, 3, 3]);
  });

  it("encodeWithOffsets() counts from the beginning of the whole text after control tokens", () => {
    const tokenizer = createTokenizer(small);
    const got = tokenizer.encodeWithOffsets("<s>hello</s> he", { special: true });
    assert.deepEqual(got.ids, [1, ...smallIds("▁hello"), 2, ...smallIds("▁", "▁he")]);
    assert.deepEqual(got.starts, [0, 3, 8, 12, 12]);
    assert.deepEqual(got.ends, [3, 8, 12, 12, 15]);
  });

  it("encodeWithOffsets() joins the parts of a run of unknown characters", () => {
    const tokenizer = createTokenizer(dataOf([...specialEntries, ["a"]], { unkId: 0 }));
    const { ids, starts, ends } = tokenizer.encodeWithOffsets("xy🦙ax");
    assert.deepEqual({ ids, starts, ends }, { ids: [0, 3, 0], starts: [0, 4, 5], ends: [4, 5, 6] });
  });

  it("encodeWithOffsets() leaves removed spaces to no id but the space that is left", () => {
    const tokenizer = createTokenizer(llamaData(smallEntries, { removeExtraWhitespaces: true }));
    const { ids, starts, ends } = tokenizer.encodeWithOffsets("  hello   h  ");
    assert.deepEqual(ids, smallIds("▁hello", "▁", "h"));
    assert.deepEqual(starts, [2, 7, 10]);
    assert.deepEqual(ends, [7, 10, 11]);
  });

  it("encodeWithOffsets() gives encode()'s ids and parts that cover the text in order", () => {
    const rules = writeCharsmap([
      ["h", "H"],
      ["lo", "llo "],
      ["🦙", ""],
      ["e\ufffd", " "],
    ]);
    const variants = [
      createTokenizer(small),
      createTokenizer({ ...small, charsmap: rules }),
      createTokenizer({ ...small, charsmap: rules, removeExtraWhitespaces: true }),
      createTokenizer({ ...small, kind: "spm-unigram", charsmap: rules, whitespaceAsSuffix: true }),
      createTokenizer({ ...small, kind: "spm-char", escapeWhitespaces: false }),
    ];
    fc.assert(
      fc.property(anyText, fc.boolean(), (text, special) => {
        for (const [i, tokenizer] of variants.entries()) {
          const { ids, starts, ends } = tokenizer.encodeWithOffsets(text, { special });
          assert.deepEqual(ids, tokenizer.encode(text, { special }));
          assert.deepEqual([starts.length, ends.length], [ids.length, ids.length]);
          // What is removed at the beginning or the end is no id's.
          const removes = i === 2 || i === 3;
          let covered = removes ? (starts[0] ?? 0) : 0;
          for (const [k, start] of starts.entries()) {
            const end = ends[k] as number;
            const again = start === starts[k - 1] && end === ends[k - 1];
            assert.ok(start === covered || again, `${start} after ${covered}`);
            assert.ok(end >= start);
            covered = end;
          }
          if (!removes && ids.length > 0) assert.equal(covered, text.length);
        }
      }),
      { numRuns: 300 },
    );
  });

  it("decodeBytes() gives the bytes of decode(), and those that are not UTF-8 as they are", () => {
    const tokenizer = createTokenizer(small);
    const ids = [1, ...smallIds("▁hello"), 3 + 0xff, 3 + 0xe3, ...smallIds("▁he", "🦙")];
    const bytes = [...new TextEncoder().encode("hello"), 0xff, 0xe3, ...new TextEncoder().encode(" he🦙")];
    assert.deepEqual(tokenizer.decodeBytes(ids), Uint8Array.from(bytes));
    assert.deepEqual(tokenizer.decodeBytes([]), new Uint8Array(0));
    assert.deepEqual(tokenizer.decodeBytes([1], { special: true }), new TextEncoder().encode("<s>"));
    assertRefused(() => tokenizer.decodeBytes([-1]), TokenizerError, /^Cannot decode id -1/);
    const anyIds = fc.array(fc.nat(tokenizer.vocabSize - 1), { maxLength: 30 });
    fc.assert(
      fc.property(anyIds, fc.boolean(), (all, special) => {
        const decodedBytes = new TextDecoder("utf-8", { ignoreBOM: true }).decode(
          tokenizer.decodeBytes(all, { special }),
        );
        assert.equal(decodedBytes, tokenizer.decode(all, { special }));
      }),
    );
  });

  it("decode() replaces what the denormalizer says, over the ends of tokens", () => {
    const denormalizerCharsmap = writeCharsmap([
      ["lo w", "-"],
      ["d", "D"],
      ["hell", "?"],
    ]);
    const tokenizer = createTokenizer({ ...small, denormalizerCharsmap });
    const ids = smallIds("▁hello", "▁world");
    assert.equal(tokenizer.decode(ids), "?o worlD");
    assert.equal(tokenizer.decode(smallIds("▁he", "l", "o", "▁w", "or")), "he-or");
    assert.equal(new TextDecoder().decode(tokenizer.decodeBytes(ids)), "?o worlD");
    const anyIds = fc.array(fc.nat(tokenizer.vocabSize - 1), { maxLength: 20 });
    const plain = createTokenizer(small);
    const charsmap = new Charsmap(denormalizerCharsmap, "x");
    fc.assert(
      fc.property(anyIds, (all) => {
        const stream = tokenizer.stream();
        const text = all.map((id) => stream.push(id)).join("") + stream.flush();
        assert.equal(text, charsmap.normalize(plain.decode(all)).text);
        assert.equal(tokenizer.decode(all), text);
      }),
    );
  });

  it("encode() refuses a text that a charsmap makes much longer", () => {
    const charsmap = writeCharsmap([["h", "e".repeat(1000)]]);
    const tokenizer = createTokenizer({ ...small, charsmap });
    assert.equal(tokenizer.encode(`h${"e".repeat(40)}`).length, 1041);
    assertRefused(
      () => tokenizer.encode("h".repeat(1000)),
      TokenizerError,
      /Expected at most 32 times as many after normalization, got more/,
    );
  });

  it("decode() takes one space off the beginning", () => {
    const tokenizer = createTokenizer(small);
    assert.equal(tokenizer.decode([]), "");
    assert.equal(tokenizer.decode(smallIds("▁")), "");
    assert.equal(tokenizer.decode(smallIds("▁▁")), " ");
    assert.equal(tokenizer.decode(smallIds("▁", "▁hello")), " hello");
    assert.equal(tokenizer.decode([1, ...smallIds("▁hello", "▁world"), 2]), "hello world");
    assert.equal(tokenizer.decode([1, 2, 1, ...smallIds("▁hello")]), "hello");
    assert.equal(tokenizer.decode([3 + 0x41, ...smallIds("▁hello")]), "A hello");
    assert.equal(tokenizer.decode(Int32Array.from(smallIds("▁hello"))), "hello");
  });

  it("decode() gives control tokens only with `special`", () => {
    const tokenizer = createTokenizer(small);
    const ids = [1, ...smallIds("▁hello"), 0, 2];
    assert.equal(tokenizer.decode(ids), "hello ⁇ ");
    assert.equal(tokenizer.decode(ids, { special: true }), "<s>hello<unk></s>");
  });

  it("decode() gives U+FFFD for bytes that are not UTF-8", () => {
    const tokenizer = createTokenizer(small);
    assert.equal(tokenizer.decode([3 + 0xff]), "\ufffd");
    assert.equal(tokenizer.decode([3 + 0xe3, 3 + 0x81, ...smallIds("h")]), "\ufffdh");
    assert.equal(tokenizer.decode([3 + 0xf0, 3 + 0x9f, 3 + 0xa6]), "\ufffd");
    assert.equal(tokenizer.decode([3 + 0xef, 3 + 0xbb, 3 + 0xbf, ...smallIds("h")]), "\ufeffh");
  });

  it("decode(), bytes() and piece() refuse ids outside the vocabulary", () => {
    const tokenizer = createTokenizer(small);
    for (const id of [tokenizer.vocabSize, -1, 1.5, Number.NaN, 2 ** 32]) {
      assertRefused(
        () => tokenizer.decode([3, id]),
        TokenizerError,
        /^Cannot decode id .+: Expected an integer from 0 to/,
      );
      assertRefused(() => tokenizer.bytes(id), TokenizerError, /^Cannot decode id/);
      assertRefused(() => tokenizer.piece(id), TokenizerError, /^Cannot decode id/);
      assertRefused(() => tokenizer.stream().push(id), TokenizerError, /^Cannot decode id/);
    }
  });

  it("bytes() and piece() give what one id stands for", () => {
    const tokenizer = createTokenizer(small);
    const text = (id: number, special?: boolean) =>
      new TextDecoder().decode(tokenizer.bytes(id, special === undefined ? {} : { special }));
    const [hello, llama] = smallIds("▁hello", "🦙") as [number, number];
    assert.equal(text(hello), " hello");
    assert.equal(tokenizer.piece(hello), "▁hello");
    assert.equal(text(llama), "🦙");
    assert.deepEqual(tokenizer.bytes(3 + 0xf0), Uint8Array.of(0xf0));
    assert.equal(tokenizer.piece(3 + 0xf0), "<0xF0>");
    assert.equal(text(1), "");
    assert.equal(text(1, true), "<s>");
    assert.equal(tokenizer.piece(1), "<s>");
    assert.equal(text(FIRST_ID), " ");
  });

  it("decode(encode()) is the text", () => {
    const variants = [true, false].flatMap((addDummyPrefix) =>
      [[["▁"] as Entry], smallEntries].map((entries) =>
        createTokenizer(llamaData(entries, { addDummyPrefix, addBos: true, addEos: true })),
      ),
    );
    fc.assert(
      fc.property(anyText, (text) => {
        for (const tokenizer of variants) {
          const ids = tokenizer.encode(text);
          assert.ok(ids.every((id) => id >= 0 && id < tokenizer.vocabSize));
          assert.equal(tokenizer.decode(ids), decoded(text));
        }
      }),
      { numRuns: 500 },
    );
  });

  it("encode() gives the same ids however often and after whatever it is called", () => {
    const text = fc.string({ unit: fc.constantFrom(..."▁helowrd 🦙"), maxLength: 60 });
    const used = createTokenizer(small);
    fc.assert(
      fc.property(text, (each) => {
        assert.deepEqual(used.encode(each), createTokenizer(small).encode(each));
      }),
      { numRuns: 100 },
    );
  });

  it("encode() takes 200 KB of anything without quadratic work", () => {
    const tokenizer = createTokenizer(small);
    for (const unit of ["h", " ", "7", "🦙", "hello", "llo", "\ud800"]) {
      const text = unit.repeat(200_000 / unit.length);
      assert.ok(tokenizer.decode(tokenizer.encode(text)) === decoded(text), unit);
      assert.ok(tokenizer.decode(tokenizer.encode(text, { special: true })) === decoded(text), unit);
    }
  });

  it("encode() takes 10 MB of text", () => {
    const tokenizer = createTokenizer(small);
    const text = "hello world 🦙 ".repeat(600_000);
    assert.equal(tokenizer.encode(text).length, 600_000 * 4 + 1);
    const offsets = tokenizer.encodeWithOffsets("h".repeat(10_000_000));
    assert.equal(offsets.ids.length, 10_000_001);
    assert.equal(offsets.ends.at(-1), 10_000_000);
  });
});
