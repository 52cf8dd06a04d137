// pack() and unpack(): every tensor type of files into every weight format.
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import {
  PADDED_ROWS,
  SCALE_SHIFT,
  WEIGHT_F32,
  WEIGHT_MXFP4,
  WEIGHT_NL,
  WEIGHT_Q4,
  WEIGHT_Q4M,
  WEIGHT_Q5,
  WEIGHT_Q8,
} from "../../assembly/layout/blocks.ts";
import { CONTROL_PACKED, PACKED_LARGE_SCALE, PACKED_LOWEST } from "../../assembly/layout/control.ts";
import {
  FILE_BF16,
  FILE_F16,
  FILE_F32,
  FILE_IQ4_NL,
  FILE_IQ4_NL_BYTES,
  FILE_MXFP4,
  FILE_MXFP4_BYTES,
  FILE_Q1_0,
  FILE_Q2_0,
  FILE_Q4_0,
  FILE_Q4_0_BYTES,
  FILE_Q4_1,
  FILE_Q4_1_BYTES,
  FILE_Q5_0,
  FILE_Q5_0_BYTES,
  FILE_Q5_1,
  FILE_Q5_1_BYTES,
  FILE_Q8_0,
  FILE_Q8_0_BYTES,
  FILE_Q8_G,
  FILE_TQ1_0,
  FILE_TQ2_0,
} from "../../assembly/layout/file_types.gen.ts";
import { gridPoints } from "../../src/quant/grids.ts";
import { type FileType, fileTypes, weightFormats } from "../../src/quant/registry.ts";
import { blockTypes, blockValues } from "../reference/block_types.ts";
import { fileParts, type Parts, type SuperFile, superFiles } from "../reference/file_superblocks.ts";
import { halfValue, nearestHalf } from "../reference/math.ts";
import {
  decodeTiles,
  fileValue,
  groupedValue,
  packedBytes,
  padded,
  stripsOf,
  tileInteger,
  tileScale,
} from "../reference/quantize.ts";
import { bookOf, isSuper, tileParts } from "../reference/superblocks.ts";
import { blockRows, naturalTypes, randomBlocks, takesAnyType } from "../support/file_rows.ts";
import { type KernelBench, randomF32, uniform } from "../support/kernels.ts";
import { packRows } from "../support/packing.ts";
import { assertSameBytes, f32OnEveryVariant, onEveryVariant, variantBenches } from "../support/variants.ts";

/** Types whose superblocks a format keeps. */
const superTypes = [...fileTypes.values()].filter(({ code }) => code in superFiles).map(({ name }) => name);
/** Types with blocks of 32 columns that a format of their own keeps. */
const ownTypes = ["Q4_1", "Q5_0", "Q5_1", "IQ4_NL", "MXFP4"];

import { randomBlocks as randomBlocksOf } from "../support/random_blocks.ts";

const benches = await variantBenches(2 << 20);

const formats = Object.values(weightFormats).map((format) => ({
  name: format.name,
  weight: format.code,
  /** The types that alone become the format; undefined: all do. */
  only: takesAnyType(format) ? undefined : naturalTypes(format).map(({ code }) => code),
}));

/** The formats that a type of files can become. */
function formatsOf(file: number): { name: string; weight: number }[] {
  return formats.filter(({ only }) => only === undefined || only.includes(file));
}

const anyType = formats.filter(({ only }) => only === undefined);

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

function tensor(
  file: number,
  bytes: Uint8Array,
  rowBytes: number,
  rows: number,
  cols: number,
  grouped: Grouped = { scales: new Float32Array(0), group: 0, phase: 0 },
): FileTensor {
  const values = new Float64Array(rows * cols);
  const { scales, group, phase } = grouped;
  for (let r = 0; r < rows; r++) {
    const row = bytes.subarray(r * rowBytes);
    for (let c = 0; c < cols; c++) {
      const i = r * cols + c;
      values[i] = file === FILE_Q8_G ? groupedValue(bytes, scales, group, phase, i) : fileValue(file, row, c);
    }
  }
  return { file, bytes, ...grouped, rows, cols, rowBytes, values };
}

