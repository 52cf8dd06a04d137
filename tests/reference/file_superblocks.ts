// Scalar twins of the superblocks of files that formats in memory keep: what each weight is made of. One value at a time, from
// the structs of ggml-common.h and the formulas of their dequantization.
import {
  FILE_IQ1_M,
  FILE_IQ1_S,
  FILE_IQ2_S,
  FILE_IQ2_XS,
  FILE_IQ2_XXS,
  FILE_IQ3_S,
  FILE_IQ3_XXS,
  FILE_IQ4_XS,
  FILE_Q2_K,
  FILE_Q3_K,
  FILE_Q4_K,
  FILE_Q5_K,
  FILE_Q6_K,
} from "../../assembly/layout/file_types.gen.ts";
import { tensorTypes } from "../../src/quant/file_types.ts";
import { evenSign, gridValue, iq4 } from "./block_types.ts";
import { halfValue } from "./math.ts";

const SUPER_COLS = 256;

/** A weight is d * scale * n - dmin * minimum. All but d and dmin are integers. */
export interface Parts {
  readonly d: number;
  readonly scale: number;
  readonly n: number;
  readonly dmin: number;
  readonly minimum: number;
}

/** Writes the 16 bits of a half into a superblock at byte `at`. */
type SetHalf = (view: DataView, at: number, bits: number) => void;

/** A tensor type of superblocks. */
export interface SuperFile {
  readonly bytes: number;
  /** What d is of the half that is stored: 1, or a quarter or an eighth if scales are stored as s for 2s + 1. */
  readonly unit: number;
  /** The halves. */
  readonly halves: readonly SetHalf[];
  /** The bytes of integer scales, and of minima. */
  readonly scales: readonly [begin: number, end: number];
  /** Weight i of a superblock. */
  readonly parts: (view: DataView, i: number) => Parts;
}

/** Bits [from, from + count) of a number of 32 bits; count < 32. */
export function bits(value: number, from: number, count: number): number {
  return (value >>> from) & ((1 << count) - 1);
}

function half(view: DataView, at: number): number {
  return halfValue(view.getUint16(at, true));
}

// ---- K types.

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
  return plain(half(view, 208), view.getInt8(192 + Math.floor(i / 16)), low + 16 * high - 32);
}

/** The two bits of weight i of Q2_K and Q3_K: four planes of 32 bytes, twice. */
function plane(view: DataView, at: number, i: number): number {
  return bits(view.getUint8(at + 32 * Math.floor(i / 128) + (i % 32)), 2 * (Math.floor(i / 32) % 4), 2);
}

function fileQ2K(view: DataView, i: number): Parts {
  const both = view.getUint8(Math.floor(i / 16));
  const integers = { scale: bits(both, 0, 4), minimum: bits(both, 4, 4), n: plane(view, 16, i) };
  return { d: half(view, 80), dmin: half(view, 82), ...integers };
}

function fileQ3K(view: DataView, i: number): Parts {
  const j = Math.floor(i / 16);
  const low = bits(view.getUint8(96 + (j % 8)), j < 8 ? 0 : 4, 4);
  const high = bits(view.getUint8(104 + (j % 4)), 2 * Math.floor(j / 4), 2);
  const third = bits(view.getUint8(i % 32), Math.floor(i / 32), 1);
  return plain(half(view, 108), low + 16 * high - 32, plane(view, 32, i) + 4 * third - 4);
}

// ---- IQ types.

function plain(d: number, scale: number, n: number): Parts {
  return { d, scale, n, dmin: 0, minimum: 0 };
}

/** Nibble i of the bytes from `at` on, the low one of each first. */
function nibble(view: DataView, at: number, i: number): number {
  return bits(view.getUint8(at + Math.floor(i / 2)), 4 * (i % 2), 4);
}

function bit(view: DataView, at: number, i: number): number {
  return bits(view.getUint8(at + Math.floor(i / 8)), i % 8, 1);
}

function fileIQ4XS(view: DataView, i: number): Parts {
  const block = Math.floor(i / 32);
  const scale = nibble(view, 4, block) + 16 * bits(view.getUint16(2, true), 2 * block, 2) - 32;
  const index = bits(view.getUint8(8 + 16 * block + (i % 16)), i % 32 < 16 ? 0 : 4, 4);
  return plain(half(view, 0), scale, iq4[index] as number);
}

function fileIQ3S(view: DataView, i: number): Parts {
  const four = Math.floor(i / 4);
  const point = gridValue("iq3_s", 4, view.getUint8(2 + four) + 256 * bit(view, 66, four), i % 4);
  const scale = 1 + 2 * nibble(view, 106, Math.floor(i / 32));
  return plain(half(view, 0), scale, bit(view, 74, i) ? -point : point);
}

function fileIQ3XXS(view: DataView, i: number): Parts {
  const word = view.getUint32(66 + 4 * Math.floor(i / 32), true);
  const sign = evenSign(bits(word, 7 * Math.floor((i % 32) / 8), 7), i % 8);
  const point = gridValue("iq3_xxs", 4, view.getUint8(2 + Math.floor(i / 4)), i % 4);
  return plain(half(view, 0) / 4, 1 + 2 * bits(word, 28, 4), sign * point);
}

