/**
 * Models that are kept on this machine, in the cache of downloads:
 *
 * ```ts
 * import { list, pull, remove } from "cria/models";
 *
 * const { name } = await pull("hf:owner/repo/model.gguf"); // Llama.load(name) needs no download any more
 * for (const { name, bytes, isWhole } of await list()) console.log(name, bytes, isWhole);
 * await remove(name);
 * ```
 *
 * @module
 */

export type { LoadProgress } from "./api/load_options.ts";
export {
  type CachedModel,
  type CacheOptions,
  list,
  type RemovedModel,
  remove,
} from "./api/models.ts";
export { type PulledModel, type PullOptions, pull } from "./api/pull_model.ts";
export type { HttpOptions } from "./source/http/http_options.ts";
export { CriaError, type ErrorCode, FormatError, SourceError, UsageError } from "./util/errors.ts";
