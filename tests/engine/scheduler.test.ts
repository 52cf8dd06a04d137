// Works that wait are joined into steps: the same bits as alone, and what goes wrong with one is its own affair.
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { KV_PAGE } from "../../assembly/layout/blocks.ts";
import type { Engine, EngineOptions, Segment } from "../../src/engine/engine.ts";
import { MAX_SEGMENTS } from "../../src/engine/step_area.ts";
import type { Work } from "../../src/engine/step_queue.ts";
import type { Sequence } from "../../src/model/kv_cache.ts";
import { ContextError, EngineError, MemoryError } from "../../src/util/errors.ts";
import { tinyLlamaGguf } from "../support/gguf_writer.ts";
import { allLogits, engineOf, pageBytesOf, someIds } from "../support/models.ts";

const { bytes } = tinyLlamaGguf({ type: "Q8_0" });
const idsOf = (i: number, n: number) => someIds(n, 300, 20 + i);

/** An engine, and the sizes of the segments of each step that it runs. */
async function watched(options: EngineOptions = {}): Promise<{ engine: Engine; steps: number[][] }> {
  const engine = await engineOf(bytes, options);
  // How much of a prompt a step takes beside others must not depend on the machine: no time is measured.
  Object.defineProperty(engine, "stepMs", { value: 0 });
  const steps: number[][] = [];
  const run = engine.run.bind(engine);
  engine.run = (segments: readonly Segment[], watcher) => {
    steps.push(segments.map(({ begin, end }) => end - begin));
    return run(segments, watcher);
  };
  return { engine, steps };
}

/** Work that copies its logits, by the index of their id. */
function copying(
  engine: Engine,
  ids: readonly number[],
  outputs: Segment["outputs"],
  sequence: Sequence = engine.sequence(),
): Work & { rows: Map<number, Float32Array> } {
  const rows = new Map<number, Float32Array>();
  const read = (row: number, index: number) => void rows.set(index, engine.logits(row).slice());
  return { sequence, ids, begin: sequence.length, end: ids.length, outputs, lastStep: 0, read, rows };
}

/** Runs what `body` does in a runtime that says it is workerd, whose steps never pause. */
async function inWorkerd<T>(body: () => Promise<T>): Promise<T> {
  const before = Object.getOwnPropertyDescriptor(globalThis, "navigator");
  const value = { userAgent: "Cloudflare-Workers" };
  Object.defineProperty(globalThis, "navigator", { value, configurable: true, writable: true });
  try {
    return await body();
  } finally {
    if (before) Object.defineProperty(globalThis, "navigator", before);
    else delete (globalThis as { navigator?: unknown }).navigator;
  }
}

/** Engines whose steps may pause, and whose do not. */
const kinds: [string, (options?: EngineOptions) => ReturnType<typeof watched>][] = [
  ["steps that pause", watched],
  ["steps that never pause", (options) => inWorkerd(() => watched(options))],
];

