// Sessions of a model with sliding windows: what was rolled back far is computed again, to the same bits.
import assert from "node:assert/strict";
import { after, describe, it } from "node:test";
import { Llama } from "../../src/mod.ts";
import { someIds } from "../support/models.ts";
import { tinyGptOss } from "../support/tiny_gpt_oss.ts";

const sampled = {
  temperature: 1.5,
  topK: 0,
  topP: 1,
  seed: 12,
  ignoreEos: true,
} as const;
const bytes = tinyGptOss({ contextLength: 256 }).file.bytes;
const ids = someIds(200, 300);

const loaded: Llama[] = [];
after(() => {
  for (const llama of loaded) llama.dispose();
});

async function load(): Promise<Llama> {
  const llama = await Llama.load(bytes, { threads: 1 });
  loaded.push(llama);
  return llama;
}

/** What a session goes on with: ids and their log-probabilities. */
async function goOn(
  session: ReturnType<Llama["session"]>,
  prompt: readonly number[] = [],
): Promise<unknown[]> {
  const found: unknown[] = [];
  for await (const { id, logprob } of session.generate(prompt, { ...sampled, logprobs: 0, maxTokens: 5 })) {
    found.push([id, logprob]);
  }
  return found;
}

describe("a session of a model with windows", () => {
  it("goes on from any position that it was rolled back to", async () => {
    const llama = await load();
    using session = llama.session();
    await session.append(ids);
    // Decoding drops page after page.
    await session.complete([], { ...sampled, maxTokens: 40 });
    const all = session.ids;
    for (const pos of [239, 233, 209, 200, 161, 160, 159, 97, 33, 8, 7, 1]) {
      using fork = session.fork();
      fork.rollback(pos);
      assert.equal(fork.pos, pos);
      using fresh = llama.session();
      await fresh.append(all.slice(0, pos));
      const expected = await goOn(fresh);
      assert.deepEqual(await goOn(fork), expected, `${pos}`);
      // Again, from where it is now.
      fork.rollback(pos);
      assert.deepEqual(await goOn(fork), expected, `${pos} again`);
    }
    session.rollback(0);
    assert.deepEqual(await goOn(session, ids), await goOn(llama.session(), ids));
  });

  it("goes on after a stop string, and after forks that were rolled back at once", async () => {
    const llama = await load();
    const prompt = ids.slice(0, 150);
    const { ids: first, text } = await llama.complete(prompt, { ...sampled, maxTokens: 30 });
    assert.equal(first.length, 30);
    const stop = text.slice(-6, -3);
    using session = llama.session();
    const { finishReason } = await session.complete(prompt, { ...sampled, maxTokens: 30, stop: [stop] });
    assert.equal(finishReason, "stop");
    const kept = session.ids;
    const forks = [0, 40, 90].map((less) => {
      const fork = session.fork();
      fork.rollback(kept.length - less);
      return fork;
    });
    const found = await Promise.all(forks.map((fork) => goOn(fork)));
    for (const [i, less] of [0, 40, 90].entries()) {
      const before = kept.slice(0, kept.length - less);
      assert.deepEqual(found[i], await goOn(llama.session(), before), `${less}`);
    }
  });

  it("gives its pages back, however far it was rolled back", async () => {
    const llama = await load();
    const { memoryBytes } = llama;
    for (let i = 0; i < 30; i++) {
      using session = llama.session();
      await session.append(ids);
      using fork = session.fork();
      fork.rollback(i * 6);
      await fork.append(ids.slice(0, 10));
      session.rollback(30);
      await session.append(ids.slice(30));
    }
    assert.ok(llama.memoryBytes <= memoryBytes + llama.sessionBytes + 65536);
  });
});
