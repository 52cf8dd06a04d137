import { blobSource, bytesSource, streamSource, urlSource } from "../format/source.ts";
import type { Runtime } from "../runtime/runtime.ts";
import type { ByteSource } from "../util/byte_source.ts";
import { quoted } from "../util/bytes.ts";
import { SourceError, UsageError } from "../util/errors.ts";
import type { SourceLike } from "./options.ts";

const kinds = "a path, URL, Blob, Uint8Array, ReadableStream or ByteSource";

function isByteSource(value: object): value is ByteSource {
  return "read" in value && typeof value.read === "function" && "close" in value && "name" in value;
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
 * Opens whatever a caller may pass as a file. An abort of `signal` ends waiting for bytes of URLs and streams.
 * @throws SourceError where the bytes cannot be had; UsageError for anything else than SourceLike; the
 *   signal's reason.
 */
export async function openSource(
  source: SourceLike,
  runtime: Runtime,
  signal?: AbortSignal,
): Promise<ByteSource> {
  if (source === "") throw new UsageError(`Cannot open a source: Expected ${kinds}, got an empty string`);
  if (typeof source === "string") {
    return /^(https?|file|data|blob):/i.test(source)
      ? openSource(parseUrl(source), runtime, signal)
      : runtime.openFile(source);
  }
  if (source instanceof URL) {
    if (source.protocol === "file:") return runtime.openFile(filePath(source));
    return urlSource(source, { signal });
  }
  if (source instanceof Uint8Array) return bytesSource(source);
  if (source instanceof Blob) return blobSource(source);
  if (source instanceof ReadableStream) return streamSource(source, undefined, undefined, signal);
  if (typeof source === "object" && source !== null && isByteSource(source)) {
    checkSize(source);
    return source;
  }
  throw new UsageError(
    `Cannot open a source: Expected ${kinds}, got ${source === null ? "null" : typeof source}`,
  );
}

/** All bytes of a source that is meant to be small (a tokenizer), at most `most` of them. */
export async function readAll(source: ByteSource, most: number): Promise<Uint8Array> {
  const { size } = source;
  if (size === undefined) return readUnknown(source, most);
  if (size > most) {
    throw new UsageError(`Cannot read ${source.name}: Expected at most ${most} bytes, got ${size}`);
  }
  const bytes = new Uint8Array(size);
  if (size > 0) await source.read(0, bytes);
  return bytes;
}

const CHUNK_BYTES = 64 << 10;

// A stream's size is known only when its end was met: a chunk that met it is read again, shorter.
async function readUnknown(source: ByteSource, most: number): Promise<Uint8Array> {
  const chunks: Uint8Array[] = [];
  let at = 0;
  while (source.size === undefined || at < source.size) {
    if (at > most)
      throw new UsageError(`Cannot read ${source.name}: Expected at most ${most} bytes, got more`);
    const chunk = new Uint8Array(Math.min(CHUNK_BYTES, (source.size ?? Number.POSITIVE_INFINITY) - at));
    try {
      await source.read(at, chunk);
    } catch (error) {
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
