// Splits a corpus into texts and lines, whatever its parts are.
import type { Corpus } from "../options.ts";

/**
 * Stands for a byte that is not part of valid UTF-8, until a line is normalized: a surrogate alone, which no
 * rule changes. U+FFFD in its place would be read as a space by the rules of machine translation.
 */
export const BROKEN = "\udc00";

/** A text with U+FFFD for each broken byte. */
export function withoutBroken(text: string): string {
  return text.toWellFormed();
}

/**
 * Decodes a corpus: strings, none of them empty, in which all surrogates alone are {@link BROKEN}. As in
 * SentencePiece, a broken byte is one by itself, also where several begin a character that is not completed.
 */
export async function* textParts(corpus: Corpus): AsyncGenerator<string> {
  const decoder = new Utf8Decoder();
  // A surrogate pair may be cut by the end of a part.
  let half = "";
  for await (const part of corpus) {
    let text: string;
    if (typeof part === "string") {
      const joined = half + part;
      half = endsInHalf(joined) ? joined.slice(-1) : "";
      text = decoder.end() + joined.slice(0, joined.length - half.length).toWellFormed();
    } else {
      text = half.toWellFormed() + decoder.decode(part);
      half = "";
    }
    if (text !== "") yield text;
  }
  const rest = half.toWellFormed() + decoder.end();
  if (rest !== "") yield rest;
}

/** Decodes UTF-8 part by part; every byte that is no part of a character is {@link BROKEN}. */
class Utf8Decoder {
  readonly #strict = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });
  /** Up to three bytes that may begin a character. */
  #pending = new Uint8Array(0);

  decode(part: Uint8Array): string {
    const bytes = new Uint8Array(this.#pending.length + part.length);
    bytes.set(this.#pending);
    bytes.set(part, this.#pending.length);
    const end = bytes.length - openBytes(bytes);
    this.#pending = bytes.slice(end);
    return this.#text(bytes.subarray(0, end));
  }

  /** What is left is broken. */
  end(): string {
    const text = BROKEN.repeat(this.#pending.length);
    this.#pending = new Uint8Array(0);
    return text;
  }

  #text(bytes: Uint8Array): string {
    try {
      return this.#strict.decode(bytes);
    } catch {
      return this.#brokenText(bytes);
    }
  }

  #brokenText(bytes: Uint8Array): string {
    let text = "";
    let begin = 0;
    for (let i = 0; i < bytes.length; ) {
      const length = characterBytes(bytes, i);
      if (length > 0) {
        i += length;
        continue;
      }
      text += this.#strict.decode(bytes.subarray(begin, i)) + BROKEN;
      i++;
      begin = i;
    }
    return text + this.#strict.decode(bytes.subarray(begin));
  }
}

/** Bytes at the end that begin a character and do not complete it: fewer than it has. */
function openBytes(bytes: Uint8Array): number {
  for (let n = 1; n <= 3 && n <= bytes.length; n++) {
    const byte = bytes[bytes.length - n] as number;
    if (byte >= 0xc0) return leadLength(byte) > n ? n : 0;
    if (byte < 0x80) return 0;
  }
  return 0;
}

/** Bytes of the character that begins so; 1 for what begins none. */
function leadLength(byte: number): number {
  if (byte < 0xc0) return 1;
  return byte < 0xe0 ? 2 : byte < 0xf0 ? 3 : byte < 0xf8 ? 4 : 1;
}

/** Bytes of the character at `at`; 0 for a broken byte. Overlong forms and surrogates are no characters. */
function characterBytes(bytes: Uint8Array, at: number): number {
  const first = bytes[at] as number;
  if (first < 0x80) return 1;
  const length = leadLength(first);
  if (length === 1 || at + length > bytes.length) return 0;
  let character = first & (0x7f >> length);
  for (let i = 1; i < length; i++) {
    const byte = bytes[at + i] as number;
    if ((byte & 0xc0) !== 0x80) return 0;
    character = (character << 6) | (byte & 0x3f);
  }
  const least = length === 2 ? 0x80 : length === 3 ? 0x800 : 0x10000;
  const isSurrogate = character >= 0xd800 && character < 0xe000;
  return character >= least && character <= 0x10ffff && !isSurrogate ? length : 0;
}

function endsInHalf(text: string): boolean {
  const last = text.charCodeAt(text.length - 1);
  return last >= 0xd800 && last < 0xdc00;
}

/**
 * Cuts parts of a text into lines, without their line ends ("\n"). Of a line that is longer than a limit no
 * more is kept than tells that it is.
 */
export class LineSplitter {
  readonly #maxUnits: number;
  #pending = "";

  /** @param maxUnits a line of more UTF-16 units is too long, and comes out cut after some more */
  constructor(maxUnits: number) {
    this.#maxUnits = maxUnits;
  }

  /** The lines that a part completes. */
  *push(part: string): Generator<string> {
    let begin = 0;
    for (let end = part.indexOf("\n"); end >= 0; end = part.indexOf("\n", begin)) {
      this.#keep(part, begin, end);
      yield this.#take();
      begin = end + 1;
    }
    this.#keep(part, begin, part.length);
  }

  /** The line that the text ends with, if it does not end with a line end. */
  *flush(): Generator<string> {
    if (this.#pending !== "") yield this.#take();
  }

  #keep(part: string, begin: number, end: number): void {
    const room = this.#maxUnits + 1 - this.#pending.length;
    if (room > 0) this.#pending += part.slice(begin, Math.min(end, begin + room));
  }

  #take(): string {
    const line = this.#pending;
    this.#pending = "";
    return line;
  }
}

/** Bytes of a text as it was in the corpus. */
export function utf8Length(text: string): number {
  let bytes = 0;
  for (let i = 0; i < text.length; i++) {
    const unit = text.charCodeAt(i);
    if (unit < 0x80) bytes++;
    else if (unit < 0x800) bytes += 2;
    else if (unit < 0xd800 || unit >= 0xe000) bytes += 3;
    else if (unit >= 0xdc00) bytes++;
    else {
      bytes += 4;
      i++;
    }
  }
  return bytes;
}
