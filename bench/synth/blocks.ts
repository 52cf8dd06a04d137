// Random blocks of quantized tensors, of which native llama.cpp's quantizer could have made each: the layouts of
// ggml-common.h, scales of the size that weights around zero need, and every bit of the values used.

/** A source of numbers in [0, 1), the same in every run. */
export type Random = () => number;

/** A tensor type: blocks of `cols` values in `bytes` bytes. */
export interface BlockType {
  /** Its number in GGUF. */
  readonly code: number;
  readonly cols: number;
  readonly bytes: number;
  /** Writes scales into a block of random bytes, so that its values have about the standard deviation `std`. */
  readonly scale: (block: DataView, std: number, random: Random) => void;
}

// Standard deviations of values before scales: of all numbers of 2, 3, 4, 5 and 6 bits, and of the codebook of IQ4. About those
// of the points of grids, which random indexes choose.
const TWO_BITS = 1.12;
const THREE_BITS = 2.29;
const IQ3_S_POINTS = 8.7;
const IQ3_XXS_POINTS = 34;
const IQ2_POINTS = 28;
const IQ1_POINTS = 0.91;
const NIBBLES = 4.61;
const FIVE_BITS = 9.23;
const SIX_BITS = 18.5;
const BYTES = 73.6;
const IQ4_BOOK = 67.4;

/** Numbers in [0, 1) from a seed (a linear congruential generator). */
export function randomOf(seed: number): Random {
  let state = seed >>> 0;
  return () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return state / 2 ** 32;
  };
}

function between(low: number, high: number, random: Random): number {
  return low + Math.floor(random() * (high - low));
}

function signed(value: number, random: Random): number {
  return random() < 0.5 ? -value : value;
}

// Blocks of a tensor have different scales.
function around(value: number, random: Random): number {
  return value * (0.8 + 0.4 * random());
}

// Q4_0: f16 d, nibbles. The quantizer's d has either sign.
function scaleQ4(block: DataView, std: number, random: Random): void {
  block.setFloat16(0, signed(around(std / NIBBLES, random), random), true);
}

// Q5_0: f16 d, a fifth bit of each value, nibbles.
function scaleQ50(block: DataView, std: number, random: Random): void {
  block.setFloat16(0, signed(around(std / FIVE_BITS, random), random), true);
}

// Q5_1: f16 d and m, which moves the middle of the values to zero.
function scaleQ51(block: DataView, std: number, random: Random): void {
  const d = around(std / FIVE_BITS, random);
  block.setFloat16(0, d, true);
  block.setFloat16(2, -15.5 * d, true);
}

// Q8_0: f16 d, and bytes, of which native's quantizer makes all but -128.
function scaleQ8(block: DataView, std: number, random: Random): void {
  block.setFloat16(0, around(std / BYTES, random), true);
  for (let i = 2; i < 34; i++) if (block.getInt8(i) === -128) block.setInt8(i, -127);
}

// Q4_K and Q5_K: f16 d and dmin, then 6-bit scales and minima of eight groups, packed into 12 bytes. Here a group's minimum
// is its scale, and dmin moves the middle of the values to zero.
function scaleK(middle: number, deviation: number) {
  return (block: DataView, std: number, random: Random): void => {
    const groups = Array.from({ length: 8 }, () => between(32, 64, random));
    const d = around(std / (deviation * 48.4), random);
    block.setFloat16(0, d, true);
    block.setFloat16(2, d * middle, true);
    for (let i = 0; i < 4; i++) {
      const [low, high] = [groups[i]!, groups[i + 4]!];
      const word = low | ((high >> 4) << 6);
      block.setUint8(4 + i, word);
      block.setUint8(8 + i, word);
      block.setUint8(12 + i, (high & 15) * 17);
    }
  };
}

// Q6_K: 16 int8 scales, f16 d. Weights of a model make d smaller than the smallest normal f16, as here.
function scaleQ6K(block: DataView, std: number, random: Random): void {
  for (let i = 192; i < 208; i++) block.setInt8(i, signed(between(64, 128, random), random));
  block.setFloat16(208, signed(around(std / (SIX_BITS * 97), random), random), true);
}

// IQ4_XS: f16 d, then 6-bit scales of eight groups plus 32: the upper two bits in a 16-bit word, the others in nibbles.
function scaleIq4Xs(block: DataView, std: number, random: Random): void {
  const groups = Array.from({ length: 8 }, () => 32 + signed(between(16, 32, random), random));
  block.setFloat16(0, around(std / (IQ4_BOOK * 24), random), true);
  block.setUint16(
    2,
    groups.reduce((word, scale, i) => word | ((scale >> 4) << (2 * i)), 0),
    true,
  );
  for (let i = 0; i < 4; i++) block.setUint8(4 + i, (groups[2 * i]! & 15) | ((groups[2 * i + 1]! & 15) << 4));
}

