// Steps of layers with a state that come to no end: the state that they have spoilt is left, and computed again.
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import type { Engine } from "../../src/engine/engine.ts";
import { allLogits, engineOf, someIds } from "../support/models.ts";
import { RANDOM_VOCAB, type RandomModel, randomModel, randomModels } from "../support/random_models.ts";

const ids = someIds(100, RANDOM_VOCAB);

async function setUp(name: string) {
  const engine = await engineOf(await randomModel(randomModels[name] as RandomModel));
  const expected = await allLogits(engine, ids, [64]);
  const sequence = engine.sequence();
  await allLogits(engine, ids.slice(0, 70), [64], sequence);
  return { engine, expected, sequence };
}

/** The rest of the ids has the same bits. */
async function checkRest(
  engine: Engine,
  sequence: ReturnType<Engine["sequence"]>,
  expected: readonly Float32Array[],
): Promise<void> {
  const from = sequence.length;
  const rest = await allLogits(engine, ids.slice(from), [3, 40], sequence);
  assert.deepEqual(rest, expected.slice(from));
  engine.retire(new Error("done"));
}

describe("a sequence of a model with states", () => {
  it("goes on from the end of the page before, if a step was not counted", async () => {
    // Rows of positions stay right.
    for (const [name, left] of [
      ["qwen35", 64],
      ["lfm2", 70],
    ] as const) {
      const { engine, expected, sequence } = await setUp(name);
      const segment = { sequence, ids, begin: 70, end: 99, outputs: "last" as const };
      engine.admit(segment);
      await engine.run([segment]);
      sequence.rollback(70);
      assert.equal(sequence.length, left);
      await checkRest(engine, sequence, expected);
    }
  });

  it("goes on from there, if a step was aborted", async () => {
    const { engine, expected, sequence } = await setUp("qwen35");
    const reason = new Error("enough");
    const segment = { sequence, ids, begin: 70, end: 99, outputs: "last" as const };
    // Longer than a slice: the step pauses before it begins.
    await new Promise((resolve) => setTimeout(resolve, 100));
    engine.admit(segment);
    const betweenSlices = () => {
      throw reason;
    };
    await assert.rejects(async () => engine.run([segment], { betweenSlices }), reason);
    assert.equal(sequence.length, 64);
    await checkRest(engine, sequence, expected);
  });

  it("keeps its state if nothing was written, and that of a fork is its own", async () => {
    const { engine, expected, sequence } = await setUp("qwen35");
    sequence.rollback(70);
    assert.equal(sequence.length, 70);
    const fork = sequence.fork();
    await allLogits(engine, someIds(50, RANDOM_VOCAB, 5), [50], fork);
    assert.equal(fork.length, 120);
    fork.rollback(100);
    assert.equal(fork.length, 96);
    fork.rollback(40);
    assert.equal(fork.length, 32);
    fork.rollback(31);
    assert.equal(fork.length, 0);
    fork.free();
    await checkRest(engine, sequence, expected);
  });
});