function fileIQ2XXS(view: DataView, i: number): Parts {
  const [block, eight] = [Math.floor(i / 32), Math.floor((i % 32) / 8)];
  const word = view.getUint32(6 + 8 * block, true);
  const point = gridValue("iq2_xxs", 8, view.getUint8(2 + 8 * block + eight), i % 8);
  return plain(
    half(view, 0) / 8,
    1 + 2 * bits(word, 28, 4),
    evenSign(bits(word, 7 * eight, 7), i % 8) * point,
  );
}

function fileIQ2XS(view: DataView, i: number): Parts {
  const word = view.getUint16(2 + 2 * Math.floor(i / 8), true);
  const n = evenSign(bits(word, 9, 7), i % 8) * gridValue("iq2_xs", 8, bits(word, 0, 9), i % 8);
  return plain(half(view, 0) / 8, 1 + 2 * nibble(view, 66, Math.floor(i / 16)), n);
}

function fileIQ2S(view: DataView, i: number): Parts {
  const eight = Math.floor(i / 8);
  const high = bits(view.getUint8(66 + Math.floor(eight / 4)), 2 * (eight % 4), 2);
  const point = gridValue("iq2_s", 8, view.getUint8(2 + eight) + 256 * high, i % 8);
  const scale = 1 + 2 * nibble(view, 74, Math.floor(i / 16));
  return plain(half(view, 0) / 8, scale, bit(view, 34, i) ? -point : point);
}

function fileIQ1S(view: DataView, i: number): Parts {
  const word = view.getUint16(34 + 2 * Math.floor(i / 32), true);
  const index = view.getUint8(2 + Math.floor(i / 8)) + 256 * bits(word, 3 * Math.floor((i % 32) / 8), 3);
  const n = 8 * gridValue("iq1", 8, index, i % 8) + (bits(word, 15, 1) ? -1 : 1);
  return plain(half(view, 0) / 8, 1 + 2 * bits(word, 12, 3), n);
}

function fileIQ1M(view: DataView, i: number): Parts {
  const word = (j: number) => view.getUint16(48 + 2 * j, true);
  const d = [0, 1, 2, 3].reduce((sum, j) => sum + bits(word(j), 12, 4) * 16 ** j, 0);
  const sixteen = Math.floor(i / 16);
  const upper = nibble(view, 32, Math.floor(i / 8));
  const index = view.getUint8(Math.floor(i / 8)) + 256 * bits(upper, 0, 3);
  const n = 8 * gridValue("iq1", 8, index, i % 8) + (bits(upper, 3, 1) ? -1 : 1);
  return plain(halfValue(d) / 8, 1 + 2 * bits(word(Math.floor(sixteen / 4)), 3 * (sixteen % 4), 3), n);
}

function at(offset: number): SetHalf {
  return (view, block, value) => view.setUint16(block + offset, value, true);
}

/** IQ1_M: the upper nibbles of four words. */
function scattered(view: DataView, block: number, value: number): void {
  for (let j = 0; j < 4; j++) {
    const word = view.getUint16(block + 48 + 2 * j, true) % 0x1000;
    view.setUint16(block + 48 + 2 * j, word + 0x1000 * bits(value, 4 * j, 4), true);
  }
}

function file(
  code: number,
  halves: readonly SetHalf[],
  scales: readonly [number, number],
  parts: SuperFile["parts"],
  unit = 1,
): [number, SuperFile] {
  const type = tensorTypes.find((t) => t.code === code);
  return [code, { bytes: type?.blockBytes ?? 0, unit, halves, scales, parts }];
}

/** Tensor types of superblocks, by their codes. */
export const superFiles: Readonly<Record<number, SuperFile>> = Object.fromEntries([
  file(FILE_Q2_K, [at(80), at(82)], [0, 16], fileQ2K),
  file(FILE_Q3_K, [at(108)], [96, 108], fileQ3K),
  file(FILE_Q4_K, [at(0), at(2)], [4, 16], fileQ4K),
  file(FILE_Q5_K, [at(0), at(2)], [4, 16], fileQ5K),
  file(FILE_Q6_K, [at(208)], [192, 208], fileQ6K),
  file(FILE_IQ4_XS, [at(0)], [2, 8], fileIQ4XS),
  file(FILE_IQ3_S, [at(0)], [106, 110], fileIQ3S),
  file(FILE_IQ3_XXS, [at(0)], [66, 98], fileIQ3XXS, 1 / 4),
  file(FILE_IQ2_XXS, [at(0)], [2, 66], fileIQ2XXS, 1 / 8),
  file(FILE_IQ2_XS, [at(0)], [66, 74], fileIQ2XS, 1 / 8),
  file(FILE_IQ2_S, [at(0)], [74, 82], fileIQ2S, 1 / 8),
  file(FILE_IQ1_S, [at(0)], [34, 50], fileIQ1S, 1 / 8),
  file(FILE_IQ1_M, [scattered], [48, 56], fileIQ1M, 1 / 8),
]);

/** What value i of a row of file superblocks is made of. */
export function fileParts(code: number, row: Uint8Array, i: number): Parts {
  const { bytes, parts } = superFiles[code] as SuperFile;
  const block = Math.floor(i / SUPER_COLS);
  // Callers go from one weight to the next.
  if (row !== last.row || block !== last.block || bytes !== last.view.byteLength) {
    last = { row, block, view: new DataView(row.buffer, row.byteOffset + block * bytes, bytes) };
  }
  return parts(last.view, i % SUPER_COLS);
}

/** The superblock that was asked for last. */
let last: { row?: Uint8Array; block: number; view: DataView } = {
  block: -1,
  view: new DataView(new ArrayBuffer(0)),
};
