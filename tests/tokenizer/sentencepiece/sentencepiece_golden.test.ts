// Ids of reference texts that SentencePiece itself gave.
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { describe, it } from "node:test";
import { type SentencePieceData, TokenType } from "../../../src/tokenizer/core/vocabulary_data.ts";
import { createTokenizer } from "../../../src/tokenizer/registry.ts";
import { parseSentencePieceModel } from "../../../src/tokenizer/sentencepiece/spm_model.ts";
import { type Rule, writeCharsmap } from "../../support/charsmap_writer.ts";
import { itShared, sharedBytes } from "../../support/shared.ts";
import {
  byteEntries,
  bytesField,
  type Entry,
  modelFile,
  numberField,
  specialEntries,
} from "../../support/vocabularies.ts";

interface Case {
  text: string;
  ids: number[];
  /** UTF-16 offsets of each piece. */
  spans: [begin: number, end: number][];
  decoded: string;
}

interface Model {
  kind: "unigram" | "bpe" | "word" | "char";
  pieces: Entry[];
  byteFallback: boolean;
  charsmap: boolean;
  denormalizer: boolean;
  dummyPrefix: boolean;
  removeExtra: boolean;
  escape: boolean;
  suffix: boolean;
}

interface Golden {
  rules: Rule[];
  denormalizerRules: Rule[];
  english: { model: string; cases: Case[] };
  models: { model: Model; cases: Case[] }[];
}

const golden = JSON.parse(
  readFileSync(new URL("../../golden/sentencepiece.json", import.meta.url), "utf8"),
) as Golden;

function fileOf(model: Model): Uint8Array {
  const flag = (field: number, value: boolean) => numberField(field, value ? 1 : 0);
  const charsmap = (rules: Rule[]) => bytesField(2, [...writeCharsmap(rules)]);
  const entries = [...specialEntries, ...(model.byteFallback ? byteEntries : []), ...model.pieces];
  return modelFile(entries, {
    trainer: [
      ...numberField(3, ["unigram", "bpe", "word", "char"].indexOf(model.kind) + 1),
      ...flag(24, model.suffix),
      ...flag(35, model.byteFallback),
    ],
    normalizer: [
      ...(model.charsmap ? charsmap(golden.rules) : []),
      ...flag(3, model.dummyPrefix),
      ...flag(4, model.removeExtra),
      ...flag(5, model.escape),
    ],
    rest: model.denormalizer
      ? bytesField(5, [
          ...charsmap(golden.denormalizerRules),
          ...flag(3, false),
          ...flag(4, false),
          ...flag(5, false),
        ])
      : [],
  });
}

function assertCases(data: SentencePieceData, cases: readonly Case[]): void {
  const tokenizer = createTokenizer(data);
  for (const { text, ids, spans, decoded } of cases) {
    const name = `${data.kind} ${JSON.stringify(text)}`;
    assert.deepEqual(tokenizer.encode(text, { bos: false }), ids, name);
    const got = tokenizer.encodeWithOffsets(text, { bos: false });
    assert.deepEqual(got.ids, ids, name);
    for (const [i, [begin, end]] of spans.entries()) {
      // SentencePiece gives the part to the last byte of a character, cria to each.
      if (data.types[ids[i] as number] === TokenType.byte) continue;
      assert.deepEqual([got.starts[i], got.ends[i]], [begin, end], `${name} at ${i}`);
    }
    assert.equal(tokenizer.decode(ids), decoded, name);
    const stream = tokenizer.stream();
    assert.equal(ids.map((id) => stream.push(id)).join("") + stream.flush(), decoded, name);
    assert.equal(
      new TextDecoder("utf-8", { ignoreBOM: true }).decode(tokenizer.decodeBytes(ids)),
      decoded,
      name,
    );
  }
}

describe("SentencePieceTokenizer: SentencePiece's own results", () => {
  it("encode(), encodeWithOffsets() and decode() give what SentencePiece gives with every kind of model", () => {
    assert.equal(golden.models.length, 60);
    for (const { model, cases } of golden.models) {
      assert.equal(cases.length, 8);
      assertCases(parseSentencePieceModel(fileOf(model)), cases);
    }
  });

  itShared([golden.english.model], "encode() normalizes to NFKC as SentencePiece does", () => {
    assert.equal(golden.english.cases.length, 15);
    assertCases(parseSentencePieceModel(sharedBytes(golden.english.model)), golden.english.cases);
  });
});
