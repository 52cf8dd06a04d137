// Sources over what is not a network: bytes, Blobs and streams.

import { endOfFile } from "../util/bytes.ts";
import { type CriaError, SourceError } from "../util/errors.ts";
import { Sha256, type Sha256Stream } from "../util/sha256.ts";
import type { ByteSource } from "./byte_source.ts";

/**
 * How far back a forward-only source can be read again. Telling formats apart reads the first bytes twice,
 * and a header is fetched in pieces that reach into the tensors behind it.
 */
export const LOOK_BACK_BYTES = 256 << 10;

/**
 * Read at once from a Blob, and how many of these are read ahead of who asks: in a browser each read of a file
 * passes through another process, which takes milliseconds.
 */
const BLOB_WINDOW_BYTES = 8 << 20;
const BLOB_WINDOWS_AHEAD = 2;

/** Bytes in memory. They are not copied: they must not change while the source is in use. */
export function bytesSource(bytes: Uint8Array, name = "bytes"): ByteSource {
  return {
    name,
    size: bytes.length,
    async read(offset, target) {
      checkRange(name, offset, target.length, bytes.length);
      target.set(bytes.subarray(offset, offset + target.length));
    },
    async close() {},
  };
}

/**
 * The bytes of an ArrayBuffer, a SharedArrayBuffer or a view of one, not copied; undefined for anything else. Those
 * of another realm (an iframe, a test runner's context) are none by `instanceof`.
 * @throws SourceError for a buffer that was transferred to somebody else
 */
export function bytesOf(value: unknown): Uint8Array | undefined {
  if (!ArrayBuffer.isView(value) && !isBuffer(value)) return undefined;
  try {
    return ArrayBuffer.isView(value)
      ? new Uint8Array(value.buffer, value.byteOffset, value.byteLength)
      : new Uint8Array(value);
  } catch (cause) {
    throw new SourceError("Cannot read bytes: Expected an ArrayBuffer, got one that was transferred", {
      cause,
    });
  }
}

function isBuffer(value: unknown): value is ArrayBufferLike {
  return [ArrayBuffer, globalThis.SharedArrayBuffer].some((type) => {
    const length = type && Object.getOwnPropertyDescriptor(type.prototype, "byteLength")?.get;
    try {
      return length?.call(value) !== undefined;
    } catch {
      return false;
    }
  });
}

/** A Blob or File; `name` defaults to the file's. */
export function blobSource(blob: Blob, name = fileName(blob)): ByteSource {
  const windows = new BlobWindows(blob, name);
  return {
    name,
    size: blob.size,
    async read(offset, target) {
      checkRange(name, offset, target.length, blob.size);
      for (let done = 0; done < target.length; ) {
        const at = offset + done;
        const begin = at - (at % BLOB_WINDOW_BYTES);
        const window = await windows.at(begin);
        const part = window.subarray(at - begin, at - begin + target.length - done);
        target.set(part, done);
        done += part.length;
      }
    },
    async close() {
      windows.clear();
    },
  };
}

/** Parts of a Blob: the one that was asked for last, and the next ones on their way where reads ascend. */
class BlobWindows {
  readonly #blob: Blob;
  readonly #name: string;
  readonly #open = new Map<number, Promise<Uint8Array>>();

  constructor(blob: Blob, name: string) {
    this.#blob = blob;
    this.#name = name;
  }

  /** The part that begins at `begin`, a multiple of BLOB_WINDOW_BYTES inside the Blob. */
  async at(begin: number): Promise<Uint8Array> {
    const end = Math.min(begin + (1 + BLOB_WINDOWS_AHEAD) * BLOB_WINDOW_BYTES, this.#blob.size);
    const ascends = this.#open.has(begin) || this.#open.has(begin - BLOB_WINDOW_BYTES);
    const window = this.#start(begin);
    for (const other of this.#open.keys()) {
      if (other < begin || other >= end) this.#open.delete(other);
    }
    if (ascends) for (let at = begin; at < end; at += BLOB_WINDOW_BYTES) this.#start(at);
    try {
      return await window;
    } catch (error) {
      this.#open.delete(begin);
      throw error;
    }
  }

  clear(): void {
    this.#open.clear();
  }

  #start(begin: number): Promise<Uint8Array> {
    const open = this.#open.get(begin);
    if (open) return open;
    const window = this.#read(begin, Math.min(begin + BLOB_WINDOW_BYTES, this.#blob.size));
    // Nobody may ever wait for what is read ahead.
    window.catch(() => {});
    this.#open.set(begin, window);
    return window;
  }

