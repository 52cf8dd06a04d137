// Whatever is chosen for a machine, the bits are the same: every choice that is right in this runtime is tried here, so
// that what another machine chooses is tested too.
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { CONTROL_DOT, CONTROL_SPLATS, CONTROL_STREAMS } from "../../assembly/layout/control.ts";
import { MATMUL_LOWEST, OP_MATMUL, REC_OP, RECORD_WORDS } from "../../assembly/layout/ops.ts";
import type { Engine } from "../../src/engine/engine.ts";
import { type DotForm, dotForms, exactForms } from "../../src/kernels/tune/dot_form.ts";
import { type Splats, splatCodes } from "../../src/kernels/tune/splats.ts";
import { streamChoices } from "../../src/kernels/tune/streams.ts";
import type { KernelChoices, TuneOptions } from "../../src/mod.ts";
import { Llama, UsageError } from "../../src/mod.ts";
import { tinyLlamaGguf } from "../support/gguf_writer.ts";
import { KernelBench, variants, workingVariants } from "../support/kernels.ts";
import { MIXED_VOCAB, mixedModel, mixNames } from "../support/mixed_models.ts";
import { allLogits, engineOf, hashLogits, someIds } from "../support/models.ts";
import { refused } from "../support/refused.ts";
import { itUnless } from "../support/skip.ts";

const splatChoices = Object.keys(splatCodes) as Splats[];
const splatOf = (i: number) => splatChoices[i % splatChoices.length] as Splats;

/** One value of every choice. */
interface Setting extends Omit<KernelChoices, "threads"> {
  readonly threads: number;
}

/** The forms of the dot product that are right in this runtime, by build. */
const formsOf = Object.fromEntries(
  await Promise.all(
    workingVariants().map(async (variant) => {
      const { kernels } = await KernelBench.create(variant, 65536);
      return [variant, exactForms(kernels)] as const;
    }),
  ),
);

/** All of them: the build without relaxed SIMD, one stream and one thread first. */
function settings(): Setting[] {
  const all: Setting[] = [];
  for (const [variant, forms] of Object.entries(formsOf) as [Setting["variant"], readonly DotForm[]][]) {
    for (const dot of forms) {
      for (const streams of streamChoices) {
        for (const threads of variant.endsWith("-shared") ? [1, 2, 3] : [1]) {
          all.push({ variant, dot, streams, splats: "loads", threads });
        }
      }
    }
  }
  return all;
}

/**
 * Every form of every build, with each number of streams in one thread; with four threads each form has another number
 * of streams. Both splats take turns.
 */
function fewerSettings(): Setting[] {
  const all: Setting[] = [];
  let shared = 0;
  for (const [variant, forms] of Object.entries(formsOf) as [Setting["variant"], readonly DotForm[]][]) {
    for (const dot of forms) {
      if (variant.endsWith("-shared")) {
        const streams = streamChoices[++shared % streamChoices.length] as Setting["streams"];
        all.push({ variant, dot, streams, splats: splatOf(shared), threads: 4 });
      } else {
        all.push(
          ...streamChoices.map((streams, i) => ({ variant, dot, streams, splats: splatOf(i), threads: 1 })),
        );
      }
    }
  }
  return all;
}

// 33 groups of strips in the layers' tallest matrices and 65 and a half in the output: two for each of eight streams,
// and some that are left over.
const shape = { dim: 64, nLayers: 1, hiddenDim: 33 * 32, vocabSize: 65 * 32 + 16, contextLength: 32 };

/** The model with weights of one type; in Q8_0 some of one matrix are -128, which is a case of its own for "moved". */
function model(type: "Q8_0" | "Q4_0"): Uint8Array {
  const file = tinyLlamaGguf({ ...shape, type });
  if (type === "Q4_0") return file.bytes;
  const field = file.fields.get("tensor.blk.0.ffn_up.weight.offset") as { offset: number };
  const view = new DataView(file.bytes.buffer);
  const begin = file.dataBegin + Number(view.getBigUint64(field.offset, true));
  // A block has a scale of two bytes before its 32 weights.
  for (let block = 0; block < 2 * shape.hiddenDim; block += 5)
    view.setInt8(begin + 34 * block + 2 + (block % 32), -128);
  return file.bytes;
}

const prompts = [1, 2, 5, 9, 13];
const DECODED = 3;

/** Hash of the logits of prompts of every size, each with some tokens after it, one by one. */
async function bitsOf(engine: Engine, vocabSize = shape.vocabSize): Promise<string> {
  const rows: Float32Array[] = [];
  for (const n of prompts) {
    const ids = someIds(n + DECODED, vocabSize, n);
    const sequence = engine.sequence();
    rows.push(...(await allLogits(engine, ids, [n, 1], sequence)));
    sequence.free();
  }
  return hashLogits(rows);
}

