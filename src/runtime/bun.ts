import { collectGarbage } from "./garbage.ts";
import { processRuntime } from "./process_runtime.ts";
import type { Runtime } from "./runtime.ts";

/** The runtime of a Bun process. */
export function bunRuntime(): Runtime {
  return Object.assign(processRuntime(`bun ${globalThis.process.versions.bun}`), {
    collectGarbage: (isDone: () => boolean) => collectGarbage(isDone, () => Bun.gc(true)),
  });
}
