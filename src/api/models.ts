// The cache of downloads as models: what is in it, and how to remove it.
import { detectRuntime } from "../runtime/detect.ts";
import { type NotedFile, notedFiles, plainAddress } from "../source/cache_notes.ts";
import { cachePrefix } from "../source/cached_download.ts";
import type { FileCache, SourceHost } from "../source/host.ts";
import { modelsByTag } from "../source/hub/choose_model.ts";
import { partNames, setName } from "../source/hub/gguf_models.ts";
import { encodedPath, hubPrefix, isHubName, parseHubName } from "../source/hub/hub_name.ts";
import { quoted } from "../util/bytes.ts";
import { describeValue } from "../util/describe.ts";
import { SourceError, UsageError } from "../util/errors.ts";
import { nearestName } from "../util/nearest.ts";
import { checkOptions, type OptionNames } from "../util/options.ts";

/** Which cache is meant. */
export interface CacheOptions {
  /** A directory. Default: the runtime's own place. */
  cache?: string | undefined;
}

/** A model in the cache: one file, all parts of a split one, or a folder. */
export interface CachedModel {
  /** What `Llama.load` takes: "hf:owner/repo/file.gguf", a URL. Without a note of its origin, the name of the file. */
  readonly name: string;
  /** Branch, tag or commit, of a model of the hub. */
  readonly revision: string | undefined;
  /** Bytes that are stored. */
  readonly bytes: number;
  /** Bytes of the whole model, as far as its files have begun to come. */
  readonly totalBytes: number;
  /** Whether all of it has come. */
  readonly isWhole: boolean;
  /** When it was last written; undefined if the place does not say. */
  readonly modified: Date | undefined;
  /** Where its files are; empty if the place has no paths. */
  readonly paths: readonly string[];
}

/** What {@link remove} has removed. */
export interface RemovedModel {
  readonly name: string;
  readonly bytes: number;
}

const cacheNames: OptionNames<CacheOptions> = { cache: true };

/**
 * The models in the cache of downloads, by name.
 * @throws SourceError if there is no cache, or it cannot be read
 */
export async function list(options: CacheOptions = {}): Promise<readonly CachedModel[]> {
  checkOptions("list models", options, cacheNames);
  const groups = await groupsOf(await openCacheOf("list models", options.cache, detectRuntime(), true));
  return groups.map(modelOf);
}

/**
 * Removes a model from the cache of downloads, unfinished ones too.
 * @param name as list() or `Llama.load` has it: a file, `hf:owner/repo:Q4_K_M`, `hf:owner/repo`, a URL
 * @throws UsageError if the cache has no such model (with the nearest name) or more than one; SourceError if its files
 *   cannot be removed
 */
export async function remove(name: string | URL, options: CacheOptions = {}): Promise<RemovedModel> {
  checkOptions("remove a model", options, cacheNames);
  if (typeof name !== "string" && !(name instanceof URL)) {
    throw new UsageError(`Cannot remove a model: Expected its name, got ${describeValue(name)}`);
  }
  const cache = await openCacheOf(`remove ${quoted(String(name))}`, options.cache);
  const group = findGroup(String(name), await groupsOf(cache));
  for (const { entry } of group.files) await cache.remove(entry.name);
  const removed = new Set(group.files.map(({ entry }) => entry.name));
  const left = (await cache.list()).find((entry) => removed.has(entry.name));
  if (left) throw new SourceError(`Cannot remove ${group.name}: Its file ${left.path ?? left.name} stays`);
  return { name: group.name, bytes: modelOf(group).bytes };
}

/** Opens a cache for what cannot be done without one, or `toRead` only. @throws SourceError */
export async function openCacheOf(
  action: string,
  directory: string | undefined,
  host: SourceHost = detectRuntime(),
  toRead = false,
): Promise<FileCache> {
  if (directory !== undefined && (typeof directory !== "string" || directory === "")) {
    throw new UsageError(
      `Cannot ${action}: Expected cache to be a directory, got ${describeValue(directory)}`,
    );
  }
  const cache = await host.openCache(directory, toRead);
  if (cache) return cache;
  throw new SourceError(
    `Cannot ${action}: Expected a cache of downloads, but there is none, or it may not be read and written`,
  );
}

/** Files that are one model. */
interface Group {
  readonly name: string;
  readonly files: readonly NotedFile[];
}

