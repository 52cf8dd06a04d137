// Threads of a model that nobody refers to any more: they end when it is collected.
import type { WorkerPool } from "./pool.ts";

let registry: FinalizationRegistry<WorkerPool> | undefined;

/** Ends the pool's threads once `owner` is collected: they would hold its memory as long as the process lives. */
export function stopWhenAbandoned(owner: object, pool: WorkerPool): void {
  registry ??= new FinalizationRegistry((pool) => pool.stop());
  registry.register(owner, pool);
}
