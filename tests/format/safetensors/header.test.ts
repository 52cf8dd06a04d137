// Headers of safetensors files: the format's own cases, hostile ones, and any bytes.
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import { readSafetensors } from "../../../src/format/safetensors/header.ts";
import type { ByteSource } from "../../../src/source/byte_source.ts";
import { bytesSource } from "../../../src/source/bytes.ts";
import { streamSource } from "../../../src/source/stream.ts";
import { CriaError } from "../../../src/util/errors.ts";
import { chunked, refused } from "../../support/refused.ts";
import { safetensorsFile, withHeader } from "../../support/safetensors_writer.ts";
import { itShared, sharedJson } from "../../support/shared.ts";

const tensor = (name: string, shape: readonly number[], dtype = "F32", bytes = 4) => ({
  name,
  dtype,
  shape,
  data: new Uint8Array(shape.reduce((a, b) => a * b, bytes)).fill(name.length),
});

const read = (bytes: Uint8Array, name = "x") => readSafetensors(bytesSource(bytes, name));

/** A header of these entries before `n` bytes. */
const file = (entries: string, n = 16) => withHeader(`{${entries}}`, new Uint8Array(n));

describe("readSafetensors()", () => {
  it("gives every tensor its place", async () => {
    const tensors = [
      tensor("a", [2, 3]),
      tensor("none", [0, 3]),
      tensor("b", [4], "BF16", 2),
      tensor("one", []),
    ];
    const bytes = safetensorsFile(tensors);
    for (const source of [bytesSource(bytes), streamSource(chunked(bytes, 7))]) {
      const found = await readSafetensors(source);
      assert.deepEqual([...found.tensors.keys()], ["a", "none", "b", "one"]);
      for (const { name, shape, dtype, data } of tensors) {
        const info = found.tensors.get(name);
        assert.deepEqual([info?.shape, info?.type, info?.byteLength], [shape, dtype, data.length]);
        const stored = new Uint8Array(data.length);
        await info?.source.read(info.offset, stored);
        assert.deepEqual(stored, data);
      }
      assert.equal(found.end, bytes.length);
    }
  });

  it("takes white space around the header, and no tensors at all", async () => {
    for (const header of ["{}", "{}\r \t", "\t\n{}\r ", '{"__metadata__":{"a":"b"}}']) {
      assert.equal((await read(withHeader(header))).tensors.size, 0);
    }
    assert.equal(
      (await read(file('"a":{"dtype":"F32","shape":[2,2],"data_offsets":[0,16]}'))).tensors.size,
      1,
    );
  });

  itShared(
    ["conformance/safetensors_cases.json"],
    "does with the format's own cases what they say",
    async () => {
      const { cases } = sharedJson<{ cases: { name: string; hex: string; expect: string }[] }>(
        "conformance/safetensors_cases.json",
      );
      assert.ok(cases.length > 10);
      for (const { name, hex, expect } of cases) {
        const bytes = Uint8Array.from(hex.match(/../g) ?? [], (pair) => Number.parseInt(pair, 16));
        if (expect.startsWith("ok")) assert.ok(await read(bytes), name);
        else await refused(read(bytes), /^Cannot read x: /);
      }
    },
  );

  it("refuses lengths that the file does not have, without allocating them", async () => {
    await refused(read(new Uint8Array(0)), /Expected 8 bytes at offset 0, the file ends at 0/);
    const long = withHeader("{}");
    const view = new DataView(long.buffer);
    view.setBigUint64(0, 99_000_000n, true);
    await refused(read(long), /Expected 99000000 bytes at offset 8, the file ends at 10/);
    for (const length of [100_000_001n, 1n << 40n, (1n << 64n) - 1n]) {
      view.setBigUint64(0, length, true);
      await refused(read(long), /Expected at most 100000000 bytes of a header at offset 0, got /);
      await refused(readSafetensors(streamSource(chunked(long, 3), "x")), /Expected at most 100000000 bytes/);
    }
    view.setBigUint64(0, 90_000_000n, true);
    await refused(readSafetensors(streamSource(chunked(long, 3), "x")), /Cannot read x: /);
  });

  it("refuses what is no JSON object of tensors", async () => {
    for (const header of ["", "{", "[]", "7", "null", '"a"', '{"a":1}x', '{"a":{}', "{'a':1}", "\u0000{}"]) {
      await refused(read(withHeader(header)), /^Cannot read x: Expected a header /);
    }
    await refused(read(withHeader(new Uint8Array([0xff]))), /Expected a header in JSON/);
    for (const entry of [
      "1",
      "null",
      "[]",
      '"F32"',
      "{}",
      '{"dtype":"F32"}',
      '{"dtype":"F32","shape":[4]}',
    ]) {
      await refused(read(file(`"a":${entry}`)), /^Cannot read x: Tensor "a": Expected /);
    }
  });

  it("refuses keys that an object has twice, however they are written", async () => {
    const entry = '{"dtype":"F32","shape":[2],"data_offsets":[0,8]}';
    const twice = `"a":${entry},"a":${entry.replace("[0,8]", "[8,16]")}`;
    await refused(read(file(twice)), /^Cannot read x: Expected each key once, got "a" again$/);
    await refused(read(file(twice.replace('"a"', '"\\u0061"'))), /got "a" again$/);
    const inner = '"a":{"dtype":"F32","dtype":"F16","shape":[4],"data_offsets":[0,16]}';
    await refused(read(file(inner)), /got "dtype" again$/);
    await refused(read(file('"__metadata__":{"a":"1","a":"2"}', 0)), /got "a" again$/);
    // The same key in different objects, and a value that looks like one.
    assert.ok(
      await read(file(`"shape":${entry},"b":${entry.replace("[0,8]", "[8,16]")},"__metadata__":{"b":"b"}`)),
    );
  });

  it("refuses deep nesting in any amount", async () => {
    for (const n of [4, 1000, 2_000_000]) {
      await refused(read(withHeader(`{"a":${"[".repeat(n)}`)), /nested at most 3 deep, got more$/);
      await refused(read(withHeader('{"a":'.repeat(n))), /nested at most 3 deep, got more$/);
    }
  });

  it("survives texts of any length", async () => {
    const long = "x".repeat(8 << 20);
    assert.ok(await read(withHeader(`{"__metadata__":{"a":"${long}"}}`)));
    await refused(read(withHeader(`{"${"\\\\".repeat(4 << 20)}`)), /^Cannot read x: /);
    await refused(read(withHeader(`{"${long}":7}`)), /^Cannot read x: Tensor "x+\.\.\."/);
    await refused(read(withHeader(`{"a":${" ".repeat(8 << 20)}7}`)), /^Cannot read x: Tensor "a"/);
  });

  it("refuses shapes and types that cannot be", async () => {
    const described = (shape: string, dtype = "F32", end = 16) =>
      read(file(`"a":{"dtype":"${dtype}","shape":${shape},"data_offsets":[0,${end}]}`, end));
    for (const shape of [
      "[-1]",
      "[1.5]",
      '["4"]',
      "[1e300]",
      "[18446744073709551614]",
      "{}",
      "7",
      "[null]",
    ]) {
      await refused(
        described(shape),
        /^Cannot read x: Tensor "a": Expected a shape of at most 16 integers, got /,
      );
    }
    await refused(described(`[${"1,".repeat(16)}4]`), /Expected a shape of at most 16 integers/);
    for (const shape of [
      "[9007199254740991,4]",
      "[0,9007199254740991,9007199254740991]",
      "[4294967296,4294967296]",
    ]) {
      await refused(described(shape), /Expected at most 9007199254740991 bits, got /);
    }
    for (const dtype of ["f32", "F31", "", "__proto__", "toString"]) {
      await refused(described("[4]", dtype), /Expected a dtype of .*F32.*, got "/);
    }
    await refused(described("[5]"), /Expected data_offsets 20 bytes apart for F32 \[5\], got \[0,16\]$/);
    await refused(described("[3]", "F4"), /Expected data_offsets 1\.5 bytes apart/);
  });

  it("refuses tensors that leave holes, overlap, or do not cover the file", async () => {
    const at = (name: string, begin: unknown, end: unknown) =>
      `"${name}":{"dtype":"U8","shape":[4],"data_offsets":[${begin},${end}]}`;
    await refused(read(file(at("a", 4, 8), 8)), /Tensor "a": Expected data_offsets from 0, .* got 4$/);
    await refused(
      read(file(`${at("a", 0, 4)},${at("b", 5, 9)}`, 9)),
      /Tensor "b": Expected data_offsets from 4, .* got 5$/,
    );
    for (const begin of [0, 1, 3]) {
      await refused(
        read(file(`${at("a", 0, 4)},${at("b", begin, begin + 4)}`, 8)),
        /Expected data_offsets from 4, /,
      );
    }
    await refused(
      read(file(at("a", 0, 4), 5)),
      /^Cannot read x: Expected \d+ bytes, as its header says, got \d+$/,
    );
    await refused(read(file(at("a", 0, 4), 3)), /as its header says, got/);
    for (const [begin, end] of [
      [-4, 0],
      [8, 4],
      [0, 4.5],
      ["1e999", "1e999"],
      [2 ** 53, 2 ** 53 + 4],
      ['"0"', '"4"'],
    ]) {
      await refused(read(file(at("a", begin, end), 4)), /Tensor "a": Expected data_offsets /);
    }
    await refused(
      read(file('"a":{"dtype":"U8","shape":[4],"data_offsets":[0,4,8]}', 4)),
      /Expected data_offsets \[begin, end\]/,
    );
  });
});

describe("readSafetensors(), changed files", () => {
  const bytes = safetensorsFile([
    tensor("a", [2, 3]),
    tensor("b.weight", [4, 2], "F16", 2),
    tensor("c", [3]),
  ]);
  const headerEnd = 8 + new DataView(bytes.buffer).getUint32(0, true);

  /** Reads a file and checks all that it says; true if it was accepted. */
  async function survives(source: ByteSource, size: number): Promise<boolean> {
    try {
      const { tensors, end } = await readSafetensors(source);
      let sum = 0;
      for (const { offset, byteLength, name } of tensors.values()) {
        assert.ok(Number.isSafeInteger(offset) && Number.isSafeInteger(byteLength) && offset >= 8, name);
        sum += byteLength;
      }
      if (source.size !== undefined) assert.ok(end === size && sum <= size);
      return true;
    } catch (error) {
      if (!(error instanceof CriaError)) throw error;
      assert.match(error.message, /^Cannot read /);
      return false;
    }
  }

  it("survives changed bytes of the header", () =>
    fc.assert(
      fc.asyncProperty(
        fc.array(
          fc.tuple(
            fc.nat(headerEnd - 1),
            fc.oneof(fc.nat(255), fc.constantFrom(34, 44, 48, 57, 91, 92, 123, 125)),
          ),
          {
            minLength: 1,
            maxLength: 6,
          },
        ),
        async (changes) => {
          const changed = bytes.slice();
          for (const [at, value] of changes) changed[at] = value;
          await survives(bytesSource(changed), changed.length);
          await survives(streamSource(chunked(changed, 11)), changed.length);
        },
      ),
      { numRuns: 300 },
    ));

  it("refuses a file that is cut anywhere, or goes on", () =>
    fc.assert(
      fc.asyncProperty(fc.nat(bytes.length - 1), async (n) => {
        assert.equal(await survives(bytesSource(bytes.slice(0, n)), n), false);
        const longer = new Uint8Array(bytes.length + n + 1);
        longer.set(bytes);
        assert.equal(await survives(bytesSource(longer), longer.length), false);
      }),
      { numRuns: 60 },
    ));

  it("accepts the file when it is not changed", async () => {
    assert.ok(await survives(bytesSource(bytes), bytes.length));
  });
});
