// The cache of downloads of Bun, Deno and Node: whole files under their names, unfinished ones that end with ".part", and notes
// about both that begin with "about-".
import type { ByteSource } from "../source/byte_source.ts";
import type { CacheEntry, CacheWriter, FileCache } from "../source/host.ts";
import { SourceError } from "../util/errors.ts";
import { randomWords } from "../util/random.ts";
import { fileSystem, openLocalFile, reasonOfFile } from "./local_file.ts";

/** What a cache needs of node:fs/promises. */
export type CacheFileSystem = Pick<
  typeof import("node:fs/promises"),
  "mkdir" | "open" | "readdir" | "readFile" | "rename" | "stat" | "unlink" | "writeFile"
>;
type FileHandle = Awaited<ReturnType<CacheFileSystem["open"]>>;

/**
 * An unfinished file that was not written for this long is taken over. A process that was only slow does no harm: all
 * that write one name write the same bytes to the same places.
 */
const ABANDONED_MS = 30_000;

/**
 * The files of a directory, which is made if it does not exist, but not `toRead`.
 * @throws SourceError if it cannot be made or is not a directory
 */
export async function directoryCache(
  directory: string,
  toRead = false,
  fs: CacheFileSystem = fileSystem(directory),
): Promise<FileCache> {
  try {
    if (!toRead) await fs.mkdir(directory, { recursive: true });
  } catch (error) {
    throw cacheError("keep files in", directory, error);
  }
  return new DirectoryCache(directory, fs);
}

class DirectoryCache implements FileCache {
  readonly #directory: string;
  readonly #fs: CacheFileSystem;

  constructor(directory: string, fs: CacheFileSystem) {
    this.#directory = directory;
    this.#fs = fs;
  }

