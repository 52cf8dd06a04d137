// Whole tokenizers of tokenizer.json files.
// Provides what reads tokenizer.json.
import "../../../src/tokenizer.ts";
import assert from "node:assert/strict";
import { describe } from "node:test";
import { Tokenizer as Oracle } from "@huggingface/tokenizers";
import fc from "fast-check";
import { readGguf } from "../../../src/format/gguf/header.ts";
import { bytesSource } from "../../../src/source/bytes.ts";
import { packTokens } from "../../../src/tokenizer/byte_level/byte_vocabulary.ts";
import type { Tokenizer } from "../../../src/tokenizer/core/tokenizer.ts";
import {
  type ByteBpeData,
  type SentencePieceData,
  TokenType,
} from "../../../src/tokenizer/core/vocabulary_data.ts";
import { parseTokenizerFile } from "../../../src/tokenizer/load.ts";
import { createTokenizer } from "../../../src/tokenizer/registry.ts";
import { fixtureBytes, fixtureIds } from "../../support/fixtures.ts";
import { itOn, itShared, type Subject, sharedBytes, sharedJson } from "../../support/shared.ts";
import {
  gpt2Json,
  jsonBytes,
  llama2Json,
  llama3Json,
  type TokenizerJson,
  unigramJson,
} from "../../support/tokenizer_json.ts";
import { isClassedAlike } from "../../support/unicode.ts";

/** A tokenizer of JSON, the one it was made from, and Hugging Face's own for JavaScript. */
interface Trio {
  readonly json: Tokenizer;
  readonly source: Tokenizer;
  readonly oracle: Oracle;
}

function trio(json: TokenizerJson, source: Tokenizer): Trio {
  const oracle = once(() => new Oracle(json as never, { clean_up_tokenization_spaces: false }));
  return {
    json: createTokenizer(parseTokenizerFile(jsonBytes(json), { name: "tokenizer.json" })),
    source,
    get oracle() {
      return oracle();
    },
  };
}

/** Makes each once: the files are large. */
function once<T>(make: () => T): () => T {
  let made: { readonly value: T } | undefined;
  return () => {
    made ??= { value: make() };
    return made.value;
  };
}

function parsed<T>(name: string): T {
  return parseTokenizerFile(sharedBytes(name), { name }) as T;
}

function parsedFixture<T>(name: string): T {
  return parseTokenizerFile(fixtureBytes(name), { name }) as T;
}

const LLAMA2 = "vocabs/llama2-tokenizer.model";
const LLAMA3 = "vocabs/llama3-tokenizer.model";
const GPT2 = "vocabs/gpt-2.gguf";
const UNIGRAM = "vocabs/spm-unigram-en.model";
const GGML = "conformance/ggml_vocab_ids.json";

/** A vocabulary file as its data, and the trio made of it. */
interface Made<T> {
  readonly data: T;
  readonly three: Trio;
}

type Make<T> = () => Made<T> | Promise<Made<T>>;

const bpeOf = (data: () => SentencePieceData, metaspace = false) =>
  once((): Made<SentencePieceData> => {
    const all = data();
    return { data: all, three: trio(llama2Json(all, metaspace), createTokenizer(all)) };
  });
const ownBpe = () => parsedFixture<SentencePieceData>("bpe.model");
const llama2 = () => parsed<SentencePieceData>(LLAMA2);

/** SentencePiece BPE as the converter of Llama 2 writes it. */
const bpes: readonly Subject<Make<SentencePieceData>>[] = [
  { name: "bpe.model", value: bpeOf(ownBpe) },
  { name: "Llama 2's", needs: [LLAMA2], value: bpeOf(llama2) },
];
const metaspaceBpes: readonly Subject<Make<SentencePieceData>>[] = [
  { name: "bpe.model", value: bpeOf(ownBpe, true) },
  { name: "Llama 2's", needs: [LLAMA2], value: bpeOf(llama2, true) },
];

