// The malformed and sound files that ggml's own test builds by hand.
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { readGguf } from "../../../src/format/gguf/header.ts";
import { bytesSource } from "../../../src/source/bytes.ts";
import { ggufCases, metadata, tensors, withKeys, withTensors } from "../../support/gguf_cases.ts";
import type { GgufFile } from "../../support/gguf_writer.ts";
import { refused } from "../../support/refused.ts";
import { itShared, sharedJson } from "../../support/shared.ts";

const read = (file: GgufFile) => readGguf(bytesSource(file.bytes));

describe("readGguf", () => {
  itShared(["conformance/gguf_cases.json"], "readGguf() accepts and refuses what ggml's cases say", () => {
    const { handcrafted } = sharedJson<{ handcrafted: { name: string; accept: boolean }[] }>(
      "conformance/gguf_cases.json",
    );
    const accepted = [...ggufCases].map(([name, { message }]) => [name, message === undefined]);
    assert.deepEqual(
      accepted,
      handcrafted.map(({ name, accept }) => [name, accept]),
    );
  });

  for (const [name, { build, message, type }] of ggufCases) {
    it(`readGguf() ${message === undefined ? "accepts" : "refuses"} ${name}`, async () => {
      if (message !== undefined) return refused(read(build()), message, type);
      const file = build();
      const model = await read(file);
      const described = [...file.fields.keys()];
      assert.equal(model.metadata.size, described.filter((field) => field.endsWith(".keyLength")).length);
      assert.equal(model.tensors.size, described.filter((field) => field.endsWith(".nDims")).length);
    });
  }

  it("readGguf() gives every kind of value back", async () => {
    const { metadata: found } = await read(withKeys());
    for (const [key, expected] of metadata) {
      const value = found.get(key);
      assert.equal(value?.type, expected.type, key);
      if (value?.type === "array" && expected.type === "array") {
        assert.equal(value.elementType, expected.elementType, key);
        assert.deepEqual(Array.from<unknown>(value.value), Array.from(expected.value), key);
      } else {
        assert.equal(value?.value, expected.value, key);
      }
    }
    assert.equal(found.size, metadata.length);
  });

  it("readGguf() places tensors of every type and rank", async () => {
    for (const alignment of [1, 32, 64, 4096]) {
      const file = withTensors({ alignment });
      const model = await read(file);
      let expected = file.dataBegin;
      for (const { name, shape, type } of tensors) {
        const info = model.tensors.get(name);
        assert.deepEqual([info?.name, info?.shape, info?.type, info?.offset], [name, shape, type, expected]);
        expected = Math.ceil((expected - file.dataBegin + (info?.byteLength ?? 0)) / alignment) * alignment;
        expected += file.dataBegin;
      }
      assert.equal(expected, file.bytes.length);
    }
  });
});
