// The same bits with experts, windows and sinks: for every number of threads, split of a prompt, and company in a step.
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import * as op from "../../assembly/layout/ops.ts";
import type { EngineOptions } from "../../src/engine/engine.ts";
import type { ExpertsSpec } from "../../src/model/arch/spec.ts";
import type { Precision } from "../../src/model/config.ts";
import type { TinyLlamaOptions } from "../support/gguf_writer.ts";
import { randomF32, workingVariants } from "../support/kernels.ts";
import { allLogits, engineOf, hashLogits, someIds } from "../support/models.ts";
import { itShared, sharedBytes } from "../support/shared.ts";
import { biasesOf, expertTensors, toy, toyFile } from "../support/toy.ts";

// Windows end inside a page and behind one; layers differ.
const windows = [9, 33];
const N = 6;
const ids = someIds(100, 300);

interface TestModel {
  readonly bytes: Uint8Array;
  readonly options: EngineOptions;
}

function model(type: string): TestModel {
  const tensors = expertTensors(N, { type, hidden: 64, biases: true });
  const experts: ExpertsSpec = {
    ...{ n: N, used: 2, hiddenDim: 64, gate: "softmax", normalize: true, bias: "required" },
  };
  return modelOf(type, tensors, () => experts);
}

// A dense first layer; then a shared expert with a gate, and a biased choice of groups.
function richModel(type: string): TestModel {
  const tensors = expertTensors(N, {
    ...{ type, hidden: 64, biases: true, dense: 1, shared: 96, choice: true, fused: true },
  });
  Object.assign(tensors, biasesOf({ ffn_gate: 96, ffn_up: 96, ffn_down: 64 }, 1));
  const experts: ExpertsSpec = {
    ...{ n: N, used: 3, hiddenDim: 64, gate: "sigmoid", normalize: true, bias: "required", scale: 1.5 },
    ...{ choiceBias: "required", groups: { n: 3, used: 2 }, fused: true },
    ...{ shared: { hiddenDim: 96 }, sharedGate: true },
  };
  return modelOf(type, tensors, (i) => (i > 0 ? experts : undefined));
}

function modelOf(
  type: string,
  tensors: NonNullable<TinyLlamaOptions["tensors"]>,
  experts: (i: number) => ExpertsSpec | undefined,
): TestModel {
  const sinks = [0, 1].map((i) => [
    `blk.${i}.attn_sinks.weight`,
    { shape: [4], values: randomF32(4, i, -1, 2) },
  ]);
  const options = toy((spec, i) => {
    const own = experts(i);
    return {
      ...spec,
      attention: { ...spec.attention, sinks: true, window: windows[i] as number },
      feedForward: {
        ...spec.feedForward,
        bias: "optional",
        downBias: "optional",
        ...(own && { experts: own }),
      },
    };
  });
  return {
    bytes: toyFile({ tensors: { ...tensors, ...Object.fromEntries(sinks) }, type }).file.bytes,
    options,
  };
}

const kinds = [
  { type: "F32", precision: "f32" },
  { type: "Q8_0", precision: "q8" },
  { type: "Q4_0", precision: "q4" },
] as const;

for (const { type, precision } of kinds) {
  describe(`a mixture of experts, ${precision}`, () => sameBits(model(type), precision));
}
describe("a mixture of experts beside a shared one, q8", () => sameBits(richModel("Q8_0"), "q8"));

