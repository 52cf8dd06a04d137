// OP_CONV and OP_DELTA against scalar f64 twins, in steps of several sizes: what they keep in pages is what they go on from.
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { KV_PAGE } from "../../assembly/layout/blocks.ts";
import {
  CONTROL_N_THREADS,
  STEP_N_TOKENS,
  STEP_PAGE_TABLES,
  STEP_POSITIONS,
} from "../../assembly/layout/control.ts";
import * as op from "../../assembly/layout/ops.ts";
import { sigmoid } from "../reference/math.ts";
import { type KernelBench, nmse, randomF32 } from "../support/kernels.ts";
import { onEveryVariant, variantBenches } from "../support/variants.ts";

const benches = await variantBenches(4 << 20);
const POSITIONS = 75;

type Fields = Readonly<Record<number, number>>;

// A sequence of two in one step (the other has one token, and is empty before each step), over pages of so many bytes.
class Steps {
  readonly #bench: KernelBench;
  readonly #tables: readonly number[];

  constructor(bench: KernelBench, pageBytes: number) {
    this.#bench = bench;
    const pages = Math.ceil(POSITIONS / KV_PAGE);
    const table = () => bench.put(Int32Array.from({ length: pages }, () => bench.alloc(pageBytes)));
    this.#tables = [table(), table()];
  }

  /** Runs a record over a token of the other sequence and `n` tokens from `position` on. */
  run(record: Fields, floats: Fields, position: number, n: number): void {
    const bench = this.#bench;
    const [own, other] = this.#tables as [number, number];
    const words = new Int32Array(op.RECORD_WORDS);
    for (const [field, value] of Object.entries(record)) words[Number(field)] = value;
    for (const [field, value] of Object.entries(floats)) {
      new Float32Array(words.buffer)[Number(field)] = value;
    }
    words[op.REC_FLAGS] = op.REC_BARRIER;
    const tokens = Array.from({ length: n }, (_, i) => position + i);
    bench.i32(CONTROL_N_THREADS, 1)[0] = 1;
    bench.i32(STEP_N_TOKENS, 1)[0] = n + 1;
    bench.i32(STEP_POSITIONS, 1)[0] = bench.put(Int32Array.from([0, ...tokens]));
    bench.i32(STEP_PAGE_TABLES, 1)[0] = bench.put(Int32Array.from([other, ...tokens.map(() => own)]));
    assert.equal(bench.kernels.run_step(bench.put(words), 0, 1, bench.alloc(2048)), 0);
  }
}

// Rows of all positions by a record in steps of these sizes, the last of which repeats, on every variant.
function inSteps(
  sizes: readonly number[],
  pageBytes: number,
  x: Float32Array,
  outWidth: number,
  record: (bench: KernelBench, x: number, out: number, begin: number) => readonly [Fields, Fields],
): Float32Array {
  const width = x.length / POSITIONS;
  const bytes = onEveryVariant(benches, (bench) => {
    const steps = new Steps(bench, pageBytes);
    const rows = new Float32Array(POSITIONS * outWidth);
    for (let begin = 0, i = 0; begin < POSITIONS; i++) {
      const n = Math.min(sizes[Math.min(i, sizes.length - 1)] as number, POSITIONS - begin);
      const part = x.subarray(begin * width, (begin + n) * width);
      const input = bench.put(Float32Array.from([...x.subarray(0, width), ...part]));
      const out = bench.alloc(4 * (n + 1) * outWidth);
      steps.run(...record(bench, input, out, begin), begin, n);
      rows.set(bench.f32(out + 4 * outWidth, n * outWidth), begin * outWidth);
      begin += n;
    }
    return new Uint8Array(rows.buffer);
  });
  return new Float32Array(bytes.slice().buffer);
}

const splits = [[1], [5, 33, 20], [30, 1, 1, 1, 2, 40], [64]];

function agree(rows: readonly Float32Array[], expected: Float64Array): void {
  const [first, ...others] = rows as [Float32Array, ...Float32Array[]];
  assert.ok(nmse(first, expected) < 1e-11, `${nmse(first, expected)}`);
  for (const other of others) assert.deepEqual(other, first);
}

