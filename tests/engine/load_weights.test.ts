// Weights that no model has.
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { Engine } from "../../src/engine/engine.ts";
import { openModelFile } from "../../src/format/detect.ts";
import type { ModelFile, TensorInfo } from "../../src/format/model_file.ts";
import type { KvType } from "../../src/mod.ts";
import { Llama, type LoadOptions, SamplingError, SourceError } from "../../src/mod.ts";
import type { ByteSource } from "../../src/source/byte_source.ts";
import { bytesSource } from "../../src/source/bytes.ts";
import { streamSource } from "../../src/source/stream.ts";
import { encodeTensor, type TinyLlamaOptions, tinyLlamaGguf, tinyVocab } from "../support/gguf_writer.ts";
import { nmse, workingVariants } from "../support/kernels.ts";
import { llama2cFile, tokenizerBin } from "../support/llama2c_writer.ts";
import { memoriesOf } from "../support/memory_spy.ts";
import { llamaTensors } from "../support/model_file.ts";
import { allLogits, engineOf, hashLogits, someIds } from "../support/models.ts";
import { chunked, refused } from "../support/refused.ts";

const tiny = (options: TinyLlamaOptions = {}) => tinyLlamaGguf(options).bytes;

/** Checks that a model is refused for its weights, in a memory of about their size. */
async function refusesWeights(
  bytes: Uint8Array<ArrayBuffer>,
  message: RegExp,
  options: LoadOptions = {},
): Promise<void> {
  const made = await memoriesOf(() => refused(Llama.load(bytes, { threads: 1, ...options }), message));
  // Weights as f32 tiles, 2 MiB of staging and the rest.
  assert.ok(made.every((size) => size < 8 * bytes.length + (4 << 20)));
}

/** A model's bytes with some bytes of a tensor replaced; `at` counts from the tensor's beginning. */
async function patched(
  bytes: Uint8Array<ArrayBuffer>,
  name: string,
  at: number | ((info: TensorInfo) => number),
  patch: Iterable<number>,
): Promise<Uint8Array<ArrayBuffer>> {
  const info = (await openModelFile(bytesSource(bytes))).tensors.get(name);
  assert.ok(info, name);
  const changed = bytes.slice();
  changed.set(Uint8Array.from(patch), info.offset + (typeof at === "number" ? at : at(info)));
  return changed;
}

const f32Bytes = (value: number) => new Uint8Array(Float32Array.of(value).buffer);