  async find(prefix: string): Promise<readonly string[]> {
    const names = (await this.#list(prefix)).filter((name) => !isPart(name) && !name.startsWith(NOTE));
    const dated = await Promise.all(names.map(async (name) => ({ name, time: await this.#time(name) })));
    return dated.sort((a, b) => b.time - a.time).map(({ name }) => name);
  }

  async open(name: string, size?: number): Promise<ByteSource | undefined> {
    // What may not be read, or is not a file, is downloaded again.
    const file = await openLocalFile(this.path(name)).catch(() => undefined);
    if (!file || size === undefined || file.size === size) return file;
    await file.close();
    return undefined;
  }

  async write(name: string, size: number, resume: boolean): Promise<CacheWriter> {
    const left = this.path(`${name}.${randomName()}.part`);
    const claimed = await this.#claim(name, left, resume ? size : 0);
    // A part that may not be written, or is not a file, must not prevent the download for ever.
    const resumed = claimed ? await this.#begin(name, left, "r+").catch(() => undefined) : undefined;
    return resumed ?? (await this.#begin(name, this.path(`${name}.${randomName()}.part`), "wx+"));
  }

  async #begin(name: string, part: string, flags: "r+" | "wx+"): Promise<PartWriter> {
    try {
      const handle = await this.#fs.open(part, flags);
      try {
        const { size: length } = await handle.stat();
        return new PartWriter(this, this.#fs, handle, part, name, length);
      } catch (error) {
        await handle.close();
        throw error;
      }
    } catch (error) {
      throw cacheError("write", part, error);
    }
  }

  async remove(name: string): Promise<void> {
    for (const file of [...(await this.#list(`${name}.`)).filter(isPart), name, noteOf(name)])
      await this.#unlink(file);
  }

  async note(name: string, text: string): Promise<void> {
    const files = await this.#list(name).catch(() => []);
    if (files.length === 0) return;
    const part = this.path(`${noteOf(name)}.${randomName()}.part`);
    // Another process may read it: it is replaced as a whole.
    const written = this.#fs.writeFile(part, text).then(() => this.#fs.rename(part, this.path(noteOf(name))));
    if (!(await succeeds(written))) await this.#fs.unlink(part).catch(() => {});
  }

  async list(): Promise<readonly CacheEntry[]> {
    const entries = new Map<string, CacheEntry>();
    // A whole file comes before its parts.
    for (const file of (await this.#list("")).sort()) {
      const name = baseName(file);
      const path = this.path(file);
      const info = await this.#fs.stat(path).catch(() => undefined);
      const known = entries.get(name);
      if (!info?.isFile() || name.startsWith(NOTE) || known?.isWhole || (known?.size ?? -1) > info.size)
        continue;
      const note = await this.#fs.readFile(this.path(noteOf(name)), "utf8").catch(() => undefined);
      const { size, mtimeMs: time } = info;
      entries.set(name, { name, size, isWhole: !isPart(file), time, note, path });
    }
    return [...entries.values()];
  }

  path(name: string): string {
    return `${this.#directory}/${name}`;
  }

  async #unlink(name: string): Promise<void> {
    await this.#fs.unlink(this.path(name)).catch(() => {});
  }

  /** Removes all files that begin with `prefix` except `current` and those that a process may be writing. */
  async clean(prefix: string, current: string): Promise<void> {
    const names = await this.#list(prefix);
    for (const name of names) {
      if (name === current) continue;
      if (isPart(name) && !(await this.#isAbandoned(name))) continue;
      await this.#unlink(name);
      if (baseName(name) !== current) await this.#unlink(noteOf(baseName(name)));
    }
  }

  async #list(prefix: string): Promise<string[]> {
    try {
      return (await this.#fs.readdir(this.#directory)).filter((name) => name.startsWith(prefix));
    } catch (error) {
      if ((error as { code?: unknown } | null)?.code === "ENOENT") return [];
      throw cacheError("read", this.#directory, error);
    }
  }

  /** Renames an abandoned part of at most `size` bytes to `own`; one process wins. Removes longer ones. */
  async #claim(name: string, own: string, size: number): Promise<boolean> {
    for (const part of await this.#list(name)) {
      if (!isPart(part) || !(await this.#isAbandoned(part, name))) continue;
      const path = this.path(part);
      const info = await this.#fs.stat(path).catch(() => undefined);
      // Never emptied: another process may still read it.
      if (info && info.size > size) await this.#unlink(part);
      else if (info && (await succeeds(this.#fs.rename(path, own)))) return true;
    }
    return false;
  }

  // Its writer has released it under the plain name, or has not written for long.
  async #isAbandoned(part: string, name?: string): Promise<boolean> {
    return part === `${name}.part` || Date.now() - (await this.#time(part)) > ABANDONED_MS;
  }

  async #time(name: string): Promise<number> {
    const info = await this.#fs.stat(this.path(name)).catch(() => undefined);
    return info?.mtimeMs ?? Number.POSITIVE_INFINITY;
  }
}

class PartWriter implements CacheWriter {
  length: number;
  readonly #cache: DirectoryCache;
  readonly #fs: CacheFileSystem;
  readonly #handle: FileHandle;
  readonly #part: string;
  readonly #name: string;
  #state: "open" | "published" | "closed" = "open";

  constructor(
    cache: DirectoryCache,
    fs: CacheFileSystem,
    handle: FileHandle,
    part: string,
    name: string,
    length: number,
  ) {
    this.#cache = cache;
    this.#fs = fs;
    this.#handle = handle;
    this.#part = part;
    this.#name = name;
    this.length = length;
  }

  async append(bytes: Uint8Array): Promise<void> {
    for (let done = 0; done < bytes.length; ) {
      const at = this.length;
      try {
        const { bytesWritten } = await this.#handle.write(bytes, done, bytes.length - done, at);
        done += bytesWritten;
        this.length += bytesWritten;
      } catch (error) {
        // The disk is full: what was written only takes room.
        await this.discard();
        throw cacheError(
          "write",
          this.#part,
          error,
          "; cria remove frees space, and cache: false (--no-cache) keeps nothing",
        );
      }
    }
  }

  async read(offset: number, target: Uint8Array): Promise<void> {
    for (let done = 0; done < target.length; ) {
      const bytes = Math.min(target.length - done, 2 ** 30);
      const { bytesRead } = await this.#handle.read(target, done, bytes, offset + done).catch((error) => {
        throw cacheError("read", this.#part, error);
      });
      if (bytesRead === 0) {
        throw new SourceError(
          `Cannot read ${this.#part}: Expected ${this.length} bytes, the file ends at ${offset + done}`,
        );
      }
      done += bytesRead;
    }
  }

  async publish(prefix: string): Promise<void> {
    try {
      // The name must not become visible before the bytes are safe.
      await this.#handle.datasync();
      await this.#fs.rename(this.#part, this.#cache.path(this.#name));
      this.#state = "published";
      await this.#cache.clean(prefix, this.#name);
    } catch {
      // The bytes are whole and can be read all the same: another process may have published them already.
    }
  }

  async discard(): Promise<void> {
    if (this.#state === "open") await this.#fs.unlink(this.#part).catch(() => {});
    this.#state = "published";
  }

  async close(): Promise<void> {
    if (this.#state === "closed") return;
    const released = this.#state === "open";
    this.#state = "closed";
    await this.#handle.close();
    if (!released) return;
    if (this.length === 0) await this.#fs.unlink(this.#part).catch(() => {});
    else await this.#fs.rename(this.#part, `${this.#cache.path(this.#name)}.part`).catch(() => {});
  }
}

const isPart = (file: string) => file.endsWith(".part");
const NOTE = "about-";
const noteOf = (name: string) => `${NOTE}${name}.json`;

/** The name of the file that a file, whole or not, is or will be. */
function baseName(file: string): string {
  return isPart(file) ? file.replace(/(\.~[0-9a-z]+)?\.part$/, "") : file;
}

function randomName(): string {
  // "~" is in no other name: what stands before it is the file's own.
  return `~${Array.from(randomWords(2), (word) => word.toString(36)).join("")}`;
}

function succeeds(work: Promise<unknown>): Promise<boolean> {
  return work.then(
    () => true,
    () => false,
  );
}

function cacheError(doing: string, path: string, cause: unknown, hint = ""): SourceError {
  return new SourceError(`Cannot ${doing} ${path}: ${reasonOfFile(cause)}${hint}`, { cause });
}
