// Measures cria's tokenizers and their peers in the runtime that runs this. Prints JSON.
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import process from "node:process";
import { fileURLToPath } from "node:url";
import { Tokenizer as HuggingFace } from "@huggingface/tokenizers";
import { detectRuntime } from "../../../src/runtime/detect.ts";
import type { ByteBpeData, SentencePieceData } from "../../../src/tokenizer/core/vocabulary_data.ts";
import { parseTokenizerFile } from "../../../src/tokenizer/load.ts";
import { Tokenizer } from "../../../src/tokenizer.ts";
import { llama2Json, llama3Json, type TokenizerJson } from "../../../tests/support/tokenizer_json.ts";
import { median, significant } from "../../report.ts";
import { sharedPath } from "../../shared.ts";
import { hardTexts, naturalTexts, type Text } from "./texts.ts";

const require = createRequire(import.meta.url);
const ROUNDS = 5;
const WARM_UP_MS = 1500;
/** A turn encodes a text repeatedly for this long, at least once. */
const TURN_MS = 300;
/** Encoders that take longer than this for a text get one turn. */
const SLOW_MS = 2000;

/** One text with one tokenizer and its peers. */
export interface Row {
  readonly vocabulary: string;
  readonly text: string;
  readonly bytes: number;
  /** MB/s of UTF-8, by encoder. */
  readonly mbPerS: Readonly<Record<string, number>>;
  readonly tokens: Readonly<Record<string, number>>;
  /** For a hard text: MB/s of the English text in the same rounds. */
  readonly englishMbPerS?: Readonly<Record<string, number>>;
}

interface Encoder {
  readonly name: string;
  /** Returns the number of tokens. */
  readonly encode: (text: string) => number;
}

interface Group {
  readonly vocabulary: string;
  readonly encoders: readonly Encoder[];
}

interface Turn {
  readonly ms: number;
  readonly tokens: number;
}

function time(encode: () => number): Turn {
  const begin = performance.now();
  const tokens = encode();
  return { ms: performance.now() - begin, tokens };
}

/** Encodes a text for a turn. The time is the median. */
function takeTurn(encode: () => number): Turn {
  collectGarbage();
  const times: number[] = [];
  for (let spent = 0; ; ) {
    const { ms, tokens } = time(encode);
    times.push(ms);
    spent += ms;
    if (spent >= TURN_MS) return { ms: median(times), tokens };
  }
}

// Without this, a turn would also collect the garbage of the turn before.
function collectGarbage(): void {
  const { Bun, gc } = globalThis as { Bun?: { gc(wait: boolean): void }; gc?: () => void };
  if (Bun) Bun.gc(true);
  else if (gc) gc();
  else throw new Error("Cannot collect garbage: Expected --v8-flags=--expose-gc");
}

// Encoders take turns. Each is warmed up first, until its code is compiled or it turns out to be slow. A hard text alternates
// with English, because a shared machine is not always equally fast.
function compare(vocabulary: string, text: Text, encoders: readonly Encoder[], english?: Text): Row {
  const seats = encoders.map(({ encode }) => {
    let spent = 0;
    let last = 0;
    do {
      last = time(() => encode(text.text)).ms;
      spent += last;
    } while (spent < WARM_UP_MS && last < SLOW_MS);
    return { ms: [] as number[], englishMs: [] as number[], rounds: last < SLOW_MS ? ROUNDS : 1, tokens: 0 };
  });
  for (let round = 0; round < ROUNDS; round++) {
    for (const [i, { encode }] of encoders.entries()) {
      const seat = seats[i] as (typeof seats)[number];
      if (round >= seat.rounds) continue;
      const { ms, tokens } = takeTurn(() => encode(text.text));
      seat.ms.push(ms);
      seat.tokens = tokens;
      if (english) seat.englishMs.push(takeTurn(() => encode(english.text)).ms);
    }
  }
  const entries = <T>(of: (seat: (typeof seats)[number]) => T) =>
    Object.fromEntries(encoders.map((encoder, i) => [encoder.name, of(seats[i] as (typeof seats)[number])]));
  const mbPerS = (bytes: number, ms: number[]) => significant(bytes / 1e3 / median(ms));
  process.stderr.write(`  ${vocabulary}, ${text.name}\n`);
  return {
    vocabulary,
    text: text.name,
    bytes: text.bytes,
    mbPerS: entries(({ ms }) => mbPerS(text.bytes, ms)),
    tokens: entries(({ tokens }) => tokens),
    ...(english && { englishMbPerS: entries(({ englishMs }) => mbPerS(english.bytes, englishMs)) }),
  };
}

/** The rank file of a tiktoken vocabulary, made from the peer's package, which has a format of its own. */
function rankFile(encoding: string): Uint8Array {
  const { bpe_ranks } = require(`tiktoken/encoders/${encoding}.json`) as { bpe_ranks: string };
  const lines = bpe_ranks.split("\n").flatMap((line) => {
    const [, offset, ...tokens] = line.split(" ");
    return tokens.map((token, i) => `${token} ${Number(offset) + i}\n`);
  });
  return new TextEncoder().encode(lines.join(""));
}

