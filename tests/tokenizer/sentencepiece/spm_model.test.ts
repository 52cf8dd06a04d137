// Reading of SentencePiece models, right and wrong ones.
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import { TokenType } from "../../../src/tokenizer/core/vocabulary_data.ts";
import { createTokenizer } from "../../../src/tokenizer/registry.ts";
import { parseLlama2cTokenizer } from "../../../src/tokenizer/sentencepiece/llama2c_bin.ts";
import { parseSentencePieceModel } from "../../../src/tokenizer/sentencepiece/spm_model.ts";
import { compileCharsmap } from "../../../src/tokenizer/train/text/charsmap_writer.ts";
import { normalizationRules } from "../../../src/tokenizer/train/text/normalization_rules.ts";
import { FormatError, UnsupportedError } from "../../../src/util/errors.ts";
import { charsmapBytes } from "../../support/charsmap_writer.ts";
import { fixtureBytes } from "../../support/fixtures.ts";
import { itOn, sharedBytes } from "../../support/shared.ts";
import {
  assertRefused,
  assertTyped,
  byteEntries,
  bytesField,
  type Entry,
  floatField,
  type ModelFields,
  modelFile,
  numberField,
  specialEntries,
  varint,
} from "../../support/vocabularies.ts";

const entries: readonly Entry[] = [...specialEntries, ["▁", -1], ["a", -2], ["▁a", -0.5]];
const bpe = numberField(3, 2);
/** NormalizerSpec that leaves spaces alone. */
const plainSpaces = [...numberField(3, 0), ...numberField(4, 0), ...numberField(5, 0)];

function refused(file: readonly number[] | Uint8Array, message: RegExp): void {
  assertRefused(() => parseSentencePieceModel(Uint8Array.from(file)), FormatError, message);
}

function unsupported(fields: ModelFields, message: RegExp): void {
  assertRefused(() => parseSentencePieceModel(modelFile(entries, fields)), UnsupportedError, message);
}

