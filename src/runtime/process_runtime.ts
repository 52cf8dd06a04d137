// What Bun, Deno and Node have in common: `process` and files.
import { openLocalFile } from "./local_file.ts";
import { startProcessWorker } from "./process_worker.ts";
import type { Runtime } from "./runtime.ts";

/** A runtime with files and `process`, under its own name. */
export function processRuntime(name: string): Runtime {
  const { process, navigator } = globalThis;
  return {
    name,
    cores: navigator?.hardwareConcurrency ?? processCores(),
    threads: true,
    openFile: openLocalFile,
    startWorker: startProcessWorker,
    peakRssBytes() {
      // Kilobytes in all three; Deno before 2.9 does not say.
      const kilobytes = process.resourceUsage?.().maxRSS;
      return kilobytes === undefined ? undefined : kilobytes * 1024;
    },
  };
}

/** Node 20 has no `navigator`. */
function processCores(): number {
  return globalThis.process.getBuiltinModule?.("node:os").availableParallelism() ?? 1;
}
