// Reads protocol buffer messages, the encoding of SentencePiece models.
import { FormatError } from "../../util/errors.ts";
import { utf8Text } from "../core/piece_text.ts";

/** Wire types that are read; 3 and 4 are groups, which proto2 deprecated. */
const WireType = { varint: 0, fixed64: 1, bytes: 2, fixed32: 5 } as const;

/** A varint is a 64-bit value in groups of 7 bits. */
const MAX_VARINT_BYTES = 10;

/** Field numbers have 29 bits. */
const MAX_FIELD = 2 ** 29 - 1;

const SPELLED = ["varint", "64-bit value", "length and bytes", "group", "end of a group", "32-bit value"];

/** Where the bytes of a float are put to be read. */
const floatBytes = new Uint8Array(4);
const floatView = new DataView(floatBytes.buffer);

/**
 * Reads one message of protocol buffers field by field. Every length is checked against the bytes that the
 * message has left; nothing is copied.
 *
 * Source: protobuf.dev/programming-guides/encoding.
 */
export class MessageReader {
  /** Number of the current field. */
  field = 0;
  #wireType = 0;
  #position: number;
  #fieldOffset = 0;
  readonly #file: Uint8Array;
  readonly #name: string;
  readonly #end: number;

  /**
   * @param file the bytes of a file
   * @param name what error messages call the file
   * @param begin where the message begins in the file; default: the whole file is the message
   * @param end where it ends
   */
  constructor(file: Uint8Array, name: string, begin = 0, end = file.length) {
    this.#file = file;
    this.#name = name;
    this.#position = begin;
    this.#end = end;
  }

  /**
   * Goes to the next field, whose value must then be read or skipped; false at the end.
   * @throws FormatError for a field number or wire type that does not exist
   */
  next(): boolean {
    if (this.#position === this.#end) return false;
    this.#fieldOffset = this.#position;
    const tag = this.#readVarint();
    this.field = Math.floor(tag / 8);
    this.#wireType = tag % 8;
    if (this.field < 1 || this.field > MAX_FIELD) {
      throw this.#invalid(`Expected a field number from 1 to ${MAX_FIELD}, got ${this.field}`);
    }
    return true;
  }

  /** The field's value as an unsigned number, inexact above 2^53. @throws FormatError */
  varint(): number {
    this.#expect(WireType.varint);
    return this.#readVarint();
  }

  /** @throws FormatError */
  bool(): boolean {
    return this.varint() !== 0;
  }

  /** @throws FormatError */
  float(): number {
    this.#expect(WireType.fixed32);
    const at = this.#take(4);
    for (let i = 0; i < 4; i++) floatBytes[i] = this.#file[at + i] as number;
    return floatView.getFloat32(0, true);
  }

  /** The field's bytes: a view, not a copy. @throws FormatError */
  bytes(): Uint8Array {
    this.#expect(WireType.bytes);
    const begin = this.#take(this.#readVarint());
    return this.#file.subarray(begin, this.#position);
  }

  /** The field's bytes as text, undefined if they are not UTF-8. @throws FormatError */
  text(): string | undefined {
    this.#expect(WireType.bytes);
    const begin = this.#take(this.#readVarint());
    return utf8Text(this.#file, begin, this.#position);
  }

  /** A reader of the message that the field holds. @throws FormatError */
  message(): MessageReader {
    this.#expect(WireType.bytes);
    const begin = this.#take(this.#readVarint());
    return new MessageReader(this.#file, this.#name, begin, this.#position);
  }

  /** Passes over the field's value. @throws FormatError for a group or a wire type that does not exist */
  skip(): void {
    if (this.#wireType === WireType.varint) this.#readVarint();
    else if (this.#wireType === WireType.fixed64) this.#take(8);
    else if (this.#wireType === WireType.fixed32) this.#take(4);
    else this.bytes();
  }

  #expect(wireType: number): void {
    if (this.#wireType === wireType) return;
    const got = SPELLED[this.#wireType] ?? `wire type ${this.#wireType}`;
    throw this.#invalid(`Expected a ${SPELLED[wireType]}, got a ${got}`);
  }

  #readVarint(): number {
    const file = this.#file;
    const end = this.#end;
    let value = 0;
    for (let i = 0; i < MAX_VARINT_BYTES; i++) {
      if (this.#position === end) throw this.#invalid("Expected a varint, the message ends inside it");
      const byte = file[this.#position++] as number;
      value += i < 4 ? (byte & 0x7f) << (7 * i) : (byte & 0x7f) * 2 ** (7 * i);
      if (byte < 0x80) return value;
    }
    throw this.#invalid(`Expected a varint of at most ${MAX_VARINT_BYTES} bytes, got a longer one`);
  }

  /** Where `n` bytes begin, which it passes over. */
  #take(n: number): number {
    const left = this.#end - this.#position;
    if (n > left) throw this.#invalid(`Expected ${n} bytes, the message has ${left} left`);
    this.#position += n;
    return this.#position - n;
  }

  #invalid(problem: string): FormatError {
    return new FormatError(
      `Cannot read ${this.#name}: ${problem} (field ${this.field} at offset ${this.#fieldOffset})`,
    );
  }
}
