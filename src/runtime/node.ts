import { processRuntime } from "./process_runtime.ts";
import type { Runtime } from "./runtime.ts";

/** The runtime of a Node process, 20.16 or later. */
export function nodeRuntime(): Runtime {
  return processRuntime(`node ${globalThis.process.versions.node}`);
}
