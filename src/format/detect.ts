// Tells model files apart by their first bytes.
import type { ByteSource } from "../source/byte_source.ts";
import { ByteCursor } from "../util/bytes.ts";
import { FormatError } from "../util/errors.ts";
import { GGUF_MAGIC, readGguf } from "./gguf/header.ts";
import { LEGACY_HEADER_BYTES, readLlama2c } from "./llama2c.ts";
import type { ModelFile } from "./model_file.ts";

/** The shortest model file: a GGUF header without metadata and tensors. */
const MIN_FILE_BYTES = 24;

/**
 * Reads the header of a model file of any known format, told apart by its first bytes: GGUF, llama2.c with
 * its magic, and llama2.c of the legacy kind, which has no magic but whose header must make sense and agree
 * with the size of the file. The source stays open and is the caller's to close, also after an error.
 * @throws FormatError for a file that is empty, cut, contradicts its format or is of no known format
 * @throws UnsupportedError for versions and types that are known and not implemented
 * @throws SourceError when the bytes cannot be had
 */
export async function openModelFile(source: ByteSource): Promise<ModelFile> {
  const magic = await readHead(source, MIN_FILE_BYTES);
  if (new ByteCursor(magic, source.name).u32() === GGUF_MAGIC) return readGguf(source);
  await readHead(source, LEGACY_HEADER_BYTES);
  return readLlama2c(source);
}

/**
 * Reads the header of a GGUF file, which the first four bytes say it is; see {@link openModelFile}. A caller that needs
 * no other format takes in no other reader.
 */
export async function openGguf(source: ByteSource): Promise<ModelFile> {
  await readHead(source, MIN_FILE_BYTES);
  return readGguf(source);
}

/** What a source begins as: a GGUF file, a file of a folder of safetensors (also its JSON), or another model. */
export async function kindOf(source: ByteSource): Promise<"gguf" | "folder" | "other"> {
  const head = String.fromCharCode(...(await readHead(source, MIN_FILE_BYTES)));
  if (head.startsWith("GGUF")) return "gguf";
  // safetensors: the length of the header as u64, then the header in JSON.
  return /^(.{4}\0{4}[\s{]|\s*\{[^\0]*$)/s.test(head) ? "folder" : "other";
}

/** Whether a source begins as a GGUF file does. */
export async function isGguf(source: ByteSource): Promise<boolean> {
  const magic = new Uint8Array(4);
  if (source.size !== undefined && source.size < magic.length) return false;
  await source.read(0, magic);
  return new DataView(magic.buffer).getUint32(0, true) === GGUF_MAGIC;
}

async function readHead(source: ByteSource, n: number): Promise<Uint8Array> {
  const head = new Uint8Array(n);
  try {
    if (source.size === undefined || source.size >= n) await source.read(0, head);
  } catch (error) {
    // A stream knows its size once it has come to its end.
    if (!(error instanceof FormatError) || source.size === undefined) throw error;
  }
  if (source.size === 0) throw new FormatError(`Cannot read ${source.name}: The file is empty`);
  if (source.size !== undefined && source.size < n) {
    throw new FormatError(
      `Cannot read ${source.name}: Expected a model file, got ${source.size} bytes, fewer than any header has`,
    );
  }
  return head;
}
