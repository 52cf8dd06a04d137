// Hostile files of every family: each key and tensor missing or wrong, one at a time, and numbers that contradict each other.
import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import process from "node:process";
import { describe, it } from "node:test";
import { Engine } from "../../../src/engine/engine.ts";
import { type Layout, planLayout } from "../../../src/engine/layout.ts";
import { openModelFile } from "../../../src/format/detect.ts";
import type { MetaValue, ModelFile } from "../../../src/format/model_file.ts";
import { bytesSource } from "../../../src/source/bytes.ts";
import { CriaError, FormatError, MemoryError, UnsupportedError } from "../../../src/util/errors.ts";
import { memoriesOf } from "../../support/memory_spy.ts";
import { allLogits } from "../../support/models.ts";
import { randomModel, randomModels } from "../../support/random_models.ts";

// More than each model takes, and less than a hostile number asks for.
const options = { threads: 1, maxBytes: 16 << 20 } as const;

const u32 = (value: number): MetaValue => ({ type: "u32", value });
const f32 = (value: number): MetaValue => ({ type: "f32", value });
const i32 = (value: number): MetaValue => ({ type: "i32", value });
const u32s = (value: number[]): MetaValue => ({ type: "array", elementType: "u32", value });

const values: readonly (readonly [string, MetaValue | undefined])[] = [
  ["missing", undefined],
  ["0", u32(0)],
  ["3", u32(3)],
  ["1e9", u32(1e9)],
  ["-1", i32(-1)],
  ["NaN", f32(Number.NaN)],
  ["infinite", f32(Number.POSITIVE_INFINITY)],
  ["a string", { type: "string", value: "many" }],
  ["an empty array", u32s([])],
];

type Shape = readonly number[];

const shapes: readonly (readonly [string, (shape: Shape) => Shape | undefined])[] = [
  ["missing", () => undefined],
  ["transposed", (shape) => [...shape].reverse()],
  ["one row longer", ([rows = 0, ...rest]) => [rows + 1, ...rest]],
];

/** A file with other keys, below the architecture's name, and other shapes of tensors; undefined takes one away. */
function changed(
  file: ModelFile,
  keys: Readonly<Record<string, MetaValue | undefined>>,
  tensors: Readonly<Record<string, Shape | undefined>> = {},
): ModelFile {
  const metadata = new Map(file.metadata);
  for (const [name, value] of Object.entries(keys)) {
    const key = `${file.architecture}.${name}`;
    if (value) metadata.set(key, value);
    else metadata.delete(key);
  }
  const all = new Map(file.tensors);
  for (const [name, shape] of Object.entries(tensors)) {
    const info = all.get(name);
    if (info && shape) all.set(name, { ...info, shape });
    else all.delete(name);
  }
  return { ...file, metadata, tensors: all, tokenizer: () => undefined };
}

// Keys of other families too: most refuse them.
const known = new Set(Object.values(randomModels).flatMap(({ keys = {} }) => Object.keys(keys)));
for (const key of ["scaling.dynamic_factor", "scaling.attn_factor", "scale_linear", "freq_base_swa"])
  known.add(`rope.${key}`);
const statedWrongly = values.filter(([what]) => ["3", "NaN"].includes(what));

// One thing at a time. Layers behind the first have the same tensors.
function* wrongFiles(file: ModelFile): Generator<readonly [string, ModelFile]> {
  const prefix = `${file.architecture}.`;
  const own = [...file.metadata.keys()].filter((key) => key.startsWith(prefix));
  for (const key of new Set([...own, ...[...known].map((name) => prefix + name)])) {
    for (const [what, value] of file.metadata.has(key) ? values : statedWrongly)
      yield [`${key} ${what}`, changed(file, { [key.slice(prefix.length)]: value })];
  }
  for (const [name, { shape }] of file.tensors) {
    if (/^blk\.[^0]/.test(name)) continue;
    for (const [what, of] of shapes) yield [`${name} ${what}`, changed(file, {}, { [name]: of(shape) })];
  }
}

async function fileOf(title: string): Promise<ModelFile> {
  const model = randomModels[title];
  assert.ok(model, title);
  return openModelFile(bytesSource(await randomModel(model)));
}

