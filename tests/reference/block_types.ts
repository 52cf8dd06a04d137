// The values of every tensor type with blocks, one value at a time: the twin of assembly/types/, written from the structs of
// ggml-common.h and the formulas of their dequantization. Each operation is rounded to f32.
import type { GridName } from "../../src/quant/file_types.ts";
import { gridPoints } from "../../src/quant/grids.ts";
import { halfValue } from "./math.ts";
import { viewOf } from "./placement.ts";

const f = Math.fround;

/** A block of a type: how many values, how many bytes, and value i of the block that begins at byte `at`. */
interface BlockType {
  readonly cols: number;
  readonly bytes: number;
  readonly value: (b: Block, i: number) => number;
}

/** Reads the fields of a block. */
class Block {
  readonly #view: DataView;
  readonly #at: number;

  constructor(view: DataView, at: number) {
    this.#view = view;
    this.#at = at;
  }

  u8(offset: number): number {
    return this.#view.getUint8(this.#at + offset);
  }

  i8(offset: number): number {
    return this.#view.getInt8(this.#at + offset);
  }

  u16(offset: number): number {
    return this.#view.getUint16(this.#at + offset, true);
  }

  u32(offset: number): number {
    return this.#view.getUint32(this.#at + offset, true);
  }

  f32(offset: number): number {
    return this.#view.getFloat32(this.#at + offset, true);
  }

  /** A scale: what is not finite is NaN. */
  half(offset: number): number {
    return finite(halfValue(this.u16(offset)));
  }

  /** Bit i of the bytes from `offset` on, the lowest of each first. */
  bit(offset: number, i: number): number {
    return (this.u8(offset + Math.floor(i / 8)) >> (i % 8)) & 1;
  }

  /** Nibble i of the bytes from `offset` on, the low one of each first. */
  nibble(offset: number, i: number): number {
    return (this.u8(offset + Math.floor(i / 2)) >> (4 * (i % 2))) & 15;
  }

  /** Two bits of value i of the bytes from `offset` on, the lowest of each byte first. */
  two(offset: number, i: number): number {
    return (this.u8(offset + Math.floor(i / 4)) >> (2 * (i % 4))) & 3;
  }

  /** Value i of 32 nibbles: the low ones of 16 bytes, then the high ones. */
  halves(offset: number, i: number): number {
    return (this.u8(offset + (i % 16)) >> (i < 16 ? 0 : 4)) & 15;
  }

  /** Value i of 256 with two bits each: four planes of 32 bytes, twice. */
  plane(offset: number, i: number): number {
    return (this.u8(offset + 32 * Math.floor(i / 128) + (i % 32)) >> (2 * (Math.floor(i / 32) % 4))) & 3;
  }
}

const finite = (x: number) => (Number.isFinite(x) ? x : Number.NaN);
const times = (d: number, q: number) => f(d * q);
const group = (i: number, n: number) => Math.floor(i / n);

/** The values of IQ4 types. */
export const iq4: readonly number[] = [
  -127, -104, -83, -65, -49, -35, -22, -10, 1, 13, 25, 38, 53, 69, 89, 113,
];
const fp4 = [0, 0.5, 1, 1.5, 2, 3, 4, 6];
const fp4Value = (nibble: number) => (nibble < 8 ? (fp4[nibble] as number) : 0 - (fp4[nibble - 8] as number));

// The 6-bit scale and minimum g of Q4_K and Q5_K.
function sixBits(b: Block, g: number): [number, number] {
  if (g < 4) return [b.u8(4 + g) & 63, b.u8(8 + g) & 63];
  const last = b.u8(8 + g);
  return [(last & 15) + 16 * (b.u8(g) >> 6), (last >> 4) + 16 * (b.u8(4 + g) >> 6)];
}

function k45(b: Block, i: number, q: number): number {
  const [scale, minimum] = sixBits(b, group(i, 32));
  return f(times(times(b.half(0), scale), q) - times(b.half(2), minimum));
}

// Nibble of value i of Q4_K and Q5_K: 32 low ones, their 32 high ones, and so on.
const pair = (b: Block, offset: number, i: number) =>
  (b.u8(offset + 32 * group(i, 64) + (i % 32)) >> (i % 64 < 32 ? 0 : 4)) & 15;

const grids = new Map<GridName, Int8Array>();

/** Value `i` of point `index` of a grid. */
export function gridValue(name: GridName, size: number, index: number, i: number): number {
  const points = grids.get(name) ?? gridPoints(name);
  grids.set(name, points);
  const value = points[size * index + i] as number;
  return name === "iq1" ? value / 8 : value;
}

