// Random blocks of every tensor type, valid and with scales of a given size, and where the scales lie.
import { fileTypes } from "../../src/quant/file_types.ts";
import { nearestHalf } from "../reference/math.ts";
import { uniform } from "./kernels.ts";

/** A number of a block that its integers are multiplied by. */
export interface BlockScale {
  /** About the largest magnitude of what it is multiplied by; 1 for an offset. */
  readonly peak: number;
  /** Writes it into the block that begins at byte `at`; NaN and infinities too, if the type has them. */
  readonly set: (view: DataView, at: number, value: number) => void;
}

function halfBits(value: number): number {
  if (Number.isFinite(value)) return nearestHalf(value);
  return Number.isNaN(value) ? 0x7e01 : value > 0 ? 0x7c00 : 0xfc00;
}

function half(offset: number, peak: number): BlockScale {
  return { peak, set: (view, at, value) => view.setUint16(at + offset, halfBits(value), true) };
}

/** The scales of each type with blocks; none can be NaN in NVFP4. */
const scales: Readonly<Record<string, readonly BlockScale[]>> = {
  Q8_0: [half(0, 127)],
  Q4_0: [half(0, 8)],
  Q4_1: [half(0, 15), half(2, 1)],
  Q5_0: [half(0, 16)],
  Q5_1: [half(0, 31), half(2, 1)],
  Q2_K: [half(80, 3 * 15), half(82, 15)],
  Q3_K: [half(108, 4 * 32)],
  Q4_K: [half(0, 15 * 63), half(2, 63)],
  Q5_K: [half(0, 31 * 63), half(2, 63)],
  Q6_K: [half(208, 32 * 128)],
  Q8_K: [{ peak: 127, set: (view, at, value) => view.setFloat32(at, value, true) }],
  IQ2_XXS: [half(0, 43 * 3.9)],
  IQ2_XS: [half(0, 43 * 3.9)],
  IQ2_S: [half(0, 43 * 3.9)],
  IQ3_XXS: [half(0, 62 * 7.8)],
  IQ3_S: [half(0, 15 * 31)],
  IQ1_S: [half(0, 17)],
  IQ1_M: [{ peak: 17, set: setScattered }],
  IQ4_NL: [half(0, 127)],
  IQ4_XS: [half(0, 127 * 32)],
  TQ1_0: [half(52, 1)],
  TQ2_0: [half(64, 2)],
  MXFP4: [{ peak: 6, set: setExponent }],
  NVFP4: [0, 1, 2, 3].map((offset) => ({
    peak: 6,
    set: (view, at, value) => setFp8(view, at + offset, value),
  })),
  Q1_0: [half(0, 1)],
  Q2_0: [half(0, 2)],
};

// The upper nibbles of four words.
function setScattered(view: DataView, at: number, value: number): void {
  for (let word = 0; word < 4; word++) {
    const offset = at + 48 + 2 * word;
    const nibble = (halfBits(value) >> (4 * word)) & 15;
    view.setUint16(offset, (view.getUint16(offset, true) & 0xfff) | (nibble << 12), true);
  }
}

function setExponent(view: DataView, at: number, value: number): void {
  view.setUint8(at, Number.isFinite(value) ? 127 + Math.round(Math.log2(Math.abs(value))) : 255);
}

function setFp8(view: DataView, at: number, value: number): void {
  const exponent = Math.max(0, Math.min(14, 7 + Math.round(Math.log2(Math.abs(value)))));
  view.setUint8(at, (view.getUint8(at) & 0x87) | (exponent << 3));
}

/** The names of the types with blocks. */
export const typesWithBlocks = Object.keys(scales);

/** The scales of a block. */
export function blockScales(type: string): readonly BlockScale[] {
  const found = scales[type];
  if (found === undefined) throw new Error(`${type} has no blocks`);
  return found;
}

/** `n` blocks of random bytes whose values reach about `bound`; every fifth block has much smaller scales. */
export function randomBlocks(type: string, n: number, seed: number, bound = 1): Uint8Array<ArrayBuffer> {
  const { blockBytes } = fileTypes.get(type) as { blockBytes: number };
  const next = uniform(seed);
  const bytes = Uint8Array.from({ length: n * blockBytes }, () => next(0, 256));
  const view = new DataView(bytes.buffer);
  for (let block = 0; block < n; block++) {
    for (const { peak, set } of blockScales(type)) {
      const size = (next(0.5, 1) * bound) / peak;
      set(view, block * blockBytes, (next(-1, 1) < 0 ? -size : size) * (block % 5 === 3 ? 2 ** -9 : 1));
    }
  }
  return bytes;
}
