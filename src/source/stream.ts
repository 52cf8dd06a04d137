// Sources over streams: a ReadableStream, a stream of Node, or anything else that gives bytes asynchronously.
import { SourceError } from "../util/errors.ts";
import type { ByteSource } from "./byte_source.ts";
import { bytesOf } from "./bytes.ts";
import { type ByteFeed, feedSource } from "./feed.ts";
import { readErrors } from "./read_errors.ts";

/**
 * A stream, read once from front to back: offsets of reads must ascend, except that the last 256 KiB can be read again.
 * Bytes between reads are skipped.
 *
 * Without `size`, the size is undefined until a read has come to the end of the stream. With it, a stream that ends
 * earlier has failed (SourceError), and what comes later is never read. An abort of `signal` cancels the stream and ends
 * every read with its reason.
 * @throws SourceError if something else reads the stream already
 */
export function streamSource(
  stream: ReadableStream<Uint8Array>,
  name = "stream",
  size?: number,
  signal?: AbortSignal,
): ByteSource {
  return feedSource(streamFeed(stream, name), name, { size, signal });
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
      const { done, value } = await readErrors(name, () => reader.read());
      return done ? undefined : chunkBytes(value, name);
    },
    cancel: () => reader.cancel().catch(() => {}),
  };
}

/** What is asked of a stream of Node. */
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
      const result = await readErrors(
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
      // Not awaited: a generator ends only after what it waits for itself has come.
      readErrors(name, async () => {
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

// Only a Response tells: it refuses a stream that was read.
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
