// Tensor types of GGUF files.
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { readGguf } from "../../../src/format/gguf/header.ts";
import {
  assertTensorType,
  ggmlTypes,
  removedGgmlTypes,
  supportedTensorTypes,
} from "../../../src/format/gguf/tensor_types.ts";
import { bytesSource } from "../../../src/source/bytes.ts";
import { UnsupportedError } from "../../../src/util/errors.ts";
import { ggufFile } from "../../support/gguf_writer.ts";
import { refused } from "../../support/refused.ts";

/** Bits per weight, as ggml documents its formats (block struct comments of ggml-common.h, llama.cpp's README). */
const bitsPerWeight: Record<string, number> = {
  F32: 32,
  F16: 16,
  Q4_0: 4.5,
  Q4_1: 5,
  Q5_0: 5.5,
  Q5_1: 6,
  Q8_0: 8.5,
  Q8_1: 9,
  Q2_K: 2.625,
  Q3_K: 3.4375,
  Q4_K: 4.5,
  Q5_K: 5.5,
  Q6_K: 6.5625,
  Q8_K: 9.125,
  IQ2_XXS: 2.0625,
  IQ2_XS: 2.3125,
  IQ3_XXS: 3.0625,
  IQ1_S: 1.5625,
  IQ4_NL: 4.5,
  IQ3_S: 3.4375,
  IQ2_S: 2.5625,
  IQ4_XS: 4.25,
  I8: 8,
  I16: 16,
  I32: 32,
  I64: 64,
  F64: 64,
  IQ1_M: 1.75,
  BF16: 16,
  TQ1_0: 1.6875,
  TQ2_0: 2.0625,
  MXFP4: 4.25,
  NVFP4: 4.5,
  Q1_0: 1.125,
  Q2_0: 2.25,
};

/** A file with one tensor of three blocks of the type. */
function fileOf(id: number, blockCols: number, bytes: number): Uint8Array {
  const file = ggufFile({ tensors: [{ name: "t", shape: [bytes], type: "I8" }], alignment: 1 });
  return file.set("tensor.t.dim0", 3 * blockCols).set("tensor.t.type", id).bytes;
}

const wayOut = "take another file of this model, or make one of its F16 file with cria quantize";

describe("ggmlTypes", () => {
  it("ggmlTypes has the bits per weight that ggml documents", () => {
    const found = [...ggmlTypes.values()].map((type) => [type.name, (8 * type.blockBytes) / type.blockCols]);
    assert.deepEqual(found, Object.entries(bitsPerWeight));
  });

  for (const [id, { name, blockCols, blockBytes }] of ggmlTypes) {
    it(`readGguf() knows the size of ${name}`, async () => {
      const model = await readGguf(bytesSource(fileOf(id, blockCols, 3 * blockBytes)));
      const info = model.tensors.get("t");
      assert.equal(info?.type, name);
      assert.equal(info.byteLength, 3 * blockBytes);
      const short = fileOf(id, blockCols, 3 * blockBytes - 1);
      await refused(readGguf(bytesSource(short)), new RegExp(`Expected ${3 * blockBytes} bytes at offset`));
      if (blockCols === 1) return;
      const ragged = fileOf(id, blockCols + 1, 3 * blockBytes);
      await refused(
        readGguf(bytesSource(ragged)),
        new RegExp(`multiple of ${blockCols} elements for type ${name}`),
      );
    });
  }

  it("readGguf() tells types that GGUF gave up from unknown ones", async () => {
    for (const [id, name] of removedGgmlTypes) {
      const message = new RegExp(`Tensor "t": Unsupported type ${name}, which GGUF gave up; ${wayOut}$`);
      await refused(readGguf(bytesSource(fileOf(id, 32, 64))), message, UnsupportedError);
    }
    for (const id of [43, 99, 255, 2 ** 31 - 1]) {
      await refused(
        readGguf(bytesSource(fileOf(id, 32, 64))),
        new RegExp(`type from 0 to 42, got ${id}; ${wayOut}$`),
      );
    }
    await refused(
      readGguf(bytesSource(fileOf(-1, 32, 64))),
      new RegExp(`type from 0 to 42, got -1; ${wayOut}$`),
    );
  });
});

describe("assertTensorType", () => {
  const source = bytesSource(new Uint8Array(0));
  const info = { name: "blk.0.ffn_up.weight", shape: [256], source, offset: 0, byteLength: 144 };

  it("assertTensorType() accepts what has kernels", () => {
    for (const type of ["F32", "F16", "BF16", "Q8_0", "Q4_0", "Q4_K", "IQ4_NL", "Q8_G"])
      assertTensorType({ ...info, type });
  });

  it("assertTensorType() names the tensor, its type and what is supported", () => {
    assert.throws(() => assertTensorType({ ...info, type: "Q8_1" }), {
      name: "UnsupportedError",
      message: `Cannot load tensor blk.0.ffn_up.weight of bytes: Unsupported type Q8_1; supported: ${supportedTensorTypes.join(", ")}; ${wayOut}`,
    });
    for (const type of ["F64", "I8", "I16", "I32", "I64", ""]) {
      assert.throws(() => assertTensorType({ ...info, type }), UnsupportedError);
    }
  });
});
