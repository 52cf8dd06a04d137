// Rows that a kernel goes over one at a time: the same one from the cache, or one after another from memory.
import { FAR_BYTES, type KernelArea } from "./kernel_area.ts";

/** Where rows lie: "cache", as in a step, or "memory", where a share of the read bandwidth means something. */
export const places = ["cache", "memory"] as const;

/** Addresses of rows of `n` values in [low, high), taken in turns. */
export class RowCycle {
  readonly #rows: number[];
  #next = 0;

  /** `share` of what is read from memory: 0.5 for each of two inputs. */
  constructor(area: KernelArea, n: number, place: (typeof places)[number], high = 1, share = 1) {
    const stride = 4 * Math.ceil(n / 16) * 16;
    const count = place === "cache" ? 1 : Math.floor((FAR_BYTES * share) / stride);
    // Random values for some rows, copies for the rest.
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
