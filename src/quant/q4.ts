import { ACT_BLOCK_BYTES, ACT_Q4W, Q4_TILE_BYTES, WEIGHT_Q4 } from "../../assembly/layout/blocks.ts";
import type { WeightFormat } from "./weight_format.ts";

/** 4-bit weights with an f16 scale for each row of a block. */
export const q4: WeightFormat = {
  name: "q4",
  code: WEIGHT_Q4,
  tileBytes: Q4_TILE_BYTES,
  activation: ACT_Q4W,
  activationBlockBytes: ACT_BLOCK_BYTES,
};
