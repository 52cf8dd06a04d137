import assert from "node:assert/strict";
import { describe, it } from "node:test";
import {
  FILE_BF16,
  FILE_F16,
  FILE_F32,
  FILE_Q4_0,
  FILE_Q4_0_BYTES,
  FILE_Q8_0,
  FILE_Q8_0_BYTES,
  FILE_Q8_G,
  TILE_ROWS,
  WEIGHT_F32,
  WEIGHT_Q4,
  WEIGHT_Q8,
} from "../../assembly/layout/blocks.ts";
import { PACK_SCRATCH_BYTES } from "../../assembly/layout/control.ts";
import { halfValue, nearestHalf } from "../reference/math.ts";
import {
  decodeTiles,
  fileValue,
  groupedValue,
  packedBytes,
  padded,
  tileInteger,
  tileScale,
  tileSum,
} from "../reference/quantize.ts";
import { type KernelBench, randomF32, uniform } from "../support/kernels.ts";
import { f32OnEveryVariant, onEveryVariant, variantBenches } from "../support/variants.ts";

const benches = await variantBenches(2 << 20);

const weights = [
  { name: "f32", weight: WEIGHT_F32 },
  { name: "q8", weight: WEIGHT_Q8 },
  { name: "q4", weight: WEIGHT_Q4 },
];

/** Scales of a FILE_Q8_G tensor, whose value 0 is value `phase` of its group. */
interface Grouped {
  readonly scales: Float32Array;
  readonly group: number;
  readonly phase: number;
}

/** A tensor [rows, cols] as a file holds it. */
interface FileTensor extends Grouped {
  readonly file: number;
  readonly bytes: Uint8Array;
  readonly rows: number;
  readonly cols: number;
  readonly rowBytes: number;
  /** What it stands for. */
  readonly values: Float64Array;
}

function asBytes(values: Float32Array | Uint16Array): Uint8Array {
  return new Uint8Array(values.buffer, values.byteOffset, values.byteLength);
}

/** Random blocks: a half scale of either sign, subnormals among them, then random bytes. */
function randomBlocks(blocks: number, blockBytes: number, seed: number): Uint8Array {
  const next = uniform(seed);
  const bytes = Uint8Array.from({ length: blocks * blockBytes }, () => next(0, 256));
  const view = new DataView(bytes.buffer);
  for (let b = 0; b < blocks; b++) {
    const scale = next(-1, 1) * (b % 5 === 3 ? 2 ** -15 : 0.1);
    view.setUint16(b * blockBytes, nearestHalf(scale), true);
  }
  return bytes;
}

function tensor(
  file: number,
  bytes: Uint8Array,
  rowBytes: number,
  rows: number,
  cols: number,
  grouped: Grouped = { scales: new Float32Array(0), group: 0, phase: 0 },
): FileTensor {
  const values = Float64Array.from({ length: rows * cols }, (_, i) =>
    file === FILE_Q8_G
      ? groupedValue(bytes, grouped.scales, grouped.group, grouped.phase, i)
      : fileValue(file, bytes.subarray(Math.floor(i / cols) * rowBytes), i % cols),
  );
  return { file, bytes, ...grouped, rows, cols, rowBytes, values };
}

