// The text of tokens that are bytes, while ids are decoded.
import { decodeUtf8 } from "../../util/bytes.ts";
import { ByteStream } from "../byte_level/byte_stream.ts";
import type { TokenStream } from "../core/tokenizer.ts";

/**
 * Raw text is text in which bytes that are not (yet) part of a UTF-8 sequence are lone surrogates, byte b being
 * U+DC00 + b, as in Python's "surrogateescape". Parts of characters can so be put together as strings.
 */
const RAW_BYTE = 0xdc00;

const utf8 = new TextEncoder();
const strictUtf8 = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

/** Bytes as raw text: their whole characters as text. */
export function rawText(bytes: Uint8Array<ArrayBuffer>): string {
  const whole = strict(bytes);
  if (whole !== undefined) return whole;
  let text = "";
  for (let i = 0; i < bytes.length; ) {
    const n = [1, 2, 3, 4].find(
      (length) => i + length <= bytes.length && strict(bytes.subarray(i, i + length)) !== undefined,
    );
    text += n === undefined ? rawByte(bytes[i] as number) : strict(bytes.subarray(i, i + n));
    i += n ?? 1;
  }
  return text;
}

/** One byte as raw text. */
export function rawByte(byte: number): string {
  return String.fromCharCode(byte < 0x80 ? byte : RAW_BYTE + byte);
}

/** The bytes of raw text. */
export function bytesOfRaw(raw: string): Uint8Array<ArrayBuffer> {
  if (raw.isWellFormed()) return utf8.encode(raw);
  const bytes = new Uint8Array(3 * raw.length);
  let n = 0;
  for (let i = 0; i < raw.length; ) {
    const character = raw.codePointAt(i) as number;
    if (character >= RAW_BYTE && character <= RAW_BYTE + 0xff) {
      bytes[n++] = character - RAW_BYTE;
      i++;
      continue;
    }
    let end = i + 1;
    while (end < raw.length && (raw.charCodeAt(end) < 0xd800 || raw.charCodeAt(end) > 0xdfff)) end++;
    if (character > 0xffff) end = i + 2;
    n += utf8.encodeInto(raw.slice(i, end), bytes.subarray(n)).written;
    i = end;
  }
  return bytes.slice(0, n);
}

/** Raw text as text; bytes that are no UTF-8 become U+FFFD. */
export function textOfRaw(raw: string): string {
  return raw.isWellFormed() ? raw : decodeUtf8(bytesOfRaw(raw));
}

/** Turns raw text that comes in parts into text, never half a character. */
export class RawTextStream {
  #part: Uint8Array<ArrayBuffer> = new Uint8Array(0);
  #isOpen = false;
  readonly #stream: TokenStream = new ByteStream(() => this.#part);

  push(raw: string): string {
    if (raw === "" || (!this.#isOpen && raw.isWellFormed())) return raw;
    this.#part = bytesOfRaw(raw);
    this.#isOpen = true;
    return this.#stream.push(0);
  }

  flush(): string {
    this.#isOpen = false;
    return this.#stream.flush();
  }
}

function strict(bytes: Uint8Array<ArrayBuffer>): string | undefined {
  try {
    return strictUtf8.decode(bytes);
  } catch {
    return undefined;
  }
}
