// Files behind URLs: asked for in ranges if the server gives them, taken up again if a connection is lost.

import { CriaError, SourceError, UsageError } from "../util/errors.ts";
import { randomWords } from "../util/random.ts";
import type { Sha256Stream } from "../util/sha256.ts";
import type { ByteSource } from "./byte_source.ts";
import { type ByteFeed, feedSource, streamFeed } from "./bytes.ts";
import {
  type Answer,
  isTransient,
  readAnswer,
  retryAfterMs,
  sameVersion,
  statusProblem,
  versionName,
} from "./http_answer.ts";

/** How URLs are read. */
export interface HttpOptions {
  /** Sent with every request. */
  headers?: Record<string, string>;
  /** How often a connection that was lost is taken up again without 64 KB of progress. Default 5. */
  retries?: number;
  /** Milliseconds before the first new attempt, doubled for each further one. Default 250. */
  retryMs?: number;
  /** Milliseconds without a byte after which a connection counts as lost. Default 60000. */
  idleMs?: number;
}

/** Options of {@link urlSource} and {@link HttpFile.open}. */
export interface UrlOptions {
  readonly signal?: AbortSignal | undefined;
  readonly http?: HttpOptions | undefined;
  /** SHA-256 that the file must have, in 64 hexadecimal digits. */
  readonly sha256?: string | undefined;
  /** Begins a SHA-256; cria's own if absent. */
  readonly newHash?: (() => Sha256Stream) | undefined;
  /** Whether responses of the runtime may be without headers that the server sent; see `SourceHost.hidesHeaders`. */
  readonly hidesHeaders?: boolean | undefined;
  /** Called as bytes come. */
  readonly onBytes?: ((receivedBytes: number, totalBytes: number | undefined) => void) | undefined;
}

/** Longest beginning of a URL that serves as a name; a data: URL is as long as its file. */
const NAME_CHARS = 200;
/** Fewer bytes than this on one connection are no progress. */
const PROGRESS_BYTES = 64 << 10;
/** More bytes that came already than this are a beginning from anew. */
const MAX_AGAIN_BYTES = 1 << 20;
/** Attempts to reach a server that has not answered yet: an address that is wrong should not take long. */
const FIRST_RETRIES = 2;
/** Longest wait between two attempts, also where the server asks for more. */
const MAX_WAIT_MS = 60_000;

/** The server could not be reached, or was not able to answer: a copy that was kept may stand in. */
export class UnreachableError extends SourceError {
  override readonly name = "SourceError";
}

/** A connection that was lost, or an answer that asks to come again. */
class Interruption extends Error {
  /** Whether there was an answer. */
  readonly answered: boolean;
  readonly waitMs: number | undefined;

  constructor(message: string, options: ErrorOptions & { answered?: boolean; waitMs?: number } = {}) {
    super(message, options);
    this.answered = options.answered ?? false;
    this.waitMs = options.waitMs;
  }
}

/** The server has another file now; asking in another way does not bring the first one back. */
class ChangedError extends SourceError {
  override readonly name = "SourceError";
}

