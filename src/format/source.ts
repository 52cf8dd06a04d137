import type { ByteSource } from "../util/byte_source.ts";
import { endOfFile } from "../util/bytes.ts";
import { type CriaError, SourceError } from "../util/errors.ts";

/**
 * How far back a forward-only source can be read again. Telling formats apart reads the first bytes twice,
 * and a header is fetched in pieces that reach into the tensors behind it.
 */
export const LOOK_BACK_BYTES = 256 << 10;

/** Copied at once out of a Blob, so that a large read does not pass through memory as a whole. */
const BLOB_CHUNK_BYTES = 4 << 20;

/** Longest beginning of a URL that serves as a name; a data: URL is as long as its file. */
const NAME_CHARS = 200;

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

/** A Blob or File; `name` defaults to the file's. */
export function blobSource(blob: Blob, name = fileName(blob)): ByteSource {
  const readChunk = async (offset: number, target: Uint8Array) => {
    const chunk = await guard(name, async () => blob.slice(offset, offset + target.length).arrayBuffer());
    if (chunk.byteLength !== target.length) throw endOfFile(name, offset, target.length, blob.size);
    target.set(new Uint8Array(chunk));
  };
  return {
    name,
    size: blob.size,
    async read(offset, target) {
      checkRange(name, offset, target.length, blob.size);
      for (let at = 0; at < target.length; at += BLOB_CHUNK_BYTES) {
        await readChunk(offset + at, target.subarray(at, at + BLOB_CHUNK_BYTES));
      }
    },
    async close() {},
  };
}

/**
 * A stream, read once from front to back: offsets of reads must ascend, except that the last
 * {@link LOOK_BACK_BYTES} can be read again. Bytes between reads are skipped.
 *
 * Where `size` is not given it is undefined until a read has come to the end of the stream. Where it is
 * given, a stream that ends before it has failed (SourceError); what comes after it is never read.
 * An abort of `signal` cancels the stream and ends every read with its reason.
 * @throws SourceError where something else reads the stream already
 */
export function streamSource(
  stream: ReadableStream<Uint8Array>,
  name = "stream",
  size?: number,
  signal?: AbortSignal,
): ByteSource {
  return new StreamSource(stream, name, size, signal);
}

/**
 * The body of a URL: one GET, read forward only like {@link streamSource}. The size is that of the
 * content-length header, where the body is not compressed.
 * An abort of `signal` ends the request and every read with its reason.
 * @throws SourceError where there is no answer, its status is not 200, or it is a web page
 */
export async function urlSource(
  url: string | URL,
  options: { signal?: AbortSignal | undefined } = {},
): Promise<ByteSource> {
  const address = String(url);
  const name = address.length > NAME_CHARS ? `${address.slice(0, NAME_CHARS)}...` : address;
  const { signal } = options;
  const response = await guard(name, () => fetch(address, { signal: signal ?? null }), signal);
  const { body } = response;
  const problem = responseProblem(response);
  if (problem !== undefined || body === null) {
    await body?.cancel().catch(() => {});
    throw new SourceError(`Cannot read ${name}: ${problem ?? "The answer has no body"}`);
  }
  return new StreamSource(body, name, contentLength(response.headers), signal);
}

