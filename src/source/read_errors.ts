// Errors of reading, in the same words for all sources.
import { endOfFile } from "../util/bytes.ts";
import { SourceError } from "../util/errors.ts";

// Not classes: consoles would print their names.
const missing = new WeakSet<object>();
const folders = new WeakSet<object>();

/** Notes that an error says that there is no such file. */
export function asMissingFile(error: SourceError): SourceError {
  missing.add(error);
  return error;
}

/** Notes that an error says that a folder is no file. */
export function asFolder(error: SourceError): SourceError {
  folders.add(error);
  return error;
}

/** Whether an error says that a folder is no file. */
export function isFolder(error: unknown): boolean {
  return error instanceof SourceError && folders.has(error);
}

/** Whether an error says that there is no such file. */
export function isMissingFile(error: unknown): boolean {
  return error instanceof SourceError && missing.has(error);
}

/** @throws SourceError for an invalid offset, FormatError for a range past the end */
export function checkRange(name: string, offset: number, n: number, size: number | undefined): void {
  if (!Number.isSafeInteger(offset) || offset < 0) {
    throw new SourceError(`Cannot read ${name}: Expected an offset from 0, got ${offset}`);
  }
  if (size !== undefined && offset + n > size) throw endOfFile(name, offset, n, size);
}

/** Runs `call`; whatever it throws becomes a SourceError. */
export async function readErrors<T>(name: string, call: () => Promise<T>): Promise<T> {
  try {
    return await call();
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    throw new SourceError(`Cannot read ${name}: ${reason}`, { cause: error });
  }
}
