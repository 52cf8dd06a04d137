// tokenizer.json objects as transformers' converters make them of other vocabularies.
import { byteSpelling } from "../../src/tokenizer/byte_level/byte_alphabet.ts";
import {
  type ByteBpeData,
  type SentencePieceData,
  TokenType,
} from "../../src/tokenizer/core/vocabulary_data.ts";
import { TokenTable } from "../../src/tokenizer/huggingface/token_table.ts";

/** An added token; what is absent is false. */
export interface AddedTokenJson {
  id: number;
  content: string;
  special?: boolean;
  lstrip?: boolean;
  rstrip?: boolean;
  single_word?: boolean;
  normalized?: boolean;
}

/** A tokenizer.json; parts that tests do not look into are unknown. */
export interface TokenizerJson {
  version: string;
  truncation: unknown;
  padding: unknown;
  added_tokens: AddedTokenJson[];
  normalizer: unknown;
  pre_tokenizer: unknown;
  post_processor: unknown;
  decoder: unknown;
  model: Record<string, unknown>;
}

/** A tokenizer of these parts, the others null. */
export function tokenizerJson(parts: Partial<TokenizerJson> & Pick<TokenizerJson, "model">): TokenizerJson {
  return {
    version: "1.0",
    truncation: null,
    padding: null,
    added_tokens: [],
    normalizer: null,
    pre_tokenizer: null,
    post_processor: null,
    decoder: null,
    ...parts,
  };
}

/** The bytes of a file. */
export function jsonBytes(json: unknown): Uint8Array {
  return new TextEncoder().encode(JSON.stringify(json));
}

/** A BPE model of these tokens, in the order of their ids, and merges. */
export function bpeModel(
  tokens: readonly string[],
  merges: readonly (readonly [left: string, right: string])[],
  rest: Record<string, unknown> = {},
): Record<string, unknown> {
  return {
    type: "BPE",
    dropout: null,
    unk_token: null,
    continuing_subword_prefix: null,
    end_of_word_suffix: null,
    fuse_unk: false,
    byte_fallback: false,
    ignore_merges: false,
    vocab: Object.fromEntries(tokens.map((token, id) => [token, id])),
    merges,
    ...rest,
  };
}

/** All 256 byte tokens of byte fallback. */
export const byteTokens: readonly string[] = Array.from(
  { length: 256 },
  (_, byte) => `<0x${byte.toString(16).toUpperCase().padStart(2, "0")}>`,
);

/** The characters of all bytes in GPT-2's alphabet. */
export const byteLetters: readonly string[] = Array.from({ length: 256 }, (_, byte) =>
  byteSpelling(Uint8Array.of(byte)),
);

const LLAMA3_PATTERN =
  "(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\\r\\n\\p{L}\\p{N}]?\\p{L}+|\\p{N}{1,3}| ?[^\\s\\p{L}\\p{N}]+[\\r\\n]*|\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+";

const byteLevel = { type: "ByteLevel", add_prefix_space: false, trim_offsets: true, use_regex: false };

/** A template that puts a token before the text. */
export function bosTemplate(content: string, id: number): unknown {
  return {
    type: "TemplateProcessing",
    single: [{ SpecialToken: { id: content, type_id: 0 } }, { Sequence: { id: "A", type_id: 0 } }],
    pair: [{ Sequence: { id: "A", type_id: 0 } }, { Sequence: { id: "B", type_id: 1 } }],
    special_tokens: { [content]: { id: content, ids: [id], tokens: [content] } },
  };
}

/**
 * Every pair of tokens whose texts together are a token: in the order of what they make, and where that is the
 * same of their own.
 */
function allMerges(
  tokens: readonly (string | undefined)[],
  rank: (id: number) => number,
): [string, string][] {
  const ids = new TokenTable(tokens);
  const merges: { left: number; right: number; rank: number }[] = [];
  for (const [id, token] of tokens.entries()) {
    for (let at = 1; token !== undefined && at < token.length; at++) {
      const left = ids.find(token, 0, at);
      const right = left < 0 ? left : ids.find(token, at, token.length);
      if (right >= 0) merges.push({ left, right, rank: rank(id) });
    }
  }
  merges.sort((a, b) => a.rank - b.rank || a.left - b.left || a.right - b.right);
  return merges.map(({ left, right }) => [tokens[left] as string, tokens[right] as string]);
}

