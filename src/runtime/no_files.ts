// Refusals of runtimes without files.
import type { ByteSource } from "../source/byte_source.ts";
import { SourceError } from "../util/errors.ts";

/** `openFile` of a runtime without files. @throws SourceError always. */
export async function refuseFile(runtime: string, path: string): Promise<ByteSource> {
  throw new SourceError(
    `Cannot open ${path}: there are no files in ${runtime}, expected an http(s) URL, a Blob, bytes or a stream`,
  );
}

/** `openCache` of a runtime without directories. @throws SourceError always. */
export async function refuseDirectory(runtime: string, directory: string): Promise<never> {
  throw new SourceError(`Cannot keep files in ${directory}: there are no directories in ${runtime}`);
}
