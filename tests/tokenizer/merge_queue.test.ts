import assert from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import { MergeQueue } from "../../src/tokenizer/merge_queue.ts";

/** What is in the queue, in a list that is sorted each time. */
class SlowQueue {
  private readonly ranks = new Map<number, number>();

  set(position: number, rank: number | undefined): void {
    if (rank === undefined) this.ranks.delete(position);
    else this.ranks.set(position, rank);
  }

  rank(position: number): number | undefined {
    return this.ranks.get(position);
  }

  pop(): { rank: number; position: number } | undefined {
    const all = [...this.ranks].map(([position, rank]) => ({ rank, position }));
    const first = all.sort((a, b) => a.rank - b.rank || a.position - b.position)[0];
    if (first !== undefined) this.ranks.delete(first.position);
    return first;
  }
}

/** Takes out the first that is not out of date. */
function pop(queue: MergeQueue, expected: SlowQueue): { rank: number; position: number } | undefined {
  while (queue.pop()) {
    const { rank, position } = queue;
    if (expected.rank(position) !== rank) continue;
    queue.remove(rank, position);
    return { rank, position };
  }
  return undefined;
}

const operation = fc.oneof(
  fc.record({ position: fc.nat(20), rank: fc.nat(5) }),
  fc.record({ position: fc.nat(20), rank: fc.nat(100_000) }),
  fc.constant("pop" as const),
);

describe("MergeQueue", () => {
  for (const room of [30, 5000]) {
    it(`pop() gives the lowest rank and the leftmost of equals, with room for ${room}`, () => {
      fc.assert(
        fc.property(fc.array(operation, { maxLength: 80 }), (operations) => {
          const queue = new MergeQueue(100_001);
          const expected = new SlowQueue();
          queue.reserve(room);
          for (const each of operations) {
            if (each === "pop") {
              const got = pop(queue, expected);
              assert.deepEqual(got, expected.pop());
              continue;
            }
            const before = expected.rank(each.position);
            if (before !== undefined) queue.remove(before, each.position);
            queue.push(each.rank, each.position);
            expected.set(each.position, each.rank);
          }
          for (let left = 30; left > 0; left--) {
            const got = pop(queue, expected);
            assert.deepEqual(got, expected.pop());
          }
          assert.equal(queue.pop(), false);
        }),
        { numRuns: 300 },
      );
    });
  }

  it("pop() gives nothing where nothing was pushed, and works again after release()", () => {
    const queue = new MergeQueue(1);
    queue.reserve(3);
    assert.equal(queue.pop(), false);
    for (const n of [3, 5000]) {
      queue.reserve(n);
      for (const position of [2, 0, 1]) queue.push(0, position);
      const positions = [];
      while (queue.pop()) positions.push(queue.position);
      assert.deepEqual(positions, [0, 1, 2]);
      queue.release(0);
    }
  });
});
