// Every architecture: the numbers of native llama.cpp, and the same bits however a model is computed.
import { strict as assert } from "node:assert";
import { describe, it } from "node:test";
import { Llama } from "../../src/mod.ts";
import { architectures } from "../../src/model/arch/registry.ts";
import { workingVariants } from "../support/kernels.ts";
import { allLogits, engineOf, hashLogits, someIds } from "../support/models.ts";
import { logProbabilities, nativeLines } from "../support/native.ts";
import { RANDOM_VOCAB, randomModel, randomModels } from "../support/random_models.ts";
import { itShared, sharedPath } from "../support/shared.ts";

const MICRO = "models/micro";
const LINES = `${MICRO}/native.jsonl`;

interface Reference {
  /** Log-probabilities of the likeliest next tokens, by position. */
  readonly top: Record<string, [id: number, logProbability: number][]>;
  /** Natural logits, by position. */
  readonly logits: Record<string, number[]>;
}

interface Line extends Reference {
  readonly file: string;
  readonly ids: number[];
  readonly greedy: number[];
  readonly limit: number;
  /** Without native's own roundings, where it has some. */
  readonly exact?: Reference;
}

const lines = nativeLines<Line>(LINES);

async function compare(llama: Llama, { file, ids, greedy, limit, ...native }: Line): Promise<void> {
  const { top, logits } = native.exact ?? native;
  const at = async (position: string) =>
    logProbabilities(await llama.logits(ids.slice(0, Number(position) + 1)));
  for (const [position, row] of Object.entries(top)) {
    const own = await at(position);
    for (const [id, expected] of row) {
      const difference = Math.abs((own[id] as number) - expected);
      assert.ok(difference <= limit, `${file}, position ${position}, id ${id}: ${difference}`);
    }
  }
  for (const [position, row] of Object.entries(logits)) {
    const [own, expected] = [await at(position), logProbabilities(row)];
    const difference = Math.max(...own.map((value, i) => Math.abs(value - (expected[i] as number))));
    assert.ok(difference <= 2 * limit, `${file}, position ${position}: ${difference} over all tokens`);
  }
  const { ids: said } = await llama.complete(ids, {
    ...{ temperature: 0, maxTokens: greedy.length, ignoreEos: true },
  });
  assert.deepEqual(said, greedy, `${file}: greedy ids`);
}

describe("architectures beside native llama.cpp", () => {
  itShared([LINES], "are within its limits at precision f32, with its greedy ids", async () => {
    assert.ok(lines.length >= 52);
    for (const line of lines) {
      const path = sharedPath(`${MICRO}/${line.file}`);
      const llama = await Llama.load(path, { precision: "f32", kv: "f32", threads: 1 });
      await compare(llama, line);
      llama.dispose();
    }
  });
});

describe("models of every architecture", () => {
  it("are tried: one of each at least", () => {
    const tried = new Set(Object.values(randomModels).map(({ architecture }) => architecture));
    assert.deepEqual([...tried].sort(), architectures.map(({ name }) => name).sort());
  });

  const ids = someIds(100, RANDOM_VOCAB);

  for (const [title, model] of Object.entries(randomModels)) {
    it(`${title}: the same bits for every kernel build, split of the prompt and number of threads`, async () => {
      const bytes = await randomModel(model);
      const options = { precision: "q8", kv: "f16" } as const;
      const first = await engineOf(bytes, { ...options, kernel: "simd" });
      const rows = await allLogits(first, ids, [1]);
      assert.ok(rows.every((row) => row.every(Number.isFinite)));
      const expected = hashLogits(rows);
      for (const split of [[64], [7], [32]]) {
        assert.equal(hashLogits(await allLogits(first, ids, split)), expected, `steps of ${split}`);
      }
      await together(first, rows);
      first.retire(new Error("done"));
      for (const kernel of workingVariants().filter((variant) => variant.startsWith("relaxed"))) {
        const engine = await engineOf(bytes, { ...options, kernel });
        assert.equal(hashLogits(await allLogits(engine, ids, [50, 1])), expected, kernel);
        engine.retire(new Error("done"));
      }
      for (const threads of [2, 3, 4]) {
        const engine = await engineOf(bytes, { ...options, threads });
        assert.equal(hashLogits(await allLogits(engine, ids, [60, 1])), expected, `${threads} threads`);
        engine.retire(new Error("done"));
      }
    });
  }

  // Two sequences in one step, one of which goes on, against each alone.
  async function together(engine: Awaited<ReturnType<typeof engineOf>>, alone: readonly Float32Array[]) {
    const sequences = [engine.sequence(), engine.sequence()];
    const [a, b] = sequences as [(typeof sequences)[0], (typeof sequences)[0]];
    await allLogits(engine, ids.slice(0, 70), [64], a);
    const segments = [
      { sequence: a, ids, begin: 70, end: 80, outputs: "all" as const },
      { sequence: b, ids, begin: 0, end: 20, outputs: "all" as const },
    ];
    const rows = await engine.step(segments, () =>
      Array.from({ length: 30 }, (_, i) => engine.logits(i).slice()),
    );
    assert.deepEqual(rows, [...alone.slice(70, 80), ...alone.slice(0, 20)]);
    for (const sequence of sequences) sequence.free();
  }
});
