// The runtime of Deno.
import { type Advise, askForHugePages } from "./huge_pages.ts";
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

// What is used of Deno's own global.
interface ForeignFunctions {
  dlopen(
    library: string,
    symbols: object,
  ): { symbols: { madvise(at: unknown, bytes: bigint, advice: number): number } };
  UnsafePointer: { of(view: Uint8Array): unknown };
}

function open(library: string): Advise {
  const { dlopen, UnsafePointer } = (globalThis as unknown as { Deno: ForeignFunctions }).Deno;
  const { symbols } = dlopen(library, {
    madvise: { parameters: ["pointer", "usize", "i32"], result: "i32" },
  });
  return (memory, bytes, advice) =>
    symbols.madvise(UnsafePointer.of(new Uint8Array(memory.buffer)), BigInt(bytes), advice);
}

/**
 * The runtime of a Deno process. Files need `--allow-read`, the cache of downloads `--allow-env` and
 * `--allow-write` too; the rest needs no permission. With `--allow-ffi`, memory has huge pages on Linux.
 */
export function denoRuntime(): Runtime {
  return Object.assign(processRuntime(`deno ${globalThis.process.versions.deno}`, permissions), {
    adviseMemory(memory: WebAssembly.Memory, bytes: number) {
      if (isGranted({ name: "ffi" })) askForHugePages(memory, bytes, open);
    },
  });
}