const llama3 = once(() => {
  const data = parsed<ByteBpeData>(LLAMA3);
  return { data, three: trio(llama3Json(data), createTokenizer(data)) };
});
/** Our rank file as one of Llama 3's kind, with two special tokens behind its ranks. */
const ownRanks = once(() => {
  const plainData = parsedFixture<ByteBpeData>("ranks.tiktoken");
  const specials = ["<|begin_of_text|>", "<|end_of_text|>"].map((text) => new TextEncoder().encode(text));
  const tokens = Array.from(plainData.types, (_, id) =>
    plainData.bytes.slice(plainData.offsets[id], plainData.offsets[id + 1]),
  );
  const data: ByteBpeData = {
    ...plainData,
    ...packTokens([...tokens, ...specials]),
    types: [...Array.from(plainData.types), TokenType.control, TokenType.control],
    ...{ bosId: tokens.length, eosIds: [tokens.length + 1], addBos: true },
  };
  return { data, three: trio(llama3Json(data), createTokenizer(data)) };
});
/** Rank files as Llama 3's converter writes them. */
const rankFiles: readonly Subject<Make<ByteBpeData>>[] = [
  { name: "ranks.tiktoken", value: ownRanks },
  { name: "Llama 3's", needs: [LLAMA3], value: llama3 },
];

const gpt2Of = (bytes: () => Uint8Array<ArrayBuffer>) =>
  once(async () => {
    const file = await readGguf(bytesSource(bytes()));
    const data = file.tokenizer() as ByteBpeData;
    return { data, three: trio(gpt2Json(data), createTokenizer(data)) };
  });
/** Byte-level vocabularies of GGUF files as GPT-2's own file is written. */
const gpt2s: readonly Subject<Make<ByteBpeData>>[] = [
  { name: "gpt2.gguf", value: gpt2Of(() => fixtureBytes("gpt2.gguf")) },
  { name: "GPT-2's", needs: [GPT2], value: gpt2Of(() => sharedBytes(GPT2)) },
];

const unigramOf = (load: () => SentencePieceData) =>
  once(() => {
    const data = load();
    const three = trio(unigramJson(data, data.charsmap ?? new Uint8Array(0)), createTokenizer(data));
    return { data, three };
  });
const english = unigramOf(() => parsed<SentencePieceData>(UNIGRAM));
const unigrams: readonly Subject<Make<SentencePieceData>>[] = [
  { name: "unigram.model", value: unigramOf(() => parsedFixture<SentencePieceData>("unigram.model")) },
  { name: "an English one", needs: [UNIGRAM], value: english },
];

/** Text of many scripts, spaces of many kinds, digits, joined emoji and combining marks. */
const anyText = fc
  .array(
    fc.oneof(
      fc.constantFrom(
        "the ",
        "Hello",
        "'s",
        "'LL",
        " don't",
        "'ſ",
        "  ",
        "\n\n",
        "\r\n",
        "\t",
        "123",
        "4567",
        "...",
        "();",
      ),
      fc.constantFrom(
        "漢字",
        "かな",
        "한국어",
        "é",
        "e\u0301",
        "ß",
        "İ",
        "👨‍👩‍👧",
        "🇩🇪",
        "अनुच्छेद",
        "العربية",
        "\u00a0",
        "\0",
        "▁",
      ),
      fc.string({ unit: "binary", maxLength: 4 }),
      fc.string({ unit: "grapheme", maxLength: 4 }),
    ),
    { maxLength: 12 },
  )
  .map((parts) => parts.join("").toWellFormed());

/**
 * Text that Hugging Face's own splits alike: it has the runtime's regular expressions, whose \s has U+FEFF and not
 * U+0085, and whose Unicode may be of a later version.
 */
const alikeText = anyText.filter((text) => isClassedAlike(text) && !/[\ufeff\u0085]/.test(text));

const plain = { bos: false, eos: false, special: false };

