// Reading of tiktoken rank files, right and wrong ones.
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import cl100kRanks from "gpt-tokenizer/bpeRanks/cl100k_base";
import { isTiktokenFile, parseTiktokenFile } from "../../../src/tokenizer/byte_level/tiktoken_file.ts";
import { MAX_PIECES } from "../../../src/tokenizer/core/limits.ts";
import type { ByteBpeData } from "../../../src/tokenizer/core/vocabulary_data.ts";
import { parseTokenizerFile } from "../../../src/tokenizer/load.ts";
import { createTokenizer } from "../../../src/tokenizer/registry.ts";
import { FormatError, UnsupportedError } from "../../../src/util/errors.ts";
import { type Ranks, rankFile, singleBytes, tokensOfRanks } from "../../support/byte_vocabularies.ts";
import { fixtureBytes } from "../../support/fixtures.ts";
import { itOn, type Subject, sharedBytes } from "../../support/shared.ts";
import { assertRefused, assertTyped } from "../../support/vocabularies.ts";

const utf8 = new TextEncoder();
const file = (text: string) => utf8.encode(text);

function tokensOf(data: ByteBpeData): Uint8Array[] {
  return Array.from(data.types as Uint8Array, (_, id) =>
    data.bytes.slice(data.offsets[id], data.offsets[id + 1]),
  );
}

function refused(text: string, message: RegExp): void {
  assertRefused(() => parseTiktokenFile(file(text), { name: "f" }), FormatError, message);
}