/** A kind of file tensor and how to make a random one. */
const kinds = [
  {
    name: "F32",
    anyCols: true,
    make: (rows: number, cols: number) =>
      tensor(FILE_F32, asBytes(randomF32(rows * cols, rows + cols)), 4 * cols, rows, cols),
  },
  {
    name: "F16",
    anyCols: true,
    make: (rows: number, cols: number) => {
      const halves = Uint16Array.from(randomF32(rows * cols, rows + cols), nearestHalf);
      return tensor(FILE_F16, asBytes(halves), 2 * cols, rows, cols);
    },
  },
  {
    name: "BF16",
    anyCols: true,
    make: (rows: number, cols: number) => {
      const bits = new Uint32Array(randomF32(rows * cols, rows + cols).buffer);
      return tensor(FILE_BF16, asBytes(Uint16Array.from(bits, (b) => b >>> 16)), 2 * cols, rows, cols);
    },
  },
  {
    name: "Q8_0",
    anyCols: false,
    make: (rows: number, cols: number) => {
      const bytes = randomBlocks((rows * cols) / 32, FILE_Q8_0_BYTES, rows + cols);
      return tensor(FILE_Q8_0, bytes, (cols / 32) * FILE_Q8_0_BYTES, rows, cols);
    },
  },
  {
    name: "Q4_0",
    anyCols: false,
    make: (rows: number, cols: number) => {
      const bytes = randomBlocks((rows * cols) / 32, FILE_Q4_0_BYTES, rows + cols);
      return tensor(FILE_Q4_0, bytes, (cols / 32) * FILE_Q4_0_BYTES, rows, cols);
    },
  },
  ...[
    { group: 64, phase: 0 },
    { group: 40, phase: 0 },
    { group: 40, phase: 27 },
    { group: 7, phase: 3 },
  ].map(({ group, phase }) => ({
    name: `Q8_G (groups of ${group}, phase ${phase})`,
    anyCols: true,
    make: (rows: number, cols: number) => {
      const next = uniform(rows + cols);
      const bytes = Uint8Array.from({ length: rows * cols }, () => next(0, 256));
      const scales = randomF32(Math.ceil((phase + rows * cols) / group), rows, -0.1, 0.1);
      return tensor(FILE_Q8_G, bytes, cols, rows, cols, { scales, group, phase });
    },
  })),
];

type Packing = { readonly status: number; readonly out: number };

/** Packs; the file's bytes have no alignment. */
function pack(bench: KernelBench, t: FileTensor, weight: number): Packing {
  const out = bench.alloc(packedBytes(weight, t.rows, t.cols));
  const src = bench.put(Uint8Array.from([0xff, ...t.bytes])) + 1;
  const scales = t.scales.length ? bench.put(t.scales) : 0;
  const status = bench.kernels.pack(
    t.file,
    weight,
    src,
    t.rowBytes,
    scales,
    t.group,
    t.phase,
    t.rows,
    t.cols,
    out,
    bench.alloc(PACK_SCRATCH_BYTES),
  );
  return { status, out };
}

/** The packed bytes, the same in every variant. */
function packedBy(t: FileTensor, weight: number): Uint8Array {
  return onEveryVariant(benches, (bench) => {
    const { status, out } = pack(bench, t, weight);
    assert.equal(status, 0);
    return bench.u8(out, packedBytes(weight, t.rows, t.cols));
  });
}

/** The status, the same in every variant. */
function statusOf(t: FileTensor, weight: number): number {
  const [status] = onEveryVariant(benches, (bench) => {
    const { status } = pack(bench, t, weight);
    assert.ok(status < 256);
    return Uint8Array.of(status);
  });
  return status as number;
}

/** The file's values with rows and columns padded by zeros. */
function paddedValues(t: FileTensor): Float64Array {
  const width = padded(t.cols, 32);
  const out = new Float64Array(padded(t.rows, TILE_ROWS) * width);
  for (let r = 0; r < t.rows; r++) out.set(t.values.subarray(r * t.cols, (r + 1) * t.cols), r * width);
  return out;
}

// The integers that a scale d can stand for: q8 rounds symmetrically, q4 reaches one further down than up.
const reach = { [WEIGHT_Q8]: [-127, 127], [WEIGHT_Q4]: [-8, 7] } as Record<number, [number, number]>;

/** Scales as the type defines them, and each value as near as its scale allows. */
function assertQuantized(t: FileTensor, weight: number, bytes: Uint8Array): void {
  const expected = paddedValues(t);
  const actual = decodeTiles(weight, bytes, t.rows, t.cols);
  const width = padded(t.cols, 32);
  const [low, high] = reach[weight] as [number, number];
  for (let at = 0; at < expected.length; at += 32) {
    const [row, col] = [Math.floor(at / width), at % width];
    const block = expected.subarray(at, at + 32).map(Math.fround);
    const peak = block.reduce((m, v) => Math.max(m, Math.abs(v)), 0);
    const d = tileScale(weight, bytes, row, col, t.cols);
    const scale = halfValue(nearestHalf(Math.fround(peak / (weight === WEIGHT_Q8 ? 127 : 8))));
    assert.equal(Math.abs(d), scale, `scale of row ${row}, column ${col}`);
    // Q4_0's rule: the first value of largest magnitude is -8, whatever its sign.
    const peakAt = block.findIndex((v) => Math.abs(v) === peak);
    if (weight === WEIGHT_Q4 && d !== 0) {
      assert.equal(
        tileInteger(weight, bytes, row, col + peakAt, t.cols),
        -8,
        `row ${row}, column ${col + peakAt}`,
      );
    }
    block.forEach((v, i) => {
      const nearest = Math.min(Math.max(v, Math.min(low * d, high * d)), Math.max(low * d, high * d));
      const error = Math.abs((actual[at + i] as number) - nearest);
      assert.ok(error <= 0.50001 * Math.abs(d), `row ${row}, column ${col + i}: ${actual[at + i]} of ${v}`);
    });
  }
}

