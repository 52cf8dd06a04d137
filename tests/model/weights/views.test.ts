// Weights that share a tensor: a file whose q, k and v, or gate and up, are rows of one gives the bits of a file in which
// they are tensors of their own.
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { Engine } from "../../../src/engine/engine.ts";
import { openModelFile } from "../../../src/format/detect.ts";
import type { ModelFile, TensorInfo } from "../../../src/format/model_file.ts";
import { llama } from "../../../src/model/arch/families/llama.ts";
import type { Architecture, LayerSpec } from "../../../src/model/arch/spec.ts";
import { bytesSource } from "../../../src/source/bytes.ts";
import { type TinyLlamaOptions, type TinyWeight, tinyLlama } from "../../support/gguf_writer.ts";
import { randomF32 } from "../../support/kernels.ts";
import { llama2cFile } from "../../support/llama2c_writer.ts";
import { allLogits, engineOf, hashLogits, someIds } from "../../support/models.ts";

const ids = someIds(20, 300);
const bitsOf = async (engine: Engine) => hashLogits(await allLogits(engine, ids, [9, 1]));

/** Llama, or Llama of files with fused tensors, with biases where files have them. */
function variant(isFused: boolean): Architecture {
  const layer: Architecture["layer"] = (i, hyper): LayerSpec => {
    const spec = llama.layer(i, hyper);
    const shape = isFused ? "fused" : "split";
    return {
      ...spec,
      attention: { ...spec.attention, qkv: shape, bias: "optional" },
      feedForward: { act: "silu", gated: true, gateUp: shape, bias: "optional" },
    };
  };
  return { ...llama, layer };
}

const fused = { architectures: [variant(true)] };
const split = { architectures: [variant(false)] };

const together = {
  attn_qkv: ["attn_q", "attn_k", "attn_v"],
  // As GGUF's Phi-3 names it: the gate's rows first.
  ffn_up: ["ffn_gate", "ffn_up"],
};

/** The same weights twice: with a tensor for each, and fused. */
function files(options: TinyLlamaOptions): {
  split: Uint8Array<ArrayBuffer>;
  fused: Uint8Array<ArrayBuffer>;
} {
  const whole = tinyLlama(options);
  const tensors: Record<string, Partial<TinyWeight> | undefined> = { ...options.tensors };
  for (const name of whole.weights.keys()) tensors[name] = undefined;
  for (const [name, weight] of whole.weights) tensors[name] = weight;
  for (let layer = 0; layer < 2; layer++) {
    for (const suffix of ["weight", "bias"]) {
      for (const [stem, parts] of Object.entries(together)) {
        const of = parts.flatMap((part) => whole.weights.get(`blk.${layer}.${part}.${suffix}`) ?? []);
        if (of.length === 0) continue;
        for (const part of parts) tensors[`blk.${layer}.${part}.${suffix}`] = undefined;
        const [first] = of as [TinyWeight];
        const rows = of.reduce((sum, { shape }) => sum + (shape[0] as number), 0);
        const values = Float32Array.from(of.flatMap((weight) => [...weight.values]));
        tensors[`blk.${layer}.${stem}.${suffix}`] = {
          shape: [rows, ...first.shape.slice(1)],
          type: first.type,
          values,
        };
      }
    }
  }
  return { split: whole.file.bytes, fused: tinyLlama({ ...options, tensors }).file.bytes };
}

function biases(shapes: Record<string, number>): Record<string, Partial<TinyWeight>> {
  return Object.fromEntries(
    [0, 1].flatMap((layer) =>
      Object.entries(shapes).map(([stem, n]) => [
        `blk.${layer}.${stem}.bias`,
        { shape: [n], values: randomF32(n, n + layer, -1, 1) },
      ]),
    ),
  );
}

