// The requests for one file: to which address, with which headers, for a range or for the whole.
import { SourceError, UsageError } from "../../util/errors.ts";

/** Longest beginning of a URL that serves as a name; a data: URL is as long as its file. */
const NAME_CHARS = 200;

/** How error messages call a URL or request: without a password, and not endless. */
export function urlName(address: string): string {
  const shown = address.replace(/^([a-z][a-z0-9+.-]*:\/\/)[^/?#@]*@/i, "$1");
  return shown.length > NAME_CHARS ? `${shown.slice(0, NAME_CHARS)}...` : shown;
}

/** What is asked for, and what the answers have shown of the server. */
export class FileRequest {
  readonly name: string;
  readonly url: URL;
  readonly #request: Request | undefined;
  readonly #headers: Headers;
  /** Whether the server gives ranges, as far as is known. */
  #ranged: boolean;
  /** Whether the whole is asked for all the same, until bytes come again. */
  #whole = false;
  /** Whether an answer to a request for a range was of no use. */
  #refused = false;

  /** @throws UsageError for another method than GET and for headers that are none; SourceError for an invalid URL */
  constructor(request: string | URL | Request, headers: Record<string, string> | undefined) {
    this.#request = request instanceof Request ? request : undefined;
    const address = request instanceof Request ? request.url : String(request);
    this.name = urlName(address);
    if (request instanceof Request && request.method !== "GET") {
      throw new UsageError(
        `Cannot read ${this.name}: Expected a GET request, got ${request.method}; for an upload pass its body`,
      );
    }
    this.url = parseUrl(address, this.name);
    this.#headers = requestHeaders(this.#request, headers, this.name);
    moveCredentials(this.url, this.#headers);
    this.#ranged = /^https?:$/.test(this.url.protocol);
    if (this.#ranged) this.#headers.set("accept-encoding", "identity");
  }

  /** The caller's own signal, if it passed a Request. */
  get signal(): AbortSignal | undefined {
    return this.#request?.signal;
  }

  /** Whether the server gives ranges, as far as is known. */
  get ranged(): boolean {
    return this.#ranged;
  }

  /** Whether the next request is for a range. */
  get asksRange(): boolean {
    return this.#ranged && !this.#whole;
  }

  /** Asks for the file from `position` on. */
  send(position: number, signal: AbortSignal): Promise<Response> {
    const headers = new Headers(this.#headers);
    if (this.asksRange) {
      headers.set("range", `bytes=${position}-`);
      headers.set("accept-encoding", "identity");
    }
    const init: RequestInit = { headers, signal };
    return this.#request ? fetch(new Request(this.#request, init)) : fetch(this.url, init);
  }

  /** Asks for the whole file from here on. Before the first answer, compression is left to the runtime. */
  askWhole(hasAnswered: boolean): void {
    this.#whole = true;
    if (this.#refused) this.#ranged = false;
    if (!hasAnswered) this.#headers.delete("accept-encoding");
  }

  /** Asks for ranges again, if the server gives them. */
  askRanges(): void {
    this.#whole = false;
  }

  /** An answer to a request for a range was of no use. */
  refuseRanges(): void {
    this.#refused = true;
  }

  /** Learns from the first answer whether the server gives ranges. */
  learn(givesRanges: boolean): void {
    this.#whole = false;
    this.#ranged &&= !this.#refused && givesRanges;
  }
}

function parseUrl(address: string, name: string): URL {
  try {
    return new URL(address);
  } catch (cause) {
    throw new SourceError(`Cannot read ${name}: Expected a valid URL`, { cause });
  }
}

function requestHeaders(
  request: Request | undefined,
  more: Record<string, string> | undefined,
  name: string,
): Headers {
  const headers = new Headers(request?.headers);
  try {
    for (const [header, value] of Object.entries(more ?? {})) headers.set(header, value);
  } catch {
    // The values may be secrets: they are not repeated, and not by a cause either.
    throw new UsageError(`Cannot read ${name}: Expected headers with valid names and values`);
  }
  return headers;
}

// fetch() refuses addresses that contain a user's name and password.
function moveCredentials(url: URL, headers: Headers): void {
  if (url.username === "" && url.password === "") return;
  const text = `${decodeURIComponent(url.username)}:${decodeURIComponent(url.password)}`;
  const bytes = String.fromCharCode(...new TextEncoder().encode(text));
  if (!headers.has("authorization")) headers.set("authorization", `Basic ${btoa(bytes)}`);
  url.username = "";
  url.password = "";
}