  async #read(begin: number, end: number): Promise<Uint8Array> {
    const bytes = await guard(this.#name, () => this.#blob.slice(begin, end).arrayBuffer());
    if (bytes.byteLength !== end - begin) throw endOfFile(this.#name, begin, end - begin, this.#blob.size);
    return new Uint8Array(bytes);
  }
}

/**
 * A stream, read once from front to back: offsets of reads must ascend, except that the last
 * {@link LOOK_BACK_BYTES} can be read again. Bytes between reads are skipped.
 *
 * A size that is not given is undefined until a read has come to the end of the stream. If it is given, a stream that
 * ends before it has failed (SourceError); what comes after it is never read. An abort of `signal` cancels the stream
 * and ends every read with its reason.
 * @throws SourceError where something else reads the stream already
 */
export function streamSource(
  stream: ReadableStream<Uint8Array>,
  name = "stream",
  size?: number,
  signal?: AbortSignal,
): ByteSource {
  return feedSource(streamFeed(stream, name), name, { size, signal });
}

/** Bytes that come one after the other, from a stream or a connection. */
export interface ByteFeed {
  /** The next bytes; undefined at the end. Not called again before it has answered. */
  next(): Promise<Uint8Array | undefined>;
  /** Goes on at another offset. Absent where bytes come from front to back only. */
  seek?(offset: number): void;
  /** Ends the feed; a `next` that waits fails or ends. Safe to call twice. */
  cancel(): Promise<void>;
}

/** What is known of a feed's bytes. */
export interface FeedOptions {
  /** Total bytes; undefined where only the end will tell. A feed that ends before it has failed. */
  readonly size?: number | undefined;
  /** Cancels the feed and ends every read with its reason. */
  readonly signal?: AbortSignal | undefined;
  /** SHA-256 that all bytes must have, which `finish` checks; the feed is then read from front to back. */
  readonly sha256?: string | undefined;
  /** Begins a SHA-256; cria's own if absent. */
  readonly newHash?: (() => Sha256Stream) | undefined;
}

/**
 * A source over a feed. Offsets ascend as with {@link streamSource}; a feed that can seek is read anywhere.
 * `finish` reads what is left and compares the digest, where one is given.
 */
export function feedSource(feed: ByteFeed, name: string, options: FeedOptions = {}): ByteSource {
  return new FeedSource(feed, name, options);
}

/** The chunks of a stream. @throws SourceError if something else reads it already */
export function streamFeed(stream: ReadableStream<Uint8Array>, name: string): ByteFeed {
  if (stream.locked) {
    throw new SourceError(`Cannot read ${name}: Expected a stream that nothing else reads, got a locked one`);
  }
  if (wasRead(stream)) throw alreadyRead(name);
  const reader = stream.getReader();
  return {
    async next() {
      const { done, value } = await guard(name, () => reader.read());
      return done ? undefined : chunkBytes(value, name);
    },
    cancel: () => reader.cancel().catch(() => {}),
  };
}

/** A stream of Node, as far as it is of interest. */
interface NodeStream {
  readonly path?: unknown;
  readonly readableDidRead?: boolean;
  readonly destroyed?: boolean;
  readonly errored?: unknown;
  destroy?(): unknown;
}

/** What a stream of Node or another asynchronous series of bytes is called. */
export function iterableName(iterable: AsyncIterable<unknown>): string {
  const { path } = iterable as NodeStream;
  return typeof path === "string" && path !== "" ? path : "stream";
}

/**
 * The chunks of a stream of Node, or of anything else that gives them asynchronously.
 * @throws SourceError if it is a stream that was read or closed
 */
export function iterableFeed(iterable: AsyncIterable<unknown>, name: string): ByteFeed {
  const { readableDidRead, destroyed, errored } = iterable as NodeStream;
  if (readableDidRead) throw alreadyRead(name);
  if (errored instanceof Error) {
    throw new SourceError(`Cannot read ${name}: ${errored.message}`, { cause: errored });
  }
  if (destroyed) throw alreadyRead(name);
  const iterator = iterable[Symbol.asyncIterator]();
  // Ends a `next` that waits.
  let release = () => {};
  return {
    async next() {
      const result = await guard(
        name,
        () =>
          new Promise<IteratorResult<unknown> | undefined>((resolve, reject) => {
            release = () => resolve(undefined);
            Promise.resolve(iterator.next()).then(resolve, reject);
          }),
      );
      return !result || result.done ? undefined : chunkBytes(result.value, name);
    },
    async cancel() {
      release();
      // Not waited for: a generator ends only when what it waits for itself has come.
      guard(name, async () => {
        (iterable as NodeStream).destroy?.();
        await iterator.return?.();
      }).catch(() => {});
    },
  };
}

function chunkBytes(chunk: unknown, name: string): Uint8Array {
  const bytes = bytesOf(chunk);
  if (bytes) return bytes;
  const hint = typeof chunk === "string" ? "; read it without an encoding" : "";
  throw new SourceError(`Cannot read ${name}: Expected a stream of Uint8Array, got ${typeof chunk}${hint}`);
}

// Only a Response tells, which refuses such a stream.
function wasRead(stream: ReadableStream<Uint8Array>): boolean {
  try {
    new Response(stream);
    return false;
  } catch {
    return true;
  }
}

function alreadyRead(name: string): SourceError {
  return new SourceError(`Cannot read ${name}: Expected a stream that was not read, got one that was`);
}

/** The error of bytes whose SHA-256 is another. */
export function wrongDigest(name: string, expected: string, got: string): SourceError {
  return new SourceError(`Cannot load ${name}: Expected SHA-256 ${expected}, got ${got}`);
}

/** Further ahead than this, a new request is quicker than reading up to there. */
const SEEK_BYTES = 1 << 20;

/** How much of a file of unknown size may follow what was read of it, before its end is not waited for. */
const MAX_TAIL_BYTES = 64 << 20;

class FeedSource implements ByteSource {
  readonly name: string;
  size: number | undefined;
  private readonly feed: ByteFeed;
  private readonly expectedSize: number | undefined;
  private readonly signal: AbortSignal | undefined;
  private readonly sha256: string | undefined;
  private readonly hash: Sha256Stream | undefined;
  private readonly past = new History();
  /** Bytes that arrived and were not read. */
  private pending: Uint8Array = new Uint8Array(0);
  /** Offset of the first byte of `pending`. */
  private position = 0;
  private closed = false;
  private lastRead: Promise<void> = Promise.resolve();
  // Also ends a read that waits for a stream that stalls.
  private readonly onAbort = () => void this.close();

