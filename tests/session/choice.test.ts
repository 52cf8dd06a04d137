// Choices of one prompt: each draws random numbers of its own, alone and together, forked and restored.
import assert from "node:assert/strict";
import { after, describe, it } from "node:test";
import { Llama } from "../../src/mod.ts";
import { embeddedModel } from "../support/models.ts";

const llama = await Llama.load(embeddedModel, { threads: 1, contextLength: 256 });
after(() => llama.dispose());

const options = { seed: 5, temperature: 1.2, maxTokens: 24, ignoreEos: true };
const prompt = "Once upon a time";

describe("choice", () => {
  it("makes other texts of one seed, which are the same again, together too", async () => {
    const one = async (choice: number) => (await llama.complete(prompt, { ...options, choice })).text;
    const alone = [await one(0), await one(1), await one(2), await one(2 ** 32 - 1)];
    assert.equal(new Set(alone).size, 4);
    assert.equal(alone[0], (await llama.complete(prompt, options)).text);
    assert.deepEqual(await Promise.all([one(0), one(1), one(2), one(2 ** 32 - 1)]), alone);
  });

  it("is kept by forks and snapshots", async () => {
    for (const choice of [0, 3]) {
      const whole = await llama.complete(prompt, { ...options, choice });
      using session = llama.session();
      const generation = session.generate(prompt, { ...options, choice });
      for (let i = 0; i < 10; i++) await generation.next();
      await generation.return(undefined as never);
      using fork = session.fork();
      using restored = llama.restore(session.save());
      for (const one of [session, fork, restored]) {
        const pieces: number[] = [];
        for await (const { id } of one.resume()) pieces.push(id);
        assert.deepEqual(pieces, whole.ids.slice(10));
      }
    }
  });

  it("is an integer of 32 bits", async () => {
    for (const choice of [-1, 0.5, 2 ** 32, "1", null]) {
      await assert.rejects(llama.complete(prompt, { ...options, choice: choice as number }), {
        code: "USAGE",
        message: /Expected choice to be an integer in \[0, 4294967295\]/,
      });
    }
  });
});
