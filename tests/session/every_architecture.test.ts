// Sessions of every architecture: forks, rollbacks over the borders of pages and windows, saves, and company change no bit.
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { Llama, type Session } from "../../src/mod.ts";
import { someIds } from "../support/models.ts";
import { RANDOM_VOCAB, randomModel, randomModels } from "../support/random_models.ts";

const sampled = { temperature: 1.5, topK: 0, topP: 1, seed: 3, ignoreEos: true } as const;
const ids = someIds(100, RANDOM_VOCAB);

/** What a session goes on with: ids and their log-probabilities. */
async function goOn(session: Session, prompt: readonly number[] = []): Promise<unknown[]> {
  const found: unknown[] = [];
  for await (const { id, logprob } of session.generate(prompt, { ...sampled, logprobs: 0, maxTokens: 4 })) {
    assert.ok(Number.isFinite(logprob));
    found.push([id, logprob]);
  }
  return found;
}

describe("a session of a model of every architecture", () => {
  for (const [title, model] of Object.entries(randomModels)) {
    it(`${title}: goes on with the same bits after forks, rollbacks and saves`, async () => {
      await using llama = await Llama.load(await randomModel(model), { threads: 1 });
      using session = llama.session();
      await session.append(ids);
      // By now windows have dropped pages.
      await session.complete([], { ...sampled, maxTokens: 35 });
      const all = session.ids;
      const fresh = (pos: number) => goOn(llama.session(), all.slice(0, pos));
      const saved = session.save();
      for (const pos of [134, 96, 60]) {
        using fork = session.fork();
        fork.rollback(pos);
        using restored = llama.restore(fork.save());
        // Both in the same steps.
        const [a, b] = await Promise.all([goOn(fork), goOn(restored)]);
        assert.deepEqual(a, await fresh(pos), `${pos}`);
        assert.deepEqual(b, a, `saved at ${pos}`);
      }
      using restored = llama.restore(saved);
      assert.deepEqual(await goOn(restored), await fresh(all.length));
      assert.deepEqual(await goOn(session), await fresh(all.length));
    });
  }
});
