// matmul() of every weight format against its twin: any shape, number of tokens, form of the dot product and split.
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import {
  ACT_BLOCK_BYTES,
  ACT_SUPER,
  ACT_TOKENS,
  BLOCK_COLS,
  DOT_MOVED,
  DOT_SIGNED,
  DOT_WIDE,
  GROUP_STRIPS,
  Q4K_TILE_BYTES,
  SCALE_SHIFT,
  SUPER_COLS,
  TILE_ROWS,
  UNPACKED_BLOCKS,
  UNPACKED_BYTES,
  WEIGHT_Q4,
} from "../../assembly/layout/blocks.ts";
import { CONTROL_SPLATS, SPLAT_SHUFFLES } from "../../assembly/layout/control.ts";
import {
  FILE_Q4_0,
  FILE_Q4_0_BYTES,
  FILE_Q8_0,
  FILE_Q8_0_BYTES,
} from "../../assembly/layout/file_types.gen.ts";
import { scaleFactor } from "../../src/model/plan/writer.ts";
import { type FileType, weightFormats } from "../../src/quant/registry.ts";
import type { WeightFormat } from "../../src/quant/weight_format.ts";
import { type SuperFile, superFiles } from "../reference/file_superblocks.ts";
import { halfValue, nearestHalf } from "../reference/math.ts";
import { matmul } from "../reference/matmul.ts";
import {
  activationIntegers,
  activationScale,
  decodeActivations,
  decodeTiles,
  packedBytes,
  padded,
  stripsOf,
  tileInteger,
  tileMinimum,
  tileScale,
} from "../reference/quantize.ts";
import {
  bookOf,
  layoutOf,
  type SuperMatrix,
  superMatrix,
  superProduct,
  superRow,
  superValues,
} from "../reference/superblocks.ts";
import { dotEngineBenches } from "../support/dot_engines.ts";
import {
  blockRows,
  type FileRows,
  f32Rows,
  naturalTypes,
  packFileRows,
  rowsFor,
  takesAnyType,
} from "../support/file_rows.ts";
import { type KernelBench, nmse, randomF32 } from "../support/kernels.ts";
import { packRows } from "../support/packing.ts";
import { assertSameBytes, f32OnEveryVariant, onEveryVariant, variantBenches } from "../support/variants.ts";

// A group has 32 rows, of f32 16: one strip, a whole group, several groups, with and without a smaller one behind them.
const ROWS = [1, 4, 5, 16, 31, 32, 33, 64, 100, 328];
// 172 is padded to 192.
const COLS = [32, 96, 172];
// Rows of blocks are not padded.
const BLOCK_WIDTHS = [32, 96, 192];
const SUPER_WIDTHS = [SUPER_COLS, 2 * SUPER_COLS, 3 * SUPER_COLS];
// int8 activations go four tokens at a time, and nibbles are unpacked for more than eight; f32 goes in pairs of tokens.
const TOKENS = [1, 2, 3, 4, 5, 8, 9, 33];
const MOST_TOKENS = 33;
// Strides leave a gap behind each row that nobody may write.
const GAP = 32;

const STREAMS = [1, 2, 4, 8];
const SCRATCH_BYTES = UNPACKED_BLOCKS * GROUP_STRIPS * UNPACKED_BYTES;

// Engines that are imitated compute the same wherever they are: Deno, whose own form is among them, need not repeat them.
const imitated = "Deno" in globalThis ? [] : await dotEngineBenches(8 << 20);
const benches = [...(await variantBenches(8 << 20)), ...imitated];

/** DOT_MOVED with activations that shuffles splat, in the upper bits: a case of its own of superblocks. */
const SHUFFLED = DOT_MOVED | (SPLAT_SHUFFLES << 8);

/** DOT_* forms that a bench's build has and its engine computes exactly for a weight type, and SHUFFLED. */
function dotsOf({ kernels }: KernelBench, { name, weight, quantized, exact }: Type): number[] {
  const own = kernels.dot_form();
  if (own === DOT_WIDE || !quantized) return [DOT_WIDE];
  // Nibbles and fields are under 128, where all engines agree. Values of books have signs, or are bytes over 127.
  const small = exact ? !bookOf(weight) : name !== "q8" && name !== "nl";
  return [
    ...new Set([DOT_WIDE, DOT_MOVED, ...(exact ? [SHUFFLED] : []), ...(small ? [DOT_SIGNED] : []), own]),
  ];
}

/** A weight type and what is asked of it. */
interface Type {
  readonly name: string;
  readonly weight: number;
  readonly format: WeightFormat;
  readonly quantized: boolean;
  /** Whether the numerics are defined to the bit: those of superblocks. */
  readonly exact: boolean;
  /** Columns that share a scale of activations. */
  readonly block: number;
  readonly groupStrips: number;
  /** NMSE against the decoded weights times f32 activations: ggml's test-backend-ops asks for 5e-4. */
  readonly limit: number;
}

function typeOf(format: WeightFormat): Type {
  const { name, code, scaled, groupStrips, activation } = format;
  const exact = activation === ACT_SUPER;
  return {
    ...{ name, weight: code, format, quantized: scaled, exact, groupStrips },
    block: exact ? SUPER_COLS : BLOCK_COLS,
    limit: scaled ? 5e-4 : 1e-7,
  };
}

const types = Object.values(weightFormats).map(typeOf);

