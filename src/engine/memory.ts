// Linear memory as the host sees it: how it is obtained, its views, and its growth by pages of the KV cache.
import type { ModelFile } from "../format/model_file.ts";
import { type KernelInstance, type ReservedMemory, reserveMemory, WASM_PAGE } from "../kernels/instance.ts";
import type { Variant } from "../kernels/variant.ts";
import type { PageMemory } from "../model/page_pool.ts";
import type { Runtime } from "../runtime/runtime.ts";
import { mebibytes } from "../util/bytes.ts";
import { MemoryError } from "../util/errors.ts";
import { chooseKernel, type EngineOptions, type KernelChoice } from "./kernel_choice.ts";
import { type Layout, planLayout } from "./layout.ts";

// Addresses of pages are multiples of this.
const PAGE_ALIGN = 64;

/** Memory that the runtime gave for a layout, and the kernel build that it accepts. */
export interface Allocation {
  readonly layout: Layout;
  readonly variant: Variant;
  readonly reserved: ReservedMemory;
}

/**
 * Decides the layout and reserves its memory.
 * @throws what planLayout throws; MemoryError if the runtime refuses the memory
 */
export async function allocate(
  file: ModelFile,
  runtime: Runtime,
  options: EngineOptions,
  { variant, threads }: KernelChoice,
): Promise<Allocation> {
  const layout = await planLayout(file, { ...options, threads });
  const shared = variant.endsWith("-shared");
  try {
    const reserved = reserveMemory(layout.totalBytes, shared, layout.maxBytes);
    const { buffer } = reserved.memory;
    // Shared memory grows in its place; other may move, and what is behind it is not its own.
    const own = shared ? Math.floor(reserved.maxBytes / WASM_PAGE) * WASM_PAGE : 0;
    runtime.adviseMemory?.(reserved.memory, Math.max(buffer.byteLength, own));
    return { layout, variant, reserved };
  } catch (error) {
    if (!(error instanceof MemoryError)) throw error;
    // Shared memory that a runtime refuses is not worth an error if nobody asked for threads.
    const asked =
      options.kernel !== undefined || (options.threads ?? 1) > 1 || options.tune?.threads !== undefined;
    if (shared && !asked) {
      const alone = { ...options, threads: 1 };
      return allocate(file, runtime, alone, chooseKernel(runtime, alone));
    }
    const alone = shared ? "load with threads: 1, which needs no shared memory; " : "";
    throw new MemoryError(`${error.message}; ${alone}${runtime.memoryHint}`, { cause: error.cause });
  }
}

/** The memory of a model. Nothing else may grow it, so that its views are always those of the memory of now. */
export class EngineMemory implements PageMemory {
  /** All of it as words; another array after it has grown. */
  words: Int32Array;
  /** All of it as floats; another array after it has grown. */
  floats: Float32Array;
  /** Bytes that it can grow to: the layout's, or less if the runtime gave less. */
  readonly maxBytes: number;
  readonly #memory: WebAssembly.Memory;
  readonly #layout: Layout;
  // Where the next page begins that the layout has no room for.
  #next: number;
  #refused = false;

  constructor({ memory }: KernelInstance, layout: Layout, maxBytes: number) {
    this.#memory = memory;
    this.#layout = layout;
    this.#next = layout.totalBytes;
    this.maxBytes = maxBytes;
    this.words = new Int32Array(memory.buffer);
    this.floats = new Float32Array(memory.buffer);
  }

  copy(from: number, to: number, bytes: number): void {
    new Uint8Array(this.#memory.buffer).copyWithin(to, from, from + bytes);
  }

  grow(bytes: number): number | undefined {
    const { buffer } = this.#memory;
    const address = Math.ceil(this.#next / PAGE_ALIGN) * PAGE_ALIGN;
    const missing = Math.ceil((address + bytes - buffer.byteLength) / WASM_PAGE);
    if (address + bytes > this.maxBytes) return undefined;
    // Memory grows by whole pages, and a budget may end within one.
    if (missing > 0 && buffer.byteLength / WASM_PAGE + missing > this.maxBytes / WASM_PAGE) return undefined;
    if (missing > 0 && !this.#growBy(missing)) return undefined;
    this.#next = address + bytes;
    return address;
  }

  left(): number {
    return this.#refused ? 0 : Math.max(0, this.maxBytes - this.#next);
  }

  limit(): string {
    const given = this.#refused ? this.#memory.buffer.byteLength : this.maxBytes;
    const { maxBytes } = this.#layout;
    const size = (bytes: number) => `${bytes} bytes (${mebibytes(bytes)})`;
    return this.#refused || given <= maxBytes - WASM_PAGE
      ? `the runtime gives no more memory than ${size(given)}`
      : `the memory budget of ${size(maxBytes)} is spent`;
  }

  // Views die when memory grows.
  #growBy(pages: number): boolean {
    try {
      this.#memory.grow(pages);
    } catch {
      this.#refused = true;
      return false;
    }
    this.words = new Int32Array(this.#memory.buffer);
    this.floats = new Float32Array(this.#memory.buffer);
    return true;
  }
}
