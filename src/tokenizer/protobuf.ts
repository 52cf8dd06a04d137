import { FormatError } from "../util/errors.ts";

/** Wire types that are read; 3 and 4 are groups, which proto2 deprecated. */
const WireType = { varint: 0, fixed64: 1, bytes: 2, fixed32: 5 } as const;

/** A varint is a 64-bit value in groups of 7 bits. */
const MAX_VARINT_BYTES = 10;

/** Field numbers have 29 bits. */
const MAX_FIELD = 2 ** 29 - 1;

const SPELLED = ["varint", "64-bit value", "length and bytes", "group", "end of a group", "32-bit value"];

/**
 * Reads one message of protocol buffers field by field. Every length is checked against the bytes that the
 * message has left; nothing is copied.
 *
 * Source: protobuf.dev/programming-guides/encoding.
 */
export class MessageReader {
  /** Number of the current field. */
  field = 0;
  private wireType = 0;
  private position = 0;
  private fieldOffset = 0;
  private readonly all: Uint8Array;
  private readonly name: string;
  private readonly base: number;

  /**
   * @param bytes the message
   * @param name what error messages call the file
   * @param base offset of the first byte in the file, for error messages
   */
  constructor(bytes: Uint8Array, name: string, base = 0) {
    this.all = bytes;
    this.name = name;
    this.base = base;
  }

  /**
   * Goes to the next field, whose value must then be read or skipped; false at the end.
   * @throws FormatError for a field number or wire type that does not exist
   */
  next(): boolean {
    if (this.position === this.all.length) return false;
    this.fieldOffset = this.base + this.position;
    const tag = this.readVarint();
    this.field = Math.floor(tag / 8);
    this.wireType = tag % 8;
    if (this.field < 1 || this.field > MAX_FIELD) {
      throw this.invalid(`Expected a field number from 1 to ${MAX_FIELD}, got ${this.field}`);
    }
    return true;
  }

  /** The field's value as an unsigned number, inexact above 2^53. @throws FormatError */
  varint(): number {
    this.expect(WireType.varint);
    return this.readVarint();
  }

  /** @throws FormatError */
  bool(): boolean {
    return this.varint() !== 0;
  }

  /** @throws FormatError */
  float(): number {
    this.expect(WireType.fixed32);
    const { buffer, byteOffset } = this.take(4);
    return new DataView(buffer, byteOffset).getFloat32(0, true);
  }

  /** The field's bytes: a view, not a copy. @throws FormatError */
  bytes(): Uint8Array {
    this.expect(WireType.bytes);
    return this.take(this.readVarint());
  }

  /** A reader of the message that the field holds. @throws FormatError */
  message(): MessageReader {
    const bytes = this.bytes();
    return new MessageReader(bytes, this.name, this.base + this.position - bytes.length);
  }

  /** Passes over the field's value. @throws FormatError for a group or a wire type that does not exist */
  skip(): void {
    if (this.wireType === WireType.varint) this.readVarint();
    else if (this.wireType === WireType.fixed64) this.take(8);
    else if (this.wireType === WireType.fixed32) this.take(4);
    else this.bytes();
  }

  private expect(wireType: number): void {
    if (this.wireType === wireType) return;
    const got = SPELLED[this.wireType] ?? `wire type ${this.wireType}`;
    throw this.invalid(`Expected a ${SPELLED[wireType]}, got a ${got}`);
  }

  private readVarint(): number {
    let value = 0;
    for (let i = 0; i < MAX_VARINT_BYTES; i++) {
      const byte = this.all[this.position];
      if (byte === undefined) throw this.invalid("Expected a varint, the message ends inside it");
      this.position++;
      value += (byte & 0x7f) * 2 ** (7 * i);
      if (byte < 0x80) return value;
    }
    throw this.invalid(`Expected a varint of at most ${MAX_VARINT_BYTES} bytes, got a longer one`);
  }

  private take(n: number): Uint8Array {
    const left = this.all.length - this.position;
    if (n > left) throw this.invalid(`Expected ${n} bytes, the message has ${left} left`);
    this.position += n;
    return this.all.subarray(this.position - n, this.position);
  }

  private invalid(problem: string): FormatError {
    return new FormatError(
      `Cannot read ${this.name}: ${problem} (field ${this.field} at offset ${this.fieldOffset})`,
    );
  }
}
