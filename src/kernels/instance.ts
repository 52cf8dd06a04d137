import { instantiate } from "@assemblyscript/loader";
import { MemoryError } from "../util/errors.ts";
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

/**
 * A memory of at least `bytes` that can grow to `maxBytes`.
 * @throws MemoryError where the runtime will not give that much.
 */
export function createMemory(bytes: number, shared: boolean, maxBytes = bytes): WebAssembly.Memory {
  const pages = Math.max(1, Math.ceil(bytes / WASM_PAGE));
  if (pages > MAX_WASM_PAGES) {
    throw new MemoryError(`Cannot allocate ${bytes} bytes: Expected at most 4294967296 (one wasm32 memory)`);
  }
  const maximum = Math.max(pages, Math.min(MAX_WASM_PAGES, Math.floor(maxBytes / WASM_PAGE)));
  try {
    return new WebAssembly.Memory({ initial: pages, maximum, shared });
  } catch (cause) {
    throw new MemoryError(`Cannot allocate ${bytes} bytes of WebAssembly memory: the runtime refuses`, {
      cause,
    });
  }
}

/** Instantiates a kernel module on `memory` and writes the constants it reads from there. */
export async function createInstance(
  module: WebAssembly.Module,
  memory: WebAssembly.Memory,
): Promise<KernelInstance> {
  const { exports } = await instantiate<Record<string, unknown>>(module, { env: { memory } });
  const kernels = exports as unknown as KernelExports;
  kernels.init();
  return { exports: kernels, memory };
}
