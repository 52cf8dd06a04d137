import { UsageError } from "../util/errors.ts";
import { randomWords } from "../util/random.ts";

/** State of an {@link Rng}: four u32, not all zero. */
export type RngState = readonly [number, number, number, number];

/** Largest seed: integers up to it are exact. */
export const MAX_SEED = Number.MAX_SAFE_INTEGER;

const U64 = 64;

/**
 * Two 64-bit outputs of SplitMix64 as four u32, low halves first.
 * Source: Steele, Lea and Flood 2014, "Fast Splittable Pseudorandom Number Generators".
 */
function expandSeed(seed: number): RngState {
  const words: number[] = [];
  let x = BigInt(seed);
  for (let i = 0; i < 2; i++) {
    x = BigInt.asUintN(U64, x + 0x9e3779b97f4a7c15n);
    let z = x;
    z = BigInt.asUintN(U64, (z ^ (z >> 30n)) * 0xbf58476d1ce4e5b9n);
    z = BigInt.asUintN(U64, (z ^ (z >> 27n)) * 0x94d049bb133111ebn);
    z ^= z >> 31n;
    words.push(Number(z & 0xffffffffn), Number(z >> 32n));
  }
  return words as unknown as RngState;
}

function rotateLeft(x: number, k: number): number {
  return (x << k) | (x >>> (32 - k));
}

/**
 * A seeded generator that gives the same numbers everywhere: xoshiro128**.
 * Source: Blackman and Vigna 2021, "Scrambled Linear Pseudorandom Number Generators", arXiv:1805.01407.
 */
export class Rng {
  private a = 0;
  private b = 0;
  private c = 0;
  private d = 0;

  /**
   * @param seed integer in [0, {@link MAX_SEED}]
   * @throws UsageError if it is not
   */
  constructor(seed: number) {
    if (!Number.isSafeInteger(seed) || seed < 0) {
      throw new UsageError(`Cannot seed: Expected an integer in [0, ${MAX_SEED}], got ${seed}`);
    }
    this.setState(expandSeed(seed));
  }

  /** The next 32 bits, as an integer in [0, 2^32). */
  nextUint32(): number {
    const result = Math.imul(rotateLeft(Math.imul(this.b, 5), 7), 9);
    const t = this.b << 9;
    this.c ^= this.a;
    this.d ^= this.b;
    this.b ^= this.c;
    this.a ^= this.d;
    this.c ^= t;
    this.d = rotateLeft(this.d, 11);
    return result >>> 0;
  }

  /** The next multiple of 2^-53 in [0, 1): the upper 27 and 26 bits of two draws. */
  next(): number {
    const high = this.nextUint32() >>> 5;
    const low = this.nextUint32() >>> 6;
    return (high * 2 ** 26 + low) * 2 ** -53;
  }

  /** What `setState` continues from. */
  getState(): RngState {
    return [this.a >>> 0, this.b >>> 0, this.c >>> 0, this.d >>> 0];
  }

  /**
   * Continues as the generator did whose state this was.
   * @throws UsageError if it is no state
   */
  setState(state: RngState): void {
    const isState = state.length === 4 && state.every((x) => x === x >>> 0) && state.some((x) => x !== 0);
    if (!isState) {
      throw new UsageError("Cannot restore a generator: Expected four u32 that are not all zero");
    }
    [this.a, this.b, this.c, this.d] = state;
  }
}

/** A seed of 53 bits that nobody can foresee. */
export function randomSeed(): number {
  const [high, low] = randomWords(2) as unknown as [number, number];
  return (high >>> 11) * 2 ** 32 + low;
}
