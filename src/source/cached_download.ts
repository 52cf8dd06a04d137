// Downloads that are cached for the next time.

import { SourceError } from "../util/errors.ts";
import { Sha256, type Sha256Stream, sha256Hex } from "../util/sha256.ts";
import type { ByteSource } from "./byte_source.ts";
import { noteText } from "./cache_notes.ts";
import { checkDigest, hashBytes, wrongDigest } from "./digest.ts";
import type { CacheWriter, FileCache } from "./host.ts";
import { UnreachableError } from "./http/http_errors.ts";
import { HttpFile } from "./http/http_file.ts";
import type { UrlOptions } from "./http/http_options.ts";
import { urlName } from "./http/http_request.ts";
import { checkRange } from "./read_errors.ts";
import { ofStorage, withoutStorage } from "./storage_failure.ts";

const FILE_NAME_CHARS = 80;

/** What the names of all versions of a URL's file begin with. */
export function cachePrefix(url: string): string {
  return `${sha256Hex(url.replace(/#.*$/s, "")).slice(0, 16)}-`;
}

/** The cache's name for one version. Each version has its own file, so an unfinished one needs no description. */
export function cacheName(url: string, version: string, size: number): string {
  const file = new URL(url).pathname.split("/").at(-1) ?? "";
  const plain = file.replace(/%[0-9a-f]{2}|[^\w.-]/gi, "_").replace(/\.part$/, "_part");
  return `${cachePrefix(url)}${sha256Hex(`${size} ${version}`).slice(0, 16)}-${plain.slice(-FILE_NAME_CHARS)}`;
}

/** How a file is cached. */
export interface CachedOptions {
  /** Whether the caller has named the cache. Default true. */
  readonly named?: boolean;
  /** What lists of the cache call the file. */
  readonly label?: string;
}

/**
 * A URL's file: out of the cache if the server says that it is still the same, else its download, which is cached as it
 * comes. If the server cannot be reached, the file that was cached last is used. With a SHA-256, a cached file that has
 * it is used without asking the server.
 *
 * A file is not cached if its size is not known, or if its server names no version and no SHA-256 is given: nothing would
 * tell when it has changed. If the caller has not `named` the cache and it cannot be written, the file is fetched without
 * it, even in the middle of a download.
 * @throws as urlSource; SourceError if bytes cannot be stored (a full disk)
 */
export async function openCached(
  request: string | URL | Request,
  cache: FileCache,
  { named = true, ...options }: UrlOptions & CachedOptions,
): Promise<ByteSource> {
  const plain: OpenPlain | undefined = named
    ? undefined
    : (size, version) => openPlain(request, options, size, version);
  const url = request instanceof Request ? request.url : String(request);
  const { sha256, signal } = options;
  if (sha256 !== undefined) {
    const cached = await findCached(cache, url, options);
    if (cached) return withoutStorage(cached, plain && (() => plain(cached.size, undefined)));
  }
  let file: HttpFile;
  try {
    file = await HttpFile.open(request, options);
  } catch (error) {
    signal?.throwIfAborted();
    const cached = error instanceof UnreachableError ? await findCached(cache, url, options) : undefined;
    if (cached) return withoutStorage(cached, undefined);
    throw error;
  }
  try {
    return await cachedOrDownloaded(file, cache, url, options, plain);
  } catch (error) {
    await file.cancel();
    throw error;
  }
}

/** Opens the file of this size and version, if they are known, without the cache. */
type OpenPlain = (size: number | undefined, version: string | undefined) => Promise<ByteSource>;

// Without a SHA-256, the file must be of the version that the cached download began with.
async function openPlain(
  request: string | URL | Request,
  options: UrlOptions,
  size: number | undefined,
  version: string | undefined,
): Promise<ByteSource> {
  const file = await HttpFile.open(request, options);
  const differs = (now: unknown, before: unknown) =>
    now !== undefined && before !== undefined && now !== before;
  if (!differs(file.size, size) && !differs(file.version, version)) return file.source();
  await file.cancel();
  const text = (size: number | undefined, version: string | undefined) =>
    `${size ?? "unknown"} bytes of version ${version ?? "unknown"}`;
  throw new SourceError(
    `Cannot read ${file.name}: The file changed while it was read: Expected ${text(size, version)}, ` +
      `got ${text(file.size, file.version)}; load it again`,
  );
}

async function cachedOrDownloaded(
  file: HttpFile,
  cache: FileCache,
  url: string,
  options: UrlOptions & CachedOptions,
  plain: OpenPlain | undefined,
): Promise<ByteSource> {
  const { sha256, signal, newHash = ownHash, label = urlName(url) } = options;
  const { size, version = sha256 } = file;
  if (size === undefined || version === undefined) return file.source();
  const name = cacheName(url, version, size);
  const again = plain && (() => plain(size, file.version));
  // With a SHA-256, findCached() has already searched the cache.
  const cached = sha256 === undefined ? await openIfThere(cache, name, size) : undefined;
  if (cached) {
    await file.cancel();
    return withoutStorage(renamed(cached, file.name), again);
  }
  const writer = await cache.write(name, size, file.resumable).catch((error) => {
    if (!plain) throw error;
  });
  if (!writer) return file.source();
  const prefix = cachePrefix(url);
  const note = () => cache.note(name, noteText({ name: label, version, size }));
  const download = new CachedDownload({ file, size, writer, note, prefix, sha256, newHash, signal });
  return withoutStorage(download, again);
}

