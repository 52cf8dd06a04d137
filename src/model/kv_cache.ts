import { KV_PAGE } from "../../assembly/layout/blocks.ts";
import { ContextError, MemoryError } from "../util/errors.ts";

/** Memory that pages live in: where a page can be copied, and where more can be had. */
export interface PageMemory {
  /** Copies `bytes` bytes within linear memory. */
  copy(from: number, to: number, bytes: number): void;
  /** The address of `bytes` more bytes, or undefined where the budget is spent. */
  grow(bytes: number): number | undefined;
}

/** Pages of KV_PAGE positions each, counted by the sequences that use them. */
export class PagePool {
  readonly pageBytes: number;
  readonly memory: PageMemory;
  readonly #free: number[] = [];
  readonly #uses = new Map<number, number>();

  /** A pool of `pages` pages that lie one after another from `address` on. */
  constructor(memory: PageMemory, pageBytes: number, address: number, pages: number) {
    this.memory = memory;
    this.pageBytes = pageBytes;
    // Handed out from the end of the list: the lowest address first.
    for (let i = pages - 1; i >= 0; i--) this.#free.push(address + i * pageBytes);
  }

  /** Pages that a sequence holds. */
  get used(): number {
    return this.#uses.size;
  }

  /** How many sequences hold a page. */
  uses(page: number): number {
    return this.#uses.get(page) ?? 0;
  }

  /** Takes a page out of the pool; its bytes are whatever they were. @throws MemoryError when there is none. */
  take(): number {
    const page = this.#free.pop() ?? this.memory.grow(this.pageBytes);
    if (page === undefined) {
      throw new MemoryError(
        `Cannot extend the KV cache: all ${this.used} pages of ${this.pageBytes} bytes are in use and the memory budget is spent`,
      );
    }
    this.#uses.set(page, 1);
    return page;
  }

  /** One more sequence holds this page. */
  share(page: number): void {
    this.#uses.set(page, this.uses(page) + 1);
  }

  /** One sequence less holds this page. */
  drop(page: number): void {
    const uses = this.uses(page) - 1;
    if (uses > 0) {
      this.#uses.set(page, uses);
    } else {
      this.#uses.delete(page);
      this.#free.push(page);
    }
  }
}

/**
 * A sequence of positions whose keys and values are cached. Pages may be shared with forks of it; a shared
 * page is copied before it is written.
 */
export class Sequence {
  readonly pool: PagePool;
  /** Most positions. */
  readonly contextLength: number;
  /** Addresses of its pages; page p holds positions p * KV_PAGE and following. */
  readonly pages: number[] = [];
  #length = 0;
  #freed = false;

  constructor(pool: PagePool, contextLength: number) {
    this.pool = pool;
    this.contextLength = contextLength;
  }

  /** Positions whose keys and values are in the cache. */
  get length(): number {
    return this.#length;
  }

  /**
   * Makes sure that positions [length, length + n) can be written.
   * @throws ContextError beyond the context; MemoryError where no page can be had. Nothing changes then.
   */
  reserve(n: number): void {
    if (this.#freed) throw new ContextError("Cannot extend a sequence that was freed");
    const end = this.#length + n;
    if (end > this.contextLength) {
      throw new ContextError(
        `Cannot extend the sequence to ${end} positions: Expected at most ${this.contextLength} (the context length)`,
      );
    }
    const last = Math.floor(this.#length / KV_PAGE);
    const shared = this.pages[last];
    if (n > 0 && shared !== undefined && this.pool.uses(shared) > 1) {
      const own = this.pool.take();
      this.pool.memory.copy(shared, own, this.pool.pageBytes);
      this.pool.drop(shared);
      this.pages[last] = own;
    }
    while (this.pages.length * KV_PAGE < end) this.pages.push(this.pool.take());
  }

  /** Counts `n` positions as written. */
  advance(n: number): void {
    this.#length += n;
  }

  /** Forgets every position from `length` on. */
  rollback(length: number): void {
    if (!(length >= 0 && length <= this.#length)) {
      throw new ContextError(`Cannot roll back to ${length} positions: Expected 0 to ${this.#length}`);
    }
    this.#length = length;
    const keep = Math.ceil(length / KV_PAGE);
    for (const page of this.pages.splice(keep)) this.pool.drop(page);
  }

  /** A second sequence with the same past; both go on apart. */
  fork(): Sequence {
    const copy = new Sequence(this.pool, this.contextLength);
    const pages = this.pages.slice(0, Math.ceil(this.#length / KV_PAGE));
    for (const page of pages) this.pool.share(page);
    copy.pages.push(...pages);
    copy.#length = this.#length;
    return copy;
  }

  /** Gives all pages back. Safe to call twice. */
  free(): void {
    this.rollback(0);
    for (const page of this.pages.splice(0)) this.pool.drop(page);
    this.#freed = true;
  }
}
