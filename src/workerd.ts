/**
 * cria for runtimes that compile no WebAssembly at run time (Cloudflare Workers and other edges): all of
 * "cria", with the kernels imported as modules, and a server of one model.
 *
 * @module
 */
import { provideModules } from "./kernels/variant.ts";
import relaxed from "./relaxed.wasm";
import simd from "./simd.wasm";

export type { Slice } from "./edge/answer.ts";
export { createWorker, type SnapshotStore, type Worker, type WorkerOptions } from "./edge/create_worker.ts";
export * from "./mod.ts";

provideModules({ simd, relaxed });
