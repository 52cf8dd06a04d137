// What the headers of an answer say about a file, and which of them can be believed.
import { quoted } from "../../util/bytes.ts";

/** What tells the versions of a file apart. */
export interface Version {
  readonly etag: string | undefined;
  readonly lastModified: string | undefined;
}

/** What an answer says about the file. */
export interface Answer {
  /** Offset of the body's first byte. */
  readonly first: number;
  /** Offset behind the body's last byte; undefined if only its end will tell. */
  readonly end: number | undefined;
  /** Bytes of the whole file; undefined if the server does not say. */
  readonly size: number | undefined;
  readonly version: Version;
  /** Whether the file is compressed on its way; the runtime undoes it. */
  readonly encoded: boolean;
}

/** What is known before an answer is read. */
export interface AnswerContext {
  /** Bytes of the file, from an earlier answer. */
  readonly knownSize?: number | undefined;
  /** Whether responses may lack headers that the server sent; see `SourceHost.hidesHeaders`. */
  readonly hidesHeaders?: boolean | undefined;
}

/** Statuses after which the same request may succeed; 520 and above are those of proxies. */
const transientStatuses: readonly number[] = [
  408, 425, 429, 500, 502, 503, 504, 520, 521, 522, 523, 524, 525, 526, 527, 529, 530,
];

/** Whether the same request may succeed a little later. */
export function isTransient(status: number): boolean {
  return transientStatuses.includes(status);
}

/** The text that tells a version apart; undefined if the server names none. */
export function versionName({ etag, lastModified }: Version): string | undefined {
  return etag ?? lastModified;
}

/** Whether two answers are of the same version; undefined if they do not say it in the same way, or not at all. */
export function sameVersion(a: Version, b: Version): boolean | undefined {
  if (a.etag !== undefined && b.etag !== undefined) return a.etag === b.etag;
  if (a.lastModified !== undefined && b.lastModified !== undefined) return a.lastModified === b.lastModified;
  return undefined;
}

/**
 * What a successful answer says; a text that says why if it contradicts itself or cannot be used.
 * Source: RFC 9110, sections 8.6, 8.8, 14.4 and 15.3.7.
 */