/** The tokenizer of a file, and the ids that somebody says of each text. */
interface Said {
  readonly tokenizer: () => Tokenizer | Promise<Tokenizer>;
  readonly cases: () => { readonly texts: readonly string[]; readonly ids: readonly (readonly number[])[] };
}

/** A tokenizer.json of the fixtures, and the slow reference's ids. */
function own(file: string, vocabulary: "bpe" | "gpt2"): Subject<Said> {
  const tokenizer = () => createTokenizer(parsedFixture(file));
  const cases = () => {
    const { texts, vocabularies } = fixtureIds();
    return { texts, ids: vocabularies[vocabulary] };
  };
  return { name: file, value: { tokenizer, cases } };
}

type GgmlVocab = "llama-spm" | "llama-bpe" | "gpt-2";

/** A tokenizer.json made of a published vocabulary, and llama.cpp's ids. */
function ofLlamaCpp<T>(vocab: GgmlVocab, file: string, make: Make<T>): Subject<Said> {
  const tokenizer = async () => (await make()).three.json;
  const cases = () => {
    const { texts, vocabs } = sharedJson<{ texts: string[]; vocabs: Record<GgmlVocab, { ids: number[][] }> }>(
      GGML,
    );
    return { texts, ids: vocabs[vocab].ids };
  };
  return { name: `llama.cpp's of ${vocab}`, needs: [GGML, file], value: { tokenizer, cases } };
}

describe("HuggingFaceTokenizer: conformance", () => {
  const subjects = [
    own("bpe.tokenizer.json", "bpe"),
    own("gpt2.tokenizer.json", "gpt2"),
    ofLlamaCpp("llama-spm", LLAMA2, () => bpeOf(llama2)()),
    ofLlamaCpp("llama-bpe", LLAMA3, llama3),
    ofLlamaCpp("gpt-2", GPT2, () => gpt2Of(() => sharedBytes(GPT2))()),
  ];
  itOn(subjects, "encode() gives the ids", async ({ tokenizer: load, cases }) => {
    const tokenizer = await load();
    const { texts, ids } = cases();
    assert.ok(texts.length >= 46, `${texts.length} cases`);
    for (const [i, text] of texts.entries()) {
      const expected = ids[i] as number[];
      assert.deepEqual(tokenizer.encode(text, plain), expected, JSON.stringify(text));
      // A "▁" of the text comes back as a space from a vocabulary that spells spaces so.
      if (!text.includes("▁")) assert.equal(tokenizer.decode(expected), text.toWellFormed());
    }
  });
});

/** Same ids as the source, and offsets that are parts of the text in order. */
function assertLikeSource({ json, source }: Trio, text: string): void {
  const ids = json.encode(text, plain);
  assert.deepEqual(ids, source.encode(text, plain), JSON.stringify(text));
  const offsets = json.encodeWithOffsets(text, plain);
  assert.deepEqual(offsets.ids, ids);
  assert.deepEqual(offsets, source.encodeWithOffsets(text, plain), JSON.stringify(text));
}

function assertDecodes(tokenizer: Tokenizer, text: string): void {
  const ids = tokenizer.encode(text, plain);
  assert.equal(tokenizer.decode(ids), text);
  const stream = tokenizer.stream();
  assert.equal(ids.map((id) => stream.push(id)).join("") + stream.flush(), text);
  assert.equal(new TextDecoder("utf-8", { ignoreBOM: true }).decode(tokenizer.decodeBytes(ids)), text);
}

