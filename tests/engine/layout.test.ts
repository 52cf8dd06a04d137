// Where everything lies in linear memory, and what is refused.
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { KV_PAGE, PADDED_ROWS } from "../../assembly/layout/blocks.ts";
import {
  CONTROL_BYTES,
  PACK_SCRATCH_BYTES,
  QUERY_TILE,
  QUERY_TILE_BYTES,
} from "../../assembly/layout/control.ts";
import { RECORD_BYTES } from "../../assembly/layout/ops.ts";
import {
  ADDRESSABLE_BYTES,
  type Layout,
  type LayoutOptions,
  MAX_BATCH,
  planLayout,
} from "../../src/engine/layout.ts";
import { MAX_SEGMENTS } from "../../src/engine/step_area.ts";
import { openModelFile } from "../../src/format/detect.ts";
import { type ByteSource, Llama, MemoryError, type Precision, UsageError } from "../../src/mod.ts";
import { blockOf, type LayerWeights } from "../../src/model/weights/weights.ts";
import { gridPoints } from "../../src/quant/grids.ts";
import { samplerBytes } from "../../src/sample/chain.ts";
import { bytesSource } from "../../src/source/bytes.ts";
import {
  type GgufValue,
  ggufFile,
  meta,
  type TinyLlamaOptions,
  tinyLlamaGguf,
} from "../support/gguf_writer.ts";
import { llama2cFile } from "../support/llama2c_writer.ts";
import { memoriesOf } from "../support/memory_spy.ts";
import { llamaTensors, shapeHeader, shapeKeys } from "../support/model_file.ts";
import { pageBytesOf } from "../support/models.ts";
import { chunked, refused } from "../support/refused.ts";
import { refuses } from "../support/refuses.ts";

async function layoutOf(bytes: Uint8Array, options: LayoutOptions = {}): Promise<Layout> {
  return planLayout(await openModelFile(bytesSource(bytes)), options);
}

const tiny = (options: TinyLlamaOptions = {}) => tinyLlamaGguf(options).bytes;

/** A model whose layers have a type each. */
const mixed = (types: readonly string[]) =>
  tiny({
    dim: 256,
    hiddenDim: 256,
    nLayers: types.length,
    tensors: Object.fromEntries(types.map((type, i) => [`blk.${i}.ffn_up.weight`, { type }])),
  });

/** Everything that has an address, and the bytes that are written or read there. */
function regions(layout: Layout): [string, number, number][] {
  const { buffers, step, batch, maxOutputs, config, weights } = layout;
  const rows = ["x", "act", "q", "k", "v", "attention", "gate", "up"] as const;
  const n = Math.max(config.dim, config.hiddenDim);
  return [
    ...weights.all.map((weight): [string, number, number] => [
      weight.info.name,
      weight.address,
      weight.kind === "vector" ? 4 * weight.length : weight.strips * weight.blocks * weight.format.tileBytes,
    ]),
    ...rows.map((name): [string, number, number] => [
      name,
      buffers[name].address,
      buffers[name].stride * batch,
    ]),
    ["logits", buffers.logits.address, buffers.logits.stride * maxOutputs],
    ...buffers.ropes.flatMap(({ freqs, angles }): [string, number, number][] => [
      ["freqs", freqs, 2 * config.headDim],
      ["angles", angles, 4 * config.headDim * batch],
    ]),
    ...buffers.heads.flatMap(({ heads, groups }): [string, number, number][] => [
      ["heads", heads, 4 * config.nHeads],
      ["groups", groups, 4 * (config.nKvHeads + 1)],
    ]),
    ["ones", buffers.ones.address, 4 * config.dim],
    ["plan", layout.planAddress, layout.plan.words.byteLength],
    ["ids", step.ids, 4 * batch],
    ["positions", step.positions, 4 * batch],
    ["page tables", step.pageTables, 4 * batch],
    ["outputs", step.outputs, 4 * maxOutputs],
    ["tiles", step.tiles, QUERY_TILE_BYTES * (Math.ceil(batch / QUERY_TILE) + MAX_SEGMENTS)],
    ["tables", step.tables, step.tableBytes * MAX_SEGMENTS],
    ["pages", layout.pages, layout.kv.sequenceBytes],
    ...layout.scratches.map((address, thread): [string, number, number] => [
      `scratch of thread ${thread}`,
      address,
      Math.max(4 * Math.ceil(n / 32) * 32, PACK_SCRATCH_BYTES),
    ]),
    ["pack record", layout.packRecord, RECORD_BYTES],
    ["sampler", layout.sampler, samplerBytes(config.vocabSize)],
    ...[...layout.grids].map(([name, address]): [string, number, number] => [
      name,
      address,
      gridPoints(name).length,
    ]),
    ["staging", layout.staging.address, 2 * layout.staging.bytes],
  ];
}

