// Random numbers that are the same everywhere, and the same for a token however it came to be computed.
import { UsageError } from "../util/errors.ts";
import { randomWords } from "../util/random.ts";

/** Largest seed: integers up to it are exact. */
export const MAX_SEED = Number.MAX_SAFE_INTEGER;

const ROUNDS = 10;
const MULTIPLIER_0 = 0xd2511f53;
const MULTIPLIER_1 = 0xcd9e8d57;
const KEY_STEP_0 = 0x9e3779b9;
const KEY_STEP_1 = 0xbb67ae85;

/**
 * Philox4x32-10: four random u32 of a counter and a key. `words` holds the counter and gets the result.
 * Source: Salmon, Moraes, Dror and Shaw 2011, "Parallel Random Numbers: As Easy as 1, 2, 3".
 */
export function philox(words: Uint32Array, key0: number, key1: number): void {
  let [a, b, c, d] = words as unknown as [number, number, number, number];
  for (let round = 0; round < ROUNDS; round++) {
    const high0 = multiplyHigh(MULTIPLIER_0, a);
    const high1 = multiplyHigh(MULTIPLIER_1, c);
    const low0 = Math.imul(MULTIPLIER_0, a);
    const low1 = Math.imul(MULTIPLIER_1, c);
    a = high1 ^ b ^ key0;
    b = low1;
    c = high0 ^ d ^ key1;
    d = low0;
    key0 = (key0 + KEY_STEP_0) | 0;
    key1 = (key1 + KEY_STEP_1) | 0;
  }
  words[0] = a;
  words[1] = b;
  words[2] = c;
  words[3] = d;
}

/**
 * The random numbers of one continuation. Each token's are keyed by (seed, choice, position): they do not depend on
 * how many were drawn before. So batches, speculation, a resumed generation and several choices draw the same.
 */
export class Rng {
  readonly #low: number;
  readonly #high: number;
  readonly #choice: number;
  readonly #words = new Uint32Array(4);
  #position = 0;
  // Numbers taken at this position; a block of four words makes two.
  #taken = 0;

  /**
   * @param seed integer in [0, {@link MAX_SEED}]
   * @param choice which of several continuations of one prompt, a u32
   * @throws UsageError if the seed is not
   */
  constructor(seed: number, choice = 0) {
    if (!Number.isSafeInteger(seed) || seed < 0) {
      throw new UsageError(`Cannot seed: Expected an integer in [0, ${MAX_SEED}], got ${seed}`);
    }
    this.#low = seed >>> 0;
    this.#high = Math.floor(seed / 2 ** 32);
    this.#choice = choice;
  }

  /** Goes to the first number of a position: that of the token which is to be drawn. */
  seek(position: number): void {
    this.#position = position;
    this.#taken = 0;
  }

  /** The next multiple of 2^-53 in [0, 1), of this position. */
  next(): number {
    const words = this.#words;
    const half = this.#taken & 1;
    if (half === 0) {
      words[0] = this.#taken >>> 1;
      words[1] = this.#position;
      words[2] = this.#choice;
      words[3] = 0;
      philox(words, this.#low, this.#high);
    }
    this.#taken++;
    const high = (words[2 * half] as number) >>> 5;
    const low = (words[2 * half + 1] as number) >>> 6;
    return (high * 2 ** 26 + low) * 2 ** -53;
  }
}

/** A seed of 53 bits that nobody can foresee. */
export function randomSeed(): number {
  const [high, low] = randomWords(2) as unknown as [number, number];
  return (high >>> 11) * 2 ** 32 + low;
}

// Upper 32 bits of a product of two u32, by halves: every sum stays under 2^32.
function multiplyHigh(x: number, y: number): number {
  const xLow = x & 0xffff;
  const xHigh = x >>> 16;
  const yLow = y & 0xffff;
  const yHigh = y >>> 16;
  const middle = xHigh * yLow + ((xLow * yLow) >>> 16);
  const other = xLow * yHigh + (middle & 0xffff);
  return xHigh * yHigh + (middle >>> 16) + (other >>> 16);
}
