// What the blocks of a plan are written with.
import type { ModelConfig } from "../config.ts";
import type { Buffers, KvShape } from "./buffers.ts";
import type { PlanWriter } from "./writer.ts";

export interface PlanContext {
  readonly writer: PlanWriter;
  readonly config: ModelConfig;
  readonly buffers: Buffers;
  readonly kv: KvShape;
}