describe("planLayout", () => {
  const models: [string, Uint8Array][] = [
    ["a GGUF", tiny()],
    ["a Q4_0 GGUF with tied output", tiny({ type: "Q4_0", tied: true })],
    ["a GGUF of types with three grids", mixed(["IQ2_XS", "IQ1_S", "IQ1_M", "IQ3_S"])],
    ["odd sizes", tiny({ dim: 6, nHeads: 1, nKvHeads: 1, hiddenDim: 33, nLayers: 1, contextLength: 1 })],
    ["a llama2.c file of int8", llama2cFile({ version: 2 }).bytes],
  ];
  for (const [name, bytes] of models) {
    it(`planLayout() gives everything room of its own: ${name}`, async () => {
      for (const options of [
        {},
        { precision: "f32" },
        { precision: "q4", kv: "q8", threads: 5 },
        { base: 2 ** 31 },
      ] as const) {
        const layout = await layoutOf(bytes, options);
        let end = ("base" in options && options.base) || CONTROL_BYTES;
        for (const [what, address, length] of regions(layout).sort((a, b) => a[1] - b[1])) {
          assert.equal(address % 64, 0, what);
          assert.ok(length > 0 && address >= end, `${what} at ${address}, the one before ends at ${end}`);
          end = address + length;
        }
        assert.ok(end <= layout.totalBytes);
        assert.ok(layout.totalBytes - end < 64 + 4 * 64, "nothing is wasted at the end");
      }
    });
  }

  it("planLayout() begins at `base`, all else as without it", async () => {
    const low = await layoutOf(tiny());
    const base = 2 ** 31 + 64;
    const high = await layoutOf(tiny(), { base });
    assert.equal(high.totalBytes - low.totalBytes, base - CONTROL_BYTES);
    assert.deepEqual(
      regions(high),
      regions(low).map(([what, address, bytes]) => [what, address + base - CONTROL_BYTES, bytes]),
    );
  });

  it("planLayout() takes the model's context, at most 4096, or the caller's, at most the model's", async () => {
    const lengths: [number, number | undefined, number][] = [
      [128, undefined, 128],
      [128, 1, 1],
      [128, 127, 127],
      [128, 128, 128],
      [4097, undefined, 4096],
      [4097, 4097, 4097],
      [2 ** 40, undefined, 4096],
      [2 ** 40, 2 ** 20, 2 ** 20],
    ];
    for (const [own, asked, expected] of lengths) {
      const file = tiny({ metadata: { "llama.context_length": meta("u64", own) } });
      const layout = await layoutOf(file, { contextLength: asked });
      assert.equal(layout.contextLength, expected);
      assert.equal(layout.kv.sequenceBytes, Math.ceil(expected / KV_PAGE) * pageBytesOf(layout));
      assert.equal(layout.batch, Math.min(MAX_BATCH, expected));
    }
    const refuse = async (own: number, asked: number, most: number) =>
      refused(
        layoutOf(tiny({ metadata: { "llama.context_length": meta("u64", own) } }), { contextLength: asked }),
        new RegExp(
          `^Cannot load with contextLength ${asked}: Expected at most ${most} \\(the model's context\\); ropeScaling reaches beyond it$`,
        ),
        UsageError,
      );
    await refuse(128, 129, 128);
    await refuse(2 ** 40, 2 ** 20 + 1, 2 ** 20);
  });

  it("planLayout() stores keys and values as f32 with f32 weights, else as f16, or as asked", async () => {
    const kv = async (options: LayoutOptions) => (await layoutOf(tiny(), options)).kv;
    assert.equal((await kv({})).type, "f16");
    assert.equal((await kv({ precision: "q4" })).type, "f16");
    assert.equal((await kv({ precision: "f32" })).type, "f32");
    for (const type of ["f32", "f16", "q8"] as const) {
      assert.equal((await kv({ kv: type, precision: "f32" })).type, type);
    }
    const bytes = await Promise.all((["f32", "f16", "q8"] as const).map((type) => kv({ kv: type })));
    // 32 positions of a key and a value of 16; q8 has an f32 scale for each.
    assert.deepEqual(
      bytes.map(({ layers }) => layers[0]?.headBytes),
      [32 * 2 * 16 * 4, 32 * 2 * 16 * 2, 32 * 2 * (16 + 4)],
    );
  });

  it("planLayout() asks for as many rows of logits as 4 MiB hold, and one for each sequence of a step at least", async () => {
    for (const [vocabSize, rows] of [
      [300, 64],
      [2 ** 20 / 16, 16],
      [2 ** 20 / 16 + 1, 15],
      [2 ** 18, MAX_SEGMENTS],
      [2 ** 20 + 8, MAX_SEGMENTS],
    ] as const) {
      const file = shapeHeader({ dim: 2, nHeads: 1, nKvHeads: 1, hiddenDim: 1, vocabSize });
      assert.equal((await planLayout(file, {})).maxOutputs, rows, `${vocabSize} tokens`);
    }
  });

  it("planLayout() stages PADDED_ROWS rows of the widest matrix, whatever its type", async () => {
    assert.equal((await layoutOf(tiny())).staging.bytes, 1 << 20);
    for (const type of ["F32", "BF16", "Q8_0"]) {
      for (const hiddenDim of [32, 1 << 18, 1 << 20]) {
        const file = shapeHeader({ dim: 32, nHeads: 2, nKvHeads: 1, hiddenDim }, type);
        const { staging, weights } = await planLayout(file, {});
        const [layer] = weights.layers as readonly [LayerWeights];
        const rowBytes = blockOf(layer).down.info.byteLength / 32;
        const most = Math.max(1 << 20, PADDED_ROWS * rowBytes);
        assert.ok(staging.bytes >= most && staging.bytes <= most + 64, `${staging.bytes} for ${most}`);
      }
    }
    // Each value of llama2.c's int8 may have a scale of its own.
    const config = { dim: 4, hidden_dim: 1 << 18, n_layers: 1, n_heads: 2, n_kv_heads: 1, vocab_size: 3 };
    const { staging } = await layoutOf(llama2cFile({ version: 2, groupSize: 1, config }).bytes);
    assert.ok(staging.bytes >= PADDED_ROWS * config.hidden_dim * 5);
  });

  it("planLayout() accepts a budget of just what it takes, and refuses a byte less with the numbers", async () => {
    const { totalBytes } = await layoutOf(tiny());
    assert.equal((await layoutOf(tiny(), { maxBytes: totalBytes })).maxBytes, totalBytes);
    for (const maxBytes of [totalBytes - 1, 1]) {
      const made = await memoriesOf(() =>
        refused(
          layoutOf(tiny(), { maxBytes }),
          new RegExp(
            `^Cannot load bytes: Expected at most ${maxBytes} bytes \\(the budget\\), it takes ${totalBytes}: ` +
              "weights 0\\.1 MiB, KV cache of 128 positions 0\\.0 MiB, the rest 2\\.\\d MiB; " +
              (maxBytes > 1
                ? "it fits with contextLength: 96$"
                : "take a file of fewer bits a weight, such as Q4_K_M$"),
          ),
          MemoryError,
        ),
      );
      assert.ok(made.every((bytes) => bytes === 65536));
    }
  });

  it("planLayout() never uses the last page, whose end would be address 0", async () => {
    const { totalBytes } = await layoutOf(tiny());
    const end = 2 ** 32 - 65536;
    assert.equal(ADDRESSABLE_BYTES, end);
    const room = Math.ceil((totalBytes - CONTROL_BYTES) / 64) * 64;
    const fits = await layoutOf(tiny(), { base: end - room });
    assert.ok(fits.totalBytes <= end);
    assert.equal(fits.maxBytes, end);
    const refuse = (options: LayoutOptions) =>
      refused(
        layoutOf(tiny(), options),
        /^Cannot load bytes: Expected at most 4294901760 bytes \(one WebAssembly memory\), it takes 42949/,
        MemoryError,
      );
    await refuse({ base: end - room + 64 });
    await refuse({ base: end - room + 64, maxBytes: 2 ** 40 });
    // The end of the very last buffer.
    await refuse({ base: 2 ** 32 - room });
  });
});

