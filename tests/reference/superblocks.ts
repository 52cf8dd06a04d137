// Scalar twins of formats of superblocks: what superblocks of weight tiles and of activations stand for, and exact products.
// One value at a time, from the layouts' definitions (assembly/layout/blocks.ts).
import {
  ACT_SUPER_BYTES,
  ACT_SUPER_HALVES,
  ACT_SUPER_SCALE,
  ACT_SUPER_SUMS,
  ACTS_SUPER_BYTES,
  ACTS_SUPER_HALVES,
  ACTS_SUPER_SCALES,
  ACTS_SUPER_SUMS,
  BLOCK_COLS,
  BOOK_IQ1,
  BOOK_IQ2,
  BOOK_IQ3_S,
  BOOK_IQ3_XXS,
  BOOK_IQ4,
  BOOK_Q3,
  GROUP_STRIPS,
  PADDED_ROWS,
  Q2K_HEAD_BYTES,
  Q2K_MINIMA,
  Q2K_TILE_BYTES,
  Q4K_HEAD_BYTES,
  Q4K_TILE_BYTES,
  Q5K_TILE_BYTES,
  Q6K_HEAD_BYTES,
  Q6K_SCALES,
  Q6K_TILE_BYTES,
  SCALE_SHIFT,
  SUPER_BLOCKS,
  SUPER_COLS,
  SUPER_MINIMA,
  SUPER_SCALES,
  TILE_ROWS,
  WEIGHT_BOOK,
  WEIGHT_Q2K,
  WEIGHT_Q4K,
  WEIGHT_Q5K,
  WEIGHT_Q6K,
  WEIGHT_X3K,
  WEIGHT_X4K,
  X3K_TILE_BYTES,
  X4K_HEAD_BYTES,
} from "../../assembly/layout/blocks.ts";
import { iq4 } from "./block_types.ts";
import { bits, type Parts } from "./file_superblocks.ts";
import { halfValue } from "./math.ts";
import { padded, placeInGroup, stripsOf, viewOf } from "./placement.ts";

/** The exact value of a weight. */
export function weightValue({ d, scale, n, dmin, minimum }: Parts): number {
  return d * scale * n - dmin * minimum;
}

function half(view: DataView, at: number): number {
  return halfValue(view.getUint16(at, true));
}

// ---- Superblocks of weight tiles.

/** Where a weight is: its header, its tile, its block in the superblock, its row and column in the tile. */
interface Place {
  readonly view: DataView;
  readonly head: number;
  readonly tile: number;
  readonly block: number;
  readonly lane: number;
  readonly col: number;
}

/** Byte of vector v that belongs to the weight's row, and to the first, second ... column of four. */
function vectorByte({ view, tile, lane, col }: Place, v: number): number {
  return view.getUint8(tile + 16 * v + 4 * lane + (col % 4));
}

function headOfK({ view, head, block, lane }: Place): Omit<Parts, "n"> {
  return {
    d: half(view, head + 2 * lane),
    dmin: half(view, head + 8 + 2 * lane),
    scale: view.getUint8(head + SUPER_SCALES + 4 * block + lane),
    minimum: view.getUint8(head + SUPER_MINIMA + 8 * Math.floor(block / 2) + 2 * lane + (block % 2)),
  };
}

function tileQ4K(place: Place): Parts {
  const byte = vectorByte(place, Math.floor((place.col % 16) / 4));
  return { ...headOfK(place), n: bits(byte, place.col < 16 ? 0 : 4, 4) };
}

function tileQ5K(place: Place): Parts {
  const v = Math.floor(place.col / 4);
  const byte = (i: number) => vectorByte(place, i);
  const n = {
    5: () => bits(byte(0), 5, 3) + 8 * bits(byte(1), 5, 2),
    6: () => bits(byte(2), 5, 3) + 8 * bits(byte(3), 5, 2),
    7: () => bits(byte(4), 5, 3) + 8 * bits(byte(1), 7, 1) + 16 * bits(byte(3), 7, 1),
  }[v];
  return { ...headOfK(place), n: n ? n() : bits(byte(v), 0, 5) };
}

function tileQ6K(place: Place): Parts {
  const { view, head, block, lane, col } = place;
  const v = Math.floor(col / 4);
  const upper = (i: number) => bits(vectorByte(place, i), 6, 2);
  const first = v === 6 ? 0 : 3;
  const n =
    v < 6 ? bits(vectorByte(place, v), 0, 6) : upper(first) + 4 * upper(first + 1) + 16 * upper(first + 2);
  const scale = view.getInt8(head + Q6K_SCALES + 8 * block + 2 * lane + Math.floor(col / 16));
  return { d: half(view, head + 2 * lane), scale, n: n - 32, dmin: 0, minimum: 0 };
}

