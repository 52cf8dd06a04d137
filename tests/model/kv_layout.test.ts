// Classes of layers, the pages of each, and what a sequence must hold of them.
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { KV_PAGE } from "../../assembly/layout/blocks.ts";
import { kvHeadBytes } from "../../src/model/kernel_sizes.ts";
import { firstKept, kvLayout, type PageClass, resumable } from "../../src/model/kv_layout.ts";
import { kvTypeCodes, kvTypes } from "../../src/quant/kv_types.ts";

const layer = (window?: number, nKvHeads = 2, headDim = 16) => ({ nKvHeads, headDim, window });

describe("kvLayout()", () => {
  it("gives layers of a window a class, and each its own size of heads", () => {
    for (const type of kvTypes) {
      const head = (headDim: number) => kvHeadBytes(kvTypeCodes[type], headDim);
      const layers = [layer(100), layer(), layer(100, 1, 40), layer(7), layer(undefined, 3, 24), layer(7)];
      const { classes, layers: placed, tableBytes, sequenceBytes } = kvLayout(type, layers, 1000, 64);
      const sizes = [2 * head(16) + head(40), 2 * head(16) + 3 * head(24), 4 * head(16)];
      assert.deepEqual(
        classes.map(({ window, pageBytes }) => [window, pageBytes]),
        [100, undefined, 7].map((window, i) => [window, sizes[i]]),
      );
      assert.equal(tableBytes, 4 * Math.ceil(1000 / KV_PAGE));
      assert.deepEqual(
        placed.map(({ pageClass, offset, table, headBytes }) => [pageClass, offset, table, headBytes]),
        [
          [0, 0, 0, head(16)],
          [1, 0, tableBytes, head(16)],
          [0, 2 * head(16), 0, head(40)],
          [2, 0, 2 * tableBytes, head(16)],
          [1, 2 * head(16), tableBytes, head(24)],
          [2, 2 * head(16), 2 * tableBytes, head(16)],
        ],
      );
      const pages = classes.map(({ mostPages }) => mostPages);
      // 100 - 1 + 32 + 64 and 7 - 1 + 32 + 64 positions, wherever in a page they begin.
      assert.deepEqual(pages, [8, 32, 5]);
      assert.equal(
        sequenceBytes,
        pages.reduce((sum, n, i) => sum + n * (sizes[i] as number), 0),
      );
    }
  });

  it("takes a window as long as the context for none, and never more pages than the context has", () => {
    const { classes } = kvLayout("f16", [layer(1000), layer(2 ** 31 - 1), layer(), layer(999)], 1000, 64);
    assert.deepEqual(
      classes.map(({ window, mostPages }) => [window, mostPages]),
      [
        [undefined, 32],
        [999, 32],
      ],
    );
    assert.deepEqual(
      kvLayout("f16", [layer(1)], 1, 1).classes.map(({ mostPages }) => mostPages),
      [1],
    );
  });

  it("gives rows of positions the room of a window, and states a class of their own", () => {
    const none = { nKvHeads: 0, headDim: 0 };
    const layers = [{ ...none, state: 40 }, layer(), { ...none, rows: 12, window: 3 }, { ...none, state: 8 }];
    const { classes, layers: placed } = kvLayout("f16", layers, 1000, 64);
    const heads = 2 * kvHeadBytes(kvTypeCodes.f16, 16);
    assert.deepEqual(classes, [
      { window: undefined, isState: true, pageBytes: 4 * 48, mostPages: 5 },
      { window: undefined, pageBytes: heads, mostPages: 32 },
      { window: 3, pageBytes: 4 * 12 * KV_PAGE, mostPages: 5 },
    ]);
    assert.deepEqual(
      placed.map(({ pageClass, offset, bytes }) => [pageClass, offset, bytes]),
      [
        [0, 0, 160],
        [1, 0, heads],
        [2, 0, 48 * KV_PAGE],
        [0, 160, 32],
      ],
    );
  });

  it("counts as many pages as a sequence holds at most, in steps of any size", () => {
    for (const window of [1, 2, 31, 32, 33, 64, 100]) {
      for (const batch of [1, 7, 32, 64]) {
        const { classes } = kvLayout("f16", [layer(window)], 4096, batch);
        const [of] = classes as readonly [PageClass];
        let most = 0;
        for (let length = 0; length + batch <= 4096; length++) {
          most = Math.max(most, Math.ceil((length + batch) / KV_PAGE) - firstKept(of, length));
        }
        assert.equal(most, of.mostPages, `window ${window}, steps of ${batch}`);
      }
    }
  });
});

describe("firstKept() and resumable()", () => {
  it("keep what any position sees to which 32 positions are rolled back, and no page more", () => {
    for (const window of [1, 5, 31, 32, 33, 70]) {
      const of: PageClass = { window, pageBytes: 1, mostPages: 1 };
      for (let length = 0; length < 300; length++) {
        const first = firstKept(of, length);
        const lowest = Math.max(0, length - 32 - window + 1);
        assert.equal(first, Math.floor(lowest / KV_PAGE));
        for (let to = 0; to <= length; to++) {
          const seen = Math.max(0, to - window + 1);
          assert.equal(resumable(of, first, to, to === length), first * KV_PAGE <= seen ? to : 0);
          if (to >= length - 32) assert.equal(resumable(of, first, to, to === length), to);
        }
      }
    }
    const state: PageClass = { window: undefined, isState: true, pageBytes: 1, mostPages: 1 };
    for (let length = 0; length < 300; length++) {
      const first = firstKept(state, length);
      // What the page before the one of `length - 32` has become is still there.
      assert.equal(first, Math.max(0, Math.floor((length - 32) / KV_PAGE) - 1));
      assert.equal(resumable(state, first, length, true), length);
      for (let to = 0; to < length; to++) {
        const border = to - (to % KV_PAGE);
        assert.equal(resumable(state, first, to, false), border > first * KV_PAGE ? border : 0);
        if (to >= length - 32) assert.equal(resumable(state, first, to, false), border);
      }
    }
    const all: PageClass = { window: undefined, pageBytes: 1, mostPages: 1 };
    assert.deepEqual([firstKept(all, 1000), resumable(all, 0, 500, false)], [0, 500]);
  });
});
