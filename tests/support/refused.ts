// What a refused file must look like: a typed error with a message that says why.
import assert from "node:assert/strict";
import { type CriaError, FormatError } from "../../src/util/errors.ts";

type ErrorClass = new (message: string) => CriaError;

/** Checks that `promise` fails with an error of the class, its code and the message; default: FormatError. */
export async function refused(
  promise: Promise<unknown>,
  message: RegExp,
  type: ErrorClass = FormatError,
): Promise<void> {
  await assert.rejects(promise, (error) => {
    assert.ok(error instanceof type, `expected ${type.name}, got ${error}`);
    assert.equal(error.code, new type("").code);
    assert.match(error.message, message);
    return true;
  });
}

/** A stream of `bytes` in chunks of `chunkBytes`, of no known size; `onCancel` hears of its end. */
export function chunked(
  bytes: Uint8Array,
  chunkBytes: number,
  onCancel: () => void = () => {},
): ReadableStream<Uint8Array> {
  let at = 0;
  return new ReadableStream({
    pull(controller) {
      if (at >= bytes.length) return controller.close();
      controller.enqueue(bytes.slice(at, at + chunkBytes));
      at += chunkBytes;
    },
    cancel: onCancel,
  });
}
