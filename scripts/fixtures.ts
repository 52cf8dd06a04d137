// Writes tests/fixtures/: small models and vocabularies of our own, and what the slow references of tests/reference/
// say of them. `bun scripts/fixtures.ts` writes, `bun scripts/fixtures.ts --check` compares with what is there.
import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { openModelFile } from "../src/format/detect.ts";
import { bytesSource } from "../src/source/bytes.ts";
import { byteSpelling } from "../src/tokenizer/byte_level/byte_alphabet.ts";
import type { ByteBpeData, SentencePieceData } from "../src/tokenizer/core/tokenizer.ts";
import { parseTokenizerFile } from "../src/tokenizer/load.ts";
import { type TrainOptions, trainTokenizer } from "../src/tokenizer.ts";
import {
  encodeByteBpe,
  keyOf,
  mergeBytes,
  type PairRank,
  rankFilePairs,
} from "../tests/reference/byte_bpe.ts";
import { type ReferenceConfig, referenceLogits } from "../tests/reference/llama.ts";
import { encodeSentencePiece } from "../tests/reference/sentencepiece.ts";
import { fixtureCorpus, fixtureStory, fixtureTexts } from "../tests/support/fixture_texts.ts";
import type { FixtureIds, ModelCase, ModelFacts } from "../tests/support/fixtures.ts";
import {
  decodeTensor,
  ggufFile,
  meta,
  metaArray,
  type TinyLlamaOptions,
  type TinyWeight,
  tinyLlama,
  tinyVocab,
} from "../tests/support/gguf_writer.ts";
import { randomF32 } from "../tests/support/kernels.ts";
import { llama2cFile, tokenizerBin } from "../tests/support/llama2c_writer.ts";
import { embeddedModel } from "../tests/support/models.ts";
import { gpt2Json, jsonBytes, llama2Json } from "../tests/support/tokenizer_json.ts";

const directory = fileURLToPath(new URL("../tests/fixtures/", import.meta.url));
const LIMIT_BYTES = 5_000_000;
const utf8 = new TextEncoder();

type Files = Map<string, Uint8Array>;

function json(value: unknown): Uint8Array {
  return utf8.encode(`${JSON.stringify(value)}\n`);
}

// ---- Vocabularies.

async function train(options: Omit<TrainOptions, "corpus">): Promise<Uint8Array<ArrayBuffer>> {
  const trained = await trainTokenizer({
    ...options,
    corpus: [fixtureCorpus()],
    hardVocabLimit: false,
  } as TrainOptions);
  return trained.bytes;
}

function parse<T>(bytes: Uint8Array): T {
  return parseTokenizerFile(bytes, { name: "fixture" }) as T;
}

/** A GGUF file of nothing but a SentencePiece vocabulary. */
function sentencePieceGguf(data: SentencePieceData): Uint8Array {
  return ggufFile({
    metadata: [
      ["general.architecture", meta("string", "llama")],
      ["tokenizer.ggml.model", meta("string", "llama")],
      ["tokenizer.ggml.tokens", metaArray("string", data.pieces)],
      ["tokenizer.ggml.scores", metaArray("f32", data.scores)],
      ["tokenizer.ggml.token_type", metaArray("i32", data.types)],
      ["tokenizer.ggml.bos_token_id", meta("u32", 1)],
      ["tokenizer.ggml.eos_token_id", meta("u32", 2)],
      ["tokenizer.ggml.unknown_token_id", meta("u32", 0)],
      ["tokenizer.ggml.add_bos_token", meta("bool", true)],
    ],
  }).bytes;
}

function tokensOf(data: ByteBpeData): Uint8Array[] {
  return Array.from(data.types, (_, id) => data.bytes.slice(data.offsets[id], data.offsets[id + 1]));
}

/** Each token of more than one byte as the two parts that merging by the ranks below its own leaves of it. */
function mergesOf(tokens: readonly Uint8Array[]): [left: string, right: string][] {
  const rank = rankFilePairs(tokens);
  return tokens.flatMap((token, id): [string, string][] => {
    if (token.length < 2) return [];
    const below: PairRank = (left, right) => {
      const found = rank(left, right);
      return found !== undefined && found < id ? found : undefined;
    };
    const parts = mergeBytes(keyOf(token), below);
    if (parts.length !== 2) throw new Error(`token ${id} is not a merge of two`);
    return [parts as [string, string]];
  });
}

