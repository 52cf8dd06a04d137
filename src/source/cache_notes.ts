// What stands beside a cached file: where it came from, so that it can be listed by name.
import type { CacheEntry, FileCache } from "./host.ts";

/** Where a cached file came from. */
export interface CacheNote {
  /** What lists call it: "hf:owner/repo/file", or a URL without its password and query. */
  readonly name: string;
  /** What its server calls the version. */
  readonly version: string;
  /** Bytes of the whole file. */
  readonly size: number;
}

/** A cached file, and where it came from; without a note, its own name and what is stored. */
export interface NotedFile {
  readonly entry: CacheEntry;
  readonly note: CacheNote;
}

/** Longest text that is taken for a note. */
const MAX_CHARS = 8192;
/** Two fingerprints and the end of a file's name: what cacheName() makes. A directory may hold other files too. */
const CACHE_NAME = /^[0-9a-f]{16}-[0-9a-f]{16}-(.*)$/;

/** A note as text. */
export function noteText(note: CacheNote): string {
  return JSON.stringify(note);
}

/** All files of a cache, whole or not, each with its note; foreign files are left out. */
export async function notedFiles(cache: FileCache): Promise<readonly NotedFile[]> {
  const files: NotedFile[] = [];
  for (const entry of await cache.list()) {
    const [, end] = CACHE_NAME.exec(entry.name) ?? [];
    if (end === undefined) continue;
    const note = parseNote(entry.note) ?? { name: end, version: "", size: entry.size };
    files.push({ entry, note });
  }
  return files;
}

/** A URL as lists show it: without what may be secret. */
export function plainAddress(address: string): string {
  const url = new URL(address);
  return url.origin + url.pathname;
}

// Another program may have written it.
function parseNote(text: string | undefined): CacheNote | undefined {
  if (text === undefined || text.length > MAX_CHARS) return undefined;
  try {
    const { name, version, size } = JSON.parse(text);
    const isName = typeof name === "string" && name !== "" && !/\p{Cc}/u.test(name);
    return isName && typeof version === "string" && Number.isSafeInteger(size) && size >= 0
      ? { name, version, size }
      : undefined;
  } catch {
    return undefined;
  }
}