describe("Llama.load() of models that are too large", () => {
  it("refuses a budget that does not suffice, with the numbers, before anything is allocated", async () => {
    const { totalBytes } = await layoutOf(tiny());
    for (const maxBytes of [totalBytes - 1, 65536, 1]) {
      await refuses(
        tiny(),
        new RegExp(
          `^Cannot load bytes: Expected at most ${maxBytes} bytes \\(the budget\\), it takes ${totalBytes}: ` +
            "weights .* MiB, KV cache of 128 positions .* MiB, the rest .* MiB; (it fits with|take a file of) ",
        ),
        MemoryError,
        { maxBytes },
      );
    }
    const made = await memoriesOf(async () => {
      await using llama = await Llama.load(tiny(), { maxBytes: totalBytes, threads: 1 });
      assert.ok(llama.memoryBytes < totalBytes + 65536);
    });
    assert.ok(Math.max(...made) < totalBytes + 65536);
  });

  it("says which context fits, or that no context does", async () => {
    const file = tinyLlamaGguf({ contextLength: 1000, type: "Q8_0" }).bytes;
    const layout = await layoutOf(file);
    const { totalBytes } = layout;
    const pageBytes = pageBytesOf(layout);
    for (const missing of [1, 63, 64, pageBytes, 10 * pageBytes - 64, 30.5 * pageBytes]) {
      const maxBytes = Math.floor(totalBytes - missing);
      const error = await layoutOf(file, { maxBytes }).then(
        () => assert.fail("it fits"),
        (error: Error) => error,
      );
      const fits = Number(/; it fits with contextLength: (\d+)$/.exec(error.message)?.[1]);
      assert.ok(fits >= 32 && fits < 1000, error.message);
      assert.ok((await layoutOf(file, { maxBytes, contextLength: fits })).totalBytes <= maxBytes);
      // Two pages more would not fit: the number is no guess.
      await assert.rejects(
        layoutOf(file, { maxBytes, contextLength: Math.min(1000, fits + 65) }),
        MemoryError,
      );
    }
    const maxBytes = totalBytes - 40 * pageBytes;
    await refused(
      layoutOf(file, { maxBytes }),
      /; take a file of fewer bits a weight, such as Q4_K_M$/,
      MemoryError,
    );
  });

  it("takes less where the context is shorter", async () => {
    const options = { metadata: { "llama.context_length": meta("u32", 4096) } };
    const { totalBytes } = await layoutOf(tiny(options));
    await refuses(tiny(options), /KV cache of 4096 positions/, MemoryError, { maxBytes: totalBytes - 1 });
    (
      await Llama.load(tiny(options), { maxBytes: totalBytes - 1, contextLength: 4064, threads: 1 })
    ).dispose();
  });

  it("refuses more than one memory holds by the header alone", async () => {
    const shape = { dim: 8192, hiddenDim: 1 << 17, nLayers: 4, nHeads: 64, nKvHeads: 8 };
    const { metadata } = await openModelFile(bytesSource(tiny()));
    const changed = { ...Object.fromEntries(metadata), ...shapeKeys(shape) } as Record<string, GgufValue>;
    changed["llama.rope.dimension_count"] = meta("u32", 128);
    const empty = new Uint8Array(0);
    const { bytes } = ggufFile({
      metadata: Object.entries(changed),
      tensors: Object.entries(llamaTensors(shape)).map(([name, [shape]]) => ({
        name,
        shape,
        type: "F32",
        data: empty,
      })),
    });
    let furthest = 0;
    const source: ByteSource = {
      name: "huge",
      size: 2 ** 40,
      async read(offset, target) {
        furthest = Math.max(furthest, offset + target.length);
        target.set(bytes.subarray(offset, offset + target.length));
      },
      async close() {},
    };
    const sizes: Record<Precision, RegExp> = {
      f32: /it takes 5\d{10}: weights 5\d{4}\.\d MiB/,
      q8: /it takes 1\d{10}: weights 1\d{4}\.\d MiB/,
      q4: /it takes 7\d{9}: weights 7\d{3}\.\d MiB/,
    };
    for (const [precision, numbers] of Object.entries(sizes)) {
      await refuses(
        source,
        new RegExp(
          `^Cannot load huge: Expected at most 4294901760 bytes \\(one WebAssembly memory\\), ${numbers.source}`,
        ),
        MemoryError,
        { precision: precision as Precision },
      );
    }
    assert.ok(furthest <= bytes.length + (128 << 10), "no weight is read");
    // A stream that claims as much is refused just so, though its end is not known.
    await refuses(
      chunked(bytes, 1000),
      /^Cannot load stream: Expected at most 4294901760 bytes/,
      MemoryError,
    );
  });
});