/** A GGUF file of nothing but a byte-level vocabulary: tokens and merges of a rank file, and one special token. */
function byteLevelGguf(tokens: readonly Uint8Array[], merges: readonly [string, string][]): Uint8Array {
  const spell = (key: string) => byteSpelling(Uint8Array.from(key, (char) => char.charCodeAt(0)));
  const end = tokens.length;
  return ggufFile({
    metadata: [
      ["general.architecture", meta("string", "gpt2")],
      ["tokenizer.ggml.model", meta("string", "gpt2")],
      ["tokenizer.ggml.pre", meta("string", "gpt-2")],
      ["tokenizer.ggml.tokens", metaArray("string", [...tokens.map(byteSpelling), "<|endoftext|>"])],
      ["tokenizer.ggml.token_type", metaArray("i32", [...tokens.map(() => 1), 3])],
      [
        "tokenizer.ggml.merges",
        metaArray(
          "string",
          merges.map(([left, right]) => `${spell(left)} ${spell(right)}`),
        ),
      ],
      ["tokenizer.ggml.bos_token_id", meta("u32", end)],
      ["tokenizer.ggml.eos_token_id", meta("u32", end)],
    ],
  }).bytes;
}

async function addVocabularies(files: Files): Promise<void> {
  const bpe = await train({
    ...({ modelType: "bpe", vocabSize: 800, characterCoverage: 1, byteFallback: true } as const),
    ...({ splitDigits: true, normalization: "identity", removeExtraWhitespaces: false } as const),
    allowWhitespaceOnlyPieces: true,
  } as Omit<TrainOptions, "corpus">);
  const unigram = await train({
    ...({ modelType: "unigram", vocabSize: 700, characterCoverage: 1, normalization: "nfkc" } as const),
  } as Omit<TrainOptions, "corpus">);
  const ranks = await train({ modelType: "byte-bpe", vocabSize: 700 });
  const bpeData = parse<SentencePieceData>(bpe);
  const unigramData = parse<SentencePieceData>(unigram);
  const rankTokens = tokensOf(parse<ByteBpeData>(ranks));
  const merges = mergesOf(rankTokens);
  const gguf = byteLevelGguf(rankTokens, merges);
  const gpt2Data = (await openModelFile(bytesSource(gguf as Uint8Array<ArrayBuffer>))).tokenizer();

  files.set("bpe.model", bpe);
  files.set("bpe.bin", tokenizerBin(bpeData));
  files.set("bpe.gguf", sentencePieceGguf(bpeData));
  files.set("bpe.tokenizer.json", jsonBytes(llama2Json(bpeData)));
  files.set("unigram.model", unigram);
  files.set("ranks.tiktoken", ranks);
  files.set("gpt2.gguf", gguf);
  files.set("gpt2.tokenizer.json", jsonBytes(gpt2Json(gpt2Data as ByteBpeData)));

  const ids = new Map(rankTokens.map((token, id) => [keyOf(token), id]));
  const mergeRanks = new Map(merges.map(([left, right], rank) => [`${left.length} ${left}${right}`, rank]));
  const ofMerges: PairRank = (left, right) => mergeRanks.get(`${left.length} ${left}${right}`);
  const ofRanks = rankFilePairs(rankTokens);
  const expected: FixtureIds = {
    texts: fixtureTexts,
    vocabularies: {
      bpe: fixtureTexts.map((text) => encodeSentencePiece(bpeData, text)),
      unigram: fixtureTexts.map((text) =>
        encodeSentencePiece(unigramData, text, (wellFormed) => wellFormed.normalize("NFKC")),
      ),
      ranks: fixtureTexts.map((text) => encodeByteBpe(text, { pattern: "llama-bpe", ids, rank: ofRanks })),
      gpt2: fixtureTexts.map((text) => encodeByteBpe(text, { pattern: "gpt-2", ids, rank: ofMerges })),
    },
  };
  files.set("ids.json", json(expected));
}

// ---- Models.