describe("HuggingFaceTokenizer of SentencePiece BPE", () => {
  itOn(bpes, "encode() gives the ids and offsets of the SentencePiece model", async (make) => {
    const { three } = await make();
    fc.assert(
      fc.property(
        anyText.filter((text) => !text.includes("▁")),
        (text) => assertLikeSource(three, text),
      ),
    );
  });

  itOn(bpes, "encode() gives the ids of Hugging Face's tokenizers", async (make) => {
    const { json, oracle } = (await make()).three;
    fc.assert(
      fc.property(anyText, (text) => {
        assert.deepEqual(json.encode(text), text === "" ? [1] : oracle.encode(text).ids);
      }),
    );
  });

  itOn(metaspaceBpes, "encode() with Metaspace gives the ids of Hugging Face's tokenizers", async (make) => {
    const { json, oracle } = (await make()).three;
    fc.assert(
      fc.property(anyText, (text) => {
        assert.deepEqual(json.encode(text), text === "" ? [1] : oracle.encode(text).ids);
      }),
    );
  });

  itOn(bpes, "decode() gives back what was encoded", async (make) => {
    const { json } = (await make()).three;
    fc.assert(
      fc.property(
        anyText.filter((text) => !text.includes("▁")),
        (text) => assertDecodes(json, text),
      ),
    );
  });

  itOn(bpes, "encode() parses special tokens on request only", async (make) => {
    const { data, three } = await make();
    const { json } = three;
    const [a, b] = [data.pieces.indexOf("▁a"), data.pieces.indexOf("▁b")] as [number, number];
    assert.ok(a > 258 && b > 258);
    assert.deepEqual(json.encode("a</s>b", { special: true }), [1, a, 2, b]);
    assert.ok(!json.encode("a</s>b").includes(2));
    assert.equal(json.bosId, 1);
    assert.deepEqual(json.eosIds, [2]);
    assert.deepEqual(json.encode("", { eos: true }), [1, 2]);
    assert.equal(json.decode([1, a, 2]), "a");
    assert.equal(json.decode([1, a, 2], { special: true }), "<s> a</s>");
  });

  itOn(bpes, "decode() of bytes that are no UTF-8 keeps what is", async (make) => {
    const { json } = (await make()).three;
    const id = (byte: number) => 3 + byte;
    assert.equal(json.decode([id(0xe6), id(0xbc), id(0xa2), id(0xe6)]), "漢\ufffd");
    assert.deepEqual(json.decodeBytes([id(0xff), id(0xe6)]), Uint8Array.of(0xff, 0xe6));
    assert.deepEqual(json.bytes(id(0xff)), Uint8Array.of(0xff));
    const stream = json.stream();
    assert.deepEqual(
      [0xe6, 0xbc, 0xa2].map((byte) => stream.push(id(byte))),
      ["", "", "漢"],
    );
  });

  itOn(bpes, "stream() takes the first space off, but not after a text", async (make) => {
    const { json } = (await make()).three;
    const [id] = json.encode("Hello", plain) as [number];
    assert.equal(json.piece(id), "▁Hello");
    assert.equal(json.stream().push(id), "Hello");
    assert.equal(json.stream({ afterText: true }).push(id), " Hello");
    assert.deepEqual(json.bytes(id), new TextEncoder().encode(" Hello"));
  });
});

describe("HuggingFaceTokenizer of a rank file", () => {
  itOn(rankFiles, "encode() gives the ids and offsets of the rank file", async (make) => {
    const { three } = await make();
    fc.assert(fc.property(anyText, (text) => assertLikeSource(three, text)));
  });

  itOn(rankFiles, "encode() gives the ids of Hugging Face's tokenizers", async (make) => {
    const { json, oracle } = (await make()).three;
    // Its "s" is not the long s that Oniguruma takes for one where case is ignored.
    const text = alikeText.filter((value) => !value.includes("ſ"));
    fc.assert(
      fc.property(text, (value) => {
        assert.deepEqual(json.encode(value).slice(1), oracle.encode(value).ids.slice(1));
      }),
    );
  });

  itOn(rankFiles, "decode() gives back what was encoded", async (make) => {
    const { json } = (await make()).three;
    fc.assert(fc.property(anyText, (text) => assertDecodes(json, text)));
  });

  const specials = [
    {
      name: "ranks.tiktoken",
      value: {
        make: ownRanks,
        text: "<|begin_of_text|>a<|end_of_text|>",
        ...{ ids: [700, 700, 64, 701], ends: [701], size: 702 },
      },
    },
    {
      name: "Llama 3's",
      needs: [LLAMA3],
      value: {
        make: llama3,
        text: "<|start_header_id|>user<|end_header_id|>\n\nhi<|eot_id|>",
        ...{ ids: [128000, 128006, 882, 128007, 271, 6151, 128009], ends: [128001, 128009, 128008] },
        size: 128256,
      },
    },
  ];
  itOn(specials, "encode() finds every special token", ({ make, text, ids, ends, size }) => {
    const { json } = make().three;
    assert.deepEqual(json.encode(text, { special: true }), ids);
    assert.deepEqual(json.eosIds, ends);
    assert.equal(json.vocabSize, size);
  });
});

