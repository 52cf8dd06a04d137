// One version of a file on a server, and the connection over which it comes.
import { CriaError, SourceError } from "../../util/errors.ts";
import type { ByteSource } from "../byte_source.ts";
import { type ByteFeed, feedSource } from "../feed.ts";
import { type Answer, versionName } from "./http_answer.ts";
import { AnswerBody } from "./http_body.ts";
import { checkAnswer } from "./http_check.ts";
import { ChangedError, Interruption, isUntold, reasonOf, UnreachableError } from "./http_errors.ts";
import type { UrlOptions } from "./http_options.ts";
import { FileRequest } from "./http_request.ts";
import { Attempts, MAX_WAIT_MS } from "./http_retry.ts";
import { Patience } from "./patience.ts";

/** Fewer bytes than this on one connection are no progress. */
const PROGRESS_BYTES = 64 << 10;
/** If more bytes than this come again, the server has begun anew. */
const MAX_AGAIN_BYTES = 1 << 20;

/**
 * One version of a file on a server. Each later answer is compared with the first: bytes of two versions are never
 * mixed. (The comparison stands in for If-Range, for which pages would need the server's permission.)
 */
export class HttpFile {
  readonly name: string;
  readonly #request: FileRequest;
  readonly #options: UrlOptions;
  readonly #patience: Patience;
  readonly #attempts: Attempts;
  #first: Answer | undefined;
  #connection: AbortController | undefined;
  #body: AnswerBody | undefined;
  /** Whether the server has answered with the range that was asked for. */
  #seekable = false;
  /** Whether bytes have come from the middle of the file without what is before them. */
  #seeks = false;
  /** Offset of the next byte that is wanted. */
  #position = 0;
  /** What was wanted when the current connection began. */
  #begin = 0;
  /** Most bytes from the beginning that have come. */
  #received = 0;
  /** Whether the next connection is for an offset that was asked for, not for one that was lost. */
  #moved = false;

  private constructor(request: FileRequest, options: UrlOptions) {
    this.name = request.name;
    this.#request = request;
    this.#options = options;
    this.#attempts = new Attempts(options.http);
    const signals = [options.signal, request.signal].filter((signal) => signal !== undefined);
    this.#patience = new Patience(signals, options.http?.idleMs ?? 60_000, () => this.#disconnect());
  }

  /**
   * Asks for a file.
   * @throws SourceError if its status is not 200 or 206, it is a web page, or its headers contradict each other;
   *   UnreachableError if there was no usable answer; the signal's reason
   */
  static async open(request: string | URL | Request, options: UrlOptions = {}): Promise<HttpFile> {
    const file = new HttpFile(new FileRequest(request, options.http?.headers), options);
    try {
      file.#patience.checkSignals();
      await file.#persist(() => file.#connect());
      return file;
    } catch (error) {
      await file.cancel();
      throw error;
    }
  }

  /** Bytes of the file; undefined if the server does not say. */
  get size(): number | undefined {
    return this.#first?.size;
  }

  /** What the version of the file is called; undefined if the server does not name it. */
  get version(): string | undefined {
    return this.#first && versionName(this.#first.version);
  }

  /** Whether what has come of a file, now or in an earlier attempt, need not come again. */
  get resumable(): boolean {
    return this.#request.ranged && this.size !== undefined && this.#recognised;
  }