/** The name of a FILE_* type. */
function ofFile(file: number): string {
  return [...fileTypes.values()].find(({ code }) => code === file)?.name as string;
}

/** Widths of types without blocks: whole blocks of tiles and others. */
const ANY_COLS = [1, 31, 32, 33, 64, 100, 172];

/** The table of a type: the points of its grid. */
function withGrid(grid?: Int8Array): Grouped | undefined {
  return grid && { scales: new Float32Array(grid.slice().buffer), group: 0, phase: 0 };
}

function blockKind(name: string) {
  const { code, blockCols } = fileTypes.get(name) as FileType;
  return {
    name,
    file: code,
    cols: blockCols === 32 ? [32, 64, 160] : [blockCols, 2 * blockCols, 3 * blockCols],
    make: (rows: number, cols: number) => {
      const { bytes, rowBytes, grid } = blockRows(name, rows, cols, rows + cols);
      return tensor(code, bytes, rowBytes, rows, cols, withGrid(grid));
    },
  };
}

/** A kind of file tensor, some widths that it can have, and how to make a random one. */
const kinds = [
  {
    name: "F32",
    file: FILE_F32,
    cols: ANY_COLS,
    make: (rows: number, cols: number) =>
      tensor(FILE_F32, asBytes(randomF32(rows * cols, rows + cols)), 4 * cols, rows, cols),
  },
  {
    name: "F16",
    file: FILE_F16,
    cols: ANY_COLS,
    make: (rows: number, cols: number) => {
      const halves = Uint16Array.from(randomF32(rows * cols, rows + cols), nearestHalf);
      return tensor(FILE_F16, asBytes(halves), 2 * cols, rows, cols);
    },
  },
  {
    name: "BF16",
    file: FILE_BF16,
    cols: ANY_COLS,
    make: (rows: number, cols: number) => {
      const bits = new Uint32Array(randomF32(rows * cols, rows + cols).buffer);
      return tensor(FILE_BF16, asBytes(Uint16Array.from(bits, (b) => b >>> 16)), 2 * cols, rows, cols);
    },
  },
  ...["Q8_0", "Q4_0", ...ownTypes, ...superTypes].map(blockKind),
  ...[
    { group: 64, phase: 0 },
    { group: 40, phase: 0 },
    { group: 40, phase: 27 },
    { group: 7, phase: 3 },
  ].map(({ group, phase }) => ({
    name: `Q8_G (groups of ${group}, phase ${phase})`,
    file: FILE_Q8_G,
    cols: ANY_COLS,
    make: (rows: number, cols: number) => {
      const next = uniform(rows + cols);
      const bytes = Uint8Array.from({ length: rows * cols }, () => next(0, 256));
      const scales = randomF32(Math.ceil((phase + rows * cols) / group), rows, -0.1, 0.1);
      return tensor(FILE_Q8_G, bytes, cols, rows, cols, { scales, group, phase });
    },
  })),
];

/** The second width of a kind: more than one block. */
function widthOf({ cols }: { cols: readonly number[] }): number {
  return cols.includes(64) ? 64 : (cols[1] as number);
}

type Packing = { readonly status: number; readonly out: number };

/** Packs; the file's bytes have no alignment. */
function pack(bench: KernelBench, t: FileTensor, weight: number, shift: number = SCALE_SHIFT): Packing {
  const out = bench.alloc(packedBytes(weight, t.rows, t.cols));
  const src = bench.alloc(1 + t.bytes.length) + 1;
  bench.u8(src, t.bytes.length).set(t.bytes);
  const scales = t.scales.length ? bench.put(t.scales) : 0;
  const { file, rowBytes, rows, cols, group, phase } = t;
  const status = packRows(bench, {
    file,
    weight,
    src,
    rowBytes,
    rows,
    cols,
    out,
    scales,
    group,
    phase,
    shift,
  });
  return { status, out };
}

