// Tokenizers that GGUF files carry.
import { type SentencePieceData, TokenType } from "../../tokenizer/core/vocabulary_data.ts";
import type { TokenizerData } from "../../tokenizer/registry.ts";
import { quoted } from "../../util/bytes.ts";
import { UnsupportedError } from "../../util/errors.ts";
import type { MetaValue } from "../model_file.ts";
import { endTokens } from "./end_tokens.ts";
import { byteBpeTokenizer } from "./stored_byte_bpe.ts";
import { TokenizerKeys } from "./tokenizer_keys.ts";

/** What reads each value of tokenizer.ggml.model: SentencePiece BPE is "llama", unigram "t5"; "gpt2" is byte-level BPE. */
const readers: Record<string, (keys: TokenizerKeys) => TokenizerData> = {
  llama: (keys) => sentencePieceTokenizer(keys, "spm-bpe", defaultIds),
  t5: (keys) => sentencePieceTokenizer(keys, "spm-unigram", unigramIds),
  gpt2: byteBpeTokenizer,
};
/** Values that say that there is no tokenizer. */
const noModels = ["no_vocab", "none"];

/** Ids of SentencePiece vocabularies of the Llama family if the file gives none. */
const defaultIds = { bos: 1, eos: 2, unknown: 0 } as const;
/** The same of unigram vocabularies, which have T5's. */
const unigramIds = { bos: undefined, eos: 1, unknown: 2 } as const;

/**
 * The vocabulary of a GGUF file's tokenizer.ggml.* keys; undefined if it has none.
 * Source: https://github.com/ggml-org/ggml/blob/master/docs/gguf.md; defaults: llama.cpp's llama-vocab.cpp.
 * @throws FormatError when keys are missing, of a wrong type or length, or ids outside the vocabulary
 * @throws UnsupportedError for tokenizers other than SentencePiece and byte-level BPE, and for unknown
 *   pre-tokenizers
 */
export function ggufTokenizer(
  metadata: ReadonlyMap<string, MetaValue>,
  fileName: string,
): TokenizerData | undefined {
  const keys = new TokenizerKeys(metadata, fileName);
  const model = keys.string("model");
  if (model === undefined && !keys.has("tokens")) return undefined;
  if (model === undefined) throw keys.error("model", "Expected a string, got nothing");
  if (noModels.includes(model)) return undefined;
  if (!Object.hasOwn(readers, model)) {
    throw new UnsupportedError(
      `Cannot read the tokenizer of ${fileName}: Unsupported model ${quoted(model)}; supported: ${Object.keys(readers).join(", ")}`,
    );
  }
  return (readers[model] as (typeof readers)[string])(keys);
}

function sentencePieceTokenizer(
  keys: TokenizerKeys,
  kind: "spm-bpe" | "spm-unigram",
  usual: typeof defaultIds | typeof unigramIds,
): SentencePieceData {
  const isBpe = kind === "spm-bpe";
  const pieces = keys.pieces();
  const scores = readScores(keys, pieces.length);
  const charsmap = readCharsmap(keys);
  if (charsmap && isBpe) refuseCharsmap(keys);
  const types = keys.types(pieces, inferType);
  const named = endTokens(pieces, types, keys);
  const eosIds = keys.eosIds(types, named, usual.eos);
  const bosId = keys.id("bos_token_id", types, usual.bos);
  return {
    kind,
    pieces: Array.from(pieces),
    scores,
    types,
    bosId,
    eosIds,
    unkId: keys.id("unknown_token_id", types, usual.unknown),
    addDummyPrefix: keys.bool("add_space_prefix", isBpe),
    removeExtraWhitespaces: keys.bool("remove_extra_whitespaces", false),
    userDefinedSplitsText: true,
    ...(charsmap && { charsmap }),
    addBos: keys.adds("add_bos_token", "bos_token_id", bosId, isBpe && bosId !== undefined),
    addEos: keys.adds("add_eos_token", "eos_token_id", eosIds[0], !isBpe && eosIds.length > 0),
    warnings: keys.warnings,
  };
}

/** Merge priorities; all alike if the file has none, as in llama.cpp. */
function readScores(keys: TokenizerKeys, n: number): ArrayLike<number> {
  if (!keys.has("scores")) return new Float32Array(n);
  return keys.array<number>(
    "scores",
    keys.elementType("scores") === "i32" ? "i32" : "f32",
    n,
  ) as ArrayLike<number>;
}

/** Replacement rules as bytes, which older files have as i8; undefined if there are none. */
function readCharsmap(keys: TokenizerKeys): Uint8Array | undefined {
  const type = keys.elementType("precompiled_charsmap") === "i8" ? "i8" : "u8";
  const rules = keys.array<number>("precompiled_charsmap", type);
  return rules?.length ? Uint8Array.from(rules) : undefined;
}

/** Replacement rules belong to unigram models. A merging vocabulary that has some is of an unknown kind. */
function refuseCharsmap(keys: TokenizerKeys): never {
  throw new UnsupportedError(
    `Cannot read the tokenizer of ${keys.fileName}: Unsupported metadata key "tokenizer.ggml.precompiled_charsmap"; supported: files without it`,
  );
}

function inferType(piece: string): number {
  if (piece === "<unk>") return TokenType.unknown;
  if (piece === "<s>" || piece === "</s>") return TokenType.control;
  return /^<0x[0-9A-Fa-f]{2}>$/.test(piece) ? TokenType.byte : TokenType.normal;
}
