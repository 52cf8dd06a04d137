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
import { encodeByteBpe, keyOf, rankFilePairs } from "../../reference/byte_bpe.ts";
import { hardCharacters, type Ranks, rankFile, tokensOfRanks } from "../../support/byte_vocabularies.ts";
import { fixtureIds, fixturePath } from "../../support/fixtures.ts";
import { itOn, type Subject, sharedBytes, sharedJson, sharedPath } from "../../support/shared.ts";
import { isClassedAlike } from "../../support/unicode.ts";

const lazily = <T>(make: () => T): (() => T) => {
  let made: T | undefined;
  return () => {
    made ??= make();
    return made;
  };
};

const fromRanks = (ranks: Ranks) =>
  lazily(() => createTokenizer(parseTiktokenFile(rankFile(tokensOfRanks(ranks)))));

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

/** A tokenizer, and the ids that somebody says of each text. */
interface Known {
  readonly load: () => Tokenizer | Promise<Tokenizer>;
  readonly texts: () => readonly string[];
  readonly ids: () => readonly (readonly number[])[];
  /** Size, BOS and EOS. */
  readonly size: readonly [vocabSize: number, bosId: number | undefined, eosIds: readonly number[]];
}

function own(file: string, vocabulary: "ranks" | "gpt2", size: Known["size"]): Subject<Known> {
  const load = () => Tokenizer.load(fixturePath(file));
  const texts = () => fixtureIds().texts;
  return { name: file, value: { load, texts, ids: () => fixtureIds().vocabularies[vocabulary], size } };
}

function ofLlamaCpp(vocab: string, file: string, load: Known["load"], size: Known["size"]): Subject<Known> {
  const texts = () => sharedJson<GgmlIds>(ggml).texts;
  const ids = () => sharedJson<GgmlIds>(ggml).vocabs[vocab]?.ids ?? [];
  return { name: `llama.cpp's of ${vocab}`, needs: [ggml, file], value: { load, texts, ids, size } };
}

const gpt2Size = [50257, 50256, [50256]] as const;
const llama3Size = [128256, 128000, [128001, 128009, 128008]] as const;

describe("ids of byte-level vocabularies", () => {
  const subjects: Subject<Known>[] = [
    own("ranks.tiktoken", "ranks", [700, undefined, []]),
    own("gpt2.gguf", "gpt2", [701, 700, [700]]),
    ofLlamaCpp("gpt-2", gpt2File, ofGpt2, gpt2Size),
    ofLlamaCpp("llama-bpe", llama3File, ofLlama3, llama3Size),
  ];

  async function assertIds(tokenizer: Tokenizer, { texts, ids: load, size }: Known): Promise<void> {
    const expected = load();
    assert.ok(expected.length >= 46, `${expected.length} cases`);
    for (const [i, text] of texts().entries()) {
      const ids = tokenizer.encode(text, { bos: false });
      assert.deepEqual(ids, expected[i], JSON.stringify(text));
      assert.deepEqual(tokenizer.encodeWithOffsets(text, { bos: false }).ids, ids);
      assert.equal(tokenizer.decode(ids), text.toWellFormed());
    }
    assert.deepEqual([tokenizer.vocabSize, tokenizer.bosId, tokenizer.eosIds], size);
  }

  itOn(subjects, "encode() gives them", async (known) => {
    const tokenizer = await known.load();
    await assertIds(tokenizer, known);
    const bos = tokenizer.vocabSize === 128256 ? [128000] : [];
    assert.equal(tokenizer.encode("a").length, 1 + bos.length, "BOS by default if the file says so");
  });

  const files: Subject<Known>[] = [
    own("gpt2.gguf", "gpt2", [701, 700, [700]]),
    ofLlamaCpp("gpt-2", gpt2File, () => Tokenizer.load(sharedPath(gpt2File)), gpt2Size),
    ofLlamaCpp("llama-bpe", llama3File, () => Tokenizer.load(sharedPath(llama3File)), llama3Size),
  ];
  itOn(files, "Tokenizer.load() loads the file", async (known) => assertIds(await known.load(), known));
});

