import { quoted } from "../util/bytes.ts";

/** Which version of a file a server sends: the same text, the same bytes. */
export type Version = string;

/** What the answer to a request for `bytes=first-` says about the file. */
export interface Answer {
  /** Offset of the body's first byte. */
  readonly first: number;
  /** Offset behind the body's last byte; undefined where only its end will tell. */
  readonly end: number | undefined;
  /** Bytes of the whole file; undefined where the server does not say. */
  readonly size: number | undefined;
  readonly version: Version | undefined;
}

/** Statuses after which the same request may succeed. */
const transientStatuses: readonly number[] = [408, 425, 429, 502, 503, 504];

/** Whether the same request may succeed a little later. */
export function isTransient(status: number): boolean {
  return transientStatuses.includes(status);
}

/**
 * What a successful answer says; a text that says why where it contradicts itself or cannot be used.
 * Source: RFC 9110, sections 8.6, 8.8, 14.4 and 15.3.7.
 */
export function readAnswer(response: Response): Answer | string {
  const { status, headers } = response;
  const type = headers.get("content-type") ?? "";
  if (/^\s*(text\/html|application\/xhtml\+xml)/i.test(type)) {
    return `Expected a model file, got a web page (${type}); use the address of the file itself`;
  }
  const version = headers.get("etag") ?? headers.get("last-modified") ?? undefined;
  const length = contentLength(headers);
  if (status === 200) return { first: 0, end: length, size: length, version };
  const range = headers.get("content-range");
  const [first, last, size] = parseContentRange(range ?? "");
  if (first === undefined || last === undefined || size === undefined) {
    return `Expected Content-Range: bytes FIRST-LAST/SIZE with status 206, got ${range === null ? "none" : quoted(range)}`;
  }
  if (first > last || last >= size)
    return `Expected a Content-Range within the file, got ${quoted(range ?? "")}`;
  if (length !== undefined && length !== last - first + 1) {
    return `Expected Content-Length ${last - first + 1} with Content-Range ${range}, got ${length}`;
  }
  return { first, end: last + 1, size, version };
}

/** Whether a 416 to a request from byte 0 says that the file is empty. */
export function saysEmpty(response: Response): boolean {
  return /^bytes \*\/0$/i.test(response.headers.get("content-range") ?? "");
}

/**
 * Milliseconds that a Retry-After header asks to wait, in seconds or as a date; undefined where there is none.
 * Source: RFC 9110, section 10.2.3.
 */
export function retryAfterMs(headers: Headers, now: number): number | undefined {
  const text = headers.get("retry-after")?.trim() ?? "";
  if (/^[0-9]{1,9}$/.test(text)) return Number(text) * 1000;
  const date = Date.parse(text);
  return Number.isNaN(date) ? undefined : Math.max(0, date - now);
}

/** What is wrong with a status that is no success, and what may be done. */
export function statusProblem(status: number, statusText: string, url?: URL): string {
  const problem = `Expected status 200, got ${status} ${statusText}`.trimEnd();
  const hint = statusHint(status, url);
  return hint ? `${problem}; ${hint}` : problem;
}

function statusHint(status: number, url: URL | undefined): string | undefined {
  const isHub = url?.hostname === "huggingface.co";
  if (status === 401 || status === 403) {
    if (url === undefined || !isHub)
      return 'if it needs a token, pass it: http: { headers: { authorization: "Bearer ..." } }';
    const repository = url.pathname.split("/").slice(1, 3).join("/");
    return (
      `there is no repository ${repository}, or it is private or gated: accept its terms at ` +
      `https://huggingface.co/${repository} and pass a token, ` +
      'http: { headers: { authorization: "Bearer hf_..." } } (command line: HF_TOKEN)'
    );
  }
  if (status === 404 && isHub) return "the repository has no such file or revision";
  return undefined;
}

function parseContentRange(text: string): [first?: number, last?: number, size?: number] {
  const match = /^\s*bytes\s+([0-9]{1,15})-([0-9]{1,15})\/([0-9]{1,15})\s*$/i.exec(text);
  return match ? [Number(match[1]), Number(match[2]), Number(match[3])] : [];
}

/** Bytes of the body, where it is not compressed. */
function contentLength(headers: Headers): number | undefined {
  const encoding = headers.get("content-encoding") ?? "identity";
  const length = headers.get("content-length") ?? "";
  if (encoding !== "identity" || !/^[0-9]{1,15}$/.test(length)) return undefined;
  return Number(length);
}
