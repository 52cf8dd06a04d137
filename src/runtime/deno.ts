// The runtime of Deno.
import { type Permissions, processRuntime } from "./process_runtime.ts";
import type { Runtime } from "./runtime.ts";

interface DenoPermissions {
  querySync(permission: { name: string; variable?: string; path?: string; kind?: string }): {
    readonly state: string;
  };
}

// What was not granted at the start must not become a question on the terminal.
const permissions: Permissions = {
  readEnvironment: (variable) => isGranted({ name: "env", variable }),
  readFile: (path) => isGranted({ name: "read", path }),
  readMemory: () => isGranted({ name: "sys", kind: "systemMemoryInfo" }),
  useDirectory: (path) => isGranted({ name: "read", path }) && isGranted({ name: "write", path }),
};

function isGranted(permission: Parameters<DenoPermissions["querySync"]>[0]): boolean {
  const { Deno } = globalThis as unknown as { Deno: { permissions?: DenoPermissions } };
  try {
    return Deno.permissions?.querySync(permission).state === "granted";
  } catch {
    return false;
  }
}

/**
 * The runtime of a Deno process. Files need `--allow-read`, the cache of downloads `--allow-env` and
 * `--allow-write` too; the rest needs no permission.
 */
export function denoRuntime(): Runtime {
  return processRuntime(`deno ${globalThis.process.versions.deno}`, permissions);
}