function sameBits({ bytes, options }: TestModel, precision: Precision): void {
  it("has the same bits for every kernel build, split of the prompt and KV type's own", async () => {
    for (const kv of ["f32", "f16", "q8"] as const) {
      const hashes = new Set<string>();
      for (const kernel of workingVariants()) {
        const engine = await engineOf(bytes, { ...options, precision, kv, kernel });
        for (const split of kernel === "simd" ? [[1], [7], [32], [64], [1, 33, 2, 8, 5]] : [[64], [1]]) {
          hashes.add(hashLogits(await allLogits(engine, ids, split)));
        }
        engine.retire(new Error("done"));
      }
      assert.equal(hashes.size, 1, kv);
    }
  });

  it("has the same bits for 1 to 4 threads", async () => {
    const hashes = new Set<string>();
    for (const threads of [1, 2, 3, 4]) {
      const engine = await engineOf(bytes, { ...options, precision, threads, tune: { threads } });
      for (const split of [[1], [40]]) hashes.add(hashLogits(await allLogits(engine, ids, split)));
      engine.retire(new Error("done"));
    }
    assert.equal(hashes.size, 1);
  });

  it("computes several sequences in one step as it computes each alone", async () => {
    const engine = await engineOf(bytes, { ...options, precision });
    const prompts = [someIds(9, 300, 1), someIds(1, 300, 2), someIds(20, 300, 3), someIds(1, 300, 4)];
    const alone: Float32Array[] = [];
    for (const prompt of prompts) alone.push(...(await allLogits(engine, prompt, [64])));
    const segments = prompts.map((prompt) => ({
      sequence: engine.sequence(),
      ids: prompt,
      begin: 0,
      end: prompt.length,
      outputs: "all" as const,
    }));
    const together = await engine.step(segments, () => alone.map((_, row) => engine.logits(row).slice()));
    assert.deepEqual(together, alone);
    engine.retire(new Error("done"));
  });

  it("forks and rolls back over the borders of windows and pages", async () => {
    const engine = await engineOf(bytes, { ...options, precision });
    const expected = await allLogits(engine, ids, [64]);
    for (const n of [8, 9, 31, 33, 34, 65]) {
      const sequence = engine.sequence();
      await allLogits(engine, [...ids.slice(0, n), ...someIds(20, 300, 9)], [64], sequence);
      sequence.rollback(n);
      const fork = sequence.fork();
      assert.deepEqual(await allLogits(engine, ids.slice(n), [5, 64], sequence), expected.slice(n), `${n}`);
      assert.deepEqual(await allLogits(engine, ids.slice(n), [1], fork), expected.slice(n), `fork at ${n}`);
      sequence.free();
      fork.free();
    }
    engine.retire(new Error("done"));
  });
}

describe("gpt-oss with experts in MXFP4", () => {
  const name = "models/micro/quant/gpt-oss-mxfp4.gguf";
  itShared(
    [name],
    "has the same bits for every kernel build, split of the prompt and number of threads",
    async () => {
      const bytes = sharedBytes(name);
      const some = someIds(80, 272);
      const hashes = new Set<string>();
      const note = async (options: EngineOptions, splits: readonly (readonly number[])[]) => {
        const engine = await engineOf(bytes, options);
        for (const split of splits) hashes.add(hashLogits(await allLogits(engine, some, split)));
        engine.retire(new Error("done"));
      };
      for (const kernel of workingVariants()) await note({ kernel }, [[1], [7], [32], [64]]);
      for (const threads of [2, 3, 4]) await note({ threads, tune: { threads } }, [[1], [40]]);
      assert.equal(hashes.size, 1);
    },
  );
});

describe("the plan of a mixture of experts", () => {
  it("has a record for each expert's matrices behind its end, and counts those of one token as work", async () => {
    const { bytes, options } = model("Q8_0");
    const { layout } = await engineOf(bytes, { ...options, precision: "q8" });
    const { words, records, weightBytes } = layout.plan;
    // Of two layers: gate, up and down of each expert, and the router.
    assert.equal(words.length, (records + 2 * (3 * N + 1)) * op.RECORD_WORDS);
    const word = (record: number, field: number) => words[record * op.RECORD_WORDS + field] as number;
    const addresses: number[] = [];
    for (let i = 0; i < records; i++) {
      const isCombine = word(i, op.REC_OP) === op.OP_COMBINE;
      if (word(i, op.REC_OP) !== op.OP_EXPERTS && !isCombine) continue;
      const field = isCombine ? op.COMBINE_RECORDS : op.EXPERTS_RECORDS;
      const first = i + word(i, field) / op.RECORD_BYTES;
      for (let e = 0; e < N; e++) {
        assert.equal(word(first + e, op.REC_OP), op.OP_MATMUL);
        addresses.push(word(first + e, op.MATMUL_W));
      }
      const matrix = layout.weights.all.find(({ address }) => address === addresses.at(-1));
      assert.ok(matrix?.kind === "matrix");
      assert.equal(weightBytes[i], 2 * matrix.strips * matrix.blocks * matrix.format.tileBytes);
    }
    const matrices = layout.weights.all.filter(({ info }) => info.name.includes("exps.weight"));
    assert.deepEqual(
      addresses.sort((a, b) => a - b),
      matrices.map(({ address }) => address).sort((a, b) => a - b),
    );
  });
});
