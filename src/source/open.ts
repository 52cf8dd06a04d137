// Opens whatever a caller may pass as a file.
import { embeddedModelUrl, isEmbeddedName, missingModel } from "../package.ts";
import { quoted } from "../util/bytes.ts";
import { describeValue } from "../util/describe.ts";
import { SourceError, UsageError } from "../util/errors.ts";
import { blobSource } from "./blob.ts";
import type { ByteSource } from "./byte_source.ts";
import { bytesOf, bytesSource } from "./bytes.ts";
import { plainAddress } from "./cache_notes.ts";
import { findCached, openCached } from "./cached_download.ts";
import { checkDigest } from "./digest.ts";
import { type FeedOptions, feedSource } from "./feed.ts";
import type { SourceHost } from "./host.ts";
import type { UrlOptions } from "./http/http_options.ts";
import { responseSource, urlSource } from "./http.ts";
import { hubEndpoint, hubNameOf, hubUrl, isHubName } from "./hub/hub_name.ts";
import type { SourceLike, SourceOptions } from "./options.ts";
import { iterableFeed, iterableName, streamFeed } from "./stream.ts";

const kinds =
  "a path, URL, Blob, ArrayBuffer, Uint8Array, ReadableStream, AsyncIterable, Request, Response or ByteSource";

/** Options of {@link openSource}. */
export interface OpenOptions extends SourceOptions {
  readonly signal?: AbortSignal | undefined;
  /** Called as bytes come over the network. */
  readonly onBytes?: UrlOptions["onBytes"];
  /** What alone gets the headers of `http`: the origin of this address. Undefined if each may get them. */
  readonly headersFor?: string | undefined;
  /** With `cache: false`: whether a whole file of the runtime's own cache is used, without asking its server. */
  readonly fromCache?: boolean | undefined;
  /** Told of the headers of the first answer over a network. */
  readonly onHeaders?: UrlOptions["onHeaders"];
}

/**
 * Opens whatever a caller may pass as a file. An abort of `signal` ends waiting for bytes of URLs and streams. A
 * SHA-256 is compared at once if the source is read anywhere, and by the source's `finish` if bytes come over a network
 * or a stream.
 * @throws SourceError if the bytes cannot be had or do not have the SHA-256; UsageError for anything else than
 *   SourceLike; the signal's reason
 */
export async function openSource(
  source: SourceLike,
  host: SourceHost,
  options: OpenOptions = {},
): Promise<ByteSource> {
  if (typeof source === "string") return openText(source, host, options);
  if (source instanceof URL) return openUrl(source, host, options);
  const bytes = bytesOf(source);
  if (bytes) return checked(bytesSource(bytes), host, options);
  if (source instanceof Blob) return checked(blobSource(source), host, options);
  if (isReadableStream(source)) return openStream(source, host, options);
  if (source instanceof Response) return openResponse(source, host, options);
  if (source instanceof Request) return openRemote(source, false, host, options);
  return openObject(source, host, options);
}

/** Opens a local file. */
export async function openPath(path: string, host: SourceHost, options: OpenOptions): Promise<ByteSource> {
  return checked(await host.openFile(path), host, options);
}

/**
 * Opens the file behind a URL or request, out of the cache if the options allow it.
 * @param cachedByDefault whether it is cached if the options do not say
 */
export async function openRemote(
  request: URL | Request,
  cachedByDefault: boolean,
  host: SourceHost,
  options: OpenOptions,
): Promise<ByteSource> {
  const { signal, sha256, cache = cachedByDefault, fromCache = false, onBytes, onHeaders } = options;
  const { hidesHeaders } = host;
  const address = request instanceof Request ? request.url : request.href;
  const isHub = originOf(address, host) === hubOrigin(host);
  const http = httpFor(request, isHub, host, options);
  const url: UrlOptions = {
    ...{ signal, http, onBytes, onHeaders, hidesHeaders, isHub },
    sha256: sha256?.toLowerCase(),
    newHash: host.sha256,
  };
  if ((cache === false && !fromCache) || !/^https?:/.test(address)) return urlSource(request, url);
  const files = await host.openCache(typeof cache === "string" ? cache : undefined, cache === false);
  if (!files) return urlSource(request, url);
  if (cache === false) return (await findCached(files, address, url)) ?? urlSource(request, url);
  const label = (isHub && hubNameOf(address, host)) || plainAddress(address);
  return openCached(request, files, { ...url, named: typeof cache === "string", label });
}

/**
 * Options for a file that goes with `source`, its tokenizer: the same, without what concerns that one file. Headers may
 * hold a token: they go to the same origin only.
 */
export function companionOptions(source: unknown, options: OpenOptions): OpenOptions {
  const { signal, cache, http } = options;
  return { signal, cache, http, headersFor: addressOf(source) };
}

/** The path of a file: URL. @throws SourceError if its % escapes are not UTF-8 */
export function filePath(url: URL): string {
  try {
    const path = decodeURIComponent(url.pathname);
    return /^\/[A-Za-z]:/.test(path) ? path.slice(1) : path;
  } catch (cause) {
    throw new SourceError(`Cannot open ${url}: Expected a path whose % escapes are UTF-8`, { cause });
  }
}

