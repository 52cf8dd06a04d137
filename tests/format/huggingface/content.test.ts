// Bytes of tensors that are made of stored ones, whatever part of them is read.
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import {
  type Content,
  contentSource,
  joined,
  partOf,
  remade,
  reordered,
  storedContent,
  transposed,
} from "../../../src/format/huggingface/content.ts";
import { inBlocks, plusOne } from "../../../src/format/huggingface/values_made.ts";
import { bytesSource } from "../../../src/source/bytes.ts";
import { streamSource } from "../../../src/source/stream.ts";
import { nearestHalf } from "../../reference/math.ts";
import { chunked } from "../../support/refused.ts";

const stored = Uint8Array.from({ length: 240 }, (_, i) => (i * 37) % 251);
const of = (source = bytesSource(stored)) => storedContent(source, 0, stored.length);

/** Reads any range, and compares it. */
async function reads(content: Content, expected: readonly number[]): Promise<void> {
  assert.equal(content.byteLength, expected.length);
  for (let begin = 0; begin < expected.length; begin += 3) {
    for (const n of [0, 1, 5, 24, 73, expected.length - begin]) {
      const end = Math.min(expected.length, begin + n);
      const target = new Uint8Array(end - begin);
      await content.read(begin, target);
      assert.deepEqual([...target], expected.slice(begin, end), `${begin} to ${end}`);
    }
  }
}

describe("contents", () => {
  it("are joined, also of parts of others and of nothing", async () => {
    const parts = [partOf(of(), 100, 7), partOf(of(), 0, 0), partOf(of(), 3, 50), partOf(of(), 239, 1)];
    await reads(joined(parts), [...stored.slice(100, 107), ...stored.slice(3, 53), stored[239] as number]);
    await reads(joined([of()]), [...stored]);
  });

  it("are made anew frame by frame, into fewer bytes, too", async () => {
    const backwards = remade(of(), {
      ...{ name: "a", count: 10, byteLength: 240 },
      make: (bytes, i) => reordered(bytes, 8, (unit) => (i === 0 ? unit : 7 - unit)),
    });
    const units = Array.from({ length: 80 }, (_, i) => (i < 8 ? i : 8 * Math.floor(i / 8) + 7 - (i % 8)));
    await reads(
      backwards,
      units.flatMap((unit) => [...stored.slice(3 * unit, 3 * unit + 3)]),
    );
    const first = remade(of(), { name: "a", count: 4, byteLength: 8, make: (bytes) => bytes.subarray(0, 2) });
    await reads(
      first,
      [0, 60, 120, 180].flatMap((at) => [...stored.slice(at, at + 2)]),
    );
  });

  it("of a file lie in the order of what they are made of, so that a stream is read once", async () => {
    const base = streamSource(chunked(stored, 13));
    const parts = [
      { name: "last", offset: 200, content: storedContent(base, 200, 40) },
      {
        name: "first",
        offset: 10,
        content: remade(storedContent(base, 10, 20), {
          ...{ name: "first", count: 2, byteLength: 40 },
          make: (bytes) => Uint8Array.from([...bytes, ...bytes]),
        }),
      },
    ];
    const { source, offsets } = contentSource(base, parts);
    assert.deepEqual(
      [...offsets],
      [
        ["first", 0],
        ["last", 40],
      ],
    );
    const expected = [
      ...[10, 10, 20, 20].flatMap((at) => [...stored.slice(at, at + 10)]),
      ...stored.slice(200),
    ];
    for (let begin = 0; begin < 80; begin += 7) {
      const target = new Uint8Array(Math.min(7, 80 - begin));
      await source.read(begin, target);
      assert.deepEqual([...target], expected.slice(begin, begin + target.length));
    }
  });
});

describe("values of tensors", () => {
  it("are transposed, of 2 and of 4 bytes", () => {
    for (const width of [2, 4]) {
      const [rows, cols] = [5, 3];
      const bytes = stored.slice(0, rows * cols * width);
      const at = (row: number, col: number) => (row * cols + col) * width;
      const expected = Array.from({ length: rows * cols }, (_, i) => {
        const begin = at(i % rows, Math.floor(i / rows));
        return [...bytes.slice(begin, begin + width)];
      });
      assert.deepEqual([...transposed(bytes, rows, cols)], expected.flat());
    }
  });

  it("grow by 1 in F32", () => {
    const values = [0, -1, 0.5, 1.5, -0.015625, 2 ** -14, 2 ** -24, 60000, 3 * 2 ** -24];
    const f32 = Float32Array.from(values);
    const expected = values.map((value) => Math.fround(value + 1));
    const got = (bytes: Uint8Array, type: string) => [...new Float32Array(plusOne(bytes, type).buffer)];
    assert.deepEqual(got(new Uint8Array(f32.buffer), "F32"), expected);
    const f16 = Uint16Array.from(values, nearestHalf);
    assert.deepEqual(got(new Uint8Array(f16.buffer), "F16"), expected);
    const bf16 = new Uint16Array(f32.buffer).filter((_, i) => i % 2 === 1);
    const words = new Float32Array(Uint32Array.from(bf16, (bits) => bits << 16).buffer);
    assert.deepEqual(
      got(new Uint8Array(bf16.buffer), "BF16"),
      [...words].map((value) => Math.fround(value + 1)),
    );
    assert.ok(
      got(new Uint8Array(Uint16Array.of(0x7e00, 0xfc00).buffer), "F16").every(
        (value) => !Number.isFinite(value),
      ),
    );
  });

  it("of 4 bits in blocks stand as GGUF has them", () => {
    // Two blocks: value i of block b is (i + 3 b) % 16.
    const value = (b: number, i: number) => (i + 3 * b) % 16;
    const packed = [0, 1].flatMap((b) =>
      Array.from({ length: 16 }, (_, i) => value(b, 2 * i) | (value(b, 2 * i + 1) << 4)),
    );
    const out = inBlocks(Uint8Array.from([...packed, 120, 130]));
    for (const b of [0, 1]) {
      assert.equal(out[17 * b], [120, 130][b]);
      for (let i = 0; i < 32; i++) {
        const byte = out[17 * b + 1 + (i % 16)] as number;
        assert.equal(i < 16 ? byte & 15 : byte >> 4, value(b, i), `block ${b}, value ${i}`);
      }
    }
  });
});
