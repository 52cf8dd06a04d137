// Vocabularies and files for tests of the tokenizer.
import assert from "node:assert/strict";
import { type SentencePieceData, TokenType } from "../../src/tokenizer/core/vocabulary_data.ts";
import { CriaError } from "../../src/util/errors.ts";

/** A piece: its text, score and type; 0 and normal unless given. */
export type Entry = readonly [piece: string, score?: number, type?: number];

/** "<unk>", "<s>" and "</s>", as ids 0 to 2. */
export const specialEntries: readonly Entry[] = [
  ["<unk>", 0, TokenType.unknown],
  ["<s>", 0, TokenType.control],
  ["</s>", 0, TokenType.control],
];

/** The 256 byte tokens; the token of byte b is 3 + b after {@link specialEntries}. */
export const byteEntries: readonly Entry[] = Array.from({ length: 256 }, (_, byte) => [
  `<0x${byte.toString(16).toUpperCase().padStart(2, "0")}>`,
  0,
  TokenType.byte,
]);

/** Id of the first of the pieces that follow special and byte tokens. */
export const FIRST_ID = 259;

/** A vocabulary of exactly these pieces. */
export function dataOf(entries: readonly Entry[], rest: Partial<SentencePieceData> = {}): SentencePieceData {
  return {
    kind: "spm-bpe",
    pieces: entries.map(([piece]) => piece),
    scores: entries.map(([, score]) => score ?? 0),
    types: entries.map(([, , type]) => type ?? TokenType.normal),
    bosId: undefined,
    eosIds: [],
    unkId: undefined,
    addDummyPrefix: false,
    removeExtraWhitespaces: false,
    addBos: false,
    addEos: false,
    ...rest,
  };
}

/** A vocabulary like Llama's: special tokens, byte tokens, then these; dummy prefix, no BOS by default. */
export function llamaData(
  entries: readonly Entry[],
  rest: Partial<SentencePieceData> = {},
): SentencePieceData {
  return dataOf([...specialEntries, ...byteEntries, ...entries], {
    bosId: 1,
    eosIds: [2],
    unkId: 0,
    addDummyPrefix: true,
    ...rest,
  });
}

/** A few dozen pieces, good for "hello world" and runs of spaces. */
export const smallEntries: readonly Entry[] = [
  ..."▁helowrd,é🦙".split(/(?:)/u).map((piece): Entry => [piece, -100]),
  ["▁▁", -50],
  ["▁▁▁▁", -60],
  ["he", -1],
  ["ll", -2],
  ["llo", -3],
  ["▁he", -4],
  ["▁hello", -5],
  ["or", -6],
  ["▁w", -7],
  ["ld", -8],
  ["▁wor", -9],
  ["▁world", -10],
];

/** The bytes of a varint. */
export function varint(value: number): number[] {
  const bytes: number[] = [];
  let rest = value;
  for (; rest >= 0x80; rest = Math.floor(rest / 0x80)) bytes.push((rest % 0x80) | 0x80);
  return [...bytes, rest];
}

/** A protocol buffers field that is a varint. */
export function numberField(field: number, value: number): number[] {
  return [...varint(field * 8), ...varint(value)];
}

/** A protocol buffers field that is a float. */
export function floatField(field: number, value: number): number[] {
  return [...varint(field * 8 + 5), ...new Uint8Array(Float32Array.of(value).buffer)];
}

/** A protocol buffers field that is text, bytes or a message. */
export function bytesField(field: number, value: string | readonly number[]): number[] {
  const bytes = typeof value === "string" ? [...new TextEncoder().encode(value)] : value;
  return [...varint(field * 8 + 2), ...varint(bytes.length), ...bytes];
}

export interface ModelFields {
  /** Bytes of TrainerSpec; default: model_type BPE. */
  readonly trainer?: readonly number[];
  /** Bytes of NormalizerSpec. */
  readonly normalizer?: readonly number[];
  /** Further bytes at the end of ModelProto. */
  readonly rest?: readonly number[];
}

/** A SentencePiece model file. */
export function modelFile(entries: readonly Entry[], fields: ModelFields = {}): Uint8Array {
  const pieces = entries.flatMap(([piece, score = 0, type]) =>
    bytesField(1, [
      ...bytesField(1, piece),
      ...floatField(2, score),
      ...(type === undefined ? [] : numberField(3, type)),
    ]),
  );
  return Uint8Array.from([
    ...pieces,
    ...bytesField(2, fields.trainer ?? numberField(3, 2)),
    ...bytesField(3, fields.normalizer ?? []),
    ...(fields.rest ?? []),
  ]);
}

/** A llama2.c tokenizer.bin; `maxLength` is that of the longest piece unless given. */
export function binFile(
  entries: readonly (readonly [piece: string | Uint8Array, score?: number])[],
  maxLength?: number,
): Uint8Array {
  const pieces = entries.map(([piece]) =>
    typeof piece === "string" ? new TextEncoder().encode(piece) : piece,
  );
  const longest = maxLength ?? Math.max(...pieces.map((piece) => piece.length));
  const u32 = (value: number) => [...new Uint8Array(Uint32Array.of(value).buffer)];
  const f32 = (value: number) => [...new Uint8Array(Float32Array.of(value).buffer)];
  return Uint8Array.from([
    ...u32(longest),
    ...pieces.flatMap((piece, id) => [...f32(entries[id]?.[1] ?? 0), ...u32(piece.length), ...piece]),
  ]);
}

type ErrorClass = new (message: string) => CriaError;

/** Checks that `body` throws an error of exactly this class, with a message that matches. */
export function assertRefused(body: () => unknown, type: ErrorClass, message: RegExp): void {
  assert.throws(body, (error) => {
    assert.ok(error instanceof type, `expected ${type.name}, got ${error}`);
    assert.match(error.message, message);
    return true;
  });
}

/** Checks that `body` returns or throws one of cria's errors. */
export function assertTyped(body: () => unknown): void {
  try {
    body();
  } catch (error) {
    assert.ok(error instanceof CriaError, `expected one of cria's errors, got ${error}`);
  }
}
