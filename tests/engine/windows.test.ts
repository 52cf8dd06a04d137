// Sliding windows save memory and change no bit: pages that no window reaches are dropped, shared and reused.
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import type { Engine, EngineOptions, Segment } from "../../src/engine/engine.ts";
import { type Layout, planLayout } from "../../src/engine/layout.ts";
import { openModelFile } from "../../src/format/detect.ts";
import type { Sequence } from "../../src/model/kv_cache.ts";
import { bytesSource } from "../../src/source/bytes.ts";
import { referenceLogits } from "../reference/llama.ts";
import { nmse, workingVariants } from "../support/kernels.ts";
import { allLogits, engineOf, hashLogits, pageBytesOf, someIds } from "../support/models.ts";
import { exact, TOY, toy, toyFile } from "../support/toy.ts";

// Inside a page, over the border of pages, and beyond them; and a layer that sees all.
const windows = [9, undefined, 33, 70] as const;
const windowed = (of: (i: number) => number | undefined) =>
  toy((spec, i) => {
    const window = of(i);
    return { ...spec, attention: { ...spec.attention, ...(window && { window }) } };
  });
const tiny = toyFile({ nLayers: windows.length, contextLength: 256 });
const options: EngineOptions = { ...exact, ...windowed((i) => windows[i]) };
const ids = someIds(240, 300);

const load = (more: EngineOptions = {}) => engineOf(tiny.file.bytes, { ...options, ...more });
const retire = (engine: Engine) => engine.retire(new Error("done"));

/** Makes numbers that are none of all pages of `engine` that `sequence` does not hold. */
function poison({ layout, pool, kernel }: Engine, sequence: Sequence): void {
  const memory = new Uint8Array(kernel.memory.buffer, layout.pages, layout.kv.sequenceBytes);
  const kept = sequence.tables.flatMap(({ pages }, i) =>
    pages.map((page) => {
      const begin = page - layout.pages;
      return { begin, bytes: memory.slice(begin, begin + (pool.classes[i]?.pageBytes as number)) };
    }),
  );
  memory.fill(0xff);
  for (const { begin, bytes } of kept) memory.set(bytes, begin);
}

/** Bytes of the pages that a sequence holds. */
function heldBytes({ layout }: Engine, { tables }: Sequence): number {
  return layout.kv.classes.reduce(
    (sum, { pageBytes }, i) => sum + pageBytes * (tables[i]?.pages.length ?? 0),
    0,
  );
}

