// Model files of llama2.c.
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { readGguf } from "../../src/format/gguf/header.ts";
import {
  LLAMA2C_MAGIC,
  MAX_DIM,
  MAX_HIDDEN_DIM,
  MAX_LAYERS,
  MAX_SEQ_LEN,
  MAX_VOCAB_SIZE,
  readLlama2c,
} from "../../src/format/llama2c.ts";
import type { ModelFile, TensorInfo } from "../../src/format/model_file.ts";
import { bytesSource } from "../../src/source/bytes.ts";
import { streamSource } from "../../src/source/stream.ts";
import { FormatError, UnsupportedError } from "../../src/util/errors.ts";
import { fixtureBytes } from "../support/fixtures.ts";
import { decodeTensor } from "../support/gguf_writer.ts";
import { type Llama2cOptions, llama2cFile } from "../support/llama2c_writer.ts";
import { placesOf } from "../support/model_file.ts";
import { chunked, refused } from "../support/refused.ts";
import { itOn, sharedBytes, sharedJson } from "../support/shared.ts";

const read = (bytes: Uint8Array) => readLlama2c(bytesSource(bytes, "m.bin"));

/** The values of a tensor of either type. */
function valuesOf(bytes: Uint8Array, info: TensorInfo): Float32Array {
  const at = (offset: number, n: number) => bytes.slice(offset, offset + n);
  const data = at(info.offset, info.byteLength);
  if (info.scales === undefined) return decodeTensor("F32", data);
  const scales = decodeTensor("F32", at(info.scales.offset, info.scales.byteLength));
  const { groupSize } = info.scales;
  return Float32Array.from(
    new Int8Array(data.buffer),
    (q, i) => q * (scales[Math.floor(i / groupSize)] as number),
  );
}

function metadataOf(model: ModelFile): Record<string, unknown> {
  for (const value of model.metadata.values()) assert.equal(value.type, "i32");
  return Object.fromEntries([...model.metadata].map(([key, { value }]) => [key, value]));
}

/** The file with an i32 changed. */
function withI32(bytes: Uint8Array, offset: number, value: number): Uint8Array {
  const changed = bytes.slice();
  new DataView(changed.buffer).setInt32(offset, value, true);
  return changed;
}

const tiny = {
  dim: 64,
  hidden_dim: 96,
  n_layers: 2,
  n_heads: 4,
  n_kv_heads: 2,
  vocab_size: 300,
  seq_len: 128,
};

const variants: Llama2cOptions[] = [
  { version: 0 },
  { version: 0, shared: false },
  { version: 1 },
  { version: 1, shared: false },
  { version: 2 },
  { version: 2, shared: false, groupSize: 64 },
  { version: 2, groupSize: 1 },
  // A group may reach over the end of a row.
  { version: 2, groupSize: 64, config: { hidden_dim: 40 } },
  { version: 0, config: { n_layers: 1, n_kv_heads: 4 } },
  { version: 1, config: { n_layers: 5, n_heads: 8, n_kv_heads: 1, hidden_dim: 7, vocab_size: 259 } },
];

