// OP_ROUTE against its twin: which experts tokens choose, their shares, and the slots of the choices; and combine_f32().
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { ACT_TOKENS, BLOCK_COLS, PADDED_ROWS, TILE_ROWS } from "../../assembly/layout/blocks.ts";
import { CONTROL_N_THREADS, STEP_N_TOKENS } from "../../assembly/layout/control.ts";
import * as op from "../../assembly/layout/ops.ts";
import { picksOf, type RouterTraits } from "../reference/experts.ts";
import { sigmoid } from "../reference/math.ts";
import { type KernelBench, nmse, randomF32 } from "../support/kernels.ts";
import { f32OnEveryVariant, onEveryVariant, variantBenches } from "../support/variants.ts";

const benches = await variantBenches(4 << 20);

const gates = {
  softmax: op.GATE_SOFTMAX,
  sigmoid: op.GATE_SIGMOID,
  "softmax of chosen": op.GATE_SOFTMAX_OF_CHOSEN,
};

/** What is added to what experts are chosen by, and the shared expert's share: 1, or sigmoid of the sum of a row's x. */
interface More {
  readonly bias?: Float32Array;
  readonly shared?: "always" | "gated";
}

interface Routed {
  /** i32 slot and f32 share of each choice, [tokens][used]. */
  readonly slots: number[];
  readonly shares: number[];
  /** Token (-1: none) and expert of each slot. */
  readonly tokenOf: number[];
  readonly expertOf: number[];
  /** The experts that were chosen, with their first slots and their tokens. */
  readonly chosen: { readonly expert: number; readonly first: number; readonly count: number }[];
}

// Runs the record over rows that lie apart, on every variant; all must leave the same bytes.
function route(logits: readonly Float32Array[], traits: RouterTraits, more: More = {}): Routed {
  const tokens = logits.length;
  const n = (logits[0] as Float32Array).length;
  const picks = tokens * (traits.used + (more.shared ? 1 : 0));
  const room = picks + Math.min(picks, (ACT_TOKENS - 1) * n);
  const sizes = [op.ROUTED_LIST + op.ROUTED_BYTES * n, 8 * room, 8 * picks] as const;
  const bytes = onEveryVariant(benches, (bench) => {
    const addresses = sizes.map((size) => bench.alloc(size));
    runRecord(bench, logits, traits, more, addresses);
    const parts = addresses.map((address, i) => bench.u8(address, sizes[i] as number));
    // Addresses differ from one variant's memory to the next in no way, but say nothing.
    return Uint8Array.from(parts.flatMap((part) => [...part]));
  });
  const words = new Int32Array(bytes.buffer);
  const floats = new Float32Array(bytes.buffer);
  const count = words[op.ROUTED_SLOTS / 4] as number;
  assert.ok(count <= room);
  const slotsAt = sizes[0] / 4;
  const picksAt = slotsAt + 2 * room;
  const list = (i: number, field: number) =>
    words[(op.ROUTED_LIST + op.ROUTED_BYTES * i + field) / 4] as number;
  const every = <T>(length: number, at: (i: number) => T) => Array.from({ length }, (_, i) => at(i));
  return {
    slots: every(picks, (i) => words[picksAt + 2 * i] as number),
    shares: every(picks, (i) => floats[picksAt + 2 * i + 1] as number),
    tokenOf: every(count, (i) => words[slotsAt + 2 * i] as number),
    expertOf: every(count, (i) => words[slotsAt + 2 * i + 1] as number),
    chosen: every(words[op.ROUTED_EXPERTS / 4] as number, (i) => {
      const expert = list(i, op.ROUTED_CHOSEN);
      return { expert, first: list(expert, op.ROUTED_FIRST), count: list(expert, op.ROUTED_COUNT) };
    }),
  };
}

