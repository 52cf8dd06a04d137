// The promise: the same bits, however a prompt is split, with every kernel build, in every runtime.
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { describe, it } from "node:test";
import type { KvType, Precision } from "../../src/mod.ts";
import { precisions } from "../../src/quant/registry.ts";
import { tinyLlamaGguf } from "../support/gguf_writer.ts";
import { workingVariants } from "../support/kernels.ts";
import { MIXED_VOCAB, mixedModel, mixNames } from "../support/mixed_models.ts";
import { allLogits, embeddedModel, engineOf, hashLogits, someIds } from "../support/models.ts";
import { itShared, sharedBytes } from "../support/shared.ts";

const embedded = new Uint8Array(readFileSync(embeddedModel));
const kvTypes: KvType[] = ["f32", "f16", "q8"];

/** Hash of the logits after each of 80 ids of the embedded model, by precision ("file": as it is) and KV type. */
const golden = JSON.parse(readFileSync(new URL("../golden/logits.json", import.meta.url), "utf8")) as Record<
  string,
  string
>;

/** The same of the file that was embedded before: other weights, the same arithmetic. */
const q8File = "models/tales/tales-q8_0.gguf";
const goldenOfQ8 = {
  "f32/f32": "3f2b72809fcbaf6ae34a3877cb07a37275b3118574cbff91d75e681f27b837c1",
  "q8/f16": "d18ca5e674fff13e3f1c5f6b7a34e05e6ddbabbb33742c7c9f3c4852ab3319b1",
  "q8/q8": "1ce23b1fb3e41b58b55772f30ed9b2945b53fa460c72dd36b43de466f3264926",
  "q4/f16": "7107135653f2c78209103a447785c4a52f4675eda697c69e5afc54efe9b00244",
};

/** The same of models of mixed types, as they are in the file and with f32 weights. */
const mixed = JSON.parse(readFileSync(new URL("../golden/mixes.json", import.meta.url), "utf8")) as Record<
  string,
  string
>;

