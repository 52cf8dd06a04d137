// The cursor over bytes.
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { alignUp, ByteCursor, decodeUtf8, newBytes, quoted } from "../../src/util/bytes.ts";
import { FormatError } from "../../src/util/errors.ts";

const bytes = (...values: number[]) => Uint8Array.from(values);
const ff = (n: number) => new Uint8Array(n).fill(0xff);

describe("ByteCursor", () => {
  it("ByteCursor() reads every type little-endian, one after the other", () => {
    const all = new Uint8Array(64);
    const view = new DataView(all.buffer);
    view.setUint8(0, 200);
    view.setInt8(1, -100);
    view.setUint16(2, 0xfedc, true);
    view.setInt16(4, -3, true);
    view.setUint32(6, 0xfedcba98, true);
    view.setInt32(10, -7, true);
    view.setFloat32(14, 1.5, true);
    view.setFloat64(18, Math.PI, true);
    view.setBigUint64(26, 1n << 40n, true);
    view.setBigInt64(34, -(1n << 40n), true);
    const cursor = new ByteCursor(all, "f");
    assert.equal(cursor.u8(), 200);
    assert.equal(cursor.i8(), -100);
    assert.equal(cursor.u16(), 0xfedc);
    assert.equal(cursor.i16(), -3);
    assert.equal(cursor.u32(), 0xfedcba98);
    assert.equal(cursor.i32(), -7);
    assert.equal(cursor.f32(), 1.5);
    assert.equal(cursor.f64(), Math.PI);
    assert.equal(cursor.u64(), 2 ** 40);
    assert.equal(cursor.i64(), -(2 ** 40));
    assert.equal(cursor.position, 42);
    assert.equal(cursor.remaining, 22);
  });

  it("ByteCursor() reads from the middle of a buffer", () => {
    const cursor = new ByteCursor(bytes(9, 9, 1, 0, 2, 9).subarray(2, 5), "f");
    assert.equal(cursor.u16(), 1);
    assert.equal(cursor.u8(), 2);
    assert.equal(cursor.remaining, 0);
  });

  it("u64() and i64() are numbers up to 2^53 - 1 and bigints beyond", () => {
    const at = (value: bigint) => {
      const all = new Uint8Array(8);
      new DataView(all.buffer).setBigUint64(0, BigInt.asUintN(64, value), true);
      return new ByteCursor(all, "f");
    };
    assert.equal(at(2n ** 53n - 1n).u64(), 2 ** 53 - 1);
    assert.equal(at(2n ** 53n).u64(), 2n ** 53n);
    assert.equal(at(2n ** 64n - 1n).u64(), 2n ** 64n - 1n);
    assert.equal(at(0n).u64(), 0);
    assert.equal(at(-(2n ** 53n) + 1n).i64(), -(2 ** 53) + 1);
    assert.equal(at(-(2n ** 53n)).i64(), -(2n ** 53n));
    assert.equal(at(-(2n ** 63n)).i64(), -(2n ** 63n));
  });

  it("ByteCursor() refuses to read past the end and stays where it was", () => {
    const reads: ((cursor: ByteCursor) => unknown)[] = [
      (c) => c.u16(),
      (c) => c.i16(),
      (c) => c.u32(),
      (c) => c.i32(),
      (c) => c.f32(),
      (c) => c.f64(),
      (c) => c.u64(),
      (c) => c.i64(),
      (c) => c.length(9, "things"),
      (c) => c.bytes(2),
      (c) => c.text(2),
      (c) => c.skip(2),
      (c) => c.skip(-1),
      (c) => c.bytes(Number.NaN),
      (c) => c.bytes(2 ** 53),
    ];
    for (const read of reads) {
      const cursor = new ByteCursor(bytes(1, 2, 3), "some.bin", 100);
      cursor.skip(2);
      assert.throws(
        () => read(cursor),
        (error) =>
          error instanceof FormatError &&
          /^Cannot read some\.bin: Expected \S+ bytes at offset 102, the file ends at 103$/.test(
            error.message,
          ),
      );
      assert.equal(cursor.u8(), 3);
      assert.throws(() => cursor.u8(), FormatError);
      assert.throws(() => cursor.i8(), FormatError);
    }
  });

  it("length() refuses what is above its limit and names both", () => {
    assert.equal(new ByteCursor(bytes(5, 0, 0, 0, 0, 0, 0, 0), "f").length(5, "things"), 5);
    for (const [all, got] of [
      [bytes(6, 0, 0, 0, 0, 0, 0, 0), "6"],
      [ff(8), "18446744073709551615"],
      [bytes(0, 0, 0, 0, 0, 0, 0, 0x80), "9223372036854775808"],
    ] as const) {
      assert.throws(() => new ByteCursor(all, "f", 8).length(5, "things"), {
        name: "FormatError",
        message: `Cannot read f: Expected at most 5 things at offset 8, got ${got}`,
      });
    }
  });

  it("bytes() is a view, peek() does not move and gives what there is", () => {
    const all = bytes(1, 2, 3);
    const cursor = new ByteCursor(all, "f");
    assert.deepEqual([...cursor.peek(9)], [1, 2, 3]);
    assert.equal(cursor.bytes(2).buffer, all.buffer);
    assert.deepEqual([...cursor.peek(9)], [3]);
    assert.equal(cursor.bytes(0).length, 0);
    assert.equal(cursor.offset, 2);
  });
});

describe("decodeUtf8", () => {
  it("decodeUtf8() keeps byte order marks and replaces invalid sequences", () => {
    assert.equal(decodeUtf8(bytes()), "");
    assert.equal(decodeUtf8(bytes(0xef, 0xbb, 0xbf)), "\ufeff");
    assert.equal(decodeUtf8(bytes(0xe2, 0x96, 0x81, 0x61)), "▁a");
    assert.equal(decodeUtf8(bytes(0x61, 0xff, 0x62)), "a\ufffdb");
    assert.equal(decodeUtf8(bytes(0x61, 0)), "a\0");
  });

  it("decodeUtf8() reads shared memory", () => {
    const memory = new WebAssembly.Memory({ initial: 1, maximum: 1, shared: true });
    const view = new Uint8Array(memory.buffer, 10, 3);
    view.set(bytes(0x61, 0x62, 0x63));
    assert.equal(decodeUtf8(view), "abc");
    assert.equal(new ByteCursor(view, "f").text(2), "ab");
  });
});

describe("quoted", () => {
  it("quoted() escapes and cuts", () => {
    assert.equal(quoted(""), '""');
    assert.equal(quoted('a"\n\u001b[31m'), '"a\\"\\n\\u001b[31m"');
    assert.equal(quoted("x".repeat(200)), `"${"x".repeat(80)}..."`);
  });
});

describe("alignUp", () => {
  it("alignUp() rounds up, also far above 2^32", () => {
    assert.deepEqual(
      [0, 1, 31, 32, 33].map((n) => alignUp(n, 32)),
      [0, 32, 32, 32, 64],
    );
    assert.equal(alignUp(7, 1), 7);
    assert.equal(alignUp(2 ** 45 + 1, 64), 2 ** 45 + 64);
  });
});

describe("newBytes()", () => {
  it("newBytes() gives zeros, or says how many bytes were refused", () => {
    assert.deepEqual(newBytes(3, "three"), new Uint8Array(3));
    assert.throws(() => newBytes(2 ** 52, "much"), {
      name: "MemoryError",
      message:
        /^Cannot allocate much: Expected the runtime to give 4503599627370496 bytes \(4294967296\.0 MiB\), it refuses/,
    });
  });
});