/** Models of random weights, by the name of their file. */
const shapes: Readonly<Record<string, TinyLlamaOptions>> = {
  "gqa-f32.gguf": { seed: 11 },
  "mha-tied-f16.gguf": {
    ...{ seed: 12, type: "F16", nKvHeads: 4, tied: true },
    // Smaller than usual, so that a token does not predict itself.
    tensors: { "token_embd.weight": { values: randomF32(300 * 64, 12, -0.3, 0.3) } },
  },
  "gqa-q8_0.gguf": { seed: 13, type: "Q8_0" },
  "mqa-q4_0.gguf": { seed: 14, type: "Q4_0", nKvHeads: 1, nLayers: 3 },
  "odd-bf16.gguf": { seed: 15, type: "BF16", nLayers: 1, nHeads: 2, nKvHeads: 2, hiddenDim: 172 },
};

type Weights = ReadonlyMap<string, TinyWeight>;

/** What the reference computes of a model: the cases of some prompts, and the likelihood of a text. */
function factsOf(
  weights: Weights,
  config: ReferenceConfig,
  vocab: SentencePieceData,
  { prompts, maxTokens, story }: { prompts: readonly string[]; maxTokens: number; story: string },
): ModelFacts {
  const encode = (text: string) => [1, ...encodeSentencePiece(vocab, text)];
  const cases = prompts.map((prompt): ModelCase => {
    const promptIds = encode(prompt);
    const first = lastLogits(weights, config, promptIds);
    const top = ranked(first).slice(0, 5);
    const greedy: number[] = [];
    let ended = false;
    // Where two logits are so near that f32 might prefer the other, the list ends.
    for (let logits = first; greedy.length < maxTokens && marginOf(logits) > 1e-3; ) {
      const id = argmax(logits);
      greedy.push(id);
      ended = id === 2;
      if (ended) break;
      logits = lastLogits(weights, config, [...promptIds, ...greedy]);
    }
    if (greedy.length < 8 && !ended)
      throw new Error(`${JSON.stringify(prompt)}: two logits are near early on`);
    return {
      prompt,
      prompt_ids: promptIds,
      greedy_ids: greedy,
      greedy_text: textOf(vocab, greedy),
      ended_by_eos: ended,
      top5: top.map((id) => ({ id, logit: rounded(first[id] as number) })),
    };
  });
  const ids = encode(story);
  const rows = referenceLogits(weights, config, ids);
  const losses = ids.slice(1).map((id, i) => negativeLog(rows[i] as number[], id));
  const mean = losses.reduce((sum, loss) => sum + loss, 0) / losses.length;
  return {
    cases,
    nll: { text: story, window: ids.length, tokens_scored: losses.length, mean_nll: rounded(mean) },
  };
}

function lastLogits(weights: Weights, config: ReferenceConfig, ids: readonly number[]): number[] {
  return referenceLogits(weights, config, ids).at(-1) as number[];
}

/** Ids by their logits, the greatest first. */
function ranked(logits: readonly number[]): number[] {
  return [...logits.keys()].sort((a, b) => (logits[b] as number) - (logits[a] as number));
}

function argmax(logits: readonly number[]): number {
  return ranked(logits)[0] as number;
}

/** How far the greatest logit is above the next. */
function marginOf(logits: readonly number[]): number {
  const [best, second] = ranked(logits) as [number, number];
  return (logits[best] as number) - (logits[second] as number);
}

function negativeLog(logits: readonly number[], id: number): number {
  const top = Math.max(...logits);
  const sum = logits.reduce((total, logit) => total + Math.exp(logit - top), 0);
  return Math.log(sum) + top - (logits[id] as number);
}

/** Ten digits: other engines of JavaScript may round the last ones of exp and cos otherwise. */
function rounded(value: number): number {
  return Number(value.toPrecision(10));
}

/** The text that generated ids add to a prompt. */
function textOf({ pieces }: SentencePieceData, ids: readonly number[]): string {
  const bytes = ids.flatMap((id) => {
    const piece = pieces[id] as string;
    const byte = /^<0x([0-9A-F]{2})>$/.exec(piece)?.[1];
    if (byte !== undefined) return [Number.parseInt(byte, 16)];
    if (id === 0) return [...utf8.encode(" ⁇ ")];
    return id < 3 ? [] : [...utf8.encode(piece.replaceAll("▁", " "))];
  });
  return new TextDecoder("utf-8", { ignoreBOM: true }).decode(Uint8Array.from(bytes));
}

