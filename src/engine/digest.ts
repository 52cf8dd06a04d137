import { wrongDigest } from "../format/source.ts";
import type { ByteSource } from "../util/byte_source.ts";
import { Sha256 } from "../util/sha256.ts";
import { yieldToEvents } from "../util/yield.ts";

const CHUNK_BYTES = 1 << 20;

/** Takes the first `size` bytes of a reader into `hash`, and lets events through meanwhile. */
export async function hashBytes(
  hash: Sha256,
  read: (offset: number, target: Uint8Array) => Promise<void>,
  size: number,
  signal?: AbortSignal,
): Promise<void> {
  const chunk = new Uint8Array(Math.min(CHUNK_BYTES, size));
  for (let at = 0; at < size; at += CHUNK_BYTES) {
    const part = chunk.subarray(0, size - at);
    await read(at, part);
    hash.update(part);
    await yieldToEvents();
    signal?.throwIfAborted();
  }
}

/**
 * Reads a source of known size from front to back and compares its SHA-256.
 * @throws SourceError where it is another; what the source throws; the signal's reason
 */
export async function checkDigest(
  source: ByteSource,
  size: number,
  sha256: string,
  signal?: AbortSignal,
): Promise<void> {
  const hash = new Sha256();
  await hashBytes(hash, (offset, target) => source.read(offset, target), size, signal);
  const got = hash.hex();
  if (got !== sha256) throw wrongDigest(source.name, sha256, got);
}
