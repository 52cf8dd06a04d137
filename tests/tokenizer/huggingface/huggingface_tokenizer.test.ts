// Whole tokenizers of tokenizer.json files.
import assert from "node:assert/strict";
import { describe } from "node:test";
import { Tokenizer as Oracle } from "@huggingface/tokenizers";
import fc from "fast-check";
import { readGguf } from "../../../src/format/gguf/header.ts";
import { bytesSource } from "../../../src/source/bytes.ts";
import type { Tokenizer } from "../../../src/tokenizer/core/tokenizer.ts";
import type { ByteBpeData, SentencePieceData } from "../../../src/tokenizer/core/vocabulary_data.ts";
import { parseTokenizerFile } from "../../../src/tokenizer/load.ts";
import { createTokenizer } from "../../../src/tokenizer/registry.ts";
import { itShared, sharedBytes, sharedJson } from "../../support/shared.ts";
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

const LLAMA2 = "vocabs/llama2-tokenizer.model";
const LLAMA3 = "vocabs/llama3-tokenizer.model";
const GPT2 = "vocabs/gpt-2.gguf";
const UNIGRAM = "vocabs/spm-unigram-en.model";
const GGML = "conformance/ggml_vocab_ids.json";

const llama2 = once(() => {
  const data = parsed<SentencePieceData>(LLAMA2);
  return trio(llama2Json(data), createTokenizer(data));
});
const llama2Metaspace = once(() => {
  const data = parsed<SentencePieceData>(LLAMA2);
  return trio(llama2Json(data, true), createTokenizer(data));
});
const llama3 = once(() => {
  const data = parsed<ByteBpeData>(LLAMA3);
  return trio(llama3Json(data), createTokenizer(data));
});
const gpt2 = once(async () => {
  const file = await readGguf(bytesSource(sharedBytes(GPT2)));
  const data = file.tokenizer() as ByteBpeData;
  return trio(gpt2Json(data), createTokenizer(data));
});
const unigram = once(() => {
  const data = parsed<SentencePieceData>(UNIGRAM);
  return trio(unigramJson(data, data.charsmap ?? new Uint8Array(0)), createTokenizer(data));
});

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

interface GgmlCases {
  texts: string[];
  vocabs: Record<"llama-spm" | "llama-bpe" | "gpt-2", { ids: number[][] }>;
}

function assertConformance(tokenizer: Tokenizer, name: keyof GgmlCases["vocabs"]): void {
  const { texts, vocabs } = sharedJson<GgmlCases>(GGML);
  assert.equal(texts.length, 46);
  for (const [i, text] of texts.entries()) {
    const ids = vocabs[name].ids[i] as number[];
    assert.deepEqual(tokenizer.encode(text, plain), ids, JSON.stringify(text));
    assert.equal(tokenizer.decode(ids), text);
  }
}

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

