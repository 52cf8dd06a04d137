// Opens whatever a caller may pass as a model: one file, several that belong together, a folder of them.
import type { ByteSource } from "../source/byte_source.ts";
import { type FileSet, type FileSetLike, gatheredSet, siblings, sourcesByName } from "../source/file_set.ts";
import { FileShelf } from "../source/file_shelf.ts";
import type { SourceHost } from "../source/host.ts";
import { type OpenOptions, openSource } from "../source/open.ts";
import type { SourceLike } from "../source/options.ts";
import { isFolder } from "../source/read_errors.ts";
import { UsageError } from "../util/errors.ts";
import { kindOf, openGguf } from "./detect.ts";
import { PART_NAME, partCount, readParts } from "./gguf/parts.ts";
import type { ModelFile } from "./model_file.ts";
import { otherKinds } from "./other_kinds.ts";

/** How a model is opened. */
export interface OpenModelOptions extends OpenOptions {
  /** Most bytes of memory that it may take: decides which file of a repository is chosen. */
  readonly maxBytes?: number | undefined;
}

/** What a caller may pass as a model: a file, one of several that belong together, a folder, or files by their names. */
export type ModelSource = SourceLike | Exclude<FileSetLike, string | URL>;

/** A model whose files are open, or are opened when they are read. */
export interface OpenedModel {
  /** Bytes of the file; undefined if there are several, or if it is not known. */
  readonly size: number | undefined;
  /**
   * Reads headers. Called once.
   * @throws FormatError, UnsupportedError, SourceError
   */
  read(): Promise<ModelFile>;
  /** Called once, after all that is needed was read: see {@link ByteSource.finish}. */
  finish(): Promise<void>;
  /** Releases handles. Safe to call twice. */
  close(): Promise<void>;
}

// Names that mean a folder or a repository by how they are written.
const FOLDER_NAME = /^(https?:\/\/[^?#]*\/([?#].*)?|hf:(\/\/)?[^/]+\/[^/]+|hf:.*\/)$/is;

/**
 * Opens a model: a file (GGUF, llama2.c), a part of a model in several GGUF files, whose others lie beside it, a folder
 * of safetensors (a path, a URL that ends with "/") or a file of one, a repository (hf:owner/repo, hf:owner/repo:Q4_K_M), or
 * files by their names.
 * @throws SourceError if the bytes cannot be had; UsageError for anything else, and for a SHA-256 of several files; what
 *   resolveModel throws
 */
export async function openModel(
  source: ModelSource,
  host: SourceHost,
  options: OpenModelOptions = {},
): Promise<OpenedModel> {
  const { signal, cache, http, fromCache } = options;
  // One report of all files replaces those of each.
  const shared = { signal, cache, http, fromCache };
  const sources = sourcesByName(source);
  if (sources?.size && [...sources.keys()].every((name) => String(name).includes("."))) {
    const name = ggufAmong([...sources.keys()]);
    return inFiles(gatheredSet(sources, host, shared), options, (files) =>
      name === undefined ? otherKinds("files").readFolder(files, undefined) : readNamed(name, files),
    );
  }
  const single = source as SourceLike;
  const place = single instanceof URL ? single.href : single;
  const folder = (name: string) =>
    inFiles(otherKinds(name).files(name, host, shared), options, (files) =>
      otherKinds(name).readFolder(files, undefined),
    );
  if (typeof place === "string" && FOLDER_NAME.test(place)) {
    const name = await otherKinds(place).resolve(place, host, { ...shared, maxBytes: options.maxBytes });
    return name.endsWith("/") ? folder(name) : openModel(name, host, options);
  }
  let opened: ByteSource;
  try {
    opened = await openSource(single, host, options);
  } catch (error) {
    if (isFolder(error)) return folder(place as string);
    throw error;
  }
  let held: Pick<ByteSource, "finish" | "close"> = opened;
  return {
    size: opened.size,
    async read() {
      const { name } = opened;
      const isInFolder = (await kindOf(opened)) === "folder";
      const file = isInFolder ? undefined : await readFile(opened);
      const count = file ? partCount(file) : 0;
      if (file && count < 2) return file;
      const beside = siblings(single, host, shared);
      if (!beside) return file ?? refuseAlone(name);
      // It is opened again with the others: a SHA-256 of it says nothing of them.
      await opened.close();
      const { files, fileName } = beside;
      const model = inFiles(files, options, (shelf) =>
        file ? readParts(fileName, count, shelf) : otherKinds(name).readFolder(shelf, fileName),
      );
      held = model;
      return model.read();
    },
    finish: async () => held.finish?.(),
    close: () => held.close(),
  };
}

/** A model in several files. */
function inFiles(
  set: FileSet,
  { sha256, onBytes }: OpenOptions,
  read: (files: FileShelf) => Promise<ModelFile>,
): OpenedModel {
  if (sha256 !== undefined) {
    throw new UsageError(`Cannot load ${set.name} with sha256: Expected a model in one file, got several`);
  }
  const files = new FileShelf(set, onBytes);
  return {
    size: undefined,
    async read() {
      const file = await read(files);
      files.begin();
      return file;
    },
    finish: () => files.finish(),
    close: () => files.close(),
  };
}

async function readFile(source: ByteSource): Promise<ModelFile> {
  return (await kindOf(source)) === "gguf" ? openGguf(source) : otherKinds(source.name).readFile(source);
}

async function readNamed(name: string, files: FileShelf): Promise<ModelFile> {
  const file = await readFile((await files.open(name)) as ByteSource);
  const count = partCount(file);
  return count < 2 ? file : readParts(name, count, files);
}

/** The GGUF file among names, or one of the parts; undefined if there is none. */
function ggufAmong(names: readonly unknown[]): string | undefined {
  const found = names.map(String).filter((name) => /\.gguf$/i.test(name));
  const models = new Set(found.map((name) => PART_NAME.exec(name)?.[1] ?? name));
  if (models.size > 1) {
    throw new UsageError(`Cannot load files: Expected one model among them, got ${[...models].join(", ")}`);
  }
  return found[0];
}

function refuseAlone(name: string): never {
  throw new UsageError(
    `Cannot load ${name}: Expected config.json and a tokenizer beside it, got one file alone; pass the path or URL of the ` +
      'folder, or files by name: { "config.json": ..., "model.safetensors": ..., "tokenizer.json": ... }',
  );
}
