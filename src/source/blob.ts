// A source over a Blob or File.
import { endOfFile } from "../util/bytes.ts";
import type { ByteSource } from "./byte_source.ts";
import { checkRange, readErrors } from "./read_errors.ts";

// In a browser each read of a file passes through another process, which takes milliseconds: reads are large, and made
// ahead of the caller.
const BLOB_WINDOW_BYTES = 8 << 20;
const BLOB_WINDOWS_AHEAD = 2;

/** A Blob or File; `name` defaults to the file's. */
export function blobSource(blob: Blob, name = fileName(blob)): ByteSource {
  const windows = new BlobWindows(blob, name);
  return {
    name,
    size: blob.size,
    async read(offset, target) {
      checkRange(name, offset, target.length, blob.size);
      for (let done = 0; done < target.length; ) {
        const at = offset + done;
        const begin = at - (at % BLOB_WINDOW_BYTES);
        const window = await windows.at(begin);
        const part = window.subarray(at - begin, at - begin + target.length - done);
        target.set(part, done);
        done += part.length;
      }
    },
    async close() {
      windows.clear();
    },
  };
}

/** Parts of a Blob: the one that was asked for last, and the next ones if reads ascend. */
class BlobWindows {
  readonly #blob: Blob;
  readonly #name: string;
  readonly #open = new Map<number, Promise<Uint8Array>>();

  constructor(blob: Blob, name: string) {
    this.#blob = blob;
    this.#name = name;
  }

  /** The part that begins at `begin`, a multiple of BLOB_WINDOW_BYTES inside the Blob. */
  async at(begin: number): Promise<Uint8Array> {
    const end = Math.min(begin + (1 + BLOB_WINDOWS_AHEAD) * BLOB_WINDOW_BYTES, this.#blob.size);
    const ascends = this.#open.has(begin) || this.#open.has(begin - BLOB_WINDOW_BYTES);
    const window = this.#start(begin);
    for (const other of this.#open.keys()) {
      if (other < begin || other >= end) this.#open.delete(other);
    }
    if (ascends) for (let at = begin; at < end; at += BLOB_WINDOW_BYTES) this.#start(at);
    try {
      return await window;
    } catch (error) {
      this.#open.delete(begin);
      throw error;
    }
  }

  clear(): void {
    this.#open.clear();
  }

  #start(begin: number): Promise<Uint8Array> {
    const open = this.#open.get(begin);
    if (open) return open;
    const window = this.#read(begin, Math.min(begin + BLOB_WINDOW_BYTES, this.#blob.size));
    // What is read ahead may never be awaited: its failure must not be an unhandled rejection.
    window.catch(() => {});
    this.#open.set(begin, window);
    return window;
  }

  async #read(begin: number, end: number): Promise<Uint8Array> {
    const bytes = await readErrors(this.#name, () => this.#blob.slice(begin, end).arrayBuffer());
    if (bytes.byteLength !== end - begin) throw endOfFile(this.#name, begin, end - begin, this.#blob.size);
    return new Uint8Array(bytes);
  }
}

function fileName(blob: Blob): string {
  return "name" in blob && typeof blob.name === "string" && blob.name !== "" ? blob.name : "blob";
}