function tileQ2K(place: Place): Parts {
  const { view, head, block, lane, col } = place;
  const at = 8 * block + 2 * lane + Math.floor(col / 16);
  return {
    d: half(view, head + 2 * lane),
    dmin: half(view, head + 8 + 2 * lane),
    scale: view.getUint8(head + SUPER_SCALES + at),
    minimum: view.getUint8(head + Q2K_MINIMA + at),
    n: bits(vectorByte(place, Math.floor(col / 16)), 2 * Math.floor((col % 16) / 4), 2),
  };
}

/** The books: those of IQ2 and IQ1 types have 6 values, that of Q3_K has 8, all others 16. */
const books: Readonly<Record<number, readonly number[]>> = {
  [BOOK_IQ4]: iq4,
  [BOOK_IQ3_S]: Array.from({ length: 16 }, (_, i) => 2 * i - 15),
  [BOOK_IQ3_XXS]: ofBothSigns([4, 12, 20, 28, 36, 44, 52, 62]),
  [BOOK_IQ2]: ofBothSigns([8, 25, 43]),
  [BOOK_IQ1]: ofBothSigns([1, 7, 9]),
  [BOOK_Q3]: [-4, -3, -2, -1, 0, 1, 2, 3],
};

function ofBothSigns(levels: readonly number[]): number[] {
  return [...levels.map((v) => -v).reverse(), ...levels];
}

/** The book of a format's code; undefined: it has none. */
export function bookOf(weight: number): readonly number[] | undefined {
  const layout = weight % WEIGHT_BOOK;
  return layout === WEIGHT_X4K || layout === WEIGHT_X3K ? books[Math.floor(weight / WEIGHT_BOOK)] : undefined;
}

function tileX4K(place: Place): Parts {
  const { view, head, block, lane, col } = place;
  const n = bits(vectorByte(place, Math.floor((col % 16) / 4)), col < 16 ? 0 : 4, 4);
  const scale = view.getInt8(head + Q6K_SCALES + 4 * block + lane);
  return { d: half(view, head + 2 * lane), scale, n, dmin: 0, minimum: 0 };
}

function tileX3K(place: Place): Parts {
  const { view, head, block, lane, col } = place;
  const k = Math.floor(col / 4);
  const last = () => bits(vectorByte(place, k - 6), 6, 2) + 4 * bits(vectorByte(place, 2), k, 1);
  const n = k < 6 ? bits(vectorByte(place, k % 3), k < 3 ? 0 : 3, 3) : last();
  const scale = view.getInt8(head + Q6K_SCALES + 8 * block + 2 * lane + Math.floor(col / 16));
  return { d: half(view, head + 2 * lane), scale, n, dmin: 0, minimum: 0 };
}

interface SuperTile {
  readonly headBytes: number;
  readonly tileBytes: number;
  /** What a weight is made of; n is an index if the format has a book. */
  readonly parts: (place: Place) => Parts;
}

const layouts: Readonly<Record<number, SuperTile>> = {
  [WEIGHT_Q4K]: { headBytes: Q4K_HEAD_BYTES, tileBytes: Q4K_TILE_BYTES, parts: tileQ4K },
  [WEIGHT_Q5K]: { headBytes: Q4K_HEAD_BYTES, tileBytes: Q5K_TILE_BYTES, parts: tileQ5K },
  [WEIGHT_Q6K]: { headBytes: Q6K_HEAD_BYTES, tileBytes: Q6K_TILE_BYTES, parts: tileQ6K },
  [WEIGHT_X4K]: { headBytes: X4K_HEAD_BYTES, tileBytes: Q4K_TILE_BYTES, parts: tileX4K },
  [WEIGHT_X3K]: { headBytes: Q6K_HEAD_BYTES, tileBytes: X3K_TILE_BYTES, parts: tileX3K },
  [WEIGHT_Q2K]: { headBytes: Q2K_HEAD_BYTES, tileBytes: Q2K_TILE_BYTES, parts: tileQ2K },
};

/** Whether a format's code is one of superblocks. */
export function isSuper(weight: number): boolean {
  return layouts[weight % WEIGHT_BOOK] !== undefined;
}

/** Bytes of headers and tiles, and what a weight is made of. */
export function layoutOf(weight: number): SuperTile {
  return layouts[weight % WEIGHT_BOOK] as SuperTile;
}