/** How error messages call a URL or request: without a password, and not endless. */
export function urlName(address: string): string {
  const shown = address.replace(/^([a-z][a-z0-9+.-]*:\/\/)[^/?#@]*@/i, "$1");
  return shown.length > NAME_CHARS ? `${shown.slice(0, NAME_CHARS)}...` : shown;
}

/**
 * The file behind a URL or GET request.
 *
 * If the server gives ranges and names a version of the file (ETag or Last-Modified), a connection that is lost is
 * taken up at the byte where it ended, and the source is read anywhere. Ranges are an optimisation: if a request for
 * one fails, in whatever way, the whole file is asked for before that is an error, and what came already is skipped.
 * If the server gives no ranges, the source is read forward only, like a stream. If it names no version, a lost
 * connection is an error unless nothing had come yet.
 * An abort of `signal` ends the request, waits and every read with its reason.
 * @throws SourceError where there is no answer, its status is not 200 or 206, it is a web page, or its headers
 *   contradict each other
 */
export async function urlSource(
  request: string | URL | Request,
  options: UrlOptions = {},
): Promise<ByteSource> {
  return (await HttpFile.open(request, options)).source();
}

/**
 * One version of a file on a server, and the connection over which it comes. What each answer says is compared
 * with the first: bytes of two versions are never mixed. (The comparison stands in for If-Range, for which
 * pages would have to ask the server's leave.)
 */
export class HttpFile {
  readonly name: string;
  private readonly url: URL;
  private readonly request: Request | undefined;
  private readonly options: UrlOptions;
  private readonly headers: Headers;
  /** Whether the server gives ranges, as far as is known. */
  private ranged: boolean;
  /** Whether the whole is asked for all the same, until bytes come again. */
  private whole = false;
  /** Whether compression is left to the runtime, which asks for what it can undo. */
  private plain: boolean;
  /** Whether an answer to a request for a range was of no use. */
  private refused = false;
  /** Whether the server has answered with the range that was asked for. */
  private seekable = false;
  /** Whether bytes have come from the middle of the file without what is before them. */
  private seeks = false;
  private first: Answer | undefined;
  private reader: ReadableStreamDefaultReader<Uint8Array> | undefined;
  /** Offsets of the body that is read now: its first byte, its next one, and its end if that is known. */
  private bodyBegin = 0;
  private at = 0;
  private end: number | undefined;
  /** Offset of the next byte that is wanted. */
  private position = 0;
  private received = 0;
  private failures = 0;
  /** How often bytes that had come already came again, because a connection was lost. */
  private repeats = 0;
  /** Whether the next connection is for an offset that was asked for, not for one that was lost. */
  private moved = false;
  /** What was wanted when the connection that is read now began. */
  private begin = 0;
  private connection: AbortController | undefined;
  /** Ends whatever is waited for. */
  private interrupt: (reason: unknown) => void = () => {};
  private ending: { readonly reason: unknown } | undefined;
  private readonly onAbort: () => void;
  private readonly signals: AbortSignal[];

  private constructor(request: string | URL | Request, options: UrlOptions) {
    this.request = request instanceof Request ? request : undefined;
    const address = request instanceof Request ? request.url : String(request);
    this.name = urlName(address);
    this.options = options;
    this.url = parseUrl(address, this.name);
    this.headers = requestHeaders(this.request, options.http?.headers, this.name);
    moveCredentials(this.url, this.headers);
    this.ranged = /^https?:$/.test(this.url.protocol);
    this.plain = !this.ranged;
    if (!this.plain) this.headers.set("accept-encoding", "identity");
    this.signals = [options.signal, this.request?.signal].filter((signal) => signal !== undefined);
    this.onAbort = () => this.stop(this.signals.find(({ aborted }) => aborted)?.reason);
    for (const signal of this.signals) signal.addEventListener("abort", this.onAbort);
  }

  /** Asks for a file. @throws as {@link urlSource}; UnreachableError where there was no usable answer */
  static async open(request: string | URL | Request, options: UrlOptions = {}): Promise<HttpFile> {
    if (request instanceof Request && request.method !== "GET") {
      throw new UsageError(
        `Cannot read ${urlName(request.url)}: Expected a GET request, got ${request.method}; for an upload pass its body`,
      );
    }
    const file = new HttpFile(request, options);
    try {
      if (file.signals.some(({ aborted }) => aborted)) file.onAbort();
      await file.persist(() => file.connect());
      return file;
    } catch (error) {
      await file.cancel();
      throw error;
    }
  }

  /** Bytes of the file; undefined where the server does not say. */
  get size(): number | undefined {
    return this.first?.size;
  }

  /** What the version of the file is called; undefined if the server does not name it. */
  get version(): string | undefined {
    return this.first && versionName(this.first.version);
  }

  /** The file as a source. Closing that ends the connection. */
  source(): ByteSource {
    const { size, name } = this;
    const { sha256, newHash, signal } = this.options;
    const feed: ByteFeed = {
      next: () => this.next(),
      cancel: () => this.cancel(),
      ...(this.seekable && { seek: (offset: number) => this.goTo(offset) }),
    };
    return feedSource(feed, name, { size, signal, sha256, newHash });
  }

  /** Where the next bytes come from. Only before the first byte was read, or if the file is resumable. */
  goTo(offset: number): void {
    if (offset === this.position) return;
    // Without ranges, what lies between comes anyway.
    const comes = !this.asksRange && this.reader !== undefined && offset >= this.at;
    if (!comes) this.disconnect();
    this.moved = !comes;
    this.position = offset;
  }

  /** Whether what has come of a file, now or in an earlier attempt, need not come again. */
  get resumable(): boolean {
    return this.ranged && this.size !== undefined && this.recognised;
  }

  /** Whether it can be told that a later answer is of the same file. */
  private get recognised(): boolean {
    return this.version !== undefined || this.options.sha256 !== undefined;
  }

  private get asksRange(): boolean {
    return this.ranged && !this.whole;
  }

  /** The next bytes; undefined at the end. */
  async next(): Promise<Uint8Array | undefined> {
    if (this.position === this.size) {
      this.disconnect();
      return undefined;
    }
    const bytes = await this.persist(() => this.nextOnce());
    if (bytes) {
      this.position += bytes.length;
      this.received = Math.max(this.received, this.position);
      this.options.onBytes?.(this.received, this.size);
    }
    return bytes;
  }

  /** Ends the connection, and a `next` that waits. Safe to call twice. */
  async cancel(): Promise<void> {
    this.stop(new SourceError(`Cannot read ${this.name}: It was closed`));
  }

  private stop(reason: unknown): void {
    if (this.ending) return;
    this.ending = { reason };
    for (const signal of this.signals) signal.removeEventListener("abort", this.onAbort);
    this.interrupt(reason);
    this.disconnect();
  }

  private disconnect(): void {
    this.reader?.cancel().catch(() => {});
    this.reader = undefined;
    this.connection?.abort();
    this.connection = undefined;
  }

  /** Calls `attempt` until it succeeds, with growing pauses. */
  private async persist<T>(attempt: () => Promise<T>): Promise<T> {
    for (;;) {
      try {
        if (this.ending) throw this.ending.reason;
        return await attempt();
      } catch (error) {
        this.disconnect();
        await this.recover(this.ending ? this.ending.reason : error);
      }
    }
  }

  /** Returns after a pause if another attempt may help. */
  private async recover(error: unknown): Promise<void> {
    if (this.ending || (error instanceof CriaError && !(error instanceof Interruption))) throw error;
    if (!(error instanceof Interruption)) throw this.failure(reasonOf(error), error);
    const { retries = 5, retryMs = 250 } = this.options.http ?? {};
    if (this.position > 0 && !this.recognised) throw this.failure(this.lossReason(error), error.cause);
    if (this.position - this.begin >= PROGRESS_BYTES) {
      this.failures = 0;
      this.whole = false;
    }
    this.begin = this.position;
    const most = this.first ? retries : Math.min(retries, FIRST_RETRIES);
    this.failures++;
    if (this.isUntold(error)) return this.askWhole();
    const asksWhole = this.failures >= most && this.shouldAskWhole(error, this.failures > most);
    if (asksWhole) this.askWhole();
    if (this.failures > most && !asksWhole) {
      const tries =
        this.first && most > 0 ? `${this.lossReason(error)}; ${most} new attempts failed` : error.message;
      throw this.failure(tries, error.cause);
    }
    const wait = Math.max(error.waitMs ?? 0, retryMs * 2 ** (this.failures - 1) * jitter());
    if ((error.waitMs ?? 0) > MAX_WAIT_MS) {
      throw this.failure(
        `${error.message}; it asks to come back in ${Math.ceil(wait / 1000)} s`,
        error.cause,
      );
    }
    await this.sleep(Math.min(wait, MAX_WAIT_MS));
  }

  /**
   * Whether the last attempt that `retries` allows is to ask for the whole: ranges may be what fails. If they fail with
   * an answer, or if there was none to any request, it is one more attempt if need be (`isOver`).
   */
  private shouldAskWhole({ answered }: Interruption, isOver: boolean): boolean {
    if (!this.asksRange) return false;
    return answered || !this.first || (!this.seeks && !isOver && this.failures >= 2);
  }

  /** Whether a browser has failed a request for a range and may not say why: asked for the whole, it may not fail. */
  private isUntold({ cause }: Interruption): boolean {
    const { message = "" } = (cause ?? {}) as { message?: string };
    return !this.first && this.asksRange && browserRefusals.includes(message);
  }

  private failure(reason: string, cause: unknown): SourceError {
    const message = `Cannot read ${this.name}: ${reason}`;
    return this.first ? new SourceError(message, { cause }) : new UnreachableError(message, { cause });
  }

  private lossReason({ message }: Interruption): string {
    if (this.position === 0) return message;
    const { size, position } = this;
    const lost = `the connection was lost after ${position} of ${size ?? "unknown"} bytes (${message})`;
    if (this.recognised) return lost;
    const missing = this.ranged ? "names no version of the file (ETag, Last-Modified)" : "gives no ranges";
    return `${lost} and cannot be taken up there: the server ${missing}`;
  }

  private async nextOnce(): Promise<Uint8Array | undefined> {
    if (!this.reader) await this.connect();
    for (;;) {
      const { size, position } = this;
      if (this.at === this.end && this.at !== size) {
        // The server gave less than was asked for, as it may.
        if (position - this.begin < PROGRESS_BYTES) throw new Interruption("the range ended");
        this.disconnect();
        return new Uint8Array(0);
      }
      const { done, value } = await this.patiently(this.reader?.read() ?? Promise.reject());
      if (done) {
        if (size === undefined && this.at === position) return undefined;
        throw new Interruption("it ended early");
      }
      const bytes = value.subarray(0, (this.end ?? size ?? Number.POSITIVE_INFINITY) - this.at);
      this.at += bytes.length;
      this.seeks ||= this.bodyBegin > 0 && bytes.length > 0;
      if (this.at > position) return bytes.subarray(bytes.length - (this.at - position));
    }
  }

  /** Asks for the file from `position` on, and checks that the answer has that. */
  private async connect(): Promise<void> {
    const response = await this.ask();
    const { status, headers, body } = response;
    let answer: Answer;
    try {
      answer = this.check(response);
    } catch (error) {
      if (!this.asksRange || error instanceof Interruption || error instanceof ChangedError) throw error;
      if (this.position > 0 && !this.recognised) throw error;
      this.refused = true;
      this.askWhole();
      return this.connect();
    }
    if (!this.first) {
      this.first = answer;
      this.seekable = status === 206 && this.asksRange && this.resumable;
      this.whole = false;
      // Some servers send a whole file as such, also where they give ranges of it.
      const offers = headers.get("accept-ranges")?.trim().toLowerCase() === "bytes" && !answer.encoded;
      this.ranged &&= !this.refused && (status === 206 || offers);
    }
    const again = this.position - answer.first;
    // A server may begin at a block of its own.
    if (!this.moved && again > 0 && (answer.first === 0 || again > MAX_AGAIN_BYTES)) this.countRepeat();
    this.moved = false;
    this.begin = this.position;
    this.bodyBegin = answer.first;
    this.at = answer.first;
    this.end = answer.end;
    if (this.size === 0) this.disconnect();
    else this.reader = body?.getReader();
  }

  /** Asks for the whole file from here on; the first time in the way that suits the runtime best. */
  private askWhole(): void {
    this.disconnect();
    this.whole = true;
    if (this.refused) this.ranged = false;
    if (this.first) return;
    this.plain = true;
    this.headers.delete("accept-encoding");
  }

  // What comes again and again is no progress: somebody pays for it.
  private countRepeat(): void {
    const { retries = 5 } = this.options.http ?? {};
    if (++this.repeats <= Math.max(1, retries)) return;
    const { position, size } = this;
    throw this.failure(
      `the connection was lost after ${position} of ${size ?? "unknown"} bytes; ` +
        `the server begins anew each time, and did so ${this.repeats} times`,
      undefined,
    );
  }

  private async ask(): Promise<Response> {
    const connection = new AbortController();
    this.connection = connection;
    const headers = new Headers(this.headers);
    if (this.asksRange) {
      headers.set("range", `bytes=${this.position}-`);
      headers.set("accept-encoding", "identity");
    }
    const { signal } = connection;
    const init: RequestInit = { headers, signal };
    return await this.patiently(
      this.request ? fetch(new Request(this.request, init)) : fetch(this.url, init),
    );
  }

  private check(response: Response): Answer {
    const { status, headers, body } = response;
    const fail = (reason: string): never => {
      throw new SourceError(`Cannot read ${this.name}: ${reason}`);
    };
    const { first: known, position } = this;
    if (isTransient(status)) {
      const waitMs = retryAfterMs(headers, Date.now());
      const problem = statusProblem(response, this.url);
      throw new Interruption(problem, { answered: true, ...(waitMs !== undefined && { waitMs }) });
    }
    if (known && status === 416)
      return fail(`Expected ${known.size} bytes, the file ends at ${position} or before`);
    if (status !== 200 && status !== 206) fail(statusProblem(response, this.url));
    const { hidesHeaders } = this.options;
    const answer = readAnswer(response, { knownSize: known?.size, hidesHeaders });
    if (typeof answer === "string") return fail(answer);
    if (answer.encoded && this.asksRange) fail("Expected the file as it is, got it compressed");
    if (known) this.compare(answer, known);
    const { first, end = Number.POSITIVE_INFINITY } = answer;
    if (first > position) fail(`Expected bytes from ${position} on, got bytes from ${first} on`);
    if (end <= position && answer.size !== 0)
      fail(`Expected bytes from ${position} on, got bytes before ${end}`);
    if (body === null && answer.size !== 0) fail("The answer has no body");
    return answer;
  }

  /** @throws SourceError if a later answer is not of the same version as the first */
  private compare(answer: Answer, known: Answer): void {
    const changed = `Cannot read ${this.name}: The file changed while it was read: Expected`;
    const same = sameVersion(answer.version, known.version);
    const [expected, got] = [known, answer].map(({ version }) => versionName(version) ?? "none");
    const text = `${changed} version ${expected}, got ${got}; load it again`;
    if (same === false) throw new ChangedError(text);
    const hasDigest = this.options.sha256 !== undefined;
    if (same === undefined && expected !== got && !hasDigest) throw new SourceError(text);
    const sizes = [known.size, answer.size];
    if (!sizes.includes(undefined) && sizes[0] !== sizes[1]) {
      throw new SourceError(`${changed} ${sizes[0]} bytes, got ${sizes[1]}; load it again`);
    }
    if (answer.encoded !== known.encoded) {
      const form = (encoded: boolean) => (encoded ? "compressed" : "as it is");
      throw new SourceError(`${changed} it ${form(known.encoded)}, got it ${form(answer.encoded)}`);
    }
  }

  /** `promise`, unless nothing comes for too long or the feed ends. */
  private async patiently<T>(promise: Promise<T>): Promise<T> {
    const { idleMs = 60_000 } = this.options.http ?? {};
    const stalled = () => this.interrupt(new Interruption(`nothing came for ${idleMs / 1000} s`));
    const timer = setTimeout(stalled, idleMs);
    try {
      return await this.interruptible(promise);
    } catch (error) {
      throw isLoss(error) ? new Interruption(reasonOf(error), { cause: error }) : error;
    } finally {
      clearTimeout(timer);
    }
  }

  private async sleep(ms: number): Promise<void> {
    let timer: ReturnType<typeof setTimeout> | undefined;
    const slept = new Promise<void>((resolve) => {
      timer = setTimeout(resolve, ms);
    });
    await this.interruptible(slept).finally(() => clearTimeout(timer));
  }

  private interruptible<T>(promise: Promise<T>): Promise<T> {
    return new Promise((resolve, reject) => {
      this.interrupt = reject;
      promise.then(resolve, reject);
    });
  }
}

/**
 * The body of an answer that the caller has fetched, read forward only like a stream.
 * @throws SourceError if its status is not 200, it is a web page, it has no body, or the body was read
 */
export async function responseSource(
  response: Response,
  options: Pick<UrlOptions, "signal" | "sha256" | "newHash" | "hidesHeaders"> = {},
): Promise<ByteSource> {
  const name = response.url === "" ? "response" : urlName(response.url);
  const { status, body } = response;
  const url = response.url === "" ? undefined : new URL(response.url);
  const answer = status === 200 ? readAnswer(response, options) : statusProblem(response, url);
  if (typeof answer === "string" || body === null) {
    await body?.cancel().catch(() => {});
    const reason = typeof answer === "string" ? answer : "The answer has no body";
    throw new SourceError(`Cannot read ${name}: ${reason}`);
  }
  if (response.bodyUsed || body.locked) {
    throw new SourceError(
      `Cannot read ${name}: Expected a response whose body was not read, got one that was`,
    );
  }
  return feedSource(streamFeed(body, name), name, { ...options, size: answer.size });
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
  } catch (cause) {
    // The values may be secrets: they are not repeated.
    throw new UsageError(`Cannot read ${name}: Expected headers with valid names and values`, { cause });
  }
  return headers;
}

// Fair against many clients that lost the same server at once; the bits of a model do not depend on it.
function jitter(): number {
  const [random = 0] = randomWords(1);
  return 0.75 + random / 2 ** 33;
}

/** Whether an error of fetch or of a body is a network's, and another attempt may help. */
function isLoss(error: unknown): boolean {
  if (error instanceof Interruption || error instanceof CriaError) return false;
  const { name = "" } = (error ?? {}) as { name?: string };
  return !["NotCapable", "PermissionDenied"].includes(name);
}

// fetch() refuses addresses with a user's name and password in them.
function moveCredentials(url: URL, headers: Headers): void {
  if (url.username === "" && url.password === "") return;
  const text = `${decodeURIComponent(url.username)}:${decodeURIComponent(url.password)}`;
  const bytes = String.fromCharCode(...new TextEncoder().encode(text));
  if (!headers.has("authorization")) headers.set("authorization", `Basic ${btoa(bytes)}`);
  url.username = "";
  url.password = "";
}

/** What browsers say when anything at all was wrong, and by their rules may not say more. */
const browserRefusals = ["Failed to fetch", "Load failed", "NetworkError when attempting to fetch resource."];

function reasonOf(error: unknown): string {
  const { message = String(error), cause } = (error ?? {}) as { message?: string; cause?: unknown };
  if (browserRefusals.includes(message)) {
    return `${message} (no connection, or the server does not let this page read it: CORS)`;
  }
  const { message: deeper = "", code = "" } = (cause ?? {}) as { message?: string; code?: string };
  const detail = deeper || code;
  return detail && detail !== message ? `${message} (${detail})` : message;
}
