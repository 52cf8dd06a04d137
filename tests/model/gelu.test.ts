// GELU in the form that a load asks for.
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { Llama, SnapshotError, UsageError } from "../../src/mod.ts";
import { someIds } from "../support/models.ts";
import { RANDOM_VOCAB, randomModel, randomModels } from "../support/random_models.ts";

const ids = someIds(9, RANDOM_VOCAB);
const bytesOf = async (architecture: string) => {
  const model = Object.values(randomModels).find((model) => model.architecture === architecture);
  assert.ok(model);
  return randomModel(model);
};

describe("the load option gelu", () => {
  // One with gates, one without.
  for (const architecture of ["gemma3", "gpt2"]) {
    it(`computes the exact form in ${architecture}: other bits, nearly the same numbers`, async () => {
      const bytes = await bytesOf(architecture);
      await using usual = await Llama.load(bytes, { threads: 1 });
      await using tanh = await Llama.load(bytes, { threads: 1, gelu: "tanh" });
      await using erf = await Llama.load(bytes, { threads: 1, gelu: "erf" });
      const [a, b, c] = await Promise.all([usual, tanh, erf].map((llama) => llama.logits(ids)));
      assert.deepEqual(b, a);
      assert.notDeepEqual(c, a);
      a?.forEach((value, i) => {
        assert.ok(Math.abs(value - (c?.[i] as number)) < 0.05, `${i}: ${value}, ${c?.[i]}`);
      });
      assert.equal(erf.config.gelu, "erf");
      assert.equal(tanh.config.gelu, undefined);
      // What was computed with one form does not go on with the other.
      using session = usual.session();
      await session.append(ids);
      assert.throws(() => erf.restore(session.save()), SnapshotError);
    });
  }

  it("is refused by a model without GELU, and takes nothing else than its two forms", async () => {
    const bytes = await bytesOf("llama");
    await assert.rejects(Llama.load(bytes, { gelu: "erf" }), (error: Error) => {
      assert.ok(error instanceof UsageError);
      assert.match(error.message, /gelu erf: Expected a model with GELU, got architecture llama/);
      return true;
    });
    await assert.rejects(Llama.load(bytes, { gelu: "exact" as "erf" }), /gelu.*one of tanh, erf/);
  });
});