/** Bytes of a superblock of a strip. */
export function superBytes(weight: number): number {
  const { headBytes, tileBytes } = layoutOf(weight);
  return headBytes + SUPER_BLOCKS * tileBytes;
}

/** What the weight of a row and column of a matrix [rows, cols] is made of; d and dmin are stored times 2^shift. */
export function tileParts(
  weight: number,
  bytes: Uint8Array,
  row: number,
  col: number,
  rows: number,
  cols: number,
  shift: number = SCALE_SHIFT,
): Parts {
  const { headBytes, tileBytes, parts } = layoutOf(weight);
  const { first, size, at } = placeInGroup(row, rows, GROUP_STRIPS);
  const group = first * (cols / SUPER_COLS) * superBytes(weight);
  const begin = group + Math.floor(col / SUPER_COLS) * size * superBytes(weight);
  const block = Math.floor((col % SUPER_COLS) / BLOCK_COLS);
  const stored = parts({
    view: viewOf(bytes),
    head: begin + at * headBytes,
    tile: begin + size * headBytes + (block * size + at) * tileBytes,
    block,
    lane: row % TILE_ROWS,
    col: col % BLOCK_COLS,
  });
  const { d, scale, n, dmin, minimum } = stored;
  const power = 2 ** shift;
  return { d: d / power, scale, n: bookOf(weight)?.[n] ?? n, dmin: dmin / power, minimum };
}

// ---- Activations.

/** A row of activations as superblocks: integers, and for each superblock a scale and sums of blocks and of half blocks. */
export interface SuperRow {
  readonly integers: Int32Array;
  readonly scales: Float32Array;
  readonly sums: Int32Array;
  readonly halves: Int32Array;
}

/** What activations become: nearest integers, ties to even, of x times f32 127 / max|x|. */
export function superRow(x: Float32Array): SuperRow {
  const integers = new Int32Array(x.length);
  const scales = new Float32Array(x.length / SUPER_COLS);
  for (let s = 0; s < scales.length; s++) {
    const part = x.subarray(SUPER_COLS * s, SUPER_COLS * (s + 1));
    let peak = 0;
    for (const v of part) peak = Math.max(peak, Math.abs(v));
    if (peak < Math.fround(1e-30)) continue;
    scales[s] = peak / 127;
    const inverse = Math.fround(127 / peak);
    for (let i = 0; i < SUPER_COLS; i++) {
      integers[SUPER_COLS * s + i] = nearestEven(Math.fround((part[i] as number) * inverse));
    }
  }
  return { integers, scales, sums: sumsOf(integers, BLOCK_COLS), halves: sumsOf(integers, BLOCK_COLS / 2) };
}

function nearestEven(x: number): number {
  const down = Math.floor(x);
  return x - down === 0.5 ? down + (down % 2 === 0 ? 0 : 1) : Math.round(x);
}

function sumsOf(integers: Int32Array, n: number): Int32Array {
  return Int32Array.from({ length: integers.length / n }, (_, i) =>
    integers.subarray(n * i, n * (i + 1)).reduce((sum, v) => sum + v, 0),
  );
}

/** Superblocks of one token, as they are stored. */
export function storedRow(bytes: Uint8Array): SuperRow {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const supers = bytes.length / ACT_SUPER_BYTES;
  const of = (count: number, read: (base: number, i: number) => number) =>
    Array.from({ length: supers * count }, (_, i) =>
      read(Math.floor(i / count) * ACT_SUPER_BYTES, i % count),
    );
  return {
    integers: Int32Array.from(of(SUPER_COLS, (base, i) => view.getInt8(base + i))),
    scales: Float32Array.from(of(1, (base) => view.getFloat32(base + ACT_SUPER_SCALE, true))),
    sums: Int32Array.from(of(SUPER_BLOCKS, (base, i) => view.getInt16(base + ACT_SUPER_SUMS + 2 * i, true))),
    halves: Int32Array.from(
      of(2 * SUPER_BLOCKS, (base, i) => view.getInt16(base + ACT_SUPER_HALVES + 2 * i, true)),
    ),
  };
}