/** Operands of a product, as kernels take them. What is left out: nothing is added, from the first group on. */
interface Product {
  readonly w: number;
  readonly x: number;
  readonly xStride?: number;
  readonly out: number;
  readonly outStride?: number;
  readonly add?: number;
  readonly addStride?: number;
  readonly begin?: number;
  readonly end: number;
  readonly strips: number;
  readonly blocks: number;
  readonly tokens: number;
}

/** One product in one way. */
function multiply(
  bench: KernelBench,
  type: Type,
  p: Product,
  { dot = bench.kernels.dot_form(), streams = 2, scratch = 0, shift = SCALE_SHIFT } = {},
): void {
  const { xStride = 0, outStride = 0, add = 0, addStride = 0, begin = 0 } = p;
  const shape = [begin, p.end, p.strips, p.blocks, p.tokens] as const;
  const rows = [p.w, p.x, xStride, p.out, outStride, add, addStride] as const;
  const area = scratch || bench.alloc(SCRATCH_BYTES);
  bench.i32(CONTROL_SPLATS, 1)[0] = dot >> 8;
  bench.kernels.matmul(type.weight, ...rows, ...shape, dot & 255, streams, scaleFactor(shift), area);
}
// Against the same integers: f32 across blocks is all that rounds.
const TIGHT = 1e-10;

/** A product's operands: w [rows, cols], as a file has it, and f32 x [tokens, cols]. */
class Case {
  readonly type: Type;
  readonly rows: number;
  readonly cols: number;
  readonly w: FileRows;
  readonly x: Float32Array;
  readonly strips: number;
  readonly blocks: number;
  /** What w is packed to, if it does not come from packing. */
  readonly tiles: Uint8Array | undefined;

  constructor(
    type: Type,
    rows: number,
    cols: number,
    x: Float32Array,
    w = rowsFor(type.format, rows, cols, rows),
    tiles?: Uint8Array,
  ) {
    this.tiles = tiles;
    this.type = type;
    this.rows = rows;
    this.cols = cols;
    this.w = w;
    this.x = x;
    this.strips = stripsOf(rows);
    this.blocks = Math.ceil(cols / BLOCK_COLS);
  }

  /** Output values of a token: rows, padded. */
  get height(): number {
    return this.strips * TILE_ROWS;
  }

  /** Groups of strips. */
  get groups(): number {
    return Math.ceil(this.strips / this.type.groupStrips);
  }

  get tokens(): number {
    return this.x.length / this.cols;
  }

  packInto(bench: KernelBench, shift: number = SCALE_SHIFT): number {
    const { cols, rows, tiles, type, w } = this;
    if (tiles) return bench.put(tiles);
    const out = bench.alloc(packedBytes(type.weight, rows, cols));
    assert.equal(packFileRows(bench, w, type.weight, out, shift), 0);
    return out;
  }

  /** The first `tokens` rows of x in the activation format of the type, `stride` bytes apart. */
  activate(bench: KernelBench, tokens = this.tokens): { ptr: number; stride: number } {
    const { cols, blocks, type } = this;
    const width = blocks * BLOCK_COLS;
    if (!type.quantized) {
      const stride = 4 * width + GAP;
      const ptr = bench.alloc(tokens * stride);
      for (let t = 0; t < tokens; t++) this.#fill(bench.f32(ptr + t * stride, width), t);
      return { ptr, stride };
    }
    // Four tokens share blocks, in the room of four rows; what is behind the last token is of no matter.
    const stride = blocks * ACT_BLOCK_BYTES + GAP;
    const ptr = bench.alloc(padded(tokens, ACT_TOKENS) * stride);
    const row = bench.alloc(4 * width);
    for (let t = 0; t < tokens; t++) {
      this.#fill(bench.f32(row, width), t);
      const at = ptr + Math.floor(t / ACT_TOKENS) * ACT_TOKENS * stride;
      const { quantize_q8, quantize_q8x4, quantize_super, quantize_super_x4 } = bench.kernels;
      if (tokens === 1) (type.exact ? quantize_super : quantize_q8)(row, ptr, width);
      else (type.exact ? quantize_super_x4 : quantize_q8x4)(row, at, t % ACT_TOKENS, width);
    }
    assert.ok(cols <= width);
    return { ptr, stride };
  }

