// Opens whatever a caller may pass as a file.

import { quoted } from "../util/bytes.ts";
import { SourceError, UsageError } from "../util/errors.ts";
import type { ByteSource } from "./byte_source.ts";
import {
  blobSource,
  bytesOf,
  bytesSource,
  type FeedOptions,
  feedSource,
  iterableFeed,
  iterableName,
  streamFeed,
} from "./bytes.ts";
import { openCached } from "./cached_download.ts";
import { checkDigest } from "./digest.ts";
import type { SourceHost } from "./host.ts";
import { responseSource, type UrlOptions, urlSource } from "./http.ts";
import { hubUrl, isHubName } from "./hub.ts";
import type { SourceLike, SourceOptions } from "./options.ts";

const kinds =
  "a path, URL, Blob, ArrayBuffer, Uint8Array, ReadableStream, AsyncIterable, Request, Response or ByteSource";

/** Options of {@link openSource}. */
export interface OpenOptions extends SourceOptions {
  readonly signal?: AbortSignal | undefined;
  /** Called as bytes come over the network. */
  readonly onBytes?: UrlOptions["onBytes"];
  /** The only origin that gets the headers of `http`. */
  readonly headersFor?: string | undefined;
}

function isByteSource(value: object): value is ByteSource {
  return "read" in value && typeof value.read === "function" && "close" in value && "name" in value;
}

function isReadableStream(value: SourceLike): value is ReadableStream<Uint8Array> {
  return typeof value === "object" && value !== null && "getReader" in value && "locked" in value;
}

function isAsyncIterable(value: object): value is AsyncIterable<unknown> {
  return Symbol.asyncIterator in value && typeof value[Symbol.asyncIterator] === "function";
}

// Every bound on reading a file rests on its size.
function checkSize({ name, size }: ByteSource): void {
  if (size === undefined || (Number.isSafeInteger(size) && size >= 0)) return;
  throw new UsageError(
    `Cannot open ${name}: Expected a size in bytes, or undefined where it is not known, got ${size}`,
  );
}

function filePath(url: URL): string {
  try {
    const path = decodeURIComponent(url.pathname);
    return /^\/[A-Za-z]:/.test(path) ? path.slice(1) : path;
  } catch (cause) {
    throw new SourceError(`Cannot open ${url}: Expected a path whose % escapes are UTF-8`, { cause });
  }
}

function parseUrl(text: string): URL {
  try {
    return new URL(text);
  } catch (cause) {
    throw new SourceError(`Cannot open ${quoted(text)}: Expected a valid URL`, { cause });
  }
}

/**
 * Opens whatever a caller may pass as a file. An abort of `signal` ends waiting for bytes of URLs and streams. A
 * SHA-256 is compared at once where the source is read anywhere, and by the source's `finish` where bytes come over
 * a network or a stream.
 * @throws SourceError where the bytes cannot be had or are not those of the SHA-256; UsageError for anything else
 *   than SourceLike; the signal's reason
 */
export async function openSource(
  source: SourceLike,
  host: SourceHost,
  options: OpenOptions = {},
): Promise<ByteSource> {
  if (options.headersFor !== undefined && options.headersFor !== originOf(source)) {
    return openSource(source, host, {
      ...options,
      headersFor: undefined,
      http: { ...options.http, headers: {} },
    });
  }
  if (source === "") throw new UsageError(`Cannot open a source: Expected ${kinds}, got an empty string`);
  const { signal, sha256 } = options;
  const feed: FeedOptions = { signal, sha256: sha256?.toLowerCase(), newHash: host.sha256 };
  if (typeof source === "string") {
    if (isHubName(source)) return openUrl(hubUrl(source), host, true, options);
    if (/^(https?|file|data|blob):/i.test(source)) return openSource(parseUrl(source), host, options);
    return checked(await host.openFile(source), host, options);
  }
  if (source instanceof URL) {
    if (isHubName(source.href)) return openUrl(hubUrl(source.href), host, true, options);
    if (source.protocol === "file:") return checked(await host.openFile(filePath(source)), host, options);
    return openUrl(source, host, false, options);
  }
  const bytes = bytesOf(source);
  if (bytes) return checked(bytesSource(bytes), host, options);
  if (source instanceof Blob) return checked(blobSource(source), host, options);
  if (isReadableStream(source)) return feedSource(streamFeed(source, "stream"), "stream", feed);
  if (source instanceof Response) {
    return responseSource(source, { ...feed, hidesHeaders: host.hidesHeaders });
  }
  if (source instanceof Request) return openUrl(source, host, false, options);
  if (typeof source === "object" && source !== null) {
    // Streams of Node have methods `read` and `close` too.
    if (!("pipe" in source) && isByteSource(source)) {
      checkSize(source);
      return checked(source, host, options);
    }
    if (isAsyncIterable(source)) {
      const name = iterableName(source);
      return feedSource(iterableFeed(source, name), name, feed);
    }
  }
  throw new UsageError(
    `Cannot open a source: Expected ${kinds}, got ${source === null ? "null" : typeof source}`,
  );
}

