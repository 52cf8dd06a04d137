// What the blocks of a plan are written with.
import type { ModelConfig } from "../config.ts";
import type { KvShape } from "../kv_types.ts";
import type { Buffers } from "./buffers.ts";
import type { PlanWriter } from "./writer.ts";

export interface PlanContext {
  readonly writer: PlanWriter;
  readonly config: ModelConfig;
  readonly buffers: Buffers;
  readonly kv: KvShape;
}
