// What a request says: its headers, its body, its fields.

import { type SamplingOptions, samplingParams } from "../sample/registry.ts";
import { checkParam } from "../sample/spec.ts";
import { checkHeaders as checkBodyHeaders, readText } from "../server/http/body.ts";
import { HttpError } from "../server/http/errors.ts";
import type { GenerateOptions, Prompt } from "../session/options.ts";
import { quoted } from "../util/bytes.ts";
import { describeValue } from "../util/describe.ts";
import { CriaError } from "../util/errors.ts";
import { nearestName } from "../util/nearest.ts";
import { RequestError } from "./responses.ts";

/** A request: a new generation, or one to resume. */
export type GenerateRequest =
  | { readonly prompt: Prompt; readonly options: GenerateOptions }
  | { readonly resume: string };

const MAX_STOPS = 16;
const MAX_STOP_CHARS = 256;

const sampling = new Map(samplingParams.map((param) => [param.openai, param]));
const fields = ["prompt", "special", "max_tokens", "stop", "resume", ...sampling.keys()];

function bad(message: string): RequestError {
  return new RequestError(400, "USAGE", `Cannot generate: ${message}`);
}

function stops(value: unknown): string[] {
  const list = Array.isArray(value) ? value : [value];
  const isStop = (text: unknown) =>
    typeof text === "string" && text.length >= 1 && text.length <= MAX_STOP_CHARS;
  if (list.length > MAX_STOPS || !list.every(isStop)) {
    throw bad(
      `Expected stop to be a string of 1 to ${MAX_STOP_CHARS} characters or up to ${MAX_STOPS} of them, got ${describeValue(value)}`,
    );
  }
  return list;
}

function samplingOptions(body: Readonly<Record<string, unknown>>): SamplingOptions {
  const options: Record<string, unknown> = {};
  for (const [name, param] of sampling) {
    if (!Object.hasOwn(body, name)) continue;
    try {
      options[param.key] = checkParam(param, body[name]);
    } catch (error) {
      throw error instanceof CriaError ? new RequestError(400, error.code, error.message) : error;
    }
  }
  return options;
}

function parse(text: string): Readonly<Record<string, unknown>> {
  let body: unknown;
  try {
    body = JSON.parse(text);
  } catch {
    throw bad('Expected a body in JSON, {"prompt": "Once upon a time"} for instance');
  }
  if (typeof body === "object" && body !== null && !Array.isArray(body)) return withoutNulls(body);
  throw bad(`Expected a JSON object, got ${describeValue(body)}`);
}

function checkFields(names: readonly string[]): void {
  for (const name of names) {
    if (fields.includes(name)) continue;
    const nearest = nearestName(name, fields);
    const hint = nearest === undefined ? `known are ${fields.join(", ")}` : `did you mean ${nearest}?`;
    throw bad(`Unknown field ${quoted(name)}; ${hint}`);
  }
}

// A field that is null stands for its default, as clients of OpenAI's interface send it; its name is checked all the
// same.
function withoutNulls(body: object): Readonly<Record<string, unknown>> {
  checkFields(Object.keys(body));
  return Object.fromEntries(Object.entries(body).filter(([, value]) => value !== null));
}

// Whether ids are the vocabulary's is for the session to say.
function promptOf(prompt: unknown): string | number[] {
  if (typeof prompt === "string") return prompt;
  if (Array.isArray(prompt) && prompt.every(Number.isSafeInteger)) return prompt;
  if (Array.isArray(prompt) && prompt.some((message) => Object(message) === message && "role" in message)) {
    throw new RequestError(
      400,
      "UNSUPPORTED",
      "Cannot generate: Chat messages are not supported yet; supported: a text, with special: true for the marks of a chat template, or token ids",
    );
  }
  throw bad(`Expected prompt to be a string or an array of token ids, got ${describeValue(prompt)}`);
}

/**
 * The request that a body states. Fields are named as in OpenAI's interface; sampling fields and their intervals are
 * those of the registry. A field that is null counts as absent.
 * @param maxTokens most tokens that a request may ask for
 * @throws RequestError 400 naming the field, what it may be and what it is
 */
export function readGenerateRequest(text: string, maxTokens: number): GenerateRequest {
  const body = parse(text);
  const { prompt, special, max_tokens: asked, stop, resume } = body;
  if (Object.hasOwn(body, "resume")) {
    if (typeof resume !== "string") throw bad(`Expected resume to be a string, got ${describeValue(resume)}`);
    if (Object.keys(body).length > 1)
      throw bad("Expected nothing beside resume: the generation has its options");
    return { resume };
  }
  const checked = promptOf(prompt);
  if (special !== undefined && typeof special !== "boolean") {
    throw bad(`Expected special to be true or false, got ${describeValue(special)}`);
  }
  if (asked !== undefined && !(Number.isSafeInteger(asked) && (asked as number) >= 1)) {
    throw bad(`Expected max_tokens to be an integer of at least 1, got ${describeValue(asked)}`);
  }
  const options: GenerateOptions = {
    ...samplingOptions(body),
    ...(stop !== undefined && { stop: stops(stop) }),
    ...(special !== undefined && { special }),
    logprobs: false,
  };
  const most = Math.min((asked as number | undefined) ?? Number.POSITIVE_INFINITY, maxTokens);
  if (Number.isFinite(most)) options.maxTokens = most;
  return { prompt: checked, options };
}

/**
 * Checks that a body is what can be read: JSON of at most so many bytes.
 * @throws RequestError 413, 415
 */
export function checkHeaders(headers: Headers, maxBytes: number): void {
  try {
    checkBodyHeaders(headers, maxBytes);
  } catch (error) {
    throw ownError(error);
  }
}

/**
 * The text of a body.
 * @throws RequestError 413 beyond `maxBytes`, 408 if it does not come within `ms`, 400 if it is no UTF-8 or
 *   breaks off
 */
export async function readBody(request: Request, maxBytes: number, ms: number): Promise<string> {
  try {
    return await readText(request, { bytes: maxBytes, ms });
  } catch (error) {
    throw ownError(error);
  }
}

const codes: Readonly<Record<number, string>> = {
  408: "TIMEOUT",
  413: "TOO_LARGE",
  415: "UNSUPPORTED_MEDIA_TYPE",
};

function ownError(error: unknown): unknown {
  if (!(error instanceof HttpError)) return error;
  const code = codes[error.status];
  return code === undefined
    ? bad("Expected a body in UTF-8 that does not break off")
    : new RequestError(error.status, code, error.message);
}
