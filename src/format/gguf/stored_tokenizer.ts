// Tokenizers that GGUF files carry.
import { type SentencePieceData, TokenType } from "../../tokenizer/core/vocabulary_data.ts";
import type { TokenizerData } from "../../tokenizer/registry.ts";
import { quoted } from "../../util/bytes.ts";
import { UnsupportedError } from "../../util/errors.ts";
import type { MetaValue } from "../model_file.ts";
import { endTokens } from "./end_tokens.ts";
import { byteBpeTokenizer } from "./stored_byte_bpe.ts";
import { TokenizerKeys } from "./tokenizer_keys.ts";

/** What reads each value of tokenizer.ggml.model: "llama" is SentencePiece BPE, "gpt2" byte-level BPE. */
const readers: Record<string, (keys: TokenizerKeys) => TokenizerData> = {
  llama: sentencePieceTokenizer,
  gpt2: byteBpeTokenizer,
};
/** Values that say that there is no tokenizer. */
const noModels = ["no_vocab", "none"];

/** Ids of SentencePiece vocabularies of the Llama family if the file gives none. */
const defaultIds = { bos: 1, eos: 2, unknown: 0 } as const;

/**
 * The vocabulary of a GGUF file's tokenizer.ggml.* keys; undefined if it has none.
 * Source: https://github.com/ggml-org/ggml/blob/master/docs/gguf.md; defaults: llama.cpp's llama-vocab.cpp.
 * @throws FormatError when keys are missing, of a wrong type or length, or ids outside the vocabulary
 * @throws UnsupportedError for tokenizers other than SentencePiece BPE and byte-level BPE, and for unknown
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

function sentencePieceTokenizer(keys: TokenizerKeys): SentencePieceData {
  const pieces = keys.pieces();
  const scores = readScores(keys, pieces.length);
  checkCharsmap(keys);
  const types = keys.types(pieces, inferType);
  const named = endTokens(pieces, types, keys);
  const eosIds = keys.eosIds(types, named, defaultIds.eos);
  const bosId = keys.id("bos_token_id", types, defaultIds.bos);
  return {
    kind: "spm-bpe",
    pieces: Array.from(pieces),
    scores,
    types,
    bosId,
    eosIds,
    unkId: keys.id("unknown_token_id", types, defaultIds.unknown),
    addDummyPrefix: keys.bool("add_space_prefix", true),
    removeExtraWhitespaces: keys.bool("remove_extra_whitespaces", false),
    userDefinedSplitsText: true,
    addBos: keys.adds("add_bos_token", "bos_token_id", bosId, bosId !== undefined),
    addEos: keys.adds("add_eos_token", "eos_token_id", eosIds[0], false),
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

/** Replacement rules belong to unigram models. A merging vocabulary that has some is of an unknown kind. */
function checkCharsmap(keys: TokenizerKeys): void {
  const rules = keys.elementType("precompiled_charsmap");
  if (rules === undefined || keys.array("precompiled_charsmap", rules)?.length === 0) return;
  throw new UnsupportedError(
    `Cannot read the tokenizer of ${keys.fileName}: Unsupported metadata key "tokenizer.ggml.precompiled_charsmap"; supported: files without it`,
  );
}

function inferType(piece: string): number {
  if (piece === "<unk>") return TokenType.unknown;
  if (piece === "<s>" || piece === "</s>") return TokenType.control;
  return /^<0x[0-9A-Fa-f]{2}>$/.test(piece) ? TokenType.byte : TokenType.normal;
}