/** The sign of value i of 8 whose 7 bits of signs are given: the eighth makes the number of minus signs even. */
export function evenSign(seven: number, i: number): number {
  let ones = 0;
  for (let bit = 0; bit < 7; bit++) ones += (seven >> bit) & 1;
  return (i < 7 ? (seven >> i) & 1 : ones % 2) ? -1 : 1;
}

const scaleOf2 = (d: number, scale: number) => times(times(d, 0.5 + scale), 0.25);

/** A high trit index of IQ1: its point's value and the eighth. */
const withEighth = (index: number, i: number, minus: number) =>
  gridValue("iq1", 8, index, i) + (minus ? -0.125 : 0.125);

const types: Readonly<Record<string, BlockType>> = {
  Q4_0: { cols: 32, bytes: 18, value: (b, i) => times(b.half(0), b.halves(2, i) - 8) },
  Q4_1: { cols: 32, bytes: 20, value: (b, i) => f(times(b.half(0), b.halves(4, i)) + b.half(2)) },
  Q5_0: {
    cols: 32,
    bytes: 22,
    value: (b, i) => times(b.half(0), b.halves(6, i) + 16 * b.bit(2, i) - 16),
  },
  Q5_1: {
    cols: 32,
    bytes: 24,
    value: (b, i) => f(times(b.half(0), b.halves(8, i) + 16 * b.bit(4, i)) + b.half(2)),
  },
  Q8_0: { cols: 32, bytes: 34, value: (b, i) => times(b.half(0), b.i8(2 + i)) },
  Q2_K: {
    cols: 256,
    bytes: 84,
    value: (b, i) => {
      const scale = b.u8(group(i, 16));
      return f(times(times(b.half(80), scale & 15), b.plane(16, i)) - times(b.half(82), scale >> 4));
    },
  },
  Q3_K: {
    cols: 256,
    bytes: 110,
    value: (b, i) => {
      const g = group(i, 16);
      const low = (b.u8(96 + (g % 8)) >> (g < 8 ? 0 : 4)) & 15;
      const high = (b.u8(104 + (g % 4)) >> (2 * group(g, 4))) & 3;
      const third = (b.u8(i % 32) >> group(i, 32)) & 1;
      return times(times(b.half(108), low + 16 * high - 32), b.plane(32, i) - (third ? 0 : 4));
    },
  },
  Q4_K: { cols: 256, bytes: 144, value: (b, i) => k45(b, i, pair(b, 16, i)) },
  Q5_K: {
    cols: 256,
    bytes: 176,
    value: (b, i) => k45(b, i, pair(b, 48, i) + 16 * ((b.u8(16 + (i % 32)) >> group(i, 32)) & 1)),
  },
  Q6_K: {
    cols: 256,
    bytes: 210,
    value: (b, i) => {
      const low = (b.u8(64 * group(i, 128) + (i % 64)) >> (i % 128 < 64 ? 0 : 4)) & 15;
      return times(times(b.half(208), b.i8(192 + group(i, 16))), low + 16 * b.plane(128, i) - 32);
    },
  },
  Q8_K: { cols: 256, bytes: 292, value: (b, i) => times(finite(b.f32(0)), b.i8(4 + i)) },
  IQ2_XXS: {
    cols: 256,
    bytes: 66,
    value: (b, i) => {
      const at = 2 + 8 * group(i, 32);
      const word = b.u32(at + 4);
      const eight = group(i % 32, 8);
      const value = gridValue("iq2_xxs", 8, b.u8(at + eight), i % 8);
      return times(scaleOf2(b.half(0), word >>> 28), value) * evenSign((word >>> (7 * eight)) & 127, i % 8);
    },
  },
  IQ2_XS: {
    cols: 256,
    bytes: 74,
    value: (b, i) => {
      const word = b.u16(2 + 2 * group(i, 8));
      const scale = scaleOf2(b.half(0), b.nibble(66, group(i, 16)));
      return times(scale, gridValue("iq2_xs", 8, word % 512, i % 8)) * evenSign(word >> 9, i % 8);
    },
  },
  IQ2_S: {
    cols: 256,
    bytes: 82,
    value: (b, i) => {
      const index = b.u8(2 + group(i, 8)) + 256 * b.two(66, group(i, 8));
      const scale = scaleOf2(b.half(0), b.nibble(74, group(i, 16)));
      return times(scale, gridValue("iq2_s", 8, index, i % 8)) * (b.bit(34, i) ? -1 : 1);
    },
  },
  IQ3_XXS: {
    cols: 256,
    bytes: 98,
    value: (b, i) => {
      const word = b.u32(66 + 4 * group(i, 32));
      const scale = times(times(b.half(0), 0.5 + (word >>> 28)), 0.5);
      const sign = evenSign((word >>> (7 * group(i % 32, 8))) & 127, i % 8);
      return times(scale, gridValue("iq3_xxs", 4, b.u8(2 + group(i, 4)), i % 4)) * sign;
    },
  },
  IQ3_S: {
    cols: 256,
    bytes: 110,
    value: (b, i) => {
      const index = b.u8(2 + group(i, 4)) + 256 * b.bit(66, group(i, 4));
      const scale = times(b.half(0), 1 + 2 * b.nibble(106, group(i, 32)));
      return times(scale, gridValue("iq3_s", 4, index, i % 4)) * (b.bit(74, i) ? -1 : 1);
    },
  },
  IQ1_S: {
    cols: 256,
    bytes: 50,
    value: (b, i) => {
      const word = b.u16(34 + 2 * group(i, 32));
      const high = (word >> (3 * group(i % 32, 8))) & 7;
      const scale = times(b.half(0), 2 * ((word >> 12) & 7) + 1);
      return times(scale, withEighth(b.u8(2 + group(i, 8)) + 256 * high, i % 8, word >> 15));
    },
  },
  IQ1_M: {
    cols: 256,
    bytes: 56,
    value: (b, i) => {
      let bits = 0;
      for (let word = 0; word < 4; word++) bits += (b.u16(48 + 2 * word) >> 12) << (4 * word);
      const g = group(i, 16);
      const scale = (b.u16(48 + 2 * group(g, 4)) >> (3 * (g % 4))) & 7;
      const nibble = b.nibble(32, group(i, 8));
      const index = b.u8(group(i, 8)) + 256 * (nibble & 7);
      return times(times(finite(halfValue(bits)), 2 * scale + 1), withEighth(index, i % 8, nibble >> 3));
    },
  },
  IQ4_NL: { cols: 32, bytes: 18, value: (b, i) => times(b.half(0), iq4[b.halves(2, i)] as number) },
  IQ4_XS: {
    cols: 256,
    bytes: 136,
    value: (b, i) => {
      const g = group(i, 32);
      const scale = b.nibble(4, g) + 16 * b.two(2, g) - 32;
      return times(times(b.half(0), scale), iq4[b.halves(8 + 16 * g, i % 32)] as number);
    },
  },
  TQ1_0: {
    cols: 256,
    bytes: 54,
    value: (b, i) => {
      const [byte, digit] =
        i < 160
          ? [i % 32, group(i, 32)]
          : i < 240
            ? [32 + (i % 16), group(i - 160, 16)]
            : [48 + (i % 4), group(i - 240, 4)];
      return times(b.half(52), group(((b.u8(byte) * 3 ** digit) % 256) * 3, 256) - 1);
    },
  },
  TQ2_0: { cols: 256, bytes: 66, value: (b, i) => times(b.half(64), b.plane(0, i) - 1) },
  MXFP4: {
    cols: 32,
    bytes: 17,
    value: (b, i) => times(b.u8(0) === 255 ? Number.NaN : 2 ** (b.u8(0) - 127), fp4Value(b.halves(1, i))),
  },
  NVFP4: {
    cols: 64,
    bytes: 36,
    value: (b, i) => {
      const g = group(i, 16);
      const [exponent, mantissa] = [(b.u8(g) >> 3) & 15, b.u8(g) & 7];
      const scale = exponent ? (1 + mantissa / 8) * 2 ** (exponent - 7) : mantissa * 2 ** -9;
      const nibble = (b.u8(4 + 8 * g + (i % 8)) >> (i % 16 < 8 ? 0 : 4)) & 15;
      return times(b.u8(g) === 127 ? 0 : scale, fp4Value(nibble));
    },
  },
  Q1_0: { cols: 128, bytes: 18, value: (b, i) => times(b.half(0), b.bit(2, i) ? 1 : -1) },
  Q2_0: { cols: 64, bytes: 18, value: (b, i) => times(b.half(0), b.two(2, i) - 1) },
};

/** The names of the types with blocks. */
export const blockTypes = Object.keys(types);

/** Value i of the block of a type that begins at byte `at`. */
export function blockValue(type: string, bytes: Uint8Array, at: number, i: number): number {
  return Math.fround((types[type] as BlockType).value(new Block(viewOf(bytes), at), i));
}

/** The values that blocks of a type stand for. */
export function blockValues(type: string, bytes: Uint8Array): Float32Array<ArrayBuffer> {
  const { cols, bytes: blockBytes, value } = types[type] as BlockType;
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const out = new Float32Array((bytes.length / blockBytes) * cols);
  for (let at = 0, n = 0; at < bytes.length; at += blockBytes) {
    const block = new Block(view, at);
    for (let i = 0; i < cols; i++) out[n++] = value(block, i);
  }
  return out;
}
