// The reader of models that lie in a folder of safetensors. A bundle may lack it: a GGUF file has no use for it. Who imports
// `Tokenizer` from "cria" has it.
import type { FileSet, FileSetLike, FileSetOptions } from "../source/file_set.ts";
import type { FileShelf } from "../source/file_shelf.ts";
import type { SourceHost } from "../source/host.ts";
import { UnsupportedError } from "../util/errors.ts";
import type { ModelFile } from "./model_file.ts";

/** Opens folders, and reads what is in them. */
export interface FolderKind {
  files(from: FileSetLike, host: SourceHost, options: FileSetOptions): FileSet;
  /**
   * Reads config.json, headers and the tokenizer.
   * @param fileName the file that the caller named, if it named one
   * @throws FormatError, UnsupportedError, SourceError
   */
  read(files: FileShelf, fileName: string | undefined): Promise<ModelFile>;
}

let provided: FolderKind | undefined;

/** Makes the kind known to every function that loads models. */
export function provideFolderKind(kind: FolderKind): void {
  provided = kind;
}

/**
 * The kind, for a model called `name`.
 * @throws UnsupportedError if this bundle lacks it
 */
export function folderKind(name: string): FolderKind {
  if (provided) return provided;
  throw new UnsupportedError(
    `Cannot load ${name}: This bundle has no reader of folders and safetensors, because nothing in it uses Tokenizer; ` +
      'import { Tokenizer } from "cria" and use it, or load a GGUF file',
  );
}
