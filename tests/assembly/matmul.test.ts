import assert from "node:assert/strict";
import { describe, it } from "node:test";
import {
  ACT_BLOCK_BYTES,
  BLOCK_COLS,
  FILE_F32,
  FILE_Q4_0,
  FILE_Q4_0_BYTES,
  FILE_Q8_0,
  FILE_Q8_0_BYTES,
  TILE_ROWS,
  WEIGHT_F32,
  WEIGHT_Q4,
  WEIGHT_Q8,
} from "../../assembly/layout/blocks.ts";
import { PACK_SCRATCH_BYTES } from "../../assembly/layout/control.ts";
import type { Variant } from "../../src/kernels/variant.ts";
import { halfValue, nearestHalf } from "../reference/math.ts";
import { matmul } from "../reference/matmul.ts";
import { decodeActivations, decodeTiles, packedBytes, padded } from "../reference/quantize.ts";
import { type KernelBench, nmse, randomF32 } from "../support/kernels.ts";
import { assertSameBytes, f32OnEveryVariant, onEveryVariant, variantBenches } from "../support/variants.ts";

// 4-row strips go eight at a time: one and seven strips, groups of eight with and without a rest, three groups.
const ROWS = [1, 2, 3, 4, 5, 28, 31, 32, 33, 64, 100];
// 172 is padded to 192.
const COLS = [32, 64, 160, 172];
// Tokens go four at a time.
const TOKENS = [1, 2, 3, 4, 5, 6, 7, 8, 9, 33];
const MOST_TOKENS = 33;
// Strides leave a gap behind each row that nobody may write.
const GAP = 32;

const benches = await variantBenches(8 << 20);

/** A weight type, its kernels and what is asked of them. */
interface Type {
  readonly name: string;
  readonly weight: number;
  readonly matmul: "matmul_f32" | "matmul_q8" | "matmul_q4";
  readonly matvec: "matvec_f32" | "matvec_q8" | "matvec_q4";
  readonly quantize: "quantize_q8w" | "quantize_q4w" | undefined;
  /** NMSE against the decoded weights times f32 activations: ggml's test-backend-ops asks for 5e-4. */
  readonly limit: number;
  readonly offsetOf: (variant: Variant) => number;
}

const types: Type[] = [
  {
    name: "f32",
    weight: WEIGHT_F32,
    matmul: "matmul_f32",
    matvec: "matvec_f32",
    quantize: undefined,
    limit: 1e-7,
    offsetOf: () => 0,
  },
  {
    name: "q8",
    weight: WEIGHT_Q8,
    matmul: "matmul_q8",
    matvec: "matvec_q8",
    quantize: "quantize_q8w",
    limit: 5e-4,
    offsetOf: (variant) => (variant.startsWith("relaxed") ? 64 : 0),
  },
  {
    name: "q4",
    weight: WEIGHT_Q4,
    matmul: "matmul_q4",
    matvec: "matvec_q4",
    quantize: "quantize_q4w",
    limit: 5e-4,
    offsetOf: () => 0,
  },
];
// Against the same integers: f32 across blocks is all that rounds.
const TIGHT = 1e-10;

/** A product's operands: f32 w [rows, cols] and x [tokens, cols]. */
class Case {
  readonly type: Type;
  readonly rows: number;
  readonly cols: number;
  readonly w: Float32Array;
  readonly x: Float32Array;
  readonly strips: number;
  readonly blocks: number;

  constructor(type: Type, rows: number, cols: number, x: Float32Array, w = randomF32(rows * cols, rows)) {
    this.type = type;
    this.rows = rows;
    this.cols = cols;
    this.w = w;
    this.x = x;
    this.strips = Math.ceil(rows / TILE_ROWS);
    this.blocks = Math.ceil(cols / BLOCK_COLS);
  }

  /** Output values of a token: rows, padded. */
  get height(): number {
    return this.strips * TILE_ROWS;
  }

  get tokens(): number {
    return this.x.length / this.cols;
  }

  packInto(bench: KernelBench): number {
    const { cols, rows, type } = this;
    const out = bench.alloc(packedBytes(type.weight, rows, cols));
    const src = bench.put(this.w);
    assert.equal(
      bench.kernels.pack(
        FILE_F32,
        type.weight,
        src,
        4 * cols,
        0,
        0,
        0,
        rows,
        cols,
        out,
        bench.alloc(PACK_SCRATCH_BYTES),
      ),
      0,
    );
    return out;
  }