describe("Engine.step()", () => {
  for (const precision of [undefined, ...precisions]) {
    for (const kv of kvTypes) {
      it(`gives the golden bits for every kernel build and split of the prompt: ${precision ?? "as in the file"}, kv ${kv}`, async () => {
        const ids = someIds(80, 4096);
        const expected = golden[`${precision ?? "file"}/${kv}`];
        for (const kernel of workingVariants()) {
          const engine = await engineOf(embedded, { precision, kv, kernel, contextLength: 128 });
          const splits = kernel === "simd" ? [[64], [1], [7], [32], [1, 33, 2, 8, 5]] : [[64], [1]];
          for (const split of splits) {
            const hash = hashLogits(await allLogits(engine, ids, split));
            assert.equal(hash, expected, `${kernel}, steps of ${split}`);
          }
        }
      });
    }
  }

  itShared([q8File], "gives the golden bits of a Q8_0 file", async () => {
    for (const [name, expected] of Object.entries(goldenOfQ8)) {
      const [precision, kv] = name.split("/") as [Precision, KvType];
      const engine = await engineOf(sharedBytes(q8File), { precision, kv, contextLength: 128 });
      assert.equal(hashLogits(await allLogits(engine, someIds(80, 4096), [7])), expected, name);
    }
  });

  for (const mix of mixNames) {
    for (const precision of [undefined, "f32"] as const) {
      it(`gives the golden bits of mixed types for every kernel build and split: ${mix}, ${precision ?? "as in the file"}`, async () => {
        const ids = someIds(80, MIXED_VOCAB);
        const expected = mixed[`${mix}/${precision ?? "file"}`];
        const bytes = mixedModel(mix);
        for (const kernel of workingVariants()) {
          const engine = await engineOf(bytes, { precision, kernel });
          const splits = kernel === "simd" ? [[64], [1], [7], [32], [1, 33, 2, 8, 5]] : [[64], [1]];
          for (const split of splits) {
            const hash = hashLogits(await allLogits(engine, ids, split));
            assert.equal(hash, expected, `${kernel}, steps of ${split}`);
          }
        }
      });
    }
  }

  it("gives with the cache what recomputing without it gives", async () => {
    const engine = await engineOf(tinyLlamaGguf().bytes, { precision: "q8" });
    const ids = someIds(70, 300);
    const cached = await allLogits(engine, ids, [5, 1]);
    for (const n of [1, 2, 31, 32, 33, 64, 65, 70]) {
      const fresh = engine.sequence();
      const last = await engine.prefill(fresh, ids.slice(0, n), () => engine.logits(0).slice());
      assert.deepEqual(last, cached[n - 1], `${n} positions`);
      fresh.free();
    }
  });

  it("computes several sequences in one step as it computes each alone", async () => {
    const engine = await engineOf(tinyLlamaGguf().bytes, { precision: "q8" });
    const prompts = [someIds(9, 300, 1), someIds(1, 300, 2), someIds(20, 300, 3)];
    const alone: Float32Array[] = [];
    for (const ids of prompts) alone.push(...(await allLogits(engine, ids, [64])));
    const segments = prompts.map((ids) => ({
      sequence: engine.sequence(),
      ids,
      begin: 0,
      end: ids.length,
      outputs: "all" as const,
    }));
    const together = await engine.step(segments, () => alone.map((_, row) => engine.logits(row).slice()));
    assert.deepEqual(together, alone);
  });

  it("writes logits only where they are asked for", async () => {
    const engine = await engineOf(tinyLlamaGguf().bytes);
    const ids = someIds(10, 300);
    const all = await allLogits(engine, ids, [10]);
    const sequence = engine.sequence();
    engine.logits(0).fill(7);
    await engine.step([{ sequence, ids, begin: 0, end: 6, outputs: "none" }], () => {});
    assert.ok(engine.logits(0).every((x) => x === 7));
    await engine.step([{ sequence, ids, begin: 6, end: 10, outputs: "last" }], () => {
      assert.deepEqual(engine.logits(0).slice(), all[9]);
    });
  });
});

describe("Sequence", () => {
  it("fork() shares the past and goes on apart", async () => {
    const engine = await engineOf(tinyLlamaGguf().bytes);
    for (const shared of [1, 31, 32, 33, 50]) {
      const ids = someIds(shared, 300);
      const [a, b] = [someIds(40, 300, 5), someIds(40, 300, 6)];
      const first = engine.sequence();
      await allLogits(engine, ids, [64], first);
      const used = engine.pool.used;
      const second = first.fork();
      assert.equal(engine.pool.used, used, "a fork takes no page");
      // Interleaved, so that one would disturb the other if they shared a page they write.
      const rowsA = await allLogits(engine, a.slice(0, 20), [64], first);
      const rowsB = await allLogits(engine, b, [64], second);
      rowsA.push(...(await allLogits(engine, a.slice(20), [1], first)));
      assert.deepEqual(
        rowsA,
        (await allLogits(engine, [...ids, ...a], [64])).slice(shared),
        `${shared} shared`,
      );
      assert.deepEqual(
        rowsB,
        (await allLogits(engine, [...ids, ...b], [64])).slice(shared),
        `${shared} shared`,
      );
      first.free();
      second.free();
    }
  });

  it("rollback() forgets", async () => {
    const engine = await engineOf(tinyLlamaGguf().bytes);
    const ids = someIds(70, 300);
    const expected = await allLogits(engine, ids, [64]);
    const sequence = engine.sequence();
    await allLogits(engine, [...ids.slice(0, 40), ...someIds(30, 300, 9)], [64], sequence);
    sequence.rollback(40);
    assert.equal(sequence.length, 40);
    assert.deepEqual(await allLogits(engine, ids.slice(40), [64], sequence), expected.slice(40));
  });
});