  #fill(row: Float32Array, t: number): void {
    row.fill(0).set(this.x.subarray(t * this.cols, (t + 1) * this.cols));
  }

  // What is computed from w alone, by the shift: a case is asked for it many times.
  readonly #packed = new Map<number, Uint8Array>();
  readonly #matrix = new Map<number, SuperMatrix>();
  #weights: Float64Array | undefined;

  packed(shift: number = SCALE_SHIFT): Uint8Array {
    return once(this.#packed, shift, () =>
      onEveryVariant(benches, (bench) =>
        bench.u8(this.packInto(bench, shift), packedBytes(this.type.weight, this.rows, this.cols)),
      ),
    );
  }

  /** The packed matrix of a format of superblocks. */
  matrix(shift: number = SCALE_SHIFT): SuperMatrix {
    return once(this.#matrix, shift, () =>
      superMatrix(this.type.weight, this.packed(shift), this.rows, this.cols, shift),
    );
  }

  decodedWeights(): Float64Array {
    this.#weights ??= this.type.exact
      ? superValues(this.matrix())
      : decodeTiles(this.type.weight, this.packed(), this.rows, this.cols);
    return this.#weights;
  }

  /** x of token t. */
  row(t: number): Float32Array {
    return this.x.subarray(t * this.cols, (t + 1) * this.cols);
  }

  /** out [tokens, height] of superblocks as it is defined, to the bit. */
  defined(add?: Float32Array, shift: number = SCALE_SHIFT): Float32Array<ArrayBuffer> {
    const { height } = this;
    const matrix = this.matrix(shift);
    const out = new Float32Array(this.tokens * height);
    for (let t = 0; t < this.tokens; t++) {
      const start = add?.subarray(t * height, (t + 1) * height);
      out.set(superProduct(matrix, superRow(this.row(t)), shift, start), t * height);
    }
    return out;
  }

  /** out [tokens, height] of blocks of 32 columns as it is defined, to the bit. */
  definedBlocks(): Float32Array<ArrayBuffer> {
    const { fround } = Math;
    const { type, rows, cols, height, blocks } = this;
    const factor = scaleFactor(SCALE_SHIFT);
    const bytes = this.packed();
    const out = new Float32Array(this.tokens * height);
    for (let t = 0; t < this.tokens; t++) {
      const { integers, scales } = this.#blocksOf(t);
      for (let r = 0; r < height; r++) {
        for (let b = 0; b < blocks; b++) {
          const place = [type.weight, bytes, r, 32 * b] as const;
          const xs = fround((scales[b] as number) * factor);
          const scaled = (half: number) => fround((half / factor) * xs);
          let sum = 0;
          let all = 0;
          for (let c = 32 * b; c < 32 * b + 32; c++) {
            const x = integers[c] as number;
            sum += tileInteger(type.weight, bytes, r, c, rows, cols) * x;
            all += x;
          }
          const product = fround(sum * scaled(tileScale(...place, rows, cols)));
          const minimum = fround(all * scaled(tileMinimum(...place, rows, cols)));
          const at = t * height + r;
          out[at] = fround(product + minimum) + (out[at] as number);
        }
      }
    }
    return out;
  }

  // The int8 and scales of token t.
  #blocksOf(t: number): { integers: Int32Array; scales: number[] } {
    const { bench } = benches[0] as (typeof benches)[number];
    bench.reset();
    const { ptr } = new Case(this.type, this.rows, this.cols, this.row(t), this.w).activate(bench);
    const bytes = bench.u8(ptr, this.blocks * ACT_BLOCK_BYTES);
    const scales = Array.from({ length: this.blocks }, (_, b) => activationScale(bytes, b));
    return { integers: activationIntegers(bytes, this.blocks * BLOCK_COLS), scales };
  }

  /** x [tokens, padded cols], as f32 or as what its blocks stand for. */
  activations(decoded: boolean): Float64Array {
    const width = this.blocks * BLOCK_COLS;
    const out = new Float64Array(this.tokens * width);
    for (let t = 0; t < this.tokens; t++) {
      const x = this.row(t);
      if (decoded && this.type.exact) {
        const { integers, scales } = superRow(x);
        for (let i = 0; i < integers.length; i++) {
          out[t * width + i] = (integers[i] as number) * (scales[Math.floor(i / SUPER_COLS)] as number);
        }
      } else if (decoded && this.type.quantized) {
        const { bench } = benches[0] as (typeof benches)[number];
        bench.reset();
        const { ptr } = new Case(this.type, this.rows, this.cols, x, this.w).activate(bench);
        out.set(decodeActivations(bench.u8(ptr, this.blocks * ACT_BLOCK_BYTES), width), t * width);
      } else {
        out.set(x, t * width);
      }
    }
    return out;
  }

  /** out [tokens, height] one token at a time, the same in every variant, dot form and number of streams. */
  byToken(shift: number = SCALE_SHIFT): Float32Array<ArrayBuffer> {
    const { type, strips, blocks, height, groups } = this;
    return f32OnEveryVariant(benches, (bench) => {
      const w = this.packInto(bench, shift);
      const scratch = bench.alloc(SCRATCH_BYTES);
      const out = bench.alloc(4 * this.tokens * height);
      let first: Float32Array | undefined;
      const xs = Array.from({ length: this.tokens }, (_, t) =>
        new Case(type, this.rows, this.cols, this.row(t), this.w).activate(bench),
      );
      for (const dot of dotsOf(bench, type)) {
        for (const streams of type.quantized ? STREAMS : [1]) {
          xs.forEach((x, t) => {
            multiply(
              bench,
              type,
              {
                w,
                x: x.ptr,
                out: out + 4 * t * height,
                end: groups,
                strips,
                blocks,
                tokens: 1,
              },
              { dot, streams, scratch, shift },
            );
          });
          const actual = bench.f32(out, this.tokens * height).slice();
          if (first) assert.deepEqual(actual, first, `dot ${dot}, ${streams} streams`);
          first ??= actual;
        }
      }
      return first as Float32Array;
    });
  }

  /** out [tokens, height] of all tokens in one call, the same in every variant and dot form. */
  together(shift: number = SCALE_SHIFT): Float32Array<ArrayBuffer> {
    const { type, strips, blocks, height, groups, tokens } = this;
    return f32OnEveryVariant(benches, (bench) => {
      const w = this.packInto(bench, shift);
      const { ptr: x, stride: xStride } = this.activate(bench);
      const scratch = bench.alloc(SCRATCH_BYTES);
      const outStride = 4 * height;
      let first: Float32Array | undefined;
      for (const dot of dotsOf(bench, type)) {
        const out = bench.alloc((tokens === 1 ? 1 : padded(tokens, ACT_TOKENS)) * outStride);
        const operands = { w, x, xStride, out, outStride, end: groups, strips, blocks, tokens };
        multiply(bench, type, operands, { dot, scratch, shift });
        const actual = bench.f32(out, tokens * height).slice();
        if (first) assert.deepEqual(actual, first, `dot ${dot}`);
        first ??= actual;
      }
      return first as Float32Array;
    });
  }

  twin(decoded: boolean): Float64Array {
    const x = this.activations(decoded);
    return matmul(this.decodedWeights(), x, this.tokens, this.height, this.blocks * BLOCK_COLS);
  }
}

