// Streaming decoder of ids whose tokens are any bytes.
import { decodeUtf8 } from "../../util/bytes.ts";
import type { TokenStream } from "../core/tokenizer.ts";

/** Bytes of a character at most. */
const LONGEST = 4;

/**
 * Decodes ids whose tokens are any bytes. Text comes out as soon as it is complete, and never half a character.
 * The texts of all pushes and the flush, joined, are what the bytes of all ids, joined, decode to.
 */
export class ByteStream implements TokenStream {
  readonly #bytesOf: (id: number) => Uint8Array;
  /** Bytes of a character that is not complete yet. */
  #open: Uint8Array<ArrayBuffer> = new Uint8Array(0);

  constructor(bytesOf: (id: number) => Uint8Array) {
    this.#bytesOf = bytesOf;
  }

  push(id: number): string {
    const token = this.#bytesOf(id);
    if (token.length === 0) return "";
    const bytes = new Uint8Array(this.#open.length + token.length);
    bytes.set(this.#open);
    bytes.set(token, this.#open.length);
    const complete = bytes.length - openBytes(bytes);
    this.#open = bytes.slice(complete);
    return decodeUtf8(bytes.subarray(0, complete));
  }

  flush(): string {
    const text = decodeUtf8(this.#open);
    this.#open = new Uint8Array(0);
    return text;
  }
}

/** How many bytes at the end begin a character that further bytes may complete. */
function openBytes(bytes: Uint8Array): number {
  const n = bytes.length;
  for (let back = 1; back < LONGEST && back <= n; back++) {
    const byte = bytes[n - back] as number;
    if ((byte & 0xc0) === 0x80) continue;
    const isOpen = sequenceLength(byte) > back && (back === 1 || fits(byte, bytes[n - back + 1] as number));
    return isOpen ? back : 0;
  }
  return 0;
}

/** Bytes of the UTF-8 sequence that a byte begins; 1 if it begins none. */
function sequenceLength(first: number): number {
  if (first < 0xc2 || first > 0xf4) return 1;
  if (first < 0xe0) return 2;
  return first < 0xf0 ? 3 : 4;
}

/** Whether a continuation byte may follow: not in an overlong form, a surrogate or beyond U+10FFFF. */
function fits(first: number, second: number): boolean {
  if (first === 0xe0) return second >= 0xa0;
  if (first === 0xed) return second < 0xa0;
  if (first === 0xf0) return second >= 0x90;
  return first !== 0xf4 || second < 0x90;
}
