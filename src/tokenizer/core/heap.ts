// A binary heap of numbers.

/** A binary min-heap of numbers. */
export class Heap {
  size = 0;
  readonly #keys: Float64Array;

  /** @param capacity most numbers that it holds */
  constructor(capacity: number) {
    this.#keys = new Float64Array(capacity);
  }

  /** Adds a number. Only if `size` is below the capacity. */
  push(key: number): void {
    const keys = this.#keys;
    let i = this.size++;
    while (i > 0) {
      const parent = (i - 1) >> 1;
      if ((keys[parent] as number) <= key) break;
      keys[i] = keys[parent] as number;
      i = parent;
    }
    keys[i] = key;
  }

  /** Removes and returns the least number. Only if `size` is above 0. */
  pop(): number {
    const keys = this.#keys;
    const top = keys[0] as number;
    const n = --this.size;
    const last = keys[n] as number;
    let i = 0;
    for (let child = 1; child < n; child = 2 * i + 1) {
      if (child + 1 < n && (keys[child + 1] as number) < (keys[child] as number)) child++;
      if ((keys[child] as number) >= last) break;
      keys[i] = keys[child] as number;
      i = child;
    }
    keys[i] = last;
    return top;
  }
}
