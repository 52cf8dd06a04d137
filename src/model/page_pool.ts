// The pages of the KV cache: who holds them, and what is free.
import { mebibytes } from "../util/bytes.ts";
import { MemoryError } from "../util/errors.ts";
import type { PageClass } from "./kv_layout.ts";

/** Memory that pages live in. */
export interface PageMemory {
  /** Copies `bytes` bytes within linear memory. */
  copy(from: number, to: number, bytes: number): void;
  /** The address of `bytes` more bytes, or undefined if there are none. */
  grow(bytes: number): number | undefined;
  /** Bytes by which memory can grow. */
  left(): number;
  /** Why grow() gave nothing: "the memory budget of 1000 bytes is spent". */
  limit(): string;
}

/** What a sequence belongs to, in the singular. */
export type HolderKind = "session" | "fork" | "restored session" | "generation" | "computation";

/** Pages that a sequence holds of each class. */
type HeldPages = readonly { readonly pages: readonly number[] }[];

// What the pool knows of a sequence. It does not refer to the sequence, which could never be collected otherwise.
interface Holder {
  readonly kind: HolderKind;
  readonly held: HeldPages;
}

// A page that is held: its class, and by how many sequences.
interface Use {
  readonly pageClass: number;
  count: number;
}

interface Region {
  begin: number;
  readonly end: number;
}

