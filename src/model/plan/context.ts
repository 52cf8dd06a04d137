// What the blocks of a plan are written with.
import type { ModelConfig } from "../config.ts";
import type { LayerCache } from "../kv_layout.ts";
import type { Buffers } from "./buffers.ts";
import type { PlanWriter } from "./writer.ts";

export interface PlanContext {
  readonly writer: PlanWriter;
  readonly config: ModelConfig;
  readonly buffers: Buffers;
  /** Where the keys and values of each layer lie. */
  readonly caches: readonly LayerCache[];
}
