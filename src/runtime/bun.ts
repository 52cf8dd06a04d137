// The runtime of Bun.
import { collectGarbage } from "./garbage.ts";
import { type Advise, askForHugePages } from "./huge_pages.ts";
import { processRuntime } from "./process_runtime.ts";
import type { Runtime } from "./runtime.ts";

/** The runtime of a Bun process. */
export function bunRuntime(): Runtime {
  return Object.assign(processRuntime(`bun ${globalThis.process.versions.bun}`), {
    adviseMemory: (memory: WebAssembly.Memory, bytes: number) => askForHugePages(memory, bytes, open),
    collectGarbage: (isDone: () => boolean) => collectGarbage(isDone, () => bunOf(globalThis).gc(true)),
  });
}

// Bun's own global, whose types other runtimes' checkers do not know.
function bunOf(scope: unknown): { gc(force: boolean): void } {
  return (scope as { Bun: { gc(force: boolean): void } }).Bun;
}

// What is used of bun:ffi.
interface ForeignFunctions {
  dlopen(library: string, symbols: object): { symbols: { madvise(...values: number[]): number } };
  ptr(view: Uint8Array): number;
}

function open(library: string): Advise {
  const { dlopen, ptr } = globalThis.process.getBuiltinModule("bun:ffi") as unknown as ForeignFunctions;
  const { symbols } = dlopen(library, { madvise: { args: ["u64", "u64", "i32"], returns: "i32" } });
  return (memory, bytes, advice) => symbols.madvise(ptr(new Uint8Array(memory.buffer)), bytes, advice);
}
