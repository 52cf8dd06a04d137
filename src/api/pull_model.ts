// Downloads models into the cache, with all files that belong to them.
import { detectRuntime } from "../runtime/detect.ts";
import { cachePrefix } from "../source/cached_download.ts";
import type { FileCache, SourceHost } from "../source/host.ts";
import { partNames } from "../source/hub/gguf_models.ts";
import { encodedPath, hubPrefix, hubUrl, isHubName, parseHubName } from "../source/hub/hub_name.ts";
import { companions, INDEX, type ResolvedModel, resolveModel } from "../source/hub/resolve_model.ts";
import { isInside } from "../source/inside.ts";
import { openSource, readAll, urlOf } from "../source/open.ts";
import { checkSourceOptions, type SourceOptions, sourceNames } from "../source/options.ts";
import { isMissingFile } from "../source/read_errors.ts";
import { decodeUtf8, quoted } from "../util/bytes.ts";
import { FormatError, SourceError, UsageError } from "../util/errors.ts";
import { checkFunction, checkOptions, checkSignal, type OptionNames, wrongOption } from "../util/options.ts";
import type { LoadProgress } from "./load_options.ts";
import { type ProgressReport, progressReport } from "./load_progress.ts";
import { openCacheOf } from "./models.ts";

/** Options of {@link pull}. */
export interface PullOptions extends Omit<SourceOptions, "cache"> {
  /** A directory for downloads. Default: the runtime's own place. */
  cache?: string | undefined;
  /** Most bytes of memory that a model may take which is chosen among those of a repository. Default: the machine's. */
  maxBytes?: number | undefined;
  /** Called once if a file is chosen among those of a repository. */
  onChoice?: ((chosen: { readonly name: string; readonly size: number }) => void) | undefined;
  /** Called as bytes arrive, of all files together, and at the end. */
  onProgress?: ((progress: LoadProgress) => void) | undefined;
  /** Gives the download up; the next one resumes it. */
  signal?: AbortSignal | undefined;
}

/** A model that lies in the cache. */
export interface PulledModel {
  /** What `Llama.load` takes. */
  readonly name: string;
  /** Bytes of all its files. */
  readonly bytes: number;
  /** How many files it has. */
  readonly files: number;
}

const pullNames: OptionNames<PullOptions> = {
  ...sourceNames,
  maxBytes: true,
  onChoice: true,
  onProgress: true,
  signal: true,
};

/**
 * Downloads a model into the cache: a file of the hub or of a URL, all parts of a split one, the file or the folder that
 * the name of a repository stands for, or the folder of a safetensors model by a URL that ends with "/". What is there
 * already and has not changed does not come again, and a download that broke is resumed.
 * @throws UsageError for anything else, and as resolveModel; SourceError if it cannot be had or stored
 */
