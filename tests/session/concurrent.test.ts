// Generations at once share steps: each has the bits that it has alone, and ends for its own reasons.
import assert from "node:assert/strict";
import { after, describe, it } from "node:test";
import { Engine } from "../../src/engine/engine.ts";
import {
  type Completion,
  EngineError,
  type GenerateOptions,
  Llama,
  MemoryError,
  type Piece,
} from "../../src/mod.ts";
import { tinyLlamaGguf } from "../support/gguf_writer.ts";
import { embeddedModel, engineOf } from "../support/models.ts";

const llama = await Llama.load(embeddedModel, { threads: 1, contextLength: 256 });
after(() => llama.dispose());

const long = "Once upon a time there was a king. ".repeat(16);
const prompts = ["Once upon a time", long, "Lily", "One day, a little", "The king said", "", "A dog", long];

/** Options of the ith generation: greedy or sampled, of another length each. */
function optionsOf(i: number): GenerateOptions {
  const maxTokens = 10 + ((7 * i) % 24);
  if (i % 3 === 0) return { temperature: 0, maxTokens, ignoreEos: true };
  return { temperature: 1.3, topK: 40, topP: 0.95, repeatPenalty: 1.2, seed: i, maxTokens, logprobs: i };
}

interface Run {
  readonly pieces: Piece[];
  readonly result: Omit<Completion, "timings">;
}

async function run(generation: AsyncGenerator<Piece, Completion>, pause?: () => unknown): Promise<Run> {
  const pieces: Piece[] = [];
  for (;;) {
    const { done, value } = await generation.next();
    if (done) {
      const { timings: _, ...result } = value;
      return { pieces, result };
    }
    pieces.push(value);
    if (pause) await pause();
  }
}

const generate = (model: Llama, i: number, more: GenerateOptions = {}) =>
  model.generate(prompts[i] as string, { ...optionsOf(i), ...more });

const alone: Run[] = [];
for (const i of prompts.keys()) alone.push(await run(generate(llama, i)));

/** How many sequences the steps had that `body` ran. */
async function sharing(body: () => Promise<void>): Promise<number[]> {
  const { run } = Engine.prototype;
  const sizes: number[] = [];
  Engine.prototype.run = function (segments, watcher) {
    sizes.push(segments.length);
    return run.call(this, segments, watcher);
  };
  try {
    await body();
  } finally {
    Engine.prototype.run = run;
  }
  return sizes;
}