describe("special tokens", () => {
  const file = "conformance/llama3_tokenizer.json";
  interface Llama3Cases {
    special_tokens: Record<string, number>;
    n_special: number;
    cases: Record<string, unknown>[];
  }

  interface Specials {
    readonly load: () => Tokenizer | Promise<Tokenizer>;
    readonly specials: () => Omit<Llama3Cases, "cases"> & { readonly first: number };
  }
  const subjects: Subject<Specials>[] = [
    {
      name: "gpt2.gguf",
      value: {
        load: () => Tokenizer.load(fixturePath("gpt2.gguf")),
        specials: () => ({ special_tokens: { "<|endoftext|>": 700 }, n_special: 1, first: 700 }),
      },
    },
    {
      name: "cl100k_base",
      value: {
        load: ofCl100k,
        specials: () => ({
          special_tokens: { "<|endoftext|>": 100257, "<|fim_middle|>": 100259, "<|endofprompt|>": 100276 },
          ...{ n_special: 20, first: 100257 },
        }),
      },
    },
    {
      name: "Meta's cases of Llama 3",
      needs: [file, llama3File],
      value: { load: ofLlama3, specials: () => ({ ...sharedJson<Llama3Cases>(file), first: 128000 }) },
    },
  ];
  itOn(subjects, "have their ids", async ({ load, specials }) => {
    const tokenizer = await load();
    const { special_tokens, n_special, first } = specials();
    for (const [text, id] of Object.entries(special_tokens)) {
      assert.deepEqual(tokenizer.encode(text, { bos: false, special: true }), [id]);
      assert.ok(tokenizer.encode(text, { bos: false }).length > 1);
      assert.equal(tokenizer.decode([id], { special: true }), text);
      assert.equal(tokenizer.decode([id]), "");
    }
    assert.equal(tokenizer.vocabSize, first + n_special);
  });

  interface Dialogs {
    readonly load: () => Tokenizer | Promise<Tokenizer>;
    readonly cases: () => Llama3Cases["cases"];
  }
  const ends = "<|endoftext|>";
  const ownCases = [
    { op: "encode", text: "a", bos: true, eos: true, ids: [700, 64, 700] },
    { op: "encode_special", text: `a${ends}${ends}b`, ids: [64, 700, 700, 65] },
    { op: "decode", ids: [64, 700, 65], text: `a${ends}b` },
  ];
  const dialogs: Subject<Dialogs>[] = [
    {
      name: "gpt2.gguf",
      value: { load: () => Tokenizer.load(fixturePath("gpt2.gguf")), cases: () => ownCases },
    },
    {
      name: "Meta's cases of Llama 3",
      needs: [file, llama3File],
      value: { load: ofLlama3, cases: () => sharedJson<Llama3Cases>(file).cases },
    },
  ];
  itOn(dialogs, "encode() and decode() give the cases", async ({ load, cases }) => {
    const tokenizer = await load();
    const message = (role: unknown, content: unknown) =>
      `<|start_header_id|>${role}<|end_header_id|>\n\n${content}<|eot_id|>`;
    const encode = (text: string, bos = false) => tokenizer.encode(text, { special: true, bos });
    const checks: Record<string, (c: Record<string, unknown>) => void> = {
      encode: ({ text, bos, eos, ids }) =>
        assert.deepEqual(tokenizer.encode(text as string, { bos: bos === true, eos: eos === true }), ids),
      encode_special: ({ text, ids }) => assert.deepEqual(encode(text as string), ids),
      decode: ({ ids, text }) => assert.equal(tokenizer.decode(ids as number[], { special: true }), text),
      encode_message: ({ role, content, ids }) => assert.deepEqual(encode(message(role, content)), ids),
      encode_dialog_prompt: ({ messages, ids }) => {
        const all = (messages as string[][]).map(([role, content]) => message(role, content)).join("");
        assert.deepEqual(encode(`${all}<|start_header_id|>assistant<|end_header_id|>\n\n`, true), ids);
      },
    };
    for (const each of cases()) checks[each.op as string]?.(each);
  });
});

