// Written SentencePiece models, read again.
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { TokenType } from "../../../../src/tokenizer/core/vocabulary_data.ts";
import { MessageReader } from "../../../../src/tokenizer/sentencepiece/protobuf.ts";
import { parseSentencePieceModel } from "../../../../src/tokenizer/sentencepiece/spm_model.ts";
import { type SentencePieceOptions, sentencePieceSpec } from "../../../../src/tokenizer/train/options.ts";
import { MessageWriter } from "../../../../src/tokenizer/train/spm/message_writer.ts";
import { specialPieces } from "../../../../src/tokenizer/train/spm/special_pieces.ts";
import { spmFile } from "../../../../src/tokenizer/train/spm/spm_writer.ts";
import { UsageError } from "../../../../src/util/errors.ts";

function specOf(options: Partial<SentencePieceOptions> = {}) {
  return sentencePieceSpec({ corpus: [], modelType: "unigram", vocabSize: 10, ...options });
}

describe("MessageWriter", () => {
  it("writes the bytes that protocol buffers define", () => {
    const inner = new MessageWriter();
    inner.integer(1, 150);
    const message = new MessageWriter();
    message.message(3, inner);
    message.integer(16, 0);
    message.integer(2, -1);
    message.float(4, 1.5);
    message.bool(5, true);
    message.text(2, "tésting");
    const expected = [
      ...[0x1a, 0x03, 0x08, 0x96, 0x01, 0x80, 0x01, 0x00],
      ...[0x10, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01],
      ...[0x25, 0x00, 0x00, 0xc0, 0x3f, 0x28, 0x01, 0x12, 0x08, ...new TextEncoder().encode("tésting")],
    ];
    assert.deepEqual([...message.bytes()], expected);
  });

  it("writes nothing, and messages larger than it began with", () => {
    assert.deepEqual(new MessageWriter().bytes(), new Uint8Array(0));
    const message = new MessageWriter();
    for (let i = 0; i < 1000; i++) message.integer(1, 2 ** (i % 53));
    message.data(2, new Uint8Array(100_000).fill(7));
    const reader = new MessageReader(message.bytes(), "message");
    for (let i = 0; i < 1000; i++) {
      assert.ok(reader.next());
      assert.equal(reader.varint(), 2 ** (i % 53));
    }
    assert.ok(reader.next());
    assert.deepEqual(reader.bytes(), new Uint8Array(100_000).fill(7));
    assert.equal(reader.next(), false);
  });
});

describe("specialPieces()", () => {
  const piecesOf = (options: Partial<SentencePieceOptions>) =>
    [...specialPieces(specOf(options))].map(([id, { text, type }]) => [id, text, type]);

  it("places unknown, BOS, EOS and padding", () => {
    const { unknown, control } = TokenType;
    assert.deepEqual(piecesOf({}), [
      [0, "<unk>", unknown],
      [1, "<s>", control],
      [2, "</s>", control],
    ]);
    assert.deepEqual(piecesOf({ unkId: 3, bosId: -1, eosId: 0, padId: 1 }), [
      [3, "<unk>", unknown],
      [0, "</s>", control],
      [1, "<pad>", control],
    ]);
  });

  it("fills the lowest free ids with symbols and bytes", () => {
    const pieces = new Map(
      piecesOf({
        unkId: 1,
        bosId: -1,
        eosId: 5,
        controlSymbols: ["<c>"],
        userDefinedSymbols: ["u", "v"],
        byteFallback: true,
      }).map(([id, ...piece]) => [id, piece]),
    );
    assert.deepEqual(pieces.get(0), ["<c>", TokenType.control]);
    assert.deepEqual(pieces.get(2), ["u", TokenType.userDefined]);
    assert.deepEqual(pieces.get(3), ["v", TokenType.userDefined]);
    assert.deepEqual(pieces.get(4), ["<0x00>", TokenType.byte]);
    assert.deepEqual(pieces.get(6), ["<0x01>", TokenType.byte]);
    assert.deepEqual(pieces.get(260), ["<0xFF>", TokenType.byte]);
    assert.equal(pieces.size, 261);
  });

  it("lets a symbol be BOS or EOS", () => {
    assert.deepEqual(piecesOf({ userDefinedSymbols: ["<s>"] })[1], [1, "<s>", TokenType.userDefined]);
    assert.deepEqual(piecesOf({ bosId: -1, userDefinedSymbols: ["<s>"] })[2], [
      1,
      "<s>",
      TokenType.userDefined,
    ]);
  });

  it("refuses ids and symbols that are given twice", () => {
    const refused = [
      { unkId: 1 },
      { padId: 2 },
      { userDefinedSymbols: ["<unk>"] },
      { userDefinedSymbols: ["a", "a"] },
      { userDefinedSymbols: ["a"], controlSymbols: ["a"] },
      { controlSymbols: ["<0x41>"], byteFallback: true },
    ];
    for (const options of refused)
      assert.throws(() => piecesOf(options), UsageError, JSON.stringify(options));
  });
});

