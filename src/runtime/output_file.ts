// A large file that is written part by part: under a temporary name until it is whole.
import { SourceError, UsageError } from "../util/errors.ts";
import { randomWords } from "../util/random.ts";
import { fileSystem, reasonOfFile } from "./local_file.ts";

type FileSystem = typeof import("node:fs/promises");
type FileHandle = Awaited<ReturnType<FileSystem["open"]>>;

/** What files that are written go through. */
export interface OutputWriter {
  /** Appends bytes. They may be changed once the promise is fulfilled. @throws SourceError if they cannot be stored */
  write(bytes: Uint8Array): Promise<void>;
  /** Gives the file its name, once its bytes are on the disk. */
  finish(): Promise<void>;
  /** Removes what was written. Safe to call twice, and after an error. */
  discard(): Promise<void>;
}

/**
 * Opens a file for writing. Its bytes go to a temporary file beside it, which takes its name at the end: a file of that name
 * is replaced then, by all of the new one or not at all. A process that exits removes the temporary file.
 * @param inputs names of files that are read meanwhile: none of them may be the file, by whatever path or link
 * @throws UsageError if the file is one of the inputs
 * @throws SourceError if it cannot be written, is a directory, pipe or device, or files do not exist here
 */
export async function openOutput(name: string, inputs: readonly string[]): Promise<OutputWriter> {
  if (typeof globalThis.process?.getBuiltinModule !== "function") {
    throw new SourceError(`Cannot write ${name}: This runtime has no files; expected a WritableStream`);
  }
  const files = fileSystem(name);
  try {
    const path = (await existing(files, name, inputs)) ?? name;
    const part = partName(path);
    const file = new OutputFile(name, path, part, await files.open(part, "wx"));
    return file;
  } catch (error) {
    throw outputError(name, error);
  }
}

class OutputFile implements OutputWriter {
  readonly #name: string;
  readonly #path: string;
  readonly #part: string;
  #handle: FileHandle | undefined;
  /** Runs if the process exits before the file is whole. */
  readonly #onExit: () => void;

  constructor(name: string, path: string, part: string, handle: FileHandle) {
    this.#name = name;
    this.#path = path;
    this.#part = part;
    this.#handle = handle;
    const { process } = globalThis;
    const { rmSync } = process.getBuiltinModule("node:fs");
    this.#onExit = () => rmSync(part, { force: true });
    process.on("exit", this.#onExit);
  }

  async write(bytes: Uint8Array): Promise<void> {
    await this.#try(async (handle) => {
      for (let done = 0; done < bytes.length; ) {
        done += (await handle.write(bytes, done, bytes.length - done)).bytesWritten;
      }
    });
  }

  async finish(): Promise<void> {
    await this.#try(async (handle) => {
      await handle.sync();
      await handle.close();
      this.#handle = undefined;
      await fileSystem(this.#name).rename(this.#part, this.#path);
    });
    globalThis.process.off("exit", this.#onExit);
  }

  async discard(): Promise<void> {
    globalThis.process.off("exit", this.#onExit);
    const handle = this.#handle;
    this.#handle = undefined;
    await handle?.close().catch(() => {});
    await fileSystem(this.#name)
      .rm(this.#part, { force: true })
      .catch(() => {});
  }

  async #try(work: (handle: FileHandle) => Promise<void>): Promise<void> {
    if (!this.#handle) throw new SourceError(`Cannot write ${this.#name}: It was closed`);
    try {
      await work(this.#handle);
    } catch (error) {
      await this.discard();
      throw outputError(this.#name, error);
    }
  }
}

const MAX_BASE_CHARS = 60;

/** The temporary name: hidden, in the same folder, so that it can be renamed. */
function partName(path: string): string {
  const at = 1 + Math.max(path.lastIndexOf("/"), path.lastIndexOf("\\"));
  return `${path.slice(0, at)}.${path.slice(at).slice(0, MAX_BASE_CHARS)}.${randomWords(1)[0]?.toString(36)}.part`;
}

/** The real path of a file that may be replaced; undefined if there is none. */
async function existing(
  files: FileSystem,
  name: string,
  inputs: readonly string[],
): Promise<string | undefined> {
  const info = await files.stat(name, { bigint: true }).catch((error) => {
    if ((error as { code?: string }).code !== "ENOENT") throw error;
  });
  if (!info) return undefined;
  if (info.isDirectory()) throw new SourceError(`Cannot write ${name}: is a directory, expected a file`);
  if (!info.isFile()) throw new SourceError(`Cannot write ${name}: is a pipe or device, expected a file`);
  for (const input of inputs) {
    const other = await files.stat(input, { bigint: true }).catch(() => undefined);
    if (other && other.ino === info.ino && other.dev === info.dev) {
      throw new UsageError(`Cannot write ${name}: Expected another file than the input ${input}`);
    }
  }
  // A file that may not be written is not replaced, though its folder would allow it.
  await (await files.open(name, "r+")).close();
  return files.realpath(name);
}

function outputError(name: string, cause: unknown): Error {
  if (cause instanceof SourceError || cause instanceof UsageError) return cause;
  const { code } = cause as { code?: string };
  const reason = code === "ENOENT" ? "no such directory" : reasonOfFile(cause);
  return new SourceError(`Cannot write ${name}: ${reason}`, { cause });
}
