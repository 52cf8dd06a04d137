// Writes protocol buffer messages, the encoding of SentencePiece models.

const utf8 = new TextEncoder();

/**
 * Writes one message of protocol buffers, field by field.
 *
 * Source: protobuf.dev/programming-guides/encoding.
 */
export class MessageWriter {
  #all = new Uint8Array(256);
  #length = 0;

  /** What was written. */
  bytes(): Uint8Array<ArrayBuffer> {
    return this.#all.slice(0, this.#length);
  }

  /** An integer from -(2^53 - 1) to 2^53 - 1; negative ones in two's complement of 64 bits, as int32 fields are. */
  integer(field: number, value: number): void {
    this.#varint(field * 8);
    if (value >= 0) this.#varint(value);
    else this.#bigVarint(BigInt.asUintN(64, BigInt(value)));
  }

  bool(field: number, value: boolean): void {
    this.integer(field, value ? 1 : 0);
  }

  float(field: number, value: number): void {
    this.#varint(field * 8 + 5);
    const bytes = new Uint8Array(4);
    new DataView(bytes.buffer).setFloat32(0, value, true);
    this.#append(bytes);
  }

  text(field: number, value: string): void {
    this.data(field, utf8.encode(value));
  }

  message(field: number, message: MessageWriter): void {
    this.data(field, message.bytes());
  }

  data(field: number, bytes: Uint8Array): void {
    this.#varint(field * 8 + 2);
    this.#varint(bytes.length);
    this.#append(bytes);
  }

  #varint(value: number): void {
    let rest = value;
    const bytes: number[] = [];
    while (rest >= 0x80) {
      bytes.push((rest % 0x80) + 0x80);
      rest = Math.floor(rest / 0x80);
    }
    this.#append([...bytes, rest]);
  }

  #bigVarint(value: bigint): void {
    let rest = value;
    const bytes: number[] = [];
    while (rest >= 0x80n) {
      bytes.push(Number(rest % 0x80n) + 0x80);
      rest /= 0x80n;
    }
    this.#append([...bytes, Number(rest)]);
  }

  #append(bytes: ArrayLike<number>): void {
    if (this.#length + bytes.length > this.#all.length) {
      const grown = new Uint8Array(2 * (this.#length + bytes.length));
      grown.set(this.#all.subarray(0, this.#length));
      this.#all = grown;
    }
    this.#all.set(bytes, this.#length);
    this.#length += bytes.length;
  }
}
