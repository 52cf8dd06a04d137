// Answers in HTTP: JSON and texts, with the headers that all of them have.
import { errorBody, type HttpError } from "./errors.ts";

/** Headers of every answer: nothing is for caches, and nothing is to be taken for a page. */
export const commonHeaders = {
  "cache-control": "no-store, no-transform",
  "x-content-type-options": "nosniff",
};

/** An answer in JSON. */
export function json(value: unknown, status = 200, headers: Readonly<Record<string, string>> = {}): Response {
  return new Response(JSON.stringify(value), {
    status,
    headers: { ...commonHeaders, "content-type": "application/json; charset=utf-8", ...headers },
  });
}

/** The answer to a request that failed. */
export function errorResponse(error: HttpError): Response {
  return json(errorBody(error), error.status, error.headers);
}
