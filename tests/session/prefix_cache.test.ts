// Sessions of models with a prefix cache: the bits of models without one, for every kind of layer.
import assert from "node:assert/strict";
import { after, describe, it } from "node:test";
import { type Completion, type GenerateOptions, Llama, type LoadOptions } from "../../src/mod.ts";
import { meta } from "../support/gguf_writer.ts";
import { someIds } from "../support/models.ts";
import { RANDOM_VOCAB, type RandomModel, randomModel, randomModels } from "../support/random_models.ts";

const loaded: Llama[] = [];
after(() => {
  for (const llama of loaded) llama.dispose();
});

async function pair(name: string, options: LoadOptions = {}): Promise<{ plain: Llama; cached: Llama }> {
  const { keys, ...model } = randomModels[name] as RandomModel;
  const bytes = await randomModel({ ...model, keys: { ...keys, context_length: meta("u32", 600) } });
  const common = { threads: 1, contextLength: 256, ...options };
  const plain = await Llama.load(bytes, common);
  const cached = await Llama.load(bytes, { ...common, prefixCache: 16 << 20 });
  loaded.push(plain, cached);
  return { plain, cached };
}

const sampled: GenerateOptions = {
  temperature: 1.5,
  topK: 0,
  topP: 1,
  seed: 12,
  ignoreEos: true,
  maxTokens: 24,
};

interface Seen extends Pick<Completion, "text" | "ids" | "finishReason"> {
  readonly logprobs: readonly number[];
}

async function run(
  generation: AsyncGenerator<{ readonly logprob: number }, Completion>,
): Promise<[Seen, number]> {
  const logprobs: number[] = [];
  for (;;) {
    const { done, value } = await generation.next();
    if (!done) {
      logprobs.push(value.logprob);
      continue;
    }
    const { text, ids, finishReason, usage } = value;
    return [{ text, ids, finishReason, logprobs }, usage.cachedTokens];
  }
}

const system = someIds(150, RANDOM_VOCAB, 1);
const first = [...system, ...someIds(20, RANDOM_VOCAB, 2)];

describe("a prefix cache", () => {
  // What is found of the prompts below; windows, convolutions and states go on from some positions only.
  const found: Record<string, readonly number[]> = {
    llama: [0, 170, 169, 150, 30, 0],
    gemma3: [0, 170, 169, 150, 0, 0],
    lfm2: [0, 170, 169, 150, 0, 0],
    qwen35: [0, 170, 160, 128, 0, 0],
  };
  for (const [name, expected] of Object.entries(found)) {
    it(`changes no bit of ${name}, and says what it had`, async () => {
      const { plain, cached } = await pair(name);
      const one = await plain.complete(first, sampled);
      const prompts = [
        first,
        [...first, ...one.ids.slice(0, -1), 7, 8, 9],
        first,
        [...system, 5, 6, 7],
        [...system.slice(0, 30), 1, 2],
        [3],
      ];
      const hits: number[] = [];
      for (const prompt of prompts) {
        const [seen, hit] = await run(cached.generate(prompt, sampled));
        assert.deepEqual(seen, (await run(plain.generate(prompt, sampled)))[0]);
        hits.push(hit);
      }
      // The second prompt has the first answer, too.
      assert.deepEqual(
        hits,
        expected.map((n, i) => (i === 1 ? 170 + 23 : n)),
      );
    });
  }

  it("keeps checkpoints of long prompts, for models that cannot go on from everywhere", async () => {
    const long = someIds(560, RANDOM_VOCAB, 4);
    const other = [...long.slice(0, 530), 1, 2, 3];
    for (const [name, hit] of Object.entries({ llama: 530, gemma3: 530, lfm2: 530, qwen35: 512 })) {
      const { plain, cached } = await pair(name, { contextLength: 600 });
      await cached.complete(long, { ...sampled, maxTokens: 30 });
      assert.deepEqual(await run(cached.generate(other, sampled)), [
        (await run(plain.generate(other, sampled)))[0],
        hit,
      ]);
      const early = [...long.slice(0, 300), 9];
      const [seen, n] = await run(cached.generate(early, sampled));
      assert.deepEqual(seen, (await run(plain.generate(early, sampled)))[0]);
      assert.equal(n, name === "llama" ? 300 : 256, name);
    }
  });

  it("serves sessions, forks, rollbacks, stop strings and aborts with the same bits", async () => {
    for (const name of ["llama", "gemma3", "qwen35"]) {
      const { plain, cached } = await pair(name);
      const story = async (llama: Llama) => {
        const seen: unknown[] = [];
        for (const [round, seed] of [3, 3, 4].entries()) {
          using session = llama.session();
          await session.append(first.slice(0, 100 + round));
          using fork = session.fork();
          const { text, ids } = await fork.complete([5], { ...sampled, seed });
          seen.push(text, ids);
          const stop = text.slice(10, 12);
          seen.push(await run(session.generate([5], { ...sampled, seed, stop })).then(([one]) => one));
          session.rollback(40);
          const abort = new AbortController();
          const generation = session.generate(first.slice(40), { ...sampled, seed, signal: abort.signal });
          seen.push((await generation.next()).value);
          abort.abort();
          await assert.rejects(generation.next());
          seen.push((await session.complete([6], { ...sampled, seed })).ids);
        }
        return seen;
      };
      assert.deepEqual(await story(cached), await story(plain), name);
    }
  });

  it("is shared by generations at once, and by choices of one prompt", async () => {
    const { plain, cached } = await pair("gemma3");
    const prompts = Array.from({ length: 12 }, (_, i) => [...first.slice(0, 60 + 10 * (i % 5)), i]);
    const all = (llama: Llama) =>
      Promise.all(
        prompts.map((prompt, choice) =>
          llama.complete(prompt, { ...sampled, choice }).then(({ ids }) => ids),
        ),
      );
    const expected = await all(plain);
    assert.deepEqual(await all(cached), expected);
    assert.deepEqual(await all(cached), expected);
  });

  it("gives up what it has before a session finds no memory", async () => {
    const { plain, cached } = await pair("llama");
    const maxBytes = plain.memoryBytes + plain.sessionBytes;
    const tight = await pair("llama", { maxBytes });
    for (let i = 0; i < 6; i++) {
      const prompt = someIds(200, RANDOM_VOCAB, 10 + i);
      const both = [0, 1].map((choice) => tight.cached.complete(prompt, { ...sampled, choice }));
      for (const [choice, one] of (await Promise.all(both)).entries()) {
        assert.deepEqual(one.ids, (await cached.complete(prompt, { ...sampled, choice })).ids);
      }
    }
    assert.ok(tight.cached.memoryBytes <= maxBytes);
    assert.equal((await tight.cached.complete(first, sampled)).usage.cachedTokens, 0);
    assert.equal((await tight.cached.complete(first, sampled)).usage.cachedTokens, 169);
  });

  it("is asked for in bytes", async () => {
    for (const prefixCache of [0, -1, 1.5, "1"]) {
      await assert.rejects(Llama.load(new Uint8Array(), { prefixCache: prefixCache as number }), {
        code: "USAGE",
        message: /prefixCache/,
      });
    }
    const { plain } = await pair("llama");
    await plain.complete(first, sampled);
    assert.equal((await plain.complete(first, sampled)).usage.cachedTokens, 0);
  });
});
