// The cache of downloads of browsers, in the Cache API: every browser and worker has it, and an entry is whole or absent.
// A file is stored as pieces of one size: an unfinished download can be resumed, and a page reads parts of it. A file is
// whole when it has an entry of its own beside its pieces. A note about it is one more entry.
import type { ByteSource } from "../source/byte_source.ts";
import type { CacheEntry, CacheWriter, FileCache } from "../source/host.ts";
import { endOfFile } from "../util/bytes.ts";
import { SourceError } from "../util/errors.ts";

/** Bytes of a piece. A writer holds one in memory. */
export const PIECE_BYTES = 8 << 20;

const CACHE_NAME = "cria-models";
/** Keys must be URLs; nothing is ever fetched from this one. */
const ROOT = "https://cria.invalid/models/";

/** The cache of this origin; undefined if it has none (insecure pages, private windows). */
export async function webCache(storage: CacheStorage | undefined): Promise<FileCache | undefined> {
  try {
    const cache = await storage?.open(CACHE_NAME);
    return cache && new WebCache(cache);
  } catch {
    return undefined;
  }
}

const NOTE = "about/";
const noteOf = (name: string) => NOTE + name;
const pieceKey = (name: string, index: number) => `${ROOT}${name}/${index}`;
const pieceCount = (size: number) => Math.ceil(size / PIECE_BYTES);

class WebCache implements FileCache {
  readonly #cache: Cache;

  constructor(cache: Cache) {
    this.#cache = cache;
  }

