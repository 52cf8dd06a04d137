// Decodes the UTF-8 of pieces in vocabulary files, and refuses what is not UTF-8.
import { FormatError } from "../../util/errors.ts";

const utf8 = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

/** Longer texts are decoded by the runtime, whose decoder is slow to start. */
const SHORT_BYTES = 32;

/**
 * The text of a piece in a file.
 * @throws FormatError if it is empty or not UTF-8
 */
export function pieceText(bytes: Uint8Array, id: number, name: string): string {
  return checkPiece(utf8Text(bytes, 0, bytes.length), id, name);
}

/** A piece's text, as {@link utf8Text} gives it. @throws FormatError if it is empty or not UTF-8 */
export function checkPiece(text: string | undefined, id: number, name: string): string {
  if (text === undefined) throw new FormatError(`Cannot read ${name}: Expected UTF-8 in piece ${id}`);
  if (text === "") throw new FormatError(`Cannot read ${name}: Expected text in piece ${id}, got none`);
  return text;
}

/** The text of bytes [begin, end), undefined if they are not UTF-8. */
export function utf8Text(bytes: Uint8Array, begin: number, end: number): string | undefined {
  return end - begin <= SHORT_BYTES ? decodeShort(bytes, begin, end) : decodeLong(bytes.slice(begin, end));
}

function decodeLong(bytes: Uint8Array<ArrayBuffer>): string | undefined {
  try {
    return utf8.decode(bytes);
  } catch {
    return undefined;
  }
}

function decodeShort(bytes: Uint8Array, begin: number, end: number): string | undefined {
  let text = "";
  for (let i = begin; i < end; ) {
    const first = bytes[i++] as number;
    if (first < 0x80) {
      text += String.fromCharCode(first);
      continue;
    }
    const more = first < 0xe0 ? 1 : first < 0xf0 ? 2 : 3;
    if (first < 0xc2 || first > 0xf4 || i + more > end) return undefined;
    let character = first & (0x3f >> more);
    for (let k = 0; k < more; k++) {
      const byte = bytes[i++] as number;
      if ((byte & 0xc0) !== 0x80) return undefined;
      character = (character << 6) | (byte & 0x3f);
    }
    if (!isScalar(character, more)) return undefined;
    text += String.fromCodePoint(character);
  }
  return text;
}

/** Whether a character of `more` bytes after the first is no surrogate, not too large, and needs as many. */
function isScalar(character: number, more: number): boolean {
  if (more === 2) return character >= 0x800 && (character < 0xd800 || character > 0xdfff);
  return more === 1 || (character >= 0x10000 && character <= 0x10ffff);
}