describe("a model with windows", () => {
  it("computes what f64 does, behind the borders of all windows", async () => {
    const engine = await load();
    const rows = await allLogits(engine, ids, [64]);
    const expected = referenceLogits(tiny.weights, { ...TOY, nLayers: windows.length }, ids, {
      window: (layer) => windows[layer],
    });
    const error = nmse(
      rows.flatMap((row) => [...row]),
      expected.flat(),
    );
    assert.ok(error <= 1e-9, `NMSE ${error}`);
    retire(engine);
  });

  it("has the same bits for every kernel build, split of the prompt, number of threads and KV type's own", async () => {
    for (const kv of ["f32", "f16", "q8"] as const) {
      const hashes = new Set<string>();
      const note = async (more: EngineOptions, splits: readonly (readonly number[])[]) => {
        const engine = await load({ kv, ...more });
        for (const split of splits) hashes.add(hashLogits(await allLogits(engine, ids, split)));
        retire(engine);
      };
      await note({}, [[1], [7], [32], [64], [1, 33, 2, 8, 5]]);
      if (kv === "f16") {
        for (const kernel of workingVariants()) await note({ kernel }, [[64]]);
        for (const threads of [2, 3, 4]) await note({ threads, tune: { threads } }, [[64], [11]]);
      }
      assert.equal(hashes.size, 1, kv);
    }
  });

  it("never reads a page that it has dropped", async () => {
    const engine = await load();
    const whole = engine.sequence();
    const expected = hashLogits(await allLogits(engine, ids, [64], whole));
    whole.free();
    for (const step of [1, 13, 64]) {
      const sequence = engine.sequence();
      const rows: Float32Array[] = [];
      for (let at = 0; at < ids.length; at += step) {
        poison(engine, sequence);
        rows.push(...(await allLogits(engine, ids.slice(at, at + step), [step], sequence)));
      }
      assert.equal(hashLogits(rows), expected, `steps of ${step}`);
      assert.ok(heldBytes(engine, sequence) < 0.7 * engine.layout.kv.sequenceBytes || step === 64);
      sequence.free();
    }
    retire(engine);
  });

  it("computes several sequences in one step as it computes each alone", async () => {
    const engine = await load();
    const lengths = [200, 3, 90, 31];
    const prompts = lengths.map((n, i) => someIds(n + 15, 300, i + 1));
    const alone: Float32Array[][] = [];
    for (const [i, prompt] of prompts.entries()) {
      alone.push((await allLogits(engine, prompt, [64])).slice(lengths[i]));
    }
    const sequences = prompts.map(() => engine.sequence());
    for (const [i, sequence] of sequences.entries()) {
      await allLogits(engine, (prompts[i] as number[]).slice(0, lengths[i]), [64, 1], sequence);
    }
    const segments = prompts.map((prompt, i): Segment => {
      const begin = lengths[i] as number;
      return { sequence: sequences[i] as Sequence, ids: prompt, begin, end: begin + 15, outputs: "all" };
    });
    const together = await engine.step(segments, () =>
      Array.from({ length: 60 }, (_, row) => engine.logits(row).slice()),
    );
    assert.deepEqual(together, alone.flat());
    retire(engine);
  });

  it("forks share the pages of their windows, and go on apart", async () => {
    const engine = await load();
    const other = someIds(80, 300, 7);
    for (const at of [31, 32, 100, 161]) {
      const past = ids.slice(0, at);
      const [a, b] = [ids.slice(at, at + 79), other];
      const first = engine.sequence();
      await allLogits(engine, past, [64], first);
      const { used } = engine.pool;
      const second = first.fork();
      assert.equal(engine.pool.used, used, "a fork takes no page");
      const rowsA = await allLogits(engine, a.slice(0, 40), [64], first);
      const rowsB = await allLogits(engine, b, [9], second);
      rowsA.push(...(await allLogits(engine, a.slice(40), [1], first)));
      assert.deepEqual(rowsA, (await allLogits(engine, [...past, ...a], [64])).slice(at), `${at}`);
      assert.deepEqual(rowsB, (await allLogits(engine, [...past, ...b], [64])).slice(at), `fork at ${at}`);
      first.free();
      second.free();
    }
    retire(engine);
  });

  it("rolls back over the borders of pages and windows to the same bits", async () => {
    const engine = await load();
    const whole = engine.sequence();
    const expected = await allLogits(engine, ids, [64], whole);
    whole.free();
    const wrong = someIds(90, 300, 9);
    for (const [at, more, step, goesOn] of [
      [100, 20, 1, true],
      [129, 32, 1, true],
      // What a single step wrote is forgotten without a loss.
      [150, 60, 64, true],
      [127, 60, 1, false],
      [64, 60, 7, false],
      [200, 33, 1, true],
      [10, 90, 1, false],
      [0, 40, 1, false],
    ] as const) {
      const sequence = engine.sequence();
      await allLogits(engine, ids.slice(0, at), [64], sequence);
      await allLogits(engine, wrong.slice(0, more), [step], sequence);
      sequence.rollback(at);
      assert.equal(sequence.length, goesOn ? at : 0, `${at}`);
      const rows = await allLogits(engine, ids.slice(sequence.length), [5, 64], sequence);
      assert.deepEqual(rows.slice(-ids.length + at), expected.slice(at), `${at}`);
      sequence.free();
    }
    assert.equal(engine.pool.used, 0);
    retire(engine);
  });

  it("takes what sequences have dropped before memory grows", async () => {
    const engine = await load();
    const { byteLength } = engine.kernel.memory.buffer;
    const sequences = Array.from({ length: 6 }, () => engine.sequence());
    const bytes = engine.kernel.memory.buffer.byteLength;
    for (let begin = 0; begin < ids.length; begin += 8) {
      const segments = sequences.map(
        (sequence): Segment => ({ sequence, ids, begin, end: begin + 8, outputs: "none" }),
      );
      await engine.step(segments, () => {});
    }
    const most = sequences.reduce((sum, sequence) => sum + heldBytes(engine, sequence), 0);
    const all = 6 * Math.ceil(ids.length / 32) * pageBytesOf(engine.layout);
    assert.ok(most < 0.65 * all, `${most} of ${all}`);
    assert.ok(engine.kernel.memory.buffer.byteLength <= bytes + most);
    assert.equal(byteLength, bytes);
    retire(engine);
  });
});