export async function pull(source: string | URL, options: PullOptions = {}): Promise<PulledModel> {
  checkPullOptions(options);
  const text = String(source);
  if (!isHubName(text) && !/^https?:$/.test(urlOf(text)?.protocol ?? "")) {
    throw new UsageError(
      `Cannot pull ${quoted(text)}: Expected hf:owner/repo, a file of it, or an http(s) URL`,
    );
  }
  const { signal, maxBytes, http, cache, onChoice } = options;
  const host = detectRuntime();
  const files = await openCacheOf(`pull ${quoted(text)}`, cache, host);
  const chosen = await resolveModel(text, host, { signal, http, cache, maxBytes });
  if (chosen) onChoice?.(chosen);
  const total = chosen?.files.reduce((sum, { size }) => sum + size, 0);
  const work = new Pull(files, host, options, total);
  const name = chosen?.name ?? text;
  const isFolder = !chosen && /^[^?#]*\/([?#]|$)/.test(text);
  const addresses = chosen ? listedAddresses(text, chosen) : isFolder ? [] : partAddresses(text);
  if (options.sha256 !== undefined && addresses.length !== 1) {
    throw new UsageError(
      `Cannot pull ${quoted(text)} with sha256: Expected a model in one file, got several`,
    );
  }
  if (isFolder) await work.folder(text);
  for (const address of addresses) await work.file(address);
  return work.end(name);
}

function checkPullOptions(options: PullOptions): void {
  checkOptions("pull", options, pullNames);
  checkSourceOptions(options);
  checkFunction("pull", "onProgress", options.onProgress);
  checkFunction("pull", "onChoice", options.onChoice);
  checkSignal("pull", options.signal);
  const { maxBytes } = options;
  if (maxBytes !== undefined && !(Number.isSafeInteger(maxBytes) && maxBytes > 0)) {
    throw wrongOption("pull", "maxBytes", "a positive integer", maxBytes);
  }
}

/** The addresses of all parts, if a file is one of several. */
function partAddresses(text: string): readonly string[] {
  const [, path = text, end = ""] = /^([^?#]*)(.*)$/s.exec(text) ?? [];
  return partNames(path).map((name) => name + end);
}

function listedAddresses(text: string, { files }: ResolvedModel): readonly string[] {
  const name = parseHubName(text);
  return files.map((file) => (name ? hubPrefix(name) : "") + encodedPath(file.name));
}

/** The files of one model, one after the other. */
class Pull {
  readonly #cache: FileCache;
  readonly #host: SourceHost;
  readonly #options: PullOptions;
  readonly #report: ProgressReport | undefined;
  /** Bytes of the files that are there. */
  #bytes = 0;
  #files = 0;
  readonly #total: number | undefined;

  /** @param total bytes of all files, if a list says them */
  constructor(cache: FileCache, host: SourceHost, options: PullOptions, total: number | undefined) {
    this.#cache = cache;
    // A cache that was opened already, and without which nothing is to be fetched.
    this.#host = Object.assign(Object.create(host), { openCache: async () => cache });
    this.#options = options;
    this.#total = total;
    this.#report = options.onProgress && progressReport(options.onProgress);
  }

  /** The files of a folder, whose names its own table says. */
  async folder(address: string): Promise<void> {
    const [, base = "", end = ""] = /^([^?#]*)(.*)$/s.exec(address) ?? [];
    const at = (name: string) => base + encodedPath(name) + end;
    await this.file(at("config.json"));
    let shards: readonly string[] = ["model.safetensors"];
    for (const name of companions.slice(1)) {
      const bytes = await this.file(at(name), name === INDEX).catch((error) => {
        if (!isMissingFile(error)) throw error;
      });
      if (bytes && name === INDEX) shards = shardNames(bytes, at(name));
    }
    for (const name of shards) await this.file(at(name));
  }

  /**
   * One file, whole.
   * @returns its bytes if they are asked for
   */
  async file(address: string, isRead = false): Promise<Uint8Array | undefined> {
    const { signal, http, sha256 } = this.#options;
    const before = this.#bytes;
    const onBytes = (received: number, total: number | undefined) =>
      this.#report?.onBytes(before + received, this.#total ?? (total && before + total));
    // A cache that is named: if it cannot be written, that is an error.
    const open = { signal, http, sha256, cache: "named", onBytes };
    const opened = await openSource(address, this.#host, open);
    try {
      const bytes = isRead ? await readAll(opened, MAX_INDEX_BYTES) : undefined;
      await opened.finish?.();
      await this.#checkKept(address);
      this.#bytes += opened.size ?? 0;
      this.#files++;
      return bytes;
    } finally {
      await opened.close();
    }
  }

  end(name: string): PulledModel {
    this.#report?.onEnd();
    return { name, bytes: this.#bytes, files: this.#files };
  }

  /** @throws SourceError if the cache does not have the file all the same */
  async #checkKept(address: string): Promise<void> {
    const url = isHubName(address) ? hubUrl(address, this.#host).href : new URL(address).href;
    const [kept] = await this.#cache.find(cachePrefix(url));
    if (kept !== undefined) return;
    throw new SourceError(
      `Cannot keep ${address}: Expected a server that says the size and version (ETag, Last-Modified) of the file, ` +
        "and a disk that takes it; pass its SHA-256 if the server names no version",
    );
  }
}

const MAX_INDEX_BYTES = 32 << 20;

/** The files that the table of a safetensors model names. */
function shardNames(bytes: Uint8Array, name: string): readonly string[] {
  let map: unknown;
  try {
    map = JSON.parse(decodeUtf8(bytes)).weight_map;
  } catch {}
  const names = new Set(typeof map === "object" && map !== null ? Object.values(map) : []);
  if (names.size === 0 || ![...names].every(isInside)) {
    throw new FormatError(`Cannot read ${name}: Expected weight_map with names of files in the same folder`);
  }
  return [...names] as string[];
}