describe("HuggingFaceTokenizer: Llama 2's", () => {
  itShared([LLAMA2, GGML], "encode() gives the ids of llama.cpp", () => {
    assertConformance(llama2().json, "llama-spm");
  });

  itShared([LLAMA2], "encode() gives the ids and offsets of the SentencePiece model", () => {
    fc.assert(
      fc.property(
        anyText.filter((text) => !text.includes("▁")),
        (text) => assertLikeSource(llama2(), text),
      ),
    );
  });

  itShared([LLAMA2], "encode() gives the ids of Hugging Face's tokenizers", () => {
    fc.assert(
      fc.property(anyText, (text) => {
        assert.deepEqual(llama2().json.encode(text), text === "" ? [1] : llama2().oracle.encode(text).ids);
      }),
    );
  });

  itShared([LLAMA2], "encode() with Metaspace gives the ids of Hugging Face's tokenizers", () => {
    const { json, oracle } = llama2Metaspace();
    fc.assert(
      fc.property(anyText, (text) => {
        assert.deepEqual(json.encode(text), text === "" ? [1] : oracle.encode(text).ids);
      }),
    );
  });

  itShared([LLAMA2], "decode() gives back what was encoded", () => {
    fc.assert(
      fc.property(
        anyText.filter((text) => !text.includes("▁")),
        (text) => assertDecodes(llama2().json, text),
      ),
    );
  });

  itShared([LLAMA2], "encode() parses special tokens on request only", () => {
    const { json } = llama2();
    assert.deepEqual(json.encode("a</s>b", { special: true }), [1, 263, 2, 289]);
    assert.ok(!json.encode("a</s>b").includes(2));
    assert.equal(json.bosId, 1);
    assert.deepEqual(json.eosIds, [2]);
    assert.deepEqual(json.encode("", { eos: true }), [1, 2]);
    assert.equal(json.decode([1, 263, 2]), "a");
    assert.equal(json.decode([1, 263, 2], { special: true }), "<s> a</s>");
  });

  itShared([LLAMA2], "decode() of bytes that are no UTF-8 keeps what is", () => {
    const { json } = llama2();
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

  itShared([LLAMA2], "stream() takes the first space off, but not after a text", () => {
    const { json } = llama2();
    const [id] = json.encode("Hello", plain) as [number];
    assert.equal(json.piece(id), "▁Hello");
    assert.equal(json.stream().push(id), "Hello");
    assert.equal(json.stream({ afterText: true }).push(id), " Hello");
    assert.deepEqual(json.bytes(id), new TextEncoder().encode(" Hello"));
  });
});

describe("HuggingFaceTokenizer: Llama 3's", () => {
  itShared([LLAMA3, GGML], "encode() gives the ids of llama.cpp", () => {
    assertConformance(llama3().json, "llama-bpe");
  });

  itShared([LLAMA3], "encode() gives the ids and offsets of the rank file", () => {
    fc.assert(fc.property(anyText, (text) => assertLikeSource(llama3(), text)));
  });

  itShared([LLAMA3], "encode() gives the ids of Hugging Face's tokenizers", () => {
    // Its "s" is not the long s that Oniguruma takes for one where case is ignored.
    const text = alikeText.filter((value) => !value.includes("ſ"));
    fc.assert(
      fc.property(text, (value) => {
        assert.deepEqual(llama3().json.encode(value).slice(1), llama3().oracle.encode(value).ids.slice(1));
      }),
    );
  });

  itShared([LLAMA3], "decode() gives back what was encoded", () => {
    fc.assert(fc.property(anyText, (text) => assertDecodes(llama3().json, text)));
  });

  itShared([LLAMA3], "encode() finds every special token", () => {
    const { json } = llama3();
    const ids = json.encode("<|start_header_id|>user<|end_header_id|>\n\nhi<|eot_id|>", { special: true });
    assert.deepEqual(ids, [128000, 128006, 882, 128007, 271, 6151, 128009]);
    assert.deepEqual(json.eosIds, [128001, 128009, 128008]);
    assert.equal(json.vocabSize, 128256);
  });
});

describe("HuggingFaceTokenizer: GPT-2's", () => {
  itShared([GPT2, GGML], "encode() gives the ids of llama.cpp", async () => {
    assertConformance((await gpt2()).json, "gpt-2");
  });

  itShared(
    [GPT2],
    "encode() gives the ids of the GGUF vocabulary and of Hugging Face's tokenizers",
    async () => {
      const three = await gpt2();
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

describe("HuggingFaceTokenizer: a unigram model's", () => {
  const word = fc.string({
    unit: fc.constantFrom(..."abcdefghijklmnopqrstuvwxyzABC.,'12漢🦙".split(/(?:)/u)),
    minLength: 1,
  });
  const normalText = fc.array(word, { maxLength: 8 }).map((words) => words.join(" "));

  itShared([UNIGRAM], "encode() gives the ids of Hugging Face's tokenizers for text in normal form", () => {
    const { json, oracle } = unigram();
    fc.assert(
      fc.property(normalText, (text) => {
        assert.deepEqual(json.encode(text, plain), text === "" ? [] : oracle.encode(text).ids);
      }),
    );
  });

  itShared(
    [UNIGRAM],
    "encode() gives the ids of SentencePiece for text in normal form, or as good ones",
    () => {
      const { json, source } = unigram();
      const { scores } = parsed<SentencePieceData>(UNIGRAM);
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

  itShared(
    [UNIGRAM],
    "encode() sums as Hugging Face's tokenizers do where SentencePiece's sums are equal",
    () => {
      const { json, source } = unigram();
      assert.deepEqual(json.encode("xlllq", plain), [4, 297, 31, 88, 998]);
      assert.deepEqual(source.encode("xlllq", plain), [4, 297, 88, 31, 998]);
    },
  );
});
