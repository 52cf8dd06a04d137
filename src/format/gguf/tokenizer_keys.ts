// The metadata keys of a GGUF file that describe its tokenizer, each checked for its type.
import { TokenType } from "../../tokenizer/core/vocabulary_data.ts";
import { FormatError } from "../../util/errors.ts";
import type { MetaType, MetaValue } from "../model_file.ts";

const typeNumbers: readonly number[] = Object.values(TokenType);
/** What files have for a token without a stated type. */
const UNDEFINED_TYPE = 0;

/** The keys below "tokenizer.ggml.", each with the type that it must have. */
export class TokenizerKeys {
  readonly #metadata: ReadonlyMap<string, MetaValue>;
  readonly fileName: string;
  /** What was ignored: see {@link VocabularyData.warnings}. */
  readonly warnings: string[] = [];

  constructor(metadata: ReadonlyMap<string, MetaValue>, fileName: string) {
    this.#metadata = metadata;
    this.fileName = fileName;
  }

  has(key: string): boolean {
    return this.#get(key) !== undefined;
  }

  /** The type of an array's elements; undefined if there is no array. */
  elementType(key: string): MetaType | undefined {
    const found = this.#get(key);
    return found?.type === "array" ? found.elementType : undefined;
  }

  string(key: string): string | undefined {
    const found = this.#get(key);
    if (found === undefined) return undefined;
    if (found.type !== "string") throw this.error(key, `Expected a string, got ${typeName(found)}`);
    return String(found.value);
  }

  bool(key: string, fallback: boolean): boolean {
    const found = this.#get(key);
    if (found === undefined) return fallback;
    if (found.type !== "bool") throw this.error(key, `Expected a bool, got ${typeName(found)}`);
    return found.value === true;
  }

  array<T>(key: string, elementType: MetaType, length?: number): ArrayLike<T> | undefined {
    const found = this.#get(key);
    if (found === undefined) return undefined;
    if (found.type !== "array" || found.elementType !== elementType) {
      throw this.error(key, `Expected an array of ${elementType}, got ${typeName(found)}`);
    }
    if (length !== undefined && found.value.length !== length) {
      throw this.error(key, `Expected ${length} elements, one for each token, got ${found.value.length}`);
    }
    return found.value as ArrayLike<T>;
  }

  /** The text of each token. */
  pieces(): ArrayLike<string> {
    const pieces = this.array<string>("tokens", "string");
    if (pieces === undefined) throw this.error("tokens", "Expected an array of strings, got nothing");
    return pieces;
  }

  /**
   * {@link TokenType} by id, from the file. If it has none or says that it is undefined, from how pieces are
   * spelled.
   */
  types(pieces: ArrayLike<string>, inferType: (piece: string) => number): Uint8Array {
    const types = this.array<number>("token_type", "i32", pieces.length);
    if (types === undefined) return Uint8Array.from(pieces, inferType);
    const read = new Uint8Array(types.length);
    for (let id = 0; id < types.length; id++) {
      const type = types[id] as number;
      if (type !== UNDEFINED_TYPE && !typeNumbers.includes(type)) {
        throw this.error("token_type", `Expected 0 to 6 for token ${id}, got ${type}`);
      }
      read[id] = type === UNDEFINED_TYPE ? inferType(pieces[id] as string) : type;
    }
    return read;
  }

  /** Ids that end a turn or a text, each once: those that the keys say, and those of `named`. */
  eosIds(types: ArrayLike<number>, named: readonly number[], fallback: number): number[] {
    const ids = [
      this.id("eos_token_id", types, fallback),
      this.id("eot_token_id", types),
      this.id("eom_token_id", types),
      ...this.#ids("eos_token_ids", types),
      ...named,
    ];
    return [...new Set(ids.filter((id) => id !== undefined))];
  }

  /**
   * A special id. `fallback` counts only if that token of the vocabulary is special: without the key, a small
   * vocabulary may have none, or an ordinary piece in its place. An id outside the vocabulary counts as absent, with a
   * warning: published files have 2^32 - 1 and the like.
   */
  id(key: string, types: ArrayLike<number>, fallback?: number): number | undefined {
    const found = this.#get(key);
    if (found !== undefined && !/^[ui]/.test(found.type)) {
      throw this.error(key, `Expected an integer, got ${typeName(found)}`);
    }
    const id = found && this.#inside(key, found.value as number | bigint, types.length);
    if (id !== undefined) return id;
    const type = fallback === undefined ? undefined : types[fallback];
    return type === TokenType.control || type === TokenType.unknown ? fallback : undefined;
  }

  /**
   * Whether a special token is added to texts: what `key` says, else `fallback`. Nothing is added if the token's id
   * (under `idKey`) is outside the vocabulary.
   */
  adds(key: string, idKey: string, id: number | undefined, fallback: boolean): boolean {
    return this.bool(key, fallback) && !(id === undefined && this.has(idKey));
  }

  #ids(key: string, types: ArrayLike<number>): (number | undefined)[] {
    const found = this.#get(key);
    if (found === undefined) return [];
    if (found.type !== "array" || !/^[ui]/.test(found.elementType)) {
      throw this.error(key, `Expected an array of integers, got ${typeName(found)}`);
    }
    const ids = found.value as ArrayLike<number | bigint>;
    return Array.from(ids, (id) => this.#inside(key, id, types.length));
  }

  #inside(key: string, id: number | bigint, size: number): number | undefined {
    if (id >= 0 && id < size) return Number(id);
    const warning = `Metadata key "tokenizer.ggml.${key}" of ${this.fileName}: Expected an id of a vocabulary of ${size} tokens, got ${id}; it is passed over`;
    if (!this.warnings.includes(warning)) this.warnings.push(warning);
    return undefined;
  }

  error(key: string, message: string): FormatError {
    return new FormatError(
      `Cannot read the tokenizer of ${this.fileName}: Metadata key "tokenizer.ggml.${key}": ${message}`,
    );
  }

  #get(key: string): MetaValue | undefined {
    return this.#metadata.get(`tokenizer.ggml.${key}`);
  }
}

function typeName(value: MetaValue): string {
  return value.type === "array" ? `an array of ${value.elementType}` : `a value of type ${value.type}`;
}