/** The packed bytes, the same in every variant. */
function packedBy(t: FileTensor, weight: number, shift: number = SCALE_SHIFT): Uint8Array {
  return onEveryVariant(benches, (bench) => {
    const { status, out } = pack(bench, t, weight, shift);
    assert.equal(status, 0);
    return bench.u8(out, packedBytes(weight, t.rows, t.cols));
  });
}

/** PACKED_* of what packing met, the same in every variant. */
function metBy(t: FileTensor, weight: number): number {
  const [met] = onEveryVariant(benches, (bench) => {
    bench.i32(CONTROL_PACKED, 1)[0] = 0;
    pack(bench, t, weight);
    return Uint8Array.of(bench.i32(CONTROL_PACKED, 1)[0] as number);
  });
  return met as number;
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
  const out = new Float64Array(padded(t.rows, PADDED_ROWS) * width);
  for (let r = 0; r < t.rows; r++) out.set(t.values.subarray(r * t.cols, (r + 1) * t.cols), r * width);
  return out;
}

// The integers that a scale d can stand for: q8 rounds symmetrically, q4 reaches one further down than up.
const reach = { [WEIGHT_Q8]: [-127, 127], [WEIGHT_Q4]: [-8, 7] } as Record<number, [number, number]>;

/** Scales as the type defines them, and each value as near as its scale allows. */
function assertQuantized(
  t: FileTensor,
  weight: number,
  bytes: Uint8Array,
  shift: number = SCALE_SHIFT,
): void {
  const expected = paddedValues(t);
  const actual = decodeTiles(weight, bytes, t.rows, t.cols, shift);
  const width = padded(t.cols, 32);
  const [low, high] = reach[weight] as [number, number];
  for (let at = 0; at < expected.length; at += 32) {
    const [row, col] = [Math.floor(at / width), at % width];
    const block = new Float32Array(expected.subarray(at, at + 32));
    let peak = 0;
    for (const v of block) peak = Math.max(peak, Math.abs(v));
    const d = tileScale(weight, bytes, row, col, t.rows, t.cols, shift);
    const scale = halfValue(nearestHalf(Math.fround(peak / (weight === WEIGHT_Q8 ? 127 : 8))));
    assert.equal(Math.abs(d), scale, `scale of row ${row}, column ${col}`);
    // Q4_0's rule: the first value of largest magnitude is -8, whatever its sign.
    const peakAt = block.findIndex((v) => Math.abs(v) === peak);
    if (weight === WEIGHT_Q4 && d !== 0) {
      assert.equal(
        tileInteger(weight, bytes, row, col + peakAt, t.rows, t.cols),
        -8,
        `row ${row}, column ${col + peakAt}`,
      );
    }
    const [least, most] = [Math.min(low * d, high * d), Math.max(low * d, high * d)];
    for (let i = 0; i < 32; i++) {
      const v = block[i] as number;
      const error = Math.abs((actual[at + i] as number) - Math.min(Math.max(v, least), most));
      const near = error <= 0.50001 * Math.abs(d);
      if (!near) assert.fail(`row ${row}, column ${col + i}: ${actual[at + i]} of ${v}`);
    }
  }
}

/** Types whose values are -1 to 2 times a half: q4 keeps them. */
const unitTypes: readonly number[] = [FILE_TQ1_0, FILE_TQ2_0, FILE_Q1_0, FILE_Q2_0];

/** The types whose values a format of blocks of 32 columns keeps. */
const kept: Readonly<Record<number, readonly number[]>> = {
  [WEIGHT_Q8]: [FILE_Q8_0],
  [WEIGHT_Q4]: [FILE_Q4_0, ...unitTypes],
  [WEIGHT_NL]: [FILE_IQ4_NL],
  [WEIGHT_MXFP4]: [FILE_MXFP4],
  [WEIGHT_Q4M]: [FILE_Q4_1],
  [WEIGHT_Q5]: [FILE_Q5_0, FILE_Q5_1],
};

const keepsBits = (t: FileTensor, weight: number) => kept[weight]?.includes(t.file) === true;