/** A text as a URL if it is one that can be opened; undefined for a path. @throws SourceError for a damaged one */
export function urlOf(text: string): URL | undefined {
  if (!/^(https?|file|data|blob):/i.test(text)) return undefined;
  try {
    return new URL(text);
  } catch (cause) {
    throw new SourceError(`Cannot open ${quoted(text)}: Expected a valid URL`, { cause });
  }
}

/** Whether a value is a Request. */
export function isRequest(source: unknown): source is Request {
  // Node loads its whole network at the first mention of Request, and with it a WebAssembly module, which fails if
  // there is no WebAssembly and costs 10 GiB of addresses otherwise: only what has a URL is compared with it.
  return typeof source === "object" && source !== null && "url" in source && source instanceof Request;
}

/** A path, a URL, or the name of a file on the hub or of a model that comes with cria. */
function openText(text: string, host: SourceHost, options: OpenOptions): Promise<ByteSource> {
  if (text === "") throw new UsageError(`Cannot open a source: Expected ${kinds}, got an empty string`);
  if (isHubName(text)) return openRemote(hubUrl(text, host), true, host, options);
  if (isEmbeddedName(text)) return openEmbedded(text, host, options);
  const url = urlOf(text);
  return url ? openUrl(url, host, options) : openPath(text, host, options);
}

function openUrl(url: URL, host: SourceHost, options: OpenOptions): Promise<ByteSource> {
  if (isHubName(url.href)) return openRemote(hubUrl(url.href, host), true, host, options);
  if (isEmbeddedName(url.href)) return openEmbedded(url.href, host, options);
  if (url.protocol === "file:") return openPath(filePath(url), host, options);
  return openRemote(url, false, host, options);
}

async function openEmbedded(name: string, host: SourceHost, options: OpenOptions): Promise<ByteSource> {
  const url = embeddedModelUrl(name);
  try {
    return await openUrl(url, host, options);
  } catch (error) {
    throw error instanceof SourceError ? missingModel(error.message, error) : error;
  }
}

function openStream(stream: ReadableStream<Uint8Array>, host: SourceHost, options: OpenOptions): ByteSource {
  return feedSource(streamFeed(stream, "stream"), "stream", feedOptions(host, options));
}

function openResponse(response: Response, host: SourceHost, options: OpenOptions): Promise<ByteSource> {
  return responseSource(response, { ...feedOptions(host, options), hidesHeaders: host.hidesHeaders });
}

/** A source of the caller's own, or anything that gives bytes asynchronously. */
async function openObject(source: unknown, host: SourceHost, options: OpenOptions): Promise<ByteSource> {
  if (typeof source === "object" && source !== null) {
    // Streams of Node have methods `read` and `close` too.
    if (!("pipe" in source) && isByteSource(source)) {
      checkSize(source);
      return checked(source, host, options);
    }
    if (isAsyncIterable(source)) {
      const name = iterableName(source);
      return feedSource(iterableFeed(source, name), name, feedOptions(host, options));
    }
  }
  throw new UsageError(`Cannot open a source: Expected ${kinds}, got ${describeValue(source)}`);
}

function feedOptions({ sha256: newHash }: SourceHost, { signal, sha256 }: OpenOptions): FeedOptions {
  return { signal, sha256: sha256?.toLowerCase(), newHash };
}

/**
 * How an address is read: without headers if they are meant for another origin; with the token of the environment
 * (HF_TOKEN) if it is the hub's, unless the caller says who asks. When the hub redirects to another origin, fetch()
 * drops it.
 */
function httpFor(
  request: URL | Request,
  isHub: boolean,
  host: SourceHost,
  { http, headersFor }: OpenOptions,
): OpenOptions["http"] {
  const address = request instanceof Request ? request.url : request.href;
  const origin = originOf(headersFor, host);
  const headers = origin === undefined || origin === originOf(address, host) ? http?.headers : {};
  const token = isHub && !(request instanceof Request) && host.variable?.("HF_TOKEN")?.trim();
  const isNamed = Object.keys(headers ?? {}).some((name) => /^authorization$/i.test(name));
  return token && !isNamed
    ? { ...http, headers: { ...headers, authorization: `Bearer ${token}` } }
    : { ...http, headers };
}

/** `source`, after its SHA-256 was compared with the one of the options. Closes it if they differ. */
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

function addressOf(source: unknown): string | undefined {
  // The text of anything else is not asked for: that of bytes is several times as long as they are.
  if (typeof source === "string" || source instanceof URL) return String(source);
  return isRequest(source) ? source.url : undefined;
}

/** The origin of an http(s) URL or of a name on the hub; undefined for any other text. */
function originOf(address: string | undefined, host: SourceHost): string | undefined {
  if (address === undefined) return undefined;
  if (isHubName(address)) return hubOrigin(host);
  const url = URL.canParse(address) ? new URL(address) : undefined;
  return url && /^https?:$/.test(url.protocol) ? url.origin : undefined;
}

/** The hub's origin; undefined if its address is none, which matters to names of the hub alone. */
function hubOrigin(host: SourceHost): string | undefined {
  try {
    return new URL(hubEndpoint(host)).origin;
  } catch {
    return undefined;
  }
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