describe("parseSentencePieceModel()", () => {
  it("parseSentencePieceModel() reads pieces and the format's defaults", () => {
    const data = parseSentencePieceModel(modelFile(entries));
    assert.deepEqual(data, {
      kind: "spm-bpe",
      pieces: ["<unk>", "<s>", "</s>", "▁", "a", "▁a"],
      scores: [0, 0, 0, -1, -2, -0.5],
      types: [2, 3, 3, 1, 1, 1],
      bosId: 1,
      eosIds: [2],
      unkId: 0,
      addDummyPrefix: true,
      removeExtraWhitespaces: true,
      unkSurface: " ⁇ ",
      addBos: true,
      addEos: false,
    });
    assert.deepEqual(createTokenizer(data).encode(" a  a "), [1, 5, 5]);
  });

  it("parseSentencePieceModel() reads the specifications, the last of each field", () => {
    const data = parseSentencePieceModel(
      modelFile([["x"], ["<0>", 0, 3], ["<1>", 0, 3], ["<2>", 0, 2], ["<1>", 0, 1], ...byteEntries], {
        trainer: [
          ...numberField(3, 1),
          ...bpe,
          ...numberField(35, 1),
          ...bytesField(44, "?"),
          ...bytesField(46, "<1>"),
          ...bytesField(47, "none"),
        ],
        normalizer: [
          ...bytesField(1, "identity"),
          ...bytesField(2, ""),
          ...numberField(3, 0),
          ...numberField(4, 0),
          ...numberField(5, 1),
        ],
      }),
    );
    assert.equal(data.bosId, 2);
    assert.deepEqual(data.eosIds, []);
    assert.equal(data.unkId, 3);
    assert.equal(data.addDummyPrefix, false);
    assert.equal(data.removeExtraWhitespaces, false);
    assert.equal(data.unkSurface, "?");
  });

  it("parseSentencePieceModel() adds no BOS where there is none", () => {
    const data = parseSentencePieceModel(modelFile([["<unk>", 0, TokenType.unknown], ["<s>"], ["a"]]));
    assert.equal(data.bosId, undefined);
    assert.equal(data.addBos, false);
    assert.deepEqual(createTokenizer(data).encode("a"), [0, 2]);
  });

  it("parseSentencePieceModel() passes over fields it does not know", () => {
    const unknown = [
      ...numberField(9, 2 ** 40),
      ...bytesField(200, "extension"),
      ...floatField(201, 1),
      ...[...varint(202 * 8 + 1), 1, 2, 3, 4, 5, 6, 7, 8],
      ...[...varint(43 * 8), 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01],
    ];
    const data = parseSentencePieceModel(
      modelFile(entries, { trainer: [...unknown, ...bpe], normalizer: unknown, rest: unknown }),
    );
    assert.equal(data.pieces.length, 6);
  });

  const [llama2, llama2Bin] = ["vocabs/llama2-tokenizer.model", "vocabs/llama2-tokenizer.bin"] as const;
  const pairs = [
    {
      name: "bpe.model",
      value: { model: () => fixtureBytes("bpe.model"), bin: () => fixtureBytes("bpe.bin"), size: 800 },
    },
    {
      name: llama2,
      needs: [llama2, llama2Bin],
      value: { model: () => sharedBytes(llama2), bin: () => sharedBytes(llama2Bin), size: 32000 },
    },
  ];
  itOn(pairs, "parseSentencePieceModel() reads what llama2.c's export has", ({ model: load, bin, size }) => {
    const model = parseSentencePieceModel(load());
    const exported = parseLlama2cTokenizer(bin(), size);
    const { unkSurface, ...rest } = model;
    assert.deepEqual(rest, exported);
    assert.equal(unkSurface, " ⁇ ");
  });

  it("parseSentencePieceModel() tells the kinds of model apart", () => {
    const kindOf = (trainer: number[]) => parseSentencePieceModel(modelFile(entries, { trainer })).kind;
    assert.equal(kindOf([]), "spm-unigram");
    assert.equal(kindOf(numberField(3, 1)), "spm-unigram");
    assert.equal(kindOf(numberField(3, 2)), "spm-bpe");
    assert.equal(kindOf(numberField(3, 3)), "spm-word");
    assert.equal(kindOf(numberField(3, 4)), "spm-char");
    for (const type of [0, 5, 9, 2 ** 40]) {
      refused(
        modelFile(entries, { trainer: numberField(3, type) }),
        new RegExp(`Expected a model type from 1 to 4, got ${type}`),
      );
    }
  });

  it("parseSentencePieceModel() reads charsmaps and what is done to spaces", () => {
    const data = parseSentencePieceModel(
      modelFile(entries, {
        trainer: [...bpe, ...numberField(24, 1)],
        normalizer: [...bytesField(2, [1, 2, 3]), ...numberField(5, 0)],
        rest: bytesField(5, [...bytesField(2, [4, 5]), ...plainSpaces]),
      }),
    );
    assert.equal(data.whitespaceAsSuffix, true);
    assert.equal(data.escapeWhitespaces, false);
    assert.deepEqual(data.charsmap, Uint8Array.of(1, 2, 3));
    assert.deepEqual(data.denormalizerCharsmap, Uint8Array.of(4, 5));
    const without = parseSentencePieceModel(modelFile(entries, { rest: bytesField(5, bytesField(2, [])) }));
    assert.equal(without.denormalizerCharsmap, undefined);
  });

  it("parseSentencePieceModel() refuses a denormalizer that changes spaces", () => {
    for (const field of [3, 4, 5]) {
      const rest = bytesField(5, [...bytesField(2, [1]), ...plainSpaces, ...numberField(field, 1)]);
      unsupported({ rest }, /A denormalizer that adds, removes or escapes spaces is not supported/);
    }
  });

  it("createTokenizer() refuses charsmaps of 1 to 4 bytes, and of a hostile trie", () => {
    for (let n = 1; n <= 4; n++) {
      const normalizer = bytesField(2, new Array<number>(n).fill(0xff));
      const data = parseSentencePieceModel(modelFile(entries, { normalizer }));
      assertRefused(() => createTokenizer(data), FormatError, /the normalizer: Expected 8 to \d+ bytes/);
      const rest = bytesField(5, [...normalizer, ...plainSpaces]);
      const other = parseSentencePieceModel(modelFile(entries, { rest }));
      assertRefused(() => createTokenizer(other), FormatError, /the denormalizer: Expected 8 to \d+ bytes/);
    }
    const hostile = bytesField(2, [...charsmapBytes([0xffffffff, 0xffffffff], "x")]);
    const data = parseSentencePieceModel(modelFile(entries, { normalizer: hostile }));
    assertRefused(
      () => createTokenizer(data),
      FormatError,
      /Expected unit 0 of the trie to lead inside of it/,
    );
  });

  const english = "vocabs/spm-unigram-en.model";
  const unigrams = [
    {
      name: "unigram.model",
      value: {
        bytes: () => fixtureBytes("unigram.model"),
        size: 354,
        charsmap: compileCharsmap(normalizationRules("nfkc")).length,
      },
    },
    {
      name: english,
      needs: [english],
      value: { bytes: () => sharedBytes(english), size: 1000, charsmap: 237_484 },
    },
  ];
  itOn(unigrams, "parseSentencePieceModel() reads a unigram model", ({ bytes, size, charsmap }) => {
    const data = parseSentencePieceModel(bytes());
    assert.equal(data.kind, "spm-unigram");
    assert.equal(data.pieces.length, size);
    assert.equal(data.charsmap?.length, charsmap);
    assert.equal(data.addDummyPrefix, true);
    assert.equal(data.removeExtraWhitespaces, true);
  });

  it("parseSentencePieceModel() refuses byte_fallback without all byte tokens", () => {
    const trainer = [...bpe, ...numberField(35, 1)];
    refused(modelFile(entries, { trainer }), /Expected 256 byte tokens, as byte_fallback is set, got 0/);
    refused(
      modelFile([...entries, ...byteEntries.slice(1)], { trainer }),
      /Expected 256 byte tokens.*got 255/,
    );
  });

  it("parseSentencePieceModel() keeps a byte order mark, which is a piece", () => {
    const data = parseSentencePieceModel(modelFile([...entries, ["\ufeff"], ["\ufeffa"]]));
    assert.deepEqual(data.pieces.slice(6), ["\ufeff", "\ufeffa"]);
  });

  it("parseSentencePieceModel() refuses pieces without text or not in UTF-8", () => {
    refused(modelFile([["a"], [""]]), /Expected text in piece 1, got none/);
    refused(bytesField(1, []), /Expected text in piece 0, got none/);
    refused(bytesField(1, bytesField(1, [0xe3, 0x81])), /Expected UTF-8 in piece 0/);
  });

  it("parseSentencePieceModel() refuses wrong wire types", () => {
    refused(numberField(1, 5), /Expected a length and bytes, got a varint \(field 1 at offset 0\)/);
    refused(
      bytesField(1, numberField(1, 5)),
      /Expected a length and bytes, got a varint \(field 1 at offset 2\)/,
    );
    refused(
      bytesField(1, bytesField(2, "abcd")),
      /Expected a 32-bit value, got a length and bytes \(field 2/,
    );
    refused(bytesField(1, floatField(3, 1)), /Expected a varint, got a 32-bit value \(field 3/);
    refused(floatField(2, 1), /Expected a length and bytes, got a 32-bit value \(field 2/);
    for (const [wireType, name] of [
      [3, "group"],
      [4, "end of a group"],
      [6, "wire type 6"],
      [7, "wire type 7"],
    ] as const) {
      refused(
        varint(9 * 8 + wireType),
        new RegExp(`Expected a length and bytes, got an? ${name} \\(field 9`),
      );
    }
    refused(new Array(100_000).fill(9 * 8 + 3), /got a group/);
  });

  it("parseSentencePieceModel() refuses field numbers that cannot be", () => {
    refused([0], /Expected a field number from 1 to 536870911, got 0/);
    refused(varint(2 ** 29 * 8), /Expected a field number from 1 to 536870911, got 536870912/);
  });

  it("parseSentencePieceModel() refuses lengths past the end, in the file and in a message", () => {
    for (const length of [4, 2 ** 31, 2 ** 32, 2 ** 53, 2 ** 63]) {
      refused(
        [...varint(1 * 8 + 2), ...varint(length), 1, 2, 3],
        /Expected \d+ bytes, the message has 3 left/,
      );
      refused(
        [...bytesField(1, [...varint(1 * 8 + 2), ...varint(length), 1, 2, 3]), ...new Array(100).fill(0)],
        /Expected \d+ bytes, the message has 3 left \(field 1 at offset 2\)/,
      );
    }
  });

  it("parseSentencePieceModel() refuses varints that are cut or too long", () => {
    refused([0x80], /Expected a varint, the message ends inside it/);
    refused(new Array(10).fill(0x80), /Expected a varint of at most 10 bytes, got a longer one/);
    refused([...varint(9 * 8), ...new Array(11).fill(0xff)], /Expected a varint of at most 10 bytes/);
    const overlong = [...bytesField(2, [3 * 8, 0x82, 0x80, 0x00])];
    assert.equal(
      parseSentencePieceModel(Uint8Array.from([...modelFile(entries), ...overlong])).pieces.length,
      6,
    );
  });

  it("parseSentencePieceModel() gives typed errors for a file cut anywhere", () => {
    const file = modelFile([...entries, ...byteEntries.slice(0, 3)]);
    for (let n = 0; n < file.length; n++) {
      assertTyped(() => createTokenizer(parseSentencePieceModel(file.slice(0, n))));
    }
    refused(file.slice(0, 10), /Expected \d+ bytes, the message has \d+ left/);
  });

  it("parseSentencePieceModel() gives typed errors for a unigram model with a charsmap cut anywhere", () => {
    const file = modelFile([...entries, ...byteEntries.slice(0, 3)], {
      trainer: [...numberField(3, 1), ...bytesField(46, "<s>")],
      normalizer: [...bytesField(2, [...charsmapBytes([0x40000, 0x80000000], "a")]), ...numberField(4, 1)],
    });
    for (let n = 0; n < file.length; n++) {
      assertTyped(() => createTokenizer(parseSentencePieceModel(file.slice(0, n))).encode("a a"));
    }
  });

  it("createTokenizer() refuses scores of NaN and byte tokens that are no bytes", () => {
    const built = (entry: Entry) => createTokenizer(parseSentencePieceModel(modelFile([...entries, entry])));
    assertRefused(() => built(["b", Number.NaN]), FormatError, /score of piece 6, got NaN/);
    for (const piece of ["<0x-1>", "<0xZZ>"]) {
      assertRefused(() => built([piece, 0, TokenType.byte]), FormatError, /byte token 6 to be one of/);
    }
    assertRefused(() => built(["b", 0, 7]), FormatError, /Expected a type from 1 to 6 for piece 6, got 7/);
  });

  it("parseSentencePieceModel() gives typed errors for files with any bytes changed", () => {
    const file = modelFile([...entries, ...byteEntries.slice(0, 3)]);
    const changes = fc.array(fc.tuple(fc.nat(file.length - 1), fc.nat(255)), { minLength: 1, maxLength: 4 });
    fc.assert(
      fc.property(changes, (all) => {
        const changed = file.slice();
        for (const [at, value] of all) changed[at] = value;
        assertTyped(() =>
          createTokenizer(parseSentencePieceModel(changed)).encode("a a\0", { special: true }),
        );
      }),
      { numRuns: 1000 },
    );
  });
});