async function addModels(files: Files): Promise<void> {
  const facts: Record<string, ModelFacts> = {};
  const usual = { nLayers: 2, nHeads: 4, nKvHeads: 2, ropeTheta: 10000, normEps: 1e-5 };
  const add = async (name: string, bytes: Uint8Array, weights: Weights, config: ReferenceConfig) => {
    files.set(name, bytes);
    facts[name] = factsOf(weights, config, tinyData(), {
      prompts: ["", "the ring", "On the end 🦙"],
      maxTokens: 24,
      story: "the rest of the day\nand the night",
    });
  };
  for (const [name, options] of Object.entries(shapes)) {
    const { file, weights } = tinyLlama(options);
    const { nLayers = 2, nHeads = 4, nKvHeads = 2 } = options;
    await add(name, file.bytes, weights, { ...usual, nLayers, nHeads, nKvHeads });
  }
  // The weights of gqa-f32.gguf, and groups of eight bits.
  const legacy = llama2cFile({ seed: 11, shared: false });
  await add("legacy.bin", legacy.bytes, legacy.weights, usual);
  const grouped = llama2cFile({ version: 2, groupSize: 32, shared: false, seed: 16 });
  await add("version2.bin", grouped.bytes, grouped.weights, usual);
  files.set("tiny.tokenizer.bin", tokenizerBin(tinyVocab()));
  files.set("models.json", json(facts));
  files.set("tales.json", json(await talesFacts()));
}

/** The vocabulary of the models of random weights. */
function tinyData(): SentencePieceData {
  return parse<SentencePieceData>(tokenizerBin(tinyVocab()));
}

/** The model of the repository, its weights as its file has them. */
async function talesFacts(): Promise<ModelFacts> {
  const bytes = new Uint8Array(readFileSync(embeddedModel));
  const file = await openModelFile(bytesSource(bytes));
  const number = (key: string) => Number(file.metadata.get(`llama.${key}`)?.value);
  const weights = new Map(
    [...file.tensors].map(([name, { shape, type, offset, byteLength }]) => {
      const values = decodeTensor(type, bytes.subarray(offset, offset + byteLength));
      return [name, { shape, type, values }] as const;
    }),
  );
  const config = {
    nLayers: number("block_count"),
    nHeads: number("attention.head_count"),
    nKvHeads: number("attention.head_count_kv"),
    ropeTheta: number("rope.freq_base"),
    normEps: number("attention.layer_norm_rms_epsilon"),
  };
  return factsOf(weights, config, file.tokenizer() as SentencePieceData, {
    prompts: ["Once upon a time", "The old king said", '"Look," said the fox'],
    maxTokens: 16,
    story: fixtureStory,
  });
}

// ---- The directory.

const files: Files = new Map();
await addVocabularies(files);
await addModels(files);
const total = [...files.values()].reduce((sum, bytes) => sum + bytes.length, 0);
if (total > LIMIT_BYTES) throw new Error(`fixtures have ${total} bytes, more than ${LIMIT_BYTES}`);

if (process.argv.includes("--check")) {
  const stale = [...files].flatMap(([name, bytes]) => {
    const path = `${directory}${name}`;
    return existsSync(path) && Buffer.compare(readFileSync(path), bytes) === 0 ? [] : [name];
  });
  const foreign = readdirSync(directory).filter((name) => !files.has(name));
  for (const name of stale) console.error(`tests/fixtures/${name} is not what scripts/fixtures.ts writes`);
  for (const name of foreign)
    console.error(`tests/fixtures/${name} is nothing that scripts/fixtures.ts writes`);
  if (stale.length + foreign.length > 0) process.exitCode = 1;
  else console.log(`${files.size} fixtures, ${total} bytes: up to date`);
} else {
  mkdirSync(directory, { recursive: true });
  for (const [name, bytes] of files) {
    writeFileSync(`${directory}${name}`, bytes);
    console.log(`${name}: ${bytes.length} bytes`);
  }
  console.log(`${files.size} fixtures, ${total} bytes`);
}