/** The value of a key, computed when it is first asked for. */
function once<K, V>(values: Map<K, V>, key: K, compute: () => V): V {
  const found = values.get(key) ?? compute();
  values.set(key, found);
  return found;
}

/** Fails at the first value whose bits differ; zeros of either sign are equal. */
function assertSameF32(actual: Float32Array, expected: Float32Array, what: string): void {
  assert.equal(actual.length, expected.length, what);
  expected.forEach((v, i) => {
    if (actual[i] !== v) assert.fail(`${what}: value ${i} is ${actual[i]}, expected ${v}`);
  });
}

/** `tokens` rows of `values` values that lie `stride` bytes apart, behind one another. */
function gather(
  bench: KernelBench,
  ptr: number,
  stride: number,
  tokens: number,
  values: number,
): Float32Array {
  const out = new Float32Array(tokens * values);
  for (let t = 0; t < tokens; t++) out.set(bench.f32(ptr + t * stride, values), t * values);
  return out;
}

/** Fails where a gap between rows was written. */
function assertGaps(bench: KernelBench, ptr: number, stride: number, tokens: number): void {
  for (let t = 1; t <= tokens; t++) {
    assert.ok(
      bench.u8(ptr + t * stride - GAP, GAP).every((b) => b === 0xff),
      `the gap behind row ${t - 1} was written`,
    );
  }
}

/** out [tokens, height] by one call for each [split[i], split[i + 1]) groups; none may write other rows. */
function inPieces(bench: KernelBench, c: Case, split: number[]): Float32Array {
  const w = c.packInto(bench);
  const x = c.activate(bench);
  const scratch = bench.alloc(SCRATCH_BYTES);
  const outStride = 4 * c.height;
  const written = c.tokens === 1 ? 1 : padded(c.tokens, ACT_TOKENS);
  const out = bench.alloc(written * outStride);
  const all = bench.u8(out, written * outStride);
  const groupBytes = 16 * c.type.groupStrips;
  for (let i = 1; i < split.length; i++) {
    const [begin, end] = [split[i - 1] as number, split[i] as number];
    const expected = Uint8Array.from(all);
    multiply(
      bench,
      c.type,
      {
        w,
        x: x.ptr,
        xStride: x.stride,
        out,
        outStride,
        begin,
        end,
        strips: c.strips,
        blocks: c.blocks,
        tokens: c.tokens,
      },
      { scratch },
    );
    for (let t = 0; t < written; t++) {
      const at = t * outStride + groupBytes * begin;
      const stop = t * outStride + Math.min(groupBytes * end, outStride);
      expected.set(all.subarray(at, stop), at);
    }
    assertSameBytes(all, expected, `rows outside groups ${begin} to ${end}`);
  }
  return bench.f32(out, c.tokens * c.height);
}

