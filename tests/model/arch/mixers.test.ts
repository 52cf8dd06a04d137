// Keys of models with layers without attention: what layers they make, and files that contradict themselves.
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { openModelFile } from "../../../src/format/detect.ts";
import type { LayerSpec } from "../../../src/model/arch/spec.ts";
import { readModel } from "../../../src/model/read_model.ts";
import { bytesSource } from "../../../src/source/bytes.ts";
import { type GgufValue, meta, metaArray } from "../../support/gguf_writer.ts";
import { type RandomModel, randomModel, randomModels } from "../../support/random_models.ts";

const u32 = (value: number) => meta("u32", value);
const counts = (...values: number[]) => ({ "attention.head_count_kv": metaArray("i32", values) });

async function layersOf(name: string, more: Record<string, GgufValue>): Promise<readonly LayerSpec[]> {
  const model = randomModels[name] as RandomModel;
  const bytes = await randomModel({ ...model, keys: { ...model.keys, ...more } });
  return readModel(await openModelFile(bytesSource(bytes))).layers;
}

const mixersOf = (layers: readonly LayerSpec[]) => layers.map(({ mixer }) => mixer?.kind);

describe("layers without attention", () => {
  it("are those of LFM2 that have no heads of keys", async () => {
    const conv = "short convolution";
    assert.deepEqual(mixersOf(await layersOf("lfm2", {})), [conv, undefined, conv]);
    assert.deepEqual(mixersOf(await layersOf("lfm2", counts(4, 0, 4))), [undefined, conv, undefined]);
    const plain = { "attention.head_count_kv": u32(2) };
    assert.deepEqual(mixersOf(await layersOf("lfm2", plain)), [undefined, undefined, undefined]);
  });

  it("are all of Qwen 3.5 but the last of each interval", async () => {
    const net = "delta net";
    assert.deepEqual(mixersOf(await layersOf("qwen35", {})), [net, net, undefined]);
    const interval = (n: number) => layersOf("qwen35", { full_attention_interval: u32(n) });
    assert.deepEqual(mixersOf(await interval(2)), [net, undefined, net]);
    assert.deepEqual(mixersOf(await interval(1)), [undefined, undefined, undefined]);
  });

  it("are refused if keys contradict each other, or kernels cannot compute them", async () => {
    const cases: readonly [name: string, Record<string, GgufValue>, RegExp][] = [
      ["lfm2", counts(0, 0, 0), /lfm2\.attention\.head_count_kv to be an integer in \[1, 4\].* got 0/],
      ["lfm2", counts(0, 2), /or 3 of them, one for each layer, got 2/],
      ["lfm2", counts(1, 0, 2), /head_count_kv that differs between layers, got 1 and 2/],
      ["lfm2", { "shortconv.l_cache": u32(33) }, /lfm2\.shortconv\.l_cache to be an integer in \[2, 32\]/],
      ["lfm2", { embedding_length: u32(62), "attention.key_length": u32(16) }, /multiple of 4, got 62/],
      ["qwen35", counts(0, 2, 0), /head_count_kv to be an integer in \[1, 4\]/],
      ["qwen35", { "ssm.inner_size": u32(64) }, /ssm\.inner_size to be .* 4 times .* 12, got 64/],
      ["qwen35", { "ssm.state_size": u32(14) }, /ssm\.state_size to be a multiple of 4, got 14/],
      ["qwen35", { "ssm.group_count": u32(3) }, /ssm\.time_step_rank to be a multiple of .* 3, got 4/],
      ["qwen35", { "ssm.group_count": u32(8) }, /ssm\.group_count to be an integer in \[1, 4\]/],
      ["qwen35", { "ssm.conv_kernel": u32(0) }, /ssm\.conv_kernel to be an integer in \[2, 32\]/],
      [
        "qwen35",
        { "ssm.dt_b_c_rms": meta("bool", true) },
        /Unsupported metadata key "qwen35\.ssm\.dt_b_c_rms"/,
      ],
    ];
    for (const [name, more, message] of cases) await assert.rejects(layersOf(name, more), message);
  });
});
