// Byte-level tokenizers against what other tokenizers say.
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import cl100kRanks from "gpt-tokenizer/bpeRanks/cl100k_base";
import o200kRanks from "gpt-tokenizer/bpeRanks/o200k_base";
import * as cl100k from "gpt-tokenizer/encoding/cl100k_base";
import * as o200k from "gpt-tokenizer/encoding/o200k_base";
import llama3 from "llama3-tokenizer-js";
import { readGguf } from "../../../src/format/gguf/header.ts";
import { Tokenizer } from "../../../src/mod.ts";
import { bytesSource } from "../../../src/source/bytes.ts";
import { parseTiktokenFile } from "../../../src/tokenizer/byte_level/tiktoken_file.ts";
import type { TokenizerData } from "../../../src/tokenizer/registry.ts";
import { createTokenizer } from "../../../src/tokenizer/registry.ts";
import { hardCharacters, rankFile } from "../../support/byte_vocabularies.ts";
import { itShared, sharedBytes, sharedJson, sharedPath } from "../../support/shared.ts";
import { isClassedAlike } from "../../support/unicode.ts";

const utf8 = new TextEncoder();

const lazily = <T>(make: () => T): (() => T) => {
  let made: T | undefined;
  return () => {
    made ??= make();
    return made;
  };
};

type Ranks = readonly (string | readonly number[])[];
const fromRanks = (ranks: Ranks) =>
  lazily(() => {
    const tokens = Array.from(ranks, (token) =>
      typeof token === "string" ? utf8.encode(token) : Uint8Array.from(token),
    );
    return createTokenizer(parseTiktokenFile(rankFile(tokens)));
  });

const llama3File = "vocabs/llama3-tokenizer.model";
const gpt2File = "vocabs/gpt-2.gguf";
const ofCl100k = fromRanks(cl100kRanks as Ranks);
const ofO200k = fromRanks(o200kRanks as Ranks);
const ofLlama3 = lazily(() => createTokenizer(parseTiktokenFile(sharedBytes(llama3File))));
const ofGpt2 = lazily(async () => {
  const file = await readGguf(bytesSource(sharedBytes(gpt2File)));
  return createTokenizer(file.tokenizer() as TokenizerData);
});

const ggml = "conformance/ggml_vocab_ids.json";
interface GgmlIds {
  texts: string[];
  vocabs: Record<string, { ids: number[][] }>;
}
const openai = "conformance/tiktoken.json";
interface TiktokenCases {
  encode: { enc: string; text: string; allowed_special?: string; ids: number[] }[];
  repetition_roundtrip: { chars: string[]; count: number };
  large: { enc: string }[];
  roundtrip_texts: string[];
  offsets: { enc: string; text: string; allowed_special?: string; offsets: number[] }[];
}

function assertGgml(tokenizer: Tokenizer, vocab: string): void {
  const { texts, vocabs } = sharedJson<GgmlIds>(ggml);
  for (const [i, text] of texts.entries()) {
    const ids = tokenizer.encode(text, { bos: false });
    assert.deepEqual(ids, vocabs[vocab]?.ids[i], JSON.stringify(text));
    assert.deepEqual(tokenizer.encodeWithOffsets(text, { bos: false }).ids, ids);
    assert.equal(tokenizer.decode(ids), text);
  }
}

describe("llama.cpp's ids", () => {
  itShared([ggml, gpt2File], "encode() gives those of gpt-2", async () => {
    const tokenizer = await ofGpt2();
    assertGgml(tokenizer, "gpt-2");
    assert.deepEqual([tokenizer.vocabSize, tokenizer.bosId, tokenizer.eosIds], [50257, 50256, [50256]]);
    assert.equal(tokenizer.encode("a").length, 1, "no BOS by default");
  });

  itShared([ggml, llama3File], "encode() gives those of llama-bpe", () =>
    assertGgml(ofLlama3(), "llama-bpe"),
  );

  itShared([ggml, gpt2File, llama3File], "Tokenizer.load() loads both files", async () => {
    assertGgml(await Tokenizer.load(sharedPath(gpt2File)), "gpt-2");
    assertGgml(await Tokenizer.load(sharedPath(llama3File)), "llama-bpe");
  });
});

describe("Meta's cases of Llama 3", () => {
  const file = "conformance/llama3_tokenizer.json";
  interface Llama3Cases {
    special_tokens: Record<string, number>;
    n_special: number;
    cases: Record<string, unknown>[];
  }

  itShared([file, llama3File], "special tokens have their ids", () => {
    const tokenizer = ofLlama3();
    const { special_tokens, n_special } = sharedJson<Llama3Cases>(file);
    for (const [text, id] of Object.entries(special_tokens)) {
      assert.deepEqual(tokenizer.encode(text, { bos: false, special: true }), [id]);
      assert.ok(tokenizer.encode(text, { bos: false }).length > 1);
      assert.equal(tokenizer.decode([id], { special: true }), text);
      assert.equal(tokenizer.decode([id]), "");
    }
    assert.equal(tokenizer.vocabSize, 128000 + n_special);
  });

  itShared([file, llama3File], "encode() and decode() give the cases", () => {
    const tokenizer = ofLlama3();
    const message = (role: unknown, content: unknown) =>
      `<|start_header_id|>${role}<|end_header_id|>\n\n${content}<|eot_id|>`;
    const encode = (text: string, bos = false) => tokenizer.encode(text, { special: true, bos });
    const checks: Record<string, (c: Record<string, unknown>) => void> = {
      encode: ({ text, bos, eos, ids }) =>
        assert.deepEqual(tokenizer.encode(text as string, { bos: bos === true, eos: eos === true }), ids),
      decode: ({ ids, text }) => assert.equal(tokenizer.decode(ids as number[], { special: true }), text),
      encode_message: ({ role, content, ids }) => assert.deepEqual(encode(message(role, content)), ids),
      encode_dialog_prompt: ({ messages, ids }) => {
        const all = (messages as string[][]).map(([role, content]) => message(role, content)).join("");
        assert.deepEqual(encode(`${all}<|start_header_id|>assistant<|end_header_id|>\n\n`, true), ids);
      },
    };
    for (const each of sharedJson<Llama3Cases>(file).cases) checks[each.op as string]?.(each);
  });
});

