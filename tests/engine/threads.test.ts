// Threads change nothing but the time, and their deaths end in errors, never in a hang.
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import process from "node:process";
import { describe, it } from "node:test";
import type { Worker } from "node:worker_threads";
import { Engine } from "../../src/engine/engine.ts";
import { openModelFile } from "../../src/format/detect.ts";
import { type ByteSource, EngineError, Llama } from "../../src/mod.ts";
import { detectRuntime } from "../../src/runtime/detect.ts";
import { bytesSource } from "../../src/source/bytes.ts";
import { tinyLlamaGguf } from "../support/gguf_writer.ts";
import { MIXED_VOCAB, mixedModel, mixNames } from "../support/mixed_models.ts";
import { allLogits, embeddedModel, engineOf, hashLogits, someIds } from "../support/models.ts";
import { refused } from "../support/refused.ts";

const embedded = new Uint8Array(readFileSync(embeddedModel));
const tiny = tinyLlamaGguf({ type: "Q8_0" }).bytes;
const golden = JSON.parse(readFileSync(new URL("../golden/logits.json", import.meta.url), "utf8"));
const mixed = JSON.parse(readFileSync(new URL("../golden/mixes.json", import.meta.url), "utf8"));

const { cores } = detectRuntime();
const workerThreads = process.getBuiltinModule("node:worker_threads");

/** Runs `body` while every started thread is noted, and its data may be changed. */
async function watchThreads<T>(
  body: (threads: Worker[], exits: Promise<unknown>[]) => Promise<T>,
  change: (data: { scratch: number }) => void = () => {},
): Promise<T> {
  const { Worker: Original } = workerThreads;
  const threads: Worker[] = [];
  const exits: Promise<unknown>[] = [];
  class Watched extends Original {
    constructor(code: string, options: { eval: boolean }) {
      super(code, options);
      threads.push(this);
      exits.push(new Promise((resolve) => this.once("exit", resolve)));
    }
    override postMessage(data: { scratch: number }) {
      change(data);
      super.postMessage(data);
    }
  }
  workerThreads.Worker = Watched as unknown as typeof Worker;
  try {
    return await body(threads, exits);
  } finally {
    workerThreads.Worker = Original;
  }
}

/** Runs `body` where a thread is refused, or dies before it computes. */
async function withoutThreads<T>(how: "refused" | "dead", body: () => Promise<T>): Promise<T> {
  const { Worker: Original } = workerThreads;
  workerThreads.Worker = class extends Original {
    constructor(_: string, options: { eval: boolean }) {
      if (how === "refused") throw new Error("no more threads");
      super('throw new Error("dead at once")', options);
    }
  } as unknown as typeof Worker;
  try {
    return await body();
  } finally {
    workerThreads.Worker = Original;
  }
}

const options = { tune: { threads: 3 } };

/** A source that calls `before` before each read. */
function watched(source: ByteSource, before: (offset: number) => Promise<void>): ByteSource {
  const read = async (offset: number, target: Uint8Array) => {
    await before(offset);
    await source.read(offset, target);
  };
  return { ...source, read };
}