describe("tiktoken's encodings", () => {
  /** The tokenizer of an encoding whose ranks are at hand. */
  const tokenizers: Record<string, () => Tokenizer | Promise<Tokenizer>> = {
    gpt2: ofGpt2,
    r50k_base: ofGpt2,
    cl100k_base: ofCl100k,
    o200k_base: ofO200k,
  };

  // By the slow reference, and so by the ranks alone.
  const byReference = (): TiktokenCases["encode"] => {
    const tokens = tokensOfRanks(cl100kRanks as Ranks);
    const ids = new Map(tokens.map((token, id) => [keyOf(token), id]));
    const rank = rankFilePairs(tokens);
    return fixtureIds().texts.map((text) => ({
      ...{ enc: "cl100k_base", text },
      ids: encodeByteBpe(text, { pattern: "llama-bpe", ids, rank }),
    }));
  };
  const encodings: Subject<() => TiktokenCases["encode"]>[] = [
    { name: "the slow reference's", value: byReference },
    { name: "its own", needs: [openai, gpt2File], value: () => sharedJson<TiktokenCases>(openai).encode },
  ];
  itOn(encodings, "encode() gives the ids", async (load) => {
    const cases = load().filter(({ enc }) => enc in tokenizers);
    assert.ok(cases.length > 20);
    for (const { enc, text, allowed_special, ids } of cases) {
      const tokenizer = (await tokenizers[enc]?.()) as Tokenizer;
      assert.deepEqual(tokenizer.encode(text, { special: allowed_special === "all" }), ids, `${enc} ${text}`);
    }
  });

  const ownOffsets: TiktokenCases["offsets"] = [
    { enc: "cl100k_base", text: "hello world", offsets: [0, 5] },
    { enc: "cl100k_base", text: "a<|endoftext|> the", allowed_special: "all", offsets: [0, 1, 14] },
    { enc: "cl100k_base", text: "the 1234", offsets: [0, 3, 4, 7] },
  ];
  const offsetLists: Subject<() => TiktokenCases["offsets"]>[] = [
    { name: "worked out by hand", value: () => ownOffsets },
    { name: "its own", needs: [openai], value: () => sharedJson<TiktokenCases>(openai).offsets },
  ];
  itOn(offsetLists, "encodeWithOffsets() gives the offsets", (load) => {
    for (const { text, allowed_special, offsets } of load()) {
      const { starts } = ofCl100k().encodeWithOffsets(text, { special: allowed_special === "all" });
      assert.deepEqual(starts, offsets, text);
    }
  });

  interface RoundTrips {
    readonly names: readonly string[];
    readonly load: () => Pick<TiktokenCases, "repetition_roundtrip" | "roundtrip_texts">;
  }
  const roundTrips: Subject<RoundTrips>[] = [
    {
      name: "texts of our own",
      value: {
        names: ["cl100k_base", "o200k_base"],
        load: () => ({
          repetition_roundtrip: { chars: ["^", "0", "a", "'s", " ", "\n"], count: 10_000 },
          roundtrip_texts: fixtureIds().texts.map((text) => text.toWellFormed()),
        }),
      },
    },
    {
      name: "its own texts",
      needs: [openai, gpt2File],
      value: { names: Object.keys(tokenizers), load: () => sharedJson<TiktokenCases>(openai) },
    },
  ];
  itOn(roundTrips, "decode() gives back every text", async ({ names, load }) => {
    const { repetition_roundtrip, roundtrip_texts } = load();
    const { chars, count } = repetition_roundtrip;
    const repeated = chars
      .map((character) => character.repeat(count))
      .flatMap((all) => [all, ` ${all}`, ` ${all}\n`]);
    for (const name of names) {
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

  interface Pair {
    readonly ours: () => Tokenizer;
    readonly oracle: (text: string) => number[];
  }
  const pairs: Subject<Pair>[] = [
    {
      name: "gpt-tokenizer's cl100k_base",
      value: { ours: ofCl100k, oracle: (text) => cl100k.encode(text) },
    },
    { name: "gpt-tokenizer's o200k_base", value: { ours: ofO200k, oracle: (text) => o200k.encode(text) } },
    {
      name: "llama3-tokenizer-js",
      needs: [llama3File],
      value: { ours: ofLlama3, oracle: (text) => llama3.encode(text, { bos: false, eos: false }) },
    },
  ];
  itOn(pairs, "encode() agrees with them", ({ ours, oracle }) => agree(ours, oracle));

  it("encode() does as tiktoken where they differ", () => {
    assert.deepEqual(ofCl100k().encode(" \u00850"), [220, 126, 227, 15]);
    // U+FEFF is no whitespace: it begins a word.
    assert.deepEqual(ofCl100k().encode("\ufeffa").length, 2);
    assert.deepEqual(ofCl100k().encode("a'ſa"), [...ofCl100k().encode("a"), ...ofCl100k().encode("'ſ"), 64]);
  });
});
