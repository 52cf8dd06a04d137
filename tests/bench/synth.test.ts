// Synthetic files: which tensor types native's quantizer mixes, valid random blocks, and a file that loads as what it is.
import assert from "node:assert/strict";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, it } from "node:test";
import { type BlockTypeName, blockTypes, randomBlocks, randomOf } from "../../bench/synth/blocks.ts";
import { familyHeader } from "../../bench/synth/families.ts";
import { type MixName, mixes, typeIn } from "../../bench/synth/mixes.ts";
import { writeMix, writeWeights } from "../../bench/synth/write.ts";
import { Llama } from "../../src/api/llama.ts";
import { openModelFile } from "../../src/format/detect.ts";
import { tensorTypes } from "../../src/quant/file_types.ts";
import { bytesSource } from "../../src/source/bytes.ts";
import { blockValues } from "../reference/block_types.ts";
import { fileParts, superFiles } from "../reference/file_superblocks.ts";
import { ggufFile, meta } from "../support/gguf_writer.ts";

const COLS = 256;
const names = Object.keys(blockTypes) as BlockTypeName[];

// The layers of 22 whose matrix has a type in a mix.
function layersWith(mix: MixName, type: BlockTypeName, tensor: string, kvMul = 8): number[] {
  const nLayers = 22;
  return Array.from({ length: nLayers }, (_, layer) => layer).filter((layer) => {
    const place = { tensor: `blk.${layer}.${tensor}.weight`, layer, nLayers, kvMul, tied: false };
    return typeIn(mix, place) === type;
  });
}

describe("typeIn()", () => {
  it("gives values and down matrices of the first, the last and every third layer more bits", () => {
    const more = [0, 1, 4, 7, 10, 13, 16, 19, 20, 21];
    for (const mix of ["q4_k_m", "q5_k_m"] as const) {
      assert.deepEqual(layersWith(mix, "Q6_K", "attn_v"), more);
      assert.deepEqual(layersWith(mix, "Q6_K", "ffn_down"), more);
      assert.deepEqual(layersWith(mix, "Q6_K", "ffn_up"), []);
    }
  });

  it("gives IQ4_XS Q5_K for values that four query heads share, and for the first down matrices", () => {
    assert.equal(layersWith("iq4_xs", "Q5_K", "attn_v", 4).length, 22);
    assert.deepEqual(layersWith("iq4_xs", "Q5_K", "attn_v", 2), []);
    assert.deepEqual(layersWith("iq4_xs", "Q5_K", "ffn_down"), [0, 1]);
  });

  it("gives the output matrix Q6_K, which may be the embedding", () => {
    const output = { layer: -1, nLayers: 1, kvMul: 1 };
    for (const mix of Object.keys(mixes) as MixName[]) {
      const expected = mix === "q8_0" ? "Q8_0" : "Q6_K";
      assert.equal(typeIn(mix, { ...output, tensor: "output.weight", tied: false }), expected);
      assert.equal(typeIn(mix, { ...output, tensor: "token_embd.weight", tied: true }), expected);
      assert.equal(typeIn(mix, { ...output, tensor: "token_embd.weight", tied: false }), mixes[mix].base);
    }
  });
});