describe("parseTiktokenFile()", () => {
  it("parseTiktokenFile() reads tokens of any bytes and length", () => {
    const tokens = fc.uniqueArray(fc.uint8Array({ minLength: 1, maxLength: 9 }), {
      minLength: 1,
      maxLength: 20,
      selector: String,
    });
    fc.assert(
      fc.property(tokens, (all) => {
        const data = parseTiktokenFile(rankFile(all));
        assert.deepEqual(tokensOf(data), all);
        assert.deepEqual(Array.from(data.types), Array(all.length).fill(1));
      }),
    );
  });

  it("parseTiktokenFile() takes ranks in any order, and gaps between them", () => {
    const data = parseTiktokenFile(rankFile(["c", "a", "bb"], [5, 0, 2]));
    assert.deepEqual(
      tokensOf(data).map((token) => String.fromCharCode(...token)),
      ["a", "", "bb", "", "", "c"],
    );
    assert.deepEqual(Array.from(data.types), [1, 5, 1, 5, 5, 1]);
  });

  it("parseTiktokenFile() takes any line ends, empty lines and none at the end", () => {
    for (const text of ["YQ== 0\nYg== 1\n", "YQ== 0\r\nYg== 1", "\n\nYQ== 0\n\n\r\nYg== 1\n\n"]) {
      assert.equal(tokensOf(parseTiktokenFile(file(text))).length, 2, JSON.stringify(text));
    }
  });

  it("parseTiktokenFile() gives files that it does not know the pattern of Llama 3, or the one that is named", () => {
    const bytes = rankFile(singleBytes);
    const data = parseTiktokenFile(bytes);
    assert.deepEqual(
      [data.pretokenizer, data.wholeWords, data.bosId, data.eosIds, data.unkId, data.addBos, data.addEos],
      ["llama-bpe", true, undefined, [], undefined, false, false],
    );
    assert.equal(parseTiktokenFile(bytes, { pattern: "gpt-2" }).pretokenizer, "gpt-2");
    const loaded = parseTokenizerFile(bytes, { name: "f", pattern: "o200k_base" });
    assert.equal(loaded.kind === "byte-bpe" && loaded.pretokenizer, "o200k_base");
    assertRefused(
      () => parseTiktokenFile(bytes, { pattern: "gpt-5" }),
      UnsupportedError,
      /Unknown pre-tokenizer "gpt-5"; supported: default, /,
    );
    const text = "Any text, 123 中 😀\0\n";
    assert.equal(createTokenizer(data).decode(createTokenizer(data).encode(text)), text);
  });

  it("parseTiktokenFile() refuses what is not base64", () => {
    for (const token of ["Y", "YQ=", "YQ", "YWI", "YQ===", "====", "Y!==", "Y Q=", "YWJjZ", "é"]) {
      refused(
        `YQ== 0\n${token} 1\n`,
        /^Cannot read f: Line 2: Expected a (token in base64|space after the token|rank after the space)/,
      );
    }
    // Bits beyond the last byte.
    refused("YR== 0\n", /Line 1: Expected a token in base64/);
    refused("", /Expected tokens, got none/);
    refused("\n\n", /Expected tokens, got none/);
    refused(" 0\n", /Line 1: Expected a token in base64, got byte 32 at offset 0/);
  });

  it("parseTiktokenFile() refuses what is no rank", () => {
    for (const [line, message] of [
      ["YQ==0", /Expected a space after the token, got byte 48/],
      ["YQ==\t0", /Expected a space after the token, got byte 9/],
      ["YQ== ", /Expected a rank after the space, got byte 10/],
      ["YQ== -1", /Expected a rank after the space, got byte 45/],
      ["YQ== 1e3", /Expected the line to end after the rank, got byte 101/],
      ["YQ== 1.5", /Expected the line to end after the rank, got byte 46/],
      ["YQ== 1 ", /Expected the line to end after the rank, got byte 32/],
      ["YQ== 0x1", /Expected the line to end after the rank, got byte 120/],
    ] as const) {
      refused(`${line}\n`, message);
    }
  });

  it("parseTiktokenFile() refuses a cut last line", () => {
    const whole = rankFile(["abc", "defg"]);
    for (let n = 1; n < whole.length - 2; n++) {
      const cut = whole.subarray(0, n);
      if (n >= 6 && n <= 7) assert.equal(tokensOf(parseTiktokenFile(cut)).length, 1, `${n}`);
      else assertRefused(() => parseTiktokenFile(cut), FormatError, /got the end of the file$/);
    }
  });

  it("parseTiktokenFile() refuses two tokens of one rank, and ranks beyond all measure", () => {
    refused("YQ== 0\nYg== 0\n", /Expected one token of rank 0, got two/);
    refused("YQ== 0\nYg== 5000\n", /Expected ranks below 4098, as there are 2 tokens, got 5000/);
    for (const rank of [MAX_PIECES, 2 ** 31, "9".repeat(1000)]) {
      refused(`YQ== ${rank}\n`, /Line 1: Expected a rank below 1048576/);
    }
  });

  it("parseTiktokenFile() returns or throws a typed error, whatever the bytes", () => {
    const base = rankFile(["a", "b", "ab", "中"]);
    const change = fc.tuple(fc.integer({ min: 0, max: base.length - 1 }), fc.integer({ min: 0, max: 255 }));
    fc.assert(
      fc.property(fc.array(change, { maxLength: 3 }), fc.nat(base.length), (changes, n) => {
        const bytes = base.slice(0, n);
        for (const [at, byte] of changes) if (at < n) bytes[at] = byte;
        assertTyped(() => createTokenizer(parseTiktokenFile(bytes)).encode("ab"));
      }),
    );
  });

  it("parseTokenizerFile() knows rank files by their first line", () => {
    assert.equal(parseTokenizerFile(rankFile(["a"]), { name: "f" }).kind, "byte-bpe");
    assert.equal(parseTokenizerFile(rankFile(["x".repeat(600)]), { name: "f" }).kind, "byte-bpe");
    assertRefused(
      () => parseTokenizerFile(rankFile(["a", "b"]), { name: "f", vocabSize: 1 }),
      FormatError,
      /Expected at most 1 pieces, as the model has, got 2/,
    );
    for (const text of ["", "YQ==", "YQ== x", " 0", "{}"]) assert.ok(!isTiktokenFile(file(text)), text);
  });

  /** A rank file, and what is known of it beyond its ranks. */
  interface Known {
    readonly bytes: () => Uint8Array;
    readonly vocabSize: number;
    readonly bosId: number | undefined;
    readonly eosIds: readonly number[];
    readonly named: readonly (readonly [id: number, piece: string])[];
    readonly ofA: readonly number[];
    readonly nRanks: number;
  }
  const llama3 = "vocabs/llama3-tokenizer.model";
  const subjects: Subject<Known>[] = [
    {
      name: "ranks.tiktoken, which nothing is known of",
      value: {
        bytes: () => fixtureBytes("ranks.tiktoken"),
        ...{ vocabSize: 700, bosId: undefined, eosIds: [], named: [[256, "he"]], ofA: [64], nRanks: 700 },
      },
    },
    {
      name: "cl100k_base",
      value: {
        bytes: () => rankFile(tokensOfRanks(cl100kRanks as Ranks)),
        ...{ vocabSize: 100277, bosId: 100257, eosIds: [100257], ofA: [64], nRanks: 100256 },
        named: [
          [100257, "<|endoftext|>"],
          [100276, "<|endofprompt|>"],
        ],
      },
    },
    {
      name: "Llama 3's",
      needs: [llama3],
      value: {
        bytes: () => sharedBytes(llama3),
        ...{ vocabSize: 128256, bosId: 128000, eosIds: [128001, 128009, 128008] },
        ...{ ofA: [128000, 64], nRanks: 128000 },
        named: [
          [128000, "<|begin_of_text|>"],
          [128255, "<|reserved_special_token_245|>"],
        ],
      },
    },
  ];
  itOn(subjects, "parseTiktokenFile() knows files by their ranks", (known) => {
    const bytes = known.bytes();
    const tokenizer = createTokenizer(parseTiktokenFile(bytes));
    assert.equal(tokenizer.vocabSize, known.vocabSize);
    assert.deepEqual([tokenizer.bosId, tokenizer.eosIds], [known.bosId, known.eosIds]);
    for (const [id, piece] of known.named) assert.equal(tokenizer.piece(id), piece);
    assert.deepEqual(tokenizer.encode("a"), known.ofA);
    // A token less, and it is some other file.
    const other = parseTiktokenFile(bytes.subarray(0, bytes.lastIndexOf(10, bytes.length - 2) + 1));
    assert.deepEqual(
      [other.types.length, other.bosId, other.pretokenizer],
      [known.nRanks - 1, undefined, "llama-bpe"],
    );
  });
});