describe("OP_CONV", () => {
  const channels = 268;
  for (const taps of [2, 3, 4, 32]) {
    const kernel = randomF32(channels * taps, taps);
    const convolved = (x: (position: number, channel: number) => number) =>
      Float64Array.from({ length: POSITIONS * channels }, (_, i) => {
        const [position, channel] = [Math.floor(i / channels), i % channels];
        let sum = 0;
        for (let j = 0; j < Math.min(taps, position + 1); j++) {
          sum += (kernel[channel * taps + taps - 1 - j] as number) * x(position - j, channel);
        }
        return sum;
      });
    const operands = (bench: KernelBench, x: number, out: number) => ({
      [op.REC_OP]: op.OP_CONV,
      [op.CONV_X]: x,
      [op.CONV_OUT]: out,
      [op.CONV_OUT_STRIDE]: 4 * channels,
      [op.CONV_KERNEL]: bench.put(kernel),
      [op.CONV_CHANNELS]: channels,
      [op.CONV_TAPS]: taps,
      [op.CONV_LAYER]: 16,
    });

    it(`${taps} taps over products, whose rows a page has of each position`, () => {
      const width = 3 * channels;
      const x = randomF32(POSITIONS * width, 7);
      const at = (part: number) => (position: number, channel: number) =>
        x[position * width + part * channels + channel] as number;
      const products = (p: number, c: number) => Math.fround(at(0)(p, c) * at(2)(p, c));
      const expected = convolved(products).map(
        (sum, i) => sum * at(1)(Math.floor(i / channels), i % channels),
      );
      const rows = splits.map((split) =>
        inSteps(split, 16 + 4 * channels * KV_PAGE, x, channels, (bench, input, out) => [
          {
            ...operands(bench, input, out),
            [op.CONV_X_STRIDE]: 4 * width,
            [op.CONV_GATE]: 4 * channels,
            [op.CONV_TIMES]: 8 * channels,
            [op.CONV_KEPT]: KV_PAGE,
          },
          {},
        ]),
      );
      agree(rows, expected);
    });

    it(`${taps} taps and SiLU, of which a page has the last rows`, () => {
      const x = randomF32(POSITIONS * channels, 8);
      const expected = convolved((p, c) => x[p * channels + c] as number).map((sum) => sum * sigmoid(sum));
      const rows = splits.map((split) =>
        inSteps(split, 16 + 4 * channels * (taps - 1), x, channels, (bench, input, out) => [
          { ...operands(bench, input, out), [op.CONV_X_STRIDE]: 4 * channels, [op.CONV_KEPT]: taps - 1 },
          {},
        ]),
      );
      agree(rows, expected);
    });
  }
});

describe("OP_DELTA", () => {
  it("learns and forgets as its definition says", () => {
    const [heads, groups, dim] = [4, 2, 12];
    const width = (2 * groups + heads) * dim;
    const x = randomF32(POSITIONS * width, 9);
    const [alphas, betas] = [randomF32(POSITIONS * heads, 10), randomF32(POSITIONS * heads, 11)];
    const own = Float32Array.from([-0.5, -1, -0.01, -0.1]);
    const rows = splits.map((split) =>
      inSteps(split, 32 + 4 * heads * dim * dim, x, heads * dim, (bench, input, out, begin) => {
        const from = (all: Float32Array) =>
          bench.put(Float32Array.from([...all.subarray(0, heads), ...all.subarray(begin * heads)]));
        return [
          {
            [op.REC_OP]: op.OP_DELTA,
            [op.DELTA_X]: input,
            [op.DELTA_X_STRIDE]: 4 * width,
            [op.DELTA_OUT]: out,
            [op.DELTA_OUT_STRIDE]: 4 * heads * dim,
            [op.DELTA_ALPHA]: from(alphas),
            [op.DELTA_BETA]: from(betas),
            [op.DELTA_ALPHA_STRIDE]: 4 * heads,
            [op.DELTA_RATES]: bench.put(own),
            [op.DELTA_HEADS]: heads,
            [op.DELTA_GROUPS]: groups,
            [op.DELTA_DIM]: dim,
            [op.DELTA_LAYER]: 32,
          },
          { [op.DELTA_SCALE]: 1 / Math.sqrt(dim) },
        ];
      }),
    );
    const expected = new Float64Array(POSITIONS * heads * dim);
    for (let h = 0; h < heads; h++) {
      const state = Array.from({ length: dim }, () => new Float64Array(dim));
      for (let p = 0; p < POSITIONS; p++) {
        const vector = (at: number) =>
          Array.from(x.subarray(p * width + at * dim, p * width + (at + 1) * dim));
        const [query, key] = [vector(h % groups), vector(groups + (h % groups))];
        const value = vector(2 * groups + h);
        const alpha = alphas[p * heads + h] as number;
        const decay = Math.exp(Math.log1p(Math.exp(alpha)) * (own[h] as number));
        state.forEach((row, v) => {
          row.forEach((entry, i) => {
            row[i] = entry * decay;
          });
          const dot = (of: readonly number[]) =>
            row.reduce((sum, entry, i) => sum + entry * (of[i] as number), 0);
          const known = dot(key) / Math.sqrt(dim);
          const news = ((value[v] as number) - known) * sigmoid(betas[p * heads + h] as number);
          row.forEach((entry, i) => {
            row[i] = entry + (news * (key[i] as number)) / Math.sqrt(dim);
          });
          expected[(p * heads + h) * dim + v] = dot(query) / dim;
        });
      }
    }
    agree(rows, expected);
  });
});
