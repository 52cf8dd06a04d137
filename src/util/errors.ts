/**
 * Every error that cria throws on purpose. `code` is stable and meant for programs; the message is for
 * people and says what could not be done, why, and what would have been right:
 * "Cannot load tensor blk.0.attn_q.weight: Expected shape [4096, 4096], got [4096, 1024]".
 */

/** Stable machine-readable error codes. */
export type ErrorCode =
  | "FORMAT"
  | "UNSUPPORTED"
  | "SOURCE"
  | "USAGE"
  | "CONTEXT"
  | "MEMORY"
  | "TOKENIZER"
  | "SAMPLING"
  | "SNAPSHOT"
  | "ENGINE";

/** Base of all cria errors. */
export class CriaError extends Error {
  /** Stable code, see {@link ErrorCode}. */
  readonly code: ErrorCode;

  constructor(code: ErrorCode, message: string, options?: ErrorOptions) {
    super(message, options);
    this.code = code;
    // Not the name of the class, which minifiers change.
    this.name = `${code[0]}${code.slice(1).toLowerCase()}Error`;
  }
}

/** The bytes of a file contradict its format (cut, wrong magic, hostile number, missing key). */
export class FormatError extends CriaError {
  constructor(message: string, options?: ErrorOptions) {
    super("FORMAT", message, options);
  }
}

/** The file is well-formed but uses something cria does not implement; the message lists what is. */
export class UnsupportedError extends CriaError {
  constructor(message: string, options?: ErrorOptions) {
    super("UNSUPPORTED", message, options);
  }
}

/** Bytes cannot be had: no such file, a directory, a refused connection. */
export class SourceError extends CriaError {
  constructor(message: string, options?: ErrorOptions) {
    super("SOURCE", message, options);
  }
}

/** An option or argument is of the wrong type, out of its interval or unknown. */
export class UsageError extends CriaError {
  constructor(message: string, options?: ErrorOptions) {
    super("USAGE", message, options);
  }
}

/** A prompt or sequence does not fit the context. */
export class ContextError extends CriaError {
  constructor(message: string, options?: ErrorOptions) {
    super("CONTEXT", message, options);
  }
}

/** A model does not fit the memory budget or the address space; thrown before anything is allocated. */
export class MemoryError extends CriaError {
  constructor(message: string, options?: ErrorOptions) {
    super("MEMORY", message, options);
  }
}

/** A vocabulary cannot encode or decode what was asked for. */
export class TokenizerError extends CriaError {
  constructor(message: string, options?: ErrorOptions) {
    super("TOKENIZER", message, options);
  }
}

/** Logits from which no token can be drawn (NaN, every candidate -Infinity). */
export class SamplingError extends CriaError {
  constructor(message: string, options?: ErrorOptions) {
    super("SAMPLING", message, options);
  }
}

/** A snapshot of a session is damaged, or belongs to another version, model or settings; the message says which. */
export class SnapshotError extends CriaError {
  constructor(message: string, options?: ErrorOptions) {
    super("SNAPSHOT", message, options);
  }
}

/** The engine itself failed (a trap, a disposed instance); the instance is retired. */
export class EngineError extends CriaError {
  constructor(message: string, options?: ErrorOptions) {
    super("ENGINE", message, options);
  }
}
