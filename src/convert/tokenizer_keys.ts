// A tokenizer as keys of GGUF.
import { chatTemplatesOf } from "../format/chat_templates.ts";
import type { MetaValue } from "../format/model_file.ts";
import { type SentencePieceData, TokenType, type VocabularyData } from "../tokenizer/core/vocabulary_data.ts";
import type { HuggingFaceData } from "../tokenizer/huggingface/data.ts";
import { scanners } from "../tokenizer/huggingface/known_patterns.ts";
import { parseTokenizerFile } from "../tokenizer/load.ts";
import type { TokenizerData } from "../tokenizer/registry.ts";
import { FormatError, UnsupportedError } from "../util/errors.ts";
import { piecesOfJson } from "./json_pieces.ts";
import type { OpenedInput } from "./open_input.ts";

type Values = [string, MetaValue][];

/**
 * The keys below "tokenizer." that stand for the tokenizer of a folder: SentencePiece models that merge and unigram models, each
 * also as a tokenizer.json, and byte-level tokenizer.json files that split texts as a known family does. `tokenizer.model`
 * counts before a tokenizer.json of pieces.
 * @throws UnsupportedError for other tokenizers; FormatError if there is none, or it has more tokens than the model
 */
export async function tokenizerValues(input: OpenedInput): Promise<Values> {
  const { file } = input;
  const data = file.tokenizer();
  if (!data) {
    throw new FormatError(
      `Cannot convert ${input.name}: Expected tokenizer.json or tokenizer.model beside it, got none`,
    );
  }
  const size = file.tensors.get("token_embd.weight")?.shape[0] ?? data.types.length;
  if (data.types.length > size) {
    throw new FormatError(
      `Cannot convert ${input.name}: Expected a tokenizer of at most ${size} tokens, as the embedding has, got ${data.types.length}`,
    );
  }
  const template = chatTemplatesOf(file).byName.get("default");
  const shared = [...specialValues(data), ...(template ? [text("tokenizer.chat_template", template)] : [])];
  const isJson = data.kind === "huggingface";
  const name = isJson ? byteLevelName(data) : undefined;
  if (isJson && name !== undefined) return [...byteLevelValues(data, name, size), ...shared];
  const pieces = isJson ? await jsonPieces(input, data, size) : data;
  const problem = typeof pieces === "string" ? pieces : unlikeGguf(pieces);
  // The ids that begin and end texts are those of all files together.
  if (problem === undefined) return [...pieceValues(pieces as SentencePieceData, size), ...shared];
  const advice = isJson ? "; a tokenizer.model beside it counts instead" : "";
  throw new UnsupportedError(
    `Cannot convert ${input.name}: Unsupported tokenizer with ${problem}; supported: SentencePiece models that merge or are ` +
      `unigram, tokenizer.json of such, and byte-level tokenizer.json of known families${advice}. llama.cpp's converter may know it`,
  );
}

/** The pieces of a folder with a tokenizer.json: those of tokenizer.model if there is one; or what is unlike pieces. */
async function jsonPieces(
  input: OpenedInput,
  data: HuggingFaceData,
  size: number,
): Promise<TokenizerData | string> {
  const model = await input.beside("tokenizer.model");
  if (model) return parseTokenizerFile(model.bytes, { name: model.name, vocabSize: size });
  const json = await input.beside("tokenizer.json");
  return json ? piecesOfJson(data, json.bytes, json.name) : "pieces that cannot be read twice";
}

/** What GGUF has no keys for. */
function unlikeGguf(data: TokenizerData): string | undefined {
  if (data.kind !== "spm-bpe" && data.kind !== "spm-unigram") return `pieces of the kind ${data.kind}`;
  if (data.escapeWhitespaces === false) return "spaces that stay spaces";
  if (data.whitespaceAsSuffix) return "spaces behind words";
  if (data.denormalizerCharsmap) return "rules for decoded texts";
  return data.kind === "spm-bpe" && data.charsmap ? "merges and normalization rules" : undefined;
}

const key = (name: string) => `tokenizer.ggml.${name}`;
const text = (name: string, value: string): Values[number] => [name, { type: "string", value }];
const flag = (name: string, value: boolean): Values[number] => [key(name), { type: "bool", value }];
const bytes = (name: string, value: Uint8Array): Values[number] => [
  key(name),
  { type: "array", elementType: "u8", value },
];

