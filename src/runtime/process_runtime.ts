// What Bun, Deno and Node have in common: `process` and files.
import type { FileCache } from "../source/host.ts";
import { cacheDirectory } from "./cache_directory.ts";
import { usableCores } from "./cores.ts";
import { directoryCache } from "./directory_cache.ts";
import { collectGarbage } from "./garbage.ts";
import { openLocalFile } from "./local_file.ts";
import { processSha256 } from "./process_hash.ts";
import { startProcessWorker } from "./process_worker.ts";
import type { Runtime } from "./runtime.ts";

/** What a program may do without a question to the user. */
export interface Permissions {
  readEnvironment(variable: string): boolean;
  useDirectory(path: string): boolean;
  readFile(path: string): boolean;
  readMemory(): boolean;
}

const allowed: Permissions = {
  readEnvironment: () => true,
  useDirectory: () => true,
  readFile: () => true,
  readMemory: () => true,
};

/** A runtime with files and `process`, under its own name. */
export function processRuntime(name: string, permissions = allowed): Runtime {
  const { process } = globalThis;
  return {
    name,
    get cores() {
      return processCores(permissions);
    },
    // Node before 20.16 does not give the module of threads.
    threads: typeof process.getBuiltinModule === "function",
    pauses: true,
    sha256: processSha256,
    memoryHint:
      "raise the limit on the process's addresses (ulimit -v), or load a smaller model or contextLength",
    openFile: openLocalFile,
    variable: (name) => variableOf(name, permissions),
    memoryBytes: () => processMemory(permissions),
    openCache: (directory, toRead) =>
      directory === undefined ? openOwnCache(permissions, toRead) : directoryCache(directory, toRead),
    collectGarbage,
    startWorker: startProcessWorker,
    peakRssBytes() {
      // Kilobytes in all three; Deno before 2.9 does not say.
      try {
        const kilobytes = process.resourceUsage?.().maxRSS;
        return kilobytes === undefined ? undefined : kilobytes * 1024;
      } catch {
        return undefined;
      }
    },
  };
}

// Runtimes differ in what they count: affinity (Bun, Deno, Node), quotas (Deno, later versions of Node).
function processCores({ readFile }: Permissions): number {
  const { process, navigator } = globalThis;
  const read = (path: string) => {
    try {
      return readFile(path)
        ? process.getBuiltinModule("node:fs").readFileSync(path, { encoding: "utf8" })
        : undefined;
    } catch {
      return undefined;
    }
  };
  const parallelism = process.getBuiltinModule?.("node:os").availableParallelism?.();
  return usableCores([navigator?.hardwareConcurrency, parallelism], read);
}

function variableOf(name: string, { readEnvironment }: Permissions): string | undefined {
  return readEnvironment(name) ? globalThis.process.env[name] : undefined;
}

/** Bytes of the machine's memory, or what its container leaves of them. */
function processMemory({ readMemory }: Permissions): number | undefined {
  const { process } = globalThis;
  try {
    if (!readMemory()) return undefined;
    const limits = [process.getBuiltinModule("node:os").totalmem(), process.constrainedMemory?.() ?? 0];
    return Math.min(...limits.filter((bytes) => bytes > 0));
  } catch {
    return undefined;
  }
}

/** The cache in the user's home; undefined if it cannot be used. */
async function openOwnCache(permissions: Permissions, toRead?: boolean): Promise<FileCache | undefined> {
  try {
    const { platform } = globalThis.process;
    const variable = (name: string) => variableOf(name, permissions);
    const directory = cacheDirectory({ platform, variable });
    if (directory === undefined || !permissions.useDirectory(directory)) return undefined;
    return await directoryCache(directory, toRead);
  } catch {
    // The file is fetched without it.
    return undefined;
  }
}