/** Pages of KV_PAGE positions of the layers of a class each, counted by the sequences that use them. */
export class PagePool {
  readonly classes: readonly PageClass[];
  readonly memory: PageMemory;
  /** Called when there is no page; true if it has given one up, so that it is worth looking again. */
  reclaim: (() => boolean) | undefined;
  // Free pages of each class, and free memory that is not cut into pages.
  readonly #free: number[][];
  #gaps: Region[] = [];
  readonly #uses = new Map<number, Use>();
  readonly #holders = new Set<Holder>();
  // A sequence that nobody freed gives its pages back once it is garbage-collected. No step uses them then, because a
  // step refers to its sequences. Edge runtimes from before 2025 have no registries.
  readonly #dropped =
    typeof FinalizationRegistry === "function"
      ? new FinalizationRegistry<Holder>((holder) => this.#forget(holder))
      : undefined;

  /** A pool of the pages of one sequence, which lie one after another from `address` on. */
  constructor(memory: PageMemory, classes: readonly PageClass[], address: number) {
    this.memory = memory;
    this.classes = classes;
    let next = address;
    this.#free = classes.map(({ pageBytes, mostPages }) => {
      const begin = next;
      next += mostPages * pageBytes;
      // Handed out from the end of the list: the lowest address first.
      return Array.from({ length: mostPages }, (_, i) => begin + (mostPages - 1 - i) * pageBytes);
    });
  }

  /** Pages that somebody holds: sequences, or the prefix cache. */
  get used(): number {
    return this.#uses.size;
  }

  /** Pages that there are, and about as many more as memory can grow by. */
  get total(): number {
    const free = this.#free.reduce((sum, { length }) => sum + length, 0);
    const bytes = this.classes.reduce((sum, { pageBytes, mostPages }) => sum + pageBytes * mostPages, 0);
    const pages = this.classes.reduce((sum, { mostPages }) => sum + mostPages, 0);
    return this.used + free + Math.floor((this.memory.left() * pages) / Math.max(1, bytes));
  }

  /** How many sequences hold a page. */
  uses(page: number): number {
    return this.#uses.get(page)?.count ?? 0;
  }

  /**
   * Takes a page of a class out of the pool; its bytes are whatever they were.
   * @throws MemoryError when there is none
   */
  take(pageClass: number): number {
    const { pageBytes } = this.classes[pageClass] as PageClass;
    const find = () => this.#free[pageClass]?.pop() ?? this.memory.grow(pageBytes) ?? this.#cut(pageBytes);
    let page = find();
    while (page === undefined && this.reclaim?.()) page = find();
    if (page === undefined) throw this.#full(pageClass);
    this.#uses.set(page, { pageClass, count: 1 });
    return page;
  }

  /** One more sequence holds this page. */
  share(page: number): void {
    (this.#uses.get(page) as Use).count++;
  }

  /** One sequence less holds this page. */
  drop(page: number): void {
    const use = this.#uses.get(page) as Use;
    if (--use.count > 0) return;
    this.#uses.delete(page);
    this.#free[use.pageClass]?.push(page);
  }

  /**
   * Notes who holds `held`, lists that the sequence keeps changing. If `sequence` is garbage-collected, its pages
   * are dropped.
   * @returns a function that ends this; afterwards the caller drops the pages
   */
  hold(sequence: object, kind: HolderKind, held: HeldPages): () => void {
    const holder: Holder = { kind, held };
    this.#holders.add(holder);
    this.#dropped?.register(sequence, holder, holder);
    return () => {
      this.#holders.delete(holder);
      this.#dropped?.unregister(holder);
    };
  }

  #forget(holder: Holder): void {
    this.#holders.delete(holder);
    for (const { pages } of holder.held) for (const page of pages) this.drop(page);
  }

  // Memory for a page out of what other classes have left, once memory grows no more.
  #cut(bytes: number): number | undefined {
    if (this.classes.length === 1) return undefined;
    const fits = ({ begin, end }: Region) => end - begin >= bytes;
    let gap = this.#gaps.find(fits);
    if (!gap) {
      this.#join();
      gap = this.#gaps.find(fits);
    }
    if (!gap) return undefined;
    gap.begin += bytes;
    return gap.begin - bytes;
  }

  // Makes gaps of all free pages; neighbours are one.
  #join(): void {
    const regions = this.#free.flatMap((pages, i) => {
      const { pageBytes } = this.classes[i] as PageClass;
      return pages.splice(0).map((begin): Region => ({ begin, end: begin + pageBytes }));
    });
    this.#gaps = [...this.#gaps, ...regions]
      .sort((a, b) => a.begin - b.begin)
      .reduce<Region[]>((joined, { begin, end }) => {
        const last = joined.at(-1);
        if (last?.end === begin) joined[joined.length - 1] = { begin: last.begin, end };
        else if (begin < end) joined.push({ begin, end });
        return joined;
      }, []);
  }

  #full(pageClass: number): MemoryError {
    const { classes } = this;
    const counts = classes.map(() => 0);
    for (const use of this.#uses.values()) (counts[use.pageClass] as number)++;
    const inUse = classes.map((of, i) => `${counts[i]} pages of ${of.pageBytes} bytes${contentText(of)}`);
    const [only] = inUse;
    const what =
      classes.length === 1
        ? `all ${only}`
        : `no page of ${classes[pageClass]?.pageBytes} bytes is left, ${inUse.join(" and ")}`;
    return new MemoryError(
      `Cannot extend the KV cache: ${what} are in use and ${this.memory.limit()}: ${this.#held()}; ${WAYS_OUT}`,
    );
  }

  // "3 sessions hold 40 pages (5.6 MiB), 1 fork 2 (0.3 MiB)"; of several classes: "40 + 12 pages".
  #held(): string {
    const kinds = new Map<HolderKind, { holders: number; pages: readonly Set<number>[] }>();
    for (const { kind, held } of this.#holders) {
      if (held.every(({ pages }) => pages.length === 0)) continue;
      const of = kinds.get(kind) ?? { holders: 0, pages: this.classes.map(() => new Set<number>()) };
      of.holders++;
      held.forEach(({ pages }, i) => {
        for (const page of pages) of.pages[i]?.add(page);
      });
      kinds.set(kind, of);
    }
    if (kinds.size === 0) return "nobody holds a page";
    const texts = Array.from(kinds, ([kind, { holders, pages }], i) => {
      const sizes = pages.map(({ size }) => size);
      const bytes = this.classes.reduce((sum, { pageBytes }, c) => sum + (sizes[c] as number) * pageBytes, 0);
      const holding = i > 0 ? "" : holders === 1 ? " holds" : " hold";
      const pagesOf = i > 0 ? "" : sizes.join() === "1" ? " page" : " pages";
      const who = `${holders} ${kind}${holders === 1 ? "" : "s"}`;
      return `${who}${holding} ${sizes.join(" + ")}${pagesOf} (${mebibytes(bytes)})`;
    });
    return texts.join(", ");
  }
}

// " (window 512)", " (states)"
function contentText({ window, isState }: PageClass): string {
  if (isState) return " (states)";
  return window === undefined ? "" : ` (window ${window})`;
}

const WAYS_OUT =
  "dispose() sessions and forks that are over, end generations (return(), or read them to their end), or load with " +
  "a larger maxBytes";
