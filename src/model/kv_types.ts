// Formats of keys and values, as options and as kernels name them.
import { KV_F16, KV_F32, KV_Q8 } from "../../assembly/layout/blocks.ts";
import type { KvType } from "./config.ts";

/** KV_* of each KV type. */
export const kvTypeCodes: Readonly<Record<KvType, number>> = { f32: KV_F32, f16: KV_F16, q8: KV_Q8 };

/** Where keys and values lie inside a page. */
export interface KvShape {
  readonly type: KvType;
  /** Bytes of one kv head of one layer in a page. */
  readonly headBytes: number;
}
