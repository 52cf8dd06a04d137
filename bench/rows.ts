// Rows for kernels of one row: always the same row, from the cache, or one row after another, from memory.
import { FAR_BYTES, type KernelArea } from "./kernel_area.ts";

/** Where rows lie: in the cache, as in a step, or in memory, where the share of the read bandwidth is meaningful. */
export const places = ["cache", "memory"] as const;

/** Cycles through the addresses of rows of `n` values in [-high, high). */
export class RowCycle {
  readonly #rows: number[];
  #next = 0;

  /** @param share the part of all bytes read from memory that these rows are: 0.5 for each of two inputs */
  constructor(area: KernelArea, n: number, place: (typeof places)[number], high = 1, share = 1) {
    const stride = 4 * Math.ceil(n / 16) * 16;
    const count = place === "cache" ? 1 : Math.floor((FAR_BYTES * share) / stride);
    // Some rows have random values of their own, the rest are copies.
    const own = Math.min(count, 64);
    const address = area.random((own * stride) / 4, -high, high);
    area.alloc((count - own) * stride);
    area.spread(address, own * stride, count * stride);
    this.#rows = Array.from({ length: count }, (_, i) => address + i * stride);
  }

  /** The next row. */
  next(): number {
    if (this.#next === this.#rows.length) this.#next = 0;
    return this.#rows[this.#next++] as number;
  }
}