for (const type of types) {
  describe(`matmul_${type.name}`, () => {
    it("agrees with its twin for every shape, and has the same bits for any number of tokens", () => {
      for (const cols of type.exact ? SUPER_WIDTHS : takesAnyType(type.format) ? COLS : BLOCK_WIDTHS) {
        const inputs = randomF32(MOST_TOKENS * cols, cols);
        for (const rows of ROWS) {
          const c = new Case(type, rows, cols, inputs);
          const expected = c.byToken();
          const what = `[${rows}, ${cols}]`;
          const error = nmse(expected, c.twin(false));
          assert.ok(error <= type.limit, `${what}: NMSE ${error}`);
          const tight = nmse(expected, c.twin(true));
          assert.ok(tight <= TIGHT, `${what}: NMSE ${tight} against the same integers`);
          if (type.exact) assertSameF32(expected, c.defined(), what);
          else if (type.quantized && rows <= 33) assertSameF32(expected, c.definedBlocks(), what);
          f32OnEveryVariant(benches, (bench) => {
            const w = c.packInto(bench);
            const scratch = bench.alloc(SCRATCH_BYTES);
            const outStride = 4 * c.height + GAP;
            for (const tokens of TOKENS) {
              const x = c.activate(bench, tokens);
              const written = tokens === 1 ? 1 : padded(tokens, ACT_TOKENS);
              for (const dot of dotsOf(bench, type)) {
                const out = bench.alloc(written * outStride);
                multiply(
                  bench,
                  type,
                  {
                    w,
                    x: x.ptr,
                    xStride: x.stride,
                    out,
                    outStride,
                    end: c.groups,
                    strips: c.strips,
                    blocks: c.blocks,
                    tokens,
                  },
                  { dot, scratch },
                );
                const actual = gather(bench, out, outStride, tokens, c.height);
                assertSameBytes(
                  new Uint8Array(actual.buffer),
                  new Uint8Array(expected.buffer, 0, actual.byteLength),
                  `${what}, ${tokens} tokens, dot ${dot}`,
                );
                assertGaps(bench, out, outStride, written);
              }
            }
            return new Float32Array(0);
          });
        }
      }
    });

    // Nibbles are unpacked for more than eight tokens only.
    for (const tokens of [5, 9]) {
      it(`is exact over more blocks than are unpacked at once, ${tokens} tokens`, () => {
        const cols = 32 * UNPACKED_BLOCKS + 3 * type.block;
        const c = new Case(type, 12, cols, randomF32(tokens * cols, 3));
        const expected = c.byToken();
        for (const { bench } of benches) {
          for (const dot of dotsOf(bench, type)) {
            bench.reset();
            const w = c.packInto(bench);
            const x = c.activate(bench);
            const out = bench.alloc(12 * 4 * c.height);
            const { strips, blocks, groups } = c;
            const rows = { out, outStride: 4 * c.height };
            const operands = {
              w,
              x: x.ptr,
              xStride: x.stride,
              end: groups,
              strips,
              blocks,
              tokens,
            };
            multiply(bench, type, { ...operands, ...rows }, { dot });
            assert.deepEqual(bench.f32(out, expected.length), expected);
            bench.checkGuards();
          }
        }
      });
    }

    it("adds a bias, a residual, and a residual in place, with the same bits", () => {
      for (const rows of [3, 33, 100]) {
        for (const tokens of [1, 4, 7]) {
          const cols = 2 * type.block;
          const c = new Case(type, rows, cols, randomF32(tokens * cols, rows));
          const product = c.byToken();
          const add = randomF32(tokens * c.height, 5);
          let residual: Float32Array | undefined;
          for (const kind of ["bias", "residual", "in place"]) {
            const actual = f32OnEveryVariant(benches, (bench) => {
              const w = c.packInto(bench);
              const x = c.activate(bench);
              const bytes = 4 * padded(tokens, ACT_TOKENS) * c.height;
              const addPtr = bench.alloc(bytes);
              bench.f32(addPtr, add.length).set(add);
              const out = kind === "in place" ? addPtr : bench.alloc(bytes);
              multiply(bench, type, {
                w,
                x: x.ptr,
                xStride: x.stride,
                out,
                outStride: 4 * c.height,
                add: addPtr,
                addStride: kind === "bias" ? 0 : 4 * c.height,
                end: c.groups,
                strips: c.strips,
                blocks: c.blocks,
                tokens,
              });
              return bench.f32(out, add.length);
            });
            // Whether f32 sums begin or end with what is added, they round within this of the exact sum.
            const expected = Array.from(
              product,
              (v, i) => v + (add[kind === "bias" ? i % c.height : i] as number),
            );
            const what = `${kind}, ${rows} rows, ${tokens} tokens`;
            assert.ok(nmse(actual, expected) <= 1e-13, `${what}: NMSE ${nmse(actual, expected)}`);
            const start = actual.map((_, i) => add[kind === "bias" ? i % c.height : i] as number);
            if (type.exact) assertSameF32(actual, c.defined(start), what);
            if (kind === "residual") residual = actual;
            if (kind === "in place") assert.deepEqual(actual, residual, what);
          }
        }
      }
    });

    it("has the same bits group by group and writes no other rows", () => {
      // 26 strips of 104 rows: 4 groups, of f32 7.
      const n = type.groupStrips === GROUP_STRIPS ? 4 : 7;
      const splits = [Array.from({ length: n + 1 }, (_, i) => i), [0, 1, n - 1, n], [0, 2, n]];
      for (const tokens of [1, 6]) {
        const c = new Case(type, 100, 2 * type.block, randomF32(tokens * 2 * type.block, 6));
        const whole = c.byToken();
        for (const split of splits) {
          const pieces = f32OnEveryVariant(benches, (bench) => inPieces(bench, c, split));
          assert.deepEqual(pieces, whole);
        }
      }
    });

    it("writes nothing for no tokens or no groups, and only what is added for no columns", () => {
      const none = { end: 1, strips: 2, blocks: type.block / BLOCK_COLS };
      const bytes = onEveryVariant(benches, (bench) => {
        const [w, x, out] = [bench.alloc(4096), bench.alloc(4096), bench.alloc(256)];
        const operands = { ...none, w, x, xStride: 64, out, outStride: 64 };
        multiply(bench, type, { ...operands, tokens: 0 });
        multiply(bench, type, { ...operands, begin: 1, tokens: 3 });
        multiply(bench, type, { ...operands, begin: 1, tokens: 1 });
        return bench.u8(out, 256);
      });
      assertSameBytes(bytes, new Uint8Array(256).fill(0xff), "out");
      const sums = f32OnEveryVariant(benches, (bench) => {
        const [w, x, out] = [bench.alloc(16), bench.alloc(16), bench.alloc(512)];
        const add = bench.put(Float32Array.of(1, 2, 3, 4, 5, 6, 7, 8));
        const operands = { ...none, w, x, outStride: 32, blocks: 0, tokens: 5 };
        multiply(bench, type, { ...operands, out, add });
        multiply(bench, type, { ...operands, out: out + 256 });
        return Float32Array.from([...bench.f32(out, 40), ...bench.f32(out + 256, 40)]);
      });
      assert.deepEqual([...sums], [...Array(5).fill([1, 2, 3, 4, 5, 6, 7, 8]).flat(), ...Array(40).fill(0)]);
    });

    it("stands activations of zero, tiny and huge ones", () => {
      const run = (scale: number) =>
        new Case(
          type,
          33,
          3 * type.block,
          randomF32(15 * type.block, 7).map((v) => v * scale),
        );
      assert.ok(
        run(0)
          .byToken()
          .every((v) => v === 0),
      );
      // Blocks under 1e-30 are zeros by definition; f32 activations stay what they are.
      const tiny = run(1e-35);
      if (type.quantized) assert.ok(tiny.byToken().every((v) => v === 0));
      else assert.ok(nmse(tiny.byToken(), tiny.twin(false)) <= type.limit);
      for (const scale of type.quantized ? [1e-28, 1e9] : [1e-28, 1e30]) {
        const c = run(scale);
        assert.ok(nmse(c.byToken(), c.twin(false)) <= type.limit, `scale ${scale}`);
        assert.ok(nmse(c.byToken(), c.twin(true)) <= TIGHT, `scale ${scale}`);
      }
    });

    it("stands zero, tiny and huge blocks in one row", () => {
      const x = randomF32(15 * type.block, 8);
      const scales = [0, 1e-35, 1e9];
      for (const block of new Set([BLOCK_COLS, type.block])) {
        const mixed = x.map((v, i) => v * (scales[Math.floor(i / block) % 3] as number));
        const c = new Case(type, 33, 3 * type.block, mixed);
        assert.ok(nmse(c.byToken(), c.twin(true)) <= TIGHT);
        if (type.exact) assertSameF32(c.byToken(), c.defined(), `blocks of ${block}`);
      }
    });

    it("gives NaN for the token with a NaN, and for no other", () => {
      for (const { bench } of benches) {
        for (const dot of dotsOf(bench, type)) {
          bench.reset();
          const cols = 2 * type.block;
          const x = randomF32(6 * cols, 9);
          x[2 * cols + 40] = Number.NaN;
          const c = new Case(type, 5, cols, x);
          const w = c.packInto(bench);
          const acts = c.activate(bench);
          const out = bench.alloc(4 * 8 * 8);
          multiply(
            bench,
            type,
            {
              w,
              x: acts.ptr,
              xStride: acts.stride,
              out,
              outStride: 32,
              end: c.groups,
              strips: 2,
              blocks: c.blocks,
              tokens: 6,
            },
            { dot },
          );
          for (let t = 0; t < 6; t++) {
            const row = bench.f32(out + 32 * t, 5);
            assert.ok(
              row.every((v) => Number.isNaN(v) === (t === 2)),
              `token ${t}`,
            );
          }
        }
      }
    });
  });
}

