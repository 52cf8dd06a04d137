// A source over bytes that come one after the other: read forward, with a short look back.
import { endOfFile } from "../util/bytes.ts";
import { type CriaError, SourceError } from "../util/errors.ts";
import { Sha256, type Sha256Stream } from "../util/sha256.ts";
import type { ByteSource } from "./byte_source.ts";
import { wrongDigest } from "./digest.ts";
import { LookBack } from "./look_back.ts";
import { checkRange } from "./read_errors.ts";

/** Bytes that come one after the other, from a stream or a connection. */
export interface ByteFeed {
  /** The next bytes; undefined at the end. Not called again before it has answered. */
  next(): Promise<Uint8Array | undefined>;
  /** Continues at another offset. Absent if bytes come from front to back only. */
  seek?(offset: number): void;
  /** Ends the feed; a `next` that waits fails or ends. Safe to call twice. */
  cancel(): Promise<void>;
}

/** What is known of a feed's bytes. */
export interface FeedOptions {
  /** Total bytes; undefined if only the end will tell. A feed that ends before it has failed. */
  readonly size?: number | undefined;
  /** Cancels the feed and ends every read with its reason. */
  readonly signal?: AbortSignal | undefined;
  /** SHA-256 that all bytes must have, which `finish` checks; the feed is then read from front to back. */
  readonly sha256?: string | undefined;
  /** Begins a SHA-256; cria's own if absent. */
  readonly newHash?: (() => Sha256Stream) | undefined;
}

/** Further ahead than this, a new request is quicker than reading up to there. */
const SEEK_BYTES = 1 << 20;

/** Most bytes behind the last one read that `finish` reads to hash a file of unknown size. */
const MAX_TAIL_BYTES = 64 << 20;

/**
 * A source over a feed. Offsets must ascend, except that the last {@link LOOK_BACK_BYTES} can be read again; a feed
 * that can seek is read anywhere. `finish` reads the rest and compares the digest, if one is given.
 */
export function feedSource(feed: ByteFeed, name: string, options: FeedOptions = {}): ByteSource {
  return new FeedSource(feed, name, options);
}

class FeedSource implements ByteSource {
  readonly name: string;
  size: number | undefined;
  readonly #feed: ByteFeed;
  readonly #expectedSize: number | undefined;
  readonly #signal: AbortSignal | undefined;
  readonly #sha256: string | undefined;
  readonly #hash: Sha256Stream | undefined;
  readonly #past = new LookBack();
  /** Bytes that arrived and were not read. */
  #pending: Uint8Array = new Uint8Array(0);
  /** Offset of the first byte of `#pending`. */
  #position = 0;
  #closed = false;
  #lastRead: Promise<void> = Promise.resolve();
  // Also ends a read that waits for a stream that stalls.
  readonly #onAbort = () => void this.close();

  constructor(
    feed: ByteFeed,
    name: string,
    { size, signal, sha256, newHash = () => new Sha256() }: FeedOptions,
  ) {
    this.#feed = feed;
    this.name = name;
    this.size = size;
    this.#expectedSize = size;
    this.#signal = signal;
    this.#sha256 = sha256;
    this.#hash = sha256 === undefined ? undefined : newHash();
    signal?.addEventListener("abort", this.#onAbort);
  }

  read(offset: number, target: Uint8Array): Promise<void> {
    return this.#oneAtATime(() => this.#read(offset, target));
  }

  finish(): Promise<void> {
    return this.#oneAtATime(() => this.#finish());
  }

  async close(): Promise<void> {
    if (this.#closed) return;
    this.#closed = true;
    this.#signal?.removeEventListener("abort", this.#onAbort);
    this.#pending = new Uint8Array(0);
    await this.#feed.cancel();
  }

  // A read waits for the one before, even if that fails.
  #oneAtATime(work: () => Promise<void>): Promise<void> {
    const done = this.#lastRead.then(work);
    this.#lastRead = done.catch(() => {});
    return done;
  }

  async #read(offset: number, target: Uint8Array): Promise<void> {
    this.#checkOpen();
    checkRange(this.name, offset, target.length, this.size);
    if (offset < this.#position - this.#past.length || offset > this.#position + SEEK_BYTES)
      this.#jump(offset);
    await this.#moveTo(offset, target.length);
    let filled = this.#past.copy(this.#position - offset, target);
    while (filled < target.length) {
      if (this.#pending.length === 0 && !(await this.#pull())) throw this.#ended(offset, target.length);
      const bytes = this.#consume(target.length - filled);
      target.set(bytes, filled);
      filled += bytes.length;
    }
  }

  async #finish(): Promise<void> {
    if (this.#sha256 === undefined || this.#hash === undefined) return;
    this.#checkOpen();
    await this.#readRest();
    const got = this.#hash.hex();
    if (got !== this.#sha256) throw wrongDigest(this.name, this.#sha256, got);
  }

  async #readRest(): Promise<void> {
    const expected = this.#expectedSize;
    const most = this.#position + MAX_TAIL_BYTES;
    while (this.#position !== expected) {
      if (this.#pending.length === 0 && !(await this.#pull())) {
        if (expected !== undefined) throw this.#ended(this.#position, 1);
        return;
      }
      this.#consume((expected ?? Number.POSITIVE_INFINITY) - this.#position);
      if (expected === undefined && this.#position > most) {
        throw new SourceError(
          `Cannot check the SHA-256 of ${this.name}: Expected its end, got ${most} bytes`,
        );
      }
    }
  }

  /** Continues at a distant offset, if the feed can. */
  #jump(offset: number): void {
    const seek = this.#hash ? undefined : this.#feed.seek;
    if (seek) {
      seek.call(this.#feed, offset);
      this.#pending = new Uint8Array(0);
      this.#past.clear();
      this.#position = offset;
    } else if (offset < this.#position) {
      const why = this.#hash ? "its SHA-256 is computed as it comes" : "a stream is read forward only";
      const least = this.#position - this.#past.length;
      throw new SourceError(
        `Cannot read ${this.name}: Expected an offset of at least ${least}, got ${offset}; ` +
          `${why}: open a file, Blob or bytes to read anywhere`,
      );
    }
  }

  /** Skips bytes before `offset`, from which `n` bytes are wanted. */
  async #moveTo(offset: number, n: number): Promise<void> {
    while (this.#position < offset) {
      if (this.#pending.length === 0 && !(await this.#pull())) throw this.#ended(offset, n);
      this.#consume(offset - this.#position);
    }
  }

  #consume(n: number): Uint8Array {
    const bytes = this.#pending.subarray(0, n);
    this.#pending = this.#pending.subarray(bytes.length);
    this.#position += bytes.length;
    this.#past.push(bytes);
    this.#hash?.update(bytes);
    return bytes;
  }

  /** Waits for the next bytes. False at the end. */
  async #pull(): Promise<boolean> {
    const bytes = await this.#feed.next().catch((error) => {
      this.#signal?.throwIfAborted();
      throw error;
    });
    this.#checkOpen();
    if (bytes) this.#pending = bytes;
    return bytes !== undefined;
  }

  #ended(offset: number, n: number): CriaError {
    if (this.#expectedSize !== undefined) {
      return new SourceError(
        `Cannot read ${this.name}: Expected ${this.#expectedSize} bytes, the connection ended after ${this.#position}`,
      );
    }
    this.size = this.#position;
    return endOfFile(this.name, offset, n, this.#position);
  }

  #checkOpen(): void {
    if (!this.#closed) return;
    this.#signal?.throwIfAborted();
    throw new SourceError(`Cannot read ${this.name}: It was closed`);
  }
}