/** Superblocks that four tokens share, as the superblocks of token `lane` alone. */
export function superLane(bytes: Uint8Array, lane: number): Uint8Array {
  const supers = bytes.length / ACTS_SUPER_BYTES;
  const out = new Uint8Array(supers * ACT_SUPER_BYTES).fill(0xff);
  for (let s = 0; s < supers; s++) {
    const copy = (from: number, to: number) => {
      const at = s * ACTS_SUPER_BYTES + from + 4 * lane;
      out.set(bytes.subarray(at, at + 4), s * ACT_SUPER_BYTES + to);
    };
    for (let step = 0; step < 64; step++) copy(16 * step, 4 * step);
    copy(ACTS_SUPER_SCALES, ACT_SUPER_SCALE);
    for (let pair = 0; pair < 4; pair++) copy(ACTS_SUPER_SUMS + 16 * pair, ACT_SUPER_SUMS + 4 * pair);
    for (let block = 0; block < 8; block++)
      copy(ACTS_SUPER_HALVES + 16 * block, ACT_SUPER_HALVES + 4 * block);
  }
  return out;
}

// ---- Products.

/** A matrix as integers: [height, cols] of scale * n and of minima, and d and dmin of each row's superblocks. */
export interface SuperMatrix {
  readonly height: number;
  readonly cols: number;
  readonly products: Int32Array;
  readonly minima: Int32Array;
  readonly d: Float64Array;
  readonly dmin: Float64Array;
}

/** A packed matrix [rows, cols], its rows padded. */
export function superMatrix(
  weight: number,
  bytes: Uint8Array,
  rows: number,
  cols: number,
  shift: number = SCALE_SHIFT,
): SuperMatrix {
  const height = stripsOf(rows) * TILE_ROWS;
  const supers = height * (cols / SUPER_COLS);
  const matrix = {
    height: padded(rows, PADDED_ROWS),
    cols,
    products: new Int32Array(height * cols),
    minima: new Int32Array(height * cols),
    d: new Float64Array(supers),
    dmin: new Float64Array(supers),
  };
  for (let i = 0; i < height * cols; i++) {
    const [row, col] = [Math.floor(i / cols), i % cols];
    const { d, scale, n, dmin, minimum } = tileParts(weight, bytes, row, col, rows, cols, shift);
    matrix.products[i] = scale * n;
    matrix.minima[i] = minimum;
    matrix.d[Math.floor(i / SUPER_COLS)] = d;
    matrix.dmin[Math.floor(i / SUPER_COLS)] = dmin;
  }
  return matrix;
}

/** The exact values of a matrix, [height, cols]. */
export function superValues({ products, minima, d, dmin }: SuperMatrix): Float64Array {
  const values = new Float64Array(products.length);
  for (let i = 0; i < values.length; i++) {
    const s = Math.floor(i / SUPER_COLS);
    values[i] = (d[s] as number) * (products[i] as number) - (dmin[s] as number) * (minima[i] as number);
  }
  return values;
}

/**
 * out[r] = start[r] + sum_c W[r, c] * x[c], each step as f32: integer sums of a superblock times d times the scale of x, less
 * those of minima, superblocks in ascending order. 2^112 is divided out of d and multiplied into the scale.
 */
export function superProduct(
  matrix: SuperMatrix,
  x: SuperRow,
  shift: number = SCALE_SHIFT,
  start?: ArrayLike<number>,
): Float32Array {
  const { fround } = Math;
  const { height, cols } = matrix;
  const supers = cols / SUPER_COLS;
  const out = new Float32Array(height);
  if (start) out.set(start);
  for (let r = 0; r < height; r++) {
    for (let s = 0; s < supers; s++) {
      const [sum, less] = superSums(matrix, x, r, s);
      const at = r * supers + s;
      const factor = fround((x.scales[s] as number) * 2 ** (112 - shift));
      const scaled = (d: number) => fround(d * 2 ** shift * 2 ** -112 * factor);
      let value = fround(fround(sum) * scaled(matrix.d[at] as number));
      value = fround(value - fround(fround(less) * scaled(matrix.dmin[at] as number)));
      out[r] = value + (out[r] as number);
    }
  }
  return out;
}

/** The integer sums of a row's superblock s: of scale * n * x, and of minima times x. They must fit i32. */
export function superSums(matrix: SuperMatrix, x: SuperRow, r: number, s: number): [number, number] {
  let sum = 0;
  let less = 0;
  for (let c = SUPER_COLS * s; c < SUPER_COLS * (s + 1); c++) {
    const at = r * matrix.cols + c;
    sum += (matrix.products[at] as number) * (x.integers[c] as number);
    less += (matrix.minima[at] as number) * (x.integers[c] as number);
  }
  if (Math.max(Math.abs(sum), Math.abs(less)) >= 2 ** 31) throw new Error(`${sum}, ${less}: no i32`);
  return [sum, less];
}
