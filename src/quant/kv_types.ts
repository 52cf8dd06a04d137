// The formats of keys and values in memory: every list of them derives from here.
import { KV_F16, KV_F32, KV_Q8 } from "../../assembly/layout/blocks.ts";

/** Key and value formats in memory, as options name them. */
export type KvType = "f32" | "f16" | "q8";

/** KV_* of each. */
export const kvTypeCodes: Readonly<Record<KvType, number>> = { f32: KV_F32, f16: KV_F16, q8: KV_Q8 };

/** Their names, in the order in which options list them. */
export const kvTypes = Object.keys(kvTypeCodes) as readonly KvType[];