/** Values as f32, with zeros of one sign. */
const asF32 = (values: Float64Array) => values.map((v) => Math.fround(v) + 0);

/**
 * Every integer and every half of a file's superblocks, and zeros behind the last row. If values that a book is indexed by
 * are all 0, because of d or of their scale, any index stands for them. d is stored as the nearest half, which is d itself
 * but for an eighth of a small half without a shift.
 */
function assertKept(t: FileTensor, weight: number, bytes: Uint8Array, shift: number = SCALE_SHIFT): void {
  const nothing = { d: 0, scale: 0, n: 0, dmin: 0, minimum: 0 };
  const hasBook = bookOf(weight) !== undefined;
  for (let row = 0; row < padded(t.rows, PADDED_ROWS); row++) {
    const src = t.bytes.subarray(row * t.rowBytes);
    for (let col = 0; col < t.cols; col++) {
      const actual = tileParts(weight, bytes, row, col, t.rows, t.cols, shift);
      const parts = row < t.rows ? fileParts(t.file, src, col) : nothing;
      const anyIndex = row >= t.rows || (hasBook && parts.d * parts.scale === 0);
      const same = (key: keyof Parts, expected: number) => {
        if (Object.is(actual[key], expected)) return;
        assert.fail(`${key} of row ${row}, column ${col}: Expected ${expected}, got ${actual[key]}`);
      };
      same("d", storedHalf(parts.d, shift));
      same("scale", parts.scale);
      if (!anyIndex) same("n", parts.n);
      same("dmin", storedHalf(parts.dmin, shift));
      same("minimum", parts.minimum);
    }
  }
}

// The same few halves are asked for again and again.
const storedHalves = new Map<number, number>();

/** What becomes of a half that is stored times 2^shift. */
function storedHalf(half: number, shift: number): number {
  // Zeros of either sign are stored as they are. Halves and their eighths have 43 exponents; a shift is at most SCALE_SHIFT.
  if (half === 0) return half;
  const key = half * 2 ** (50 * shift);
  const found = storedHalves.get(key) ?? halfValue(nearestHalf(half * 2 ** shift)) / 2 ** shift;
  storedHalves.set(key, found);
  return found;
}

