// A source over bytes in memory.
import { SourceError } from "../util/errors.ts";
import type { ByteSource } from "./byte_source.ts";
import { checkRange } from "./read_errors.ts";

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

/**
 * The bytes of an ArrayBuffer, a SharedArrayBuffer or a view of one, not copied; undefined for anything else. Not by
 * `instanceof`: buffers may be of another realm (an iframe, a test runner's context).
 * @throws SourceError for a buffer that was transferred
 */
export function bytesOf(value: unknown): Uint8Array | undefined {
  if (!ArrayBuffer.isView(value) && !isBuffer(value)) return undefined;
  try {
    return ArrayBuffer.isView(value)
      ? new Uint8Array(value.buffer, value.byteOffset, value.byteLength)
      : new Uint8Array(value);
  } catch (cause) {
    throw new SourceError("Cannot read bytes: Expected an ArrayBuffer, got one that was transferred", {
      cause,
    });
  }
}

function isBuffer(value: unknown): value is ArrayBufferLike {
  return [ArrayBuffer, globalThis.SharedArrayBuffer].some((type) => {
    const length = type && Object.getOwnPropertyDescriptor(type.prototype, "byteLength")?.get;
    try {
      return length?.call(value) !== undefined;
    } catch {
      return false;
    }
  });
}