  /** The file as a source. Closing that ends the connection. */
  source(): ByteSource {
    const { size, name } = this;
    const { sha256, newHash, signal } = this.#options;
    const feed: ByteFeed = {
      next: () => this.next(),
      cancel: () => this.cancel(),
      ...(this.#seekable && { seek: (offset: number) => this.goTo(offset) }),
    };
    return feedSource(feed, name, { size, signal, sha256, newHash });
  }

  /** Says where the next bytes come from. Only before the first byte was read, or if the file is resumable. */
  goTo(offset: number): void {
    if (offset === this.#position) return;
    // Without ranges, what lies between comes anyway.
    const comes = !this.#request.asksRange && this.#body !== undefined && offset >= this.#body.at;
    if (!comes) this.#disconnect();
    this.#moved = !comes;
    this.#position = offset;
  }

  /** The next bytes; undefined at the end. */
  async next(): Promise<Uint8Array | undefined> {
    if (this.#position === this.size) {
      this.#disconnect();
      return undefined;
    }
    const bytes = await this.#persist(() => this.#nextOnce());
    if (bytes) {
      this.#position += bytes.length;
      this.#received = Math.max(this.#received, this.#position);
      this.#options.onBytes?.(this.#received, this.size);
    }
    return bytes;
  }

  /** Ends the connection, and a `next` that waits. Safe to call twice. */
  async cancel(): Promise<void> {
    this.#patience.end(new SourceError(`Cannot read ${this.name}: It was closed`));
  }

  /** Whether it can be told that a later answer is of the same file. */
  get #recognised(): boolean {
    return this.version !== undefined || this.#options.sha256 !== undefined;
  }

  #disconnect(): void {
    this.#body?.cancel();
    this.#body = undefined;
    this.#connection?.abort();
    this.#connection = undefined;
  }

  /** Calls `attempt` until it succeeds, with growing pauses. */
  async #persist<T>(attempt: () => Promise<T>): Promise<T> {
    for (;;) {
      try {
        if (this.#patience.ending) throw this.#patience.ending.reason;
        return await attempt();
      } catch (error) {
        this.#disconnect();
        await this.#recover(this.#patience.ending ? this.#patience.ending.reason : error);
      }
    }
  }

  /** Returns after a pause if another attempt may help. */
  async #recover(error: unknown): Promise<void> {
    if (this.#patience.ending || error instanceof CriaError) throw error;
    if (!(error instanceof Interruption)) throw this.#failure(reasonOf(error), error);
    if (this.#position > 0 && !this.#recognised) throw this.#failure(this.#lossReason(error), error.cause);
    if (this.#position - this.#begin >= PROGRESS_BYTES) {
      this.#attempts.failures = 0;
      this.#request.askRanges();
    }
    this.#begin = this.#position;
    this.#attempts.failures++;
    // A browser may fail a request for a range without a reason, and not one for the whole.
    if (!this.#first && this.#request.asksRange && isUntold(error)) return this.#askWhole();
    this.#useUpAttempt(error);
    const wait = this.#attempts.pauseMs(error.waitMs);
    if ((error.waitMs ?? 0) > MAX_WAIT_MS) {
      throw this.#failure(
        `${error.message}; it asks to come back in ${Math.ceil(wait / 1000)} s`,
        error.cause,
      );
    }
    await this.#patience.sleep(Math.min(wait, MAX_WAIT_MS));
  }

  /** Decides how the next attempt asks. @throws SourceError if there have been enough of them */
  #useUpAttempt(error: Interruption): void {
    const { failures } = this.#attempts;
    const most = this.#attempts.most(this.#first !== undefined);
    const asksWhole = failures >= most && this.#shouldAskWhole(error, failures > most);
    if (asksWhole) this.#askWhole();
    if (failures <= most || asksWhole) return;
    const tries =
      this.#first && most > 0 ? `${this.#lossReason(error)}; ${most} new attempts failed` : error.message;
    throw this.#failure(tries, error.cause);
  }

  /**
   * Whether the last attempt is to ask for the whole, because ranges may be what fails. If a request for a range failed
   * with an answer, or no request was ever answered, the whole is asked for even after the last attempt (`isOver`).
   */
  #shouldAskWhole({ answered }: Interruption, isOver: boolean): boolean {
    if (!this.#request.asksRange) return false;
    return answered || !this.#first || (!this.#seeks && !isOver && this.#attempts.failures >= 2);
  }