describe("pack()", () => {
  for (const kind of kinds) {
    for (const { name, weight } of formatsOf(kind.file)) {
      it(`packs ${kind.name} to ${name}`, () => {
        for (const rows of [1, 2, 3, 4, 5, 9, 13, 40]) {
          for (const cols of kind.cols) {
            const t = kind.make(rows, cols);
            const bytes = packedBy(t, weight);
            const decoded = decodeTiles(weight, bytes, rows, cols);
            if (weight === WEIGHT_F32) assert.deepEqual(decoded, paddedValues(t).map(Math.fround));
            else if (isSuper(weight)) assertKept(t, weight, bytes);
            else if (keepsBits(t, weight)) assert.deepEqual(asF32(decoded), asF32(paddedValues(t)));
            else assertQuantized(t, weight, bytes);
          }
        }
      });
    }
  }

  it("packs blocks of every type as the values that they stand for", () => {
    const [rows, cols] = [5, 512];
    for (const name of blockTypes) {
      const { code, blockCols, blockBytes, grid } = fileTypes.get(name) as FileType;
      const bytes = randomBlocksOf(name, (rows * cols) / blockCols, 7);
      const values = blockValues(name, bytes);
      const table = grid ? new Float32Array(gridPoints(grid).buffer) : new Float32Array(0);
      const rowBytes = (cols / blockCols) * blockBytes;
      const none = { group: 0, phase: 0, values: new Float64Array(0) };
      const blocks: FileTensor = { file: code, bytes, rowBytes, rows, cols, scales: table, ...none };
      const plain = tensor(FILE_F32, asBytes(values), 4 * cols, rows, cols);
      for (const { weight } of formatsOf(FILE_F32)) {
        const packed = packedBy(blocks, weight);
        if (!keepsBits(blocks, weight)) {
          assert.deepEqual(packed, packedBy(plain, weight), name);
        } else if (unitTypes.includes(code)) {
          const decoded = decodeTiles(weight, packed, rows, cols).subarray(0, rows * cols);
          assert.deepEqual(asF32(decoded), asF32(Float64Array.from(values)), name);
        }
      }
    }
  });

  it("steps over what lies between rows", () => {
    const gap = 6;
    for (const kind of kinds) {
      const t = kind.make(5, widthOf(kind));
      const rowBytes = t.rowBytes + gap;
      const bytes = new Uint8Array(5 * rowBytes).fill(0x7f);
      for (let r = 0; r < 5; r++)
        bytes.set(t.bytes.subarray(r * t.rowBytes, (r + 1) * t.rowBytes), r * rowBytes);
      for (const { weight } of formatsOf(kind.file)) {
        assert.deepEqual(packedBy({ ...t, bytes, rowBytes }, weight), packedBy(t, weight));
      }
    }
  });

  it("packs no rows to nothing", () => {
    for (const kind of kinds) {
      for (const { weight } of formatsOf(kind.file)) {
        const t = kind.make(0, widthOf(kind));
        assert.equal(packedBy(t, weight).length, 0);
      }
    }
  });

  it("keeps int8 -128 and says that there is one", () => {
    for (const at of [0, 15, 16, 31]) {
      for (const lowest of [-128, -127]) {
        const bytes = new Uint8Array(3 * FILE_Q8_0_BYTES).fill(1);
        const view = new DataView(bytes.buffer);
        for (let r = 0; r < 3; r++) view.setUint16(r * FILE_Q8_0_BYTES, nearestHalf(1), true);
        view.setInt8(2 * FILE_Q8_0_BYTES + 2 + at, lowest);
        const t = tensor(FILE_Q8_0, bytes, FILE_Q8_0_BYTES, 3, 32);
        assert.equal(tileInteger(WEIGHT_Q8, packedBy(t, WEIGHT_Q8), 2, at, 3, 32), lowest);
        assert.equal(metBy(t, WEIGHT_Q8), lowest === -128 ? PACKED_LOWEST : 0, `${lowest} at ${at}`);
      }
    }
  });

  it("says where a scale cannot be stored times 2^SCALE_SHIFT, and stores each as it is without", () => {
    for (const [file, blockBytes, weight] of [
      [FILE_Q8_0, FILE_Q8_0_BYTES, WEIGHT_Q8],
      [FILE_Q4_0, FILE_Q4_0_BYTES, WEIGHT_Q4],
    ] as const) {
      // 65504 / 2^10 is 63.97: 63.94 fits.
      for (const [scale, fits] of [
        [63.9, true],
        [-63.9, true],
        [64, false],
        [-64, false],
        [65504, false],
      ] as const) {
        const bytes = new Uint8Array(blockBytes).fill(3);
        new DataView(bytes.buffer).setUint16(0, nearestHalf(scale), true);
        const t = tensor(file, bytes, blockBytes, 1, 32);
        assert.equal(metBy(t, weight), fits ? 0 : PACKED_LARGE_SCALE, `${scale}`);
        assert.deepEqual(decodeTiles(weight, packedBy(t, weight, 0), 1, 32, 0), paddedValues(t));
        if (fits) assert.deepEqual(decodeTiles(weight, packedBy(t, weight), 1, 32), paddedValues(t));
      }
    }
  });

  for (const [name, file, blockBytes, weight, half, most] of [
    ["the scale of Q4_1", FILE_Q4_1, FILE_Q4_1_BYTES, WEIGHT_Q4M, 0, 64],
    ["the minimum of Q4_1", FILE_Q4_1, FILE_Q4_1_BYTES, WEIGHT_Q4M, 2, 64],
    ["the scale of Q5_1", FILE_Q5_1, FILE_Q5_1_BYTES, WEIGHT_Q5, 0, 64],
    ["the minimum of Q5_1", FILE_Q5_1, FILE_Q5_1_BYTES, WEIGHT_Q5, 2, 64],
    // Its minimum is 16 times as large.
    ["the scale of Q5_0", FILE_Q5_0, FILE_Q5_0_BYTES, WEIGHT_Q5, 0, 4],
    ["the scale of IQ4_NL", FILE_IQ4_NL, FILE_IQ4_NL_BYTES, WEIGHT_NL, 0, 64],
  ] as const) {
    it(`keeps ${name}, says if it cannot be stored times 2^SCALE_SHIFT, and refuses it with its row`, () => {
      const withHalf = (bits: number) => {
        const bytes = randomBlocks(ofFile(file), 6 * 2, 5);
        new DataView(bytes.buffer).setUint16(7 * blockBytes + half, bits, true);
        return tensor(file, bytes, 2 * blockBytes, 6, 64);
      };
      const most10 = nearestHalf(most);
      const largest = file === FILE_Q5_0 ? nearestHalf(4094) : 0x7bff;
      for (const sign of [0, 0x8000]) {
        for (const bits of [0, 1, 0x3ff, 0x400, 0x3c00, most10 - 1, most10, largest]) {
          const t = withHalf(sign + bits);
          const fits = bits < most10;
          assert.equal(metBy(t, weight), fits ? 0 : PACKED_LARGE_SCALE, `${bits}`);
          const values = asF32(paddedValues(t));
          assert.deepEqual(asF32(decodeTiles(weight, packedBy(t, weight, 0), 6, 64, 0)), values);
          if (fits) assert.deepEqual(asF32(decodeTiles(weight, packedBy(t, weight), 6, 64)), values);
        }
        for (const bits of [largest + 1, 0x7c00, 0x7c01, 0x7e00, 0x7fff]) {
          assert.equal(statusOf(withHalf(sign + bits), weight), 1 + 3, `${bits}`);
        }
      }
    });
  }

  it("keeps exponents of MXFP4 that halves hold, says which are too large, and refuses others with their row", () => {
    const withExponent = (e: number) => {
      const bytes = randomBlocks("MXFP4", 6 * 2, 5);
      bytes[7 * FILE_MXFP4_BYTES] = e;
      return tensor(FILE_MXFP4, bytes, 2 * FILE_MXFP4_BYTES, 6, 64);
    };
    for (const e of [94, 103, 104, 127, 133]) {
      const t = withExponent(e);
      assert.equal(metBy(t, WEIGHT_MXFP4), 0, `${e}`);
      const decoded = decodeTiles(WEIGHT_MXFP4, packedBy(t, WEIGHT_MXFP4), 6, 64);
      assert.deepEqual(asF32(decoded), asF32(paddedValues(t)), `${e}`);
    }
    for (const e of [134, 143]) {
      const t = withExponent(e);
      assert.equal(metBy(t, WEIGHT_MXFP4), PACKED_LARGE_SCALE, `${e}`);
      const decoded = decodeTiles(WEIGHT_MXFP4, packedBy(t, WEIGHT_MXFP4, 0), 6, 64, 0);
      // Exponents under 104 are nothing without the shift.
      assert.deepEqual(asF32(decoded), asF32(paddedValues(t)), `${e}`);
    }
    for (const e of [0, 1, 93]) {
      const zeros = paddedValues(withExponent(e)).fill(0, 3 * 64 + 32, 4 * 64);
      const decoded = decodeTiles(WEIGHT_MXFP4, packedBy(withExponent(e), WEIGHT_MXFP4), 6, 64);
      assert.deepEqual(
        asF32(decoded).subarray(3 * 64 + 32, 4 * 64),
        zeros.subarray(3 * 64 + 32, 4 * 64),
        `${e}`,
      );
    }
    for (const e of [144, 254, 255]) {
      const status = onEveryVariant(benches, (bench) =>
        Uint8Array.of(pack(bench, withExponent(e), WEIGHT_MXFP4, 0).status),
      );
      assert.deepEqual([...status], [1 + 3], `${e}`);
    }
    assert.equal(statusOf(withExponent(255), WEIGHT_MXFP4), 1 + 3);
  });

  it("packs a matrix in parts to the same bytes as at once", () => {
    for (const kind of kinds) {
      const t = kind.make(83, widthOf(kind));
      for (const { weight } of formatsOf(kind.file)) {
        const whole = packedBy(t, weight);
        const parts = onEveryVariant(benches, (bench) => {
          const out = bench.alloc(whole.length);
          const src = bench.put(t.bytes);
          const scales = t.scales.length ? bench.put(t.scales) : 0;
          for (const [first, end] of [
            [64, 83],
            [0, 8],
            [8, 64],
          ] as const) {
            const skipped = t.group ? t.phase + first * t.cols : 0;
            const status = packRows(bench, {
              file: t.file,
              weight,
              src: src + first * t.rowBytes,
              rowBytes: t.rowBytes,
              rows: end - first,
              cols: t.cols,
              out,
              scales: t.group ? scales + 4 * Math.floor(skipped / t.group) : scales,
              group: t.group,
              phase: t.group ? skipped % t.group : 0,
              firstStrip: first / 4,
              strips: stripsOf(83),
            });
            assert.equal(status, 0);
          }
          return bench.u8(out, whole.length);
        });
        assert.deepEqual(parts, whole);
      }
    }
  });

  it("makes zeros of zeros", () => {
    const t = tensor(FILE_F32, new Uint8Array(4 * 96), 4 * 96, 1, 96);
    for (const { weight } of anyType) {
      assert.ok(decodeTiles(weight, packedBy(t, weight), 1, 96).every((v) => v === 0));
    }
    for (const kind of kinds.filter(({ file }) => file in superFiles)) {
      const zeros = kind.make(3, widthOf(kind));
      zeros.bytes.fill(0);
      for (const { weight } of formatsOf(kind.file)) {
        assert.ok(decodeTiles(weight, packedBy(zeros, weight), 3, zeros.cols).every((v) => v === 0));
      }
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
        for (const { weight } of anyType) {
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
          const bytes = randomBlocks(file === FILE_Q8_0 ? "Q8_0" : "Q4_0", (rows * cols) / 32, 3);
          new DataView(bytes.buffer).setUint16((row * 2 + block) * blockBytes, bits, true);
          const t = tensor(file, bytes, 2 * blockBytes, rows, cols);
          for (const { weight } of anyType) assert.equal(statusOf(t, weight), 1 + row);
        }
      }
      for (const bad of [Number.NaN, Number.POSITIVE_INFINITY, 3e38]) {
        const bytes = new Uint8Array(rows * cols).fill(127);
        const scales = new Float32Array((rows * cols) / 32).fill(1);
        scales[row * 2 + block] = bad;
        const t = tensor(FILE_Q8_G, bytes, cols, rows, cols, { scales, group: 32, phase: 0 });
        for (const { weight } of anyType) assert.equal(statusOf(t, weight), 1 + row);
      }
    }
  });

  for (const name of superTypes) {
    it(`refuses superblocks of ${name} whose scales are NaN or infinite with 1 + their row`, () => {
      const { code, blockCols, blockBytes } = fileTypes.get(name) as FileType;
      const [rows, cols] = [6, 2 * blockCols];
      for (const setHalf of (superFiles[code] as SuperFile).halves) {
        for (const [row, block] of [
          [0, 0],
          [3, 1],
          [5, 1],
        ] as const) {
          for (const bits of [0x7c00, 0xfc00, 0x7e00, 0x7c01, 0xffff]) {
            const { bytes, rowBytes, grid } = blockRows(name, rows, cols, 3);
            setHalf(new DataView(bytes.buffer), (row * 2 + block) * blockBytes, bits);
            const t = tensor(code, bytes, rowBytes, rows, cols, withGrid(grid));
            for (const { weight } of formatsOf(code)) assert.equal(statusOf(t, weight), 1 + row);
          }
        }
      }
    });

    it(`says which scale of ${name} cannot be stored times 2^SCALE_SHIFT, and stores each as it is without`, () => {
      const { code, blockCols, blockBytes } = fileTypes.get(name) as FileType;
      const { halves, unit } = superFiles[code] as SuperFile;
      for (const [i, setHalf] of halves.entries()) {
        for (const [scale, fits] of [
          [63.9 / unit, true],
          [-63.9 / unit, true],
          [64 / unit, false],
          [-64 / unit, false],
          [65504, false],
          [2 ** -24, true],
          [-(2 ** -15), true],
        ] as const) {
          const { bytes, rowBytes, grid } = blockRows(name, 3, 2 * blockCols, 2);
          setHalf(new DataView(bytes.buffer), 3 * blockBytes, nearestHalf(scale));
          const t = tensor(code, bytes, rowBytes, 3, 2 * blockCols, withGrid(grid));
          for (const { weight } of formatsOf(code).filter(({ weight }) => isSuper(weight))) {
            assert.equal(metBy(t, weight), fits ? 0 : PACKED_LARGE_SCALE, `${scale} as half ${i}`);
            assertKept(t, weight, packedBy(t, weight, 0), 0);
            if (fits) assertKept(t, weight, packedBy(t, weight));
          }
        }
      }
    });
  }

  it("refuses what no half scale could hold, except as f32", () => {
    const f32 = randomF32(3 * 32, 4);
    f32[2 * 32 + 7] = -1e6;
    const t = tensor(FILE_F32, asBytes(f32), 128, 3, 32);
    assert.deepEqual(
      anyType.map(({ weight }) => statusOf(t, weight)),
      [0, 3, 3],
    );
    f32[2 * 32 + 7] = -490000;
    const held = tensor(FILE_F32, asBytes(f32), 128, 3, 32);
    for (const weight of [WEIGHT_Q8, WEIGHT_Q4]) assertQuantized(held, weight, packedBy(held, weight, 0), 0);
  });
});