  /** x in the activation format of the type, tokens `stride` bytes apart. */
  activate(bench: KernelBench): { ptr: number; stride: number } {
    const { cols, blocks, tokens, type } = this;
    const width = blocks * BLOCK_COLS;
    const rowBytes = type.quantize ? blocks * ACT_BLOCK_BYTES : 4 * width;
    const stride = rowBytes + GAP;
    const ptr = bench.alloc(tokens * stride);
    const scratch = bench.alloc(4 * width);
    for (let t = 0; t < tokens; t++) {
      const at = ptr + t * stride;
      const row = type.quantize ? scratch : at;
      bench
        .f32(row, width)
        .fill(0)
        .set(this.x.subarray(t * cols, (t + 1) * cols));
      if (type.quantize) bench.kernels[type.quantize](scratch, at, width);
    }
    return { ptr, stride };
  }

  decodedWeights(): Float64Array {
    const bytes = onEveryVariant(benches, (bench) =>
      bench.u8(this.packInto(bench), packedBytes(this.type.weight, this.rows, this.cols)),
    );
    return decodeTiles(this.type.weight, bytes, this.rows, this.cols);
  }

  /** x [tokens, padded cols], as f32 or as what its blocks stand for. */
  activations(decoded: boolean): Float64Array {
    const width = this.blocks * BLOCK_COLS;
    const out = new Float64Array(this.tokens * width);
    if (decoded && this.type.quantize) {
      const { bench, variant } = benches[0] as (typeof benches)[number];
      bench.reset();
      const { ptr, stride } = this.activate(bench);
      for (let t = 0; t < this.tokens; t++) {
        const bytes = bench.u8(ptr + t * stride, this.blocks * ACT_BLOCK_BYTES);
        out.set(decodeActivations(bytes, width, this.type.offsetOf(variant)), t * width);
      }
    } else {
      for (let t = 0; t < this.tokens; t++)
        out.set(this.x.subarray(t * this.cols, (t + 1) * this.cols), t * width);
    }
    return out;
  }

  /** out [tokens, height] by the kernels one token at a time, the same in every variant. */
  byToken(add?: Float32Array): Float32Array<ArrayBuffer> {
    return f32OnEveryVariant(benches, (bench) => {
      const w = this.packInto(bench);
      const x = this.activate(bench);
      const out = bench.alloc(4 * this.tokens * this.height);
      const addPtr = add ? bench.put(add) : 0;
      for (let t = 0; t < this.tokens; t++) {
        const at = 4 * t * this.height;
        const addRow = addPtr ? addPtr + at : 0;
        bench.kernels[this.type.matvec](
          w,
          x.ptr + t * x.stride,
          out + at,
          addRow,
          0,
          this.strips,
          this.blocks,
        );
      }
      return bench.f32(out, this.tokens * this.height);
    });
  }

