// Byte-level BPE against a scalar twin, and hostile vocabularies.
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import { ByteBpeEncoder } from "../../../src/tokenizer/byte_level/byte_encoder.ts";
import { packTokens } from "../../../src/tokenizer/byte_level/byte_vocabulary.ts";
import { MAX_PIECES } from "../../../src/tokenizer/core/limits.ts";
import { TokenSink } from "../../../src/tokenizer/core/token_sink.ts";
import { type ByteBpeData, TokenType } from "../../../src/tokenizer/core/vocabulary_data.ts";
import { pretokenizerNamed, pretokenizerNames } from "../../../src/tokenizer/pretokenize/registry.ts";
import { createTokenizer } from "../../../src/tokenizer/registry.ts";
import { FormatError, TokenizerError, UnsupportedError } from "../../../src/util/errors.ts";
import { byteData, FIRST, hardCharacters } from "../../support/byte_vocabularies.ts";
import { assertRefused } from "../../support/vocabularies.ts";

const utf8 = new TextEncoder();

const hardTexts = fc.array(fc.constantFrom(...hardCharacters), { maxLength: 40 }).map((all) => all.join(""));

const small = ["th", " th", " the", "ab", "abc", "中", "中中", "😀", "  ", "    ", "\n\n", "123"];
const special = [
  ["<s>", TokenType.control],
  ["</s>", TokenType.control],
  ["<|user|>", TokenType.userDefined],
  ["<unk>", TokenType.unknown],
] as const;
const S = FIRST + small.length;
const smallData = (rest: Partial<ByteBpeData> = {}): ByteBpeData =>
  byteData(small, { special, bosId: S, eosIds: [S + 1], unkId: S + 3, ...rest });

function idsOfWord(encoder: ByteBpeEncoder, word: string): number[] {
  const out = new TokenSink(word.length, false);
  encoder.encodeWord(word, out);
  return out.toIds();
}

