// Snapshots of a model with sliding windows: they hold what its sequence holds.
import assert from "node:assert/strict";
import { after, describe, it } from "node:test";
import { KV_PAGE } from "../../../assembly/layout/blocks.ts";
import { modelTokenizer } from "../../../src/api/model_tokenizer.ts";
import { openModelFile } from "../../../src/format/detect.ts";
import { Llama, type LoadOptions } from "../../../src/mod.ts";
import { Session } from "../../../src/session/session.ts";
import { bytesSource } from "../../../src/source/bytes.ts";
import { testFolder } from "../../support/cli.ts";
import { engineOf, pageBytesOf, someIds } from "../../support/models.ts";
import { described, refusesSnapshot, restoredElsewhere, sealed } from "../../support/snapshot_bytes.ts";
import { tinyGptOss } from "../../support/tiny_gpt_oss.ts";

const sampled = { temperature: 1.5, topK: 0, topP: 1, seed: 12, ignoreEos: true } as const;
const { bytes } = tinyGptOss().file;
const ids = someIds(110, 300);

const loaded: Llama[] = [];
after(() => {
  for (const llama of loaded) llama.dispose();
});

async function load(options: LoadOptions = {}): Promise<Llama> {
  const llama = await Llama.load(bytes, { threads: 1, ...options });
  loaded.push(llama);
  return llama;
}

const versionOf = (snapshot: Uint8Array) => new DataView(snapshot.buffer).getUint32(8, true);

function withVersion(snapshot: Uint8Array, version: number): Uint8Array {
  const changed = snapshot.slice();
  new DataView(changed.buffer).setUint32(8, version, true);
  return sealed(changed);
}

describe("Session.save() of a model with windows", () => {
  it("goes on bit for bit, wherever the generation was left", async () => {
    const [llama, other] = [await load(), await load({ threads: 2, tune: { threads: 2 } })];
    const options = { ...sampled, maxTokens: 50 };
    const expected = (await llama.complete(ids.slice(0, 60), options)).ids;
    using session = llama.session();
    const found: number[] = [];
    for await (const { id } of session.generate(ids.slice(0, 60), options)) {
      found.push(id);
      if (![1, 4, 12, 36, 37, 49].includes(found.length)) continue;
      using restored = other.restore(session.save());
      const rest: number[] = [];
      for await (const piece of restored.resume()) rest.push(piece.id);
      assert.deepEqual([...found, ...rest], expected, `left after ${found.length}`);
    }
    assert.deepEqual(found, expected);
  });

  it("goes on in another runtime", async () => {
    const llama = await load({ precision: "f32", kv: "f16", contextLength: 128 });
    using session = llama.session();
    const all = session.generate(ids.slice(0, 90), { ...sampled, maxTokens: 20 });
    for (let i = 0; i < 9; i++) await all.next();
    const folder = testFolder();
    const [model, file] = [folder.write("model.gguf", bytes), folder.write("saved.bin", session.save())];
    const rest: unknown[] = [];
    for await (const { id, text } of all) rest.push([id, text]);
    assert.deepEqual(restoredElsewhere(file, "f32", "f16", 2, model), rest);
  });

  it("holds what the next positions see, whatever steps the session had", async () => {
    const llama = await load();
    const saved: Uint8Array[] = [];
    for (const step of [110, 1, 37]) {
      using session = llama.session();
      for (let at = 0; at < ids.length; at += step) await session.append(ids.slice(at, at + step));
      saved.push(session.save());
    }
    const [first, ...others] = saved as [Uint8Array, ...Uint8Array[]];
    for (const other of others) assert.deepEqual(other, first);
    assert.equal(versionOf(first), 3);
    // Of the layer with a window pages 2 and 3: 110 - 32 - 7 + 1 = 72.
    described(first, ({ firstPages }) => assert.deepEqual(firstPages, [2, 0]));
    const engine = await engineOf(bytes);
    const pageBytes = pageBytesOf(engine.layout);
    assert.ok(first.length < 3 * pageBytes + 2000, `${first.length}`);
    // A restored session saves the same.
    using restored = llama.restore(first);
    assert.deepEqual(restored.save(), first);
  });

  it("can be saved after any rollback", async () => {
    const llama = await load();
    using session = llama.session();
    await session.append(ids.slice(0, 60));
    await session.complete([], { ...sampled, maxTokens: 50 });
    for (const pos of [110, 109, 96, 80, 70, 31, 0]) {
      session.rollback(pos);
      using restored = llama.restore(session.save());
      assert.deepEqual(restored.ids, session.ids);
      if (pos === 0) continue;
      using fork = session.fork();
      const [a, b] = [fork, restored].map((one) => one.complete([], { ...sampled, maxTokens: 4 }));
      assert.deepEqual((await a)?.ids, (await b)?.ids, `${pos}`);
    }
  });
});