/** Matrices that "moved" leaves to another form. */
function lowestMatrices({ kernel, layout }: Engine): number {
  const words = new Int32Array(kernel.memory.buffer, layout.planAddress, layout.plan.words.length);
  let n = 0;
  for (let record = 0; record < words.length; record += RECORD_WORDS) {
    if (words[record + REC_OP] === OP_MATMUL && words[record + MATMUL_LOWEST]) n++;
  }
  return n;
}

describe("choices for a machine", () => {
  for (const type of ["Q8_0", "Q4_0"] as const) {
    it(`do not change the bits: ${type}`, async () => {
      const bytes = model(type);
      let expected: string | undefined;
      for (const { variant, ...tune } of settings()) {
        const { dot, streams, threads } = tune;
        const what = `${variant}, ${dot}, ${streams} streams, ${threads} threads`;
        const engine = await engineOf(bytes, { kernel: variant, tune });
        assert.equal(lowestMatrices(engine), type === "Q8_0" ? 1 : 0);
        const bits = await bitsOf(engine);
        expected ??= bits;
        assert.equal(bits, expected, what);
        const words = new Int32Array(engine.kernel.memory.buffer);
        assert.deepEqual(
          [words[CONTROL_DOT / 4], words[CONTROL_STREAMS / 4]],
          [dotForms[dot], streams],
          what,
        );
        const { one, few, many } = engine.tuner.choices.threads;
        assert.deepEqual([one, few, many], [threads, threads, threads], what);
        engine.retire(new Error("done"));
      }
    });
  }

  for (const mix of mixNames) {
    it(`do not change the bits of mixed types: ${mix}`, async () => {
      const bytes = mixedModel(mix);
      let expected: string | undefined;
      for (const { variant, ...tune } of fewerSettings()) {
        const engine = await engineOf(bytes, { kernel: variant, tune });
        const bits = await bitsOf(engine, MIXED_VOCAB);
        expected ??= bits;
        assert.equal(bits, expected, `${variant}, ${JSON.stringify(tune)}`);
        assert.equal(
          new Int32Array(engine.kernel.memory.buffer)[CONTROL_SPLATS / 4],
          splatCodes[tune.splats],
        );
        engine.retire(new Error("done"));
      }
    });
  }

  it("are refused where the results would be wrong", async () => {
    const bytes = tinyLlamaGguf().bytes;
    for (const kernel of variants) {
      const forms = formsOf[kernel];
      if (forms === undefined) continue;
      for (const dot of Object.keys(dotForms) as DotForm[]) {
        if (forms.includes(dot)) continue;
        const message = new RegExp(
          `^Cannot load with tune.dot "${dot}": Expected one of ${forms.join(", ")}, which are right in this runtime`,
        );
        await refused(Llama.load(bytes, { kernel, tune: { dot } }), message, UsageError);
      }
    }
    assert.deepEqual(formsOf.simd, ["wide"]);
  });
});

describe("llama.kernel", () => {
  it("says what was chosen, as it is at the time, and after the model was disposed", async () => {
    const tune: TuneOptions = { dot: "wide", streams: 4, splats: "shuffles", threads: 1 };
    const llama = await Llama.load(model("Q8_0"), { kernel: "simd", tune });
    const threads = { load: 1, one: 1, few: 1, many: 1 };
    assert.deepEqual(llama.kernel, { variant: "simd", dot: "wide", streams: 4, splats: "shuffles", threads });
    assert.deepEqual(JSON.parse(JSON.stringify(llama)).kernel, llama.kernel);
    const { kernel } = llama;
    assert.throws(() => Object.assign(kernel, { streams: 8 }), TypeError);
    assert.throws(() => Object.assign(kernel.threads, { one: 8 }), TypeError);
    llama.dispose();
    assert.deepEqual(llama.kernel, kernel);
  });

  it("is the engine's own form without options", async () => {
    await using llama = await Llama.load(model("Q8_0"), { threads: 1 });
    const { variant, dot, streams, splats } = llama.kernel;
    assert.equal(dot, formsOf[variant]?.at(-1));
    // A model that fits into caches is not swept.
    assert.deepEqual([streams, splats], [1, "loads"]);
  });

  const alone = !variants.some((variant) => variant.endsWith("-shared") && formsOf[variant]);
  itUnless(alone && "no shared memory", "follows the threads of each kind of step", async () => {
    await using llama = await Llama.load(model("Q8_0"), {
      tune: { threads: { load: 2, one: 2, few: 3, many: 2 } },
    });
    await llama.logits(someIds(1, shape.vocabSize));
    const { few, many } = llama.kernel.threads;
    assert.deepEqual([llama.kernel.threads.one, few, many], [2, 1, 1]);
    await llama.logits(someIds(5, shape.vocabSize));
    await llama.logits(someIds(20, shape.vocabSize));
    assert.deepEqual({ ...llama.kernel.threads, load: 2 }, { load: 2, one: 2, few: 3, many: 2 });
  });
});
