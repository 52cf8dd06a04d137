import {
  ACT_BLOCK_BYTES,
  ACT_Q8,
  GROUP_STRIPS,
  Q4_TILE_BYTES,
  WEIGHT_Q4,
} from "../../assembly/layout/blocks.ts";
import type { WeightFormat } from "./weight_format.ts";

/** 4-bit weights with an f16 scale for each row of a block. */
export const q4: WeightFormat = {
  name: "q4",
  code: WEIGHT_Q4,
  tileBytes: Q4_TILE_BYTES,
  groupStrips: GROUP_STRIPS,
  activation: ACT_Q8,
  activationBlockBytes: ACT_BLOCK_BYTES,
  scaled: true,
};
