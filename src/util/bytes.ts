// Bytes: a cursor that reads them, texts in them, and errors about them.
import { FormatError, MemoryError } from "./errors.ts";

// A byte order mark is text here: vocabularies have it as a token.
const utf8 = new TextDecoder("utf-8", { ignoreBOM: true });

/** Longest piece of a file's own text that an error message repeats. */
const QUOTED_CHARS = 80;

/** Text of UTF-8 bytes, of shared memory too. Invalid sequences become U+FFFD. */
export function decodeUtf8(bytes: Uint8Array): string {
  // Some engines refuse to decode shared memory: copy it out first.
  return utf8.decode(bytes.buffer instanceof ArrayBuffer ? bytes : bytes.slice());
}

/** Text from a file, fit for an error message: quoted, escaped and cut. */
export function quoted(text: string): string {
  return JSON.stringify(text.length > QUOTED_CHARS ? `${text.slice(0, QUOTED_CHARS)}...` : text);
}

/** `offset` rounded up to a multiple of `alignment` (a power of two). Exact below 2^53. */
export function alignUp(offset: number, alignment: number): number {
  return Math.ceil(offset / alignment) * alignment;
}

/** Bytes as people read them: "64.0 MiB". */
export function mebibytes(bytes: number): string {
  return `${(bytes / 2 ** 20).toFixed(1)} MiB`;
}

/** Bytes in decimal units, as networks and disks count: "3.4 MB". */
export function sizeText(bytes: number): string {
  if (bytes >= 1e9) return `${(bytes / 1e9).toFixed(2)} GB`;
  return bytes >= 1e5 ? `${(bytes / 1e6).toFixed(1)} MB` : `${Math.round(bytes / 1e3)} kB`;
}

/** Zeros, as many as `what` takes. @throws MemoryError if the runtime gives no such buffer */
export function newBytes(bytes: number, what: string): Uint8Array<ArrayBuffer> {
  try {
    return new Uint8Array(bytes);
  } catch (cause) {
    const size = `${bytes} bytes (${mebibytes(bytes)})`;
    throw new MemoryError(
      `Cannot allocate ${what}: Expected the runtime to give ${size}, it refuses (${cause})`,
      {
        cause,
      },
    );
  }
}

/** The error of a read past the end of a file. */
export function endOfFile(name: string, offset: number, n: number, size: number): FormatError {
  return new FormatError(
    `Cannot read ${name}: Expected ${n} bytes at offset ${offset}, the file ends at ${size}`,
  );
}

/**
 * Reads little-endian values one after the other and never past the end.
 * Every read throws a FormatError that names the file, the offset and the bytes expected, and moves
 * `position` only when it succeeds.
 */
export class ByteCursor {
  /** Next byte to read, counted from the start of the bytes. */
  position = 0;
  readonly #all: Uint8Array;
  readonly #view: DataView;
  readonly #name: string;
  readonly #base: number;

  /**
   * @param bytes what to read; may be shared memory
   * @param name what error messages call the file
   * @param base offset of the first byte in the file, for error messages
   */
  constructor(bytes: Uint8Array, name: string, base = 0) {
    this.#all = bytes;
    this.#view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    this.#name = name;
    this.#base = base;
  }

  /** Bytes not read yet. */
  get remaining(): number {
    return this.#all.length - this.position;
  }

  /** Offset in the file of the next byte. */
  get offset(): number {
    return this.#base + this.position;
  }

  u8(): number {
    return this.#view.getUint8(this.#take(1));
  }

  i8(): number {
    return this.#view.getInt8(this.#take(1));
  }

  u16(): number {
    return this.#view.getUint16(this.#take(2), true);
  }

  i16(): number {
    return this.#view.getInt16(this.#take(2), true);
  }

  u32(): number {
    return this.#view.getUint32(this.#take(4), true);
  }

  i32(): number {
    return this.#view.getInt32(this.#take(4), true);
  }

  f32(): number {
    return this.#view.getFloat32(this.#take(4), true);
  }

  f64(): number {
    return this.#view.getFloat64(this.#take(8), true);
  }

  /** A number up to 2^53 - 1, a bigint beyond. */
  u64(): number | bigint {
    return exact(this.#view.getBigUint64(this.#take(8), true));
  }

  /** A number from -(2^53 - 1) to 2^53 - 1, a bigint outside. */
  i64(): number | bigint {
    return exact(this.#view.getBigInt64(this.#take(8), true));
  }

  /**
   * A u64 that counts or measures something.
   * @param max the most that is believed; must be below 2^53
   * @param what the plural that the message names ("bytes", "tensors")
   * @throws FormatError above `max`
   */
  length(max: number, what: string): number {
    const { offset } = this;
    const n = this.u64();
    if (n > max) {
      throw new FormatError(
        `Cannot read ${this.#name}: Expected at most ${max} ${what} at offset ${offset}, got ${n}`,
      );
    }
    return Number(n);
  }

  /** The next `n` bytes: a view, not a copy. */
  bytes(n: number): Uint8Array {
    const begin = this.#take(n);
    return this.#all.subarray(begin, begin + n);
  }

  /** The next `n` bytes as UTF-8. */
  text(n: number): string {
    return decodeUtf8(this.bytes(n));
  }

  /** Up to `n` of the next bytes, without reading them: a view, not a copy. */
  peek(n: number): Uint8Array {
    return this.#all.subarray(this.position, this.position + n);
  }

  skip(n: number): void {
    this.#take(n);
  }

  #take(n: number): number {
    // The negation also refuses NaN.
    if (!(n >= 0 && n <= this.remaining)) {
      throw endOfFile(this.#name, this.offset, n, this.#base + this.#all.length);
    }
    const begin = this.position;
    this.position += n;
    return begin;
  }
}

function exact(value: bigint): number | bigint {
  const small = value >= Number.MIN_SAFE_INTEGER && value <= Number.MAX_SAFE_INTEGER;
  return small ? Number(value) : value;
}