/** File blocks of one row each: a half scale, then bytes. */
function fileBlocks(
  rows: { scale: number; values: (i: number) => number }[],
  blockBytes: number,
): Uint8Array {
  const bytes = new Uint8Array(rows.length * blockBytes);
  rows.forEach(({ scale, values }, r) => {
    new DataView(bytes.buffer).setUint16(r * blockBytes, scale, true);
    for (let i = 2; i < blockBytes; i++) bytes[r * blockBytes + i] = values(i - 2);
  });
  return bytes;
}

/**
 * out [tokens, rows] of file blocks of 32 columns, the same in every variant and for every dot form that `dots` lets
 * through.
 */
function blockProduct(
  type: Type,
  file: number,
  blocks: Uint8Array,
  rows: number,
  x: Float32Array,
  dots: (dot: number) => boolean = () => true,
): Float32Array<ArrayBuffer> {
  const tokens = x.length / 32;
  return f32OnEveryVariant(benches, (bench) => {
    const w = bench.alloc(packedBytes(type.weight, rows, 32));
    const rowBytes = blocks.length / rows;
    const src = bench.put(blocks);
    assert.equal(packRows(bench, { file, weight: type.weight, src, rowBytes, rows, cols: 32, out: w }), 0);
    const c = new Case(type, rows, 32, x, f32Rows(new Float32Array(0), 0, 32));
    const acts = c.activate(bench);
    const written = tokens === 1 ? 1 : padded(tokens, ACT_TOKENS);
    const out = bench.alloc(4 * written * c.height);
    const scratch = bench.alloc(SCRATCH_BYTES);
    let first: Float32Array | undefined;
    for (const dot of dotsOf(bench, type).filter(dots)) {
      const { strips, groups } = c;
      const to = { out, outStride: 4 * c.height };
      const from = { w, x: acts.ptr, xStride: acts.stride, end: groups, strips, blocks: 1, tokens };
      multiply(bench, type, { ...from, ...to }, { dot, scratch });
      const actual = gather(bench, out, 4 * c.height, tokens, rows);
      if (first) assert.deepEqual(actual, first, `dot ${dot}`);
      first ??= actual;
    }
    return first as Float32Array;
  });
}

/** Activation rows at the ends of their range, whose scale is 1 so that they stay the integers they are. */
function extremeRows(largest: number, tokens: number): Float32Array {
  const rules = [() => 1, () => -1, (i: number) => (i % 2 ? 1 : -1), (i: number) => (i % 4 < 2 ? 1 : -1)];
  return Float32Array.from({ length: 32 * tokens }, (_, i) => {
    const rule = rules[Math.floor(i / 32) % rules.length] as (i: number) => number;
    return largest * rule(i % 32);
  });
}