describe("randomBlocks()", () => {
  it("has the sizes of the table of tensor types", () => {
    for (const name of names) {
      const { code, cols, bytes } = blockTypes[name];
      const type = tensorTypes.find((type) => type.name === name);
      assert.deepEqual([type?.code, type?.blockCols, type?.blockBytes], [code, cols, bytes]);
      assert.equal(randomBlocks(name, 3, 0.02, randomOf(1)).length, 3 * bytes);
    }
  });

  it("has finite scales, in Q6_K smaller than the smallest normal f16", () => {
    for (const name of names) {
      const { bytes } = blockTypes[name];
      const blocks = randomBlocks(name, 50, 0.02, randomOf(1));
      for (let i = 0; i < 50; i++) {
        const block = blocks.subarray(i * bytes, (i + 1) * bytes);
        const code = blockTypes[name].code;
        // The first value's d; Q4_0 has no other scale.
        const half = new DataView(block.buffer, block.byteOffset).getFloat16(0, true);
        const d = Math.abs(code in superFiles ? fileParts(code, block, 0).d : half);
        assert.ok(d > 0 && d < 0.01, `${name}: ${d}`);
        if (name === "Q6_K") assert.ok(d < 2 ** -14);
      }
    }
  });

  it("has values of about the standard deviation that was asked for, around zero, in every type", () => {
    for (const name of names) {
      const values = blockValues(name, randomBlocks(name, 200, 0.02, randomOf(1)));
      const mean = values.reduce((a, b) => a + b, 0) / values.length;
      const std = Math.sqrt(values.reduce((a, v) => a + (v - mean) ** 2, 0) / values.length);
      assert.ok(Math.abs(mean) < 0.001, `${name}: ${mean}`);
      assert.ok(std > 0.018 && std < 0.022, `${name}: ${std}`);
    }
  });

  // The scale of a group of Q4_K and the values of the group, from the layout's description.
  it("has values of the standard deviation that was asked for, around zero", () => {
    const { bytes } = blockTypes.Q4_K;
    const blocks = randomBlocks("Q4_K", 400, 0.02, randomOf(1));
    const values: number[] = [];
    for (let at = 0; at < blocks.length; at += bytes) {
      const block = new DataView(blocks.buffer, at, bytes);
      const [d, dmin] = [block.getFloat16(0, true), block.getFloat16(2, true)];
      for (let group = 0; group < 8; group++) {
        const [low, high] = [block.getUint8(4 + (group % 4)), block.getUint8(12 + (group % 4))];
        const scale = group < 4 ? low & 63 : (high & 15) | ((low >> 6) << 4);
        for (let i = 0; i < 32; i++) {
          const byte = block.getUint8(16 + 32 * (group >> 1) + i);
          values.push(d * scale * (group % 2 ? byte >> 4 : byte & 15) - dmin * scale);
        }
      }
    }
    const mean = values.reduce((sum, value) => sum + value, 0) / values.length;
    const deviation = Math.sqrt(values.reduce((sum, value) => sum + (value - mean) ** 2, 0) / values.length);
    assert.ok(Math.abs(mean) < 0.001, `${mean}`);
    assert.ok(Math.abs(deviation - 0.02) < 0.002, `${deviation}`);
  });
});

describe("writeWeights()", () => {
  const shape = {
    dim: 64,
    nLayers: 6,
    nHeads: 4,
    nKvHeads: 2,
    headDim: 32,
    hidden: 512,
    vocab: 300,
  } as const;
  const rest = { contextLength: 64, ropeTheta: 10_000 } as const;
  const folder = mkdtempSync(join(tmpdir(), "cria-synth-"));

  it("writes models of other families, which load, with native's types for columns that no superblock divides", async () => {
    for (const family of [{ architecture: "gemma3", window: 16 }, { architecture: "qwen3" }] as const) {
      const path = join(folder, `${family.architecture}.gguf`);
      writeWeights("q4_k_m", familyHeader({ ...family, ...shape, ...rest }), path);
      const { tensors } = await openModelFile(bytesSource(readFileSync(path)));
      const types = ["token_embd", "blk.0.attn_q", "blk.0.ffn_gate", "blk.0.ffn_down", "blk.2.ffn_down"];
      assert.deepEqual(
        types.map((name) => tensors.get(`${name}.weight`)?.type),
        ["Q8_0", "Q5_0", "Q5_0", "Q4_K", "Q6_K"],
      );
      await using llama = await Llama.load(path, { threads: 1 });
      assert.equal(llama.config.architecture, family.architecture);
      assert.equal(llama.config.vocabSize, 300);
      const logits = await llama.logits([1, 5, 270]);
      assert.ok(logits.every((value) => Number.isFinite(value)));
    }
  });
});

