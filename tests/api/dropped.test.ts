// Memory of conversations that nobody ends: it comes back, at the latest when they are collected.
import assert from "node:assert/strict";
import process from "node:process";
import { describe, it } from "node:test";
import type { Worker } from "node:worker_threads";
import { KV_PAGE } from "../../assembly/layout/blocks.ts";
import { type Completion, Llama, MemoryError, type Session } from "../../src/mod.ts";
import { collectUntil } from "../support/garbage.ts";
import { tinyLlamaGguf } from "../support/gguf_writer.ts";
import { embeddedModel, engineOf, pageBytesOf } from "../support/models.ts";

const { bytes } = tinyLlamaGguf();
const options = { ignoreEos: true, temperature: 0 };
const { layout } = await engineOf(bytes);
const pageBytes = pageBytesOf(layout);

/** A tiny model with room for its own context and `pages` more pages. */
const tiny = (pages: number) =>
  Llama.load(bytes, { threads: 1, maxBytes: layout.totalBytes + pages * pageBytes + 65536 });

describe("llama.generate()", () => {
  it("gives its memory back with the last token, before that is handed over", async () => {
    await using llama = await tiny(0);
    for (const generate of [
      () => llama.generate("in the", { ...options, maxTokens: 1 }),
      () => llama.generate("in the", { ...options, maxTokens: 40 }),
      () => llama.generate("in the", options),
      () => llama.generate("in the", { ...options, maxTokens: 90, stop: "e" }),
    ]) {
      const { ids } = await llama.complete("in the", options);
      assert.ok(ids.length > 100, "the whole context was free");
      // Read to its last piece, and not told that it is the last.
      const whole = [];
      for await (const piece of generate()) whole.push(piece);
      const open = generate();
      for (let i = 0; i < whole.length; i++) assert.deepEqual((await open.next()).value, whole[i]);
      using session = llama.session();
      await session.complete("in the", options);
      assert.equal(session.pos, llama.contextLength + 1);
      session.dispose();
      const { done, value } = await open.next();
      assert.equal(done, true);
      assert.deepEqual(
        (value as Completion).ids,
        whole.map(({ id }) => id),
      );
    }
  });

  it("can be asked for one token five thousand times, and nobody reads on", async () => {
    await using llama = await tiny(0);
    const first = (await llama.generate("in the", { ...options, maxTokens: 1 }).next()).value;
    const { memoryBytes } = llama;
    for (let i = 0; i < 5000; i++) {
      assert.deepEqual((await llama.generate("in the", { ...options, maxTokens: 1 }).next()).value, first);
    }
    assert.equal(llama.memoryBytes, memoryBytes);
  });

  it("goes on where the issue's loop ended: the embedded model in 64 MiB", async () => {
    await using llama = await Llama.load(embeddedModel, { maxBytes: 64 << 20 });
    for (let i = 0; i < 900; i++) await llama.generate("Once upon a time", { maxTokens: 1 }).next();
    assert.ok(llama.memoryBytes < 16 << 20, `${llama.memoryBytes} bytes`);
  });
});

// Each leaves at least a page behind. Nothing collects garbage but the program itself.
const leaving: Record<string, (llama: Llama) => Promise<unknown>> = {
  "generations in their middle": (llama) => llama.generate("in the", { ...options, maxTokens: 3 }).next(),
  sessions: (llama) => llama.session().complete("in the", { ...options, maxTokens: 2 }),
  "generations of sessions": (llama) => llama.session().generate("in the", options).next(),
  forks: async (llama) => {
    using session = llama.session();
    await session.append("in the");
    await session.fork().complete("e", { ...options, maxTokens: 2 });
  },
  "streams that are half read": async (llama) => {
    const generation = llama.generate("in the", { ...options, maxTokens: 50 });
    const stream = new ReadableStream({
      async pull(controller) {
        const { done, value } = await generation.next();
        if (done) controller.close();
        else controller.enqueue(value);
      },
    });
    const { value } = await stream.getReader().read();
    assert.equal(typeof value.id, "number");
  },
  "generations that were aborted between two tokens": async (llama) => {
    const abort = new AbortController();
    await llama.generate("in the", { ...options, signal: abort.signal }).next();
    abort.abort();
  },
};

