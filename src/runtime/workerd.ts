// The runtime of Cloudflare Workers.
import { EngineError } from "../util/errors.ts";
import { collectGarbage } from "./garbage.ts";
import { refuseDirectory, refuseFile } from "./no_files.ts";
import { processSha256 } from "./process_hash.ts";
import type { Runtime } from "./runtime.ts";

/** The runtime of Cloudflare Workers: one thread, no files, no numbers about the process. */
export function workerdRuntime(): Runtime {
  return {
    name: "workerd",
    cores: 1,
    threads: false,
    pauses: false,
    // With the flag nodejs_compat it has one.
    sha256: processSha256,
    memoryHint: "load a smaller model or contextLength",
    openFile: (path) => refuseFile("workerd", path),
    openCache: async (directory) =>
      directory === undefined ? undefined : refuseDirectory("workerd", directory),
    collectGarbage,
    peakRssBytes: () => undefined,
    startWorker() {
      throw new EngineError("Cannot start a thread: workerd has none");
    },
  };
}
