// Errors as clients of OpenAI's interface read them: a status and {error: {message, type, param, code}}.

/** What an error may have beside its status and message. */
interface ErrorDetails {
  /** The field of the request that is wrong. */
  readonly param?: string | null;
  /** For programs: "context_length_exceeded". */
  readonly code?: string | null;
  readonly headers?: Readonly<Record<string, string>>;
  readonly cause?: unknown;
}

/** A request that is answered with an error. */
export class HttpError extends Error {
  readonly status: number;
  readonly param: string | null;
  readonly code: string | null;
  readonly headers: Readonly<Record<string, string>>;

  constructor(status: number, message: string, details: ErrorDetails = {}) {
    super(message, { cause: details.cause });
    this.status = status;
    this.param = details.param ?? null;
    this.code = details.code ?? null;
    this.headers = details.headers ?? {};
  }
}

/** What is answered while a model is loaded, and to requests that come too late. */
export function unavailable(message: string, code: string, seconds = 1): HttpError {
  return new HttpError(503, message, { code, headers: { "retry-after": String(seconds) } });
}

/** What ends the work for a client that is gone; nobody reads it. The status is the one that nginx logs for it. */
export function clientLeft(): HttpError {
  return new HttpError(499, "Cannot answer: The client has left", { code: "client_closed_request" });
}

/** A request that is wrong, and in which field. */
export function badRequest(param: string | null, message: string, code: string | null = null): HttpError {
  return new HttpError(400, message, { param, code });
}

// By the codes of the library's errors. They may be of another bundle, so their classes say nothing.
const translations: Readonly<
  Record<string, (error: LibraryError, param: string | null) => HttpError | undefined>
> = {
  USAGE: ({ message }, param) => badRequest(param, message, "invalid_value"),
  UNSUPPORTED: ({ message }, param) => badRequest(param, message, "unsupported"),
  TOKENIZER: ({ message }, param) => badRequest(param, message, "invalid_value"),
  // Only options or logits that are no numbers leave nothing to draw from.
  SAMPLING: ({ message }) => badRequest(null, message, "invalid_value"),
  SNAPSHOT: ({ message }, param) => badRequest(param, message, "invalid_value"),
  CONTEXT: ({ message }, param) => badRequest(param, message, "context_length_exceeded"),
  MEMORY: ({ message }) => unavailable(message, "out_of_memory"),
  SOURCE: ({ message }) => unavailable(message, "model_unavailable"),
  ENGINE: () =>
    unavailable("Cannot answer: The engine failed; a new request finds it loaded again", "engine_failed"),
  QUEUE: ({ message, reason, retryAfter = 1 }) => {
    if (reason === "full") {
      const headers = { "retry-after": String(retryAfter) };
      return new HttpError(429, message, { code: "queue_full", headers });
    }
    if (reason === "deadline") return unavailable(message, "deadline_exceeded", retryAfter);
    return unavailable(message, reason === "loading" ? "loading" : "unavailable", retryAfter);
  },
};

interface LibraryError {
  readonly message: string;
  readonly code: string;
  readonly reason?: string;
  readonly retryAfter?: number;
}

function isLibraryError(error: unknown): error is LibraryError {
  return error instanceof Error && Object.hasOwn(translations, (error as { code?: string }).code ?? "");
}

/**
 * Any error as one of a request. What nobody expected says nothing of itself to clients.
 * @param param the field that holds what is computed, for errors of the prompt
 */
export function asHttpError(error: unknown, param: string | null = null): HttpError {
  if (error instanceof HttpError) return error;
  const known = isLibraryError(error) ? translations[error.code]?.(error, param) : undefined;
  return (
    known ??
    new HttpError(500, "Cannot answer: An unexpected error", { code: "internal_error", cause: error })
  );
}

function typeOf(status: number): string {
  if (status === 401) return "authentication_error";
  if (status === 403) return "permission_error";
  if (status === 429) return "rate_limit_error";
  return status >= 500 ? "server_error" : "invalid_request_error";
}

/** The body of an error, and the event that a stream ends with if it fails. */
export function errorBody({ status, message, param, code }: HttpError) {
  return { error: { message, type: typeOf(status), param, code } };
}