async function groupsOf(cache: FileCache): Promise<readonly Group[]> {
  const files = await notedFiles(cache);
  const folderOf = (name: string) => name.slice(0, name.lastIndexOf("/") + 1);
  const has = (end: RegExp) =>
    new Set(files.filter(({ note }) => end.test(note.name)).map(({ note }) => folderOf(note.name)));
  const [configs, shards] = [has(/\/config\.json$/), has(/\.safetensors$/)];
  const groups = new Map<string, NotedFile[]>();
  for (const file of files) {
    const { name } = file.note;
    const folder = folderOf(name);
    const inFolder = configs.has(folder) && shards.has(folder) && !/\.(gguf|bin)$/i.test(name);
    const key = inFolder ? folder : setName(name);
    groups.set(key, [...(groups.get(key) ?? []), file]);
  }
  const named = [...groups].map(([key, files]) => ({ name: groupName(key, files), files }));
  return named.sort((a, b) => (a.name < b.name ? -1 : 1));
}

function groupName(key: string, files: readonly NotedFile[]): string {
  // The root of a repository needs no "/" at its end.
  if (key.endsWith("/")) return key.replace(/^(hf:[^/]+\/[^/]+)\/$/, "$1");
  return files.map(({ note }) => note.name).sort()[0] as string;
}

function modelOf({ name, files }: Group): CachedModel {
  const whole = new Set(files.filter(({ entry }) => entry.isWhole).map(({ note }) => note.name));
  const times = files.map(({ entry }) => entry.time).filter((time) => time !== undefined);
  const sum = (sizes: readonly number[]) => sizes.reduce((all, size) => all + size, 0);
  return {
    name,
    revision: isHubName(name) ? parseHubName(name)?.revision : undefined,
    bytes: sum(files.map(({ entry }) => entry.size)),
    totalBytes: sum(files.map(({ note }) => note.size)),
    isWhole: files.every(({ note }) => partNames(note.name).every((part) => whole.has(part))),
    modified: times.length > 0 ? new Date(Math.max(...times)) : undefined,
    paths: files.map(({ entry }) => entry.path).filter((path) => path !== undefined),
  };
}

function findGroup(name: string, groups: readonly Group[]): Group {
  const found = isHubName(name) ? hubGroups(name, groups) : plainGroups(name, groups);
  const [group] = found;
  const names = (some: readonly Group[]) => some.map((one) => one.name).join(", ");
  if (!group) {
    const near = nearestName(
      name,
      groups.map((one) => one.name),
    );
    const some = groups.length > 0 ? `there are ${names(groups.slice(0, 12))}` : "the cache is empty";
    throw new UsageError(
      `Cannot remove ${quoted(name)}: Expected a model of the cache; ${near === undefined ? some : `did you mean ${near}?`}`,
    );
  }
  if (found.length > 1)
    throw new UsageError(`Cannot remove ${quoted(name)}: Expected one model, got ${names(found)}`);
  return group;
}

function plainGroups(name: string, groups: readonly Group[]): readonly Group[] {
  const prefix = URL.canParse(name) ? cachePrefix(name) : undefined;
  const same = groups.filter(({ files }) =>
    files.some(({ entry }) => prefix && entry.name.startsWith(prefix)),
  );
  if (same.length > 0) return same;
  const plain = /^https?:/i.test(name) && URL.canParse(name) ? plainAddress(name) : name;
  return groups.filter((group) => has(group, plain));
}

function hubGroups(text: string, groups: readonly Group[]): readonly Group[] {
  const name = parseHubName(text);
  if (!name) return [];
  const prefix = hubPrefix(name);
  const own = groups.filter(({ files }) => files.some(({ note }) => note.name.startsWith(prefix)));
  if (name.tag !== undefined) {
    const found = modelsByTag(
      own.flatMap(({ files }) => files.map(({ note }) => note)),
      name.tag,
    );
    return own.filter((group) => found.some((model) => has(group, model.name)));
  }
  const path = encodedPath(name.parts.join("/"));
  const exact = own.filter((group) => has(group, prefix + path) || `${group.name}/` === `${prefix}${path}`);
  const inFolder = own.filter((group) => group.name === `${prefix}${path}/`);
  if (exact.length > 0 || inFolder.length > 0) return [...exact, ...inFolder];
  return path === "" ? own : [];
}

function has({ name, files }: Group, wanted: string): boolean {
  return name === wanted || files.some(({ note }) => note.name === wanted);
}
