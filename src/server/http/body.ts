// The JSON body of a request: limited in bytes, time and depth before it is parsed.
import { quoted } from "../../util/bytes.ts";
import { describeValue } from "../../util/describe.ts";
import { badRequest, HttpError } from "./errors.ts";

/** The fields of a request; those that are null are left out, since null stands for the default. */
export type Fields = Readonly<Record<string, unknown>>;

/** Limits of a body. */
export interface BodyLimits {
  readonly bytes: number;
  /** Milliseconds in which all of it must come. */
  readonly ms: number;
}

/** Deepest nesting: schemas of tools have some ten levels. */
const MAX_DEPTH = 128;

/**
 * The JSON object of a body.
 * @throws HttpError 400, 408, 413, 415
 */
export async function readFields(request: Request, limits: BodyLimits): Promise<Fields> {
  checkHeaders(request.headers, limits.bytes);
  const text = await readText(request, limits);
  checkDepth(text);
  let body: unknown;
  try {
    body = JSON.parse(text);
  } catch {
    throw badRequest(null, 'Cannot read the body: Expected JSON such as {"prompt": "Once"}', "invalid_json");
  }
  if (typeof body !== "object" || body === null || Array.isArray(body)) {
    throw badRequest(null, `Cannot read the body: Expected a JSON object, got ${describeValue(body)}`);
  }
  return Object.fromEntries(Object.entries(body).filter(([, value]) => value !== null));
}

// What clients say of a JSON body that they were told nothing about: `curl -d` a form, fetch() text, others nothing.
const unnamed = /^(application\/x-www-form-urlencoded|text\/plain)\s*(;|$)/i;

/**
 * Checks that a body is what can be read. JSON that is not called so is taken as well, except from a page: browsers let any page
 * send such a request to any server, without asking the server first.
 * @throws HttpError 413, 415
 */
export function checkHeaders(headers: Headers, maxBytes: number): void {
  const type = headers.get("content-type");
  const encoding = headers.get("content-encoding") ?? "identity";
  const isFromPage = headers.has("origin") || headers.has("sec-fetch-site");
  const isNamed = /^application\/json\s*(;|$)/i.test(type ?? "");
  const isTaken = isNamed || (!isFromPage && (!type || unnamed.test(type)));
  if (!isTaken || encoding !== "identity") {
    throw new HttpError(
      415,
      `Cannot read the body: Expected content-type application/json without content-encoding, got ${quoted(type ?? "none")}, ${quoted(encoding)}`,
      { code: "unsupported_media_type" },
    );
  }
  if (Number(headers.get("content-length") ?? 0) > maxBytes) throw tooLarge(maxBytes);
}

function tooLarge(maxBytes: number): HttpError {
  return new HttpError(413, `Cannot read the body: Expected at most ${maxBytes} bytes, got more`, {
    code: "body_too_large",
  });
}

/**
 * The text of a body.
 * @throws HttpError 413 beyond the bytes, 408 if it does not come in time, 400 if it is no UTF-8 or breaks off
 */
export async function readText(request: Request, { bytes: maxBytes, ms }: BodyLimits): Promise<string> {
  if (!request.body) return "";
  const reader: ReadableStreamDefaultReader<Uint8Array> = request.body.getReader();
  const decoder = new TextDecoder("utf-8", { fatal: true });
  let timer: ReturnType<typeof setTimeout> | undefined;
  const late = new Promise<undefined>((resolve) => {
    timer = setTimeout(resolve, ms, undefined);
  });
  let text = "";
  let bytes = 0;
  try {
    for (;;) {
      const read = await Promise.race([reader.read(), late]);
      if (read === undefined) {
        throw new HttpError(408, `Cannot read the body: Expected it within ${ms} ms`, { code: "timeout" });
      }
      if (read.done) return text + decoder.decode();
      bytes += read.value.length;
      if (bytes > maxBytes) throw tooLarge(maxBytes);
      text += decoder.decode(read.value, { stream: true });
    }
  } catch (error) {
    reader.cancel().catch(() => {});
    if (error instanceof HttpError) throw error;
    throw badRequest(null, "Cannot read the body: Expected UTF-8 that does not break off", "invalid_body");
  } finally {
    clearTimeout(timer);
  }
}

// Parsers of JSON may call themselves for each level.
function checkDepth(text: string): void {
  let depth = 0;
  let isInText = false;
  for (let i = 0; i < text.length; i++) {
    const code = text.charCodeAt(i);
    if (isInText) {
      if (code === BACKSLASH) i++;
      else if (code === QUOTE) isInText = false;
    } else if (code === QUOTE) isInText = true;
    else if (code === BRACKET || code === BRACE) {
      if (++depth > MAX_DEPTH) {
        throw badRequest(
          null,
          `Cannot read the body: Expected JSON of at most ${MAX_DEPTH} levels, got more`,
          "invalid_json",
        );
      }
    } else if (code === BRACKET + 2 || code === BRACE + 2) depth--;
  }
}

const QUOTE = 0x22;
const BACKSLASH = 0x5c;
const BRACKET = 0x5b;
const BRACE = 0x7b;