describe("ByteBpeTokenizer", () => {
  const tokenizer = createTokenizer(smallData());

  it("encode() and decode() lose nothing, whatever the pre-tokenizer", () => {
    for (const pretokenizer of pretokenizerNames) {
      const each = createTokenizer(smallData({ pretokenizer }));
      fc.assert(
        fc.property(hardTexts, (text) => {
          assert.equal(each.decode(each.encode(text)), text.toWellFormed());
        }),
        { numRuns: 40 },
      );
    }
  });

  it("encode() takes random UTF-16, and a text again", () => {
    const units = fc.array(fc.integer({ min: 0, max: 0xffff }), { maxLength: 80 });
    fc.assert(
      fc.property(units, (all) => {
        const text = String.fromCharCode(...all);
        const ids = tokenizer.encode(text);
        assert.equal(tokenizer.decode(ids), text.toWellFormed());
        assert.deepEqual(tokenizer.encode(text), ids);
        assert.deepEqual(tokenizer.decodeBytes(ids), utf8.encode(text));
      }),
    );
  });

  it("encode() merges the lowest rank first", () => {
    const ids = (text: string) => tokenizer.encode(text).map((id) => tokenizer.piece(id));
    assert.deepEqual(ids(" the theth"), ["Ġthe", "Ġthe", "th"]);
    assert.deepEqual(ids("abcab"), ["abc", "ab"]);
    assert.deepEqual(ids(""), []);
    assert.deepEqual(ids("\0"), ["Ā"]);
    assert.deepEqual(ids("\ud800"), ["ï", "¿", "½"]);
    assert.deepEqual(ids("中中"), ["ä¸Ńä¸Ń"]);
  });

  it("encode() takes a word that is a token as a whole, if the vocabulary says so", () => {
    // "xyz" cannot be made: neither "xy" nor "yz" is a token.
    const ids = (wholeWords: boolean, text: string) =>
      createTokenizer(byteData(["xyz"], { wholeWords })).encode(text);
    assert.deepEqual(ids(true, "xyz"), [FIRST]);
    assert.deepEqual(ids(false, "xyz"), [0x78, 0x79, 0x7a]);
    assert.deepEqual(ids(true, "xyzx"), [0x78, 0x79, 0x7a, 0x78]);
  });

  it("encode() adds BOS and EOS as the vocabulary or the caller says", () => {
    const both = createTokenizer(smallData({ addBos: true, addEos: true }));
    assert.deepEqual(both.encode("ab"), [S, FIRST + 3, S + 1]);
    assert.deepEqual(both.encode("ab", { bos: false, eos: false }), [FIRST + 3]);
    assert.deepEqual(both.encode(""), [S, S + 1]);
    assert.deepEqual(tokenizer.encode("ab", { bos: true }), [S, FIRST + 3]);
    assert.deepEqual([tokenizer.bosId, tokenizer.eosIds, tokenizer.vocabSize], [S, [S + 1], S + 4]);
    const none = createTokenizer(byteData([]));
    assert.throws(() => none.encode("a", { bos: true }), TokenizerError);
    assert.throws(() => none.encode("a", { eos: true }), TokenizerError);
  });

  it("encode() parses control tokens on request only, and user-defined ones always", () => {
    const text = "<s>ab<|user|>ab</s><unk>";
    const plain = tokenizer.encode(text);
    assert.ok(!plain.includes(S) && !plain.includes(S + 1) && !plain.includes(S + 3));
    assert.equal(plain.filter((id) => id === S + 2).length, 1);
    assert.deepEqual(tokenizer.encode(text, { special: true }), [
      S,
      FIRST + 3,
      S + 2,
      FIRST + 3,
      S + 1,
      S + 3,
    ]);
    assert.equal(tokenizer.decode(tokenizer.encode(text)), text);
    assert.equal(tokenizer.decode(tokenizer.encode(text, { special: true }), { special: true }), text);
    assert.equal(tokenizer.decode(tokenizer.encode(text, { special: true })), "ab<|user|>ab");
  });

  it("encode() takes the text between special tokens for texts of their own", () => {
    const spaces = (text: string) => tokenizer.encode(text, { special: true });
    // At the end of a text two spaces are one word; before a letter the second belongs to it.
    assert.deepEqual(spaces("  <s>"), [FIRST + 8, S]);
    assert.deepEqual(spaces("  x"), [0x20, 0x20, 0x78]);
  });

  it("encodeWithOffsets() gives the part of the text of each id, whole characters", () => {
    const text = "é<s>ab😀 th\ud800";
    const { ids, starts, ends } = tokenizer.encodeWithOffsets(text, { special: true, bos: true, eos: true });
    assert.deepEqual(
      ids.map((id, i) => [tokenizer.piece(id), starts[i], ends[i]]),
      [
        ["<s>", 0, 0],
        ["Ã", 0, 1],
        ["©", 0, 1],
        ["<s>", 1, 4],
        ["ab", 4, 6],
        ["ðŁĺĢ", 6, 8],
        ["Ġth", 8, 11],
        ["ï", 11, 12],
        ["¿", 11, 12],
        ["½", 11, 12],
        ["</s>", 12, 12],
      ],
    );
    assert.deepEqual(tokenizer.encodeWithOffsets("", { bos: false }), { ids: [], starts: [], ends: [] });
  });

  it("encodeWithOffsets() covers every text without a gap, with the ids of encode()", () => {
    // Tokens that begin and end inside of characters.
    const inside = createTokenizer(
      byteData([Uint8Array.of(0xb8, 0xad), Uint8Array.of(0xad, 0xe4), Uint8Array.of(0x98, 0x80, 0xf0)]),
    );
    const unit = fc.constantFrom("中", "a", "😀", "é", "\udc00");
    fc.assert(
      fc.property(fc.string({ unit, maxLength: 60 }), (text) => {
        const { ids, starts, ends } = inside.encodeWithOffsets(text);
        assert.deepEqual(ids, inside.encode(text));
        let covered = 0;
        let byte = 0;
        for (const [i, id] of ids.entries()) {
          const start = starts[i] as number;
          const end = ends[i] as number;
          assert.ok(start <= covered && end > start && end >= covered);
          const before = utf8.encode(text.slice(0, start)).length;
          const after = utf8.encode(text.slice(0, end)).length;
          const n = inside.bytes(id).length;
          assert.ok(before <= byte && after >= byte + n && after - byte - n < 4 && byte - before < 4);
          covered = end;
          byte += n;
        }
        assert.equal(covered, text.length);
      }),
    );
  });

  it("decode() leaves control tokens out and makes U+FFFD of invalid UTF-8", () => {
    assert.equal(tokenizer.decode([S, 0x61, S + 3, S + 2, S + 1]), "a<|user|>");
    assert.equal(tokenizer.decode([S, 0x61, S + 3], { special: true }), "<s>a<unk>");
    assert.equal(tokenizer.decode([0xe4, 0xb8, 0x61]), "\ufffda");
    assert.equal(tokenizer.decode([0xff]), "\ufffd");
    assert.equal(tokenizer.decode([0xef, 0xbb, 0xbf, 0x61]), "\ufeffa");
    assert.equal(tokenizer.decode([]), "");
    assert.deepEqual(tokenizer.decodeBytes([0xff, FIRST + 3, S]), Uint8Array.of(0xff, 0x61, 0x62));
    assert.deepEqual(tokenizer.bytes(S), new Uint8Array(0));
    assert.deepEqual(tokenizer.bytes(S, { special: true }), utf8.encode("<s>"));
  });

  it("decode() refuses ids outside the vocabulary", () => {
    for (const id of [-1, S + 4, 1.5, Number.NaN, 2 ** 40]) {
      for (const body of [
        () => tokenizer.decode([id]),
        () => tokenizer.bytes(id),
        () => tokenizer.piece(id),
        () => tokenizer.decodeBytes([id]),
        () => tokenizer.stream().push(id),
      ]) {
        assertRefused(body, TokenizerError, /^Cannot decode id .*: Expected an integer from 0 to 271/);
      }
    }
  });

  it("bytes() gives a copy", () => {
    tokenizer.bytes(FIRST).fill(0);
    assert.equal(tokenizer.piece(FIRST), "th");
  });

  it("stream() gives text as soon as it is complete, and together what decode() gives", () => {
    const ids = fc.array(fc.oneof(fc.integer({ min: 0, max: 255 }), fc.integer({ min: 0x7f, max: S + 3 })), {
      maxLength: 30,
    });
    fc.assert(
      fc.property(ids, fc.boolean(), (all, withSpecial) => {
        const stream = tokenizer.stream({ special: withSpecial });
        const texts = all.map((id) => stream.push(id));
        texts.push(stream.flush());
        assert.equal(texts.join(""), tokenizer.decode(all, { special: withSpecial }));
        assert.equal(stream.flush(), "");
      }),
      { numRuns: 2000 },
    );
    const stream = tokenizer.stream();
    assert.deepEqual(
      [0xf0, 0x9f, 0x98, 0x80, 0x61, 0xe4, 0x61].map((id) => stream.push(id)),
      ["", "", "", "😀", "a", "", "\ufffda"],
    );
    assert.deepEqual([stream.push(0xed), stream.push(0xa0), stream.flush()], ["", "\ufffd\ufffd", ""]);
  });

  it("encode() says which byte a vocabulary lacks", () => {
    const poor = { ...byteData([]), ...packTokens([utf8.encode("a"), utf8.encode("b")]), types: [1, 1] };
    const each = createTokenizer(poor);
    assert.deepEqual(each.encode("ab"), [0, 1]);
    assertRefused(
      () => each.encode("abc"),
      TokenizerError,
      /^Cannot encode byte 0x63: Expected a token for it \(c\), the vocabulary has none$/,
    );
    assert.deepEqual(each.encode("ba"), [1, 0]);
  });

  it("encode() takes byte tokens for bytes that no other token is", () => {
    const tokens = [Uint8Array.of(0x61), Uint8Array.of(0x61), Uint8Array.of(0x62), utf8.encode("ab")];
    const types = [TokenType.byte, TokenType.normal, TokenType.byte, TokenType.normal];
    const each = createTokenizer({ ...byteData([]), ...packTokens(tokens), types });
    assert.deepEqual(each.encode("baab"), [2, 1, 3]);
  });

  it("encode() takes a megabyte of anything", () => {
    for (const unit of ["a", "😀", " ", "1", "中"]) {
      const text = unit.repeat(1e6 / utf8.encode(unit).length);
      assert.equal(tokenizer.decode(tokenizer.encode(text)), text);
    }
  });

  it("encode() takes 10 MB of text", () => {
    const text = "the quick brown fox, 123 the lazy dog's 中中 😀\n".repeat(1.9e5);
    assert.equal(tokenizer.decode(tokenizer.encode(text)), text);
  });

  it("encode() takes a token of 100 KB", () => {
    const each = createTokenizer(byteData(["xx", "x".repeat(1e5)]));
    assert.deepEqual(each.encode("x".repeat(1e5)), [FIRST + 1]);
    assert.equal(each.encode("x".repeat(1e5 - 1)).length, 5e4);
    assert.equal(each.decode([FIRST + 1]).length, 1e5);
  });
});