describe("Llama.load() of weights that are no numbers", () => {
  const notFinite: [string, string, number[]][] = [
    ["F32", "NaN", [0, 0, 0xc0, 0x7f]],
    ["F32", "signalling NaN", [1, 0, 0x80, 0xff]],
    ["F32", "Infinity", [0, 0, 0x80, 0x7f]],
    ["F32", "-Infinity", [0, 0, 0x80, 0xff]],
    ["F16", "NaN", [1, 0x7e]],
    ["F16", "-Infinity", [0, 0xfc]],
    ["BF16", "NaN", [0xc0, 0x7f]],
    ["BF16", "Infinity", [0x80, 0x7f]],
    ["Q8_0", "a scale of NaN", [1, 0x7c]],
    ["Q8_0", "a scale of Infinity", [0, 0x7c]],
    ["Q4_0", "a scale of NaN", [0xff, 0xff]],
    ["Q4_0", "a scale of -Infinity", [0, 0xfc]],
  ];
  const lasts: Record<string, number> = { F32: 4, F16: 2, BF16: 2, Q8_0: 34, Q4_0: 18 };
  for (const [type, what, patch] of notFinite) {
    it(`refuses ${what} in ${type} matrices, naming tensor and row`, async () => {
      const bytes = tiny({ type, nLayers: 1 });
      for (const [precision, where] of [
        ["f32", 0],
        ["q8", 0.6],
        ["q4", 1],
      ] as const) {
        const worse =
          precision === "f32"
            ? "NaN or infinity"
            : `NaN, infinity or one too large for ${precision}; the precision option \\(--precision f32\\) loads all that are finite`;
        for (const [name, rows] of [
          ["token_embd.weight", 300],
          ["blk.0.ffn_down.weight", 64],
        ] as const) {
          const row = Math.round((rows - 1) * where);
          // The last value or block of the row.
          const at = (info: TensorInfo) => ((row + 1) * info.byteLength) / rows - (lasts[type] ?? 0);
          await refusesWeights(
            await patched(bytes, name, at, patch),
            new RegExp(
              `^Cannot load tensor ${name} of type ${type} of bytes: Expected finite values in row ${row}, got ${worse}$`,
            ),
            { precision },
          );
        }
      }
    });
  }

  it("names the row also behind the first staged part of a matrix", async () => {
    const bytes = tiny({ nLayers: 1, vocabSize: 9001, tied: true });
    for (const row of [4095, 4096, 9000]) {
      await refusesWeights(
        await patched(bytes, "token_embd.weight", 4 * 64 * row + 8, [0, 0, 0xc0, 0x7f]),
        new RegExp(
          `tensor token_embd\\.weight of type F32 of bytes: Expected finite values in row ${row}, got NaN, infinity`,
        ),
      );
    }
  });

  it("refuses NaN and infinity in vectors", async () => {
    for (const name of ["blk.0.attn_norm.weight", "blk.1.ffn_norm.weight", "output_norm.weight"]) {
      for (const value of [Number.NaN, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY]) {
        await refusesWeights(
          await patched(tiny(), name, 4 * 63, f32Bytes(value)),
          new RegExp(
            `^Cannot load tensor ${name} of type F32 of bytes: Expected finite values, got NaN or infinity$`,
          ),
        );
      }
    }
  });

  it("refuses rotary factors that turn by anything but an angle", async () => {
    const factors = (value: number) =>
      tiny({
        nLayers: 1,
        tensors: {
          "rope_freqs.weight": { shape: [8], values: Float32Array.of(1, 2, 4, 8, 1, 1, 1, value) },
        },
      });
    const least = 128 / 2 ** 20;
    for (const value of [0, -1, 1e-30, least / 2]) {
      await refusesWeights(
        factors(value),
        new RegExp(
          `^Cannot load tensor rope_freqs\\.weight of bytes: Expected values of at least ${least}, got ${Math.fround(value)}$`,
        ),
      );
    }
    await refusesWeights(
      factors(Number.NaN),
      /tensor rope_freqs\.weight of type F32 of bytes: Expected finite values, got NaN/,
    );
    for (const value of [least, 1, 8, 3e38]) {
      await using llama = await Llama.load(factors(value), { threads: 1 });
      assert.ok((await llama.logits(someIds(128, 300))).every(Number.isFinite));
    }
  });

  it("refuses NaN among the scales of llama2.c's int8", async () => {
    const { bytes } = llama2cFile({ version: 2 });
    const info = (await openModelFile(bytesSource(bytes))).tensors.get("blk.1.attn_v.weight");
    assert.ok(info?.scales);
    const changed = bytes.slice();
    changed.set(f32Bytes(Number.NaN), info.scales.offset + 4 * 9);
    await refusesWeights(
      changed,
      /^Cannot load tensor blk\.1\.attn_v\.weight of type Q8_G of bytes: Expected finite values in row 4, got NaN/,
      { tokenizer: tokenizerBin(tinyVocab()) },
    );
  });

  it("refuses f32 values that q8 and q4 cannot hold, and takes them as f32", async () => {
    for (const value of [1e6, -3e38]) {
      const bytes = await patched(tiny(), "blk.1.ffn_up.weight", 4 * 64 * 5, f32Bytes(value));
      for (const precision of ["q8", "q4"] as const) {
        await refusesWeights(
          bytes,
          new RegExp(
            `^Cannot load tensor blk\\.1\\.ffn_up\\.weight of type F32 of bytes: Expected finite values in row 5, got .* too large for ${precision}; the precision option`,
          ),
          { precision },
        );
      }
      (await Llama.load(bytes, { precision: "f32", threads: 1 })).dispose();
    }
  });

  it("refuses exponents of MXFP4 that no half holds, and takes all but NaN's as f32", async () => {
    const bytes = tiny({ type: "MXFP4", nLayers: 1 });
    const name = "blk.0.ffn_up.weight";
    // Nibbles of 0.5: with exponent 254 their value is 2^126.
    const block = (e: number) => [e, ...Array(16).fill(0x11)];
    for (const e of [144, 254]) {
      const changed = await patched(bytes, name, 2 * 17 * 5, block(e));
      await refusesWeights(changed, /type MXFP4 .* row 5, got .* too large for mxfp4; the precision option/);
      await using llama = await Llama.load(changed, { precision: "f32", threads: 1 });
      assert.ok((await llama.logits([1])).every(Number.isFinite) || e === 254);
    }
    await refusesWeights(await patched(bytes, name, 2 * 17 * 5, block(255)), /row 5, got NaN or infinity$/, {
      precision: "f32",
    });
  });

  it("takes int8 values of -128, and gives the same bits in every kernel build", async () => {
    const block = (d: number) => [...encodeTensor("F16", Float32Array.of(d)), ...Array(32).fill(0x80)];
    const all = Array.from({ length: 64 * 2 }, (_, i) => block(i % 2 ? 1e-3 : -2e-3)).flat();
    let bytes = tiny({ type: "Q8_0" });
    for (const name of ["blk.0.attn_q.weight", "blk.1.attn_output.weight"]) {
      bytes = await patched(bytes, name, 0, all);
    }
    const ids = someIds(20, 300);
    const exact = await allLogits(await engineOf(bytes, { precision: "f32", threads: 1 }), ids, [20]);
    const hashes = new Set<string>();
    for (const kernel of workingVariants()) {
      const rows = await allLogits(await engineOf(bytes, { precision: "q8", kernel, threads: 1 }), ids, [20]);
      hashes.add(hashLogits(rows));
      assert.ok(
        nmse(
          rows.flatMap((row) => [...row]),
          exact.flatMap((row) => [...row]),
        ) < 5e-3,
      );
    }
    assert.equal(hashes.size, 1);
  });
});

