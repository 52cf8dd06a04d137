// Headers read in bounded pieces.
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { HEADER_CHUNK_BYTES, HeaderReader } from "../../src/format/header_reader.ts";
import type { ByteSource } from "../../src/source/byte_source.ts";
import { bytesSource } from "../../src/source/bytes.ts";
import { streamSource } from "../../src/source/stream.ts";
import { chunked, refused } from "../support/refused.ts";

const data = Uint8Array.from({ length: 3 * HEADER_CHUNK_BYTES + 11 }, (_, i) => (i * 31 + (i >> 8)) & 255);

const sources: [string, () => ByteSource][] = [
  ["known", () => bytesSource(data, "d")],
  ["unknown", () => streamSource(chunked(data, 1000), "d")],
];

/** Zeros without end. */
const endless: ByteSource = { name: "endless", size: undefined, read: async () => {}, close: async () => {} };

/** Strings as headers hold them. */
function strings(...lengths: number[]): Uint8Array {
  const bytes = new Uint8Array(lengths.reduce((sum, n) => sum + 8 + n, 0)).fill(0x78);
  let at = 0;
  for (const n of lengths) {
    new DataView(bytes.buffer).setBigUint64(at, BigInt(n), true);
    at += 8 + n;
  }
  return bytes;
}

for (const [size, open] of sources) {
  describe(`HeaderReader, ${size} size`, () => {
    it("need() gives the bytes in their order across chunks", async () => {
      const reader = new HeaderReader(open(), data.length);
      let at = 0;
      for (const n of [0, 1, 7, 64, HEADER_CHUNK_BYTES - 1, 3, HEADER_CHUNK_BYTES + 5, 0, 11]) {
        const cursor = await reader.need(n);
        assert.deepEqual(cursor.bytes(n), data.subarray(at, at + n));
        at += n;
        assert.equal(reader.offset, at);
      }
    });

    it("need() keeps what was not read", async () => {
      const reader = new HeaderReader(open(), data.length);
      (await reader.need(100)).skip(10);
      assert.deepEqual((await reader.need(data.length - 10)).bytes(data.length - 10), data.subarray(10));
    });

    it("need() refuses more than the file has", async () => {
      const reader = new HeaderReader(open(), 2 * data.length);
      (await reader.need(data.length - 3)).skip(data.length - 3);
      await refused(
        reader.need(4),
        /^Cannot read d: Expected \d bytes at offset \d+, the file ends at 196619$/,
      );
    });

    it("need() refuses a header that is too long", async () => {
      const reader = new HeaderReader(open(), 1000);
      (await reader.need(999)).skip(999);
      assert.equal((await reader.need(1)).remaining >= 1, true);
      const tooMuch = HEADER_CHUNK_BYTES + 1;
      await refused(
        reader.need(tooMuch),
        /^Cannot read d: Expected a header of at most 1000 bytes, got 66536 or more$/,
      );
    });
  });
}

describe("HeaderReader", () => {
  it("texts() reads strings across chunks, of a known and an unknown size", async () => {
    const lengths = [0, 1, HEADER_CHUNK_BYTES, 5, 0, 3 * HEADER_CHUNK_BYTES + 1, 2];
    const bytes = strings(...lengths);
    for (const source of [bytesSource(bytes), streamSource(chunked(bytes, 999))]) {
      const texts = await new HeaderReader(source, bytes.length).texts(lengths.length, 1 << 20, "bytes");
      assert.deepEqual(
        texts.map((text) => text.length),
        lengths,
      );
      assert.ok(texts.every((text) => /^x*$/.test(text)));
    }
    assert.deepEqual(await new HeaderReader(bytesSource(bytes), 10).texts(0, 10, "bytes"), []);
  });

  it("texts() refuses counts that the file cannot hold before it reads on", async () => {
    const source = bytesSource(strings(1, 1, 1), "d");
    await refused(new HeaderReader(source, 1 << 20).texts(4, 10, "bytes"), /Expected 32 bytes at offset 0/);
    await refused(
      new HeaderReader(source, 1 << 20).texts(3, 0, "bytes"),
      /Expected at most 0 bytes at offset 0, got 1$/,
    );
  });

  it("need() refuses a stream that never ends", async () => {
    const reader = new HeaderReader(endless, 1 << 20);
    const readOn = async () => {
      for (;;) (await reader.need(1000)).skip(1000);
    };
    await refused(
      readOn(),
      /^Cannot read endless: Expected a header of at most 1048576 bytes, got 1049000 or more$/,
    );
    await refused(
      new HeaderReader(endless, 1 << 20).texts(1 << 24, 10, "bytes"),
      /Expected a header of at most/,
    );
  });
});