/** The layout of a file; undefined if it is refused as it should be: by a typed error that says what was wrong. */
async function layoutOf(file: ModelFile, what: string): Promise<Layout | undefined> {
  try {
    return await planLayout(file, options);
  } catch (error) {
    const typed = [FormatError, UnsupportedError, MemoryError].some((type) => error instanceof type);
    assert.ok(typed, `${what}: ${error instanceof CriaError ? error.code : ""} ${error}`);
    assert.match((error as Error).message, /^Cannot load .+: (Expected|Unsupported) /, what);
    return undefined;
  }
}

function hashOf({ buffer, byteOffset, byteLength }: ArrayBufferView): string {
  return createHash("sha256")
    .update(new Uint8Array(buffer, byteOffset, byteLength))
    .digest("hex");
}

async function assertFinite(file: ModelFile, what: string): Promise<void> {
  const engine = await Engine.create(file, options);
  const rows = await allLogits(engine, [5, 6, 7], [3]);
  engine.retire(new Error("done"));
  assert.ok(
    rows.every((row) => row.every(Number.isFinite)),
    `${what}: logits that are not finite`,
  );
}

describe("files with one key or tensor missing or wrong", () => {
  for (const title of Object.keys(randomModels)) {
    it(`${title}: are refused with a reason, or compute finite logits`, async () => {
      const file = await fileOf(title);
      // What computes the same is computed once.
      const computed = new Set<string>();
      let refused = 0;
      for (const [what, wrong] of wrongFiles(file)) {
        let layout: Layout | undefined;
        const made = await memoriesOf(async () => {
          layout = await layoutOf(wrong, what);
        });
        assert.deepEqual(made, [], `${what}: memories were made`);
        if (!layout) {
          refused++;
          continue;
        }
        const { plan, config, totalBytes } = layout;
        const same = `${hashOf(plan.words)} ${JSON.stringify(config)} ${totalBytes}`;
        if (computed.has(same)) continue;
        computed.add(same);
        await assertFinite(wrong, what);
      }
      assert.ok(refused > 50, `${refused} refused`);
    });
  }
});

interface Contradiction {
  readonly model: string;
  readonly what: string;
  readonly keys?: Readonly<Record<string, MetaValue | undefined>>;
  readonly tensors?: Readonly<Record<string, Shape | undefined>>;
  /** What the error says behind the name of the file. */
  readonly says: RegExp;
}

const wrong = (
  model: string,
  what: string,
  keys: Contradiction["keys"],
  says: RegExp,
  tensors?: Contradiction["tensors"],
): Contradiction => ({ model, what, ...(keys && { keys }), says, ...(tensors && { tensors }) });

const NOT = Number.NaN;
const WINDOW = "attention.sliding_window";

