// Threads change nothing but the time, and their deaths end in errors, never in a hang.
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import process from "node:process";
import { describe, it } from "node:test";
import type { Worker } from "node:worker_threads";
import { EngineError, Llama } from "../../src/mod.ts";
import { tinyLlamaGguf } from "../support/gguf_writer.ts";
import { allLogits, embeddedModel, engineOf, hashLogits, someIds } from "../support/models.ts";

const embedded = new Uint8Array(readFileSync(embeddedModel));
const tiny = tinyLlamaGguf({ type: "Q8_0" }).bytes;
const golden = JSON.parse(readFileSync(new URL("../golden/logits.json", import.meta.url), "utf8"));

const workerThreads = process.getBuiltinModule("node:worker_threads");

/** Runs `body` while every started thread is noted, and its data may be changed. */
async function watchThreads<T>(
  body: (threads: Worker[]) => Promise<T>,
  change: (data: { scratch: number }) => void = () => {},
): Promise<T> {
  const { Worker: Original } = workerThreads;
  const threads: Worker[] = [];
  class Watched extends Original {
    constructor(code: string, options: { eval: boolean; workerData: { scratch: number } }) {
      change(options.workerData);
      super(code, options);
      threads.push(this);
    }
  }
  workerThreads.Worker = Watched as unknown as typeof Worker;
  try {
    return await body(threads);
  } finally {
    workerThreads.Worker = Original;
  }
}

/** Fails instead of hanging. */
function soon<T>(work: Promise<T>): Promise<T> {
  let timer: ReturnType<typeof setTimeout> | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error("this hangs")), 30_000);
  });
  return Promise.race([work, late]).finally(() => clearTimeout(timer));
}

describe("threads", () => {
  for (const threads of [1, 2, 3, 4]) {
    it(`give the golden bits: ${threads}`, async () => {
      for (const [precision, kv] of [
        ["q8", "f16"],
        ["q8", "q8"],
        ["q4", "f16"],
        ["f32", "f32"],
      ] as const) {
        const engine = await engineOf(embedded, { precision, kv, threads, contextLength: 128 });
        assert.equal(engine.threads, threads);
        const hash = hashLogits(await allLogits(engine, someIds(80, 4096), [7, 1, 1, 1, 1, 32]));
        assert.equal(hash, golden[`${precision}/${kv}`], `${precision}, kv ${kv}`);
        engine.retire(new EngineError("done"));
      }
    });
  }

  it("pack what one thread packs", async () => {
    for (const type of ["F32", "Q8_0", "Q4_0"]) {
      const { bytes } = tinyLlamaGguf({ type, vocabSize: 1000, seed: 4 });
      const one = await engineOf(bytes, { threads: 1 });
      const three = await engineOf(bytes, { threads: 3, kernel: "relaxed-shared" });
      const ids = someIds(20, 1000);
      assert.deepEqual(await allLogits(three, ids, [20]), await allLogits(one, ids, [20]));
      three.retire(new EngineError("done"));
    }
  });

  it("can be told by their number, which is 1 with an unshared build", async () => {
    await using two = await Llama.load(tiny, { threads: 2 });
    assert.equal(two.threads, 2);
    assert.match(two.kernel, /-shared$/);
    await using plain = await Llama.load(tiny, { threads: 2, kernel: "simd" });
    assert.equal(plain.threads, 1);
  });

  it("that die between steps retire the model, and a new one loads", async () => {
    await watchThreads(async (threads) => {
      const llama = await Llama.load(tiny, { threads: 2 });
      assert.equal(threads.length, 1);
      assert.equal((await llama.complete("in the", { maxTokens: 3, ignoreEos: true })).ids.length, 3);
      await threads[0]?.terminate();
      await assert.rejects(soon(llama.complete("in the", { maxTokens: 3 })), EngineError);
      await assert.rejects(soon(llama.complete("in the", { maxTokens: 3 })), EngineError);
      llama.dispose();
      await using again = await Llama.load(tiny, { threads: 2 });
      assert.equal((await again.complete("in the", { maxTokens: 3, ignoreEos: true })).ids.length, 3);
    });
  });

  it("that die in the middle of a step end it with an error", async () => {
    await watchThreads(async (threads) => {
      const llama = await Llama.load(embeddedModel, { threads: 2 });
      const generation = llama.generate("Once upon a time", { ignoreEos: true });
      await generation.next();
      void threads[0]?.terminate();
      await assert.rejects(async () => {
        for await (const _ of { [Symbol.asyncIterator]: () => generation }) await new Promise(setImmediate);
      }, EngineError);
      llama.dispose();
    });
  });

  it("that trap end the step, or the loading, with an error at once", async () => {
    // A scratch outside memory: the thread traps at the first row it works on.
    const change = (data: { scratch: number }) => {
      data.scratch = 0xfff00000;
    };
    const ids = someIds(64, 300);
    await assert.rejects(
      soon(
        watchThreads(async () => {
          // The first rows may be weights that are packed.
          const engine = await engineOf(tiny, { threads: 2 });
          for (;;) await allLogits(engine, ids, [64], engine.sequence());
        }, change),
      ),
      (error) => {
        assert.ok(error instanceof EngineError, String(error));
        assert.match(error.message, /trapped|died/);
        return true;
      },
    );
  });

  it("that do not start are an error of load()", async () => {
    const { Worker: Original } = workerThreads;
    workerThreads.Worker = class {
      constructor() {
        throw new Error("no more threads");
      }
    } as unknown as typeof Worker;
    try {
      // The second one's weights still come when its thread fails.
      for (const model of [tiny, embeddedModel]) {
        await assert.rejects(soon(Llama.load(model, { threads: 2 })), /no more threads/);
      }
    } finally {
      workerThreads.Worker = Original;
    }
    await using again = await Llama.load(tiny, { threads: 2 });
    assert.equal(again.threads, 2);
  });

  it("are gone after dispose()", async () => {
    await watchThreads(async (threads) => {
      const llama = await Llama.load(tiny, { threads: 3 });
      await llama.complete("in", { maxTokens: 2 });
      const gone = threads.map((thread) => new Promise((resolve) => thread.once("exit", resolve)));
      llama.dispose();
      await soon(Promise.all(gone));
    });
  });
});

describe("a thousand loads and disposals", () => {
  it("leave memory where it was", async () => {
    const rss = () => process.memoryUsage().rss / 2 ** 20;
    const cycle = async (threads: number) => {
      const llama = await Llama.load(tiny, { threads });
      await llama.complete("in the", { maxTokens: 2, temperature: 0 });
      llama.dispose();
    };
    for (let i = 0; i < 100; i++) await cycle(1);
    for (let i = 0; i < 5; i++) await cycle(2);
    const before = rss();
    for (let i = 0; i < 900; i++) await cycle(1);
    for (let i = 0; i < 20; i++) await cycle(2);
    // Each holds 4 MiB: a leak would be gigabytes. Collectors run when they like.
    const grown = rss() - before;
    assert.ok(grown < 500, `${grown.toFixed(0)} MiB more after 920 loads`);
  });
});