export function readAnswer(response: Response, context: AnswerContext = {}): Answer | string {
  const { status, headers } = response;
  const type = headers.get("content-type") ?? "";
  if (/^\s*(text\/html|application\/xhtml\+xml)/i.test(type)) {
    return `Expected a model file, got a web page (${type}); use the address of the file itself`;
  }
  const version: Version = {
    etag: headers.get("etag") || undefined,
    lastModified: headers.get("last-modified") || undefined,
  };
  const encoded = isEncoded(headers);
  const length = contentLength(response, context);
  if (status === 200) return { first: 0, end: length, size: length, version, encoded };
  if (encoded) return `Expected a range of the file, got one of its ${headers.get("content-encoding")} form`;
  if (/^\s*multipart\//i.test(type)) return `Expected one range, got several (${type})`;
  const range = headers.get("content-range");
  const [first, last, size] = parseContentRange(range ?? "", context.knownSize);
  if (first === undefined || last === undefined || size === undefined) {
    return `Expected Content-Range: bytes FIRST-LAST/SIZE with status 206, got ${range === null ? "none" : quoted(range)}`;
  }
  if (first > last || last >= size)
    return `Expected a Content-Range within the file, got ${quoted(range ?? "")}`;
  if (length !== undefined && length !== last - first + 1) {
    return `Expected Content-Length ${last - first + 1} with Content-Range ${range}, got ${length}`;
  }
  return { first, end: last + 1, size, version, encoded };
}

/**
 * Milliseconds that a Retry-After header asks to wait, in seconds or as a date; undefined without one.
 * Source: RFC 9110, section 10.2.3.
 */
export function retryAfterMs(headers: Headers, now: number): number | undefined {
  const text = headers.get("retry-after")?.trim() ?? "";
  if (/^[0-9]{1,9}$/.test(text)) return Number(text) * 1000;
  const date = Date.parse(text);
  return Number.isNaN(date) ? undefined : Math.max(0, date - now);
}

/**
 * What is wrong with a status that is no success, and what may be done.
 * @param isHub whether the Hugging Face hub has answered
 */
export function statusProblem(response: Response, url?: URL, isHub = false): string {
  const { status, statusText, type } = response;
  if (String(type).startsWith("opaque")) {
    return `Expected an answer that this page may read, got an ${type} one; ask with mode "cors"`;
  }
  const problem = `Expected status 200, got ${status} ${statusText}`.trimEnd();
  const hint = url && isHub ? hubHint(response, url) : statusHint(status);
  return hint ? `${problem}; ${hint}` : problem;
}

function statusHint(status: number): string | undefined {
  if (status !== 401 && status !== 403) return undefined;
  return 'if it needs a token, pass it: http: { headers: { authorization: "Bearer ..." } }';
}

const setToken = 'set HF_TOKEN, or pass http: { headers: { authorization: "Bearer hf_..." } }';

// Source: the header X-Error-Code of the hub's answers (huggingface_hub, utils/_http.py).
function hubHint({ status, headers }: Response, { origin, pathname }: URL): string | undefined {
  const [, base = "", repository = ""] =
    /^(.*?)(?:\/api\/models)?\/([^/]+\/[^/]+)\/(?:resolve|tree)\//.exec(pathname) ?? [];
  const code = headers.get("x-error-code");
  if (status === 401 || status === 403) {
    const what = `there is no repository ${repository}, or it is private or gated`;
    return (
      `${code === "GatedRepo" ? `${repository} is gated` : what}: ` +
      `accept its terms at ${origin}${base}/${repository} and ${setToken}`
    );
  }
  if (status === 429) return `the hub limits requests; ${setToken}`;
  if (status !== 404) return undefined;
  if (code === "RepoNotFound") return `there is no repository ${repository}`;
  return code === "RevisionNotFound"
    ? "the repository has no such revision"
    : "the repository has no such file or revision";
}

// A size of "*" is one that the server does not know; an earlier answer may have said it.
function parseContentRange(text: string, knownSize?: number): [first?: number, last?: number, size?: number] {
  const match = /^\s*bytes\s+([0-9]{1,15})-([0-9]{1,15})\/([0-9]{1,15}|\*)\s*$/i.exec(text);
  if (!match) return [];
  return [Number(match[1]), Number(match[2]), match[3] === "*" ? knownSize : Number(match[3])];
}

function isEncoded(headers: Headers): boolean {
  const codings = (headers.get("content-encoding") ?? "").toLowerCase().split(",");
  return codings.some((coding) => !["", "identity"].includes(coding.trim()));
}

/** Bytes of the body; undefined if it is compressed, or may be. */
function contentLength(response: Response, { hidesHeaders = false }: AnswerContext): number | undefined {
  const { headers, type } = response;
  const length = headers.get("content-length") ?? "";
  if (isEncoded(headers) || !/^[0-9]{1,15}$/.test(length)) return undefined;
  // The length is that of the compressed bytes. A page may see it without seeing that they are compressed: in an answer
  // of another origin, and in one that a service worker or the page itself has made of such an answer. The latter have
  // no Date, which every server sends and no page of another origin sees.
  const copied = hidesHeaders && !/^(blob|data):/i.test(response.url) && !headers.has("date");
  return (type === "cors" || copied) && !showsEncoding(headers) ? undefined : Number(length);
}

/** Whether an answer of another origin would show its content-encoding, if it had one. */
function showsEncoding(headers: Headers): boolean {
  const exposed = (headers.get("access-control-expose-headers") ?? "").toLowerCase().split(",");
  return (
    headers.has("content-encoding") || exposed.some((name) => ["*", "content-encoding"].includes(name.trim()))
  );
}
