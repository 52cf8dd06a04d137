// What a caller may pass as a file, and how its bytes are fetched.
import { describeValue } from "../util/describe.ts";
import { UsageError } from "../util/errors.ts";
import { checkOptions, type OptionNames } from "../util/options.ts";
import type { ByteSource } from "./byte_source.ts";
import type { HttpOptions } from "./http/http_options.ts";

/**
 * Where bytes come from: a path or URL, `hf:owner/repo/file` (a file of the Hugging Face hub), `cria:tales-chat` (a model
 * that comes with cria), a `URL`, a `Blob` or `File`, bytes (an `ArrayBuffer`, a `SharedArrayBuffer` or any view of one), a stream (a `ReadableStream`, a stream
 * of Node or anything else that gives bytes asynchronously), a GET `Request`, a `Response` whose body was not read, or
 * a source of one's own.
 */
export type SourceLike =
  | string
  | URL
  | Blob
  | ArrayBufferLike
  | ArrayBufferView
  | ReadableStream<Uint8Array>
  | AsyncIterable<Uint8Array>
  | Request
  | Response
  | ByteSource;

/** How bytes are fetched, checked and cached. */
export interface SourceOptions {
  /** SHA-256 that the file must have, in 64 hexadecimal digits. */
  sha256?: string | undefined;
  /**
   * Caches files from http(s) URLs: in a directory, in the runtime's own place (true; skipped if that cannot be used), or
   * not (false). Default: true for `hf:`, false for URLs.
   */
  cache?: boolean | string | undefined;
  /** Headers, retries and time limits of URLs. */
  http?: HttpOptions | undefined;
}

/** The options that every source takes. */
export const sourceNames: OptionNames<SourceOptions> = { sha256: true, cache: true, http: true };

const httpNames: OptionNames<HttpOptions> = { headers: true, retries: true, retryMs: true, idleMs: true };

/** @throws UsageError naming an option of loading, what it may be and what it is */
export function refuse(option: string, value: unknown, expected: string): never {
  throw new UsageError(`Cannot load with ${option} ${describeValue(value)}: Expected ${expected}`);
}

// Longest that a timer can wait.
const MAX_MS = 2 ** 31 - 1;

function checkLimit(option: string, value: unknown, least: number): void {
  if (value === undefined || (typeof value === "number" && value >= least && value <= MAX_MS)) return;
  refuse(option, value, `a number from ${least} to ${MAX_MS}`);
}

/**
 * Checks how bytes are to be fetched.
 * @throws UsageError naming the option, what it may be and what it is
 */
export function checkSourceOptions({ sha256, cache, http }: SourceOptions): void {
  if (sha256 !== undefined && !(typeof sha256 === "string" && /^[0-9a-f]{64}$/i.test(sha256))) {
    refuse("sha256", sha256, "64 hexadecimal digits");
  }
  if (cache !== undefined && typeof cache !== "boolean" && !(typeof cache === "string" && cache !== "")) {
    refuse("cache", cache, "true, false or a directory");
  }
  if (http === undefined) return;
  if (typeof http !== "object" || http === null) refuse("http", http, "an object");
  checkOptions("load with http", http, httpNames);
  const { headers, retries, retryMs, idleMs } = http;
  if (headers !== undefined && !isRecordOfTexts(headers)) {
    refuse("http.headers", headers, "an object of names and values");
  }
  checkLimit("http.retries", retries, 0);
  checkLimit("http.retryMs", retryMs, 0);
  checkLimit("http.idleMs", idleMs, 1);
}

// Headers and Maps have no properties of their own: their entries would be ignored.
function isRecordOfTexts(value: unknown): boolean {
  if (typeof value !== "object" || value === null || Symbol.iterator in value) return false;
  return Object.values(value).every((text) => typeof text === "string");
}
