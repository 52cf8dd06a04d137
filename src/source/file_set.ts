// Files that belong together: a folder, a repository, or what a caller has gathered.
import { describeValue } from "../util/describe.ts";
import { FormatError, UsageError } from "../util/errors.ts";
import type { ByteSource } from "./byte_source.ts";
import type { SourceHost } from "./host.ts";
import { urlName } from "./http/http_request.ts";
import { decodedPart, hubFolderUrl, hubUrl, isHubName } from "./hub/hub_name.ts";
import { isInside } from "./inside.ts";
import { filePath, isRequest, type OpenOptions, openPath, openRemote, openSource, urlOf } from "./open.ts";
import type { SourceLike } from "./options.ts";
import { isMissingFile } from "./read_errors.ts";

/** Files under names such as "config.json" or "onnx/model.bin". */
export interface FileSet {
  /** What error messages call it: a path, a URL, "files". */
  readonly name: string;
  /** Whether a file can be opened once only: sources that a caller has gathered may be streams. */
  readonly once?: boolean;
  /**
   * Opens a file, which the caller closes; undefined if the set has none of this name.
   * @throws FormatError for a name that might lead out of the set; what openSource throws for a file that is there
   */
  open(name: string, options?: FileOptions): Promise<ByteSource | undefined>;
}

/** Options for one file of a set. */
export type FileOptions = Pick<OpenOptions, "signal" | "onBytes" | "sha256">;

/** Options for all files of a set. */
export type FileSetOptions = Pick<OpenOptions, "signal" | "cache" | "http" | "fromCache">;

/**
 * What a caller may pass as a set of files: the path of a folder, the http(s) or file: URL of one,
 * `hf:owner/repo[@revision][/folder]`, or sources by name.
 */
export type FileSetLike =
  | string
  | URL
  | ReadonlyMap<string, SourceLike>
  | { readonly [name: string]: SourceLike };

/** A file's own name, and the set of files beside it. */
export interface Siblings {
  readonly files: FileSet;
  readonly fileName: string;
}

const kinds = "the path or URL of a folder, hf:owner/repo, or sources by name";

/**
 * A set of files. Nothing is opened yet. Headers of `http` go to the origin of the set, and with each source of a
 * gathered set.
 * @throws UsageError for anything else than FileSetLike
 */
export function openFileSet(from: FileSetLike, host: SourceHost, options: FileSetOptions = {}): FileSet {
  if (typeof from === "string") return setOfText(from, host, options);
  if (from instanceof URL) return setOfUrl(from, host, options);
  const sources = sourcesByName(from);
  if (!sources) throw new UsageError(`Cannot open files: Expected ${kinds}, got ${describeValue(from)}`);
  return gatheredSet(sources, host, options);
}

/** Sources that a caller has gathered, under their names. */
export function gatheredSet(
  sources: ReadonlyMap<unknown, SourceLike>,
  host: SourceHost,
  options: FileSetOptions,
): FileSet {
  const set = fileSet("files", async (name, file) => {
    const source = sources.get(name);
    return source === undefined ? undefined : openSource(source, host, { ...options, ...file });
  });
  return { ...set, once: true };
}

/** What a caller has gathered: a Map, or a plain object's entries; undefined for anything else. */
export function sourcesByName(given: unknown): ReadonlyMap<unknown, SourceLike> | undefined {
  if (given instanceof Map) return given;
  if (Object.prototype.toString.call(given) !== "[object Object]") return undefined;
  // A source of the caller's own is one file.
  const { read, next } = given as Readonly<Record<string, unknown>>;
  const isSource =
    typeof read === "function" || typeof next === "function" || Symbol.asyncIterator in Object(given);
  return isSource ? undefined : new Map(Object.entries(given as { readonly [name: string]: SourceLike }));
}

/**
 * The set of files beside a single one, if it has a place: a path, a URL, a file of the hub, a Request. Undefined for
 * bytes, Blobs, streams, responses and sources of the caller's own. Headers go to the same origin only, since all these
 * files are there.
 * @throws UsageError for an invalid hub name; SourceError for an invalid URL
 */
