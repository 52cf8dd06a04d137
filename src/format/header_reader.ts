// Reads the header of a file in bounded pieces.
import type { ByteSource } from "../source/byte_source.ts";
import { LOOK_BACK_BYTES } from "../source/look_back.ts";
import { ByteCursor, endOfFile } from "../util/bytes.ts";
import { FormatError } from "../util/errors.ts";

/**
 * Bytes fetched at once from a source of known size. What is fetched beyond the header must still be within
 * the look-back of a forward-only source when the first tensor is read.
 */
export const HEADER_CHUNK_BYTES = Math.min(64 << 10, LOOK_BACK_BYTES);

/**
 * Reads a header from the start of a source in bounded pieces. It holds what is fetched and not read yet, and allocates
 * no more than the file can hold. From a source of unknown size it fetches only bytes that the format says must be there,
 * in steps that at most double what has already arrived.
 */
export class HeaderReader {
  readonly #source: ByteSource;
  readonly #maxBytes: number;
  #cursor: ByteCursor;

  /** @param maxBytes the longest header that is believed */
  constructor(source: ByteSource, maxBytes: number) {
    this.#source = source;
    this.#maxBytes = maxBytes;
    this.#cursor = new ByteCursor(new Uint8Array(0), source.name);
  }

  /** Offset in the source of the next byte. */
  get offset(): number {
    return this.#cursor.offset;
  }

  /**
   * A cursor at the next byte with at least `n` bytes to read. Cursors of earlier calls must not be read on.
   * @throws FormatError when the file ends before, or the header grows longer than is believed
   */
  async need(n: number): Promise<ByteCursor> {
    if (this.#cursor.remaining >= n) return this.#cursor;
    this.#check(n);
    while (this.#cursor.remaining < n) await this.#fetch(n - this.#cursor.remaining);
    return this.#cursor;
  }

  /** A string: u64 length in bytes, then UTF-8. */
  async text(maxBytes: number, what: string): Promise<string> {
    const n = (await this.need(8)).length(maxBytes, what);
    return (await this.need(n)).text(n);
  }

  /** `count` strings, see {@link HeaderReader.text}. */
  async texts(count: number, maxBytes: number, what: string): Promise<string[]> {
    const texts: string[] = [];
    let cursor = this.#cursor;
    for (let i = 0; i < count; i++) {
      // Awaiting only if bytes are missing makes large vocabularies fast. Each string still to come has at least its
      // length: that many bytes must follow.
      if (cursor.remaining < 8) cursor = await this.need(8 * (count - i));
      const n = cursor.length(maxBytes, what);
      if (cursor.remaining < n) cursor = await this.need(n);
      texts.push(cursor.text(n));
    }
    return texts;
  }

  #check(n: number): void {
    const { name, size } = this.#source;
    if (this.offset + n > this.#maxBytes) {
      throw new FormatError(
        `Cannot read ${name}: Expected a header of at most ${this.#maxBytes} bytes, got ${this.offset + n} or more`,
      );
    }
    if (size !== undefined && this.offset + n > size) throw endOfFile(name, this.offset, n, size);
  }

  async #fetch(missing: number): Promise<void> {
    const held = this.#cursor.bytes(this.#cursor.remaining);
    const base = this.offset - held.length;
    const bytes = new Uint8Array(held.length + this.#step(missing, held.length));
    bytes.set(held);
    await this.#source.read(base + held.length, bytes.subarray(held.length));
    this.#cursor = new ByteCursor(bytes, this.#source.name, base);
  }

  #step(missing: number, held: number): number {
    const { size } = this.#source;
    if (size === undefined) return Math.min(missing, Math.max(held, HEADER_CHUNK_BYTES));
    return Math.min(Math.max(missing, HEADER_CHUNK_BYTES), size - this.offset);
  }
}

/** Whether there is a byte at `offset`, the first that is not known to be there. */
export async function hasByte(source: ByteSource, offset: number): Promise<boolean> {
  if (source.size !== undefined) return source.size > offset;
  try {
    await source.read(offset, new Uint8Array(1));
    return true;
  } catch (error) {
    if (error instanceof FormatError) return false;
    throw error;
  }
}
