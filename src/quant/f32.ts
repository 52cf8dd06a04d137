import {
  ACT_F32,
  BLOCK_COLS,
  F32_GROUP_STRIPS,
  F32_TILE_BYTES,
  WEIGHT_F32,
} from "../../assembly/layout/blocks.ts";
import type { WeightFormat } from "./weight_format.ts";

/** Exact weights and activations: for verification and for the smallest models. */
export const f32: WeightFormat = {
  name: "f32",
  code: WEIGHT_F32,
  tileBytes: F32_TILE_BYTES,
  groupStrips: F32_GROUP_STRIPS,
  activation: ACT_F32,
  activationBlockBytes: 4 * BLOCK_COLS,
  scaled: false,
};