describe("weights that are rows of one tensor", () => {
  for (const type of ["F32", "F16", "BF16", "Q8_0", "Q4_0"]) {
    it(`give the bits of weights with a tensor each: ${type}`, async () => {
      for (const precision of ["f32", "q8", "q4"] as const) {
        const both = files({ type });
        assert.equal(
          await bitsOf(await engineOf(both.fused, { precision, ...fused })),
          await bitsOf(await engineOf(both.split, { precision, ...split })),
        );
      }
    });
  }

  it("may begin and end anywhere, with biases that do", async () => {
    const shape = { dim: 18, nHeads: 3, nKvHeads: 1, hiddenDim: 13 };
    const tensors = biases({ attn_q: 18, attn_k: 6, attn_v: 6, ffn_gate: 13, ffn_up: 13 });
    const both = files({ ...shape, tensors });
    const bits = await bitsOf(await engineOf(both.fused, { precision: "f32", ...fused }));
    assert.equal(bits, await bitsOf(await engineOf(both.split, { precision: "f32", ...split })));
    const without = files(shape);
    assert.notEqual(bits, await bitsOf(await engineOf(without.fused, { precision: "f32", ...fused })));
  });

  it("may take several staged parts each, and progress ends at the bytes of the file's tensors", async () => {
    // 9,001 rows of 256 bytes are more than two MiB.
    const both = files({ hiddenDim: 9001 });
    const seen: { loadedBytes: number; totalBytes: number }[] = [];
    const onProgress = (progress: (typeof seen)[number]) => seen.push({ ...progress });
    const engine = await engineOf(both.fused, { ...fused, onProgress });
    assert.equal(await bitsOf(engine), await bitsOf(await engineOf(both.split, split)));
    const { tensors } = await openModelFile(bytesSource(both.fused));
    const bytes = [...tensors.values()].reduce((sum, info) => sum + info.byteLength, 0);
    assert.deepEqual(seen.at(-1), { loadedBytes: bytes, totalBytes: bytes });
  });

  it("are read in the order of the file", async () => {
    const file = await openModelFile(bytesSource(files({}).fused));
    let end = 0;
    const source = {
      ...file.source,
      read: async (offset: number, target: Uint8Array) => {
        assert.ok(offset >= end, `${offset} after ${end}`);
        end = offset + target.length;
        await file.source.read(offset, target);
      },
    };
    const tensors = new Map(Array.from(file.tensors, ([name, info]) => [name, { ...info, source }]));
    await Engine.create({ ...file, tensors }, { threads: 1, ...fused });
    assert.ok(end > 0);
  });

  it("have scales that count through the whole tensor (llama2.c's int8)", async () => {
    const { bytes } = llama2cFile({ version: 2, groupSize: 16, config: { n_layers: 1 } });
    const file = await openModelFile(bytesSource(bytes));
    const whole = await Engine.create(file, { threads: 1 });
    assert.equal(
      await bitsOf(await Engine.create(fuseGroups(file, bytes), { threads: 1, ...fused })),
      await bitsOf(whole),
    );
  });

  it("of which a part is missing are refused by their tensor's shape", async () => {
    const tensors = {
      "blk.0.attn_q.weight": undefined,
      "blk.0.attn_qkv.weight": { shape: [96, 64] },
    };
    await assert.rejects(engineOf(tinyLlama({ tensors }).file.bytes, fused), {
      name: "FormatError",
      message: "Cannot load tensor blk.0.attn_qkv.weight of bytes: Expected shape [128, 64], got [96, 64]",
    });
  });

  it("are refused as vectors of blocks that lie across two of them", async () => {
    const tensors = biases({ attn_q: 48, attn_k: 16, attn_v: 16 });
    const both = files({ dim: 48, nHeads: 3, nKvHeads: 1, hiddenDim: 32, tensors });
    const file = await openModelFile(bytesSource(both.fused));
    const infos = new Map(file.tensors);
    const bias = infos.get("blk.0.attn_qkv.bias") as TensorInfo;
    infos.set(bias.name, { ...bias, type: "Q8_0" });
    await assert.rejects(Engine.create({ ...file, tensors: infos }, { threads: 1, ...fused }), {
      name: "UnsupportedError",
      message:
        "Cannot load tensor blk.0.attn_qkv.bias of bytes: Unsupported type Q8_0 of a vector whose parts are no whole blocks; take another file of this model, or make one of its F16 file with cria quantize",
    });
  });
});

/** A file of int8 groups whose fused tensors are appended to its bytes: all values, then all scales. */
function fuseGroups(file: ModelFile, bytes: Uint8Array): ModelFile {
  const tensors = new Map(file.tensors);
  const chunks = [bytes];
  let end = bytes.length;
  const append = (from: { offset: number; byteLength: number }) => {
    chunks.push(bytes.subarray(from.offset, from.offset + from.byteLength));
    end += from.byteLength;
  };
  for (const [stem, parts] of Object.entries(together)) {
    const of = parts.map((part) => file.tensors.get(`blk.0.${part}.weight`) as Required<TensorInfo>);
    const offset = end;
    for (const info of of) append(info);
    const scalesAt = end;
    for (const info of of) append(info.scales);
    for (const part of parts) tensors.delete(`blk.0.${part}.weight`);
    const [first] = of as [Required<TensorInfo>];
    const rows = of.reduce((sum, { shape }) => sum + (shape[0] as number), 0);
    const scales = { offset: scalesAt, byteLength: end - scalesAt, groupSize: first.scales.groupSize };
    const name = `blk.0.${stem}.weight`;
    const byteLength = scalesAt - offset;
    tensors.set(name, {
      ...first,
      name,
      shape: [rows, first.shape[1] as number],
      offset,
      byteLength,
      scales,
    });
  }
  const joined = new Uint8Array(end);
  let at = 0;
  for (const chunk of chunks) {
    joined.set(chunk, at);
    at += chunk.length;
  }
  const { checkEnd: _, ...rest } = file;
  const source = bytesSource(joined);
  return {
    ...rest,
    source,
    tensors: new Map(Array.from(tensors, ([name, info]) => [name, { ...info, source }])),
  };
}
