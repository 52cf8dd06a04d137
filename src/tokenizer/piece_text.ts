import { FormatError } from "../util/errors.ts";

const utf8 = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

/**
 * The text of a piece in a file.
 * @throws FormatError where it is empty or not UTF-8
 */
export function pieceText(bytes: Uint8Array, id: number, name: string): string {
  if (bytes.length === 0)
    throw new FormatError(`Cannot read ${name}: Expected text in piece ${id}, got none`);
  try {
    // Some engines refuse to decode shared memory: copy it out first.
    return utf8.decode(bytes.buffer instanceof ArrayBuffer ? bytes : bytes.slice());
  } catch (cause) {
    throw new FormatError(`Cannot read ${name}: Expected UTF-8 in piece ${id}`, { cause });
  }
}