  #askWhole(): void {
    this.#disconnect();
    this.#request.askWhole(this.#first !== undefined);
  }

  #failure(reason: string, cause: unknown): SourceError {
    const message = `Cannot read ${this.name}: ${reason}`;
    return this.#first ? new SourceError(message, { cause }) : new UnreachableError(message, { cause });
  }

  #lossReason({ message }: Interruption): string {
    if (this.#position === 0) return message;
    const lost = `${this.#lossAfter()} (${message})`;
    if (this.#recognised) return lost;
    const missing = this.#request.ranged
      ? "names no version of the file (ETag, Last-Modified)"
      : "gives no ranges";
    return `${lost} and cannot be resumed there: the server ${missing}`;
  }

  #lossAfter(): string {
    return `the connection was lost after ${this.#position} of ${this.size ?? "unknown"} bytes`;
  }

  async #nextOnce(): Promise<Uint8Array | undefined> {
    if (!this.#body) await this.#connect();
    for (;;) {
      const { size } = this;
      const body = this.#body as AnswerBody | undefined;
      if (body === undefined) throw new Interruption("the connection ended");
      if (body.at === body.end && body.at !== size) {
        // The server gave less than was asked for, as it may.
        if (this.#position - this.#begin < PROGRESS_BYTES) throw new Interruption("the range ended");
        this.#disconnect();
        return new Uint8Array(0);
      }
      const { done, value } = await this.#patience.wait(body.read());
      if (done || value === undefined) {
        if (size === undefined && body.at === this.#position) return undefined;
        throw new Interruption("it ended early");
      }
      const bytes = value.subarray(0, (body.end ?? size ?? Number.POSITIVE_INFINITY) - body.at);
      body.at += bytes.length;
      this.#seeks ||= body.begin > 0 && bytes.length > 0;
      const fresh = body.at - this.#position;
      if (fresh > 0) return bytes.subarray(bytes.length - fresh);
    }
  }

  /** Asks for the file from `#position` on, and checks that the answer has that. */
  async #connect(): Promise<void> {
    this.#connection = new AbortController();
    const { signal } = this.#connection;
    const response = await this.#patience.wait(this.#request.send(this.#position, signal));
    let answer: Answer;
    try {
      answer = this.#check(response);
    } catch (error) {
      const isFinal = error instanceof Interruption || error instanceof ChangedError;
      if (!this.#request.asksRange || isFinal || (this.#position > 0 && !this.#recognised)) throw error;
      this.#request.refuseRanges();
      this.#askWhole();
      return this.#connect();
    }
    if (!this.#first) this.#begins(answer, response);
    this.#countRepeat(answer);
    this.#moved = false;
    this.#begin = this.#position;
    if (this.size === 0) this.#disconnect();
    else this.#body = new AnswerBody(response.body, answer.first, answer.end);
  }

  /** Learns from the first answer what the server can do. */
  #begins(answer: Answer, { status, headers }: Response): void {
    this.#first = answer;
    this.#seekable = status === 206 && this.#request.asksRange && this.resumable;
    // Some servers send a whole file as such, also if they give ranges of it.
    const offers = headers.get("accept-ranges")?.trim().toLowerCase() === "bytes" && !answer.encoded;
    this.#request.learn(status === 206 || offers);
    this.#options.onHeaders?.(headers);
  }

  #check(response: Response): Answer {
    return checkAnswer(response, {
      name: this.name,
      url: this.#request.url,
      position: this.#position,
      asksRange: this.#request.asksRange,
      known: this.#first,
      hasDigest: this.#options.sha256 !== undefined,
      hidesHeaders: this.#options.hidesHeaders,
      isHub: this.#options.isHub === true,
    });
  }

  /** @throws SourceError if a server has begun anew too often after a loss */
  #countRepeat({ first }: Answer): void {
    const again = this.#position - first;
    // A server may begin at a block of its own.
    if (this.#moved || again <= 0 || (first !== 0 && again <= MAX_AGAIN_BYTES)) return;
    if (this.#attempts.allowsRepeat()) return;
    throw this.#failure(
      `${this.#lossAfter()}; the server begins anew each time, and did so ${this.#attempts.repeats} times`,
      undefined,
    );
  }
}
