// Typed access to parsed JSON: each wrong value is an error that says where it stands.
import { decodeUtf8, quoted } from "../../util/bytes.ts";
import { type CriaError, FormatError, UnsupportedError } from "../../util/errors.ts";

/** Deepest nesting that is read: real files go five deep. */
const MAX_DEPTH = 32;

/** Longest path that an error message repeats. */
const MAX_PATH = 120;

/**
 * A value of a JSON file and the place it has there. Every reading method checks the type and throws a
 * FormatError that names the place; numbers are checked against an interval before use.
 */
export class JsonValue {
  readonly value: unknown;
  /** Where it is: "model.merges[3]"; "" is the whole file. */
  readonly path: string;
  /** What error messages call the file. */
  readonly name: string;
  readonly #depth: number;

  private constructor(value: unknown, path: string, file: string, depth: number) {
    this.value = value;
    this.path = path;
    this.name = file;
    this.#depth = depth;
  }

  /**
   * @param bytes UTF-8, with or without a byte order mark
   * @param file what error messages call the file
   * @throws FormatError if the bytes are not JSON
   */
  static parse(bytes: Uint8Array, file: string): JsonValue {
    try {
      const text = decodeUtf8(bytes);
      return new JsonValue(JSON.parse(text.startsWith("\ufeff") ? text.slice(1) : text), "", file, 0);
    } catch (cause) {
      throw new FormatError(`Cannot read ${file}: Expected JSON, got ${(cause as Error).message}`, { cause });
    }
  }

  /** Whether the value is absent or null. */
  get isNull(): boolean {
    return this.value === undefined || this.value === null;
  }

  /** The value of an object's own key; absent keys have the value undefined. */
  get(key: string): JsonValue {
    const object = this.object();
    return this.#child(
      Object.hasOwn(object, key) ? object[key] : undefined,
      `${this.path}${this.path && "."}${key}`,
    );
  }

  /** @throws FormatError if the value is not an object */
  object(): Record<string, unknown> {
    const { value } = this;
    if (typeof value !== "object" || value === null || Array.isArray(value)) throw this.expected("an object");
    return value as Record<string, unknown>;
  }

  /** The elements of an array. @throws FormatError above `max` */
  array(max: number): unknown[] {
    const { value } = this;
    if (!Array.isArray(value)) throw this.expected("an array");
    if (value.length > max) throw this.expected(`at most ${max} elements`, String(value.length));
    return value;
  }

  /** As {@link array}, each element with its place. */
  items(max: number): JsonValue[] {
    return this.array(max).map((value, i) => this.#child(value, `${this.path}[${i}]`));
  }

  /** The element `i` of an array. */
  item(i: number): JsonValue {
    return this.#child((this.value as unknown[])[i], `${this.path}[${i}]`);
  }

  /** Text without lone surrogates. */
  string(fallback?: string): string {
    const { value } = this;
    if (value === undefined && fallback !== undefined) return fallback;
    if (typeof value !== "string") throw this.expected("a string");
    if (!value.isWellFormed()) throw this.expected("text", `a lone surrogate in ${quoted(value)}`);
    return value;
  }

  /** Bytes in base64. */
  base64(): Uint8Array {
    const text = this.string();
    try {
      return Uint8Array.from(atob(text), (character) => character.charCodeAt(0));
    } catch {
      throw this.expected("base64");
    }
  }

  /** One character. */
  character(): string {
    const text = this.string();
    if (text === "" || text.length > String.fromCodePoint(text.codePointAt(0) as number).length) {
      throw this.expected("one character");
    }
    return text;
  }

  /** @param fallback the value of an absent key */
  boolean(fallback: boolean): boolean {
    const { value } = this;
    if (value === undefined) return fallback;
    if (typeof value !== "boolean") throw this.expected("true or false");
    return value;
  }

  /** An integer in [min, max]. */
  integer(min: number, max: number, fallback?: number): number {
    const { value } = this;
    if (value === undefined && fallback !== undefined) return fallback;
    if (!(Number.isInteger(value) && (value as number) >= min && (value as number) <= max)) {
      throw this.expected(`an integer from ${min} to ${max}`);
    }
    return value as number;
  }

  /** One of some words. */
  oneOf<T extends string>(words: readonly T[], fallback?: T): T {
    const { value } = this;
    if (value === undefined && fallback !== undefined) return fallback;
    const found = words.find((word) => word === value);
    if (found === undefined) throw this.expected(`one of ${words.join(", ")}`);
    return found;
  }

  /** The error of a value that is not what it should be. */
  expected(what: string, got = describe(this.value)): FormatError {
    return new FormatError(`Cannot read ${this.name}: Expected ${this.#place} to be ${what}, got ${got}`);
  }

  /** The error of a component that is not implemented. @param supported what is */
  unsupported(what: string, supported: Iterable<string>): UnsupportedError {
    return new UnsupportedError(
      `Cannot read ${this.name}: ${what} at ${this.#place} is not supported; supported: ${[...supported].join(", ")}`,
    );
  }

  /** An error of what a string says, with its place. */
  wrapped(cause: FormatError | UnsupportedError): CriaError {
    const message = `Cannot read ${this.name}: ${cause.message} (${this.#place})`;
    return cause instanceof FormatError
      ? new FormatError(message, { cause })
      : new UnsupportedError(message, { cause });
  }

  get #place(): string {
    if (this.path === "") return "the file";
    return this.path.length > MAX_PATH ? `${this.path.slice(0, MAX_PATH)}...` : this.path;
  }

  #child(value: unknown, path: string): JsonValue {
    if (this.#depth === MAX_DEPTH) throw this.expected(`nested at most ${MAX_DEPTH} deep`, "more");
    return new JsonValue(value, path, this.name, this.#depth + 1);
  }
}

/** What components there are, by the "type" of their JSON. */
export type Components<T> = Readonly<Record<string, (json: JsonValue) => T>>;

/**
 * Reads a component.
 * @param kind what error messages call it: "Normalizer"
 * @throws UnsupportedError for a type that is not among `known`
 */
export function readComponent<T>(json: JsonValue, kind: string, known: Components<T>): T {
  const type = json.get("type").string();
  const read = Object.hasOwn(known, type) ? known[type] : undefined;
  if (read === undefined) throw json.unsupported(`${kind} ${quoted(type)}`, Object.keys(known));
  return read(json);
}

function describe(value: unknown): string {
  if (value === undefined) return "nothing";
  if (Array.isArray(value)) return `an array of ${value.length}`;
  if (typeof value === "string") return quoted(value);
  return typeof value === "object" && value !== null ? "an object" : String(value);
}