describe("readLlama2c", () => {
  for (const options of variants) {
    it(`readLlama2c() reads ${JSON.stringify(options)}`, async () => {
      const { bytes, weights } = llama2cFile(options);
      const model = await read(bytes);
      assert.equal(model.format, "llama2c");
      assert.equal(model.architecture, "llama");
      assert.equal(model.tokenizer(), undefined);
      const { version = 0, shared = true, groupSize = 32 } = options;
      assert.deepEqual(metadataOf(model), {
        version,
        ...tiny,
        ...options.config,
        shared_classifier: shared ? 1 : 0,
        ...(version === 2 && { group_size: groupSize }),
      });
      assert.deepEqual([...model.tensors.keys()].sort(), [...weights.keys()].sort());
      for (const [name, weight] of weights) {
        const info = model.tensors.get(name);
        assert.ok(info);
        assert.deepEqual([info.name, info.shape, info.type], [name, weight.shape, weight.type]);
        assert.deepEqual(valuesOf(bytes, info), weight.values, name);
      }
    });
  }

  it("readLlama2c() gives tensors in file order, the same from a stream", async () => {
    for (const options of variants) {
      const { bytes } = llama2cFile(options);
      const model = await read(bytes);
      let end = 0;
      for (const { name, offset, byteLength, scales } of model.tensors.values()) {
        assert.ok(offset >= end, name);
        end = offset + byteLength + (scales?.byteLength ?? 0);
      }
      const stream = streamSource(chunked(bytes, 100));
      assert.deepEqual(placesOf(await readLlama2c(stream)), placesOf(model));
    }
  });

  it("readLlama2c() refuses a file that is longer or shorter than its header says", async () => {
    for (const version of [0, 1, 2] as const) {
      const { bytes } = llama2cFile({ version });
      const longer = new Uint8Array(bytes.length + 1);
      longer.set(bytes);
      const message = new RegExp(
        `Expected ${bytes.length} bytes for version ${version}, dim 64, .*, got \\d+$`,
      );
      for (const cut of [longer, bytes.slice(0, -1), bytes.slice(0, bytes.length / 2), bytes.slice(0, 300)]) {
        await refused(read(cut), message);
      }
      for (const n of [0, 1, 27])
        await refused(read(bytes.slice(0, n)), new RegExp(`the file ends at ${n}$`));
    }
    for (const n of [28, 100, 255]) {
      await refused(read(llama2cFile({ version: 1 }).bytes.slice(0, n)), /Expected 256 bytes at offset 0/);
    }
  });

  const limits = [
    ["dim", MAX_DIM],
    ["hidden_dim", MAX_HIDDEN_DIM],
    ["n_layers", MAX_LAYERS],
    ["n_heads", 64],
    ["n_kv_heads", 4],
    ["vocab_size", MAX_VOCAB_SIZE],
    ["seq_len", MAX_SEQ_LEN],
  ] as const;
  for (const [i, [field, max]] of limits.entries()) {
    it(`readLlama2c() refuses ${field} below 1 and above ${max}`, async () => {
      for (const value of [0, -1, max + 1, 2 ** 31 - 1, -(2 ** 31)]) {
        for (const version of [1, 2] as const) {
          const bytes = withI32(llama2cFile({ version }).bytes, 8 + 4 * i, value);
          await refused(
            read(bytes),
            new RegExp(`^Cannot read m.bin: Expected ${field} from 1 to ${max}, got ${value}$`),
          );
        }
        // In legacy files a negative vocabulary size has a meaning; nothing says that it is a llama2.c file.
        const legacy = withI32(llama2cFile().bytes, 4 * i, value);
        await refused(read(legacy), /^Cannot read m.bin: Unknown format, the file begins with/);
      }
    });
  }

  it("readLlama2c() takes the largest header without rounding", async () => {
    const bytes = llama2cFile({ version: 1 }).bytes.slice(0, 256);
    for (const [i, value] of [
      MAX_DIM,
      MAX_HIDDEN_DIM,
      MAX_LAYERS,
      2,
      1,
      MAX_VOCAB_SIZE,
      MAX_SEQ_LEN,
    ].entries()) {
      new DataView(bytes.buffer).setInt32(8 + 4 * i, value, true);
    }
    const [dim, hidden, layers, vocab] = [MAX_DIM, MAX_HIDDEN_DIM, MAX_LAYERS, MAX_VOCAB_SIZE].map(
      BigInt,
    ) as [bigint, bigint, bigint, bigint];
    const floats = dim + vocab * dim + layers * (2n * dim + 3n * dim * dim + 3n * dim * hidden);
    assert.ok(256n + 4n * floats < 2n ** 53n);
    await refused(read(bytes), new RegExp(`Expected ${256n + 4n * floats} bytes for`));
    const model = await readLlama2c(streamSource(chunked(bytes, 256)));
    const last = [...model.tensors.values()].at(-1);
    assert.equal(BigInt((last?.offset ?? 0) + (last?.byteLength ?? 0)), 256n + 4n * floats);
  });

  it("readLlama2c() refuses heads that do not divide", async () => {
    const { bytes } = llama2cFile({ version: 1 });
    for (const nHeads of [3, 64, 48]) {
      await refused(
        read(withI32(bytes, 20, nHeads)),
        /Expected dim to be an even multiple of n_heads, got 64 and/,
      );
    }
    await refused(
      read(withI32(bytes, 24, 3)),
      /Expected n_heads to be a multiple of n_kv_heads, got 4 and 3$/,
    );
  });

  it("readLlama2c() refuses flags and group sizes that are none", async () => {
    const flagged = llama2cFile({ version: 1 }).bytes;
    flagged[36] = 2;
    await refused(read(flagged), /Expected shared_classifier 0 or 1, got 2$/);
    for (const groupSize of [0, -1, -64, 3, 48, 128, 2 ** 31 - 1]) {
      const bytes = withI32(llama2cFile({ version: 2 }).bytes, 37, groupSize);
      await refused(read(bytes), new RegExp(`Expected group_size to divide dim 64, got ${groupSize}$`));
    }
  });

  it("readLlama2c() refuses later versions", async () => {
    for (const version of [0, 3, -1, 2 ** 31 - 1]) {
      const bytes = withI32(llama2cFile({ version: 1 }).bytes, 4, version);
      await refused(
        read(bytes),
        new RegExp(`llama2.c version 1 or 2, got version ${version}$`),
        UnsupportedError,
      );
    }
  });

  it("LLAMA2C_MAGIC is ak42, the first byte last", () => {
    const bytes = llama2cFile({ version: 1 }).bytes.subarray(0, 4);
    assert.equal(String.fromCharCode(...bytes), "24ka");
    assert.equal(LLAMA2C_MAGIC, 0x616b3432);
  });

  const stories = "models/stories260K/stories260K";
  const facts = "conformance/llama2c.json";
  const legacy = [
    {
      name: "legacy.bin",
      value: {
        bytes: () => fixtureBytes("legacy.bin"),
        header: (): Record<string, number> => ({ ...tiny, shared_classifier: 0 }),
        nTensors: 21,
      },
    },
    {
      name: "stories260K.bin",
      needs: [`${stories}.bin`, facts],
      value: {
        bytes: () => sharedBytes(`${stories}.bin`),
        header: (): Record<string, number> => {
          const { model } = sharedJson<{
            model: { stories260K_bin: { header_i32: Record<string, number> } };
          }>(facts);
          return { ...model.stories260K_bin.header_i32, shared_classifier: 1 };
        },
        nTensors: 47,
      },
    },
  ];
  itOn(legacy, "readLlama2c() reads a whole legacy model", async ({ bytes: load, header, nTensors }) => {
    const bytes = load();
    const model = await read(bytes);
    assert.deepEqual(metadataOf(model), { version: 0, ...header() });
    assert.equal(model.tensors.size, nTensors);
    for (const n of [1000, bytes.length - 4]) {
      await assert.rejects(read(bytes.slice(0, n)), (error) => error instanceof FormatError);
    }
  });

  const both = [
    {
      name: "legacy.bin",
      value: { bin: () => fixtureBytes("legacy.bin"), gguf: () => fixtureBytes("gqa-f32.gguf") },
    },
    {
      name: "stories260K.bin",
      needs: [`${stories}.bin`, `${stories}-f32.gguf`],
      value: { bin: () => sharedBytes(`${stories}.bin`), gguf: () => sharedBytes(`${stories}-f32.gguf`) },
    },
  ];
  itOn(
    both,
    "readLlama2c() finds the tensors that the same model has in GGUF",
    async ({ bin: loadBin, gguf: loadGguf }) => {
      const bin = loadBin();
      const gguf = loadGguf();
      const [a, b] = [await read(bin), await readGguf(bytesSource(gguf))];
      assert.deepEqual([...a.tensors.keys()].sort(), [...b.tensors.keys()].sort());
      for (const [name, info] of a.tensors) {
        const other = b.tensors.get(name);
        assert.ok(other);
        assert.deepEqual(info.shape, other.shape, name);
        const data = bin.subarray(info.offset, info.offset + info.byteLength);
        const same = gguf.subarray(other.offset, other.offset + other.byteLength);
        assert.ok(Buffer.from(data).equals(Buffer.from(same)), name);
      }
    },
  );
});