describe("unshift_scales()", () => {
  for (const kind of kinds.filter(
    ({ name }) => name === "Q8_0" || name === "Q4_0" || [...ownTypes, ...superTypes].includes(name),
  )) {
    it(`gives what packing ${kind.name} without a shift gives, of the first strips`, () => {
      const t = kind.make(40, widthOf(kind));
      const [blocks, ofStrip] = [t.cols / 32, 4 * t.cols];
      const own = formatsOf(kind.file).filter(
        ({ weight }) => isSuper(weight) || (!(kind.file in superFiles) && keepsBits(t, weight)),
      );
      for (const { weight } of own) {
        const shifted = packedBy(t, weight);
        const plain = packedBy(t, weight, 0);
        const before = decodeTiles(weight, plain, 40, t.cols, 0);
        const after = decodeTiles(weight, shifted, 40, t.cols, 0);
        for (const count of [0, 3, 8, 9, 10]) {
          const bytes = onEveryVariant(benches, (bench) => {
            const { out } = pack(bench, t, weight);
            bench.kernels.unshift_scales(out, weight, count, 10, blocks);
            return bench.u8(out, shifted.length);
          });
          if (count === 10) assertSameBytes(bytes, plain, "all strips");
          decodeTiles(weight, bytes, 40, t.cols, 0).forEach((v, i) => {
            if (v !== (i < count * ofStrip ? before : after)[i]) assert.fail(`${count} strips: weight ${i}`);
          });
        }
      }
    });
  }
});

describe("unpack()", () => {
  for (const kind of kinds) {
    it(`reads any part of a row of ${kind.name}`, () => {
      const t = kind.make(1, kind.cols.includes(256) ? 512 : 160);
      // As pack() reads them, grouped values count from the beginning of their group.
      const values = t.values.map(Math.fround);
      for (const first of kind.cols.includes(1) ? [0, 5, 31, 64] : [0, 32, 64]) {
        // Superblocks, and blocks that a format of their own keeps, are read in whole blocks of 32.
        const whole = ownTypes.includes(kind.name) ? [0, 32, 96] : [0, 32, 96, 256, 288];
        const isWhole = t.file in superFiles || ownTypes.includes(kind.name);
        for (const n of isWhole ? whole : [0, 1, 3, 31, 32, 33, 96]) {
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
