// The runtime of Bun.
import { collectGarbage } from "./garbage.ts";
import { processRuntime } from "./process_runtime.ts";
import type { Runtime } from "./runtime.ts";

/** The runtime of a Bun process. */
export function bunRuntime(): Runtime {
  return Object.assign(processRuntime(`bun ${globalThis.process.versions.bun}`), {
    collectGarbage: (isDone: () => boolean) => collectGarbage(isDone, () => bunOf(globalThis).gc(true)),
  });
}

// Bun's own global, whose types other runtimes' checkers do not know.
function bunOf(scope: unknown): { gc(force: boolean): void } {
  return (scope as { Bun: { gc(force: boolean): void } }).Bun;
}
