// The runtime of browsers.
import { Sha256 } from "../util/sha256.ts";
import { collectGarbage } from "./garbage.ts";
import { refuseDirectory, refuseFile } from "./no_files.ts";
import type { Runtime } from "./runtime.ts";
import { webCache } from "./web_cache.ts";
import { startWebWorker } from "./web_worker.ts";

/** The runtime of a page or of a worker of a page, and of whatever else has only web standards. */
export function browserRuntime(): Runtime {
  const { userAgent = "", hardwareConcurrency } = globalThis.navigator ?? {};
  // A page must never wait. A worker of it may, if memory can be shared.
  const isPage = "document" in globalThis;
  const { crossOriginIsolated = false } = globalThis as { crossOriginIsolated?: boolean };
  return {
    name: browserName(userAgent),
    // Privacy settings may make it anything.
    cores: Number.isSafeInteger(hardwareConcurrency) && hardwareConcurrency > 0 ? hardwareConcurrency : 1,
    threads: !isPage && crossOriginIsolated,
    pauses: true,
    hidesHeaders: true,
    // Web Crypto's takes the whole at once.
    sha256: () => new Sha256(),
    memoryHint: "close other pages, or load a smaller model or contextLength",
    openFile: (path) => refuseFile("a browser", path),
    openCache: (directory) =>
      directory === undefined ? webCache(cacheStorage()) : refuseDirectory("a browser", directory),
    collectGarbage,
    peakRssBytes: () => undefined,
    startWorker: startWebWorker,
  };
}

// In a sandboxed frame reading the property throws.
function cacheStorage(): CacheStorage | undefined {
  try {
    return globalThis.caches;
  } catch {
    return undefined;
  }
}

// Edge also claims to be Chrome, and both to be Safari.
const browsers = [
  ["edge", /\bEdg\/([\d.]+)/],
  ["chrome", /\bChrome\/([\d.]+)/],
  ["firefox", /\bFirefox\/([\d.]+)/],
  ["safari", /\bVersion\/([\d.]+) .*\bSafari\//],
] as const;

/** Name and version out of a user agent; "browser" if it is unknown. */
export function browserName(userAgent: string): string {
  for (const [name, pattern] of browsers) {
    const version = pattern.exec(userAgent)?.[1];
    if (version) return `${name} ${version}`;
  }
  return "browser";
}