function runRecord(
  bench: KernelBench,
  logits: readonly Float32Array[],
  { used, gate, normalize, scale = 1, groups }: RouterTraits,
  { bias, shared }: More,
  [table, slots, picks]: readonly number[],
): void {
  const n = (logits[0] as Float32Array).length;
  const records = new Int32Array(2 * op.RECORD_WORDS);
  const record = records.subarray(0, op.RECORD_WORDS);
  record[op.ROUTE_ROUTER] = op.RECORD_BYTES;
  writeRouter(bench, logits, records.subarray(op.RECORD_WORDS));
  record[op.REC_OP] = op.OP_ROUTE;
  record[op.REC_FLAGS] = op.REC_BARRIER;
  record[op.ROUTE_N] = n;
  record[op.ROUTE_USED] = used;
  record[op.ROUTE_GATE] = gates[gate];
  record[op.ROUTE_NORMALIZE] = Number(normalize);
  new Float32Array(records.buffer)[op.ROUTE_SCALE] = scale;
  record[op.ROUTE_TABLE] = table as number;
  record[op.ROUTE_SLOTS] = slots as number;
  record[op.ROUTE_PICKS] = picks as number;
  record[op.ROUTE_PICKED] = used + (shared ? 1 : 0);
  record[op.ROUTE_BIAS] = bias ? bench.put(bias) : 0;
  record[op.ROUTE_GROUPS] = groups?.n ?? 1;
  record[op.ROUTE_GROUPS_USED] = groups?.used ?? 1;
  record[op.ROUTE_SHARED] = SHARED_SLOT;
  record[op.ROUTE_SHARED_GATE] = shared === "gated" ? bench.put(new Float32Array(BLOCK_COLS).fill(1)) : 0;
  new Float32Array(records.buffer)[op.ROUTE_SHARED_SCALE] = 0.5;
  // As engines have it: memory is zero.
  bench.i32((table as number) + op.ROUTED_DONE, 1)[0] = 0;
  bench.i32(CONTROL_N_THREADS, 1)[0] = 1;
  bench.i32(STEP_N_TOKENS, 1)[0] = logits.length;
  assert.equal(bench.kernels.run_step(bench.put(records), 0, 1, bench.alloc(4 * n)), 0);
}

// The slot of token 0 for the shared expert, and the sum of x of a token.
const SHARED_SLOT = 1000;
const inputOf = (t: number) => (t % 7) - 3;

// A router of zeros, to whose products the logits are added.
function writeRouter(bench: KernelBench, logits: readonly Float32Array[], record: Int32Array): void {
  const n = (logits[0] as Float32Array).length;
  const rows = Math.ceil(n / PADDED_ROWS) * PADDED_ROWS;
  const put = (floats: number) => bench.put(new Float32Array(floats));
  const add = put(logits.length * rows);
  logits.forEach((row, t) => {
    bench.f32(add + 4 * t * rows, n).set(row);
  });
  record[op.MATMUL_W] = put(rows * BLOCK_COLS);
  const x = new Float32Array(logits.length * BLOCK_COLS);
  logits.forEach((_, t) => {
    x[t * BLOCK_COLS + (t % BLOCK_COLS)] = inputOf(t);
  });
  record[op.MATMUL_X] = bench.put(x);
  record[op.MATMUL_X_STRIDE] = 4 * BLOCK_COLS;
  record[op.MATMUL_OUT] = bench.alloc(4 * rows * Math.ceil(logits.length / ACT_TOKENS) * ACT_TOKENS);
  record[op.MATMUL_OUT_STRIDE] = 4 * rows;
  record[op.MATMUL_STRIPS] = rows / TILE_ROWS;
  record[op.MATMUL_BLOCKS] = 1;
  record[op.MATMUL_ADD] = add;
  record[op.MATMUL_ADD_STRIDE] = 4 * rows;
}

// Every choice has a slot of its own, slots of an expert lie together in the order of tokens, and what pads them has none.
function checkSlots({ slots, tokenOf, expertOf, chosen }: Routed, used: number, experts: number[][]): void {
  assert.deepEqual(
    chosen.map(({ expert }) => expert),
    [...new Set(experts.flat())].sort((a, b) => a - b),
  );
  let next = 0;
  for (const { expert, first, count } of chosen) {
    assert.equal(first, next);
    const tokens = experts.flatMap((row, t) => (row.includes(expert) ? [t] : []));
    assert.equal(count, tokens.length);
    next += count === 1 ? 1 : Math.ceil(count / ACT_TOKENS) * ACT_TOKENS;
    const padding = Array.from({ length: next - first - count }, () => -1);
    assert.deepEqual(tokenOf.slice(first, next), [...tokens, ...padding]);
    assert.ok(expertOf.slice(first, first + count).every((e) => e === expert));
  }
  assert.equal(tokenOf.length, next);
  slots.forEach((slot, i) => {
    assert.equal(tokenOf[slot], Math.floor(i / used));
    assert.equal(expertOf[slot], experts.flat()[i]);
  });
}

