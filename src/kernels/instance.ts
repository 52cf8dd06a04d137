// Memories, and kernel modules on them.
import { instantiateSync } from "@assemblyscript/loader";
import { mebibytes } from "../util/bytes.ts";
import { EngineError, MemoryError } from "../util/errors.ts";
import type { KernelExports } from "./exports.gen.ts";

/** Bytes of a WebAssembly page. */
export const WASM_PAGE = 65536;
/** Pages of the largest wasm32 memory, 4 GiB. */
export const MAX_WASM_PAGES = 65536;

/** A kernel module on its memory. */
export interface KernelInstance {
  readonly exports: KernelExports;
  readonly memory: WebAssembly.Memory;
}

/** A memory, and the bytes that it can grow to. */
export interface ReservedMemory {
  readonly memory: WebAssembly.Memory;
  readonly maxBytes: number;
}

// Less room to grow than this is not asked for.
const LEAST_GROWTH_PAGES = 16;

/**
 * A memory of at least `bytes` that can grow to `maxBytes`, or to less. Some runtimes reserve the whole at once. If one
 * refuses, half of the growth is asked for, and so on down to none.
 * @throws MemoryError if the runtime does not even give `bytes`
 */
export function reserveMemory(bytes: number, shared: boolean, maxBytes = bytes): ReservedMemory {
  const initial = Math.max(1, Math.ceil(bytes / WASM_PAGE));
  if (initial > MAX_WASM_PAGES) {
    throw new MemoryError(`Cannot allocate ${bytes} bytes: Expected at most 4294967296 (one wasm32 memory)`);
  }
  const most = Math.max(initial, Math.min(MAX_WASM_PAGES, Math.floor(maxBytes / WASM_PAGE)));
  for (let maximum = most; ; ) {
    try {
      const memory = new WebAssembly.Memory({ initial, maximum, shared });
      return { memory, maxBytes: maximum === most ? Math.max(bytes, maxBytes) : maximum * WASM_PAGE };
    } catch (cause) {
      if (maximum === initial) throw refusal(initial, most, shared, cause);
      const growth = Math.floor((maximum - initial) / 2);
      maximum = initial + (growth < LEAST_GROWTH_PAGES ? 0 : growth);
    }
  }
}

/** A memory of at least `bytes` that can grow to `maxBytes`. Errors as {@link reserveMemory}. */
export function createMemory(bytes: number, shared: boolean, maxBytes = bytes): WebAssembly.Memory {
  return reserveMemory(bytes, shared, maxBytes).memory;
}

function refusal(initial: number, most: number, shared: boolean, cause: unknown): MemoryError {
  const size = (pages: number) => `${pages * WASM_PAGE} bytes (${mebibytes(pages * WASM_PAGE)})`;
  const kind = shared ? "shared WebAssembly memory" : "WebAssembly memory";
  const larger = most === initial ? "" : `, as it refused more, from a maximum of ${size(most)} down`;
  return new MemoryError(
    `Cannot allocate ${kind}: Expected the runtime to give ${size(initial)}, it refuses${larger} (${cause})`,
    { cause },
  );
}

/**
 * Instantiates a kernel module on `memory` and writes the constants that it reads there.
 * @throws EngineError if the runtime refuses
 */
export async function createInstance(
  module: WebAssembly.Module,
  memory: WebAssembly.Memory,
): Promise<KernelInstance> {
  const kernels = instantiateKernels(module, memory);
  kernels.init();
  return { exports: kernels, memory };
}

// Synchronously: the loader's other way mentions Response. Then Node loads its network code, with a WebAssembly module of
// its own, and ends the process if there is no memory for that.
function instantiateKernels(module: WebAssembly.Module, memory: WebAssembly.Memory): KernelExports {
  try {
    const { exports } = instantiateSync<Record<string, unknown>>(module, { env: { memory } });
    return exports as unknown as KernelExports;
  } catch (cause) {
    throw new EngineError(`Cannot start the kernels: the runtime refuses (${cause})`, { cause });
  }
}
