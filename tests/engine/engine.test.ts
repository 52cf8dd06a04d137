// What goes wrong in linear memory: addresses above 2 GiB, memory that grows, kernels that trap.
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { ACT_TOKENS, ACTS_BLOCK_BYTES, ACTS_SCALES, BLOCK_COLS } from "../../assembly/layout/blocks.ts";
import { CONTROL_BYTES } from "../../assembly/layout/control.ts";
import {
  EMBED_TABLE,
  MATMUL_W,
  OP_MATMUL,
  REC_OP,
  RECORD_BYTES,
  RECORD_WORDS,
} from "../../assembly/layout/ops.ts";
import type { Engine, EngineOptions } from "../../src/engine/engine.ts";
import { ADDRESSABLE_BYTES } from "../../src/engine/layout.ts";
import { createMemory } from "../../src/kernels/instance.ts";
import type { Sequence } from "../../src/model/kv_cache.ts";
import { resolveSampling } from "../../src/sample/registry.ts";
import { samplerOf } from "../../src/session/sampler.ts";
import { EngineError, MemoryError } from "../../src/util/errors.ts";
import { tinyLlamaGguf } from "../support/gguf_writer.ts";
import { workingVariants } from "../support/kernels.ts";
import { allLogits, engineOf, hashLogits, pageBytesOf, someIds } from "../support/models.ts";
import { refused } from "../support/refused.ts";

const { bytes } = tinyLlamaGguf();
const ids = someIds(100, 300);
const engineWith = (options: EngineOptions = {}) => engineOf(bytes, { threads: 1, ...options });

/** A test that needs a memory of `size` bytes; skipped, with the reason printed, where there is none. */
function itWithMemory(size: number, title: string, body: () => Promise<void>): void {
  try {
    createMemory(size, false);
  } catch (error) {
    console.log(`skipped: "${title}": ${error}`);
    it.skip(`${title} (skipped: this runtime gives no memory of ${size} bytes)`, () => {});
    return;
  }
  it(title, body);
}

describe("Engine above 2 GiB", () => {
  const gib = 2 ** 30;
  const bases: [string, (bytes: number) => number][] = [
    ["across 2 GiB", (bytes) => 2 * gib - Math.ceil(bytes / 2 / 64) * 64],
    ["above 2 GiB", () => 2 * gib],
    ["at the end of memory", (bytes) => ADDRESSABLE_BYTES - Math.ceil(bytes / 64) * 64],
  ];
  const runs = [
    { precision: "f32", kv: "f32" },
    { precision: "q4", kv: "q8" },
    ...workingVariants().map((kernel) => ({ precision: "q8", kv: "f16", kernel }) as const),
    { precision: "q8", kv: "f16", tune: { threads: 2 } },
  ] as const;
  for (const [where, base] of bases) {
    itWithMemory(4 * gib - 65536, `step() gives the same bits ${where}`, async () => {
      for (const options of runs) {
        const low = await engineWith(options);
        const high = await engineWith({
          ...options,
          base: base(low.layout.totalBytes - CONTROL_BYTES),
        });
        assert.ok(high.layout.totalBytes > 2 * gib && high.layout.totalBytes <= ADDRESSABLE_BYTES);
        const [expected, actual] = [await allLogits(low, ids, [33, 1]), await allLogits(high, ids, [33, 1])];
        assert.equal(hashLogits(actual), hashLogits(expected), JSON.stringify(options));
        for (const engine of [low, high]) engine.retire(new EngineError("done"));
      }
    });
  }

  itWithMemory(4 * gib - 65536, "step() gives the same bits on pages up to the end of memory", async () => {
    for (const kv of ["f32", "f16", "q8"] as const) {
      const { layout } = await engineWith({ kv });
      const room = Math.ceil((layout.totalBytes - CONTROL_BYTES) / 64) * 64;
      const engine = await engineWith({ kv, base: ADDRESSABLE_BYTES - room - layout.kv.sequenceBytes });
      const [first, last] = [engine.sequence(), engine.sequence()];
      const expected = hashLogits(await allLogits(engine, ids, [64], first));
      assert.equal(hashLogits(await allLogits(engine, ids, [64], last)), expected, kv);
      assert.equal(Math.max(...last.pages) + pageBytesOf(layout), ADDRESSABLE_BYTES);
      await assert.rejects(allLogits(engine, ids, [64]), MemoryError);
      for (const sequence of [first, last]) sequence.free();
    }
  });

  itWithMemory(4 * gib - 65536, "a sampler, more pages and copies of pages work above 2 GiB", async () => {
    const low = await engineWith();
    const high = await engineWith({ base: 3 * gib });
    const results = [];
    for (const engine of [low, high]) {
      const sequences = await filled(engine, 6);
      const forks = sequences.map((sequence) => sequence.fork());
      const rows = [];
      for (const fork of forks) rows.push(...(await allLogits(engine, ids.slice(0, 20), [20], fork)));
      const sampler = samplerOf(
        engine,
        resolveSampling({ temperature: 0.9, topK: 20, topP: 0.9, seed: 5 }),
        300,
      );
      const drawn = await engine.prefill(engine.sequence(), ids, () =>
        Array.from({ length: 20 }, () => sampler.sample(ids)),
      );
      results.push([hashLogits(rows), drawn]);
    }
    assert.deepEqual(results[1], results[0]);
  });
});