async function tiktokenGroup(encoding: "cl100k_base" | "o200k_base"): Promise<Group> {
  const { get_encoding } = require("tiktoken") as {
    get_encoding(name: string): { encode(text: string): Uint32Array };
  };
  const gpt = (await import(`gpt-tokenizer/encoding/${encoding}`)) as { encode(text: string): number[] };
  const ours = await Tokenizer.load(rankFile(encoding));
  const tiktoken = get_encoding(encoding);
  return {
    vocabulary: encoding,
    encoders: [
      { name: "cria", encode: (text) => ours.encode(text).length },
      { name: "tiktoken", encode: (text) => tiktoken.encode(text).length },
      { name: "gpt-tokenizer", encode: (text) => gpt.encode(text).length },
    ],
  };
}

function huggingFace(json: TokenizerJson): Encoder {
  const peer = new HuggingFace(json as never, {} as never);
  return { name: "@huggingface/tokenizers", encode: (text) => peer.encode(text).ids.length };
}

async function jsonGroups(vocabulary: string, json: TokenizerJson, fromFile: Encoder[]): Promise<Group> {
  const ours = await Tokenizer.load(new TextEncoder().encode(JSON.stringify(json)));
  const encoders = [
    ...fromFile,
    { name: "cria, tokenizer.json", encode: (text: string) => ours.encode(text).length },
    huggingFace(json),
  ];
  return { vocabulary, encoders };
}

async function llama2Group(path: string): Promise<Group> {
  const bytes = readFileSync(path);
  const ours = await Tokenizer.load(bytes);
  // Imported by a variable, because its types are missing if the peers are not installed.
  const name = "llama-tokenizer-js";
  const { default: peer } = (await import(name)) as {
    default: { encode(text: string, bos?: boolean, space?: boolean): number[] };
  };
  const json = llama2Json(parseTokenizerFile(bytes, { name: path }) as SentencePieceData);
  return jsonGroups("Llama 2", json, [
    { name: "cria", encode: (text) => ours.encode(text).length },
    { name: "llama-tokenizer-js", encode: (text) => peer.encode(text).length },
  ]);
}

async function llama3Group(path: string): Promise<Group> {
  const bytes = readFileSync(path);
  const ours = await Tokenizer.load(bytes);
  const json = llama3Json(parseTokenizerFile(bytes, { name: path }) as ByteBpeData);
  return jsonGroups("Llama 3", json, [{ name: "cria", encode: (text) => ours.encode(text).length }]);
}

// Splits Chinese text into words, to compare words with tokens.
function jieba(texts: readonly Text[]): Row[] {
  const { Jieba } = require("@node-rs/jieba") as {
    Jieba: { withDict(dict: Uint8Array): { cut(text: string, hmm?: boolean): string[] } };
  };
  const { dict } = require("@node-rs/jieba/dict") as { dict: Uint8Array };
  const peer = Jieba.withDict(dict);
  const words = [{ name: "@node-rs/jieba", encode: (text: string) => peer.cut(text, true).length }];
  return texts.map((text) => compare("words", text, words));
}

/** Milliseconds to load a tokenizer from a file. */
async function loadMs(path: string): Promise<number> {
  const times: number[] = [];
  for (let i = 0; i < ROUNDS; i++) {
    const begin = performance.now();
    await Tokenizer.load(path);
    times.push(performance.now() - begin);
  }
  return significant(median(times));
}

async function main() {
  const natural = naturalTexts();
  const [english] = natural;
  const hard = hardTexts();
  const skipped: string[] = [];
  const rows: Row[] = [];
  const llama2 = sharedPath("vocabs/llama2-tokenizer.model");
  const llama3 = sharedPath("vocabs/llama3-tokenizer.model");
  const groups = [await tiktokenGroup("cl100k_base"), await tiktokenGroup("o200k_base")];
  if (llama2) groups.push(await llama2Group(llama2));
  else skipped.push("Llama 2: ../shared/vocabs is absent");
  if (llama3) groups.push(await llama3Group(llama3));
  else skipped.push("Llama 3: ../shared/vocabs is absent");
  for (const { vocabulary, encoders } of groups) {
    for (const text of natural) rows.push(compare(vocabulary, text, encoders));
    const own = encoders.filter(({ name }) => name.startsWith("cria"));
    for (const text of hard) rows.push(compare(vocabulary, text, own, english));
  }
  rows.push(...jieba(natural.slice(-1)));
  const load = llama3 ? { llama3LoadMs: await loadMs(llama3) } : {};
  const characters = Object.fromEntries(natural.map(({ name, text }) => [name, [...text].length]));
  const result = { runtime: detectRuntime().name, rows, characters, ...load, skipped };
  const out = process.argv[2];
  if (out) {
    mkdirSync(fileURLToPath(new URL(".", `file://${out}`)), { recursive: true });
    writeFileSync(out, JSON.stringify(result));
  } else console.log(JSON.stringify(result, null, 2));
}

await main();
process.exit(0);
