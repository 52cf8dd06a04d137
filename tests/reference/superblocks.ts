// Scalar twins of formats of superblocks: what superblocks of files, of weight tiles and of activations stand for, and exact
// products. One value at a time, from the layouts' definitions (assembly/layout/blocks.ts, ggml-common.h).
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
  GROUP_STRIPS,
  PADDED_ROWS,
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
  WEIGHT_Q4K,
  WEIGHT_Q5K,
  WEIGHT_Q6K,
} from "../../assembly/layout/blocks.ts";
import {
  FILE_Q4_K,
  FILE_Q4_K_BYTES,
  FILE_Q5_K,
  FILE_Q5_K_BYTES,
  FILE_Q6_K,
  FILE_Q6_K_BYTES,
} from "../../assembly/layout/file_types.gen.ts";
import { halfValue } from "./math.ts";
import { padded, placeInGroup, stripsOf } from "./placement.ts";

/** A weight is d * scale * n - dmin * minimum. All but d and dmin are integers. */
export interface Parts {
  readonly d: number;
  readonly scale: number;
  readonly n: number;
  readonly dmin: number;
  readonly minimum: number;
}

/** The exact value of a weight. */
export function weightValue({ d, scale, n, dmin, minimum }: Parts): number {
  return d * scale * n - dmin * minimum;
}

function half(view: DataView, at: number): number {
  return halfValue(view.getUint16(at, true));
}

/** Bits [from, from + count) of a byte. */
function bits(byte: number, from: number, count: number): number {
  return Math.floor(byte / 2 ** from) % 2 ** count;
}

// ---- Superblocks of files.

/** Scale and minimum of block j of Q4_K and Q5_K, of the twelve bytes from `at` on. */
function scaleAndMinimum(view: DataView, at: number, j: number): { scale: number; minimum: number } {
  const byte = (i: number) => view.getUint8(at + i);
  if (j < 4) return { scale: bits(byte(j), 0, 6), minimum: bits(byte(j + 4), 0, 6) };
  return {
    scale: bits(byte(j + 4), 0, 4) + 16 * bits(byte(j - 4), 6, 2),
    minimum: bits(byte(j + 4), 4, 4) + 16 * bits(byte(j), 6, 2),
  };
}

function fileQ4K(view: DataView, i: number): Parts {
  const block = Math.floor(i / 32);
  const byte = view.getUint8(16 + 32 * Math.floor(i / 64) + (i % 32));
  const n = bits(byte, 4 * (block % 2), 4);
  return { d: half(view, 0), dmin: half(view, 2), n, ...scaleAndMinimum(view, 4, block) };
}

function fileQ5K(view: DataView, i: number): Parts {
  const block = Math.floor(i / 32);
  const byte = view.getUint8(48 + 32 * Math.floor(i / 64) + (i % 32));
  const n = bits(byte, 4 * (block % 2), 4) + 16 * bits(view.getUint8(16 + (i % 32)), block, 1);
  return { d: half(view, 0), dmin: half(view, 2), n, ...scaleAndMinimum(view, 4, block) };
}

function fileQ6K(view: DataView, i: number): Parts {
  const [part, col] = [Math.floor(i / 128), i % 128];
  const low = bits(view.getUint8(64 * part + (col % 64)), col < 64 ? 0 : 4, 4);
  const high = bits(view.getUint8(128 + 32 * part + (col % 32)), 2 * Math.floor(col / 32), 2);
  const scale = view.getInt8(192 + Math.floor(i / 16));
  return { d: half(view, 208), scale, n: low + 16 * high - 32, dmin: 0, minimum: 0 };
}

/** A tensor type of superblocks. */
export interface SuperFile {
  readonly bytes: number;
  /** Where halves are. */
  readonly halves: readonly number[];
  /** The bytes of integer scales, and of minima. */
  readonly scales: readonly [begin: number, end: number];
  /** Weight i of a superblock. */
  readonly parts: (view: DataView, i: number) => Parts;
}

/** Tensor types of superblocks, by their codes. */
export const superFiles: Readonly<Record<number, SuperFile>> = {
  [FILE_Q4_K]: { bytes: FILE_Q4_K_BYTES, halves: [0, 2], scales: [4, 16], parts: fileQ4K },
  [FILE_Q5_K]: { bytes: FILE_Q5_K_BYTES, halves: [0, 2], scales: [4, 16], parts: fileQ5K },
  [FILE_Q6_K]: { bytes: FILE_Q6_K_BYTES, halves: [208], scales: [192, 208], parts: fileQ6K },
};

/** What value i of a row of file superblocks is made of. */
export function fileParts(file: number, row: Uint8Array, i: number): Parts {
  const { bytes, parts } = superFiles[file] as SuperFile;
  const at = Math.floor(i / SUPER_COLS) * bytes;
  return parts(new DataView(row.buffer, row.byteOffset + at, bytes), i % SUPER_COLS);
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

/** Formats of superblocks: bytes of headers and tiles, and what a weight of theirs is made of. */
export const superTiles: Readonly<
  Record<number, { headBytes: number; tileBytes: number; parts: (place: Place) => Parts }>
> = {
  [WEIGHT_Q4K]: { headBytes: Q4K_HEAD_BYTES, tileBytes: Q4K_TILE_BYTES, parts: tileQ4K },
  [WEIGHT_Q5K]: { headBytes: Q4K_HEAD_BYTES, tileBytes: Q5K_TILE_BYTES, parts: tileQ5K },
  [WEIGHT_Q6K]: { headBytes: Q6K_HEAD_BYTES, tileBytes: Q6K_TILE_BYTES, parts: tileQ6K },
};

/** Bytes of a superblock of a strip. */
export function superBytes(weight: number): number {
  const { headBytes, tileBytes } = superTiles[weight] as (typeof superTiles)[number];
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
  const { headBytes, tileBytes, parts } = superTiles[weight] as (typeof superTiles)[number];
  const { first, size, at } = placeInGroup(row, rows, GROUP_STRIPS);
  const group = first * (cols / SUPER_COLS) * superBytes(weight);
  const begin = group + Math.floor(col / SUPER_COLS) * size * superBytes(weight);
  const block = Math.floor((col % SUPER_COLS) / BLOCK_COLS);
  const stored = parts({
    view: new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength),
    head: begin + at * headBytes,
    tile: begin + size * headBytes + (block * size + at) * tileBytes,
    block,
    lane: row % TILE_ROWS,
    col: col % BLOCK_COLS,
  });
  return { ...stored, d: stored.d / 2 ** shift, dmin: stored.dmin / 2 ** shift };
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
    const peak = part.reduce((m, v) => Math.max(m, Math.abs(v)), 0);
    if (peak < Math.fround(1e-30)) continue;
    scales[s] = peak / 127;
    const inverse = Math.fround(127 / peak);
    part.forEach((v, i) => {
      integers[SUPER_COLS * s + i] = nearestEven(Math.fround(v * inverse));
    });
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
    const { d, scale, n, dmin, minimum } = tileParts(
      weight,
      bytes,
      Math.floor(i / cols),
      i % cols,
      rows,
      cols,
      shift,
    );
    matrix.products[i] = scale * n;
    matrix.minima[i] = minimum;
    matrix.d[Math.floor(i / SUPER_COLS)] = d;
    matrix.dmin[Math.floor(i / SUPER_COLS)] = dmin;
  }
  return matrix;
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
  const out = Float32Array.from({ length: height }, (_, r) => (start ? (start[r] as number) : 0));
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
