// Every error that cria throws on purpose, in classes with a stable code.

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
  | "ENGINE"
  | "QUEUE";

/**
 * Base of all cria errors. `code` is stable and meant for programs; the message is for people and says what could not be
 * done, why, and what would have been right:
 * "Cannot load tensor blk.0.attn_q.weight of m.gguf: Expected shape [4096, 4096], got [4096, 1024]".
 */
export class CriaError extends Error {
  /** The code of all errors of a class. */
  declare static readonly code: ErrorCode;
  /** Stable code, see {@link ErrorCode}. */
  readonly code: ErrorCode;

  constructor(message: string, options?: ErrorOptions) {
    super(message, options);
    const { code } = new.target;
    this.code = code;
    // Not the name of the class, which minifiers change.
    this.name = `${code[0]}${code.slice(1).toLowerCase()}Error`;
  }
}

/** The bytes of a file contradict its format (cut, wrong magic, hostile number, missing key). */
export class FormatError extends CriaError {
  static override readonly code: ErrorCode = "FORMAT";
}

/** The file is well-formed but uses something cria does not implement; the message lists what is. */
export class UnsupportedError extends CriaError {
  static override readonly code: ErrorCode = "UNSUPPORTED";
}

/** Bytes cannot be had: no such file, a directory, a refused connection. */
export class SourceError extends CriaError {
  static override readonly code: ErrorCode = "SOURCE";
}

/** An option or argument is of the wrong type, out of its interval or unknown. */
export class UsageError extends CriaError {
  static override readonly code: ErrorCode = "USAGE";
}

/** A prompt or sequence does not fit the context. */
export class ContextError extends CriaError {
  static override readonly code: ErrorCode = "CONTEXT";
}

/** A model does not fit the memory budget or the address space; thrown before anything is allocated. */
export class MemoryError extends CriaError {
  static override readonly code: ErrorCode = "MEMORY";
}

/** A vocabulary cannot encode or decode what was asked for. */
export class TokenizerError extends CriaError {
  static override readonly code: ErrorCode = "TOKENIZER";
}

/** Logits from which no token can be drawn (NaN, every candidate -Infinity). */
export class SamplingError extends CriaError {
  static override readonly code: ErrorCode = "SAMPLING";
}

/** A snapshot of a session is damaged, or belongs to another version, model or settings; the message says which. */
export class SnapshotError extends CriaError {
  static override readonly code: ErrorCode = "SNAPSHOT";
}

/** The engine itself failed (a trap, a disposed instance); the instance is retired. */
export class EngineError extends CriaError {
  static override readonly code: ErrorCode = "ENGINE";
}