/** A SentencePiece BPE vocabulary as the converter of Llama 2 has it; with `metaspace` as newer files have it. */
export function llama2Json(data: SentencePieceData, metaspace = false): TokenizerJson {
  const special = data.pieces.slice(0, 3);
  const mergeable = data.pieces.map((piece, id) => (data.types[id] === TokenType.normal ? piece : undefined));
  const spaces = { type: "Replace", pattern: { String: " " }, content: "▁" };
  return tokenizerJson({
    added_tokens: special.map((content, id) => ({ id, content, special: true, normalized: false })),
    normalizer: metaspace
      ? null
      : { type: "Sequence", normalizers: [{ type: "Prepend", prepend: "▁" }, spaces] },
    pre_tokenizer: metaspace
      ? { type: "Metaspace", replacement: "▁", prepend_scheme: "first", split: false }
      : null,
    post_processor: bosTemplate("<s>", 1),
    decoder: {
      type: "Sequence",
      decoders: [
        { type: "Replace", pattern: { String: "▁" }, content: " " },
        { type: "ByteFallback" },
        { type: "Fuse" },
        { type: "Strip", content: " ", start: 1, stop: 0 },
      ],
    },
    model: bpeModel(
      data.pieces,
      allMerges(mergeable, (id) => -(data.scores[id] as number)),
      {
        unk_token: "<unk>",
        fuse_unk: true,
        byte_fallback: true,
      },
    ),
  });
}

/** The tokens of a byte-level vocabulary in GPT-2's alphabet, special ones as they are. */
function spelledTokens(data: ByteBpeData): string[] {
  return Array.from({ length: data.types.length }, (_, id) => {
    const bytes = data.bytes.subarray(data.offsets[id], data.offsets[id + 1]);
    return data.types[id] === TokenType.normal ? byteSpelling(bytes) : new TextDecoder().decode(bytes);
  });
}

/** Llama 3's rank file as its converter has it. */
export function llama3Json(data: ByteBpeData): TokenizerJson {
  const tokens = spelledTokens(data);
  const isNormal = (id: number) => data.types[id] === TokenType.normal;
  const normal = tokens.filter((_, id) => isNormal(id));
  const bos = tokens[data.bosId as number] as string;
  return tokenizerJson({
    added_tokens: tokens.flatMap((content, id) =>
      isNormal(id) ? [] : [{ id, content, special: true, normalized: false }],
    ),
    pre_tokenizer: {
      type: "Sequence",
      pretokenizers: [
        { type: "Split", pattern: { Regex: LLAMA3_PATTERN }, behavior: "Isolated", invert: false },
        byteLevel,
      ],
    },
    post_processor: {
      type: "Sequence",
      processors: [byteLevel, bosTemplate(bos, data.bosId as number)],
    },
    decoder: byteLevel,
    model: bpeModel(
      normal,
      allMerges(normal, (id) => id),
      { ignore_merges: true },
    ),
  });
}

/** A GGUF vocabulary of GPT-2 as GPT-2's own tokenizer.json has it: merges are texts. */
export function gpt2Json(data: ByteBpeData): TokenizerJson {
  const tokens = spelledTokens(data);
  const ids = data.merges as Int32Array;
  const merges = Array.from(
    { length: ids.length / 3 },
    (_, i) => `${tokens[ids[3 * i] as number]} ${tokens[ids[3 * i + 1] as number]}`,
  );
  const level = { type: "ByteLevel", add_prefix_space: false, trim_offsets: true, use_regex: true };
  return tokenizerJson({
    added_tokens: tokens.flatMap((content, id) =>
      data.types[id] === TokenType.normal ? [] : [{ id, content, special: true, normalized: false }],
    ),
    pre_tokenizer: level,
    post_processor: level,
    decoder: level,
    model: { ...bpeModel(tokens, []), merges },
  });
}

/** A SentencePiece unigram vocabulary as its converter has it. */
export function unigramJson(data: SentencePieceData, charsmap: Uint8Array): TokenizerJson {
  let binary = "";
  for (const byte of charsmap) binary += String.fromCharCode(byte);
  const metaspace = { type: "Metaspace", replacement: "▁", prepend_scheme: "always", split: true };
  const special = data.pieces.flatMap((content, id) =>
    data.types[id] === TokenType.control || data.types[id] === TokenType.unknown ? [{ id, content }] : [],
  );
  return tokenizerJson({
    added_tokens: special.map((token) => ({ ...token, special: true, normalized: false })),
    normalizer: {
      type: "Sequence",
      normalizers: [
        { type: "Precompiled", precompiled_charsmap: btoa(binary) },
        { type: "Strip", strip_left: true, strip_right: true },
        { type: "Replace", pattern: { Regex: " {2,}" }, content: " " },
      ],
    },
    pre_tokenizer: metaspace,
    decoder: metaspace,
    model: {
      type: "Unigram",
      unk_id: data.unkId,
      vocab: data.pieces.map((piece, id) => [piece, data.scores[id]]),
      byte_fallback: false,
    },
  });
}
