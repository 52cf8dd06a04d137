// Models of every tensor type that are damaged: cut, with wrong numbers of columns, with scales that are no numbers.
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { openModelFile } from "../../src/format/detect.ts";
import { Llama } from "../../src/mod.ts";
import { type FileType, fileTypes } from "../../src/quant/file_types.ts";
import { bytesSource } from "../../src/source/bytes.ts";
import { GgufFile, tinyLlamaGguf } from "../support/gguf_writer.ts";
import { blockScales, typesWithBlocks } from "../support/random_blocks.ts";
import { chunked, refused } from "../support/refused.ts";
import { refuses } from "../support/refuses.ts";

const vector = "output_norm.weight";
// 304 tokens: the output matrix ends with the file.
const model = (type: string) =>
  tinyLlamaGguf({
    ...{ type, dim: 256, hiddenDim: 256, nLayers: 1, nHeads: 4, nKvHeads: 1, vocabSize: 304 },
    tensors: { [vector]: { type } },
  });
const last = "output.weight";

for (const type of typesWithBlocks) {
  const { blockCols, blockBytes } = fileTypes.get(type) as FileType;

  describe(`Llama.load() of damaged ${type}`, () => {
    const { bytes, fields, dataBegin } = model(type);
    const copy = () => new GgufFile(bytes.slice(), fields, dataBegin);

    it("loads what is not damaged, vectors of it too, and computes numbers", async () => {
      await using llama = await Llama.load(bytes, { threads: 1 });
      assert.ok((await llama.logits([1, 300, 5])).every(Number.isFinite));
    });

    it("refuses a file that ends early, naming the tensor", async () => {
      for (const missing of [1, blockBytes, 100 * blockBytes + 1]) {
        const cut = bytes.slice(0, bytes.length - missing);
        const size = (304 * 256 * blockBytes) / blockCols;
        await refuses(
          cut,
          new RegExp(`^Cannot read bytes: Tensor "${last}": Expected ${size} bytes at offset`),
        );
      }
      await refused(
        Llama.load(chunked(bytes.slice(0, -blockBytes), 5000), { threads: 1 }),
        /^Cannot read stream: Expected .* ends at/,
      );
    });

    it("refuses rows that are no whole blocks, naming tensor, type and columns", async () => {
      for (const cols of [blockCols - 1, blockCols + 1, 1.5 * blockCols, 1]) {
        const file = copy().set(`tensor.${last}.dim0`, cols);
        await refuses(
          file.bytes,
          new RegExp(
            `^Cannot read bytes: Tensor "${last}": Expected rows of a multiple of ${blockCols} elements for type ${type}, got ${cols}$`,
          ),
        );
      }
    });

    it("refuses other numbers of rows and columns, and of tensors", async () => {
      const shape = `^Cannot load tensor ${last} of bytes: Expected shape \\[304, 256\\], got`;
      await refuses(copy().set(`tensor.${last}.dim1`, 303).bytes, new RegExp(shape));
      await refuses(copy().set(`tensor.${last}.dim0`, 0).bytes, new RegExp(shape));
      for (const rows of [2n ** 42n, 2n ** 63n]) {
        await refuses(copy().set(`tensor.${last}.dim1`, rows).bytes, /^Cannot read bytes: Tensor "output/);
      }
      const tensors = [...fields.keys()].filter((field) => field.endsWith(".nDims")).length;
      await refuses(copy().set("nTensors", tensors + 1).bytes, /^Cannot read bytes: /);
    });

    it("refuses scales that are NaN or infinite, naming tensor, type and row", async () => {
      if (type === "NVFP4") return; // Its scales are always numbers.
      const name = "blk.0.ffn_down.weight";
      const info = (await openModelFile(bytesSource(bytes))).tensors.get(name);
      assert.ok(info);
      for (const { set } of blockScales(type)) {
        for (const [row, value, precision] of [
          [0, Number.NaN, "f32"],
          [255, Number.POSITIVE_INFINITY, "q8"],
          [77, Number.NEGATIVE_INFINITY, undefined],
        ] as const) {
          const bad = bytes.slice();
          // The last block of the row.
          const at = info.offset + ((row + 1) * 256 * blockBytes) / blockCols - blockBytes;
          set(new DataView(bad.buffer), at, value);
          await refused(
            Llama.load(bad, { threads: 1, precision }),
            new RegExp(
              `^Cannot load tensor ${name} of type ${type} of bytes: Expected finite values in row ${row}, got NaN`,
            ),
          );
        }
      }
    });

    it("refuses vectors that are no numbers, naming tensor and type", async () => {
      if (type === "NVFP4") return;
      const info = (await openModelFile(bytesSource(bytes))).tensors.get(vector);
      assert.ok(info);
      const bad = bytes.slice();
      for (const { set } of blockScales(type)) set(new DataView(bad.buffer), info.offset, Number.NaN);
      await refused(
        Llama.load(bad, { threads: 1 }),
        new RegExp(`^Cannot load tensor ${vector} of type ${type} of bytes: Expected finite values, got NaN`),
      );
    });
  });
}
