import { processRuntime } from "./process_runtime.ts";
import type { Runtime } from "./runtime.ts";

/** The runtime of a Deno process. Files need `--allow-read`, the rest no permission. */
export function denoRuntime(): Runtime {
  return processRuntime(`deno ${globalThis.process.versions.deno}`);
}
