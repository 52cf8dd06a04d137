// The readers of models that are no GGUF file: llama2.c, folders of safetensors, repositories of the hub. A bundle may lack them.
// Who imports `Tokenizer` from "cria" has them, and so has `createWorker`.
import type { ByteSource } from "../source/byte_source.ts";
import type { FileSet, FileSetLike, FileSetOptions } from "../source/file_set.ts";
import type { FileShelf } from "../source/file_shelf.ts";
import type { SourceHost } from "../source/host.ts";
import type { ResolveOptions } from "../source/hub/resolve_model.ts";
import { UnsupportedError } from "../util/errors.ts";
import type { ModelFile } from "./model_file.ts";

/** What reads models that are no GGUF file. */
export interface OtherKinds {
  /** Reads a file that is no GGUF file. @throws FormatError, UnsupportedError, SourceError */
  readFile(source: ByteSource): Promise<ModelFile>;
  /**
   * The name of the file or folder that a repository of the hub stands for; a folder's ends with "/". Any other name is
   * given back. @throws what resolveModel throws
   */
  resolve(name: string, host: SourceHost, options: ResolveOptions): Promise<string>;
  /** The files of a folder. */
  files(from: FileSetLike, host: SourceHost, options: FileSetOptions): FileSet;
  /**
   * Reads config.json, headers and the tokenizer of a folder.
   * @param fileName the file that the caller named, if it named one
   * @throws FormatError, UnsupportedError, SourceError
   */
  readFolder(files: FileShelf, fileName: string | undefined): Promise<ModelFile>;
}

let provided: OtherKinds | undefined;

/** Makes the readers known to every function that loads models. */
export function provideOtherKinds(kinds: OtherKinds): void {
  provided = kinds;
}

/**
 * The readers, for a model called `name`.
 * @throws UnsupportedError if this bundle lacks them
 */
export function otherKinds(name: string): OtherKinds {
  if (provided) return provided;
  throw new UnsupportedError(
    `Cannot load ${name}: This bundle reads GGUF files only, because nothing in it uses Tokenizer; ` +
      'import { Tokenizer } from "cria" and use it',
  );
}