/** The newest cached version, whole; with a SHA-256 the one that has it. Undefined if there is none. */
export async function findCached(
  cache: FileCache,
  url: string,
  { sha256, signal, newHash = ownHash }: UrlOptions,
): Promise<ByteSource | undefined> {
  for (const name of await cache.find(cachePrefix(url)).catch(() => [])) {
    const cached = await openIfThere(cache, name);
    if (cached?.size === undefined) continue;
    if (sha256 === undefined) return renamed(cached, urlName(url));
    try {
      await checkDigest(cached, cached.size, sha256, newHash(), signal);
      return renamed(cached, urlName(url));
    } catch {
      await cached.close();
      signal?.throwIfAborted();
    }
  }
  return undefined;
}

/** A cached file; undefined if it is not there or cannot be read: it is downloaded again then. */
function openIfThere(cache: FileCache, name: string, size?: number): Promise<ByteSource | undefined> {
  return cache.open(name, size).catch(() => undefined);
}

/** A cached file under the name of its URL. */
function renamed(source: ByteSource, name: string): ByteSource {
  return {
    name,
    size: source.size,
    read: (offset, target) => ofStorage(source.read(offset, target)),
    close: () => source.close(),
  };
}

interface DownloadParts {
  readonly file: HttpFile;
  readonly size: number;
  readonly writer: CacheWriter;
  /** Says beside the cached file where it came from. */
  readonly note: () => Promise<void>;
  readonly prefix: string;
  readonly sha256: string | undefined;
  readonly newHash: () => Sha256Stream;
  readonly signal: AbortSignal | undefined;
}

const ownHash = () => new Sha256();

/**
 * A file that is cached as it comes. Reads wait for their bytes and read them from the cache, in any order. The file is
 * downloaded as far as it is read; `finish` downloads the rest, compares the SHA-256 and makes the cached file a whole
 * one. If it is closed earlier, the next attempt resumes it.
 */
class CachedDownload implements ByteSource {
  readonly name: string;
  readonly size: number;
  readonly #parts: DownloadParts;
  #hash: Sha256Stream | undefined;
  #begun = false;
  #closed = false;
  #isPublished = false;
  #lastRead: Promise<void> = Promise.resolve();

  constructor(parts: DownloadParts) {
    this.#parts = parts;
    this.name = parts.file.name;
    this.size = parts.size;
  }

  read(offset: number, target: Uint8Array): Promise<void> {
    return this.#oneAtATime(async () => {
      checkRange(this.name, offset, target.length, this.size);
      await this.#advance(offset + target.length);
      await ofStorage(this.#parts.writer.read(offset, target));
    });
  }

  finish(): Promise<void> {
    return this.#oneAtATime(async () => {
      const { writer, note, sha256, prefix } = this.#parts;
      await this.#advance(this.size);
      const got = this.#hash?.hex();
      if (sha256 !== undefined && got !== undefined && got !== sha256) {
        await writer.discard();
        throw wrongDigest(this.name, sha256, got);
      }
      await writer.publish(prefix);
      this.#isPublished = true;
      await note();
    });
  }

  async close(): Promise<void> {
    if (this.#closed) return;
    this.#closed = true;
    const { file, writer, note } = this.#parts;
    await file.cancel();
    await this.#lastRead;
    await writer.close();
    if (!this.#isPublished) await note();
  }

  #oneAtATime(work: () => Promise<void>): Promise<void> {
    const done = this.#lastRead.then(() => {
      this.#checkOpen();
      return work();
    });
    this.#lastRead = done.catch(() => {});
    return done;
  }

  /** Waits until the bytes before `end` are in the cache. */
  async #advance(end: number): Promise<void> {
    const { file, writer } = this.#parts;
    if (!this.#begun) await this.#begin();
    while (writer.length < end) {
      const bytes = await file.next();
      this.#checkOpen();
      if (!bytes) throw new SourceError(`Cannot read ${this.name}: Expected ${this.size} bytes, got fewer`);
      await ofStorage(writer.append(bytes));
      this.#hash?.update(bytes);
    }
  }

  /** Resumes an earlier attempt, if there was one. */
  async #begin(): Promise<void> {
    const { file, writer, sha256, newHash, signal } = this.#parts;
    if (sha256 !== undefined) {
      this.#hash = newHash();
      await hashBytes(
        this.#hash,
        (offset, target) => ofStorage(writer.read(offset, target)),
        writer.length,
        signal,
      );
    }
    file.goTo(writer.length);
    this.#begun = true;
  }

  #checkOpen(): void {
    this.#parts.signal?.throwIfAborted();
    if (this.#closed) throw new SourceError(`Cannot read ${this.name}: It was closed`);
  }
}