describe("Llama.restore() of a model with windows", () => {
  it("goes on with snapshots of version 2, which have all pages of all layers", async () => {
    const engine = await engineOf(bytes);
    const { tokenizer } = await modelTokenizer(await openModelFile(bytesSource(bytes)), undefined);
    const sequence = engine.sequence();
    const session = new Session(
      { engine, tokenizer, loadMs: 0, template: { render: () => ({ ids: [] }) } },
      sequence,
    );
    const llama = await load();
    for (const n of [5, 59, 1, 40]) {
      await session.append(ids.slice(session.pos, session.pos + n));
      const { classes, layers } = engine.layout.kv;
      const memory = new Uint8Array(engine.kernel.memory.buffer);
      // As it was before there were classes: page by page, in each layer by layer. What windows have dropped is no number.
      const pageBytes = pageBytesOf(engine.layout);
      const pages = new Uint8Array(Math.ceil(sequence.length / KV_PAGE) * pageBytes).fill(0xff);
      let begin = 0;
      for (const { pageClass, nKvHeads, headBytes, offset } of layers) {
        const table = sequence.tables[pageClass];
        table?.pages.forEach((page, i) => {
          const from = page + offset;
          pages.set(
            memory.subarray(from, from + nKvHeads * headBytes),
            (table.first + i) * pageBytes + begin,
          );
        });
        begin += nKvHeads * headBytes;
      }
      assert.equal(classes.length, 2);
      const saved = described(session.save(), (description) => {
        delete description.firstPages;
      });
      const length = new DataView(saved.buffer).getUint32(12, true);
      const head = saved.subarray(0, 48 + length + 4 * session.pos);
      using restored = llama.restore(withVersion(new Uint8Array([...head, ...pages]), 2));
      assert.deepEqual(restored.ids, session.ids);
      const expected = await llama.complete(session.ids, { ...sampled, maxTokens: 12 });
      assert.deepEqual(
        (await restored.complete([], { ...sampled, maxTokens: 12 })).ids,
        expected.ids,
        `${n}`,
      );
    }
    engine.retire(new Error("done"));
  });

  it("refuses first pages that lie, or that do not reach what is seen", async () => {
    const llama = await load();
    using session = llama.session();
    await session.append(ids);
    const saved = session.save();
    const lies: [unknown, RegExp][] = [
      [undefined, /Expected firstPages to be 2 numbers, got undefined/],
      [7, /Expected firstPages to be 2 numbers, got 7/],
      [[0], /Expected firstPages to be 2 numbers/],
      [[0, 0, 0], /Expected firstPages to be 2 numbers/],
      [["2", 0], /Expected firstPages\[0\] to be an integer in \[0, 110\], got "2"/],
      [[2.5, 0], /Expected firstPages\[0\] to be an integer in/],
      [[-1, 0], /Expected firstPages\[0\] to be an integer in/],
      [[2 ** 32, 0], /Expected firstPages\[0\] to be an integer in/],
      [[2, 1], /Expected firstPages\[1\] to be a page that position 110 sees, got 1/],
      [[4, 0], /Expected firstPages\[0\] to be a page that position 110 sees, got 4/],
      [[3, 0], /Expected \d+ bytes, got \d+/],
      [[0, 0], /Expected \d+ bytes, got \d+/],
    ];
    for (const [firstPages, message] of lies) {
      refusesSnapshot(
        llama,
        described(saved, (description) => Object.assign(description, { firstPages })),
        message,
      );
    }
    refusesSnapshot(llama, withVersion(saved, 2), /Expected \d+ bytes, got \d+/);
    refusesSnapshot(llama, withVersion(saved, 4), /Expected version 2 or 3, got 4, of a newer cria/);
    // Nothing was taken that is not given back.
    llama.restore(saved).dispose();
    const { memoryBytes } = llama;
    for (let i = 0; i < 20; i++) llama.restore(saved).dispose();
    assert.equal(llama.memoryBytes, memoryBytes);
  });
});
