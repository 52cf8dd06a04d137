// Numbers as the generated tables of Unicode hold them.

/** The last digits of numbers, and all before them; both of 5 bits. */
const LAST = "ABCDEFGHIJKLMNOPQRSTUVWXYZ012345";
const MORE = "abcdefghijklmnopqrstuvwxyz6789-_";

/** Values of digits by their codes, and 32 more for the last digit of a number. */
const values = new Uint8Array(128);
for (let value = 0; value < 32; value++) {
  values[LAST.charCodeAt(value)] = 32 + value;
  values[MORE.charCodeAt(value)] = value;
}

/** Numbers that are not negative, one after the other, each ended by a digit of its own alphabet. */
export function readNumbers(packed: string): number[] {
  const numbers: number[] = [];
  let number = 0;
  for (let i = 0; i < packed.length; i++) {
    const value = values[packed.charCodeAt(i)] as number;
    number = number * 32 + (value & 31);
    if (value < 32) continue;
    numbers.push(number);
    number = 0;
  }
  return numbers;
}

/** A difference of either sign. */
export function signed(number: number): number {
  return number % 2 === 0 ? number / 2 : -(number + 1) / 2;
}

/** Numbers of which each is packed as its difference to the one before. */
export function readDifferences(packed: string): number[] {
  let sum = 0;
  return readNumbers(packed).map((difference) => {
    sum += signed(difference);
    return sum;
  });
}

/** A set of code points, packed as lengths of what is outside, inside, outside, ... of it. */
export class PackedSet {
  /** Code points where inside and outside change. */
  readonly #ends: Uint32Array;

  constructor(packed: string) {
    let sum = 0;
    this.#ends = Uint32Array.from(readNumbers(packed), (length) => {
      sum += length;
      return sum;
    });
  }

  has(character: number): boolean {
    return upperBound(this.#ends, character) % 2 === 1;
  }

  /** [first, end) of each run that is inside. */
  runs(): [first: number, end: number][] {
    const found: [number, number][] = [];
    for (let i = 0; i < this.#ends.length; i += 2) {
      found.push([this.#ends[i] as number, this.#ends[i + 1] ?? 0x110000]);
    }
    return found;
  }
}

/** How many of ascending numbers are at most `value`. */
export function upperBound(numbers: ArrayLike<number>, value: number): number {
  let low = 0;
  let high = numbers.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if ((numbers[middle] as number) <= value) low = middle + 1;
    else high = middle;
  }
  return low;
}