/** Sequences of 100 ids each, the last of them others for each sequence. */
async function filled(engine: Engine, n: number): Promise<Sequence[]> {
  const sequences = Array.from({ length: n }, () => engine.sequence());
  for (const [i, sequence] of sequences.entries()) {
    await allLogits(engine, [...ids.slice(0, 70), ...someIds(30, 300, 10 + i)], [64], sequence);
  }
  return sequences;
}

describe("Engine whose memory grows", () => {
  it("step() gives right logits to every sequence, before and after the memory grew", async () => {
    const engine = await engineWith();
    const n = 12;
    const { memory } = engine.kernel;
    const before = memory.buffer.byteLength;
    const sequences = await filled(engine, n);
    assert.ok(memory.buffer.byteLength >= before + 4 * 65536, "the memory has grown several times");
    for (const [i, sequence] of sequences.entries()) {
      const more = someIds(20, 300, 50 + i);
      const alone = await engineWith();
      const expected = await allLogits(
        alone,
        [...ids.slice(0, 70), ...someIds(30, 300, 10 + i), ...more],
        [64],
      );
      assert.deepEqual(await allLogits(engine, more, [7], sequence), expected.slice(100), `sequence ${i}`);
    }
    for (const sequence of sequences) sequence.free();
    const grown = memory.buffer.byteLength;
    await filled(engine, n);
    assert.equal(memory.buffer.byteLength, grown, "pages that were given back are used again");
  });

  it("a sampler reads the memory of now", async () => {
    const engine = await engineWith();
    const sampler = samplerOf(engine, resolveSampling({ temperature: 0, repeatPenalty: 1.3 }), 300);
    const draw = () => [sampler.sample(ids), sampler.logprob(7)];
    const first = await engine.prefill(engine.sequence(), ids, draw);
    const { byteLength } = engine.kernel.memory.buffer;
    await filled(engine, 12);
    assert.ok(engine.kernel.memory.buffer.byteLength > byteLength);
    assert.deepEqual(await engine.prefill(engine.sequence(), ids, draw), first);
  });

  it("step() refuses a sequence that the budget has no page for, and goes on with the others", async () => {
    const { layout } = await engineWith();
    const engine = await engineWith({ maxBytes: layout.totalBytes + 100_000 });
    const expected = await allLogits(await engineWith(), ids, [64]);
    const first = engine.sequence();
    const rows = await allLogits(engine, ids.slice(0, 90), [64], first);
    const others: Sequence[] = [];
    const another = async () => {
      const sequence = engine.sequence();
      const last = await engine.prefill(sequence, ids.slice(0, 50), () => engine.logits(0).slice());
      others.push(sequence);
      return last;
    };
    await refused(
      (async () => {
        for (;;) assert.deepEqual(await another(), expected[49]);
      })(),
      /^Cannot extend the KV cache: all \d+ pages of 8192 bytes are in use and the memory budget of \d+ bytes \(2\.5 MiB\) is spent: \d+ sessions hold \d+ pages \(0\.\d MiB\); dispose\(\) sessions /,
      MemoryError,
    );
    assert.ok(others.length > 1 && others.length < 20, `${others.length} sequences had room`);
    assert.ok(engine.kernel.memory.buffer.byteLength < engine.layout.maxBytes + 65536);
    rows.push(...(await allLogits(engine, ids.slice(90, 96), [3], first)));
    assert.deepEqual(rows, expected.slice(0, 96));
    others[0]?.free();
    assert.deepEqual(await another(), expected[49]);
  });
});

