import { type TokenizerData, TokenType } from "../tokenizer/tokenizer.ts";
import { quoted } from "../util/bytes.ts";
import { FormatError, UnsupportedError } from "../util/errors.ts";
import type { MetaType, MetaValue } from "./model_file.ts";

/** Values of tokenizer.ggml.model that can be read. "llama" is SentencePiece BPE. */
const supportedModels = ["llama"];
/** Values that say that there is no tokenizer. */
const noModels = ["no_vocab", "none"];

/** Ids of SentencePiece vocabularies of the Llama family where the file gives none. */
const defaultIds = { bos: 1, eos: 2, unknown: 0 } as const;

const typeNumbers: readonly number[] = Object.values(TokenType);

/**
 * The vocabulary of a GGUF file's tokenizer.ggml.* keys, or undefined where it has none.
 * Source: https://github.com/ggml-org/ggml/blob/master/docs/gguf.md; defaults: llama.cpp's llama-vocab.cpp.
 * @throws FormatError when keys are missing, of a wrong type or length, or ids outside the vocabulary
 * @throws UnsupportedError for tokenizers other than SentencePiece BPE
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
  if (!supportedModels.includes(model)) {
    throw new UnsupportedError(
      `Cannot read the tokenizer of ${fileName}: Unsupported model ${quoted(model)}; supported: ${supportedModels.join(", ")}`,
    );
  }
  const pieces = keys.array<string>("tokens", "string");
  if (pieces === undefined) throw keys.error("tokens", "Expected an array of strings, got nothing");
  const scores = keys.array<number>("scores", "f32", pieces.length);
  if (scores === undefined) throw keys.error("scores", "Expected an array of f32, got nothing");
  const types = keys.types(pieces);
  const id = (key: string, fallback?: number) => keys.id(`${key}_token_id`, types, fallback);
  const eosIds = [id("eos", defaultIds.eos), id("eot"), id("eom")].filter((eos) => eos !== undefined);
  const bosId = id("bos", defaultIds.bos);
  return {
    kind: "spm-bpe",
    pieces: Array.from(pieces),
    scores,
    types,
    bosId,
    eosIds: [...new Set(eosIds)],
    unkId: id("unknown", defaultIds.unknown),
    addDummyPrefix: keys.bool("add_space_prefix", true),
    removeExtraWhitespaces: keys.bool("remove_extra_whitespaces", false),
    userDefinedSplitsText: true,
    addBos: keys.bool("add_bos_token", bosId !== undefined),
    addEos: keys.bool("add_eos_token", false),
  };
}

/** The keys below "tokenizer.ggml.", each with the type that it must have. */
class TokenizerKeys {
  private readonly metadata: ReadonlyMap<string, MetaValue>;
  private readonly fileName: string;

  constructor(metadata: ReadonlyMap<string, MetaValue>, fileName: string) {
    this.metadata = metadata;
    this.fileName = fileName;
  }

  has(key: string): boolean {
    return this.get(key) !== undefined;
  }

  string(key: string): string | undefined {
    const found = this.get(key);
    if (found === undefined) return undefined;
    if (found.type !== "string") throw this.error(key, `Expected a string, got ${typeName(found)}`);
    return String(found.value);
  }

  bool(key: string, fallback: boolean): boolean {
    const found = this.get(key);
    if (found === undefined) return fallback;
    if (found.type !== "bool") throw this.error(key, `Expected a bool, got ${typeName(found)}`);
    return found.value === true;
  }

  array<T>(key: string, elementType: MetaType, length?: number): ArrayLike<T> | undefined {
    const found = this.get(key);
    if (found === undefined) return undefined;
    if (found.type !== "array" || found.elementType !== elementType) {
      throw this.error(key, `Expected an array of ${elementType}, got ${typeName(found)}`);
    }
    if (length !== undefined && found.value.length !== length) {
      throw this.error(key, `Expected ${length} elements, one for each token, got ${found.value.length}`);
    }
    return found.value as ArrayLike<T>;
  }

  /** {@link TokenType} by id, from the file or, where it has none, from how pieces are spelled. */
  types(pieces: ArrayLike<string>): ArrayLike<number> {
    const types = this.array<number>("token_type", "i32", pieces.length);
    if (types === undefined) return Int32Array.from(pieces, inferType);
    for (let id = 0; id < types.length; id++) {
      if (!typeNumbers.includes(types[id] as number)) {
        throw this.error("token_type", `Expected 1 to 6 for token ${id}, got ${types[id]}`);
      }
    }
    return types;
  }

  /**
   * A special id. `fallback` counts only where the vocabulary has a special token there: without the key,
   * a small vocabulary may have none, or an ordinary piece in its place.
   */
  id(key: string, types: ArrayLike<number>, fallback?: number): number | undefined {
    const found = this.get(key);
    if (found === undefined) {
      const type = fallback === undefined ? undefined : types[fallback];
      return type === TokenType.control || type === TokenType.unknown ? fallback : undefined;
    }
    if (!/^[ui]/.test(found.type)) throw this.error(key, `Expected an integer, got ${typeName(found)}`);
    const id = found.value as number | bigint;
    if (!(id >= 0 && id < types.length)) {
      throw this.error(key, `Expected an id of a vocabulary of ${types.length} tokens, got ${id}`);
    }
    return Number(id);
  }

  error(key: string, message: string): FormatError {
    return new FormatError(
      `Cannot read the tokenizer of ${this.fileName}: Metadata key "tokenizer.ggml.${key}": ${message}`,
    );
  }

  private get(key: string): MetaValue | undefined {
    return this.metadata.get(`tokenizer.ggml.${key}`);
  }
}

function inferType(piece: string): number {
  if (piece === "<unk>") return TokenType.unknown;
  if (piece === "<s>" || piece === "</s>") return TokenType.control;
  return /^<0x[0-9A-Fa-f]{2}>$/.test(piece) ? TokenType.byte : TokenType.normal;
}

function typeName(value: MetaValue): string {
  return value.type === "array" ? `an array of ${value.elementType}` : `a value of type ${value.type}`;
}
