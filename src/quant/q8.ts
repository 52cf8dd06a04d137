import {
  ACT_BLOCK_BYTES,
  ACT_Q8,
  GROUP_STRIPS,
  Q8_TILE_BYTES,
  WEIGHT_Q8,
} from "../../assembly/layout/blocks.ts";
import type { WeightFormat } from "./weight_format.ts";

/** int8 weights with an f16 scale for each row of a block. */
export const q8: WeightFormat = {
  name: "q8",
  code: WEIGHT_Q8,
  tileBytes: Q8_TILE_BYTES,
  groupStrips: GROUP_STRIPS,
  activation: ACT_Q8,
  activationBlockBytes: ACT_BLOCK_BYTES,
  scaled: true,
};