describe("tiktoken's cases", () => {
  /** The tokenizer of an encoding whose ranks are at hand. */
  const tokenizers: Record<string, () => Tokenizer | Promise<Tokenizer>> = {
    gpt2: ofGpt2,
    r50k_base: ofGpt2,
    cl100k_base: ofCl100k,
    o200k_base: ofO200k,
  };

  itShared([openai, gpt2File], "encode() gives the ids", async () => {
    const cases = sharedJson<TiktokenCases>(openai).encode.filter(({ enc }) => enc in tokenizers);
    assert.ok(cases.length > 20);
    for (const { enc, text, allowed_special, ids } of cases) {
      const tokenizer = (await tokenizers[enc]?.()) as Tokenizer;
      assert.deepEqual(tokenizer.encode(text, { special: allowed_special === "all" }), ids, `${enc} ${text}`);
    }
  });

  itShared([openai], "encodeWithOffsets() gives the offsets", () => {
    for (const { text, allowed_special, offsets } of sharedJson<TiktokenCases>(openai).offsets) {
      const { starts } = ofCl100k().encodeWithOffsets(text, { special: allowed_special === "all" });
      assert.deepEqual(starts, offsets, text);
    }
  });

  itShared([openai, gpt2File], "decode() gives back every text", async () => {
    const { repetition_roundtrip, roundtrip_texts } = sharedJson<TiktokenCases>(openai);
    const { chars, count } = repetition_roundtrip;
    const repeated = chars
      .map((character) => character.repeat(count))
      .flatMap((all) => [all, ` ${all}`, ` ${all}\n`]);
    for (const name of Object.keys(tokenizers)) {
      const tokenizer = (await tokenizers[name]?.()) as Tokenizer;
      for (const text of [...repeated, ...roundtrip_texts]) {
        assert.equal(tokenizer.decode(tokenizer.encode(text)), text);
      }
    }
  });

  it("every token's bytes are found again", () => {
    const tokenizer = ofCl100k();
    for (let id = 0; id < 100256; id += 7) {
      const text = tokenizer.decode([id]);
      if (text.includes("\ufffd")) continue;
      assert.ok(tokenizer.decode(tokenizer.encode(text)) === text);
    }
  });

  it("encode() takes a million letters", () => {
    const ids = ofO200k().encode("x".repeat(1e6));
    assert.equal(ofO200k().decode(ids).length, 1e6);
  });
});

describe("other tokenizers in JavaScript", () => {
  /**
   * Random text on which they must agree. Left out is what they differ in, and cria does as tiktoken and llama.cpp:
   * JavaScript's \s has U+FEFF and not U+0085; U+017F is an s after an apostrophe; characters that the runtime's
   * Unicode has and cria's has not.
   */
  const isCommon = (character: string) => !/[\ufeff\u0085ſ]/.test(character);
  const characters = hardCharacters.filter(isCommon);
  const anyCharacter = fc
    .integer({ min: 0, max: 0x10ffff })
    .map((character) => String.fromCodePoint(character))
    .filter((character) => isClassedAlike(character) && isCommon(character));
  const words = fc.constantFrom(
    "the",
    " hello",
    "I'm",
    " World",
    "中文",
    "ください",
    "привет",
    "function",
    "();\n",
  );
  const texts = fc
    .array(
      fc.oneof(
        { weight: 6, arbitrary: fc.constantFrom(...characters) },
        { weight: 2, arbitrary: anyCharacter },
        { weight: 2, arbitrary: words },
      ),
      { maxLength: 40 },
    )
    .map((all) => all.join(""));
  const agree = (tokenizer: () => Tokenizer, oracle: (text: string) => number[]) =>
    fc.assert(
      fc.property(texts, (text) => {
        const ids = tokenizer().encode(text, { bos: false });
        assert.deepEqual(ids, oracle(text));
        assert.deepEqual(tokenizer().encodeWithOffsets(text, { bos: false }).ids, ids);
        assert.equal(tokenizer().decode(ids), text.toWellFormed());
      }),
      { numRuns: 500 },
    );

  it("encode() agrees with gpt-tokenizer's cl100k_base", () =>
    agree(ofCl100k, (text) => cl100k.encode(text)));

  it("encode() agrees with gpt-tokenizer's o200k_base", () => agree(ofO200k, (text) => o200k.encode(text)));

  itShared([llama3File], "encode() agrees with llama3-tokenizer-js", () =>
    agree(ofLlama3, (text) => llama3.encode(text, { bos: false, eos: false })),
  );

  it("encode() does as tiktoken where they differ", () => {
    assert.deepEqual(ofCl100k().encode(" \u00850"), [220, 126, 227, 15]);
    // U+FEFF is no whitespace: it begins a word.
    assert.deepEqual(ofCl100k().encode("\ufeffa").length, 2);
    assert.deepEqual(ofCl100k().encode("a'ſa"), [...ofCl100k().encode("a"), ...ofCl100k().encode("'ſ"), 64]);
  });
});