async function openUrl(
  request: URL | Request,
  host: SourceHost,
  cachedByDefault: boolean,
  { signal, sha256, cache = cachedByDefault, http, onBytes }: OpenOptions,
): Promise<ByteSource> {
  const { hidesHeaders } = host;
  const options: UrlOptions = {
    ...{ signal, http, onBytes, hidesHeaders },
    sha256: sha256?.toLowerCase(),
    newHash: host.sha256,
  };
  const address = request instanceof Request ? request.url : request.href;
  if (cache === false || !/^https?:/.test(address)) return urlSource(request, options);
  const files = await host.openCache(cache === true ? undefined : cache);
  if (!files) return urlSource(request, options);
  return openCached(request, files, { ...options, named: typeof cache === "string" });
}

/** `source`, once its SHA-256 is the one of the options. Closes it where it is not. */
async function checked(
  source: ByteSource,
  host: SourceHost,
  { sha256, signal }: OpenOptions,
): Promise<ByteSource> {
  if (sha256 === undefined) return source;
  try {
    if (source.size === undefined) {
      throw new UsageError(`Cannot check the SHA-256 of ${source.name}: Expected a source of known size`);
    }
    await checkDigest(source, source.size, sha256.toLowerCase(), host.sha256(), signal);
    return source;
  } catch (error) {
    await source.close();
    throw error;
  }
}

/**
 * Options for a file that goes with `source`, its tokenizer: the same but for what is its alone. Headers, which may
 * hold a token, go to the same origin only.
 */
export function companionOptions(source: SourceLike | undefined, options: OpenOptions): OpenOptions {
  const { signal, cache, http } = options;
  return { signal, cache, http, headersFor: originOf(source) };
}

function originOf(source: SourceLike | undefined): string | undefined {
  // Node loads its whole network at the first mention of Request, and with it a WebAssembly module, which fails where
  // there is no WebAssembly and costs 10 GiB of addresses where there is: only what has a URL is compared with it.
  const isRequest = typeof source === "object" && "url" in source && source instanceof Request;
  // Not of anything else: the text of bytes is several times as long as they are.
  if (typeof source !== "string" && !(source instanceof URL) && !isRequest) return undefined;
  const address = isRequest ? source.url : String(source);
  try {
    const url = isHubName(address) ? hubUrl(address) : new URL(address);
    return /^https?:$/.test(url.protocol) ? url.origin : undefined;
  } catch {
    return undefined;
  }
}

const CHUNK_BYTES = 64 << 10;

/**
 * All bytes of a source that is meant to be small (a tokenizer), at most `most` of them. What is allocated grows with
 * the bytes that came: a size may be no more than a server's word.
 */
export async function readAll(source: ByteSource, most: number): Promise<Uint8Array> {
  const refuse = (got: string) => {
    throw new UsageError(`Cannot read ${source.name}: Expected at most ${most} bytes, got ${got}`);
  };
  if (source.size !== undefined && source.size > most) refuse(String(source.size));
  const chunks: Uint8Array[] = [];
  let at = 0;
  while (source.size === undefined || at < source.size) {
    if (at > most) refuse("more");
    const chunk = new Uint8Array(Math.min(Math.max(CHUNK_BYTES, at), (source.size ?? at + CHUNK_BYTES) - at));
    try {
      await source.read(at, chunk);
    } catch (error) {
      // A stream's size is known only when its end was met: a chunk that met it is read again, shorter.
      if (source.size === undefined || source.size >= at + chunk.length) throw error;
      continue;
    }
    chunks.push(chunk);
    at += chunk.length;
  }
  const bytes = new Uint8Array(at);
  let filled = 0;
  for (const chunk of chunks) {
    bytes.set(chunk, filled);
    filled += chunk.length;
  }
  return bytes;
}
