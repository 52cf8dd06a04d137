// The texts that a command learns from: files and standard input, one after the other.
import { Buffer } from "node:buffer";
import { realpath } from "node:fs/promises";
import { detectRuntime } from "../runtime/detect.ts";
import type { ByteSource } from "../source/byte_source.ts";
import { stdinParts } from "./stdin.ts";
import { MAX_MARK_BYTES, withoutByteOrderMark } from "./text.ts";

/** Bytes that are read at once. */
const PART_BYTES = 1 << 18;

const LINE_END = 0x0a;

/** Opened files and standard input as one text. */
export class InputFiles {
  /** Bytes read so far. */
  readBytes = 0;
  /** Bytes in all; undefined if standard input is among them. */
  readonly totalBytes: number | undefined;
  readonly #sources: readonly (ByteSource | "-")[];

  private constructor(sources: readonly (ByteSource | "-")[]) {
    this.#sources = sources;
    const sizes = sources.map((source) => (source === "-" ? Number.NaN : (source.size ?? Number.NaN)));
    const total = sizes.reduce((sum, size) => sum + size, 0);
    this.totalBytes = Number.isNaN(total) ? undefined : total;
  }

  /** Opens all files; "-" is standard input. @throws SourceError if one cannot be read */
  static async open(names: readonly string[]): Promise<InputFiles> {
    const sources: (ByteSource | "-")[] = [];
    try {
      for (const name of names) sources.push(name === "-" ? name : await detectRuntime().openFile(name));
      return new InputFiles(sources);
    } catch (error) {
      await closeAll(sources);
      throw error;
    }
  }

  /**
   * The bytes, part by part, without byte order marks; every file ends a line.
   * @throws SourceError when a file cannot be read or is UTF-16
   */
  async *parts(): AsyncGenerator<Uint8Array> {
    for (const source of this.#sources) {
      let last = LINE_END;
      const [parts, name] =
        source === "-"
          ? [stdinParts("the texts", "files are named with --input"), "standard input"]
          : [fileParts(source), source.name];
      for await (const part of withoutMark(parts, name, (bytes) => (this.readBytes += bytes))) {
        last = part.at(-1) ?? last;
        yield part;
      }
      if (last !== LINE_END) yield Uint8Array.of(LINE_END);
    }
  }

  close(): Promise<void> {
    return closeAll(this.#sources);
  }
}

/** Whether two names are one file; false if one of them is no file. */
export async function isSameFile(a: string, b: string): Promise<boolean> {
  const real = (name: string) => realpath(name).catch(() => undefined);
  const path = await real(a);
  return path !== undefined && path === (await real(b));
}

async function* fileParts(source: ByteSource): AsyncGenerator<Uint8Array> {
  const size = source.size ?? 0;
  for (let offset = 0; offset < size; offset += PART_BYTES) {
    const part = new Uint8Array(Math.min(PART_BYTES, size - offset));
    await source.read(offset, part);
    yield part;
  }
}

/** The parts without the byte order mark, which may be spread over several of them. */
async function* withoutMark(
  parts: AsyncIterable<Uint8Array>,
  name: string,
  onRead: (bytes: number) => void,
): AsyncGenerator<Uint8Array> {
  let head: Uint8Array | undefined = new Uint8Array(0);
  for await (const part of parts) {
    onRead(part.length);
    if (head === undefined) {
      yield part;
      continue;
    }
    head = Buffer.concat([head, part]);
    if (head.length < MAX_MARK_BYTES) continue;
    yield withoutByteOrderMark(head, name);
    head = undefined;
  }
  if (head !== undefined && head.length > 0) yield withoutByteOrderMark(head, name);
}

async function closeAll(sources: readonly (ByteSource | "-")[]): Promise<void> {
  for (const source of sources) if (source !== "-") await source.close();
}
