// Local files of Bun, Deno and Node, which share Node's file interface. It is asked for at run time: a bundle for a browser
// must not import it.
import type { ByteSource } from "../source/byte_source.ts";
import { asFolder, asMissingFile } from "../source/read_errors.ts";
import { endOfFile } from "../util/bytes.ts";
import { SourceError } from "../util/errors.ts";

type FileSystem = typeof import("node:fs/promises");
type FileHandle = Awaited<ReturnType<FileSystem["open"]>>;
type Stats = Awaited<ReturnType<FileHandle["stat"]>>;

/** Linux reads at most 0x7ffff000 bytes in one call; half of that is as fast. */
const MAX_READ_BYTES = 2 ** 30;

/** What went wrong, by the error codes of POSIX. */
const reasons: Readonly<Record<string, string>> = {
  ENOENT: "no such file",
  ENOTDIR: "a part of the path is not a directory",
  EISDIR: "is a directory, expected a file",
  EACCES: "permission denied",
  EPERM: "permission denied",
  EMFILE: "too many open files",
  ENFILE: "too many open files",
  ENAMETOOLONG: "the name is too long",
  ELOOP: "too many symbolic links",
  EIO: "input/output error",
  ENOSPC: "the disk is full",
  EDQUOT: "the disk quota is used up",
  EFBIG: "the file would be too large for the disk",
  EROFS: "the disk is read-only",
  EEXIST: "is a file, expected a directory",
};

/** Codes of the numbers that Linux and macOS share, of what a write meets. */
const writeErrors: Readonly<Record<string, string>> = { 27: "EFBIG", 28: "ENOSPC" };

/**
 * Opens a file for reading at any offset. Views of shared and of 4 GiB memories are fine as targets.
 * @throws SourceError when there is no such file, it may not be read, or it is a directory, pipe or device.
 */
export async function openLocalFile(name: string): Promise<ByteSource> {
  const { open, stat } = fileSystem(name);
  try {
    // Opening a pipe waits for a writer: look first.
    checkIsFile(name, await stat(name));
    const handle = await open(name, "r");
    try {
      return new LocalFile(name, handle, (await handle.stat()).size);
    } catch (error) {
      await handle.close();
      throw error;
    }
  } catch (error) {
    throw error instanceof SourceError ? error : sourceError("open", name, error);
  }
}

function checkIsFile(name: string, info: Stats): void {
  if (info.isDirectory()) {
    throw asFolder(new SourceError(`Cannot open ${name}: is a directory, expected a file`));
  }
  if (!info.isFile()) throw new SourceError(`Cannot open ${name}: is a pipe or device, expected a file`);
}

class LocalFile implements ByteSource {
  readonly name: string;
  readonly size: number;
  #handle: FileHandle | undefined;

  constructor(name: string, handle: FileHandle, size: number) {
    this.name = name;
    this.#handle = handle;
    this.size = size;
  }

  async read(offset: number, target: Uint8Array): Promise<void> {
    if (!this.#handle) throw new SourceError(`Cannot read ${this.name}: It was closed`);
    if (!Number.isSafeInteger(offset) || offset < 0) {
      throw new SourceError(`Cannot read ${this.name}: Expected an offset from 0, got ${offset}`);
    }
    if (offset + target.length > this.size) throw endOfFile(this.name, offset, target.length, this.size);
    for (let done = 0; done < target.length; ) {
      const bytes = Math.min(target.length - done, MAX_READ_BYTES);
      const read = await this.#readSome(target, done, bytes, offset + done);
      // The file has become shorter since it was opened.
      if (read === 0) throw endOfFile(this.name, offset, target.length, offset + done);
      done += read;
    }
  }

  async close(): Promise<void> {
    const handle = this.#handle;
    this.#handle = undefined;
    await handle?.close();
  }

  async #readSome(target: Uint8Array, at: number, bytes: number, offset: number): Promise<number> {
    try {
      return (await this.#handle!.read(target, at, bytes, offset)).bytesRead;
    } catch (error) {
      throw sourceError("read", this.name, error);
    }
  }
}

/** node:fs/promises. @throws SourceError in a Node that cannot give it */
export function fileSystem(name: string): FileSystem {
  const { process } = globalThis;
  if (!process.getBuiltinModule) {
    throw new SourceError(`Cannot open ${name}: Expected Node 20.16 or later, got ${process.version}`);
  }
  return process.getBuiltinModule("node:fs/promises");
}

/** What was wrong with a file, as the system says, or Deno or Node before they ask it. */
export function reasonOfFile(error: unknown): string {
  const { code, message, name: kind, permission } = error as Partial<Record<string, string>>;
  if (code === "ERR_ACCESS_DENIED") {
    return permission === "FileSystemWrite"
      ? "Node may not write it; run with --allow-fs-write"
      : "Node may not read it; run with --allow-fs-read";
  }
  // Deno's own refusal, before the system is asked.
  if (kind === "NotCapable") {
    return /\bwrite access/.test(message ?? "")
      ? "Deno may not write it; run with --allow-write"
      : "Deno may not read it; run with --allow-read";
  }
  // Deno names no code of what a write meets, only the system's number.
  const [, number = ""] = /\(os error (\d+)\)$/.exec(message ?? "") ?? [];
  return reasons[code ?? writeErrors[number] ?? ""] ?? message ?? String(error);
}

function sourceError(doing: "open" | "read", name: string, cause: unknown): SourceError {
  const isMissing = ["ENOENT", "ENOTDIR"].includes((cause as { code?: string })?.code ?? "");
  const error = new SourceError(`Cannot ${doing} ${name}: ${reasonOfFile(cause)}`, { cause });
  return isMissing ? asMissingFile(error) : error;
}
