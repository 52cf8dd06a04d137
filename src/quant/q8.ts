import { ACT_BLOCK_BYTES, ACT_Q8W, Q8_TILE_BYTES, WEIGHT_Q8 } from "../../assembly/layout/blocks.ts";
import type { WeightFormat } from "./weight_format.ts";

/** int8 weights with an f16 scale for each row of a block. */
export const q8: WeightFormat = {
  name: "q8",
  code: WEIGHT_Q8,
  tileBytes: Q8_TILE_BYTES,
  activation: ACT_Q8W,
  activationBlockBytes: ACT_BLOCK_BYTES,
};
