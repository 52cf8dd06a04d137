// Every family in a folder of safetensors: the bits of the GGUF file with the same weights.
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { describe, it } from "node:test";
import { Engine } from "../../../src/engine/engine.ts";
import { openModelFile } from "../../../src/format/detect.ts";
import { readFolder } from "../../../src/format/huggingface/folder.ts";
import type { ModelFile } from "../../../src/format/model_file.ts";
import { architectures } from "../../../src/model/arch/registry.ts";
import { detectRuntime } from "../../../src/runtime/detect.ts";
import { bytesSource } from "../../../src/source/bytes.ts";
import { openFileSet } from "../../../src/source/file_set.ts";
import { FileShelf } from "../../../src/source/file_shelf.ts";
import { meta } from "../../support/gguf_writer.ts";
import { huggingFaceFolder } from "../../support/huggingface_writer.ts";
import { allLogits, hashLogits, someIds } from "../../support/models.ts";
import { RANDOM_VOCAB, type RandomModel, randomModel, randomModels } from "../../support/random_models.ts";
import { itShared, sharedPath } from "../../support/shared.ts";

type Files = ReadonlyMap<string, Uint8Array<ArrayBuffer>>;

function folderOf(files: Files): Promise<ModelFile> {
  return readFolder(new FileShelf(openFileSet(new Map(files), detectRuntime())), undefined);
}

async function hashOf(file: ModelFile, ids: readonly number[]): Promise<string> {
  const engine = await Engine.create(file, { threads: 1, precision: "f32", kv: "f32" });
  const rows = await allLogits(engine, ids, [ids.length]);
  engine.retire(new Error("done"));
  assert.ok(rows.every((row) => row.every(Number.isFinite) && row.some((value) => value !== 0)));
  return hashLogits(rows);
}

async function sameBits(bytes: Uint8Array, ids: readonly number[], options = {}): Promise<void> {
  const gguf = await openModelFile(bytesSource(bytes));
  const folder = await folderOf(await huggingFaceFolder(gguf, options));
  assert.equal(folder.architecture, gguf.architecture);
  assert.equal(await hashOf(folder, ids), await hashOf(gguf, ids));
}

/** A file in which norm weights are what is left of them if 1 is taken away and added again. */
async function settled(bytes: Uint8Array): Promise<Uint8Array> {
  const out = bytes.slice();
  for (const { name, offset, byteLength } of (await openModelFile(bytesSource(bytes))).tensors.values()) {
    if (!/_norm\.weight$/.test(name)) continue;
    const view = new DataView(out.buffer, offset, byteLength);
    for (let at = 0; at < byteLength; at += 4) {
      view.setFloat32(at, Math.fround(view.getFloat32(at, true) - 1) + 1, true);
    }
  }
  return out;
}

/** Weights of a type give the bits of the same values in F32, which are compared with GGUF. */
async function sameRounded(bytes: Uint8Array, type: "BF16" | "F16", shards: number): Promise<void> {
  const gguf = await openModelFile(bytesSource(bytes));
  const folder = await folderOf(await huggingFaceFolder(gguf, { type, shards }));
  const plain = await folderOf(await huggingFaceFolder(gguf, { rounded: type }));
  assert.equal(await hashOf(folder, randomIds), await hashOf(plain, randomIds));
}

const randomIds = someIds(60, RANDOM_VOCAB);

// Experts have no biases there, but for those of gpt-oss.
function storable(model: RandomModel): RandomModel {
  const { without, architecture } = model;
  if (architecture === "gpt-oss") return { ...model, without: /exp_probs_b/ };
  // As many heads of keys and values as of queries.
  if (architecture === "gpt2") {
    const keys = { "attention.head_count_kv": meta("u32", 4) };
    return { ...model, keys, tensors: { "blk.0.attn_qkv.weight": [192, 64] } };
  }
  const names = ["_exps\\.bias$", architecture !== "deepseek2" && "exp_probs_b", without?.source];
  return { ...model, without: new RegExp(names.filter((name) => name).join("|")) };
}

describe("families in folders of safetensors", () => {
  for (const [title, model] of Object.entries(randomModels)) {
    it(`${title}: the bits of its GGUF file`, async () => {
      await sameBits(await randomModel(storable(model)), randomIds);
    });
  }

  it("are those of the GGUF file in BF16 and F16, and in several files", async () => {
    for (const [title, shards] of [
      ["gemma3", 2],
      ["qwen3moe", 3],
      ["internlm2", 2],
      ["gpt2", 1],
      ["deepseek2", 2],
    ] as const) {
      const bytes = await randomModel(storable(randomModels[title] as RandomModel));
      for (const type of ["BF16", "F16"] as const) await sameRounded(bytes, type, shards);
    }
  });

  for (const name of [
    "gemma3",
    "gemma2",
    "gptneox",
    "falcon",
    "internlm2",
    "gpt2",
    "llama-moe",
    "qwen3moe",
    "deepseek2",
    "deepseek2-v2",
    "qwen2moe",
    "gpt-oss",
  ]) {
    itShared([`models/micro/${name}.gguf`], `micro model ${name}: the bits of its GGUF file`, async () => {
      const bytes = await settled(readFileSync(sharedPath(`models/micro/${name}.gguf`)));
      await sameBits(bytes, someIds(48, 272), { shards: 2 });
    });
  }

  it("are all architectures", () => {
    const tried = new Set(Object.values(randomModels).map(({ architecture }) => architecture));
    assert.deepEqual([...tried].sort(), architectures.map(({ name }) => name).sort());
  });
});