const contradictions: readonly Contradiction[] = [
  wrong(
    "llama",
    "K/V heads that do not divide heads",
    { "attention.head_count_kv": u32(3) },
    /nHeads to be a multiple of nKvHeads 3, got 4/,
  ),
  wrong(
    "llama",
    "more K/V heads than heads",
    { "attention.head_count_kv": u32(8) },
    /head_count_kv to be an integer in \[1, 4\], got u32 8/,
  ),
  wrong(
    "llama",
    "heads that do not divide dim",
    { "attention.head_count": u32(5), "attention.head_count_kv": u32(5) },
    /dim 64 \/ nHeads 5 to be a head size/,
  ),
  wrong(
    "qwen3",
    "head size 0",
    { "attention.key_length": u32(0) },
    /key_length to be an integer in \[2, 576\], got u32 0/,
  ),
  wrong("qwen3", "odd head size", { "attention.key_length": u32(17) }, /an even head size, got 17/),
  wrong(
    "qwen2",
    "values of another length",
    { "attention.value_length": u32(8) },
    /values as long as keys \(16\), got 8/,
  ),
  wrong(
    "llama",
    "heads of other numbers of layers",
    { "attention.head_count": u32s([4, 4, 4]) },
    /head_count .*2 of them, one for each layer, got 3/,
  ),
  wrong(
    "olmo2",
    "feed-forward sizes of other numbers of layers",
    { feed_forward_length: u32s([96]) },
    /feed_forward_length .*4 of them, one for each layer, got 1/,
  ),
  wrong(
    "phi2",
    "odd rotation",
    { "rope.dimension_count": u32(7) },
    /an even number of values, at most 16, got 7/,
  ),
  wrong(
    "stablelm",
    "rotation beyond the head",
    { "rope.dimension_count": u32(18) },
    /an even number of values, at most 16, got 18/,
  ),
  wrong(
    "gemma",
    "rotation of a part where there is none",
    { "rope.dimension_count": u32(8) },
    /the whole head of 16, got 8/,
  ),
  wrong(
    "gpt2",
    "positions shorter than the context",
    {},
    /tensor position_embd\.weight .*shape \[256, 64\], got \[100, 64\]/,
    { "position_embd.weight": [100, 64] },
  ),
  wrong(
    "gpt2",
    "a context longer than its positions",
    { context_length: u32(1e6) },
    /tensor position_embd\.weight .*shape \[1000000, 64\], got \[256, 64\]/,
  ),
  wrong("gemma3", "negative window", { [WINDOW]: i32(-1) }, /sliding_window to be an integer in \[0, /),
  wrong("cohere2", "window that is no number", { [WINDOW]: f32(NOT) }, /sliding_window .*got f32 NaN/),
  wrong(
    "gemma3",
    "base of windowed layers 0",
    { "rope.freq_base_swa": f32(0) },
    /freq_base_swa to be a finite number of at least 1, got f32 0/,
  ),
  wrong(
    "gemma2",
    "cap of attention NaN",
    { attn_logit_softcapping: f32(NOT) },
    /attn_logit_softcapping to be a number in .*got f32 NaN/,
  ),
  wrong(
    "gemma2",
    "negative cap of logits",
    { final_logit_softcapping: f32(-1) },
    /final_logit_softcapping to be a number in .*got f32 -1/,
  ),
  wrong(
    "gemma2",
    "infinite cap of logits",
    { final_logit_softcapping: f32(Number.POSITIVE_INFINITY) },
    /final_logit_softcapping to be a number in .*got f32 Infinity/,
  ),
  wrong(
    "granite",
    "logit scale NaN",
    { logit_scale: f32(NOT) },
    /logit_scale to be a number in .*got f32 NaN/,
  ),
  wrong(
    "minicpm",
    "negative residual scale",
    { residual_scale: f32(-1) },
    /residual_scale to be a number in .*got f32 -1/,
  ),
  wrong(
    "olmo",
    "infinite clamp",
    { "attention.clamp_kqv": f32(Number.POSITIVE_INFINITY) },
    /clamp_kqv to be a number in .*got f32 Infinity/,
  ),
  wrong(
    "mistral3",
    "temperature NaN",
    { "attention.temperature_scale": f32(NOT) },
    /temperature_scale to be a number in .*got f32 NaN/,
  ),
  wrong(
    "qwen3moe",
    "no experts",
    { expert_count: u32(0) },
    /expert_count to be an integer in \[1, 65536\], got u32 0/,
  ),
  wrong(
    "qwen3moe",
    "more used experts than there are",
    { expert_used_count: u32(7) },
    /expert_used_count to be an integer in \[1, 6\], got u32 7/,
  ),
  wrong(
    "olmoe",
    "no used experts",
    { expert_used_count: u32(0) },
    /expert_used_count to be an integer in \[1, 6\], got u32 0/,
  ),
  wrong(
    "granitemoe",
    "more experts than tensors have",
    { expert_count: u32(7) },
    /tensor blk\.0\.ffn_gate_inp\.weight .*shape \[7, 64\], got \[6, 64\]/,
  ),
  wrong(
    "llama with experts",
    "an expert's matrix transposed",
    {},
    /tensor blk\.0\.ffn_up_exps\.weight .*shape \[6, 32, 64\], got \[6, 64, 32\]/,
    { "blk.0.ffn_up_exps.weight": [6, 64, 32] },
  ),
  wrong(
    "llama with experts",
    "experts as one matrix",
    {},
    /tensor blk\.1\.ffn_down_exps\.weight .*shape \[6, 64, 32\], got \[384, 32\]/,
    { "blk.1.ffn_down_exps.weight": [384, 32] },
  ),
  wrong(
    "gpt-oss",
    "groups that do not divide experts",
    { expert_group_count: u32(4) },
    /expert_group_count to be a divisor of the 6 experts, got 4/,
  ),
  wrong(
    "qwen3moe",
    "more used groups than there are",
    { expert_group_count: u32(3), expert_group_used_count: u32(4) },
    /expert_group_used_count to be an integer in \[1, 3\], got u32 4/,
  ),
  wrong(
    "qwen3moe",
    "no layer with experts",
    { leading_dense_block_count: u32(2) },
    /leading_dense_block_count to be an integer in \[0, 1\], got u32 2/,
  ),
  wrong(
    "qwen3moe",
    "an unknown router",
    { expert_gating_func: u32(9) },
    /Unsupported .*expert_gating_func 9/,
  ),
  wrong("qwen2", "experts in a dense family", { expert_count: u32(4) }, /Unsupported mixture of 4 experts/),
  wrong(
    "phi3",
    "long factors of the wrong length",
    {},
    /tensor rope_factors_long\.weight .*shape \[8\], got \[9\]/,
    { "rope_factors_long.weight": [9] },
  ),
  wrong(
    "phi3",
    "long factors without short ones",
    {},
    /tensor rope_factors_short\.weight .*shape \[8\], got none/,
    { "rope_factors_short.weight": undefined },
  ),
  wrong(
    "phi3",
    "a trained context beyond the context",
    { "rope.scaling.original_context_length": u32(512) },
    /original_context_length to be an integer in \[1, 256\], got u32 512/,
  ),
  wrong(
    "mistral3",
    "yarn that shortens",
    { "rope.scaling.factor": f32(0.5) },
    /scaling\.factor to be a finite number of at least 1, got f32 0\.5/,
  ),
  wrong(
    "gpt-oss",
    "yarn's turns NaN",
    { "rope.scaling.yarn_beta_fast": f32(NOT) },
    /yarn_beta_fast to be a number in .*got f32 NaN/,
  ),
  wrong(
    "deepseek2",
    "rank 0",
    { "attention.kv_lora_rank": u32(0) },
    /kv_lora_rank to be an integer in \[1, 576\], got u32 0/,
  ),
  wrong(
    "deepseek2",
    "a rank that is not the key's",
    { "attention.kv_lora_rank": u32(24) },
    /key_length to be .*kv_lora_rank 24 and 8 that are rotated, got 40/,
  ),
  wrong(
    "deepseek2",
    "heads no longer than what is rotated",
    { "attention.key_length_mla": u32(8) },
    /key_length_mla to be more than the 8 that are rotated, got 8/,
  ),
  wrong(
    "deepseek2",
    "values in no whole strips",
    { "attention.value_length_mla": u32(12) },
    /value_length_mla to be a multiple of 8, got 12/,
  ),
  wrong(
    "deepseek2",
    "several heads of short rows",
    { "attention.head_count_kv": u32(2) },
    /head_count_kv to be 1, got 2/,
  ),
  wrong(
    "deepseek2",
    "a rank of queries that no tensor has",
    { "attention.q_lora_rank": u32(1e6) },
    /tensor blk\.0\.attn_q_a\.weight .*shape \[1000000, 64\]/,
  ),
];

describe("files that contradict themselves", () => {
  for (const { model, what, keys = {}, tensors, says } of contradictions) {
    it(`${model}: ${what}`, async () => {
      const file = changed(await fileOf(model), keys, tensors);
      await assert.rejects(planLayout(file, options), (error: Error) => {
        assert.ok(error instanceof FormatError || error instanceof UnsupportedError, String(error));
        assert.match(error.message, says);
        return true;
      });
    });
  }

  it("of many heads and layers are refused before there is an object for each", async () => {
    const most = { "attention.head_count": u32(4096), block_count: u32(1024) };
    const file = changed(await fileOf("deepseek2"), most);
    const before = process.memoryUsage().heapUsed;
    await assert.rejects(planLayout(file, options), /tensor blk\.0\.attn_q_b\.weight .*\[98304, 24\]/);
    assert.ok(process.memoryUsage().heapUsed - before < 100 << 20);
  });

  it("of contexts that their own dynamic scaling does not reach have what it reaches", async () => {
    const keys = { "rope.scaling.original_context_length": u32(64), "rope.scaling.dynamic_factor": f32(2) };
    const file = changed(await fileOf("llama"), keys);
    const { contextLength, config } = await planLayout(file, options);
    assert.deepEqual([contextLength, config.ropeScaling], [128, "dynamic"]);
    await assertFinite(file, "dynamic");
  });

  it("of windows beyond the context, or 0, see everything", async () => {
    for (const window of [0, 1e9]) {
      const file = changed(await fileOf("gemma3"), { [WINDOW]: u32(window) });
      const { config, kv } = await planLayout(file, options);
      assert.equal(config.window, window || undefined);
      assert.equal(kv.classes.length, window ? kv.classes.length : 1);
      await assertFinite(file, `window ${window}`);
    }
  });
});
