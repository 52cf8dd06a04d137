// What a refused model must look like: a typed error that says why, before anything is allocated.
import assert from "node:assert/strict";
import { type ByteSource, type CriaError, FormatError, Llama, type LoadOptions } from "../../src/mod.ts";
import { memoriesOf } from "./memory_spy.ts";
import { refused } from "./refused.ts";

export type ErrorClass = new (message: string) => CriaError;

/** Matches this text and no other. */
export function exactly(text: string): RegExp {
  return new RegExp(`^${text.replace(/[\\^$.*+?()[\]{}|]/g, "\\$&")}$`);
}

/**
 * Checks that `Llama.load` refuses a model, and that no memory was made but one of a page, which sizes are asked
 * of.
 */
export async function refuses(
  source: Uint8Array<ArrayBuffer> | ReadableStream<Uint8Array> | ByteSource,
  message: RegExp,
  type: ErrorClass = FormatError,
  options: LoadOptions = {},
): Promise<void> {
  const made = await memoriesOf(() => refused(Llama.load(source, { threads: 1, ...options }), message, type));
  assert.ok(
    made.every((bytes) => bytes === 65536),
    `made memories of ${made} bytes`,
  );
}
