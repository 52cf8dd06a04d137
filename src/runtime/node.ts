// The runtime of Node.
import { processRuntime } from "./process_runtime.ts";
import type { Runtime } from "./runtime.ts";

/** The runtime of a Node process, 20.16 or later. */
export function nodeRuntime(): Runtime {
  const runtime = processRuntime(`node ${globalThis.process.versions.node}`);
  return Object.assign(runtime, {
    memoryHint:
      "start Node with --disable-wasm-trap-handler (it takes 10 GiB of addresses for any memory otherwise), " +
      runtime.memoryHint,
  });
}