describe("Engine whose kernel traps", () => {
  /** Overwrites a word of a record of the plan. */
  function corrupt(engine: Engine, record: number, word: number, value: number): void {
    const at = engine.layout.planAddress + record * RECORD_BYTES + 4 * word;
    new DataView(engine.kernel.memory.buffer).setUint32(at, value, true);
  }

  const run = (engine: Engine) => engine.prefill(engine.sequence(), ids, () => engine.logits(0).slice());

  const traps: [string, (engine: Engine) => void][] = [
    ["an embedding out of bounds", (engine) => corrupt(engine, 0, EMBED_TABLE, 0xfffffff0)],
    [
      "a matrix out of bounds",
      (engine) => {
        const { words, records } = engine.layout.plan;
        const product = Array.from({ length: records }, (_, i) => i).filter(
          (i) => words[i * RECORD_WORDS + REC_OP] === OP_MATMUL,
        );
        corrupt(engine, product.at(-1) as number, MATMUL_W, 0xffff0000);
      },
    ],
  ];
  for (const [what, spoil] of traps) {
    it(`step() fails with ${what}, and retires the engine`, async () => {
      for (const kernel of workingVariants()) {
        const engine = await engineWith({ kernel });
        const expected = await run(engine);
        spoil(engine);
        const failing = [run(engine), run(engine), run(engine)];
        for (const run of failing) {
          await refused(run, /^Cannot go on: a kernel trapped and the engine was retired$/, EngineError);
        }
        await assert.rejects(run(engine), (error) => {
          assert.ok(error instanceof EngineError && error.cause instanceof WebAssembly.RuntimeError);
          return true;
        });
        assert.deepEqual(await run(await engineWith({ kernel })), expected, "a new engine works");
      }
    });
  }

  it("step() retires an engine whose plan holds an unknown record", async () => {
    const engine = await engineWith();
    corrupt(engine, 3, REC_OP, 99);
    for (let i = 0; i < 2; i++) {
      await refused(run(engine), /^Cannot run the step: the plan holds an unknown record$/, EngineError);
    }
    corrupt(engine, 3, REC_OP, OP_MATMUL);
    await refused(run(engine), /unknown record/, EngineError);
  });

  it("step() leaves sequences at the length they had", async () => {
    const engine = await engineWith();
    const sequence = engine.sequence();
    await allLogits(engine, ids.slice(0, 40), [40], sequence);
    corrupt(engine, 0, EMBED_TABLE, 0xfffffff0);
    await assert.rejects(allLogits(engine, ids.slice(40), [30], sequence), EngineError);
    assert.equal(sequence.length, 40);
  });

  it("step() refuses ids outside the vocabulary and goes on", async () => {
    const engine = await engineWith();
    for (const id of [-1, 300, 1.5, Number.NaN, 2 ** 32]) {
      await refused(
        engine.prefill(engine.sequence(), [1, id], () => {}),
        new RegExp(`^Cannot run token ${id}: Expected an id in \\[0, 300\\)$`),
        EngineError,
      );
    }
    assert.equal((await run(engine)).length, 300);
  });
});

describe("A step of several tokens", () => {
  it("multiplies what fills up a block of four by 0, whatever an earlier step left there", async () => {
    // What subnormals cost is no matter of bits: it made a step of two take longer than one of four.
    const engine = await engineWith({ precision: "q8" });
    const { address, stride } = engine.layout.buffers.act;
    const blocks = engine.layout.config.dim / BLOCK_COLS;
    for (const n of [2, 3, 4, 5, 6, 7]) {
      const rows = Math.ceil(n / ACT_TOKENS) * ACT_TOKENS;
      // Subnormal as f32.
      new Int32Array(engine.kernel.memory.buffer, address, (rows * stride) / 4).fill(0x00010101);
      const sequences = Array.from({ length: n }, () => engine.sequence());
      const segments = sequences.map(
        (sequence) => ({ sequence, ids, begin: 0, end: 1, outputs: "last" }) as const,
      );
      await engine.step(segments, () => {});
      for (const sequence of sequences) sequence.free();
      const { buffer } = engine.kernel.memory;
      const last = address + (rows - ACT_TOKENS) * stride;
      const present = ACT_TOKENS - (rows - n);
      for (let block = 0; block < blocks; block++) {
        const scales = new Float32Array(buffer, last + block * ACTS_BLOCK_BYTES + ACTS_SCALES, ACT_TOKENS);
        assert.deepEqual(
          [...scales.slice(present)],
          new Array(rows - n).fill(0),
          `${n} tokens, block ${block}`,
        );
        assert.ok(scales.slice(0, present).every((scale) => scale > 1e-20));
      }
    }
  });
});
