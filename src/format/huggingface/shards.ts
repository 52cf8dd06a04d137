// The safetensors files of a model: one, or those that an index names.
import type { ByteSource } from "../../source/byte_source.ts";
import type { FileShelf } from "../../source/file_shelf.ts";
import { readAll } from "../../source/open.ts";
import { quoted } from "../../util/bytes.ts";
import { FormatError, UnsupportedError } from "../../util/errors.ts";
import { hasByte } from "../header_reader.ts";
import type { TensorInfo } from "../model_file.ts";
import { readSafetensors } from "../safetensors/header.ts";
import { parseJson } from "./config.ts";

/** Largest index that is read. Those of the largest models have 10 MB. */
const MAX_INDEX_BYTES = 64 << 20;
/** Most shards of a model. */
const MAX_SHARDS = 10_000;

const WHOLE = "model.safetensors";
const INDEX = /\.safetensors\.index\.json$/i;
const SHARD = /^(.*)-\d{5}-of-\d{5}\.safetensors$/is;

/** The tensors of a model under the names that the files give them, and a check that needs their ends. */
export interface Shards {
  readonly tensors: ReadonlyMap<string, TensorInfo>;
  /** @throws FormatError if a file goes on behind its end */
  checkEnd(): Promise<void>;
}

/**
 * Reads the headers of a model's files.
 * @param fileName what the caller named: a file of weights, an index, or something else of the folder
 * @throws FormatError for files that contradict each other; UnsupportedError if there are none
 */
export async function readShards(files: FileShelf, fileName: string | undefined): Promise<Shards> {
  const whole = fileName !== undefined && /\.safetensors$/i.test(fileName) && !SHARD.test(fileName);
  const index = whole ? undefined : await readIndex(files, fileName);
  const names = index ? [...new Set(index.values())] : [whole ? (fileName as string) : WHOLE];
  const tensors = new Map<string, TensorInfo>();
  const ends: [ByteSource, number][] = [];
  for (const name of names) {
    const source = await files.open(name);
    if (!source) throw missing(files, name, index !== undefined);
    const read = await readSafetensors(source);
    ends.push([source, read.end]);
    for (const [tensor, info] of read.tensors) {
      checkPlace(source.name, tensor, tensors.get(tensor), index?.get(tensor) ?? name, name);
      tensors.set(tensor, info);
    }
  }
  for (const [tensor, name] of index ?? []) {
    if (tensors.has(tensor)) continue;
    throw new FormatError(
      `Cannot load ${name} of ${files.name}: Expected tensor ${quoted(tensor)}, as the index says, got none`,
    );
  }
  return {
    tensors,
    async checkEnd() {
      for (const [source, end] of ends) {
        if (await hasByte(source, end)) {
          throw new FormatError(
            `Cannot read ${source.name}: Expected ${end} bytes, as its header says, got more`,
          );
        }
      }
    },
  };
}

// A tensor may be in one file only: the one that the index names.
function checkPlace(
  source: string,
  tensor: string,
  other: TensorInfo | undefined,
  stated: string,
  name: string,
): void {
  const fail = (message: string) => {
    throw new FormatError(`Cannot load ${source}: Expected ${message}`);
  };
  if (other) fail(`each tensor in one file, got ${quoted(tensor)}, which ${other.source.name} has too`);
  if (stated !== name) fail(`tensor ${quoted(tensor)} in ${stated}, as the index says, got it here`);
}

/** File by tensor, as the index says; undefined if there is no index. */
async function readIndex(
  files: FileShelf,
  fileName: string | undefined,
): Promise<ReadonlyMap<string, string> | undefined> {
  const stem = fileName === undefined ? undefined : SHARD.exec(fileName)?.[1];
  const named =
    fileName !== undefined && INDEX.test(fileName) ? fileName : `${stem ?? "model"}.safetensors.index.json`;
  const bytes = await readSmall(files, named, MAX_INDEX_BYTES);
  if (!bytes) {
    if (stem === undefined) return undefined;
    throw new FormatError(
      `Cannot load ${fileName}: Expected ${named} in ${files.name}, which says what is in each file, got none`,
    );
  }
  const map = parseJson(bytes.bytes, bytes.name).get("weight_map");
  const entries = Object.keys(map.object()).map((tensor) => [tensor, map.get(tensor).string()] as const);
  const shards = new Set(entries.map(([, name]) => name));
  if (shards.size < 1 || shards.size > MAX_SHARDS)
    throw map.expected(`1 to ${MAX_SHARDS} files`, String(shards.size));
  return new Map(entries);
}

/** A small file of a model; undefined if there is none. @throws UsageError if it is larger than `most` */
export async function readSmall(
  files: FileShelf,
  name: string,
  most: number,
): Promise<{ readonly bytes: Uint8Array; readonly name: string } | undefined> {
  const source = await files.set.open(name);
  if (!source) return undefined;
  try {
    const bytes = await readAll(source, most);
    await source.finish?.();
    return { bytes, name: files.shown(name, source) };
  } finally {
    await source.close();
  }
}

function missing(files: FileShelf, name: string, isShard: boolean): FormatError | UnsupportedError {
  if (isShard) {
    return new FormatError(
      `Cannot load ${files.name}: Expected ${name}, as the index says, got no such file`,
    );
  }
  return new UnsupportedError(
    `Cannot load ${files.name}: Expected ${WHOLE} or ${WHOLE}.index.json in it, got neither; ` +
      "weights of other formats (pytorch_model.bin) must be converted",
  );
}
