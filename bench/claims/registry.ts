// All claims.
import type { Claim } from "./claim.ts";
import { experts } from "./experts.ts";
import { feedForward } from "./feed_forward.ts";
import { heads } from "./heads.ts";
import { kvCache, windows } from "./kv_cache.ts";
import { norms } from "./norms.ts";
import { pooledHeads } from "./pooled_heads.ts";
import { precision } from "./precision.ts";
import { relaxed } from "./relaxed.ts";
import { ropeScalings } from "./rope_scalings.ts";
import { ropeShare } from "./rope_share.ts";
import { storedScores } from "./stored_scores.ts";
import { threads } from "./threads.ts";

/** Every claim, in the order of the page. */
export const claims: readonly Claim[] = [
  kvCache,
  windows,
  heads,
  pooledHeads,
  storedScores,
  norms,
  feedForward,
  experts,
  ropeShare,
  ropeScalings,
  precision,
  relaxed,
  threads,
];