  constructor(
    feed: ByteFeed,
    name: string,
    { size, signal, sha256, newHash = () => new Sha256() }: FeedOptions,
  ) {
    this.feed = feed;
    this.name = name;
    this.size = size;
    this.expectedSize = size;
    this.signal = signal;
    this.sha256 = sha256;
    this.hash = sha256 === undefined ? undefined : newHash();
    signal?.addEventListener("abort", this.onAbort);
  }

  read(offset: number, target: Uint8Array): Promise<void> {
    return this.inTurn(() => this.readNow(offset, target));
  }

  finish(): Promise<void> {
    return this.inTurn(() => this.finishNow());
  }

  async close(): Promise<void> {
    if (this.closed) return;
    this.closed = true;
    this.signal?.removeEventListener("abort", this.onAbort);
    this.pending = new Uint8Array(0);
    await this.feed.cancel();
  }

  // One read at a time: the next waits for the one before, whatever came of it.
  private inTurn(work: () => Promise<void>): Promise<void> {
    const done = this.lastRead.then(work);
    this.lastRead = done.catch(() => {});
    return done;
  }

  private async readNow(offset: number, target: Uint8Array): Promise<void> {
    this.checkOpen();
    checkRange(this.name, offset, target.length, this.size);
    if (offset < this.position - this.past.length || offset > this.position + SEEK_BYTES) this.jump(offset);
    await this.moveTo(offset, target.length);
    let filled = this.past.copy(this.position - offset, target);
    while (filled < target.length) {
      if (this.pending.length === 0 && !(await this.pull())) throw this.ended(offset, target.length);
      const bytes = this.consume(target.length - filled);
      target.set(bytes, filled);
      filled += bytes.length;
    }
  }