describe("HuggingFaceTokenizer of GPT-2's kind", () => {
  itOn(
    gpt2s,
    "encode() gives the ids of the GGUF vocabulary and of Hugging Face's tokenizers",
    async (make) => {
      const { three } = await make();
      fc.assert(
        fc.property(anyText, (text) => {
          assertLikeSource(three, text);
          assertDecodes(three.json, text);
        }),
      );
      fc.assert(
        fc.property(alikeText, (text) => {
          assert.deepEqual(three.json.encode(text), text === "" ? [] : three.oracle.encode(text).ids);
        }),
      );
    },
  );
});

describe("HuggingFaceTokenizer of a unigram model", () => {
  const word = fc.string({
    unit: fc.constantFrom(..."abcdefghijklmnopqrstuvwxyzABC.,'12漢🦙".split(/(?:)/u)),
    minLength: 1,
  });
  const normalText = fc.array(word, { maxLength: 8 }).map((words) => words.join(" "));

  itOn(
    unigrams,
    "encode() gives the ids of Hugging Face's tokenizers for text in normal form",
    async (make) => {
      const { json, oracle } = (await make()).three;
      fc.assert(
        fc.property(normalText, (text) => {
          assert.deepEqual(json.encode(text, plain), text === "" ? [] : oracle.encode(text).ids);
        }),
      );
    },
  );

  itOn(
    unigrams,
    "encode() gives the ids of SentencePiece for text in normal form, or as good ones",
    async (make) => {
      const { data, three } = await make();
      const { json, source } = three;
      const { scores } = data;
      const score = (ids: readonly number[]) => ids.reduce((sum, id) => sum + (scores[id] as number), 0);
      const spell = (ids: readonly number[]) => ids.map((id) => source.piece(id)).join("");
      fc.assert(
        fc.property(normalText, (text) => {
          const ids = json.encode(text, plain);
          const others = source.encode(text, plain);
          if (ids.join() === others.join()) return;
          // SentencePiece's sums are f32, which makes equals of ways to split that differ less than the rounding.
          const rounding = 2 ** -24 * Math.abs(score(ids)) * (ids.length + others.length);
          assert.ok(Math.abs(score(ids) - score(others)) <= rounding, text);
          assert.equal(spell(ids), spell(others));
        }),
      );
    },
  );

  itOn(unigrams, "encode() makes no special token of text, unless asked to", async (make) => {
    const { data, three } = await make();
    const specials = data.pieces.flatMap((_, id) => (data.types[id] === TokenType.control ? [id] : []));
    assert.ok(specials.length > 0);
    for (const id of specials) {
      const text = `a${data.pieces[id]}b ${data.pieces[id]}`;
      assert.ok(!three.json.encode(text, plain).includes(id), text);
      assert.equal(
        three.json.encode(text, { ...plain, special: true }).filter((one) => one === id).length,
        2,
      );
    }
  });

  itShared(
    [UNIGRAM],
    "encode() sums as Hugging Face's tokenizers do where SentencePiece's sums are equal",
    () => {
      const { json, source } = english().three;
      assert.deepEqual(json.encode("xlllq", plain), [4, 297, 31, 88, 998]);
      assert.deepEqual(source.encode("xlllq", plain), [4, 297, 88, 31, 998]);
    },
  );
});
