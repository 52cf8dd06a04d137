// Sequences over several classes of pages: what windows drop, and memory that classes share.
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import { KV_PAGE } from "../../assembly/layout/blocks.ts";
import { MemoryError } from "../../src/mod.ts";
import { Sequence } from "../../src/model/kv_cache.ts";
import { kvLayout, type PageClass } from "../../src/model/kv_layout.ts";
import { type PageMemory, PagePool } from "../../src/model/page_pool.ts";

const CONTEXT = 12 * KV_PAGE;
const BATCH = 64;

/** Pages of 10, 30 and 20 bytes. */
const classes: readonly PageClass[] = kvLayout(
  "f16",
  [undefined, 40, 3].map((window) => ({ nKvHeads: 1, headDim: 8, window })),
  CONTEXT,
  BATCH,
).classes.map((of, i) => ({ ...of, pageBytes: [10, 30, 20][i] as number }));

/** A pool of one sequence's pages and `more` bytes. */
function pool(more: number, copy: PageMemory["copy"] = () => {}): PagePool {
  let next = 1000 + classes.reduce((sum, { pageBytes, mostPages }) => sum + pageBytes * mostPages, 0);
  const end = next + more;
  const grow = (bytes: number) => {
    if (next + bytes > end) return undefined;
    next += bytes;
    return next - bytes;
  };
  return new PagePool({ copy, grow, left: () => 0, limit: () => "the test gives no more" }, classes, 1000);
}

function extend(sequence: Sequence, n: number): void {
  sequence.reserve(n);
  sequence.advance(n);
}

/** First page and number of pages of each class. */
const held = ({ tables }: Sequence) => tables.map(({ first, pages }) => [first, pages.length]);

describe("Sequence with windows", () => {
  it("drops pages that no further position sees, and 32 positions later", () => {
    const p = pool(0);
    const s = new Sequence(p, CONTEXT);
    extend(s, 64);
    assert.deepEqual(
      held(s),
      [0, 0, 0].map((first) => [first, 2]),
    );
    // The query at 64 sees 25 and following, or 62 and following; 32 before are kept.
    extend(s, 64);
    assert.deepEqual(held(s), [
      [0, 4],
      [0, 4],
      [0, 4],
    ]);
    extend(s, 1);
    // From 128 - 32 - 39 = 57, and from 94.
    assert.deepEqual(held(s), [
      [0, 5],
      [1, 4],
      [2, 3],
    ]);
    for (let i = 129; i < CONTEXT; i++) extend(s, 1);
    assert.deepEqual(held(s), [
      [0, 12],
      [9, 3],
      [10, 2],
    ]);
    assert.equal(p.used, 17);
    assert.equal(s.pages.length, 17);
    s.free();
    assert.equal(p.used, 0);
  });

  it("rollback() forgets all if what the next position sees is gone, and no more than asked within 32 positions", () => {
    const s = new Sequence(pool(0), CONTEXT);
    for (let i = 0; i < 200; i++) extend(s, 1);
    s.rollback(168);
    assert.equal(s.length, 168);
    // The window of 40 begins at 121 then, on a page that is held: 200 - 1 - 32 - 39 = 128.
    s.rollback(167);
    assert.equal(s.length, 167);
    s.rollback(166);
    assert.equal(s.length, 0);
    assert.deepEqual(held(s), [
      [0, 0],
      [0, 0],
      [0, 0],
    ]);
    extend(s, 64);
    assert.deepEqual(held(s), [
      [0, 2],
      [0, 2],
      [0, 2],
    ]);
  });

  it("fork() shares what is held, and copies what both write", () => {
    const copies: number[] = [];
    const p = pool(1000, (from, to, bytes) => {
      assert.notEqual(from, to);
      copies.push(bytes);
    });
    const a = new Sequence(p, CONTEXT);
    for (let i = 0; i < 205; i++) extend(a, 1);
    const b = a.fork();
    assert.deepEqual(held(b), held(a));
    assert.equal(p.used, a.pages.length);
    extend(b, 1);
    assert.deepEqual(copies, [10, 30, 20]);
    extend(a, 1);
    assert.equal(copies.length, 3);
    // A page that one drops is still the other's.
    const shared = a.tables[1]?.pages[0] as number;
    assert.equal(p.uses(shared), 2);
    for (let i = 0; i < 40; i++) extend(a, 1);
    assert.equal(p.uses(shared), 1);
    assert.equal(b.tables[1]?.pages[0], shared);
    a.free();
    b.free();
    assert.equal(p.used, 0);
  });

  it("adopt() takes the pages from those that are named on", () => {
    const p = pool(0);
    const s = new Sequence(p, CONTEXT);
    s.adopt(200, [0, 4, 6]);
    assert.deepEqual(held(s), [
      [0, 7],
      [4, 3],
      [6, 1],
    ]);
    extend(s, 1);
    assert.equal(s.length, 201);
    const other = new Sequence(p, CONTEXT);
    assert.throws(() => other.adopt(320, [0, 0, 0]), MemoryError);
    assert.equal(other.length, 0);
    other.free();
    assert.equal(p.used, s.pages.length);
  });

  it("holds what is seen, whatever was done, in memory that is shared by classes of other sizes", () => {
    const action = fc.record({
      kind: fc.constantFrom("extend", "extend", "extend", "fork", "rollback", "back", "free"),
      which: fc.nat(20),
      n: fc.nat(BATCH),
    });
    fc.assert(
      fc.property(fc.array(action, { maxLength: 80 }), fc.nat(3000), (actions, more) => {
        const cells = new Map<string, number>();
        const p = pool(more, (from, to) => {
          for (let slot = 0; slot < KV_PAGE; slot++) {
            cells.set(`${to}/${slot}`, cells.get(`${from}/${slot}`) ?? -1);
          }
        });
        const live = [{ s: new Sequence(p, CONTEXT), labels: [] as number[], top: 0 }];
        let label = 0;
        for (const { kind, which, n } of actions) {
          const entry = live[which % live.length] as (typeof live)[number];
          const { s, labels } = entry;
          if (kind === "extend") {
            if (s.length + n > CONTEXT || !reserved(s, n)) continue;
            entry.top = Math.max(entry.top, s.length);
            for (const { pages, first } of s.tables) {
              for (let i = s.length; i < s.length + n; i++) {
                cells.set(`${pages[Math.floor(i / KV_PAGE) - first]}/${i % KV_PAGE}`, label + i);
              }
            }
            for (let i = s.length; i < s.length + n; i++) labels.push(label + i);
            label += CONTEXT;
            s.advance(n);
          } else if (kind === "fork") {
            live.push({ s: s.fork(), labels: [...labels], top: entry.top });
          } else if (kind === "free") {
            if (live.length === 1) continue;
            s.free();
            live.splice(which % live.length, 1);
          } else {
            const to = kind === "back" ? Math.max(0, s.length - n) : Math.min(n, s.length);
            s.rollback(to);
            assert.ok(s.length === to || (s.length === 0 && to < entry.top - 32));
            if (s.length === 0) entry.top = 0;
            labels.length = s.length;
          }
          for (const { s, labels } of live) checkHeld(s, labels, cells);
          checkApart(live.map(({ s }) => s));
        }
        for (const { s } of live) s.free();
        assert.equal(p.used, 0);
      }),
      { numRuns: 60 },
    );
  });
});