describe("createTokenizer() of byte-level vocabularies", () => {
  const refused = (changes: Partial<ByteBpeData>, message: RegExp) =>
    assertRefused(() => createTokenizer({ ...smallData(), ...changes }), FormatError, message);

  it("createTokenizer() refuses tokens that do not lie one after the other", () => {
    refused({ offsets: new Uint32Array(0) }, /Expected at least one token, got none/);
    refused({ offsets: new Uint32Array(1) }, /Expected at least one token, got none/);
    refused({ offsets: Uint32Array.of(1, 2), types: [1] }, /Expected the first token at byte 0, got 1/);
    refused({ offsets: Uint32Array.of(0, 3, 2), types: [1, 1] }, /Expected token 1 to end at byte 3 to/);
    refused({ offsets: Uint32Array.of(0, 2 ** 32 - 1), types: [1] }, /Expected token 0 to end at byte 0 to/);
    refused({ offsets: new Uint32Array(MAX_PIECES + 2) }, /Expected at most 1048576 tokens, got 1048577/);
  });

  it("createTokenizer() refuses types of another number or kind", () => {
    refused({ types: [1] }, /Expected 272 types, one a token, got 1/);
    for (const type of [0, 7, -1, 1.5, Number.NaN]) {
      refused({ types: Array(272).fill(type) }, /Expected a type from 1 to 6 for token 0, got/);
    }
  });

  it("createTokenizer() refuses special ids outside the vocabulary, or none where they are to be added", () => {
    for (const id of [S + 4, -1, 1.5, Number.NaN]) {
      refused({ bosId: id }, /Expected the BOS id to be from 0 to 271, got/);
      refused({ unkId: id }, /Expected the unknown id to be from 0 to 271, got/);
      refused({ eosIds: [0, id] }, /Expected the EOS id to be from 0 to 271, got/);
    }
    refused({ bosId: undefined, addBos: true }, /Expected a BOS id, as BOS is to be added, got none/);
    refused({ eosIds: [], addEos: true }, /Expected an EOS id, as EOS is to be added, got none/);
  });

  it("createTokenizer() refuses merges that make no sense, and unknown pre-tokenizers", () => {
    refused({ merges: Int32Array.of(1, 2) }, /merges of 3 ids, got 2 ids/);
    refused({ merges: Int32Array.of(0, 1, 5) }, /Expected merge 0 to be of two tokens/);
    refused({ merges: Int32Array.of(0, 1, 9999) }, /Expected merge 0 to be of two tokens/);
    assertRefused(
      () => createTokenizer(smallData({ pretokenizer: "gpt-5" })),
      UnsupportedError,
      /Unknown pre-tokenizer "gpt-5"; supported: default, /,
    );
  });

  it("createTokenizer() lets the first of equal tokens count, and takes gaps", () => {
    const tokens = ["a", "", "a", "b"].map((token) => utf8.encode(token));
    const each = createTokenizer({ ...byteData([]), ...packTokens(tokens), types: [1, 5, 1, 1] });
    assert.deepEqual(each.encode("ab"), [0, 3]);
    assert.equal(each.decode([2, 1, 3]), "ab");
    assert.equal(each.piece(1), "");
  });
});