class StreamSource implements ByteSource {
  readonly name: string;
  size: number | undefined;
  private readonly expectedSize: number | undefined;
  private readonly reader: ReadableStreamDefaultReader<Uint8Array>;
  private readonly signal: AbortSignal | undefined;
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
    stream: ReadableStream<Uint8Array>,
    name: string,
    size: number | undefined,
    signal?: AbortSignal,
  ) {
    if (stream.locked) {
      throw new SourceError(
        `Cannot read ${name}: Expected a stream that nothing else reads, got a locked one`,
      );
    }
    this.name = name;
    this.size = size;
    this.expectedSize = size;
    this.signal = signal;
    this.reader = stream.getReader();
    signal?.addEventListener("abort", this.onAbort);
  }

  read(offset: number, target: Uint8Array): Promise<void> {
    // One read at a time: the next waits for the one before, whatever came of it.
    const read = this.lastRead.then(() => this.readNow(offset, target));
    this.lastRead = read.catch(() => {});
    return read;
  }

  async close(): Promise<void> {
    if (this.closed) return;
    this.closed = true;
    this.signal?.removeEventListener("abort", this.onAbort);
    this.pending = new Uint8Array(0);
    await this.reader.cancel().catch(() => {});
  }

  private async readNow(offset: number, target: Uint8Array): Promise<void> {
    this.checkOpen();
    checkRange(this.name, offset, target.length, this.size);
    const oldest = this.position - this.past.length;
    if (offset < oldest) {
      throw new SourceError(
        `Cannot read ${this.name}: Expected an offset of at least ${oldest}, got ${offset}; a stream is read ` +
          "forward only: open a file, Blob or bytes to read anywhere",
      );
    }
    await this.moveTo(offset, target.length);
    let filled = this.past.copy(this.position - offset, target);
    while (filled < target.length) {
      if (this.pending.length === 0) await this.pull(offset, target.length);
      const bytes = this.consume(target.length - filled);
      target.set(bytes, filled);
      filled += bytes.length;
    }
  }

  /** Skips bytes before `offset`, where `n` bytes are wanted. */
  private async moveTo(offset: number, n: number): Promise<void> {
    while (this.position < offset) {
      if (this.pending.length === 0) await this.pull(offset, n);
      this.consume(offset - this.position);
    }
  }

  private consume(n: number): Uint8Array {
    const bytes = this.pending.subarray(0, n);
    this.pending = this.pending.subarray(bytes.length);
    this.position += bytes.length;
    this.past.push(bytes);
    return bytes;
  }

  /** Waits for the next bytes, which `n` bytes at `offset` need. */
  private async pull(offset: number, n: number): Promise<void> {
    const { done, value } = await guard(this.name, () => this.reader.read(), this.signal);
    this.checkOpen();
    if (done) throw this.ended(offset, n);
    if (!(value instanceof Uint8Array)) {
      throw new SourceError(`Cannot read ${this.name}: Expected a stream of Uint8Array, got ${typeof value}`);
    }
    this.pending = value;
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

/** Runs `call`; whatever it throws becomes a SourceError, but after an abort the signal's reason. */
async function guard<T>(name: string, call: () => Promise<T>, signal?: AbortSignal): Promise<T> {
  try {
    return await call();
  } catch (error) {
    if (signal?.aborted) throw signal.reason;
    const reason = error instanceof Error ? error.message : String(error);
    throw new SourceError(`Cannot read ${name}: ${reason}`, { cause: error });
  }
}

function checkRange(name: string, offset: number, n: number, size: number | undefined): void {
  if (!Number.isSafeInteger(offset) || offset < 0) {
    throw new SourceError(`Cannot read ${name}: Expected an offset from 0, got ${offset}`);
  }
  if (size !== undefined && offset + n > size) throw endOfFile(name, offset, n, size);
}

function fileName(blob: Blob): string {
  return "name" in blob && typeof blob.name === "string" && blob.name !== "" ? blob.name : "blob";
}

function responseProblem(response: Response): string | undefined {
  if (response.status !== 200) {
    return `Expected status 200, got ${response.status} ${response.statusText}`.trimEnd();
  }
  const type = response.headers.get("content-type") ?? "";
  if (/^\s*(text\/html|application\/xhtml\+xml)/i.test(type)) {
    return `Expected a model file, got a web page (${type}); use the address of the file itself`;
  }
  return undefined;
}

function contentLength(headers: Headers): number | undefined {
  const encoding = headers.get("content-encoding") ?? "identity";
  const length = headers.get("content-length") ?? "";
  if (encoding !== "identity" || !/^[0-9]{1,15}$/.test(length)) return undefined;
  return Number(length);
}