describe("OP_ROUTE", () => {
  for (const gate of ["softmax", "sigmoid", "softmax of chosen"] as const) {
    for (const normalize of [false, true]) {
      it(`agrees with its twin: ${gate}, ${normalize ? "" : "not "}normalized`, () => {
        for (const [n, used] of [
          [1, 1],
          [2, 1],
          [5, 5],
          [8, 2],
          [33, 4],
        ] as const) {
          for (const tokens of [1, 2, 3, 5, 64]) {
            const logits = Array.from({ length: tokens }, (_, t) => randomF32(n, n + 100 * t, -4, 4));
            const traits = { used, gate, normalize, scale: 2.5 };
            const expected = logits.map((row) => picksOf([...row], traits));
            const routed = route(logits, traits);
            checkSlots(
              routed,
              used,
              expected.map((row) => row.map(({ expert }) => expert)),
            );
            const shares = expected.flatMap((row) => row.map(({ share }) => share));
            assert.ok(nmse(routed.shares, shares) <= 1e-12);
          }
        }
      });
    }
  }

  for (const gate of ["softmax", "sigmoid", "softmax of chosen"] as const) {
    it(`chooses by biased shares and in groups, which shares do not show: ${gate}`, () => {
      for (const [n, used, groups] of [
        [8, 3, undefined],
        [8, 3, { n: 4, used: 2 }],
        [12, 4, { n: 2, used: 1 }],
        [6, 2, { n: 6, used: 3 }],
        [6, 6, { n: 3, used: 3 }],
      ] as const) {
        for (const tokens of [1, 2, 9]) {
          for (const bias of [undefined, randomF32(n, 7 * n, -0.5, 0.5)]) {
            const logits = Array.from({ length: tokens }, (_, t) => randomF32(n, n + 100 * t, -4, 4));
            const traits = { used, gate, normalize: true, ...(groups && { groups }) };
            const expected = logits.map((row) => picksOf([...row], traits, bias));
            const routed = route(logits, traits, { ...(bias && { bias }) });
            checkSlots(
              routed,
              used,
              expected.map((row) => row.map(({ expert }) => expert)),
            );
            const shares = expected.flatMap((row) => row.map(({ share }) => share));
            assert.ok(nmse(routed.shares, shares) <= 1e-12);
          }
        }
      }
    });
  }

  it("keeps the lower of groups that are equal", () => {
    const traits = { used: 2, gate: "softmax", normalize: true, groups: { n: 3, used: 1 } } as const;
    for (const row of [
      [1, 0, 0, 1, 1, 0],
      [0, 0, 2, 1, 1, 2],
      [0, 0, 0, 0, 0, 0],
    ]) {
      const { slots, expertOf } = route([Float32Array.from(row)], traits);
      const chosen = slots.map((slot) => expertOf[slot]);
      assert.deepEqual(
        chosen,
        picksOf(row, traits).map(({ expert }) => expert),
      );
    }
  });

  it("gives every token the shared expert behind those that it chose", () => {
    const traits = { used: 2, gate: "softmax", normalize: false } as const;
    for (const tokens of [1, 3, 6]) {
      for (const shared of ["always", "gated"] as const) {
        const logits = Array.from({ length: tokens }, (_, t) => randomF32(5, 5 + t, -4, 4));
        const { slots, shares, tokenOf } = route(logits, traits, { shared });
        const expected = logits.map((row) => picksOf([...row], traits));
        for (let t = 0; t < tokens; t++) {
          const share = shared === "gated" ? sigmoid(inputOf(t)) / 2 : 0.5;
          const all = [...(expected[t] as { share: number }[]).map((pick) => pick.share), share];
          assert.ok(nmse(shares.slice(3 * t, 3 * t + 3), all) <= 1e-12);
          assert.equal(slots[3 * t + 2], SHARED_SLOT + t);
          for (const r of [0, 1]) assert.equal(tokenOf[slots[3 * t + r] as number], t);
        }
      }
    }
  });

  it("prefers the lower index of equal products", () => {
    const traits = { used: 3, gate: "softmax", normalize: true } as const;
    for (const row of [
      [1, 1, 1, 1, 1],
      [0, 2, 0, 2, 2],
      [3, 0, 3, -0, 0],
    ]) {
      const { slots, expertOf } = route([Float32Array.from(row)], traits);
      const expected = picksOf(row, traits).map(({ expert }) => expert);
      assert.deepEqual(
        slots.map((slot) => expertOf[slot]),
        expected,
      );
    }
  });

  it("stands products that are not finite, and lets shares show them", () => {
    const traits = { used: 2, gate: "softmax of chosen", normalize: false } as const;
    for (const row of [
      [Number.NaN, Number.NaN, Number.NaN],
      [Number.NaN, Number.NEGATIVE_INFINITY, Number.NaN],
      [Number.POSITIVE_INFINITY, Number.NaN, Number.POSITIVE_INFINITY],
    ]) {
      const { shares, chosen, slots } = route([Float32Array.from(row)], traits);
      assert.equal(chosen.length, 2);
      assert.equal(new Set(slots).size, 2);
      assert.ok(shares.some(Number.isNaN), `${row}: ${shares}`);
    }
    const finite = route([Float32Array.from([1, Number.NaN, 2])], traits);
    assert.deepEqual(
      finite.slots.map((slot) => finite.expertOf[slot]),
      [2, 0],
    );
    assert.ok(finite.shares.every(Number.isFinite));
  });

  it("stands products that are not finite in groups and beside biases", () => {
    const traits = { used: 2, gate: "sigmoid", normalize: false, groups: { n: 2, used: 1 } } as const;
    const bias = Float32Array.from([0, 1, 0, 1]);
    for (const row of [
      [Number.NaN, Number.NaN, Number.NaN, Number.NaN],
      [Number.POSITIVE_INFINITY, 0, Number.NaN, Number.NEGATIVE_INFINITY],
    ]) {
      const { chosen, slots } = route([Float32Array.from(row)], traits, { bias });
      assert.equal(chosen.length, 2);
      assert.equal(new Set(slots).size, 2);
    }
  });

  it("divides by no sum that vanishes", () => {
    const { shares } = route([Float32Array.from([-80, -85, -90])], {
      used: 2,
      gate: "sigmoid",
      normalize: true,
    });
    assert.ok(shares.every((share) => share >= 0 && share < 1e-20));
  });
});