describe("spmFile()", () => {
  it("writes what the reader reads", () => {
    const spec = specOf({ addDummyPrefix: false, controlSymbols: ["<c>"], userDefinedSymbols: ["<u>"] });
    const bytes = spmFile(
      spec,
      specialPieces(spec),
      [
        ["▁a", -0.5],
        ["b", -1.25],
      ],
      new Uint8Array(0),
    );
    const data = parseSentencePieceModel(bytes);
    assert.deepEqual(data.pieces, ["<unk>", "<s>", "</s>", "<c>", "<u>", "▁a", "b"]);
    assert.deepEqual(Array.from(data.scores), [0, 0, 0, 0, 0, -0.5, -1.25]);
    assert.deepEqual(Array.from(data.types), [2, 3, 3, 3, 4, 1, 1]);
    assert.equal(data.kind, "spm-unigram");
    assert.equal(data.addDummyPrefix, false);
    assert.equal(data.removeExtraWhitespaces, true);
    assert.deepEqual([data.unkId, data.bosId, data.eosIds], [0, 1, [2]]);
  });

  it("says in its trainer_spec and normalizer_spec how it was trained", () => {
    const spec = specOf({ modelType: "bpe", padId: 3, userDefinedSymbols: ["<u>"], splitDigits: true });
    const bytes = spmFile(spec, specialPieces(spec), [["b", -1]], Uint8Array.of(1, 2, 3));
    const fields = new Map<number, Map<number, Uint8Array | number>>();
    const model = new MessageReader(bytes, "model");
    while (model.next()) {
      const message = model.message();
      const values = new Map<number, Uint8Array | number>();
      fields.set(model.field, values);
      while (message.next()) values.set(message.field, readValue(message));
    }
    const trainer = fields.get(2) as Map<number, Uint8Array | number>;
    const normalizer = fields.get(3) as Map<number, Uint8Array | number>;
    const text = (value: unknown) => new TextDecoder().decode(value as Uint8Array);
    assert.deepEqual([...fields.keys()], [1, 2, 3]);
    // model_type BPE, vocab_size, max_sentencepiece_length, split_digits, byte_fallback, ids.
    assert.deepEqual(
      [3, 4, 20, 25, 35, 40, 41, 42, 43].map((field) => trainer.get(field)),
      [...[2, 6, 16, 1, 0, 0, 1, 2, 3]],
    );
    assert.deepEqual(
      [31, 44, 45, 46, 47, 48].map((field) => text(trainer.get(field))),
      [...["<u>", " \u2047 ", "<unk>", "<s>", "</s>", "<pad>"]],
    );
    assert.equal(text(normalizer.get(1)), "nmt_nfkc");
    assert.deepEqual(normalizer.get(2), Uint8Array.of(1, 2, 3));
    assert.deepEqual(
      [3, 4, 5].map((field) => normalizer.get(field)),
      [1, 1, 1],
    );
  });
});

/** Varints and bytes as they are, 32-bit floats as numbers. */
function readValue(message: MessageReader): Uint8Array | number {
  for (const read of [() => message.varint(), () => message.bytes(), () => message.float()]) {
    try {
      return read();
    } catch {
      // Of another wire type.
    }
  }
  throw new Error(`field ${message.field}`);
}
