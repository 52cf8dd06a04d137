// The KV cache: pages of keys and values, and the sequences that share them.
import { KV_PAGE } from "../../assembly/layout/blocks.ts";
import { mebibytes } from "../util/bytes.ts";
import { ContextError, MemoryError } from "../util/errors.ts";

/** Memory that pages live in. */
export interface PageMemory {
  /** Copies `bytes` bytes within linear memory. */
  copy(from: number, to: number, bytes: number): void;
  /** The address of `bytes` more bytes, or undefined if there are none. */
  grow(bytes: number): number | undefined;
  /** Why grow() gave nothing: "the memory budget of 1000 bytes is spent". */
  limit(): string;
}

/** What a sequence belongs to, in the singular. */
export type HolderKind = "session" | "fork" | "restored session" | "generation" | "computation";

// What the pool knows of a sequence. It does not refer to the sequence, which could never be collected otherwise.
interface Holder {
  readonly kind: HolderKind;
  readonly pages: readonly number[];
}

/** Pages of KV_PAGE positions each, counted by the sequences that use them. */
export class PagePool {
  readonly pageBytes: number;
  readonly memory: PageMemory;
  readonly #free: number[] = [];
  readonly #uses = new Map<number, number>();
  readonly #holders = new Set<Holder>();
  // A sequence that nobody freed gives its pages back once it is garbage-collected. No step uses them then, because a
  // step refers to its sequences. Edge runtimes from before 2025 have no registries.
  readonly #dropped =
    typeof FinalizationRegistry === "function"
      ? new FinalizationRegistry<Holder>((holder) => this.#forget(holder))
      : undefined;

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
    if (page === undefined) throw this.#full();
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

  /**
   * Notes who holds `pages`, a list that the sequence keeps changing. If `sequence` is garbage-collected, its pages
   * are dropped.
   * @returns a function that ends this; afterwards the caller drops the pages
   */
  hold(sequence: object, kind: HolderKind, pages: readonly number[]): () => void {
    const holder: Holder = { kind, pages };
    this.#holders.add(holder);
    this.#dropped?.register(sequence, holder, holder);
    return () => {
      this.#holders.delete(holder);
      this.#dropped?.unregister(holder);
    };
  }

  #forget(holder: Holder): void {
    this.#holders.delete(holder);
    for (const page of holder.pages) this.drop(page);
  }

  #full(): MemoryError {
    return new MemoryError(
      `Cannot extend the KV cache: all ${this.used} pages of ${this.pageBytes} bytes are in use and ` +
        `${this.memory.limit()}: ${this.#held()}; ${WAYS_OUT}`,
    );
  }

  // "3 sessions hold 40 pages (5.6 MiB), 1 fork 2 (0.3 MiB)"
  #held(): string {
    const kinds = new Map<HolderKind, { holders: number; pages: Set<number> }>();
    for (const { kind, pages } of this.#holders) {
      if (pages.length === 0) continue;
      const of = kinds.get(kind) ?? { holders: 0, pages: new Set() };
      of.holders++;
      for (const page of pages) of.pages.add(page);
      kinds.set(kind, of);
    }
    if (kinds.size === 0) return "nobody holds a page";
    const texts = Array.from(kinds, ([kind, { holders, pages }], i) => {
      const holding = i > 0 ? "" : holders === 1 ? " holds" : " hold";
      const pagesOf = i > 0 ? "" : pages.size === 1 ? " page" : " pages";
      const who = `${holders} ${kind}${holders === 1 ? "" : "s"}`;
      return `${who}${holding} ${pages.size}${pagesOf} (${mebibytes(pages.size * this.pageBytes)})`;
    });
    return texts.join(", ");
  }
}

const WAYS_OUT =
  "dispose() sessions and forks that are over, end generations (return(), or read them to their end), or load with " +
  "a larger maxBytes";

/**
 * A sequence of positions whose keys and values are cached. Its forks may share pages with it; a shared page is copied
 * before it is written.
 */
export class Sequence {
  readonly pool: PagePool;
  /** Most positions. */
  readonly contextLength: number;
  /** Addresses of its pages; page p holds positions p * KV_PAGE and following. */
  readonly pages: number[] = [];
  readonly #leave: () => void;
  #length = 0;
  #freed = false;

  /** @param kind what it belongs to; the error of a full pool names it */
  constructor(pool: PagePool, contextLength: number, kind: HolderKind = "session") {
    this.pool = pool;
    this.contextLength = contextLength;
    this.#leave = pool.hold(this, kind, this.pages);
  }

  /** Positions whose keys and values are in the cache. */
  get length(): number {
    return this.#length;
  }

  /**
   * Makes sure that positions [length, length + n) can be written.
   * @throws ContextError beyond the context; MemoryError if there is no page. Nothing changes then.
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
    const held = this.pages.length;
    try {
      while (this.pages.length * KV_PAGE < end) this.pages.push(this.pool.take());
    } catch (error) {
      for (const page of this.pages.splice(held)) this.pool.drop(page);
      throw error;
    }
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

  /** A second sequence with the same positions so far; afterwards both are independent. */
  fork(): Sequence {
    const copy = new Sequence(this.pool, this.contextLength, "fork");
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
    this.#leave();
    this.#freed = true;
  }
}
