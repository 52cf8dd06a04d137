// The prefix cache over pages that say what was computed on them: nothing wrong is ever read, and no page is lost.
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import { KV_PAGE } from "../../assembly/layout/blocks.ts";
import { PrefixCache } from "../../src/engine/prefix_cache.ts";
import { MemoryError } from "../../src/mod.ts";
import { Sequence } from "../../src/model/kv_cache.ts";
import { kvLayout, type LayerKv, type PageClass } from "../../src/model/kv_layout.ts";
import { PagePool } from "../../src/model/page_pool.ts";

const CONTEXT = 12 * KV_PAGE;
const head = { nKvHeads: 1, headDim: 8 };

const kinds: Readonly<Record<string, readonly LayerKv[]>> = {
  "layers that see everything": [head],
  "a window beside them": [head, { ...head, window: 40 }],
  "short convolutions beside them": [head, { nKvHeads: 0, headDim: 0, rows: 4, window: 3 }],
  "states beside them": [head, { nKvHeads: 0, headDim: 0, state: 16 }],
};

// A number for each beginning of ids: hashes[n] of the first n.
function hashesOf(ids: readonly number[]): number[] {
  const hashes = [1];
  for (const id of ids) hashes.push((Math.imul(hashes.at(-1) as number, 0x9e3779b1) + id + 1) | 0);
  return hashes;
}

/** Sequences over pages that hold, of each position or state, a hash of the ids up to it. */
class World {
  readonly pool: PagePool;
  readonly cache: PrefixCache;
  readonly classes: readonly PageClass[];
  readonly #slots = new Map<number, number[]>();

  constructor(layers: readonly LayerKv[], maxBytes: number, more: number) {
    this.classes = kvLayout("f32", layers, CONTEXT, 64).classes;
    let next = 1000 + this.classes.reduce((sum, { pageBytes, mostPages }) => sum + pageBytes * mostPages, 0);
    const end = next + more;
    const grow = (bytes: number) => {
      if (next + bytes > end) return undefined;
      next += bytes;
      return next - bytes;
    };
    const copy = (from: number, to: number) => {
      this.#slots.set(to, [...this.#page(from)]);
    };
    this.pool = new PagePool({ copy, grow, left: () => 0, limit: () => "no more" }, this.classes, 1000);
    this.cache = new PrefixCache(this.pool, maxBytes);
  }

  /** Computes ids from the sequence's length on, in steps, and checks what each step reads. */
  compute(sequence: Sequence, ids: readonly number[], step: number): void {
    const hashes = hashesOf(ids);
    while (sequence.length < ids.length) {
      const n = Math.min(step, ids.length - sequence.length);
      sequence.reserve(n);
      sequence.write();
      for (let pos = sequence.length; pos < sequence.length + n; pos++) this.#position(sequence, hashes, pos);
      sequence.advance(n);
    }
  }

  #position({ tables }: Sequence, hashes: readonly number[], pos: number): void {
    this.classes.forEach(({ window, isState }, i) => {
      const { pages, first } = tables[i] as Sequence["tables"][number];
      const at = (p: number) => this.#page(pages[Math.floor(p / KV_PAGE) - first] as number);
      if (isState) {
        if (pos > 0 && at(pos - 1)[0] !== hashes[pos]) assert.fail(`the state before ${pos}`);
        at(pos)[0] = hashes[pos + 1] as number;
        return;
      }
      at(pos)[pos % KV_PAGE] = hashes[pos + 1] as number;
      for (let seen = window === undefined ? 0 : Math.max(0, pos - window + 1); seen < pos; seen++) {
        if (at(seen)[seen % KV_PAGE] !== hashes[seen + 1]) assert.fail(`class ${i}: ${pos} sees ${seen}`);
      }
    });
  }

  #page(address: number): number[] {
    if (!(address >= 1000)) assert.fail("no page is held");
    let slots = this.#slots.get(address);
    if (!slots) {
      slots = [];
      this.#slots.set(address, slots);
    }
    return slots;
  }
}

// Ids in blocks, so that prompts often begin alike and part in the middle of a page.
const prompts = fc.array(fc.integer({ min: 0, max: 2 }), { minLength: 1, maxLength: 14 }).chain((blocks) =>
  fc.integer({ min: 0, max: 23 }).map((cut) => {
    const ids = blocks.flatMap((block) => Array.from({ length: 24 }, (_, i) => 100 * block + i));
    return ids.slice(0, ids.length - cut);
  }),
);