for (const [kind, make] of kinds) {
  describe(`Scheduler.submit(), ${kind}`, () => {
    it("gives every work the logits that it has alone, in shared steps", async () => {
      const sizes = [7, 1, 100, 33, 1, 64, 2, 90];
      const prompts = sizes.map((n, i) => idsOf(i, n));
      const alone: Float32Array[][] = [];
      for (const ids of prompts) alone.push(await allLogits(await engineOf(bytes), ids, [64]));
      for (const outputs of ["all", "last"] as const) {
        for (const n of [1, 2, 4, 8]) {
          const { engine, steps } = await make();
          const works = prompts.slice(0, n).map((ids) => copying(engine, ids, outputs));
          await Promise.all(works.map((work) => engine.scheduler.submit(work)));
          for (const [i, { rows, ids }] of works.entries()) {
            const expected = alone[i]?.map((row, at) => [at, row] as const) ?? [];
            assert.deepEqual([...rows], outputs === "all" ? expected : expected.slice(-1), `${outputs} ${i}`);
            assert.equal(works[i]?.sequence.length, ids.length);
          }
          // A step that never pauses begins at once if nobody else is there yet.
          if (n > (engine.pauses ? 1 : 2)) assert.ok(steps.some((step) => step.length > 1));
          for (const step of steps) {
            assert.ok(step.length <= MAX_SEGMENTS && step.reduce((sum, size) => sum + size, 0) <= 64);
          }
        }
      }
    });

    it("decodes together: as many steps as one of them takes", async () => {
      const { engine, steps } = await make();
      const all = Array.from({ length: 4 }, (_, i) => idsOf(i, 40));
      const expected = await Promise.all(all.map(async (ids) => allLogits(await engineOf(bytes), ids, [64])));
      const seen = await Promise.all(
        all.map(async (ids) => {
          const work = copying(engine, ids, "last");
          for (work.end = 10; work.begin < ids.length; work.begin = work.end++) {
            const rest = engine.scheduler.submit(work);
            if (rest) await rest;
          }
          return work.rows;
        }),
      );
      for (const [i, rows] of seen.entries()) {
        for (const [at, row] of rows) assert.deepEqual(row, expected[i]?.[at]);
        assert.equal(rows.size, 31);
      }
      const joined = steps.filter((step) => step.length === 4).length;
      assert.ok(joined >= 28 && steps.length <= 36, JSON.stringify(steps));
    });

    it("lets neither a long prompt wait for those who decode, nor these for it", async () => {
      const { engine, steps } = await make({ contextLength: 128 });
      const decoding = Array.from({ length: 9 }, async (_, i) => {
        const work = copying(engine, idsOf(i, 20), "last");
        for (work.end = 1; work.begin < 20; work.begin = work.end++) await engine.scheduler.submit(work);
      });
      const prompt = copying(engine, idsOf(10, 120), "last");
      await engine.scheduler.submit(prompt);
      const atPrompt = steps.length;
      await Promise.all(decoding);
      assert.ok(atPrompt <= 8, `${atPrompt} steps for four parts of a prompt`);
      const beside = steps.filter((step) => Math.max(...step) > 1);
      assert.ok(beside.filter((step) => step.length > 1).length >= 3, JSON.stringify(steps));
    });

    it("fails a work for its ids, its context, its freed sequence or its reader, and no other", async () => {
      const { engine, steps } = await make();
      const [expected] = (await allLogits(await engineOf(bytes), idsOf(0, 20), [64])).slice(-1);
      for (let round = 0; round < 2; round++) {
        const good = copying(engine, idsOf(0, 20), "last");
        const wrongId = copying(engine, [1, 300], "last");
        const full = copying(engine, idsOf(1, 130), "none");
        const freed = copying(engine, [1, 2], "last");
        freed.sequence.free();
        const reason = new Error("cannot read");
        const unread = copying(engine, idsOf(2, 3), "last");
        unread.read = () => {
          throw reason;
        };
        const also = copying(engine, idsOf(0, 20), "last");
        const works = [wrongId, good, full, freed, unread, also];
        const results = await Promise.allSettled(works.map(async (work) => engine.scheduler.submit(work)));
        const errors = results.map((result) => (result.status === "rejected" ? result.reason : undefined));
        assert.ok(errors[0] instanceof EngineError && /Cannot run token 300/.test(errors[0].message));
        assert.ok(errors[2] instanceof ContextError && errors[3] instanceof ContextError);
        assert.equal(errors[4], reason);
        assert.deepEqual([errors[1], errors[5]], [undefined, undefined]);
        for (const { rows } of [good, also]) assert.deepEqual(rows.get(19), expected);
      }
      assert.ok(steps.length > 0);
    });

    it("fails a work that there is no memory for, and no other", async () => {
      const { layout } = await engineOf(bytes);
      const { engine } = await make({ maxBytes: layout.totalBytes + 2 * pageBytesOf(layout) + 65536 });
      const { pool } = engine;
      const taken: number[] = [];
      assert.throws(() => {
        for (;;) taken.push(pool.take(0));
      }, MemoryError);
      // Three decode in a page each; the fourth wants four pages and finds two.
      for (const page of taken.splice(-5)) pool.drop(page);
      const small = Array.from({ length: 3 }, (_, i) => copying(engine, idsOf(i, 30), "last"));
      const large = copying(engine, idsOf(5, layout.contextLength), "last");
      const decode = async (work: Work) => {
        for (work.end = 20; work.begin < 30; work.begin = work.end++) await engine.scheduler.submit(work);
      };
      const decoding = Promise.all(small.map(decode));
      await assert.rejects(async () => engine.scheduler.submit(large), MemoryError);
      await decoding;
      for (const [i, { rows }] of small.entries()) {
        const expected = await allLogits(await engineOf(bytes), idsOf(i, 30), [64]);
        for (const [at, row] of rows) assert.deepEqual(row, expected[at]);
        assert.equal(rows.size, 11);
      }
      const { length } = large.sequence;
      assert.ok(length > KV_PAGE && length <= 2 * KV_PAGE, `${length} positions`);
      // It goes on when there is room.
      for (const { sequence } of small) sequence.free();
      large.begin = large.sequence.length;
      await engine.scheduler.submit(large);
      assert.equal(large.rows.size, 1);
    });

    it("ends an aborted work alone, whether it waits or runs", async () => {
      const { engine } = await make();
      const [expected] = (await allLogits(await engineOf(bytes), idsOf(0, 100), [64])).slice(-1);
      for (let delay = 0; delay < 6; delay++) {
        const controller = new AbortController();
        const reason = new Error("enough");
        const good = [0, 1].map(() => copying(engine, idsOf(0, 100), "last"));
        const aborted = copying(engine, idsOf(1, 120), "last");
        const works = [good[0], aborted, good[1]] as Work[];
        const results = Promise.allSettled(
          works.map(async (work) =>
            engine.scheduler.submit(work, work === aborted ? controller.signal : undefined),
          ),
        );
        for (let i = 0; i < delay; i++) await undefined;
        if (delay === 5) await new Promise((resolve) => setTimeout(resolve, 0));
        controller.abort(reason);
        const [first, second, third] = await results;
        assert.deepEqual([first?.status, third?.status], ["fulfilled", "fulfilled"]);
        if (second?.status === "rejected") assert.equal(second.reason, reason);
        else assert.equal(aborted.sequence.length, 120);
        for (const { rows } of good) assert.deepEqual(rows.get(99), expected);
        // The aborted one can go on.
        aborted.begin = aborted.sequence.length;
        await engine.scheduler.submit(aborted);
        assert.equal(aborted.sequence.length, 120);
        for (const { sequence } of works) sequence.free();
      }
      assert.equal(engine.pool.used, 0);
    });

    it("is a plain call for the next token of one that is alone", async () => {
      const { engine } = await make();
      const work = copying(engine, idsOf(0, 60), "last");
      work.end = 5;
      await engine.scheduler.submit(work);
      let plain = 0;
      for (work.begin = work.end++; work.begin < 60; work.begin = work.end++) {
        const rest = engine.scheduler.submit(work);
        if (rest) await rest;
        else plain++;
      }
      assert.equal(work.rows.size, 56);
      assert.ok(plain > 40, `${plain} of 55`);
    });

    it("does not wait for one that has left or does something else", async () => {
      const { engine } = await make();
      const [staying, leaving, silent] = [0, 1, 2].map((i) =>
        copying(engine, idsOf(i, 60), "last"),
      ) as unknown as [Work, Work, Work];
      const works = [staying, leaving, silent];
      for (const work of works) work.end = 5;
      await Promise.all(works.map((work) => engine.scheduler.submit(work)));
      engine.scheduler.leave(leaving);
      engine.scheduler.leave(leaving);
      for (staying.begin = staying.end++; staying.begin < 60; staying.begin = staying.end++) {
        await engine.scheduler.submit(staying);
      }
      assert.equal(staying.sequence.length, 60);
      for (const work of [leaving, silent]) {
        work.begin = 5;
        work.end = 6;
        await engine.scheduler.submit(work);
        assert.equal(work.sequence.length, 6);
      }
    });

    it("has nothing to do for no ids", async () => {
      const { engine, steps } = await make();
      assert.equal(engine.scheduler.submit(copying(engine, [], "last")), undefined);
      assert.deepEqual(steps, []);
    });

    it("fails all that waits once the engine is retired", async () => {
      const { engine } = await make();
      const works = Array.from({ length: 12 }, (_, i) => copying(engine, idsOf(i, 50), "last"));
      const results = Promise.allSettled(works.map(async (work) => engine.scheduler.submit(work)));
      engine.retire(new EngineError("it is over"));
      for (const result of await results) {
        if (result.status === "rejected") assert.match(result.reason.message, /^it is over$/);
      }
      await assert.rejects(async () => engine.scheduler.submit(copying(engine, [1], "last")), /it is over/);
    });
  });
}