export function siblings(
  source: SourceLike | undefined,
  host: SourceHost,
  options: FileSetOptions = {},
): Siblings | undefined {
  const place = isRequest(source) ? new URL(source.url) : source;
  if (typeof place !== "string" && !(place instanceof URL)) return undefined;
  const text = String(place);
  if (isHubName(text))
    return besideUrl(hubUrl(text, host), (folder) => remoteSet(folder, true, host, options));
  const url = urlOf(text);
  if (!url) return besidePath(text, host, options);
  if (url.protocol === "file:") return besidePath(filePath(url), host, options);
  if (!/^https?:$/.test(url.protocol)) return undefined;
  const request = isRequest(source) ? source : undefined;
  return besideUrl(url, (folder) => remoteSet(folder, false, host, options, request));
}

function setOfText(text: string, host: SourceHost, options: FileSetOptions): FileSet {
  if (text === "") throw new UsageError(`Cannot open files: Expected ${kinds}, got an empty string`);
  if (isHubName(text)) return remoteSet(hubFolderUrl(text, host), true, host, options);
  const url = urlOf(text);
  return url
    ? setOfUrl(url, host, options)
    : localSet(/[/\\]$/.test(text) ? text : `${text}/`, host, options);
}

function setOfUrl(url: URL, host: SourceHost, options: FileSetOptions): FileSet {
  if (isHubName(url.href)) return remoteSet(hubFolderUrl(url.href, host), true, host, options);
  const folder = new URL(url);
  if (!folder.pathname.endsWith("/")) folder.pathname += "/";
  if (folder.protocol === "file:") return localSet(filePath(folder), host, options);
  if (/^https?:$/.test(folder.protocol)) return remoteSet(folder, false, host, options);
  throw new UsageError(`Cannot open ${urlName(url.href)}: Expected ${kinds}, got a ${url.protocol} URL`);
}

/** @param base what stands before the name of each file: "" or a path that ends with a separator */
function localSet(base: string, host: SourceHost, options: FileSetOptions): FileSet {
  return fileSet(base === "" ? "." : base, (name, file) =>
    openPath(base + name, host, { ...options, ...file }),
  );
}

/** @param request the caller's own, whose headers and mode the files are asked for with */
function remoteSet(
  folder: URL,
  cachedByDefault: boolean,
  host: SourceHost,
  options: FileSetOptions,
  request?: Request,
): FileSet {
  return fileSet(urlName(folder.href), (name, file) => {
    const url = new URL(folder);
    url.hash = "";
    url.pathname += name.split("/").map(encodeURIComponent).join("/");
    const asked = request ? new Request(url, request) : url;
    return openRemote(asked, cachedByDefault, host, { ...options, headersFor: folder.origin, ...file });
  });
}

function besidePath(path: string, host: SourceHost, options: FileSetOptions): Siblings | undefined {
  // A backslash is a part of names but on Windows, whose paths begin with a drive or have no "/" at all.
  const isWindows = /^([A-Za-z]:|\\\\)/.test(path) || !path.includes("/");
  const begin = 1 + Math.max(path.lastIndexOf("/"), isWindows ? path.lastIndexOf("\\") : -1);
  const fileName = path.slice(begin);
  return fileName === "" ? undefined : { files: localSet(path.slice(0, begin), host, options), fileName };
}

function besideUrl(url: URL, open: (folder: URL) => FileSet): Siblings | undefined {
  const begin = url.pathname.lastIndexOf("/") + 1;
  const fileName = decodedPart(url.pathname.slice(begin));
  if (fileName === undefined || fileName.includes("/") || !isInside(fileName)) return undefined;
  const folder = new URL(url);
  folder.pathname = url.pathname.slice(0, begin);
  return { files: open(folder), fileName };
}

/** A set whose files `open` opens, after their names were checked. */
function fileSet(
  set: string,
  open: (name: string, options: FileOptions) => Promise<ByteSource | undefined>,
): FileSet {
  return {
    name: set,
    async open(name, options = {}) {
      if (!isInside(name)) {
        throw new FormatError(
          `Cannot open a file of ${set}: Expected the name of a file in it, got ${describeValue(name)}`,
        );
      }
      // An option given as undefined must not hide the set's own.
      const given = Object.entries(options).filter(([, value]) => value !== undefined);
      try {
        return await open(name, Object.fromEntries(given));
      } catch (error) {
        if (isMissingFile(error)) return undefined;
        throw error;
      }
    },
  };
}
