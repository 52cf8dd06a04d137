// Reads the numbers that the generated tables of Unicode consist of: arithmetic coding by what was read before.

/** Slots for what each context saw; a power of two. */
const SLOTS = 1 << 17;

/** Chances are out of this. */
export const ONE = 1 << 16;
const LEAST_CHANCE = 1 << 4;

/** How many bits a context learns from with the same weight each; then it begins to forget. */
const MEMORY = 20;

const LEARNING_RATE = 0.015;
const FIRST_WEIGHT = 0.3;

/** Chances are told apart, and logits are at most, by so much. */
const CHANCE_STEPS = 1 << 12;
const FARTHEST = 11;

/** A digit of the text: a printable character, but for the quotation mark and the backslash. */
export const DIGIT_BITS = 6;
const FIRST_DIGIT = 0x23;
const BACKSLASH = 0x5c;

/** Bits of the interval that an arithmetic coder divides. */
export const INTERVAL_BITS = 30;

/** Tells a bit from the chance, out of {@link ONE}, that it is 1. */
export type BitSource = (chance: number) => number;

/**
 * Numbers that are not negative. They stand in columns, and in contexts: other numbers that may have to do with
 * them. The chance of each bit is a mixture of what its contexts saw, by how well each did before, as in the
 * compressors of the PAQ family. All arithmetic is exact, and so the same everywhere.
 */
export class TableReader {
  private readonly chances = new Uint16Array(SLOTS).fill(ONE / 2);
  private readonly seen = new Uint8Array(SLOTS);
  /** Weights of contexts, by the column and the place of a bit in its number. */
  private readonly weights: (Float64Array | undefined)[] = [];
  private readonly logits = allLogits();
  /** Where the contexts of a bit are, at most eight. */
  private readonly slots = new Uint32Array(8);

  constructor(private readonly source: BitSource) {}

  /** The next number. Of one more than it, the bits after the first are counted in ones and a zero, and follow. */
  next(column: number, ...contexts: readonly number[]): number {
    const bases = [0, ...contexts].map((context, i) => joined(64 * column + i, context));
    let length = 0;
    while (this.bit(bases, 64 * column + length, length) === 1) length++;
    let number = 1;
    for (let i = 0; i < length; i++) {
      number = 2 * number + this.bit(bases, 64 * column + 32 + length, (number << 11) + 64 * (length + 1));
    }
    return number - 1;
  }

  /** A bit at a place, after the bits that `path` stands for. */
  private bit(bases: readonly number[], place: number, path: number): number {
    const { chances, seen, logits } = this;
    let weights = this.weights[place];
    if (weights === undefined) {
      weights = new Float64Array(bases.length).fill(FIRST_WEIGHT);
      this.weights[place] = weights;
    }
    const { slots } = this;
    const count = bases.length;
    let sum = 0;
    for (let i = 0; i < count; i++) {
      const slot = slotOf((bases[i] as number) + path);
      slots[i] = slot;
      sum += (weights[i] as number) * (logits[(chances[slot] as number) >>> 4] as number);
    }
    const mixed = Math.floor(ONE * logistic(Math.max(-FARTHEST, Math.min(sum, FARTHEST))));
    const expected = Math.max(LEAST_CHANCE, Math.min(mixed, ONE - LEAST_CHANCE));
    const bit = this.source(expected);
    const error = (LEARNING_RATE * (bit * ONE - expected)) / ONE;
    for (let i = 0; i < count; i++) {
      const slot = slots[i] as number;
      const chance = chances[slot] as number;
      const times = seen[slot] as number;
      weights[i] = (weights[i] as number) + error * (logits[chance >>> 4] as number);
      chances[slot] = chance + (bit * (ONE - 1) - chance) / (times + 1.8);
      if (times < MEMORY) seen[slot] = times + 1;
    }
    return bit;
  }
}

/** The numbers of a table's text. */
export function openTable(text: string): TableReader {
  let at = 0;
  let [low, high, value] = [0, 0, 0];
  const shift = () => {
    const code = at < text.length ? text.charCodeAt(at++) : FIRST_DIGIT;
    low = shifted(low);
    high = shifted(high) + (1 << DIGIT_BITS) - 1;
    value = shifted(value) + code - FIRST_DIGIT - (code > BACKSLASH ? 1 : 0);
  };
  for (let bits = 0; bits < INTERVAL_BITS; bits += DIGIT_BITS) shift();
  return new TableReader((chance) => {
    const middle = low + Math.floor(((high - low) * chance) / ONE);
    const bit = value <= middle ? 1 : 0;
    if (bit === 1) high = middle;
    else low = middle + 1;
    while (firstDigit(low) === firstDigit(high)) shift();
    return bit;
  });
}

/** The first digit of the end of an interval. */
export function firstDigit(end: number): number {
  return end >>> (INTERVAL_BITS - DIGIT_BITS);
}

/** The end of an interval without its first digit. */
export function shifted(end: number): number {
  return (end << DIGIT_BITS) & ((1 << INTERVAL_BITS) - 1);
}

/** One number for some: a context of several. */
export function joined(...numbers: readonly number[]): number {
  let hash = 0;
  for (const number of numbers) {
    hash = Math.imul(hash ^ Math.imul(number + 0x7f4a7c15, 0x85ebca6b), 0xc2b2ae35);
    hash ^= hash >>> 13;
  }
  return hash;
}

function slotOf(hash: number): number {
  const product = Math.imul(hash, 0x2c1b3c6d);
  return (product ^ (product >>> 15)) & (SLOTS - 1);
}

/** 1 / (1 + e^-x), with a power of e that is exact everywhere. */
function logistic(x: number): number {
  let power = 1 - x / 1024;
  for (let i = 0; i < 10; i++) power *= power;
  return 1 / (1 + power);
}

let knownLogits: Float64Array | undefined;

/** Of which numbers chances are the {@link logistic}. */
function allLogits(): Float64Array {
  if (knownLogits !== undefined) return knownLogits;
  knownLogits = new Float64Array(CHANCE_STEPS);
  let x = -FARTHEST;
  for (let i = 0; i < CHANCE_STEPS; i++) {
    while (x < FARTHEST && logistic(x) * CHANCE_STEPS < i) x += 1 / 256;
    knownLogits[i] = x;
  }
  return knownLogits;
}