function checkRun(
  layers: readonly LayerKv[],
  maxBytes: number,
  more: number,
  all: readonly (readonly number[])[],
  step: number,
): number {
  const world = new World(layers, maxBytes, more);
  const { pool, cache } = world;
  const running: [Sequence, readonly number[]][] = [];
  let recalled = 0;
  for (const [i, ids] of all.entries()) {
    const sequence = new Sequence(pool, CONTEXT);
    recalled += cache.recall(sequence, ids);
    assert.ok(sequence.length < ids.length, "the last id is computed");
    try {
      world.compute(sequence, ids, step);
      cache.add(sequence, ids, true);
      // It goes on beside others, until some later one is over.
      const more = Array.from({ length: i % 40 }, (_, n) => 1000 + n);
      const answer = [...ids, ...more].slice(0, CONTEXT);
      world.compute(sequence, answer, 1);
      running.push([sequence, answer]);
    } catch (error) {
      assert.ok(error instanceof MemoryError, String(error));
      assert.equal(cache.bytes, 0, "the cache was asked first");
      sequence.free();
    }
    if (running.length < 2) continue;
    const [old, has] = running.shift() as [Sequence, readonly number[]];
    if (i % 5 === 4) old.rollback(Math.max(0, old.length - (i % 33)));
    cache.add(old, has, false);
    old.free();
    assert.ok(cache.bytes <= maxBytes);
  }
  for (const [sequence] of running) sequence.free();
  while (cache.evict());
  assert.equal(cache.bytes, 0);
  assert.equal(pool.used, 0, "every page came back");
  return recalled;
}

describe("PrefixCache", () => {
  for (const [kind, layers] of Object.entries(kinds)) {
    it(`of ${kind} gives what was computed for these ids, with and without room`, () => {
      let recalled = 0;
      fc.assert(
        fc.property(
          fc.array(prompts, { minLength: 1, maxLength: 8 }),
          fc.constantFrom(1e9, 4000, 300),
          fc.constantFrom(1e9, 40_000, 0),
          fc.constantFrom(64, 7),
          (all, maxBytes, more, step) => {
            recalled += checkRun(layers, maxBytes, more, all, step);
          },
        ),
        { numRuns: 60, seed: 5 },
      );
      assert.ok(recalled > 200, `recalled ${recalled}`);
    });
  }

  it("recalls all but the last id, also in the middle of a page", () => {
    const world = new World([head], 1e9, 1e9);
    const ids = Array.from({ length: 75 }, (_, i) => i);
    const first = new Sequence(world.pool, CONTEXT);
    world.compute(first, ids, 64);
    world.cache.add(first, ids, false);
    first.free();
    const recalled = (asked: readonly number[]) => {
      const sequence = new Sequence(world.pool, CONTEXT);
      const n = world.cache.recall(sequence, asked);
      assert.equal(sequence.length, n);
      sequence.free();
      return n;
    };
    assert.equal(recalled([...ids, 1, 2, 3]), 75);
    assert.equal(recalled(ids), 74);
    assert.equal(recalled(ids.slice(0, 50)), 49);
    for (let n = 0; n < ids.length; n++) {
      const other = ids.with(n, 999);
      assert.equal(recalled(other), n);
    }
    assert.equal(recalled([999]), 0);
    assert.equal(recalled([0]), 0);
  });

  it("of states recalls ends of pages, and the end of what was computed", () => {
    const world = new World(kinds["states beside them"] as readonly LayerKv[], 1e9, 1e9);
    const ids = Array.from({ length: 75 }, (_, i) => i);
    const first = new Sequence(world.pool, CONTEXT);
    world.compute(first, ids, 64);
    world.cache.add(first, ids, false);
    first.free();
    const recalled = (asked: readonly number[]) => {
      const sequence = new Sequence(world.pool, CONTEXT);
      const n = world.cache.recall(sequence, asked);
      world.compute(sequence, asked, 64);
      sequence.free();
      return n;
    };
    assert.equal(recalled([...ids, 1, 2, 3]), 75);
    assert.equal(recalled(ids), 64);
    assert.equal(recalled([...ids.slice(0, 70), 999, 999]), 64);
    // Of the page before only the last states are worth their bytes.
    assert.equal(recalled([...ids.slice(0, 40), 999]), 0);
  });

  it("forgets what was not used for longest", () => {
    const world = new World([head], 1e9, 1e9);
    const { cache, pool } = world;
    const lists = [0, 1, 2].map((k) => Array.from({ length: 64 }, (_, i) => 100 * k + i));
    for (const ids of lists) {
      const sequence = new Sequence(pool, CONTEXT);
      world.compute(sequence, ids, 64);
      cache.add(sequence, ids, false);
      sequence.free();
    }
    const recall = (k: number) => {
      const sequence = new Sequence(pool, CONTEXT);
      const n = cache.recall(sequence, [...(lists[k] as number[]), 7]);
      sequence.free();
      return n;
    };
    assert.equal(recall(0), 64);
    // Leaves first: the second half of the list that was used longest ago, then the first.
    cache.evict();
    assert.equal(recall(1), 32);
    assert.equal(recall(2), 64);
    cache.evict();
    cache.evict();
    assert.deepEqual([recall(0), recall(1), recall(2)], [0, 32, 64]);
  });

  it("gives pages up before a sequence finds none", () => {
    const world = new World([head], 1e9, 0);
    const { cache, pool } = world;
    const ids = Array.from({ length: CONTEXT }, (_, i) => i);
    const first = new Sequence(pool, CONTEXT);
    world.compute(first, ids, 64);
    cache.add(first, ids, false);
    first.free();
    assert.equal(pool.used, 12);
    const other = new Sequence(pool, CONTEXT);
    world.compute(other, ids.toReversed(), 64);
    assert.equal(cache.bytes, 0);
    assert.throws(() => new Sequence(pool, CONTEXT).reserve(1), MemoryError);
  });
});