describe("combine_f32()", () => {
  it("adds rows times their shares, the best first, for whole vectors and tails", () => {
    for (const n of [1, 2, 3, 4, 5, 7, 8, 31, 64]) {
      for (const used of [1, 2, 5]) {
        const rows = randomF32(7 * n, n);
        const x = randomF32(n, n + 1);
        const shares = randomF32(used, n + 2);
        const slots = Array.from({ length: used }, (_, r) => (3 * r + 2) % 7);
        const picks = new Float32Array(2 * used);
        const words = new Int32Array(picks.buffer);
        slots.forEach((slot, r) => {
          words[2 * r] = slot;
          picks[2 * r + 1] = shares[r] as number;
        });
        const actual = f32OnEveryVariant(benches, (bench) => {
          const out = bench.put(x);
          bench.kernels.combine_f32(bench.put(picks), used, bench.put(rows), 4 * n, out, out, n);
          return bench.f32(out, n);
        });
        const expected = x.map((value, i) => {
          let sum = 0;
          slots.forEach((slot, r) => {
            sum = Math.fround(sum + Math.fround((shares[r] as number) * (rows[slot * n + i] as number)));
          });
          return Math.fround(value + sum);
        });
        assert.deepEqual(actual, expected, `n = ${n}, used = ${used}`);
      }
    }
  });
});
