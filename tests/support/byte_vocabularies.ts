// Byte-level vocabularies for tests.
import { packTokens } from "../../src/tokenizer/byte_level/byte_vocabulary.ts";
import { type ByteBpeData, TokenType } from "../../src/tokenizer/core/vocabulary_data.ts";

const utf8 = new TextEncoder();

/** All 256 bytes, as ids 0 to 255. */
export const singleBytes: readonly Uint8Array[] = Array.from({ length: 256 }, (_, byte) =>
  Uint8Array.of(byte),
);

/** Id of the first of the tokens that follow the bytes. */
export const FIRST = 256;

/** A vocabulary of all bytes, these texts in the order of their ranks, and these special tokens. */
export function byteData(
  texts: readonly (string | Uint8Array)[],
  rest: Partial<ByteBpeData> & { special?: readonly (readonly [string, number])[] } = {},
): ByteBpeData {
  const { special = [], ...data } = rest;
  const tokens = [
    ...singleBytes,
    ...texts.map((text) => (typeof text === "string" ? utf8.encode(text) : text)),
    ...special.map(([text]) => utf8.encode(text)),
  ];
  const types = tokens.map((_, id) => special[id - FIRST - texts.length]?.[1] ?? TokenType.normal);
  return {
    kind: "byte-bpe",
    ...packTokens(tokens),
    types,
    pretokenizer: "gpt-2",
    wholeWords: true,
    bosId: undefined,
    eosIds: [],
    unkId: undefined,
    addBos: false,
    addEos: false,
    ...data,
  };
}

/** A rank file of these tokens, in order. */
export function rankFile(tokens: readonly (string | Uint8Array)[], ranks?: readonly number[]): Uint8Array {
  const lines = tokens.map((token, i) => {
    const bytes = typeof token === "string" ? utf8.encode(token) : token;
    return `${btoa(String.fromCharCode(...bytes))} ${ranks?.[i] ?? i}\n`;
  });
  return utf8.encode(lines.join(""));
}

/** Tokens in the order of their ranks, as texts or bytes. */
export type Ranks = readonly (string | readonly number[])[];

/** The bytes of tokens that are given as texts or bytes. */
export function tokensOfRanks(ranks: Ranks): Uint8Array[] {
  return Array.from(ranks, (token) =>
    typeof token === "string" ? utf8.encode(token) : Uint8Array.from(token),
  );
}

/** Random text: every kind of character that a split pattern tells apart, and lone surrogates. */
export const hardCharacters: readonly string[] = [
  ..."abzSTDMrevlLE'’ſKkÉéßǅʰªºµøΣσς中あア한อ".split(""),
  ..."0129٣½Ⅷ²一龥ࠀ퟿".split(""),
  ..." \t\n\r\v\f\u0085\u00a0\u1680\u2003\u2028\u202f\u3000\ufeff\u200b\u200d\u180e".split(""),
  ...'!"#$%&()*+,-./:;<=>?@[\\]^_`{|}~¡§¶“”‘…。、，！～　€¬©°'.split(""),
  ..."\u0000\u0007\u007f\u0301\u093e\u20dd\ufe0f\ufffd\ue000\u0378".split(""),
  "\ud800",
  "\udc00",
  "\udbff",
  "\udfff",
  "😀",
  "𝐀",
  "𐐀",
  "𐐨",
  "𝟘",
  "\u{1e944}",
  "\u{1f1e6}",
  "\u{e0101}",
  "\u{10ffff}",
  "𠀀",
  "'s",
  "'S",
  "'ſ",
  "'re",
  "'VE",
  "'ll",
  "'lL",
  "  ",
  "\r\n",
  "123",
];
