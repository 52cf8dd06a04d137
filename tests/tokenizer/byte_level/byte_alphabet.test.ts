// The alphabet of byte-level vocabularies: every byte there and back.
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import {
  byteSpelling,
  bytesOfSpelling,
  writeSpelling,
} from "../../../src/tokenizer/byte_level/byte_alphabet.ts";

describe("byteSpelling()", () => {
  const all = Uint8Array.from({ length: 256 }, (_, byte) => byte);

  it("byteSpelling() gives every byte a character of its own, printable ones themselves", () => {
    const spelled = byteSpelling(all);
    assert.equal(new Set(spelled).size, 256);
    assert.equal(spelled.slice(0x21, 0x7f), String.fromCharCode(...all.subarray(0x21, 0x7f)));
    assert.equal(byteSpelling(Uint8Array.of(0, 0x20, 0x0a, 0x7f, 0xa0, 0xad, 0xff)), "ĀĠĊġłŃÿ");
    assert.equal(byteSpelling(new Uint8Array(0)), "");
  });

  it("bytesOfSpelling() is its inverse, and undefined for other characters", () => {
    assert.deepEqual(bytesOfSpelling(byteSpelling(all)), all);
    assert.deepEqual(bytesOfSpelling(""), new Uint8Array(0));
    for (const text of [" ", "a b", "中", "ń\u0144", "\u0144", "\0", "\xad", "😀"]) {
      assert.equal(bytesOfSpelling(text), undefined, text);
    }
  });

  it("writeSpelling() gives the end of what it wrote, or -1", () => {
    const bytes = new Uint8Array(4);
    assert.equal(writeSpelling("Ġa", bytes, 1), 3);
    assert.deepEqual(bytes, Uint8Array.of(0, 0x20, 0x61, 0));
    assert.equal(writeSpelling("a a", bytes, 0), -1);
  });
});
