// A file that a command writes: all of it or nothing, and checked beforehand.
import { open, realpath, rename, rm, stat, writeFile } from "node:fs/promises";
import { basename, dirname, join } from "node:path";
import process from "node:process";
import { SourceError } from "../util/errors.ts";

/** What went wrong, by the error codes of POSIX. */
const reasons: Readonly<Record<string, string>> = {
  ENOENT: "no such directory",
  ENOTDIR: "a part of the path is not a directory",
  EACCES: "permission denied",
  EPERM: "permission denied",
  EROFS: "the file system is read-only",
  ENOSPC: "no space left",
  EDQUOT: "no space left",
  ENAMETOOLONG: "the name is too long",
  ELOOP: "too many symbolic links",
  // Node's permission model.
  ERR_ACCESS_DENIED: "Node may not; run with --allow-fs-read and --allow-fs-write",
};

/** A path that was found writable. */
export class OutputFile {
  /** Where the file is, links followed. */
  readonly path: string;
  readonly #name: string;
  /** The name until the file is whole. */
  readonly #part: string;

  private constructor(name: string, path: string) {
    this.#name = name;
    this.path = path;
    this.#part = join(dirname(path), `.${basename(path).slice(0, 60)}.${process.pid}.part`);
  }

  /**
   * Checks that a file can be written; one that exists will be replaced.
   * @throws SourceError if it cannot, or is a directory, pipe or device
   */
  static async check(name: string): Promise<OutputFile> {
    try {
      const path = await existing(name);
      // Tried instead of asked for: asking would need another permission of Deno.
      if (path !== undefined) await (await open(path, "r+")).close();
      const file = new OutputFile(name, path ?? name);
      await writeFile(file.#part, "");
      await rm(file.#part);
      return file;
    } catch (error) {
      throw outputError(name, error);
    }
  }

  /** Writes to a temporary file beside it, then renames that. @throws SourceError */
  async write(bytes: Uint8Array): Promise<void> {
    try {
      await writeFile(this.#part, bytes);
      await rename(this.#part, this.path);
    } catch (error) {
      await rm(this.#part, { force: true }).catch(() => {});
      throw outputError(this.#name, error);
    }
  }
}

/** The real path of a file; undefined if there is none. */
async function existing(name: string): Promise<string | undefined> {
  try {
    const info = await stat(name);
    if (info.isDirectory()) throw new SourceError(`Cannot write ${name}: is a directory, expected a file`);
    if (!info.isFile()) throw new SourceError(`Cannot write ${name}: is a pipe or device, expected a file`);
    return await realpath(name);
  } catch (error) {
    if ((error as { code?: string }).code === "ENOENT") return undefined;
    throw error;
  }
}

function outputError(name: string, cause: unknown): SourceError {
  if (cause instanceof SourceError) return cause;
  const { code = "", message, name: kind } = cause as { code?: string; message?: string; name?: string };
  // Deno's own refusal, before the system is asked.
  const reason =
    kind === "NotCapable"
      ? "Deno may not; run with --allow-read and --allow-write"
      : (reasons[code] ?? message);
  return new SourceError(`Cannot write ${name}: ${reason}`, { cause });
}