  async find(prefix: string): Promise<readonly string[]> {
    const names = (await this.#keys(prefix)).filter((name) => !name.includes("/"));
    return names.reverse();
  }

  async open(name: string, size?: number): Promise<ByteSource | undefined> {
    const bytes = Number(await (await this.#cache.match(ROOT + name))?.text());
    if (!Number.isSafeInteger(bytes) || (size !== undefined && bytes !== size)) return undefined;
    const pieces = new Set(await this.#keys(`${name}/`));
    for (let i = 0; i < pieceCount(bytes); i++) if (!pieces.has(`${name}/${i}`)) return undefined;
    return new PieceSource(this.#cache, name, bytes);
  }

  async write(name: string, size: number, resume: boolean): Promise<CacheWriter> {
    const pieces = new Set(resume ? await this.#keys(`${name}/`) : []);
    let whole = 0;
    // The last one is written with the rest: it may be of a shorter file.
    while (whole < Math.floor(size / PIECE_BYTES) && pieces.has(`${name}/${whole}`)) whole++;
    return new PieceWriter(this, this.#cache, name, whole * PIECE_BYTES, size);
  }

  async remove(name: string): Promise<void> {
    const keys = [name, noteOf(name), ...(await this.#keys(`${name}/`))];
    for (const key of keys) await this.#cache.delete(ROOT + key);
  }

  async note(name: string, text: string): Promise<void> {
    const files = await this.#keys(name).catch(() => []);
    if (files.length > 0) await this.#cache.put(ROOT + noteOf(name), new Response(text)).catch(() => {});
  }

  async list(): Promise<readonly CacheEntry[]> {
    const keys = await this.#keys("");
    const names = new Set(keys.filter((key) => !key.startsWith(NOTE)).map((key) => key.replace(/\/.*/s, "")));
    return Promise.all(
      [...names].map(async (name) => {
        const text = async (key: string) => (await this.#cache.match(ROOT + key))?.text();
        const whole = await text(name);
        const pieces = keys.filter((key) => key.startsWith(`${name}/`)).length * PIECE_BYTES;
        const size = whole === undefined ? pieces : Number(whole) || 0;
        const note = await text(noteOf(name));
        return { name, size, isWhole: whole !== undefined, time: undefined, note, path: undefined };
      }),
    );
  }

  /** Removes the files that begin with `prefix`, whole or not, except `current`. */
  async clean(prefix: string, current: string): Promise<void> {
    for (const key of await this.#keys(prefix)) {
      if (key === current || key.startsWith(`${current}/`)) continue;
      await this.#cache.delete(ROOT + key);
      await this.#cache.delete(ROOT + noteOf(key));
    }
  }

  async #keys(prefix: string): Promise<string[]> {
    const urls = (await this.#cache.keys()).map(({ url }) => url);
    return urls.filter((url) => url.startsWith(ROOT + prefix)).map((url) => url.slice(ROOT.length));
  }
}

/** Pieces that were written. The one that was read last is held. */
class Pieces {
  readonly #cache: Cache;
  readonly #name: string;
  #index = -1;
  #blob: Blob | undefined;

  constructor(cache: Cache, name: string) {
    this.#cache = cache;
    this.#name = name;
  }

  async read(offset: number, target: Uint8Array): Promise<void> {
    for (let done = 0; done < target.length; ) {
      const index = Math.floor((offset + done) / PIECE_BYTES);
      const at = offset + done - index * PIECE_BYTES;
      const n = Math.min(PIECE_BYTES - at, target.length - done);
      const part = (await this.#piece(index)).slice(at, at + n).arrayBuffer();
      const bytes = new Uint8Array(await part.catch(() => new ArrayBuffer(0)));
      if (bytes.length !== n) {
        // A damaged piece must not be there the next time: it would be taken for whole again.
        await this.#cache.delete(pieceKey(this.#name, index)).catch(() => {});
        throw this.#lost(index);
      }
      target.set(bytes, done);
      done += n;
    }
  }

  async #piece(index: number): Promise<Blob> {
    if (this.#index === index && this.#blob) return this.#blob;
    this.#blob = await (await this.#cache.match(pieceKey(this.#name, index)))?.blob();
    this.#index = index;
    if (!this.#blob) throw this.#lost(index);
    return this.#blob;
  }

  #lost(index: number): SourceError {
    return new SourceError(
      `Cannot read ${this.#name}: Expected piece ${index} in the browser's cache, got none or a part; load it again`,
    );
  }
}

class PieceSource implements ByteSource {
  readonly name: string;
  readonly size: number;
  readonly #pieces: Pieces;

  constructor(cache: Cache, name: string, size: number) {
    this.name = name;
    this.size = size;
    this.#pieces = new Pieces(cache, name);
  }

  async read(offset: number, target: Uint8Array): Promise<void> {
    if (!Number.isSafeInteger(offset) || offset < 0) {
      throw new SourceError(`Cannot read ${this.name}: Expected an offset from 0, got ${offset}`);
    }
    if (offset + target.length > this.size) throw endOfFile(this.name, offset, target.length, this.size);
    await this.#pieces.read(offset, target);
  }

  async close(): Promise<void> {}
}

class PieceWriter implements CacheWriter {
  length: number;
  readonly #owner: WebCache;
  readonly #cache: Cache;
  readonly #name: string;
  readonly #pieces: Pieces;
  /** The piece that is not full yet: its first `held` bytes. */
  readonly #piece: Uint8Array<ArrayBuffer>;
  #held = 0;

  constructor(owner: WebCache, cache: Cache, name: string, length: number, size: number) {
    this.#piece = new Uint8Array(Math.min(PIECE_BYTES, size - length));
    this.#owner = owner;
    this.#cache = cache;
    this.#name = name;
    this.length = length;
    this.#pieces = new Pieces(cache, name);
  }

  async append(bytes: Uint8Array): Promise<void> {
    for (let at = 0; at < bytes.length; ) {
      const chunk = bytes.subarray(at, at + PIECE_BYTES - this.#held);
      this.#piece.set(chunk, this.#held);
      this.#held += chunk.length;
      this.length += chunk.length;
      at += chunk.length;
      if (this.#held === PIECE_BYTES) await this.#flush();
    }
  }

  async read(offset: number, target: Uint8Array): Promise<void> {
    const stored = this.length - this.#held;
    const n = Math.min(Math.max(0, stored - offset), target.length);
    if (n > 0) await this.#pieces.read(offset, target.subarray(0, n));
    if (n < target.length) {
      const from = offset + n - stored;
      target.set(this.#piece.subarray(from, from + target.length - n), n);
    }
  }

  async publish(prefix: string): Promise<void> {
    try {
      if (this.#held > 0) await this.#flush();
      await this.#put(ROOT + this.#name, String(this.length));
      await this.#owner.clean(prefix, this.#name);
    } catch {
      // The bytes were read; the next load downloads them again.
    }
  }

  async discard(): Promise<void> {
    await this.#owner.remove(this.#name);
  }

  async close(): Promise<void> {}

  async #flush(): Promise<void> {
    const index = Math.floor((this.length - 1) / PIECE_BYTES);
    await this.#put(pieceKey(this.#name, index), new Blob([this.#piece.subarray(0, this.#held)]));
    this.#held = 0;
  }

  async #put(key: string, body: BodyInit): Promise<void> {
    try {
      await this.#cache.put(key, new Response(body));
    } catch (cause) {
      const { name = "", message = String(cause) } = (cause ?? {}) as { name?: string; message?: string };
      const reason = name === "QuotaExceededError" ? "the browser gives this site no more space" : message;
      await this.discard();
      throw new SourceError(
        `Cannot keep ${this.#name} in the browser's cache: ${reason}; load with cache: false to keep nothing`,
        { cause },
      );
    }
  }
}