describe("generations at once", () => {
  for (const n of [2, 4, 8]) {
    it(`are each as if alone, in shared steps: ${n}`, async () => {
      const sizes = await sharing(async () => {
        const runs = Array.from({ length: n }, (_, i) => run(generate(llama, i)));
        assert.deepEqual(await Promise.all(runs), alone.slice(0, n));
      });
      const tokens = sizes.reduce((sum, size) => sum + size, 0);
      assert.ok(tokens > 1.3 * sizes.length, `${sizes.length} steps for ${tokens} parts`);
      assert.equal(Math.max(...sizes), n);
    });
  }

  for (const threads of [2, 3, 4]) {
    it(`are each as if alone with ${threads} threads`, async () => {
      await using model = await Llama.load(embeddedModel, { tune: { threads }, contextLength: 256 });
      const runs = prompts.map((_, i) => run(generate(model, i)));
      assert.deepEqual(await Promise.all(runs), alone);
    });
  }

  it("are each as if alone when more of them come than a step takes, one after the other", async () => {
    const runs = Array.from({ length: 20 }, async (_, i) => {
      for (let turns = 0; turns < 5 * i; turns++) await undefined;
      if (i % 4 === 3) await new Promise((resolve) => setTimeout(resolve, i));
      assert.deepEqual(await run(generate(llama, i % 8)), alone[i % 8]);
    });
    await Promise.all(runs);
  });

  it("are each as if alone whatever their consumers wait for", async () => {
    const pauses = [
      undefined,
      () => undefined,
      () => new Promise((resolve) => setTimeout(resolve, 0)),
      () => new Promise((resolve) => setTimeout(resolve, 3)),
      async () => {
        for (let i = 0; i < 300; i++) await undefined;
      },
    ];
    const runs = pauses.map((pause, i) => run(generate(llama, i), pause));
    assert.deepEqual(await Promise.all(runs), alone.slice(0, pauses.length));
  });

  it("are not held up by consumers that stop reading", async () => {
    const stopped = [1, 2, 3].map((i) => generate(llama, i));
    await Promise.all(stopped.map((generation) => generation.next()));
    assert.deepEqual(await Promise.all([0, 4].map((i) => run(generate(llama, i)))), [alone[0], alone[4]]);
    // They read on.
    for (const [at, generation] of stopped.entries()) {
      const { pieces } = await run(generation);
      assert.deepEqual(pieces, alone[at + 1]?.pieces.slice(1));
    }
  });

  it("go on when others break out of their loops, are aborted or disposed", async () => {
    const { memoryBytes } = llama;
    for (let round = 0; round < 4; round++) {
      const reason = new Error("enough");
      const controller = new AbortController();
      const session = llama.session();
      const leaving = [
        (async () => {
          let left = 2 * round;
          for await (const _ of generate(llama, 1)) if (left-- === 0) break;
        })(),
        assert.rejects(run(generate(llama, 2, { signal: controller.signal, maxTokens: 200 })), reason),
        run(generate(llama, 3, { signal: controller.signal, stopOnAbort: true, maxTokens: 200 })),
        assert.rejects(
          run(session.generate(long, { temperature: 0, ignoreEos: true, logprobs: false })),
          EngineError,
        ),
      ];
      const staying = [0, 4, 7].map((i) => run(generate(llama, i)));
      await new Promise((resolve) => setTimeout(resolve, 4 * round));
      controller.abort(reason);
      session.dispose();
      assert.deepEqual(await Promise.all(staying), [alone[0], alone[4], alone[7]], `round ${round}`);
      const [, , stopped] = await Promise.all(leaving);
      const { pieces, result } = stopped as Run;
      const same = Math.min(pieces.length, alone[3]?.pieces.length as number);
      assert.deepEqual(pieces.slice(0, same), alone[3]?.pieces.slice(0, same));
      assert.equal(result.finishReason, "abort");
    }
    assert.ok(llama.memoryBytes <= memoryBytes + 4 * llama.sessionBytes + 65536);
  });

  it("share steps with forks, appended prompts, logits and perplexity, which have the bits of now", async () => {
    const ids = llama.tokenizer.encode(long);
    const text = "Lily had a big red ball. ".repeat(9);
    const [logits, perplexity] = [await llama.logits(ids), await llama.perplexity(text, { window: 50 })];
    using session = llama.session();
    await session.append("Once upon a time");
    const forks = [0, 1, 2].map(() => session.fork());
    const sampled = { temperature: 1.2, maxTokens: 20, ignoreEos: true };
    const expected: (readonly number[])[] = [];
    for (const seed of [0, 1, 2]) {
      using fresh = session.fork();
      expected.push((await fresh.complete("", { ...sampled, seed })).ids);
    }
    using appended = llama.session();
    const sizes = await sharing(async () => {
      const [again, score, first, , ...forked] = await Promise.all([
        llama.logits(ids),
        llama.perplexity(text, { window: 50 }),
        run(generate(llama, 0)),
        appended.append(long),
        ...forks.map(async (fork, seed) => (await fork.complete("", { ...sampled, seed })).ids),
      ]);
      assert.deepEqual([again, score, first], [logits, perplexity, alone[0]]);
      assert.deepEqual(forked, expected);
    });
    assert.ok(Math.max(...sizes) > 4);
    assert.equal(appended.pos, ids.length);
    for (const fork of forks) fork.dispose();
  });

  it("go on when there is no memory for one of them", async () => {
    const { bytes } = tinyLlamaGguf();
    const { layout } = await engineOf(bytes);
    const maxBytes = layout.totalBytes + 65536;
    await using small = await Llama.load(bytes, { threads: 1, maxBytes });
    const options = { temperature: 0, ignoreEos: true, maxTokens: 40 } as const;
    const expected = (await small.complete("in the", { ...options, maxTokens: 100 })).ids;
    const sizes = [100, 100, 100, 100, 20, 20];
    const results = await Promise.allSettled(
      sizes.map(async (maxTokens) => (await small.complete("in the", { ...options, maxTokens })).ids),
    );
    const failed = results.filter(({ status }) => status === "rejected") as PromiseRejectedResult[];
    assert.ok(failed.length > 0 && failed.length < 4, `${failed.length} of 6 had no memory`);
    for (const { reason } of failed) assert.ok(reason instanceof MemoryError, String(reason));
    for (const [i, result] of results.entries()) {
      if (result.status === "fulfilled") assert.deepEqual(result.value, expected.slice(0, sizes[i]));
      else assert.equal(sizes[i], 100);
    }
    assert.deepEqual((await small.complete("in the", options)).ids, expected.slice(0, 40));
  });

  it("wait for memory also if they come just when another has failed for want of it", async () => {
    const { bytes } = tinyLlamaGguf();
    await using probe = await Llama.load(bytes, { threads: 1 });
    await using small = await Llama.load(bytes, { threads: 1, maxBytes: probe.memoryBytes });
    const sessions = [small.session()];
    const fill = async () => {
      for (;;) {
        sessions.push(small.session());
        await sessions.at(-1)?.append([3]);
      }
    };
    await assert.rejects(fill, MemoryError);
    const waiting = small.complete("in the", { maxTokens: 3, temperature: 0 });
    setTimeout(() => {
      for (const session of sessions) session.dispose();
    }, 50);
    const expected = await probe.complete("in the", { maxTokens: 3, temperature: 0 });
    assert.deepEqual((await waiting).ids, expected.ids);
  });

  it("all end when the model is disposed", async () => {
    const model = await Llama.load(embeddedModel, { threads: 1, contextLength: 256 });
    const runs = prompts.map((_, i) => run(generate(model, i, { maxTokens: 240 })));
    await new Promise((resolve) => setTimeout(resolve, 5));
    model.dispose();
    for (const result of await Promise.allSettled(runs)) {
      assert.equal(result.status, "rejected");
      assert.ok((result as PromiseRejectedResult).reason instanceof EngineError);
    }
  });
});