/** Whether there was room. */
function reserved(s: Sequence, n: number): boolean {
  try {
    s.reserve(n);
    return true;
  } catch (error) {
    assert.ok(error instanceof MemoryError);
    return false;
  }
}

/** The next position finds what it sees, and no class has more pages than it is said to have. */
function checkHeld(s: Sequence, labels: readonly number[], cells: ReadonlyMap<string, number>): void {
  s.tables.forEach(({ pages, first }, c) => {
    const { window = Infinity, mostPages } = classes[c] as PageClass;
    assert.ok(pages.length <= mostPages, `${pages.length} pages of class ${c}`);
    for (let i = Math.max(0, s.length - window + 1); i < s.length; i++) {
      const at = `${pages[Math.floor(i / KV_PAGE) - first]}/${i % KV_PAGE}`;
      assert.equal(cells.get(at), labels[i], `position ${i} of ${s.length}, class ${c}`);
    }
  });
}

/** No two pages overlap. */
function checkApart(sequences: readonly Sequence[]): void {
  const ends = new Map<number, number>();
  for (const { tables } of sequences) {
    tables.forEach(({ pages }, c) => {
      for (const page of pages) ends.set(page, page + (classes[c] as PageClass).pageBytes);
    });
  }
  let last = 1000;
  for (const [begin, end] of [...ends].sort(([a], [b]) => a - b)) {
    assert.ok(begin >= last, `${begin} lies before ${last}`);
    last = end;
  }
}

describe("PagePool with several classes", () => {
  it("cuts pages from what other classes have left, before it is full", () => {
    const p = pool(0);
    const take = (pageClass: number) => {
      const pages: number[] = [];
      try {
        for (;;) pages.push(p.take(pageClass));
      } catch (error) {
        assert.ok(error instanceof MemoryError);
      }
      return pages;
    };
    const bytes = classes.reduce((sum, { pageBytes, mostPages }) => sum + pageBytes * mostPages, 0);
    const small = take(0);
    assert.equal(new Set(small).size, bytes / 10);
    assert.equal(p.used, bytes / 10);
    // Every other page is free: no place for a larger one.
    for (const page of small.filter((_, i) => i % 2 === 0)) p.drop(page);
    assert.deepEqual(take(1), []);
    assert.equal(take(0).length, Math.ceil(bytes / 20));
    for (const page of small) p.drop(page);
    assert.equal(take(1).length, Math.floor(bytes / 30));
    assert.equal(take(2).length + take(0).length, bytes % 30 === 0 ? 0 : 1);
  });

  it("says what each class has when it is full", () => {
    const p = pool(0);
    const a = new Sequence(p, CONTEXT);
    const b = new Sequence(p, CONTEXT, "generation");
    extend(b, 40);
    const fork = b.fork();
    extend(a, BATCH);
    extend(a, BATCH);
    assert.throws(() => extend(a, BATCH), {
      name: "MemoryError",
      message:
        /^Cannot extend the KV cache: no page of 30 bytes is left, 8 pages of 10 bytes and 6 pages of 30 bytes \(window 40\) and 6 pages of 20 bytes \(window 3\) are in use and the test gives no more: 1 session holds 6 \+ 4 \+ 4 pages \(0\.0 MiB\), 1 generation 2 \+ 2 \+ 2 \(0\.0 MiB\), 1 fork 2 \+ 2 \+ 2 \(0\.0 MiB\); dispose\(\) /,
    });
    // What it took for that is given back.
    assert.deepEqual(held(a), [
      [0, 4],
      [1, 3],
      [0, 4],
    ]);
    fork.free();
    b.free();
    extend(a, BATCH);
  });
});
