// Lays out a linear memory: addresses one behind the other.

/** Default alignment: a cache line, so that neighbours never share one. */
const LINE = 64;

/**
 * Gives out addresses of a linear memory that does not need to exist yet. The whole layout is known, and can be
 * refused, before a byte of it is allocated. Sizes are exact integers far beyond 4 GiB.
 */
export class Arena {
  /** Bytes given out so far, from address 0. */
  size: number;

  constructor(begin: number) {
    this.size = begin;
  }

  /** The address of `bytes` bytes, aligned to `align` (a power of two). */
  alloc(bytes: number, align = LINE): number {
    const address = Math.ceil(this.size / align) * align;
    this.size = address + bytes;
    return address;
  }
}
