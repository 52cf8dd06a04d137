import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { MAX_SEED, philox, Rng, randomSeed } from "../../src/sample/rng.ts";

const PI = [0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344];

function take(rng: Rng, n: number): number[] {
  return Array.from({ length: n }, () => rng.next());
}

function at(rng: Rng, position: number, n = 1): number[] {
  rng.seek(position);
  return take(rng, n);
}

// The same block in whole numbers, as the paper has it.
function reference(counter: readonly number[], key: readonly number[]): number[] {
  let [a, b, c, d] = counter.map(BigInt) as [bigint, bigint, bigint, bigint];
  let [k0, k1] = key.map(BigInt) as [bigint, bigint];
  const u32 = (x: bigint) => BigInt.asUintN(32, x);
  for (let round = 0; round < 10; round++) {
    const p0 = 0xd2511f53n * a;
    const p1 = 0xcd9e8d57n * c;
    [a, b, c, d] = [(p1 >> 32n) ^ b ^ k0, u32(p1), (p0 >> 32n) ^ d ^ k1, u32(p0)];
    k0 = u32(k0 + 0x9e3779b9n);
    k1 = u32(k1 + 0xbb67ae85n);
  }
  return [a, b, c, d].map(Number);
}

describe("philox()", () => {
  // Known answers of the authors' Random123, file kat_vectors.
  const known: [number[], [number, number], number[]][] = [
    [
      [0, 0, 0, 0],
      [0, 0],
      [0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8],
    ],
    [
      new Array(4).fill(0xffffffff),
      [0xffffffff, 0xffffffff],
      [0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd],
    ],
    [PI, [0xa4093822, 0x299f31d0], [0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1]],
  ];

  it("gives the known answers", () => {
    for (const [counter, [key0, key1], answer] of known) {
      const words = Uint32Array.from(counter);
      philox(words, key0, key1);
      assert.deepEqual([...words], answer);
      assert.deepEqual(reference(counter, [key0, key1]), answer);
    }
  });

  it("is the block of whole numbers for any counter and key", () => {
    const words = Uint32Array.from(PI);
    for (let i = 0; i < 500; i++) {
      const counter = [...words];
      const key = [counter[1] as number, counter[2] as number] as const;
      philox(words, ...key);
      assert.deepEqual([...words], reference(counter, key));
    }
  });
});

describe("Rng", () => {
  it("gives the same numbers for a seed everywhere", () => {
    const double = (high: number, low: number) => ((high >>> 5) * 2 ** 26 + (low >>> 6)) * 2 ** -53;
    for (const seed of [0, 7, 2 ** 32 + 3, MAX_SEED]) {
      for (const [choice, position] of [
        [0, 0],
        [3, 100000],
      ] as const) {
        const key = [seed >>> 0, Math.floor(seed / 2 ** 32)];
        const [a, b, c, d] = reference([0, position, choice, 0], key) as [number, number, number, number];
        const [e, f] = reference([1, position, choice, 0], key) as [number, number];
        assert.deepEqual(at(new Rng(seed, choice), position, 3), [double(a, b), double(c, d), double(e, f)]);
      }
    }
  });

  it("gives 53 bits in [0, 1), evenly, at one position and over many", () => {
    const rng = new Rng(7);
    const many = [...at(rng, 5, 10000), ...Array.from({ length: 10000 }, (_, i) => at(rng, i)[0] as number)];
    assert.ok(many.every((u) => u >= 0 && u < 1 && Number.isInteger(u * 2 ** 53)));
    assert.equal(new Set(many).size, many.length - 1, "position 5 is among both");
    const tenths = new Array<number>(10).fill(0);
    for (const u of many) tenths[Math.floor(10 * u)]! += 1;
    // 99.9 % of all samples of nine degrees of freedom are under this.
    assert.ok(tenths.reduce((sum, n) => sum + (n - 2000) ** 2 / 2000, 0) < 27.9);
  });

  it("depends on seed, choice and position, and on nothing drawn before", () => {
    const first = at(new Rng(42), 9, 4);
    const rng = new Rng(42);
    at(rng, 3, 5);
    at(rng, 1000, 1);
    assert.deepEqual(at(rng, 9, 4), first);
    for (const other of [at(rng, 10, 4), at(new Rng(43), 9, 4), at(new Rng(42, 1), 9, 4)]) {
      for (const u of other) assert.ok(!first.includes(u));
    }
  });

  it("refuses seeds that are no integers in [0, 2^53)", () => {
    for (const seed of [-1, 0.5, NaN, Infinity, 2 ** 53]) {
      assert.throws(() => new Rng(seed), { name: "UsageError", message: new RegExp(`got ${seed}`) });
    }
  });
});

describe("randomSeed()", () => {
  it("makes up seeds that Rng takes", () => {
    const seeds = Array.from({ length: 100 }, randomSeed);
    assert.equal(new Set(seeds).size, 100);
    assert.ok(seeds.some((seed) => seed > 2 ** 32));
    for (const seed of seeds) new Rng(seed);
  });
});
