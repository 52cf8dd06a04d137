// Reads the numbers that the generated tables of Unicode consist of: arithmetic coding by what was read before.

/** Slots for what each context saw; a power of two. */
const SLOTS = 1 << 17;

/** Chances are out of this. */
export const ONE = 1 << 16;
const LEAST_CHANCE = 1 << 4;

/** How many bits a context learns from with the same weight each; then it begins to forget. */
const MEMORY = 20;

/** Weights are out of this. */
const WEIGHT_BITS = 16;
const FIRST_WEIGHT = 0.3 * 2 ** WEIGHT_BITS;
/** What an error and a logit multiply to is divided by 2 to this. */
const LEARNING_BITS = 14;
const MOST_CONTEXTS = 8;
const COLUMNS = 24;

/** Logits are whole numbers of such a part, below {@link FARTHEST} in absolute value; so are chances told apart. */
const LOGIT = 256;
const FARTHEST = 2048;
const CHANCE_STEPS = 4096;

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
  private readonly weights = new Int32Array(COLUMNS * 64 * MOST_CONTEXTS).fill(FIRST_WEIGHT);
  /** Where the contexts of a number begin; the slots and logits that they have for a bit. */
  private readonly bases = new Int32Array(MOST_CONTEXTS);
  private readonly slots = new Int32Array(MOST_CONTEXTS);
  private readonly inputs = new Int32Array(MOST_CONTEXTS);
  private count = 0;

  private readonly source: BitSource;

  constructor(source: BitSource) {
    this.source = source;
    setTables();
  }

  /** The next number. Of one more than it, the bits after the first are counted in ones and a zero, and follow. */
  next(column: number, ...contexts: readonly number[]): number {
    const { bases } = this;
    bases[0] = joined(64 * column, 0);
    for (let i = 0; i < contexts.length; i++) {
      bases[i + 1] = joined(64 * column + i + 1, contexts[i] as number);
    }
    this.count = contexts.length + 1;
    const place = 64 * column;
    let length = 0;
    while (this.bit(place + length, length) === 1) length++;
    let number = 1;
    for (let i = 0; i < length; i++) {
      number = 2 * number + this.bit(place + 32 + length, (number << 11) + 64 * (length + 1));
    }
    return number - 1;
  }

  /** A bit at a place, after the bits that `path` stands for. */
  private bit(place: number, path: number): number {
    const { chances, seen, weights, bases, slots, inputs, count } = this;
    const first = place * MOST_CONTEXTS;
    let sum = 0;
    for (let i = 0; i < count; i++) {
      const product = Math.imul((bases[i] as number) + path, 0x2c1b3c6d);
      const slot = (product ^ (product >>> 15)) & (SLOTS - 1);
      const logit = logits[(chances[slot] as number) >>> 4] as number;
      slots[i] = slot;
      inputs[i] = logit;
      sum += ((weights[first + i] as number) * logit) >> WEIGHT_BITS;
    }
    if (sum >= FARTHEST) sum = FARTHEST - 1;
    else if (sum <= -FARTHEST) sum = 1 - FARTHEST;
    const expected = logistics[sum + FARTHEST] as number;
    const bit = this.source(expected);
    const error = bit * ONE - expected;
    const aim = bit * (ONE - 1);
    for (let i = 0; i < count; i++) {
      const slot = slots[i] as number;
      const chance = chances[slot] as number;
      const times = seen[slot] as number;
      weights[first + i] =
        (weights[first + i] as number) + ((error * (inputs[i] as number)) >> LEARNING_BITS);
      chances[slot] = chance + (((aim - chance) * (rates[times] as number)) >> RATE_BITS);
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

/** One number for two: a context of both. */
export function joined(a: number, b: number): number {
  const hash = Math.imul(a ^ Math.imul(b + 0x7f4a7c15, 0x85ebca6b), 0xc2b2ae35);
  return hash ^ (hash >>> 13);
}

/** Chances by their logits, logits by chances, and how fast contexts learn by how often they did. */
const logistics = /* @__PURE__ */ new Uint16Array(2 * FARTHEST);
const logits = /* @__PURE__ */ new Int16Array(CHANCE_STEPS);
const rates = /* @__PURE__ */ new Uint16Array(MEMORY + 1);
const RATE_BITS = 15;

function setTables(): void {
  if (rates[0] !== 0) return;
  for (let times = 0; times <= MEMORY; times++) rates[times] = 2 ** RATE_BITS / (times + 1.8);
  let step = 0;
  for (let logit = 1 - FARTHEST; logit < FARTHEST; logit++) {
    // 1 / (1 + e^-x), with a power of e that is exact everywhere.
    let power = 1 - logit / LOGIT / 1024;
    for (let i = 0; i < 10; i++) power *= power;
    const chance = ONE / (1 + power);
    logistics[logit + FARTHEST] = Math.max(LEAST_CHANCE, Math.min(chance, ONE - LEAST_CHANCE));
    while (step <= chance / 16) logits[step++] = logit;
  }
  logits.fill(FARTHEST - 1, step);
}
