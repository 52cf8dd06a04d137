// Hostile files of every family: each key and tensor missing or wrong, one at a time, and numbers that contradict each other.
import assert from "node:assert/strict";
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

// One thing at a time. Layers behind the first have the same tensors.
function* wrongFiles(file: ModelFile): Generator<readonly [string, ModelFile]> {
  const prefix = `${file.architecture}.`;
  for (const key of file.metadata.keys()) {
    if (!key.startsWith(prefix)) continue;
    for (const [what, value] of values)
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
        const same = `${plan.words.join()} ${JSON.stringify(config)} ${totalBytes}`;
        if (computed.has(same)) continue;
        computed.add(same);
        await assertFinite(wrong, what);
      }
      assert.ok(refused > 50, `${refused} refused`);
    });
  }
});
