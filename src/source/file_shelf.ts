// The files of one model, of which one at a time is open.
import { SourceError } from "../util/errors.ts";
import { Mutex } from "../util/mutex.ts";
import type { ByteSource } from "./byte_source.ts";
import type { FileSet } from "./file_set.ts";
import type { OpenOptions } from "./open.ts";

/**
 * Files of a set, opened when they are read. The one that was read before is closed: each open download holds a
 * connection, and browsers give a server six. Hence files are read one after the other: those of which only a part was
 * read (headers) are opened again later.
 */
export class FileShelf {
  /** What it opens files of; for small ones, which are read at once. */
  readonly set: FileSet;
  readonly #onBytes: OpenOptions["onBytes"];
  readonly #mutex = new Mutex();
  readonly #open = new Map<string, ByteSource>();
  readonly #received = new Map<string, readonly [number, number | undefined]>();
  #complete = false;

  constructor(set: FileSet, onBytes?: OpenOptions["onBytes"]) {
    this.set = set;
    this.#onBytes = onBytes;
  }

  /** What error messages call the set. */
  get name(): string {
    return this.set.name;
  }

  /** A file, which the shelf closes; undefined if there is none. @throws as FileSet.open */
  async open(name: string): Promise<ByteSource | undefined> {
    const first = await this.#use(name, async (source) => source);
    if (!first) return undefined;
    const { size } = first;
    const shown = this.shown(name, first);
    const open = this.#open;
    return {
      name: shown,
      get size() {
        return open.get(name)?.size ?? size;
      },
      read: (offset, target) =>
        this.#use(name, (source) => {
          if (source && (size === undefined || source.size === size)) return source.read(offset, target);
          const got = source ? `${source.size} bytes` : "no file";
          throw new SourceError(
            `Cannot read ${shown}: It changed while it was read: Expected ${size} bytes, got ${got}`,
          );
        }),
      close: async () => {},
    };
  }

  /** What error messages call a file: what a caller has gathered may have no names of its own. */
  shown(name: string, source: ByteSource): string {
    return this.set.once ? name : source.name;
  }

  /** Says that headers were read: from now on a file that is left was read as far as it is needed, and is completed. */
  begin(): void {
    this.#complete = true;
  }

  /** Completes what is still open: see {@link ByteSource.finish}. */
  async finish(): Promise<void> {
    for (const source of this.#open.values()) await source.finish?.();
  }

  /** Releases handles. Safe to call twice. */
  async close(): Promise<void> {
    const sources = [...this.#open.values()];
    this.#open.clear();
    for (const source of sources) await source.close();
  }

  // Runs `work` with a file, while no other is opened or closed.
  async #use<T>(name: string, work: (source: ByteSource | undefined) => Promise<T>): Promise<T> {
    await this.#mutex.acquire();
    try {
      if (!this.#open.has(name)) await this.#take(name);
      return await work(this.#open.get(name));
    } finally {
      this.#mutex.release();
    }
  }

  async #take(name: string): Promise<void> {
    if (!this.set.once) {
      if (this.#complete) await this.finish();
      await this.close();
    }
    const onBytes =
      this.#onBytes && ((received: number, total?: number) => this.#count(name, received, total));
    const source = await this.set.open(name, { onBytes });
    if (source) this.#open.set(name, source);
  }

  // One report for all files. What comes a second time counts once.
  #count(name: string, received: number, total: number | undefined): void {
    this.#received.set(name, [Math.max(received, this.#received.get(name)?.[0] ?? 0), total]);
    let sum = 0;
    let all = 0;
    for (const [bytes, size = Number.NaN] of this.#received.values()) {
      sum += bytes;
      all += size;
    }
    this.#onBytes?.(sum, Number.isNaN(all) ? undefined : all);
  }
}
