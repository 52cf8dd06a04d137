import { quoted } from "../util/bytes.ts";
import { UsageError } from "../util/errors.ts";
import { checkOptions, type OptionNames } from "../util/options.ts";
import type { HttpOptions, SourceOptions } from "./options.ts";

/** The options that every source takes. */
export const sourceNames: OptionNames<SourceOptions> = { sha256: true, cache: true, http: true };

const httpNames: OptionNames<HttpOptions> = { headers: true, retries: true, retryMs: true, idleMs: true };

/** @throws UsageError naming an option of loading, what it may be and what it is */
export function refuse(option: string, value: unknown, expected: string): never {
  const text = typeof value === "string" ? quoted(value) : value === null ? "null" : typeof value;
  const got = typeof value === "number" ? value : text;
  throw new UsageError(`Cannot load with ${option} ${got}: Expected ${expected}`);
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

// Headers and Maps have no names of their own: their entries would be passed over.
function isRecordOfTexts(value: unknown): boolean {
  if (typeof value !== "object" || value === null || Symbol.iterator in value) return false;
  return Object.values(value).every((text) => typeof text === "string");
}