/** Each stored sum is minus that of its row's int8. */
function assertSums(t: FileTensor, bytes: Uint8Array): void {
  for (let row = 0; row < padded(t.rows, TILE_ROWS); row++) {
    for (let col = 0; col < t.cols; col += 32) {
      let sum = 0;
      for (let c = col; c < col + 32; c++) sum += tileInteger(WEIGHT_Q8, bytes, row, c, t.cols);
      assert.equal(tileSum(bytes, row, col, t.cols), 0 - sum, `sum of row ${row}, column ${col}`);
    }
  }
}

const keepsBits = (t: FileTensor, weight: number) =>
  (t.file === FILE_Q8_0 && weight === WEIGHT_Q8) || (t.file === FILE_Q4_0 && weight === WEIGHT_Q4);

describe("pack()", () => {
  for (const kind of kinds) {
    for (const { name, weight } of weights) {
      it(`packs ${kind.name} to ${name}`, () => {
        for (const rows of [1, 2, 3, 4, 5, 9, 13]) {
          for (const cols of kind.anyCols ? [1, 31, 32, 33, 64, 100, 172] : [32, 64, 160]) {
            const t = kind.make(rows, cols);
            const bytes = packedBy(t, weight);
            const decoded = decodeTiles(weight, bytes, rows, cols);
            if (weight === WEIGHT_F32) assert.deepEqual(decoded, paddedValues(t).map(Math.fround));
            else if (keepsBits(t, weight)) assert.deepEqual(decoded, paddedValues(t));
            else assertQuantized(t, weight, bytes);
            if (weight === WEIGHT_Q8) assertSums(t, bytes);
          }
        }
      });
    }
  }

  it("steps over what lies between rows", () => {
    const gap = 6;
    for (const kind of kinds) {
      const t = kind.make(5, 64);
      const rowBytes = t.rowBytes + gap;
      const bytes = new Uint8Array(5 * rowBytes).fill(0x7f);
      for (let r = 0; r < 5; r++)
        bytes.set(t.bytes.subarray(r * t.rowBytes, (r + 1) * t.rowBytes), r * rowBytes);
      for (const { weight } of weights) {
        assert.deepEqual(packedBy({ ...t, bytes, rowBytes }, weight), packedBy(t, weight));
      }
    }
  });

  it("packs no rows to nothing", () => {
    for (const { weight } of weights) {
      for (const kind of kinds) {
        const t = kind.make(0, 32);
        assert.equal(packedBy(t, weight).length, 0);
      }
    }
  });

  it("keeps int8 -128 and its sum", () => {
    const bytes = randomBlocks(1, FILE_Q8_0_BYTES, 1).fill(0x80, 2);
    const t = tensor(FILE_Q8_0, bytes, FILE_Q8_0_BYTES, 1, 32);
    const packed = packedBy(t, WEIGHT_Q8);
    assert.equal(tileInteger(WEIGHT_Q8, packed, 0, 31, 32), -128);
    assert.equal(tileSum(packed, 0, 0, 32), 4096);
  });

  it("makes zeros of zeros", () => {
    const t = tensor(FILE_F32, new Uint8Array(4 * 96), 4 * 96, 1, 96);
    for (const { weight } of weights) {
      assert.ok(decodeTiles(weight, packedBy(t, weight), 1, 96).every((v) => v === 0));
    }
  });

  it("refuses NaN and infinity with 1 + their row", () => {
    const [rows, cols] = [6, 64];
    for (const [row, col] of [
      [0, 0],
      [3, 31],
      [5, 63],
    ] as const) {
      for (const bad of [Number.NaN, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY]) {
        const f32 = randomF32(rows * cols, 1);
        f32[row * cols + col] = bad;
        const f16 = Uint16Array.from(randomF32(rows * cols, 2), nearestHalf);
        f16[row * cols + col] = Number.isNaN(bad) ? 0x7e01 : bad > 0 ? 0x7c00 : 0xfc00;
        const bf16 = Uint16Array.from(new Uint32Array(f32.buffer), (b) => b >>> 16);
        for (const { weight } of weights) {
          assert.equal(statusOf(tensor(FILE_F32, asBytes(f32), 4 * cols, rows, cols), weight), 1 + row);
          assert.equal(statusOf(tensor(FILE_F16, asBytes(f16), 2 * cols, rows, cols), weight), 1 + row);
          assert.equal(statusOf(tensor(FILE_BF16, asBytes(bf16), 2 * cols, rows, cols), weight), 1 + row);
        }
      }
    }
  });

  it("refuses scales that are NaN or infinite with 1 + their row", () => {
    const [rows, cols] = [6, 64];
    for (const [row, block] of [
      [0, 0],
      [3, 1],
      [5, 1],
    ] as const) {
      for (const bits of [0x7c00, 0xfc00, 0x7e00, 0x7c01, 0xffff]) {
        for (const [file, blockBytes] of [
          [FILE_Q8_0, FILE_Q8_0_BYTES],
          [FILE_Q4_0, FILE_Q4_0_BYTES],
        ] as const) {
          const bytes = randomBlocks((rows * cols) / 32, blockBytes, 3);
          new DataView(bytes.buffer).setUint16((row * 2 + block) * blockBytes, bits, true);
          const t = tensor(file, bytes, 2 * blockBytes, rows, cols);
          for (const { weight } of weights) assert.equal(statusOf(t, weight), 1 + row);
        }
      }
      for (const bad of [Number.NaN, Number.POSITIVE_INFINITY, 3e38]) {
        const bytes = new Uint8Array(rows * cols).fill(127);
        const scales = new Float32Array((rows * cols) / 32).fill(1);
        scales[row * 2 + block] = bad;
        const t = tensor(FILE_Q8_G, bytes, cols, rows, cols, { scales, group: 32, phase: 0 });
        for (const { weight } of weights) assert.equal(statusOf(t, weight), 1 + row);
      }
    }
  });

  it("refuses what no half scale could hold, except as f32", () => {
    const f32 = randomF32(3 * 32, 4);
    f32[2 * 32 + 7] = -1e6;
    const t = tensor(FILE_F32, asBytes(f32), 128, 3, 32);
    assert.deepEqual(
      weights.map(({ weight }) => statusOf(t, weight)),
      [0, 3, 3],
    );
    f32[2 * 32 + 7] = -490000;
    const held = tensor(FILE_F32, asBytes(f32), 128, 3, 32);
    for (const weight of [WEIGHT_Q8, WEIGHT_Q4]) assertQuantized(held, weight, packedBy(held, weight));
  });
});