describe("Llama.complete() with weights that are finite and absurd", () => {
  const filled = (n: number, value: (i: number) => number) =>
    Float32Array.from({ length: n }, (_, i) => value(i));
  const kvTypes: readonly KvType[] = ["f32", "f16", "q8"];
  /** Last: the KV types with which nothing can be drawn. Where there are others, f16 has saturated. */
  const models: [string, TinyLlamaOptions, LoadOptions, readonly KvType[]][] = [
    [
      "an output matrix of 3e38",
      { tensors: { "output.weight": { values: filled(300 * 64, (i) => (i % 3 ? 3e38 : -3e38)) } } },
      { precision: "f32" },
      kvTypes,
    ],
    [
      "norm weights of 3e38",
      { tensors: { "blk.0.attn_norm.weight": { values: filled(64, () => 3e38) } } },
      { precision: "q8" },
      kvTypes,
    ],
    [
      "embeddings of 3e38",
      { tensors: { "token_embd.weight": { values: filled(300 * 64, (i) => (i % 2 ? 3e38 : -3e38)) } } },
      { precision: "f32" },
      [],
    ],
    [
      "queries and keys of 1e30",
      {
        tensors: {
          "blk.0.attn_q.weight": { values: filled(64 * 64, (i) => (i % 7 ? 1e30 : -1e30)) },
          "blk.0.attn_k.weight": { values: filled(32 * 64, (i) => (i % 5 ? 1e30 : -1e30)) },
        },
      },
      { precision: "f32" },
      ["f32", "q8"],
    ],
    [
      "weights of 400000 everywhere",
      {
        tensors: Object.fromEntries(
          Object.entries(llamaTensors({ nLayers: 2 })).map(([name, [shape]]) => [
            name,
            {
              values: filled(
                shape.reduce((a, b) => a * b),
                (i) => (i % 3 ? 4e5 : -4e5),
              ),
            },
          ]),
        ),
      },
      // Activations are then beyond what a scale times 2^112 can be.
      { precision: "q8" },
      kvTypes,
    ],
    [
      "weights of zero",
      {
        tensors: Object.fromEntries(
          Object.entries(llamaTensors({ nLayers: 2 })).map(([name, [shape]]) => [
            name,
            { values: new Float32Array(shape.reduce((a, b) => a * b)) },
          ]),
        ),
      },
      { precision: "q8" },
      [],
    ],
  ];
  for (const [title, model, options, fails] of models) {
    it(`${fails.length > 0 ? "refuses to draw from" : "ends with"} ${title}`, async () => {
      const bytes = tiny(model);
      for (const kv of kvTypes) {
        await using llama = await Llama.load(bytes, { ...options, kv, threads: 1 });
        for (const sampling of [{ temperature: 0 }, { temperature: 1, seed: 1 }, { topK: 0, topP: 1 }]) {
          const run = llama.complete("in the king", { ...sampling, maxTokens: 5, ignoreEos: true });
          if (fails.includes(kv))
            await refused(run, /^Cannot sample: Expected .*, got (NaN|none)/, SamplingError);
          else assert.equal((await run).ids.length, 5);
        }
      }
    });
  }
});

