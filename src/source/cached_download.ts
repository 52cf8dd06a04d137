// Downloads that are kept for the next time.

import { SourceError } from "../util/errors.ts";
import { Sha256, type Sha256Stream, sha256Hex } from "../util/sha256.ts";
import type { ByteSource } from "./byte_source.ts";
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

/** The name of one version: unlike versions never meet in one file, and an unfinished one needs no description. */
export function cacheName(url: string, version: string, size: number): string {
  const file = new URL(url).pathname.split("/").at(-1) ?? "";
  const plain = file.replace(/%[0-9a-f]{2}|[^\w.-]/gi, "_").replace(/\.part$/, "_part");
  return `${cachePrefix(url)}${sha256Hex(`${size} ${version}`).slice(0, 16)}-${plain.slice(-FILE_NAME_CHARS)}`;
}

/**
 * A URL's file out of the cache, where the server says that it is still the same; else the download of it, which is
 * kept as it comes. Where the server cannot be reached, what was kept last stands in. With a SHA-256, a kept file
 * that has it is used unasked.
 *
 * Files whose size is not known, or whose server names no version and for which no SHA-256 is given, are not kept:
 * nothing would tell when they have changed. Nor is a file kept if nothing can be written and nobody `named` the cache:
 * if that fails in the middle of a download, the file is fetched without it.
 * @throws as urlSource; SourceError where bytes cannot be kept (a full disk)
 */
export async function openCached(
  request: string | URL | Request,
  cache: FileCache,
  { named = true, ...options }: UrlOptions & { readonly named?: boolean },
): Promise<ByteSource> {
  const plain: PlainWay | undefined = named
    ? undefined
    : (size, version) => openPlain(request, options, size, version);
  const url = request instanceof Request ? request.url : String(request);
  const { sha256, signal } = options;
  if (sha256 !== undefined) {
    const kept = await findKept(cache, url, options);
    if (kept) return withoutStorage(kept, plain && (() => plain(kept.size, undefined)));
  }
  let file: HttpFile;
  try {
    file = await HttpFile.open(request, options);
  } catch (error) {
    signal?.throwIfAborted();
    const kept = error instanceof UnreachableError ? await findKept(cache, url, options) : undefined;
    if (kept) return withoutStorage(kept, undefined);
    throw error;
  }
  try {
    return await keep(file, cache, url, options, plain);
  } catch (error) {
    await file.cancel();
    throw error;
  }
}

/** Opens the file of this size and version, as far as they are known, without the cache. */
type PlainWay = (size: number | undefined, version: string | undefined) => Promise<ByteSource>;

// A file without a SHA-256 is of the version that was begun with, or an error.
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

async function keep(
  file: HttpFile,
  cache: FileCache,
  url: string,
  options: UrlOptions,
  plain: PlainWay | undefined,
): Promise<ByteSource> {
  const { sha256, signal, newHash = ownHash } = options;
  const { size, version = sha256 } = file;
  if (size === undefined || version === undefined) return file.source();
  const name = cacheName(url, version, size);
  const again = plain && (() => plain(size, file.version));
  // With a SHA-256 what was kept has been looked at.
  const kept = sha256 === undefined ? await openKept(cache, name, size) : undefined;
  if (kept) {
    await file.cancel();
    return withoutStorage(renamed(kept, file.name), again);
  }
  const writer = await cache.write(name, size, file.resumable).catch((error) => {
    if (!plain) throw error;
  });
  if (!writer) return file.source();
  const prefix = cachePrefix(url);
  const download = new CachedDownload({ file, size, writer, prefix, sha256, newHash, signal });
  return withoutStorage(download, again);
}

/** The newest version that was kept; with a SHA-256 the one that has it. */
async function findKept(
  cache: FileCache,
  url: string,
  { sha256, signal, newHash = ownHash }: UrlOptions,
): Promise<ByteSource | undefined> {
  for (const name of await cache.find(cachePrefix(url)).catch(() => [])) {
    const kept = await openKept(cache, name);
    if (kept?.size === undefined) continue;
    if (sha256 === undefined) return renamed(kept, urlName(url));
    try {
      await checkDigest(kept, kept.size, sha256, newHash(), signal);
      return renamed(kept, urlName(url));
    } catch {
      await kept.close();
      signal?.throwIfAborted();
    }
  }
  return undefined;
}

/** A kept file; undefined where it is not there or cannot be read: it comes again then. */
function openKept(cache: FileCache, name: string, size?: number): Promise<ByteSource | undefined> {
  return cache.open(name, size).catch(() => undefined);
}

/** A kept file under the name of what it is a copy of. */
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
  readonly prefix: string;
  readonly sha256: string | undefined;
  readonly newHash: () => Sha256Stream;
  readonly signal: AbortSignal | undefined;
}

const ownHash = () => new Sha256();

/**
 * A file that is kept as it comes. Reads wait until the bytes are there and are answered out of the cache, in any
 * order; the download goes on as far as it is read, and to the end in `finish`, which compares the SHA-256 and makes
 * the kept file a whole one. Closed before, the bytes that came are kept for the next attempt.
 */
class CachedDownload implements ByteSource {
  readonly name: string;
  readonly size: number;
  readonly #parts: DownloadParts;
  #hash: Sha256Stream | undefined;
  #begun = false;
  #closed = false;
  #lastRead: Promise<void> = Promise.resolve();

  constructor(parts: DownloadParts) {
    this.#parts = parts;
    this.name = parts.file.name;
    this.size = parts.size;
  }

  read(offset: number, target: Uint8Array): Promise<void> {
    return this.#inTurn(async () => {
      checkRange(this.name, offset, target.length, this.size);
      await this.#advance(offset + target.length);
      await ofStorage(this.#parts.writer.read(offset, target));
    });
  }

  finish(): Promise<void> {
    return this.#inTurn(async () => {
      const { writer, sha256, prefix } = this.#parts;
      await this.#advance(this.size);
      const got = this.#hash?.hex();
      if (sha256 !== undefined && got !== undefined && got !== sha256) {
        await writer.discard();
        throw wrongDigest(this.name, sha256, got);
      }
      await writer.publish(prefix);
    });
  }

  async close(): Promise<void> {
    if (this.#closed) return;
    this.#closed = true;
    await this.#parts.file.cancel();
    await this.#lastRead;
    await this.#parts.writer.close();
  }

  #inTurn(work: () => Promise<void>): Promise<void> {
    const done = this.#lastRead.then(() => {
      this.#checkOpen();
      return work();
    });
    this.#lastRead = done.catch(() => {});
    return done;
  }

  /** Waits until the bytes before `end` are kept. */
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

  /** Takes up what is left of an earlier attempt. */
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
