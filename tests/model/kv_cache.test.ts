// Pages of the KV cache, and sequences that take, share and drop them.
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import { KV_PAGE } from "../../assembly/layout/blocks.ts";
import { ContextError, MemoryError } from "../../src/mod.ts";
import { Sequence } from "../../src/model/kv_cache.ts";
import { type PageMemory, PagePool } from "../../src/model/page_pool.ts";

const CONTEXT = 6 * KV_PAGE;

function pool(pages: number, more = 0, copy: PageMemory["copy"] = () => {}): PagePool {
  let left = more;
  let next = 1000 + pages * 10;
  const memory = {
    copy,
    grow: (bytes: number) => {
      if (left-- <= 0) return undefined;
      next += bytes;
      return next - bytes;
    },
    left: () => 0,
    limit: () => "the test gives no more",
  };
  return new PagePool(memory, [{ window: undefined, pageBytes: 10, mostPages: pages }], 1000);
}

function extend(sequence: Sequence, n: number): void {
  sequence.reserve(n);
  sequence.advance(n);
}

describe("Sequence", () => {
  it("reserve() takes a page for each KV_PAGE positions begun", () => {
    const p = pool(6);
    const s = new Sequence(p, CONTEXT);
    s.reserve(0);
    assert.equal(p.used, 0);
    for (const [n, pages] of [
      [1, 1],
      [KV_PAGE - 1, 1],
      [1, 2],
      [2 * KV_PAGE, 4],
    ] as const) {
      extend(s, n);
      assert.equal(s.pages.length, pages);
      assert.equal(p.used, pages);
    }
    assert.deepEqual(s.pages, [1000, 1010, 1020, 1030]);
    s.free();
    s.free();
    assert.equal(p.used, 0);
    assert.throws(() => s.reserve(1), ContextError);
  });

  it("reserve() refuses what the context or the memory cannot hold, and changes nothing", () => {
    const s = new Sequence(pool(2, 1), CONTEXT);
    assert.throws(() => s.reserve(CONTEXT + 1), ContextError);
    extend(s, 3 * KV_PAGE);
    assert.throws(() => s.reserve(1), MemoryError);
    assert.equal(s.length, 3 * KV_PAGE);
    s.rollback(KV_PAGE);
    extend(s, KV_PAGE);
    assert.throws(() => s.rollback(-1), ContextError);
    assert.throws(() => s.rollback(2 * KV_PAGE + 1), ContextError);
  });

  it("reserve() gives back what it took where the memory has less than it needs", () => {
    const p = pool(4);
    const [a, b] = [new Sequence(p, CONTEXT), new Sequence(p, CONTEXT, "generation")];
    extend(a, 1);
    assert.throws(() => b.reserve(4 * KV_PAGE), {
      name: "MemoryError",
      message:
        /^Cannot extend the KV cache: all 4 pages of 10 bytes are in use and the test gives no more: 1 session holds 1 page \(0\.0 MiB\), 1 generation 3 \(0\.0 MiB\); dispose\(\) /,
    });
    assert.equal(p.used, 1);
    extend(b, 3 * KV_PAGE);
    const fork = a.fork();
    assert.throws(() => extend(fork, 1), /1 session holds 1 page .*, 1 generation 3 .*, 1 fork 1 /);
    assert.equal(p.uses(a.pages[0] as number), 2);
    b.free();
    assert.throws(() => extend(fork, 4 * KV_PAGE), /1 session holds 1 page .*, 1 fork 3 /);
  });

  it("has a state at its end and at the ends of pages, and at its end only if no step has spoilt it", () => {
    const memory = {
      copy: () => {},
      grow: () => undefined,
      left: () => 0,
      limit: () => "the test gives no more",
    };
    const states = { window: undefined, isState: true, pageBytes: 10, mostPages: 5 };
    const s = new Sequence(new PagePool(memory, [states], 0), CONTEXT);
    for (const n of [64, 6]) extend(s, n);
    s.rollback(70);
    assert.equal(s.length, 70);
    s.reserve(5);
    s.rollback(70);
    assert.equal(s.length, 70, "nothing was written");
    s.reserve(5);
    s.write();
    s.rollback(70);
    assert.equal(s.length, 64);
    s.reserve(1);
    s.write();
    s.rollback(64);
    assert.equal(s.length, 64, "a full page is never written again");
    assert.throws(() => s.reserve(4 * KV_PAGE), /all 5 pages of 10 bytes \(states\) are in use/);
  });

  it("copies a shared page once, before it writes it", () => {
    const copies: [number, number][] = [];
    const memory = {
      copy: (from: number, to: number) => void copies.push([from, to]),
      grow: () => undefined,
      left: () => 0,
      limit: () => "the test gives no more",
    };
    const p = new PagePool(memory, [{ window: undefined, pageBytes: 10, mostPages: 8 }], 0);
    const a = new Sequence(p, CONTEXT);
    extend(a, KV_PAGE + 5);
    const b = a.fork();
    assert.equal(p.used, 2);
    extend(b, 1);
    assert.deepEqual(copies, [[10, 20]]);
    extend(a, 1);
    assert.equal(copies.length, 1, "the other sequence has the page to itself by then");
    assert.deepEqual(a.pages, [0, 10]);
    assert.deepEqual(b.pages, [0, 20]);
  });

  it("never shares a page that is written, and loses none", () => {
    const action = fc.record({
      kind: fc.constantFrom("extend", "fork", "rollback", "free"),
      which: fc.nat(20),
      n: fc.nat(3 * KV_PAGE),
    });
    fc.assert(
      fc.property(fc.array(action, { maxLength: 60 }), (actions) => {
        // What the kernels would have stored, by page address and slot.
        const cells = new Map<string, number>();
        const p = pool(4, 1000, (from, to) => {
          for (let slot = 0; slot < KV_PAGE; slot++)
            cells.set(`${to}/${slot}`, cells.get(`${from}/${slot}`) ?? -1);
        });
        const live: { s: Sequence; labels: number[] }[] = [{ s: new Sequence(p, CONTEXT), labels: [] }];
        let label = 0;
        for (const { kind, which, n } of actions) {
          const entry = live[which % live.length];
          if (!entry) break;
          const { s, labels } = entry;
          if (kind === "extend" && s.length + n <= CONTEXT) {
            s.reserve(n);
            for (let i = s.length; i < s.length + n; i++) {
              cells.set(`${s.pages[Math.floor(i / KV_PAGE)]}/${i % KV_PAGE}`, ++label);
              labels.push(label);
            }
            s.advance(n);
          } else if (kind === "fork") {
            live.push({ s: s.fork(), labels: [...labels] });
          } else if (kind === "rollback") {
            s.rollback(Math.min(n, s.length));
            labels.length = s.length;
          } else if (kind === "free" && live.length > 1) {
            s.free();
            live.splice(which % live.length, 1);
          }
          for (const { s, labels } of live) {
            labels.forEach((expected, i) => {
              assert.equal(cells.get(`${s.pages[Math.floor(i / KV_PAGE)]}/${i % KV_PAGE}`), expected);
            });
          }
        }
        for (const { s } of live) s.free();
        assert.equal(p.used, 0);
      }),
      { numRuns: 60 },
    );
  });
});
