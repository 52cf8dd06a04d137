// Answers in HTTP: JSON, errors, server-sent events.
import { CriaError, type ErrorCode } from "../util/errors.ts";
import { QueueError } from "./queue.ts";

/** A request that is answered with an error. */
export class RequestError extends Error {
  readonly status: number;
  readonly code: string;
  readonly headers: Readonly<Record<string, string>>;

  constructor(status: number, code: string, message: string, headers: Readonly<Record<string, string>> = {}) {
    super(message);
    this.status = status;
    this.code = code;
    this.headers = headers;
  }
}

// What of the engine's errors is the client's doing; SAMPLING too, because only sampling options or a snapshot make
// logits from which nothing can be drawn.
const statuses: Partial<Record<ErrorCode, number>> = {
  USAGE: 400,
  CONTEXT: 400,
  SNAPSHOT: 400,
  TOKENIZER: 400,
  SAMPLING: 400,
  MEMORY: 503,
  SOURCE: 503,
};

const RETRY = { "retry-after": "1" };

function asRequestError(error: unknown): RequestError {
  if (error instanceof RequestError) return error;
  if (error instanceof QueueError) return new RequestError(503, "BUSY", error.message, RETRY);
  if (error instanceof CriaError)
    return new RequestError(statuses[error.code] ?? 500, error.code, error.message);
  // Whatever else it says may be of nobody's concern outside.
  return new RequestError(500, "INTERNAL", "Cannot answer: an unexpected error");
}

/** What clients are told of an error. */
export function describeError(error: unknown): { readonly error: { code: string; message: string } } {
  const { code, message } = asRequestError(error);
  return { error: { code, message } };
}

// Nothing is for caches, and nothing is to be taken for a page.
const HEADERS = { "cache-control": "no-store, no-transform", "x-content-type-options": "nosniff" };

/** An answer in JSON, on one line. */
export function json(value: unknown, status = 200, headers: Readonly<Record<string, string>> = {}): Response {
  return new Response(`${JSON.stringify(value)}\n`, {
    status,
    headers: { ...HEADERS, "content-type": "application/json; charset=utf-8", ...headers },
  });
}

/** The answer to a request that failed. */
export function errorAnswer(error: unknown): Response {
  const { status, headers } = asRequestError(error);
  return json(describeError(error), status, headers);
}

/** A stream of server-sent events. */
export function eventStream(body: ReadableStream<Uint8Array>): Response {
  return new Response(body, { headers: { ...HEADERS, "content-type": "text/event-stream; charset=utf-8" } });
}

/** One server-sent event. JSON has no line ends, which would end it. */
export function event(value: unknown): string {
  return `data: ${JSON.stringify(value)}\n\n`;
}