describe("Engine.create() of tensors in two sources", () => {
  type Open = (bytes: Uint8Array<ArrayBuffer>, name: string) => ByteSource;
  const sizeOf = ({ byteLength, scales }: TensorInfo) => byteLength + (scales?.byteLength ?? 0);
  const ids = someIds(40, 300);
  const hashOf = async (engine: Engine) => hashLogits(await allLogits(engine, ids, [40]));

  /** A model whose every second tensor was moved to a second file, in the opposite order. */
  async function divided(bytes: Uint8Array<ArrayBuffer>, open: Open): Promise<ModelFile> {
    const file = await openModelFile(bytesSource(bytes));
    const infos = [...file.tensors.values()];
    const moved = infos.filter((_, i) => i % 2 === 1).reverse();
    // What is moved leaves NaN behind, and there is NaN before it.
    const [begin, nan] = [7, 0xff];
    const first = bytes.slice();
    const second = new Uint8Array(begin + moved.reduce((sum, info) => sum + sizeOf(info), 0)).fill(nan);
    const places = new Map<string, number>();
    for (let at = begin, i = 0; i < moved.length; i++) {
      const info = moved[i] as TensorInfo;
      const end = info.offset + sizeOf(info);
      second.set(bytes.subarray(info.offset, end), at);
      first.fill(nan, info.offset, end);
      places.set(info.name, at);
      at += sizeOf(info);
    }
    const sources = [open(first, "first"), open(second, "second")] as const;
    const placed = infos.map((info): TensorInfo => {
      const offset = places.get(info.name);
      if (offset === undefined) return { ...info, source: sources[0] };
      const { scales } = info;
      const inSecond = { ...info, source: sources[1], offset };
      return scales
        ? { ...inSecond, scales: { ...scales, offset: offset + scales.offset - info.offset } }
        : inSecond;
    });
    return { ...file, source: sources[0], tensors: new Map(placed.map((info) => [info.name, info])) };
  }

  it("gives the bits of one source", async () => {
    const files = [tiny(), tiny({ type: "Q8_0" }), tiny({ type: "Q4_0" }), llama2cFile({ version: 2 }).bytes];
    for (const bytes of files) {
      const engine = await Engine.create(await divided(bytes, bytesSource), { threads: 1 });
      assert.equal(await hashOf(engine), await hashOf(await engineOf(bytes)));
    }
  });

  it("reads each source from front to back, and counts the bytes of both", async () => {
    const ends = new Map<string, number>();
    const forward: Open = (bytes, name) => {
      const source = bytesSource(bytes, name);
      return {
        ...source,
        async read(offset, target) {
          assert.ok(offset >= (ends.get(name) ?? 0), `${name} at ${offset}`);
          ends.set(name, offset + target.length);
          await source.read(offset, target);
        },
      };
    };
    const file = await divided(tiny({ type: "Q8_0" }), forward);
    const progress: [number, number][] = [];
    await Engine.create(file, {
      threads: 1,
      onProgress: ({ loadedBytes, totalBytes }) => progress.push([loadedBytes, totalBytes]),
    });
    const total = [...file.tensors.values()].reduce((sum, info) => sum + sizeOf(info), 0);
    assert.deepEqual(progress.at(-1), [total, total]);
    assert.deepEqual([...ends.keys()].sort(), ["first", "second"]);
  });

  it("takes streams, and says which source ends too early", async () => {
    const bytes = tiny();
    const streams =
      (cut: number): Open =>
      (data, name) =>
        streamSource(chunked(data.subarray(0, data.length - (name === "second" ? cut : 0)), 1000), name);
    const engine = await Engine.create(await divided(bytes, streams(0)), { threads: 1 });
    assert.equal(await hashOf(engine), await hashOf(await engineOf(bytes)));
    await refused(
      Engine.create(await divided(bytes, streams(1)), { threads: 1 }),
      /^Cannot read second: Expected \d+ bytes at offset \d+, the file ends at \d+$/,
    );
  });

  it("passes on what one of the sources throws", async () => {
    const file = await divided(tiny(), (data, name) => {
      const source = bytesSource(data, name);
      const read = async () => {
        throw new SourceError("Cannot read second: It is gone");
      };
      return name === "first" ? source : { ...source, read };
    });
    await refused(Engine.create(file, { threads: 1 }), /^Cannot read second: It is gone$/, SourceError);
  });
});