describe("unpack()", () => {
  for (const kind of kinds) {
    it(`reads any part of a row of ${kind.name}`, () => {
      const t = kind.make(1, 160);
      // As pack() reads them, grouped values count from the beginning of their group.
      const values = t.values.map(Math.fround);
      for (const first of kind.anyCols ? [0, 5, 31, 64] : [0, 32, 64]) {
        for (const n of [0, 1, 3, 31, 32, 33, 96]) {
          const actual = f32OnEveryVariant(benches, (bench) => {
            const src = bench.put(Uint8Array.from([...new Uint8Array(t.phase), ...t.bytes]));
            const scales = t.scales.length ? bench.put(t.scales) : 0;
            const out = bench.alloc(4 * n);
            assert.equal(bench.kernels.unpack(t.file, src, scales, t.group, t.phase + first, n, out), 0);
            return bench.f32(out, n);
          });
          assert.deepEqual(Float64Array.from(actual), values.slice(first, first + n));
        }
      }
    });
  }

  it("says where a value is not finite", () => {
    const x = randomF32(32, 5);
    for (const bad of [Number.NaN, Number.POSITIVE_INFINITY]) {
      x[31] = bad;
      for (const { bench } of benches) {
        bench.reset();
        const src = bench.put(x);
        const out = bench.alloc(128);
        assert.equal(bench.kernels.unpack(FILE_F32, src, 0, 0, 0, 32, out), 1);
        assert.equal(bench.kernels.unpack(FILE_F32, src, 0, 0, 0, 31, out), 0);
        bench.checkGuards();
      }
    }
  });
});