function specialValues({ bosId, eosIds, unkId, addBos, addEos }: VocabularyData): Values {
  const ids = { bos_token_id: bosId, eos_token_id: eosIds[0], unknown_token_id: unkId };
  return [
    ...Object.entries(ids).flatMap(
      ([name, id]): Values => (id === undefined ? [] : [[key(name), { type: "u32", value: id }]]),
    ),
    flag("add_bos_token", addBos),
    flag("add_eos_token", addEos),
  ];
}

/** Score of tokens that a vocabulary lacks, which no text becomes. */
const PADDING_SCORE = -10000;

function pieceValues(data: SentencePieceData, size: number): Values {
  const { kind, pieces, scores, types, addDummyPrefix, removeExtraWhitespaces, charsmap } = data;
  const padded = Float32Array.from({ length: size }, (_, id) => scores[id] ?? PADDING_SCORE);
  return [
    text(key("model"), kind === "spm-bpe" ? "llama" : "t5"),
    text(key("pre"), "default"),
    [key("tokens"), { type: "array", elementType: "string", value: paddedTexts(pieces, size) }],
    [key("scores"), { type: "array", elementType: "f32", value: padded }],
    [key("token_type"), { type: "array", elementType: "i32", value: paddedTypes(pieces, types, size) }],
    flag("add_space_prefix", addDummyPrefix),
    ...(removeExtraWhitespaces ? [flag("remove_extra_whitespaces", true)] : []),
    ...(charsmap ? [bytes("precompiled_charsmap", charsmap)] : []),
  ];
}

function byteLevelValues(data: HuggingFaceData, pretokenizer: string, size: number): Values {
  const { spellings, types, model } = data;
  const merges = model.type === "BPE" ? model.merges : new Int32Array(0);
  const pairs = Array.from({ length: merges.length / 3 }, (_, i) => {
    const spelled = (at: number) => model.tokens[merges[3 * i + at] as number] ?? "";
    return `${spelled(0)} ${spelled(1)}`;
  });
  return [
    text(key("model"), "gpt2"),
    text(key("pre"), pretokenizer),
    [key("tokens"), { type: "array", elementType: "string", value: paddedTexts(spellings, size) }],
    [key("token_type"), { type: "array", elementType: "i32", value: paddedTypes(spellings, types, size) }],
    [key("merges"), { type: "array", elementType: "string", value: pairs }],
  ];
}

function paddedTexts(texts: readonly (string | undefined)[], size: number): string[] {
  return Array.from({ length: size }, (_, id) => texts[id] ?? `[PAD${id}]`);
}

function paddedTypes(texts: readonly unknown[], types: ArrayLike<number>, size: number): Int32Array {
  return Int32Array.from({ length: size }, (_, id) =>
    texts[id] === undefined ? TokenType.unused : (types[id] as number),
  );
}

/** What GGUF calls the splitting of families, by what the scanner of their pattern is called. */
const pretokenizers: Readonly<Record<string, string>> = {
  "GPT-2": "gpt-2",
  "Llama 3": "llama-bpe",
  "Qwen 2": "qwen2",
  "Qwen 3.5": "qwen35",
  Tekken: "tekken",
  "GPT-4o": "gpt-4o",
};

/** GGUF's name for the splitting of a byte-level tokenizer; undefined for what it has no name for. */
function byteLevelName({ model, normalizer, preTokenizers }: HuggingFaceData): string | undefined {
  const last = preTokenizers.at(-1);
  if (model.type !== "BPE" || model.byteFallback || normalizer || last?.kind !== "byteLevel")
    return undefined;
  if (last.addPrefixSpace || !last.spells) return undefined;
  const [split] = preTokenizers;
  if (preTokenizers.length === 1) return last.useRegex ? "gpt-2" : undefined;
  if (preTokenizers.length !== 2 || split?.kind !== "split" || last.useRegex) return undefined;
  if (split.behavior !== "Isolated" || split.invert) return undefined;
  return pretokenizers[scanners.get(split.pattern.source ?? "")?.name ?? ""];
}