describe("the memory of windows", () => {
  const gemma = { nLayers: 26, nHeads: 4, nKvHeads: 1, contextLength: 8192 };
  const file = toyFile(gemma).file.bytes;
  const layoutOf = async (window: number | undefined, more: EngineOptions = {}): Promise<Layout> =>
    planLayout(await openModelFile(bytesSource(file)), {
      contextLength: 8192,
      // Five layers see 512 positions, the sixth all.
      ...windowed((i) => (i % 6 === 5 ? undefined : window)),
      ...more,
    });

  it("is at most 0.3 of full attention's: five of six layers with windows of 512, 8192 positions", async () => {
    const [some, all] = [await layoutOf(512), await layoutOf(undefined)];
    assert.ok(some.kv.sequenceBytes <= 0.3 * all.kv.sequenceBytes);
    assert.equal(all.kv.sequenceBytes, 256 * pageBytesOf(all));
    assert.equal(pageBytesOf(some), pageBytesOf(all));
    // A model whose file was written this way takes so much less, and may grow by so many sessions more.
    const saved = all.kv.sequenceBytes - some.kv.sequenceBytes;
    assert.ok(Math.abs(all.totalBytes - some.totalBytes - saved) < 64 * 1024);
    const grown = ({ maxBytes, totalBytes }: Layout) => maxBytes - totalBytes;
    assert.equal(grown(some), Math.max(256 << 20, 64 * some.kv.sequenceBytes));
  });

  it("is what a sequence holds at 8192 positions, in steps of any size", async () => {
    const engine = await engineOf(file, {
      contextLength: 8192,
      ...windowed((i) => (i % 6 === 5 ? undefined : 512)),
    });
    const { kv } = engine.layout;
    const full = 256 * pageBytesOf(engine.layout);
    for (const steps of [[64], [1], [64, 1, 33, 7]]) {
      const sequence = engine.sequence();
      let most = 0;
      for (let i = 0; sequence.length < 8192; i++) {
        const n = Math.min(steps[i % steps.length] as number, 8192 - sequence.length);
        sequence.reserve(n);
        sequence.advance(n);
        most = Math.max(most, heldBytes(engine, sequence));
      }
      assert.ok(most <= kv.sequenceBytes && most <= 0.3 * full, `${most / full}`);
      sequence.free();
    }
    retire(engine);
  });

  it("decides which context fits a budget", async () => {
    const { totalBytes, kv } = await layoutOf(512);
    for (const part of [0.05, 0.3, 0.5]) {
      const maxBytes = Math.floor(totalBytes - part * kv.sequenceBytes);
      const error = await layoutOf(512, { maxBytes }).then(
        () => assert.fail("it fits"),
        (error: Error) => error,
      );
      const fits = Number(/; it fits with contextLength: (\d+)$/.exec(error.message)?.[1]);
      assert.ok(fits >= 32 && fits < 8192, error.message);
      assert.ok((await layoutOf(512, { maxBytes, contextLength: fits })).totalBytes <= maxBytes);
      await assert.rejects(layoutOf(512, { maxBytes, contextLength: fits + 256 }), { name: "MemoryError" });
    }
  });
});