  private async finishNow(): Promise<void> {
    if (this.sha256 === undefined || this.hash === undefined) return;
    this.checkOpen();
    const most = this.position + MAX_TAIL_BYTES;
    while (this.position !== this.expectedSize) {
      if (this.pending.length === 0 && !(await this.pull())) {
        if (this.expectedSize !== undefined) throw this.ended(this.position, 1);
        break;
      }
      this.consume((this.expectedSize ?? Number.POSITIVE_INFINITY) - this.position);
      if (this.expectedSize === undefined && this.position > most) {
        throw new SourceError(
          `Cannot check the SHA-256 of ${this.name}: Expected its end, got ${most} bytes`,
        );
      }
    }
    const got = this.hash.hex();
    if (got !== this.sha256) throw wrongDigest(this.name, this.sha256, got);
  }

  /** Goes on at a distant offset, where the feed can. */
  private jump(offset: number): void {
    const { feed, past, position } = this;
    if (feed.seek && !this.hash) {
      feed.seek(offset);
      this.pending = new Uint8Array(0);
      past.length = 0;
      this.position = offset;
    } else if (offset < position) {
      const why = this.hash ? "its SHA-256 is computed as it comes" : "a stream is read forward only";
      throw new SourceError(
        `Cannot read ${this.name}: Expected an offset of at least ${position - past.length}, got ${offset}; ` +
          `${why}: open a file, Blob or bytes to read anywhere`,
      );
    }
  }

  /** Skips bytes before `offset`, where `n` bytes are wanted. */
  private async moveTo(offset: number, n: number): Promise<void> {
    while (this.position < offset) {
      if (this.pending.length === 0 && !(await this.pull())) throw this.ended(offset, n);
      this.consume(offset - this.position);
    }
  }

  private consume(n: number): Uint8Array {
    const bytes = this.pending.subarray(0, n);
    this.pending = this.pending.subarray(bytes.length);
    this.position += bytes.length;
    this.past.push(bytes);
    this.hash?.update(bytes);
    return bytes;
  }

  /** Waits for the next bytes. False at the end. */
  private async pull(): Promise<boolean> {
    const bytes = await this.feed.next().catch((error) => {
      this.signal?.throwIfAborted();
      throw error;
    });
    this.checkOpen();
    if (bytes) this.pending = bytes;
    return bytes !== undefined;
  }

  private ended(offset: number, n: number): CriaError {
    if (this.expectedSize !== undefined) {
      return new SourceError(
        `Cannot read ${this.name}: Expected ${this.expectedSize} bytes, the connection ended after ${this.position}`,
      );
    }
    this.size = this.position;
    return endOfFile(this.name, offset, n, this.position);
  }

  private checkOpen(): void {
    if (!this.closed) return;
    this.signal?.throwIfAborted();
    throw new SourceError(`Cannot read ${this.name}: It was closed`);
  }
}

/** The last bytes of a stream. */
class History {
  /** Bytes that are kept: up to {@link LOOK_BACK_BYTES}, sometimes more. */
  length = 0;
  // Twice the room, so that older bytes are moved out of the way only now and then.
  private readonly room = new Uint8Array(2 * LOOK_BACK_BYTES);

  push(bytes: Uint8Array): void {
    const tail = bytes.subarray(Math.max(0, bytes.length - LOOK_BACK_BYTES));
    if (tail.length < bytes.length) this.length = 0;
    if (this.length + tail.length > this.room.length) {
      this.room.copyWithin(0, this.length - LOOK_BACK_BYTES, this.length);
      this.length = LOOK_BACK_BYTES;
    }
    this.room.set(tail, this.length);
    this.length += tail.length;
  }

  /** Copies bytes that begin `distance` before the end; returns how many there were for `target`. */
  copy(distance: number, target: Uint8Array): number {
    const begin = this.length - distance;
    const bytes = this.room.subarray(begin, Math.min(this.length, begin + target.length));
    target.set(bytes);
    return bytes.length;
  }
}

/** Runs `call`; whatever it throws becomes a SourceError. */
async function guard<T>(name: string, call: () => Promise<T>): Promise<T> {
  try {
    return await call();
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    throw new SourceError(`Cannot read ${name}: ${reason}`, { cause: error });
  }
}

/** @throws SourceError for an offset that is none, FormatError for a range past the end */
export function checkRange(name: string, offset: number, n: number, size: number | undefined): void {
  if (!Number.isSafeInteger(offset) || offset < 0) {
    throw new SourceError(`Cannot read ${name}: Expected an offset from 0, got ${offset}`);
  }
  if (size !== undefined && offset + n > size) throw endOfFile(name, offset, n, size);
}

function fileName(blob: Blob): string {
  return "name" in blob && typeof blob.name === "string" && blob.name !== "" ? blob.name : "blob";
}
