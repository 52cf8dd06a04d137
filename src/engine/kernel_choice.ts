// Which kernel build and how many threads a model is loaded with, before its header is read.
import { neededThreads } from "../kernels/tune/thread_tuner.ts";
import type { TuneOptions } from "../kernels/tune/tuner.ts";
import { pickVariant, type Variant } from "../kernels/variant.ts";
import type { Runtime } from "../runtime/runtime.ts";
import { MemoryError } from "../util/errors.ts";
import type { LayoutOptions } from "./layout.ts";
import type { WeightProgress } from "./load_weights.ts";

/** What building an engine takes besides the file. */
export interface EngineOptions extends LayoutOptions {
  readonly kernel?: Variant | undefined;
  readonly tune?: TuneOptions | undefined;
  readonly workerUrl?: string | URL | undefined;
  /** Bytes of keys and values that are kept for prompts which begin alike; undefined: none. */
  readonly prefixCache?: number | undefined;
  readonly onProgress?: ((progress: WeightProgress) => void) | undefined;
  readonly signal?: AbortSignal | undefined;
}

/** A kernel build, and the threads that run it. */
export interface KernelChoice {
  readonly variant: Variant;
  readonly threads: number;
}

/** Threads share memory; without them the unshared build serves any runtime. More threads than cores never gain. */
export function chooseKernel(
  runtime: Runtime,
  { kernel, threads = Number.POSITIVE_INFINITY, tune }: EngineOptions,
): KernelChoice {
  const shared = kernel === undefined || kernel.endsWith("-shared");
  const most = neededThreads(tune, Math.max(1, Math.min(threads, runtime.cores)));
  const limit = shared && runtime.threads ? most : 1;
  const variant = kernel ?? pick(limit > 1, runtime);
  // A runtime may have no shared builds, or validate them and not compile them.
  return { variant, threads: variant.endsWith("-shared") ? limit : 1 };
}

function pick(shared: boolean, runtime: Runtime): Variant {
  try {
    return pickVariant(shared);
  } catch (error) {
    if (!(error instanceof MemoryError)) throw error;
    throw new MemoryError(`${error.message}; ${runtime.memoryHint}`, { cause: error.cause });
  }
}
