import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { MAX_SEED, Rng, type RngState, randomSeed } from "../../src/sample/rng.ts";
import { UsageError } from "../../src/util/errors.ts";

function take<T>(n: number, next: () => T): T[] {
  return Array.from({ length: n }, next);
}

describe("Rng", () => {
  // From the authors' C programs, SplitMix64 feeding xoshiro128**.
  const golden: [number, RngState, number[]][] = [
    [
      0,
      [2065550767, 3793791033, 2713282036, 1853398634],
      [3737715805, 2584255861, 2876756834, 3286328325, 1553311962, 1625202774],
    ],
    [
      7,
      [1496452567, 1674306020, 4097599004, 72105175],
      [1801096769, 1554325924, 2992800842, 3588980540, 2077056966, 1036808551],
    ],
    [
      MAX_SEED,
      [4021704095, 616124332, 3074421144, 818148089],
      [1233166643, 1287031142, 661813442, 2960669951, 2601079046, 1036114921],
    ],
  ];

  it("Rng() gives the same numbers for a seed everywhere", () => {
    for (const [seed, state, numbers] of golden) {
      const rng = new Rng(seed);
      assert.deepEqual(rng.getState(), state);
      assert.deepEqual(
        take(6, () => rng.nextUint32()),
        numbers,
      );
    }
  });

  it("Rng.nextUint32() follows xoshiro128** from the state 1, 2, 3, 4", () => {
    const rng = new Rng(0);
    rng.setState([1, 2, 3, 4]);
    assert.deepEqual(
      take(8, () => rng.nextUint32()),
      [11520, 0, 5927040, 70819200, 2031721883, 1637235492, 1287239034, 3734860849],
    );
  });

  it("Rng.next() gives 53 bits in [0, 1)", () => {
    const rng = new Rng(7);
    assert.deepEqual(
      take(3, () => rng.next()),
      [0.41935052247266991, 0.69681575026828524, 0.48360251070112581],
    );
    const many = take(10000, () => rng.next());
    assert.ok(many.every((u) => u >= 0 && u < 1 && Number.isInteger(u * 2 ** 53)));
    assert.ok(Math.abs(many.reduce((sum, u) => sum + u) / 10000 - 0.5) < 0.01);
  });

  it("Rng.setState() continues where getState() was called", () => {
    const rng = new Rng(42);
    take(5, () => rng.next());
    const state = rng.getState();
    const expected = take(10, () => rng.next());
    const other = new Rng(1);
    other.setState(JSON.parse(JSON.stringify(state)));
    assert.deepEqual(
      take(10, () => other.next()),
      expected,
    );
  });

  it("Rng.setState() refuses what is no state", () => {
    const rng = new Rng(1);
    const bad: unknown[] = [
      [0, 0, 0, 0],
      [1, 2, 3],
      [1, 2, 3, 4, 5],
      [1, 2, 3, -4],
      [1, 2, 3, 0.5],
      [1, 2, 3, NaN],
    ];
    for (const state of bad) assert.throws(() => rng.setState(state as RngState), UsageError);
    assert.deepEqual(rng.getState(), new Rng(1).getState());
  });

  it("Rng() refuses seeds that are no integers in [0, 2^53)", () => {
    for (const seed of [-1, 0.5, NaN, Infinity, 2 ** 53]) {
      assert.throws(() => new Rng(seed), { name: "UsageError", message: new RegExp(`got ${seed}`) });
    }
  });
});

describe("randomSeed", () => {
  it("randomSeed() makes up seeds that Rng takes", () => {
    const seeds = take(100, randomSeed);
    assert.equal(new Set(seeds).size, 100);
    assert.ok(seeds.some((seed) => seed > 2 ** 32));
    for (const seed of seeds) new Rng(seed);
  });
});
