// The KV cache: sequences, which hold the pages of their keys and values and share them with their forks.
import { KV_PAGE } from "../../assembly/layout/blocks.ts";
import { ContextError } from "../util/errors.ts";
import { firstKept, type PageClass, resumable } from "./kv_layout.ts";
import type { HolderKind, PagePool } from "./page_pool.ts";

/** What a sequence holds of a class. */
export interface PageTable {
  /** Addresses of pages; pages[i] holds positions (first + i) * KV_PAGE and following. */
  readonly pages: readonly number[];
  /** Pages before it are not held. */
  readonly first: number;
}

interface OwnTable extends PageTable {
  readonly pages: number[];
  first: number;
}

/**
 * A sequence of positions whose keys and values are cached. Its forks may share pages with it; a shared page is copied
 * before it is written. Of layers with windows it holds what the next positions see, and a little more.
 */
export class Sequence {
  readonly pool: PagePool;
  /** Most positions. */
  readonly contextLength: number;
  readonly #tables: readonly OwnTable[];
  readonly #leave: () => void;
  #length = 0;
  #freed = false;
  // Whether a step has begun to write, and has not come to its end.
  #isWritten = false;

  /** @param kind what it belongs to; the error of a full pool names it */
  constructor(pool: PagePool, contextLength: number, kind: HolderKind = "session") {
    this.pool = pool;
    this.contextLength = contextLength;
    this.#tables = pool.classes.map(() => ({ pages: [], first: 0 }));
    this.#leave = pool.hold(this, kind, this.#tables);
  }

  /** Positions whose keys and values are in the cache. */
  get length(): number {
    return this.#length;
  }

  /** All pages that it holds. */
  get pages(): readonly number[] {
    return this.#tables.flatMap(({ pages }) => pages);
  }

  /** What it holds of each class of pages. */
  get tables(): readonly PageTable[] {
    return this.#tables;
  }

  /**
   * Makes sure that positions [length, length + n) can be written. Pages that none of them sees may be dropped.
   * @throws ContextError beyond the context; MemoryError if there is no page. Nothing that is needed changes then.
   */
  reserve(n: number): void {
    if (this.#freed) throw new ContextError("Cannot extend a sequence that was freed");
    const end = this.#length + n;
    if (end > this.contextLength) {
      throw new ContextError(
        `Cannot extend the sequence to ${end} positions: Expected at most ${this.contextLength} (the context length)`,
      );
    }
    try {
      for (let i = 0; i < this.#tables.length; i++) this.#extend(i, end);
    } catch (error) {
      this.#cut();
      throw error;
    }
  }

  /** A step begins to write what is reserved. {@link advance} or {@link rollback} must follow. */
  write(): void {
    this.#isWritten = true;
  }

  /** Counts `n` positions as written. */
  advance(n: number): void {
    this.#length += n;
    this.#isWritten = false;
  }

  /**
   * Forgets every position from `length` on. It forgets more if it does not hold what the position at `length` sees: the
   * caller computes the positions from the new {@link length} on again.
   */
  rollback(length: number): void {
    if (!(length >= 0 && length <= this.#length)) {
      throw new ContextError(`Cannot roll back to ${length} positions: Expected 0 to ${this.#length}`);
    }
    const end = this.#isWritten ? -1 : this.#length;
    this.#length = this.#tables.reduce(
      (least, { first }, i) => resumable(this.#classAt(i), first, least, least === end),
      length,
    );
    this.#isWritten = false;
    this.#cut();
  }

  /** A second sequence with the same positions so far; afterwards both are independent. */
  fork(): Sequence {
    const copy = new Sequence(this.pool, this.contextLength, "fork");
    const end = Math.ceil(this.#length / KV_PAGE);
    const tables = this.#tables.map(({ pages, first }) => ({ first, pages: pages.slice(0, end - first) }));
    copy.join(this.#length, tables);
    return copy;
  }

  /** Makes an empty sequence one of `length` positions, which shares these pages of each class with others. */
  join(length: number, tables: readonly PageTable[]): void {
    tables.forEach(({ pages, first }, i) => {
      const table = this.#tables[i] as OwnTable;
      table.first = first;
      for (const page of pages) {
        this.pool.share(page);
        table.pages.push(page);
      }
    });
    this.#length = length;
  }

  /**
   * Makes an empty sequence one of `length` positions, whose pages begin with `firsts` of each class. The caller writes
   * them.
   * @throws as {@link reserve}
   */
  adopt(length: number, firsts: readonly number[]): void {
    this.#tables.forEach((table, i) => {
      table.first = firsts[i] as number;
    });
    this.reserve(length);
    this.#length = length;
  }

  /** Gives all pages back. Safe to call twice. */
  free(): void {
    this.#length = 0;
    this.#cut();
    this.#leave();
    this.#freed = true;
  }

  #classAt(i: number): PageClass {
    return this.pool.classes[i] as PageClass;
  }

  // Pages of class `i` for positions up to `end`, of which those from `length` on will be written.
  #extend(i: number, end: number): void {
    const { pool } = this;
    const table = this.#tables[i] as OwnTable;
    const { pages } = table;
    const of = this.#classAt(i);
    for (const kept = firstKept(of, this.#length); table.first < kept; table.first++) {
      pool.drop(pages.shift() as number);
    }
    const last = Math.floor(this.#length / KV_PAGE) - table.first;
    const shared = pages[last];
    if (end > this.#length && shared !== undefined && pool.uses(shared) > 1) {
      const own = pool.take(i);
      pool.memory.copy(shared, own, of.pageBytes);
      pool.drop(shared);
      pages[last] = own;
    }
    while ((table.first + pages.length) * KV_PAGE < end) pages.push(pool.take(i));
  }

  // Drops the pages behind the last position.
  #cut(): void {
    const end = Math.ceil(this.#length / KV_PAGE);
    for (const table of this.#tables) {
      for (const page of table.pages.splice(Math.max(0, end - table.first))) this.pool.drop(page);
      if (this.#length === 0) table.first = 0;
    }
  }
}