describe("integer products", () => {
  const ends = [-128, 127, 0, -1];
  const q8 = typeOf(weightFormats.q8);
  const q4 = typeOf(weightFormats.q4);

  it("are exact for q8 weights of -128 and 127", () => {
    const rows = ends.map((v) => ({ scale: nearestHalf(1), values: () => v }));
    rows.push({ scale: nearestHalf(-1), values: () => -128 });
    const blocks = fileBlocks(rows, FILE_Q8_0_BYTES);
    const x = extremeRows(127, 7);
    const w = Float64Array.from({ length: 5 * 32 }, (_, i) => [...ends, 128][Math.floor(i / 32)] as number);
    // A magnitude of 128 is more than DOT_MOVED can compute with: plans take another form for such a matrix.
    const actual = blockProduct(q8, FILE_Q8_0, blocks, 5, x, (dot) => dot !== DOT_MOVED);
    assert.deepEqual([...actual].map(noMinusZero), [...matmul(w, x, 7, 5, 32)].map(noMinusZero));
  });

  it("are exact for q8 weights of -127 and 127 in every form", () => {
    const values = [-127, 127, 0, -1];
    const blocks = fileBlocks(
      values.map((v) => ({ scale: nearestHalf(1), values: () => v })),
      FILE_Q8_0_BYTES,
    );
    for (const tokens of [1, 7]) {
      const x = extremeRows(127, tokens);
      const w = Float64Array.from({ length: 4 * 32 }, (_, i) => values[Math.floor(i / 32)] as number);
      const actual = blockProduct(q8, FILE_Q8_0, blocks, 4, x);
      assert.deepEqual([...actual].map(noMinusZero), [...matmul(w, x, tokens, 4, 32)].map(noMinusZero));
    }
  });

  it("are exact for q4 weights of -8 and 7", () => {
    const rows = [0x00, 0xff, 0x88, 0x0f].map((v) => ({ scale: nearestHalf(1), values: () => v }));
    rows.push({ scale: nearestHalf(-1), values: () => 0x00 });
    const blocks = fileBlocks(rows, FILE_Q4_0_BYTES);
    const x = extremeRows(127, 7);
    const low = [-8, 7, 0, 7, 8];
    const high = [-8, 7, 0, -8, 8];
    const w = Float64Array.from(
      { length: 5 * 32 },
      (_, i) => (i % 32 < 16 ? low : high)[Math.floor(i / 32)] as number,
    );
    const actual = blockProduct(q4, FILE_Q4_0, blocks, 5, x);
    assert.deepEqual([...actual].map(noMinusZero), [...matmul(w, x, 7, 5, 32)].map(noMinusZero));
  });

  for (const [type, file, blockBytes, first, weight, largest] of [
    [q8, FILE_Q8_0, FILE_Q8_0_BYTES, [1], 1, 127],
    [q4, FILE_Q4_0, FILE_Q4_0_BYTES, [0x8f], 7, 127],
  ] as const) {
    it(`meet every finite half as a scale of ${type.name} exactly`, () => {
      const rest = type.weight === WEIGHT_Q4 ? 0x88 : 0;
      // Larger ones are stored without SCALE_SHIFT, which pack() says.
      const halves = Array.from({ length: 65536 }, (_, bits) => bits).filter((b) => (b & 0x7c00) <= 20 << 10);
      // Some thousands at a time fit the bench.
      for (let at = 0; at < halves.length; at += 15872) {
        const part = halves.slice(at, at + 15872);
        const rows = part.map((scale) => ({ scale, values: (i: number) => first[i] ?? rest }));
        const x = new Float32Array(32);
        x[0] = largest;
        const actual = blockProduct(type, file, fileBlocks(rows, blockBytes), part.length, x);
        part.forEach((bits, r) => {
          if (actual[r] !== largest * weight * halfValue(bits)) assert.fail(`half ${bits}: ${actual[r]}`);
        });
      }
    });
  }
});

/** Superblocks in which all bytes of scales and minima, and all of weights, are one of these; halves are 1 or -1. */
function extremeSuperblocks({ name, code, blockBytes, blockCols }: FileType): FileRows {
  const bytes = [0xff, 0x00, 0x7f, 0x80];
  const { halves, scales } = superFiles[code] as SuperFile;
  const rows = bytes.flatMap((scale) => bytes.map((weight) => ({ scale, weight })));
  const all = new Uint8Array(rows.length * blockBytes);
  rows.forEach(({ scale, weight }, r) => {
    const block = all.subarray(r * blockBytes, (r + 1) * blockBytes).fill(weight);
    block.fill(scale, ...scales);
    halves.forEach((setHalf, i) => {
      setHalf(new DataView(all.buffer), r * blockBytes, nearestHalf((r + i) % 3 ? 1 : -1));
    });
  });
  const { grid } = blockRows(name, 0, blockCols, 0);
  return {
    file: code,
    bytes: all,
    rowBytes: blockBytes,
    rows: rows.length,
    cols: blockCols,
    ...(grid && { grid }),
  };
}

/** Activation rows of superblocks at the ends of their range. */
function extremeSupers(cols: number, tokens: number): Float32Array {
  const rules = [() => 1, () => -1, (i: number) => (i % 2 ? 1 : -1), (i: number) => (i % 64 < 32 ? 1 : -1)];
  return Float32Array.from(
    { length: cols * tokens },
    (_, i) => 127 * (rules[Math.floor(i / cols) % rules.length] as (i: number) => number)(i % cols),
  );
}

// What a block's positive activations, or negative ones, add up to where sums with weights of 5 and of 4 bits leave 16 bits.
const EDGES = [1057, 1058, 2184, 2185] as const;

