// Compares files with the SHA-256 that they must have.
import { SourceError } from "../util/errors.ts";
import type { Sha256Stream } from "../util/sha256.ts";
import { yieldToEvents } from "../util/yield.ts";
import type { ByteSource } from "./byte_source.ts";

const CHUNK_BYTES = 1 << 20;

/** Hashes the first `size` bytes of a reader, and lets the runtime handle events meanwhile. */
export async function hashBytes(
  hash: Sha256Stream,
  read: (offset: number, target: Uint8Array) => Promise<void>,
  size: number,
  signal?: AbortSignal,
): Promise<void> {
  // While one chunk is hashed, the next is read.
  const chunks = [0, 1].map(() => new Uint8Array(Math.min(CHUNK_BYTES, size)));
  const start = async (at: number) => {
    const part = (chunks[(at / CHUNK_BYTES) % 2] as Uint8Array).subarray(0, size - at);
    await read(at, part);
    return part;
  };
  let reading: Promise<Uint8Array> | undefined = size > 0 ? start(0) : undefined;
  try {
    for (let at = CHUNK_BYTES; reading; at += CHUNK_BYTES) {
      const part: Uint8Array = await reading;
      reading = at < size ? start(at) : undefined;
      reading?.catch(() => {});
      hash.update(part);
      await yieldToEvents();
      signal?.throwIfAborted();
    }
  } finally {
    // The caller may close the source now: no read may be under way.
    await reading?.catch(() => {});
  }
}

/**
 * Reads a source of known size from front to back into `hash`, and compares that with its SHA-256.
 * @throws SourceError if it is another; what the source throws; the signal's reason
 */
export async function checkDigest(
  source: ByteSource,
  size: number,
  sha256: string,
  hash: Sha256Stream,
  signal?: AbortSignal,
): Promise<void> {
  await hashBytes(hash, (offset, target) => source.read(offset, target), size, signal);
  const got = hash.hex();
  if (got !== sha256) throw wrongDigest(source.name, sha256, got);
}

/** The error of bytes whose SHA-256 is another. */
export function wrongDigest(name: string, expected: string, got: string): SourceError {
  return new SourceError(`Cannot load ${name}: Expected SHA-256 ${expected}, got ${got}`);
}