describe("Scheduler.submit() of requests that end without a word", () => {
  it("computes what they left once at most, and goes on for others", async () => {
    const { engine, steps } = await inWorkerd(() => watched());
    const { setTimeout: timer } = globalThis;
    const living = Array.from({ length: 3 }, (_, i) => copying(engine, idsOf(i, 70), "last"));
    const dead = copying(engine, idsOf(9, 128), "last");
    // Somebody computes, so that the next one waits for a timer, and that never rings.
    const first = living[0] as Work;
    first.end = 1;
    await engine.scheduler.submit(first);
    globalThis.setTimeout = (() => 0) as unknown as typeof setTimeout;
    void engine.scheduler.submit(dead);
    globalThis.setTimeout = timer;
    const decode = async (work: Work) => {
      for (work.begin = work.sequence.length, work.end = work.begin + 1; work.begin < 70; ) {
        await engine.scheduler.submit(work);
        work.begin = work.end++;
      }
    };
    await Promise.all(living.map(decode));
    assert.deepEqual(
      living.map(({ sequence }) => sequence.length),
      [70, 70, 70],
    );
    assert.ok(dead.sequence.length <= 64, `${dead.sequence.length} positions`);
    assert.equal(steps.filter((step) => Math.max(...step) > 1).length, 1);
    // Its session may be disposed: nothing of it is left.
    dead.sequence.free();
    await engine.prefill(engine.sequence(), [1, 2, 3], () => {});
  });
});

describe("logits of a step", () => {
  it("have a row for each sequence, at any vocabulary", async () => {
    const vocabSize = 2 ** 18;
    const metadata = { "tokenizer.ggml.tokens": undefined, "tokenizer.ggml.scores": undefined };
    const shape = { vocabSize, tied: true, dim: 2, nHeads: 1, nKvHeads: 1, hiddenDim: 2, nLayers: 1 };
    const engine = await engineOf(tinyLlamaGguf({ ...shape, metadata }).bytes);
    assert.equal(engine.layout.maxOutputs, MAX_SEGMENTS);
    const works = Array.from({ length: MAX_SEGMENTS }, (_, i) =>
      copying(engine, someIds(3 + i, vocabSize, i + 1), "last"),
    );
    await Promise.all(works.map((work) => engine.scheduler.submit(work)));
    for (const { ids, rows } of works) {
      const alone = await engine.prefill(engine.sequence(), ids, (row) => engine.logits(row).slice());
      assert.deepEqual(rows.get(ids.length - 1), alone);
    }
  });
});
