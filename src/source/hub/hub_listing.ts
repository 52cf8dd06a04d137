// What a repository of the hub has: names and sizes of its files.
import { decodeUtf8 } from "../../util/bytes.ts";
import { FormatError } from "../../util/errors.ts";
import type { SourceHost } from "../host.ts";
import { isInside } from "../inside.ts";
import { type OpenOptions, openRemote, readAll } from "../open.ts";
import { type HubName, hubEndpoint } from "./hub_name.ts";

/** A file of a repository. */
export interface ListedFile {
  /** With its folders: "onnx/model.bin". */
  readonly name: string;
  readonly size: number;
}

/** More than this is no repository of a model. */
const MAX_BYTES = 16 << 20;
const MAX_PAGES = 100;
const MAX_FILES = 20_000;

/**
 * The files of a repository. Names that might lead out of it are left out.
 * Source: the hub's API, GET /api/models/{repository}/tree/{revision}, whose pages name the next one in a header Link.
 * @throws SourceError as openRemote; FormatError for what is no listing; UsageError for an endless one
 */
export async function listRepository(
  { repository, revision }: HubName,
  host: SourceHost,
  options: OpenOptions,
): Promise<readonly ListedFile[]> {
  const url = new URL(
    `${hubEndpoint(host)}/api/models/${repository}/tree/${encodeURIComponent(revision)}?recursive=true`,
  );
  const files = new Map<string, ListedFile>();
  let left = MAX_BYTES;
  for (let page = 0; page < MAX_PAGES && files.size <= MAX_FILES; page++) {
    let next: string | undefined;
    const onHeaders = (headers: Headers) => {
      next = nextPage(headers.get("link"), url);
    };
    const { signal, http } = options;
    const source = await openRemote(url, false, host, { signal, http, onHeaders });
    try {
      const bytes = await readAll(source, left);
      left -= bytes.length;
      for (const file of listedFiles(bytes, source.name)) files.set(file.name, file);
    } finally {
      await source.close();
    }
    if (next === undefined) return [...files.values()];
    url.search = next;
  }
  throw new FormatError(
    `Cannot list hf:${repository}: Expected at most ${MAX_FILES} files on ${MAX_PAGES} pages, got more`,
  );
}

// Only the query counts: no header leads to another server, and a mirror may name the hub that it mirrors.
function nextPage(link: string | null, url: URL): string | undefined {
  const [, target] = /<([^<>]*)>[^<>]*;\s*rel="?next\b/i.exec(link ?? "") ?? [];
  return target !== undefined && URL.canParse(target, url) ? new URL(target, url).search : undefined;
}

function listedFiles(bytes: Uint8Array, name: string): ListedFile[] {
  const entries = parseJson(bytes);
  if (!Array.isArray(entries)) {
    throw new FormatError(`Cannot read ${name}: Expected a list of files in JSON, got something else`);
  }
  const files: ListedFile[] = [];
  for (const entry of entries) {
    const { type, path, size } = entry ?? {};
    const isSize = Number.isSafeInteger(size) && size >= 0;
    if (type === "file" && isSize && isInside(path)) files.push({ name: path, size });
  }
  return files;
}

function parseJson(bytes: Uint8Array): unknown {
  try {
    return JSON.parse(decodeUtf8(bytes));
  } catch {
    return undefined;
  }
}