describe("writeMix()", () => {
  const matrix = (name: string, rows: number) => ({ name, shape: [rows, COLS], type: "Q4_0" });
  const base = ggufFile({
    metadata: [
      ["general.architecture", meta("string", "llama")],
      ["general.file_type", meta("u32", 2)],
    ],
    tensors: [
      matrix("token_embd.weight", 40),
      { name: "output_norm.weight", shape: [COLS], type: "F32" },
      matrix("output.weight", 40),
      matrix("blk.0.attn_q.weight", COLS),
      matrix("blk.0.attn_k.weight", COLS / 4),
      matrix("blk.0.attn_v.weight", COLS / 4),
      matrix("blk.0.ffn_down.weight", COLS),
    ],
  }).bytes;
  const folder = mkdtempSync(join(tmpdir(), "cria-synth-"));
  const from = join(folder, "base.gguf");
  writeFileSync(from, base);
  const write = (mix: MixName, name: string) => {
    const to = join(folder, name);
    writeMix(mix, from, to);
    return readFileSync(to);
  };

  it("keeps metadata and shapes, and has the types that native's quantizer gives to one layer", async () => {
    const expected: Record<MixName, readonly string[]> = {
      q4_k_m: ["Q4_K", "F32", "Q6_K", "Q4_K", "Q4_K", "Q6_K", "Q6_K"],
      q5_k_m: ["Q5_K", "F32", "Q6_K", "Q5_K", "Q5_K", "Q6_K", "Q6_K"],
      q6_k: ["Q6_K", "F32", "Q6_K", "Q6_K", "Q6_K", "Q6_K", "Q6_K"],
      iq4_xs: ["IQ4_XS", "F32", "Q6_K", "IQ4_XS", "IQ4_XS", "Q5_K", "IQ4_XS"],
      q4_0_q6_k: ["Q4_0", "F32", "Q6_K", "Q4_0", "Q4_0", "Q4_0", "Q4_0"],
      q8_0: ["Q8_0", "F32", "Q8_0", "Q8_0", "Q8_0", "Q8_0", "Q8_0"],
    };
    for (const mix of Object.keys(mixes) as MixName[]) {
      const { tensors } = await openModelFile(bytesSource(write(mix, "mix.gguf")));
      assert.deepEqual(
        [...tensors.values()].map(({ type }) => type),
        expected[mix],
        mix,
      );
      assert.deepEqual(tensors.get("blk.0.attn_k.weight")?.shape, [COLS / 4, COLS]);
    }
  });

  it("makes mixtures of experts of feed-forward blocks, in native's types beside eight of them", async () => {
    const to = join(folder, "experts.gguf");
    const dense = (name: string, rows: number) => matrix(`blk.0.${name}.weight`, rows);
    const file = ggufFile({
      metadata: [
        ["general.file_type", meta("u32", 2)],
        ["llama.block_count", meta("u32", 3)],
        ["llama.feed_forward_length", meta("u32", 1024)],
        ["general.architecture", meta("string", "llama")],
      ],
      tensors: [
        matrix("token_embd.weight", 40),
        dense("attn_k", COLS / 4),
        dense("attn_q", COLS),
        dense("attn_output", COLS),
        dense("ffn_gate", 1024),
        dense("ffn_down", COLS),
        { ...dense("ffn_up", 1024), name: "blk.1.ffn_up.weight" },
      ],
    });
    writeFileSync(from, file.bytes);
    writeMix("q4_k_m", from, to, { nLayers: 1, hidden: 512, experts: 8, used: 2 });
    const bytes = readFileSync(to);
    const { metadata, tensors } = await openModelFile(bytesSource(bytes));
    assert.deepEqual(
      [...tensors].map(([name, { type, shape }]) => [name, type, shape.join()]),
      [
        ["token_embd.weight", "Q6_K", "40,256"],
        ["blk.0.attn_k.weight", "Q8_0", "64,256"],
        ["blk.0.attn_q.weight", "Q4_K", "256,256"],
        ["blk.0.attn_output.weight", "Q5_K", "256,256"],
        ["blk.0.ffn_gate_inp.weight", "F32", "8,256"],
        ["blk.0.ffn_gate_exps.weight", "Q4_K", "8,512,256"],
        ["blk.0.ffn_down_exps.weight", "Q6_K", "8,256,512"],
      ],
    );
    const numbers = ["block_count", "feed_forward_length", "expert_count", "expert_used_count"];
    assert.deepEqual(
      numbers.map((key) => metadata.get(`llama.${key}`)?.value),
      [1, 512, 8, 2],
    );
    const at = tensors.get("blk.0.ffn_gate_inp.weight")?.offset ?? 0;
    assert.ok(new Set(Array.from({ length: 64 }, (_, i) => bytes.readFloatLE(at + 4 * i))).size > 60);
    writeFileSync(from, base);
  });

  it("writes the same bytes each time, and vectors of ones", async () => {
    const bytes = write("q4_k_m", "once.gguf");
    assert.ok(bytes.equals(write("q4_k_m", "twice.gguf")));
    const norm = (await openModelFile(bytesSource(bytes))).tensors.get("output_norm.weight");
    const at = norm?.offset ?? 0;
    const values = Array.from({ length: COLS }, (_, i) => bytes.readFloatLE(at + 4 * i));
    assert.deepEqual(new Set(values), new Set([1]));
    rmSync(folder, { recursive: true });
  });
});