  twin(decoded: boolean): Float64Array {
    const x = this.activations(decoded);
    return matmul(this.decodedWeights(), x, this.tokens, this.height, this.blocks * BLOCK_COLS);
  }
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

/** out [tokens, height] by one call for each [split[i], split[i + 1]); none may write other rows. */
function inPieces(bench: KernelBench, c: Case, split: number[]): Float32Array {
  const w = c.packInto(bench);
  const x = c.activate(bench);
  const stride = 4 * c.height;
  const out = bench.alloc(c.tokens * stride);
  const all = bench.u8(out, c.tokens * stride);
  for (let i = 1; i < split.length; i++) {
    const [begin, end] = [split[i - 1] as number, split[i] as number];
    const expected = Uint8Array.from(all);
    bench.kernels[c.type.matmul](w, x.ptr, x.stride, out, stride, 0, 0, begin, end, c.blocks, c.tokens);
    for (let t = 0; t < c.tokens; t++) {
      const at = t * stride + 16 * begin;
      expected.set(all.subarray(at, t * stride + 16 * end), at);
    }
    assertSameBytes(all, expected, `rows outside strips ${begin} to ${end}`);
  }
  return bench.f32(out, c.tokens * c.height);
}

for (const type of types) {
  describe(type.matmul, () => {
    it("agrees with its twin for every shape, and has the same bits for any number of tokens", () => {
      for (const rows of ROWS) {
        for (const cols of COLS) {
          const c = new Case(type, rows, cols, randomF32(MOST_TOKENS * cols, cols));
          const expected = c.byToken();
          const what = `[${rows}, ${cols}]`;
          const error = nmse(expected, c.twin(false));
          assert.ok(error <= type.limit, `${what}: NMSE ${error}`);
          const tight = nmse(expected, c.twin(true));
          assert.ok(tight <= TIGHT, `${what}: NMSE ${tight} against the same integers`);
          f32OnEveryVariant(benches, (bench) => {
            const w = c.packInto(bench);
            const x = c.activate(bench);
            const stride = 4 * c.height + GAP;
            for (const tokens of TOKENS) {
              const out = bench.alloc(tokens * stride);
              bench.kernels[type.matmul](
                w,
                x.ptr,
                x.stride,
                out,
                stride,
                0,
                0,
                0,
                c.strips,
                c.blocks,
                tokens,
              );
              const actual = gather(bench, out, stride, tokens, c.height);
              assertSameBytes(
                new Uint8Array(actual.buffer),
                new Uint8Array(expected.buffer, 0, actual.byteLength),
                `${what}, ${tokens} tokens`,
              );
              assertGaps(bench, out, stride, tokens);
            }
            return new Float32Array(0);
          });
        }
      }
    });

    it("adds a bias, a residual, and a residual in place, with the same bits", () => {
      for (const rows of [3, 33, 100]) {
        for (const tokens of [1, 4, 7]) {
          const c = new Case(type, rows, 64, randomF32(tokens * 64, rows));
          const product = c.byToken();
          const add = randomF32(tokens * c.height, 5);
          let residual: Float32Array | undefined;
          for (const kind of ["bias", "residual", "in place"]) {
            const actual = f32OnEveryVariant(benches, (bench) => {
              const w = c.packInto(bench);
              const x = c.activate(bench);
              const addPtr = bench.put(add);
              const out = kind === "in place" ? addPtr : bench.alloc(add.byteLength);
              const [stride, addStride] = [4 * c.height, kind === "bias" ? 0 : 4 * c.height];
              bench.kernels[type.matmul](
                w,
                x.ptr,
                x.stride,
                out,
                stride,
                addPtr,
                addStride,
                0,
                c.strips,
                c.blocks,
                tokens,
              );
              return bench.f32(out, add.length);
            });
            // Whether f32 sums begin or end with what is added, they round within this of the exact sum.
            const expected = Array.from(
              product,
              (v, i) => v + (add[kind === "bias" ? i % c.height : i] as number),
            );
            const what = `${kind}, ${rows} rows, ${tokens} tokens`;
            assert.ok(nmse(actual, expected) <= 1e-13, `${what}: NMSE ${nmse(actual, expected)}`);
            if (kind === "residual") residual = actual;
            if (kind === "in place") assert.deepEqual(actual, residual, what);
          }
        }
      }
    });

    it("has the same bits strip by strip and writes no other rows", () => {
      const splits = [
        Array.from({ length: 26 }, (_, i) => i),
        [0, 1, 9, 25],
        [0, 8, 16, 24, 25],
        [0, 13, 25],
      ];
      for (const tokens of [1, 6]) {
        const c = new Case(type, 100, 64, randomF32(tokens * 64, 6));
        const whole = c.byToken();
        for (const split of splits) {
          const pieces = f32OnEveryVariant(benches, (bench) => inPieces(bench, c, split));
          assert.deepEqual(pieces, whole);
        }
      }
    });

    it("writes nothing for no tokens or no strips, and only what is added for no columns", () => {
      const bytes = onEveryVariant(benches, (bench) => {
        const [w, x, out] = [bench.alloc(4096), bench.alloc(4096), bench.alloc(256)];
        bench.kernels[type.matmul](w, x, 64, out, 64, 0, 0, 0, 4, 1, 0);
        bench.kernels[type.matmul](w, x, 64, out, 64, 0, 0, 2, 2, 1, 3);
        bench.kernels[type.matvec](w, x, out, 0, 0, 0, 1);
        return bench.u8(out, 256);
      });
      assertSameBytes(bytes, new Uint8Array(256).fill(0xff), "out");
      const sums = f32OnEveryVariant(benches, (bench) => {
        const [w, x, out] = [bench.alloc(16), bench.alloc(16), bench.alloc(160)];
        const add = bench.put(Float32Array.of(1, 2, 3, 4));
        bench.kernels[type.matmul](w, x, 0, out, 16, add, 0, 0, 1, 0, 5);
        bench.kernels[type.matmul](w, x, 0, out + 80, 16, 0, 0, 0, 1, 0, 5);
        return bench.f32(out, 40);
      });
      assert.deepEqual([...sums], [...Array(5).fill([1, 2, 3, 4]).flat(), ...Array(20).fill(0)]);
    });

    it("stands activations of zero, tiny and huge ones", () => {
      const run = (scale: number) =>
        new Case(
          type,
          33,
          96,
          randomF32(5 * 96, 7).map((v) => v * scale),
        );
      assert.ok(
        run(0)
          .byToken()
          .every((v) => v === 0),
      );
      // Blocks under 1e-30 are zeros by definition; f32 activations stay what they are.
      const tiny = run(1e-35);
      if (type.quantize) assert.ok(tiny.byToken().every((v) => v === 0));
      else assert.ok(nmse(tiny.byToken(), tiny.twin(false)) <= type.limit);
      for (const scale of [1e-28, 1e30]) {
        const c = run(scale);
        assert.ok(nmse(c.byToken(), c.twin(false)) <= type.limit, `scale ${scale}`);
        assert.ok(nmse(c.byToken(), c.twin(true)) <= TIGHT, `scale ${scale}`);
      }
    });

    it("stands zero, tiny and huge blocks in one row", () => {
      const x = randomF32(5 * 96, 8);
      const scales = [0, 1e-35, 1e30];
      const mixed = x.map((v, i) => v * (scales[Math.floor(i / 32) % 3] as number));
      const c = new Case(type, 33, 96, mixed);
      assert.ok(nmse(c.byToken(), c.twin(true)) <= TIGHT);
    });

    it("gives NaN for the token with a NaN, and for no other", () => {
      for (const { bench } of benches) {
        bench.reset();
        const x = randomF32(6 * 64, 9);
        x[2 * 64 + 40] = Number.NaN;
        const c = new Case(type, 5, 64, x);
        const w = c.packInto(bench);
        const acts = c.activate(bench);
        const out = bench.alloc(4 * 6 * 8);
        bench.kernels[type.matmul](w, acts.ptr, acts.stride, out, 32, 0, 0, 0, 2, 2, 6);
        for (let t = 0; t < 6; t++) {
          const row = bench.f32(out + 32 * t, 5);
          assert.ok(
            row.every((v) => Number.isNaN(v) === (t === 2)),
            `token ${t}`,
          );
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

/** out [tokens, rows] of file blocks of 32 columns, the same in every variant. */
function blockProduct(
  type: Type,
  file: number,
  blocks: Uint8Array,
  rows: number,
  x: Float32Array,
): Float32Array<ArrayBuffer> {
  const tokens = x.length / 32;
  return f32OnEveryVariant(benches, (bench) => {
    const w = bench.alloc(packedBytes(type.weight, rows, 32));
    const status = bench.kernels.pack(
      file,
      type.weight,
      bench.put(blocks),
      blocks.length / rows,
      0,
      0,
      0,
      rows,
      32,
      w,
      bench.alloc(PACK_SCRATCH_BYTES),
    );
    assert.equal(status, 0);
    const acts = bench.alloc(tokens * ACT_BLOCK_BYTES);
    bench.kernels[type.quantize as "quantize_q8w"](bench.put(x), acts, x.length);
    const height = padded(rows, TILE_ROWS);
    const out = bench.alloc(4 * tokens * height);
    const strips = height / TILE_ROWS;
    bench.kernels[type.matmul](w, acts, ACT_BLOCK_BYTES, out, 4 * height, 0, 0, 0, strips, 1, tokens);
    return gather(bench, out, 4 * height, tokens, rows);
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
  const q8 = types[1] as Type;
  const q4 = types[2] as Type;

  it("are exact for q8 weights of -128 and 127", () => {
    const rows = ends.map((v) => ({ scale: nearestHalf(1), values: () => v }));
    rows.push({ scale: nearestHalf(-1), values: () => -128 });
    const blocks = fileBlocks(rows, FILE_Q8_0_BYTES);
    const x = extremeRows(63, 7);
    const w = Float64Array.from({ length: 5 * 32 }, (_, i) => [...ends, 128][Math.floor(i / 32)] as number);
    const actual = blockProduct(q8, FILE_Q8_0, blocks, 5, x);
    assert.deepEqual([...actual].map(noMinusZero), [...matmul(w, x, 7, 5, 32)].map(noMinusZero));
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
    [q8, FILE_Q8_0, FILE_Q8_0_BYTES, [1], 1, 63],
    [q4, FILE_Q4_0, FILE_Q4_0_BYTES, [0x8f], 7, 127],
  ] as const) {
    it(`meet every finite half as a scale of ${type.name} exactly`, () => {
      const rest = type.weight === WEIGHT_Q4 ? 0x88 : 0;
      const halves = Array.from({ length: 65536 }, (_, bits) => bits).filter((b) => (b & 0x7c00) !== 0x7c00);
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

function noMinusZero(x: number): number {
  return x + 0;
}
