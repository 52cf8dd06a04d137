// Text from files and standard input: UTF-8, with or without a byte order mark.
import { SourceError } from "../util/errors.ts";

/**
 * The bytes after a byte order mark of UTF-8. Windows programs put one before a text; no reader sees it.
 * @param name what the error calls the text
 * @throws SourceError for the mark of UTF-16 or UTF-32, which is not read
 */
export function withoutByteOrderMark(bytes: Uint8Array, name: string): Uint8Array {
  const begins = (mark: readonly number[]) => mark.every((byte, i) => bytes[i] === byte);
  if (begins(UTF8_MARK)) return bytes.subarray(UTF8_MARK.length);
  const wide = wideMarks.find(({ mark }) => begins(mark));
  if (!wide) return bytes;
  throw new SourceError(
    `Cannot read ${name}: Expected UTF-8 text, got ${wide.encoding}; ` +
      `convert it, for example with: iconv -f ${wide.encoding} -t UTF-8`,
  );
}

/** Most bytes that a byte order mark has. */
export const MAX_MARK_BYTES = 4;

/**
 * A text without its byte order mark.
 * @param name what the error calls the text
 * @throws SourceError for bytes that are not UTF-8
 */
export function decodeText(bytes: Uint8Array, name: string): string {
  const text = withoutByteOrderMark(bytes, name);
  try {
    return new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(text);
  } catch {
    throw new SourceError(`Cannot read ${name}: Expected UTF-8 text`);
  }
}

const UTF8_MARK = [0xef, 0xbb, 0xbf];

// UTF-32 before UTF-16, whose little-endian mark it begins with.
const wideMarks: readonly { readonly encoding: string; readonly mark: readonly number[] }[] = [
  { encoding: "UTF-32", mark: [0xff, 0xfe, 0, 0] },
  { encoding: "UTF-32", mark: [0, 0, 0xfe, 0xff] },
  { encoding: "UTF-16", mark: [0xff, 0xfe] },
  { encoding: "UTF-16", mark: [0xfe, 0xff] },
];