describe("a model with little memory", () => {
  for (const [what, leave] of Object.entries(leaving)) {
    it(`outlives any number of ${what} that nobody ends`, async () => {
      await using llama = await tiny(8);
      for (let i = 0; i < 100; i++) await leave(llama);
    });
  }

  if ("from" in ReadableStream) {
    it("outlives any number of ReadableStream.from(generation) that nobody cancels", async () => {
      await using llama = await tiny(8);
      const { from } = ReadableStream as unknown as { from(of: unknown): ReadableStream };
      for (let i = 0; i < 100; i++) {
        await from.call(ReadableStream, llama.generate("in the", options)).getReader().read();
      }
    });
  }

  it("has room again for restored sessions once those that nobody ended are collected", async () => {
    await using llama = await tiny(8);
    using session = llama.session();
    await session.append("in the");
    const snapshot = session.save();
    const fill = () =>
      assert.throws(() => {
        for (;;) llama.restore(snapshot);
      }, MemoryError);
    for (let i = 0; i < 3; i++) {
      fill();
      // restore() cannot wait, but has asked for a collection.
      let again: Session | undefined;
      await collectUntil(() => {
        try {
          again = llama.restore(snapshot);
        } catch {}
        return again !== undefined;
      }, "restored sessions");
      assert.deepEqual(again?.ids, session.ids);
      again?.dispose();
    }
  });

  it("takes nothing from sessions that live, and says who holds it all", async () => {
    await using llama = await tiny(8);
    const sessions: Session[] = [];
    const all = llama.generate("in the", { ...options, maxTokens: 100 });
    const first = await all.next();
    const refusal = await (async () => {
      for (;;) {
        const session = llama.session();
        sessions.push(session);
        await session.append("in the");
        if (sessions.length === 1) sessions.push(session.fork());
        await session.complete("", { ...options, maxTokens: KV_PAGE + 4 });
      }
    })().catch((error) => error);
    assert.ok(refusal instanceof MemoryError, String(refusal));
    const number = String.raw`\d+`;
    const mib = String.raw`\(\d+\.\d MiB\)`;
    assert.match(
      refusal.message,
      new RegExp(
        `^Cannot extend the KV cache: all ${number} pages of ${pageBytes} bytes are in use and the memory budget of ` +
          `${layout.totalBytes + 8 * pageBytes + 65536} bytes ${mib} is spent: 1 generation holds 1 page ${mib}, ` +
          `${number} sessions ${number} ${mib}, 1 fork 1 ${mib}; dispose\\(\\) sessions and forks that are over, ` +
          "end generations .*, or load with a larger maxBytes$",
      ),
    );
    // The same call fails again, and what lives goes on.
    await assert.rejects(llama.complete("in the", options), MemoryError);
    assert.equal(first.done, false);
    assert.equal((await all.next()).done, false);
    sessions.at(-1)?.dispose();
    sessions.at(-2)?.dispose();
    assert.equal((await llama.complete("in the", { ...options, maxTokens: 3 })).ids.length, 3);
    for (const session of sessions) session.dispose();
    await all.return(undefined as never);
  });
});

describe("what is collected", () => {
  it("gives its pages back, and what was disposed gives them back once", async () => {
    const engine = await engineOf(bytes);
    const ids = [1, 5, 9];
    const kept = engine.sequence();
    await engine.prefill(kept, ids, () => {});
    const drop = async () => {
      const sequence = engine.sequence();
      await engine.prefill(sequence, ids, () => {});
      sequence.fork();
      const freed = engine.sequence();
      await engine.prefill(freed, ids, () => {});
      engine.release(freed);
    };
    for (let i = 0; i < 20; i++) await drop();
    assert.ok(engine.pool.used > 1);
    await collectUntil(() => engine.pool.used === 1, "sequences");
    assert.equal(engine.pool.uses(kept.pages[0] as number), 1);
    // Twice given back, a page would be two sequences' at once.
    const pages = Array.from({ length: 30 }, () => engine.pool.take(0));
    assert.equal(new Set([...pages, ...kept.pages]).size, 31);
    assert.equal(kept.length, 3);
  });

  it("ends the threads of a model that nobody disposed", async () => {
    const workerThreads = process.getBuiltinModule("node:worker_threads");
    const { Worker: Original } = workerThreads;
    let alive = 0;
    workerThreads.Worker = class extends Original {
      constructor(code: string, options: { eval: boolean }) {
        super(code, options);
        alive++;
        this.on("exit", () => alive--);
      }
    } as unknown as typeof Worker;
    try {
      const drop = async () => {
        const llama = await Llama.load(bytes, { threads: 2 });
        await llama.complete("in the", { maxTokens: 3 });
      };
      for (let i = 0; i < 3; i++) await drop();
      await collectUntil(() => alive === 0, "threads");
    } finally {
      workerThreads.Worker = Original;
    }
  });
});
