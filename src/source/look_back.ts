// The last bytes of a stream, which can be read again.

/**
 * How far back a forward-only source can be read again. Telling formats apart reads the first bytes twice, and a
 * header is fetched in pieces that reach into the tensors behind it.
 */
export const LOOK_BACK_BYTES = 256 << 10;

/** Holds the last bytes of a stream: the last {@link LOOK_BACK_BYTES}, sometimes more. */
export class LookBack {
  #length = 0;
  // Twice the room: older bytes are moved out of the way only now and then.
  readonly #room = new Uint8Array(2 * LOOK_BACK_BYTES);

  /** Bytes that can be read again. */
  get length(): number {
    return this.#length;
  }

  /** Forgets them all. */
  clear(): void {
    this.#length = 0;
  }

  /** Adds bytes at the end. */
  push(bytes: Uint8Array): void {
    const tail = bytes.subarray(Math.max(0, bytes.length - LOOK_BACK_BYTES));
    if (tail.length < bytes.length) this.#length = 0;
    if (this.#length + tail.length > this.#room.length) {
      this.#room.copyWithin(0, this.#length - LOOK_BACK_BYTES, this.#length);
      this.#length = LOOK_BACK_BYTES;
    }
    this.#room.set(tail, this.#length);
    this.#length += tail.length;
  }

  /** Copies bytes that begin `distance` before the end; returns how many there were for `target`. */
  copy(distance: number, target: Uint8Array): number {
    const begin = this.#length - distance;
    const bytes = this.#room.subarray(begin, Math.min(this.#length, begin + target.length));
    target.set(bytes);
    return bytes.length;
  }
}