/** A source that fails from an offset on. */
function cutAt(source: ByteSource, end: number): ByteSource {
  return watched(source, async (offset) => {
    if (offset >= end) throw new Error("cut here");
  });
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
        [undefined, "f16"],
        ["q8", "f16"],
        ["q8", "q8"],
        ["q4", "f16"],
        ["f32", "f32"],
      ] as const) {
        const options = { precision, kv, tune: { threads }, contextLength: 128 };
        const engine = await engineOf(embedded, options);
        assert.equal(engine.threads, threads);
        const hash = hashLogits(await allLogits(engine, someIds(80, 4096), [7, 1, 1, 1, 1, 32]));
        const name = `${precision ?? "file"}/${kv}`;
        assert.equal(hash, golden[name], name);
        engine.retire(new EngineError("done"));
      }
    });

    it(`give the golden bits of mixed types: ${threads}`, async () => {
      for (const mix of mixNames) {
        const engine = await engineOf(mixedModel(mix), { tune: { threads } });
        assert.equal(engine.threads, threads);
        const rows = await allLogits(engine, someIds(80, MIXED_VOCAB), [7, 1, 1, 1, 1, 32]);
        assert.equal(hashLogits(rows), mixed[`${mix}/file`], mix);
        engine.retire(new EngineError("done"));
      }
    });
  }

  it("pack what one thread packs", async () => {
    for (const type of ["F32", "Q8_0", "Q4_0"]) {
      const { bytes } = tinyLlamaGguf({ type, vocabSize: 1000, seed: 4 });
      const one = await engineOf(bytes, { threads: 1 });
      const three = await engineOf(bytes, { tune: { threads: 3 }, kernel: "relaxed-shared" });
      const ids = someIds(20, 1000);
      assert.deepEqual(await allLogits(three, ids, [20]), await allLogits(one, ids, [20]));
      three.retire(new EngineError("done"));
    }
  });

  it("can be told by their number, which is 1 with an unshared build", async () => {
    await using two = await Llama.load(tiny, { tune: { threads: 2 } });
    assert.equal(two.threads, 2);
    assert.match(two.kernel.variant, /-shared$/);
    await using plain = await Llama.load(tiny, { tune: { threads: 2 }, kernel: "simd" });
    assert.equal(plain.threads, 1);
  });

  it("that die between steps retire the model, and a new one loads", async () => {
    await watchThreads(async (threads) => {
      const llama = await Llama.load(tiny, { tune: { threads: 2 } });
      assert.equal(threads.length, 1);
      assert.equal((await llama.complete("in the", { maxTokens: 3, ignoreEos: true })).ids.length, 3);
      await threads[0]?.terminate();
      await assert.rejects(soon(llama.complete("in the", { maxTokens: 3 })), EngineError);
      await assert.rejects(soon(llama.complete("in the", { maxTokens: 3 })), EngineError);
      llama.dispose();
      await using again = await Llama.load(tiny, { tune: { threads: 2 } });
      assert.equal((await again.complete("in the", { maxTokens: 3, ignoreEos: true })).ids.length, 3);
    });
  });

  it("that die in the middle of steps end the model, whenever the runtime ends them", async () => {
    await watchThreads(async (threads) => {
      const llama = await Llama.load(embeddedModel, { tune: { threads: 2 } });
      const generation = llama.generate("Once upon a time", { maxTokens: 100, ignoreEos: true });
      await generation.next();
      void threads[0]?.terminate();
      const rest = async () => {
        for await (const _ of { [Symbol.asyncIterator]: () => generation }) await new Promise(setImmediate);
        // Bun ends no thread that computes: this one goes on helping, and ends when it sleeps.
        for (;;) {
          await llama.complete("in the", { maxTokens: 2, ignoreEos: true });
          await new Promise((resolve) => setTimeout(resolve, 1000));
        }
      };
      await assert.rejects(soon(rest()), EngineError);
      assert.equal(llama.failed, true);
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
          const engine = await engineOf(tiny, { tune: { threads: 2 } });
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

  it("that were asked for and do not start are an error of load(), with the way out", async () => {
    // The second model's weights still come when its thread fails.
    for (const model of [tiny, embeddedModel]) {
      for (const options of [{ threads: 2 }, { tune: { threads: 2 } }]) {
        await withoutThreads("refused", async () => {
          if ("threads" in options && cores === 1) return;
          const message = /^Cannot start a compute thread: no more threads\..* with threads: 1 /;
          await refused(Llama.load(model, options), message, EngineError);
        });
      }
    }
    await using again = await Llama.load(tiny, { tune: { threads: 2 } });
    assert.equal(again.threads, 2);
  });

  it("that were asked for and die at their start are an error of load()", async () => {
    await withoutThreads("dead", async () => {
      const message = /^Cannot start a compute thread: (?=.*dead at once|it ended with status)/;
      await refused(soon(Llama.load(tiny, { tune: { threads: 2 } })), message, EngineError);
    });
  });

  it("that nobody asked for are given up in silence, refused or dead at their start", async () => {
    await using one = await Llama.load(tiny, { threads: 1 });
    const options = { maxTokens: 8, temperature: 0, ignoreEos: true };
    const { ids } = await one.complete("in the", options);
    for (const how of ["refused", "dead"] as const) {
      await withoutThreads(how, async () => {
        await using llama = await Llama.load(tiny);
        // The death of a thread is an event.
        for (let i = 0; llama.threads > 1 && i < 1000; i++)
          await new Promise((resolve) => setTimeout(resolve, 10));
        assert.equal(llama.threads, 1, how);
        assert.deepEqual((await llama.complete("in the", options)).ids, ids, how);
        assert.equal(llama.failed, false, how);
      });
    }
  });

  it("are no more than the cores there are, whatever is asked for", async () => {
    for (const threads of [cores + 1, 1000, Number.MAX_SAFE_INTEGER]) {
      await using llama = await Llama.load(tiny, { threads });
      assert.equal(llama.threads, cores);
    }
    await using usual = await Llama.load(tiny);
    assert.equal(usual.threads, cores);
  });

  it("join a step that has begun, and one that comes late is not waited for", async () => {
    const { bytes } = tinyLlamaGguf({ type: "Q8_0", vocabSize: 1000, seed: 4 });
    const ids = someIds(120, 1000);
    const one = await engineOf(bytes, { threads: 1 });
    const expected = await allLogits(one, ids, [64]);
    // Without `threads` nobody waits for it: every moment of joining is met in one try or another.
    for (let i = 0; i < 20; i++) {
      const engine = await engineOf(bytes, { threads: undefined });
      for (let round = 0; round < 3; round++) {
        assert.deepEqual(await allLogits(engine, ids, [64], engine.sequence()), expected);
      }
      engine.retire(new EngineError("done"));
    }
  });

  it("can be more or fewer from step to step and from kind to kind", async () => {
    const ids = someIds(90, 4096);
    const one = await engineOf(embedded, { threads: 1, contextLength: 128 });
    const expected = hashLogits(await allLogits(one, ids, [1, 5, 64, 1]));
    const tune = { threads: { load: 4, one: 2, few: 3, many: 1 } };
    const engine = await engineOf(embedded, { tune, contextLength: 128 });
    assert.equal(hashLogits(await allLogits(engine, ids, [1, 5, 64, 1])), expected);
    assert.deepEqual({ ...engine.tuner.choices.threads, load: 4 }, tune.threads);
    engine.retire(new EngineError("done"));
  });

  it("start before the header is read, and are gone where loading fails or is aborted", async () => {
    const failing = () => Promise.reject(new Error("no tokenizer today"));
    const stop = new AbortController();
    const cases: [string, RegExp, (source: ByteSource) => Promise<unknown>][] = [
      ["header", /cut here/, (source) => Llama.load(cutAt(source, 1), options)],
      ["weights", /cut here/, (source) => Llama.load(cutAt(source, source.size! / 2), options)],
      [
        "tokenizer",
        /no tokenizer today/,
        (source) => Llama.load(source, { ...options, tokenizer: { ...source, read: failing } }),
      ],
      [
        "memory",
        /Expected at most 100000 bytes/,
        (source) => Llama.load(source, { ...options, maxBytes: 1e5 }),
      ],
      [
        "abort",
        /enough/,
        (source) => {
          const onProgress = () => stop.abort(new Error("enough"));
          return Llama.load(source, { ...options, signal: stop.signal, onProgress });
        },
      ],
    ];
    for (const [what, message, load] of cases) {
      await watchThreads(async (threads, exits) => {
        let first: number | undefined;
        const source = watched(bytesSource(embedded), async () => {
          first ??= threads.length;
        });
        await assert.rejects(soon(load(source)), message, what);
        assert.equal(first, 2, what);
        await soon(Promise.all(exits));
      });
    }
  });

  it("start with the first read of a file that may be large, and after the last one of a small file", async () => {
    for (const [size, atFirst] of [
      [undefined, cores - 1],
      [embedded.length, 0],
    ] as const) {
      await watchThreads(async (threads) => {
        const seen: number[] = [];
        const source = watched(bytesSource(embedded), async () => {
          seen.push(threads.length);
        });
        await using llama = await Llama.load({ ...source, size });
        assert.equal(seen[0], atFirst);
        assert.equal(seen.at(-1), atFirst);
        assert.equal(threads.length, cores - 1);
        assert.equal(llama.threads, cores);
      });
    }
  });

  it("pack while bytes are on their way, the same bits and with the same progress", async () => {
    const { bytes } = tinyLlamaGguf({ type: "Q8_0", vocabSize: 9000, seed: 4 });
    const load = async (threads: number) => {
      const progress: number[] = [];
      const source = watched(bytesSource(bytes), () => new Promise((resolve) => setTimeout(resolve, 3)));
      const engine = await Engine.create(await openModelFile(source), {
        tune: { threads },
        onProgress: ({ loadedBytes }) => progress.push(loadedBytes),
      });
      const logits = await allLogits(engine, someIds(20, 9000), [20]);
      engine.retire(new EngineError("done"));
      return { progress, logits };
    };
    const one = await load(1);
    assert.deepEqual(await load(3), one);
  });

  it("are gone after dispose()", async () => {
    await watchThreads(async (threads) => {
      const llama = await Llama.load(tiny, { tune: { threads: 3 } });
      await llama.complete("in", { maxTokens: 2 });
      const gone = threads.map((thread) => new Promise((resolve) => thread.once("exit", resolve)));
      llama.dispose();
      await soon(Promise.all(gone));
    });
  });
});

describe("hundreds of loads and disposals", () => {
  it("leave memory where it was", async () => {
    const rss = () => process.memoryUsage().rss / 2 ** 20;
    const cycle = async (threads: number) => {
      const llama = await Llama.load(tiny, { tune: { threads } });
      await llama.complete("in the", { maxTokens: 2, temperature: 0 });
      llama.dispose();
    };
    for (let i = 0; i < 100; i++) await cycle(1);
    for (let i = 0; i < 5; i++) await cycle(2);
    const before = rss();
    for (let i = 0; i < 400; i++) await cycle(1);
    for (let i = 0; i < 20; i++) await cycle(2);
    // Each holds 4 MiB: a leak would be gigabytes. Collectors run when they like.
    const grown = rss() - before;
    assert.ok(grown < 228, `${grown.toFixed(0)} MiB more after 420 loads`);
  });
});