/** Four rows of activations for each edge, whose blocks all add up to it, or to its negative. */
function edgeSupers(cols: number): Float32Array {
  return Float32Array.from({ length: 4 * EDGES.length * cols }, (_, i) => {
    const token = Math.floor(i / cols);
    const left = (EDGES[token >> 2] as number) - 127 * (i % 32);
    return Math.max(0, Math.min(127, left)) * (token % 2 ? -1 : 1);
  });
}

const EXTREME_ROWS = 16;

function blockRowsOf(type: Type, rows: number): FileRows {
  const [first] = naturalTypes(type.format);
  return blockRows((first as FileType).name, rows, SUPER_COLS, 1);
}

/**
 * A packed matrix [EXTREME_ROWS, SUPER_COLS] of a format with a book: in each strip all weights are one end of the book, and
 * all scales -32, the lowest of any type, or 31. d is 1.
 */
function extremeTiles(type: Type): Uint8Array {
  const bytes = new Uint8Array(packedBytes(type.weight, EXTREME_ROWS, SUPER_COLS));
  const last = (bookOf(type.weight) as number[]).length - 1;
  const { headBytes, tileBytes } = layoutOf(type.weight);
  for (let strip = 0; strip < 4; strip++) {
    const head = bytes.subarray(strip * headBytes, (strip + 1) * headBytes).fill(strip < 2 ? -32 : 31);
    for (let r = 0; r < 4; r++)
      new DataView(head.buffer, head.byteOffset).setUint16(2 * r, 0x3c00 + (SCALE_SHIFT << 10), true);
    const n = strip % 2 ? last : 0;
    for (let block = 0; block < 8; block++) {
      const at = 4 * headBytes + (4 * block + strip) * tileBytes;
      const tile = bytes.subarray(at, at + tileBytes);
      if (tileBytes === Q4K_TILE_BYTES) tile.fill(17 * n);
      // Three bits: see X3K_TILE_BYTES.
      else tile.fill(9 * n + 64 * (n % 4)).fill(9 * n + 192 * (n >> 2), 32);
    }
  }
  return bytes;
}

for (const type of types.filter(({ exact }) => exact)) {
  describe(`products of ${type.name}`, () => {
    for (const fileType of naturalTypes(type.format)) {
      it(`are exact for ${fileType.name} whose bytes are all at an end`, () => {
        const w = extremeSuperblocks(fileType);
        for (const tokens of [1, 7]) {
          const c = new Case(type, w.rows, w.cols, extremeSupers(w.cols, tokens), w);
          const expected = c.defined();
          assertSameF32(c.byToken(), expected, "one token");
          assertSameF32(c.together(), expected, `${tokens} tokens`);
          // Activations of 127 add up to the sum of the weights.
          const sum = c
            .decodedWeights()
            .subarray(0, w.cols)
            .reduce((a, b) => a + b, 0);
          assert.equal(expected[0], Math.fround(127 * sum));
        }
      });

      it(`are exact for ${fileType.name} where sums of a block leave 16 bits`, () => {
        const w = extremeSuperblocks(fileType);
        const c = new Case(type, w.rows, w.cols, edgeSupers(w.cols), w);
        assertSameF32(c.together(), c.defined(), "four tokens for each sum");
      });
    }

    if (bookOf(type.weight)) {
      it("are exact for the ends of the book and of scales", () => {
        const tiles = extremeTiles(type);
        for (const tokens of [1, 7]) {
          const x = extremeSupers(SUPER_COLS, tokens);
          const c = new Case(type, EXTREME_ROWS, SUPER_COLS, x, blockRowsOf(type, EXTREME_ROWS), tiles);
          const expected = c.defined();
          const ends = bookOf(type.weight) as number[];
          const largest = Math.max(...ends.map(Math.abs));
          assert.equal(Math.max(...expected.map(Math.abs)), Math.fround(largest * 32 * 127 * SUPER_COLS));
          assertSameF32(c.byToken(), expected, "one token");
          assertSameF32(c.together(), expected, `${tokens} tokens`);
        }
      });
    }

    it("are exact for halves of any size, with and without a shift", () => {
      const [first] = naturalTypes(type.format);
      const { code, name, blockBytes, blockCols } = first as FileType;
      for (const [i, setHalf] of (superFiles[code] as SuperFile).halves.entries()) {
        for (const shift of [SCALE_SHIFT, 0]) {
          // Larger ones are stored without SCALE_SHIFT, which pack() says.
          const most = (shift ? 20 << 10 : 31 << 10) - 1;
          const rows = 200;
          const w = blockRows(name, rows, blockCols, 5);
          const view = new DataView(w.bytes.buffer);
          for (let r = 0; r < rows; r++) {
            const bits = r < 4 ? r % 2 : Math.round((most * r) / (rows - 1));
            setHalf(view, r * blockBytes, bits + (r % 3 ? 0 : 0x8000));
          }
          const c = new Case(type, rows, blockCols, randomF32(6 * blockCols, 4), w);
          const expected = c.defined(undefined, shift);
          assert.ok(expected.every(Number.isFinite));
          assertSameF32(c.byToken(shift), expected, `half ${i}, shift ${shift}`);
          assertSameF32(c.together(shift), expected, `half ${i}, shift ${shift}, 6 tokens`);
        }
      }
    });
  });
}

function noMinusZero(x: number): number {
  return x + 0;
}