// Q2_K: 4-bit scales and minima of 16 groups of 16, then f16 d and dmin. A group's minimum is its scale, as in scaleK.
function scaleQ2K(block: DataView, std: number, random: Random): void {
  for (let i = 0; i < 16; i++) block.setUint8(i, 17 * between(8, 16, random));
  const d = around(std / (TWO_BITS * 11.7), random);
  block.setFloat16(80, d, true);
  block.setFloat16(82, 1.5 * d, true);
}

// Q3_K: 6-bit scales of 16 groups plus 32: low nibbles in 8 bytes, upper two bits in 4; then f16 d.
function scaleQ3K(block: DataView, std: number, random: Random): void {
  const groups = Array.from({ length: 16 }, () => 32 + signed(between(16, 32, random), random));
  for (let i = 0; i < 8; i++) block.setUint8(96 + i, (groups[i]! & 15) | ((groups[i + 8]! & 15) << 4));
  for (let i = 0; i < 4; i++) {
    block.setUint8(
      104 + i,
      [0, 4, 8, 12].reduce((byte, j) => byte | ((groups[i + j]! >> 4) << (j / 2)), 0),
    );
  }
  block.setFloat16(108, around(std / (THREE_BITS * 24), random), true);
}

// IQ types of grids: f16 d, and random scales s that count as 2s + 1, whose middle is `middle`, of some part of d.
function scaleGrid(middle: number) {
  return (block: DataView, std: number, random: Random): void => {
    block.setFloat16(0, around(std / middle, random), true);
  };
}

// IQ1_M: the bits of d are the upper nibbles of four words.
function scaleIq1M(block: DataView, std: number, random: Random): void {
  const half = new DataView(new ArrayBuffer(2));
  half.setFloat16(0, around(std / (8 * IQ1_POINTS), random), true);
  const bits = half.getUint16(0, true);
  for (let i = 0; i < 4; i++) {
    const word = block.getUint16(48 + 2 * i, true) & 0xfff;
    block.setUint16(48 + 2 * i, word | (((bits >> (4 * i)) & 15) << 12), true);
  }
}

/** Tensor types by name. */
export const blockTypes = {
  Q4_0: { code: 2, cols: 32, bytes: 18, scale: scaleQ4 },
  Q5_0: { code: 6, cols: 32, bytes: 22, scale: scaleQ50 },
  Q5_1: { code: 7, cols: 32, bytes: 24, scale: scaleQ51 },
  Q8_0: { code: 8, cols: 32, bytes: 34, scale: scaleQ8 },
  Q2_K: { code: 10, cols: 256, bytes: 84, scale: scaleQ2K },
  Q3_K: { code: 11, cols: 256, bytes: 110, scale: scaleQ3K },
  Q4_K: { code: 12, cols: 256, bytes: 144, scale: scaleK(7.5, NIBBLES) },
  Q5_K: { code: 13, cols: 256, bytes: 176, scale: scaleK(15.5, FIVE_BITS) },
  Q6_K: { code: 14, cols: 256, bytes: 210, scale: scaleQ6K },
  IQ2_XXS: { code: 16, cols: 256, bytes: 66, scale: scaleGrid(2 * IQ2_POINTS) },
  IQ2_XS: { code: 17, cols: 256, bytes: 74, scale: scaleGrid(2 * IQ2_POINTS) },
  IQ3_XXS: { code: 18, cols: 256, bytes: 98, scale: scaleGrid(4 * IQ3_XXS_POINTS) },
  IQ1_S: { code: 19, cols: 256, bytes: 50, scale: scaleGrid(8 * IQ1_POINTS) },
  IQ3_S: { code: 21, cols: 256, bytes: 110, scale: scaleGrid(16 * IQ3_S_POINTS) },
  IQ2_S: { code: 22, cols: 256, bytes: 82, scale: scaleGrid(2 * IQ2_POINTS) },
  IQ1_M: { code: 29, cols: 256, bytes: 56, scale: scaleIq1M },
  IQ4_XS: { code: 23, cols: 256, bytes: 136, scale: scaleIq4Xs },
} as const satisfies Record<string, BlockType>;

export type BlockTypeName = keyof typeof blockTypes;

/** `count` random blocks whose values have about the standard deviation `std`. */
export function randomBlocks(name: BlockTypeName, count: number, std: number, random: Random): Uint8Array {
  const { bytes, scale } = blockTypes[name];
  const all = new Uint8Array(count * bytes);
  for (let i = 0; i < all.length; i++) all[i] = random() * 256;
  for (let i = 0; i < count; i++) scale(new DataView(all.buffer, i * bytes, bytes), std, random);
  return all;
}