describe("ByteBpeEncoder", () => {
  /** The definition, on characters of one byte. */
  function mergeSlowly(text: string, tokens: readonly string[]): string[] {
    const parts = Array.from(text);
    for (;;) {
      let best = -1;
      let bestRank = tokens.length;
      for (let i = 0; i + 1 < parts.length; i++) {
        const rank = tokens.indexOf(`${parts[i]}${parts[i + 1]}`);
        if (rank < 0 || rank >= bestRank) continue;
        best = i;
        bestRank = rank;
      }
      if (best < 0) return parts;
      parts.splice(best, 2, `${parts[best]}${parts[best + 1]}`);
    }
  }

  it("encodeWord() gives the same for long words, window by window", () => {
    const unit = fc.constantFrom("a", "b", "c");
    const cases = fc.tuple(
      fc.uniqueArray(fc.string({ unit, minLength: 2, maxLength: 8 }), { maxLength: 30 }),
      fc.string({ unit, minLength: 33, maxLength: 400 }),
    );
    fc.assert(
      fc.property(cases, ([more, text]) => {
        const tokens = ["a", "b", "c", ...more];
        const encoder = new ByteBpeEncoder({
          ...packTokens(tokens.map((token) => utf8.encode(token))),
          types: tokens.map(() => 1),
          wholeWords: false,
        });
        const expected = mergeSlowly(text, tokens);
        for (let run = 0; run < 2; run++) {
          assert.deepEqual(
            idsOfWord(encoder, text).map((id) => tokens[id]),
            expected,
          );
        }
      }),
      { numRuns: 300 },
    );
  });

  it("encodeWord() finds that the end of a long word decides on its beginning", () => {
    // Each two neighbours are a token, those further right first: words of even and odd length differ throughout.
    const letters = Array.from({ length: 90 }, (_, i) => String.fromCharCode(0x21 + i)).join("");
    const pairs = Array.from({ length: 89 }, (_, i) => letters.slice(i, i + 2)).reverse();
    const encoder = new ByteBpeEncoder(byteData(pairs, { wholeWords: false }));
    for (let n = 30; n <= 90; n++) {
      const ids = idsOfWord(encoder, letters.slice(0, n));
      const texts = ids.map((id) => String.fromCharCode(...encoder.vocabulary.token(id)));
      const expected = letters.slice(0, n % 2) + letters.slice(n % 2, n).replace(/../g, " $&");
      assert.deepEqual(texts, expected.trim().split(" "), `${n} letters`);
    }
  });

  it("encodeWord() does not take a part of a long word for a word that is a token", () => {
    const whole = "xy".repeat(16);
    const encoder = new ByteBpeEncoder(byteData([whole]));
    const encode = (text: string) => idsOfWord(encoder, text);
    for (let run = 0; run < 2; run++) {
      assert.deepEqual(encode(whole.repeat(2)), Array.from(utf8.encode(whole.repeat(2))));
      assert.deepEqual(encode(whole), [FIRST]);
    }
  });

  it("encodeWord() gives ids and offsets alike for words of any length and width", () => {
    const encoder = new ByteBpeEncoder(byteData(small));
    for (const character of ["a", "é", "中", "😀", "中😀", "\ud800"]) {
      for (const n of [0, 1, 15, 16, 17, 31, 32, 33, 63, 64, 65, 100, 600]) {
        const word = character.repeat(n);
        const out = new TokenSink(word.length, true);
        encoder.encodeWord(word, out);
        assert.deepEqual(out.toIds(), idsOfWord(encoder, word), `${n} times ${character}`);
      }
    }
  });

  it("encode() remembers a limited number of words, and forgets without a trace", () => {
    const encoder = new ByteBpeEncoder(byteData(small));
    const pretokenizer = pretokenizerNamed("gpt-2");
    const text = Array.from({ length: 60_000 }, (_, i) => ` ${(i * 7919).toString(36)}abc中中`).join("");
    const encode = (text: string) => {
      const out = new TokenSink(text.length, false);
      encoder.encode(text, pretokenizer, out);
      return out.toIds();
    };
    const first = encode(text);
    for (let run = 0; run < 8; run++) encode(text.replaceAll("abc", "abc".repeat(run + 1)));
    assert.deepEqual(encode(text), first);
  });
});
