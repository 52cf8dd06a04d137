// The weight formats in memory and the tensor types of files: every list of them derives from here.
import {
  ACT_BLOCK_BYTES,
  ACT_F32,
  ACT_Q8,
  BLOCK_COLS,
  F32_GROUP_STRIPS,
  F32_TILE_BYTES,
  GROUP_STRIPS,
  Q4_TILE_BYTES,
  Q8_TILE_BYTES,
  WEIGHT_F32,
  WEIGHT_Q4,
  WEIGHT_Q8,
} from "../../assembly/layout/blocks.ts";
import { type FileType, fileTypes } from "./file_types.ts";
import type { WeightFormat } from "./weight_format.ts";

export { type FileType, fileTypes };

/** Weight formats in memory, as options name them. */
export type Precision = "f32" | "q8" | "q4";

const exact = { activation: ACT_F32, activationBlockBytes: 4 * BLOCK_COLS, scaled: false };
const scaled = { activation: ACT_Q8, activationBlockBytes: ACT_BLOCK_BYTES, scaled: true };

/** Weight formats by name. Tests and benchmarks iterate them. */
export const weightFormats: Readonly<Record<Precision, WeightFormat>> = {
  // Exact weights and activations: for verification and for the smallest models.
  f32: {
    name: "f32",
    code: WEIGHT_F32,
    tileBytes: F32_TILE_BYTES,
    groupStrips: F32_GROUP_STRIPS,
    ...exact,
  },
  // int8 weights with an f16 scale for each row of a block.
  q8: { name: "q8", code: WEIGHT_Q8, tileBytes: Q8_TILE_BYTES, groupStrips: GROUP_STRIPS, ...scaled },
  // 4-bit weights with an f16 scale for each row of a block.
  q4: { name: "q4", code: WEIGHT_Q4, tileBytes: Q4_TILE_BYTES, groupStrips: GROUP_STRIPS, ...scaled },
};

/** The names of the formats, in the order in which options list them. */
export const precisions = Object.keys(weightFormats) as readonly Precision[];

/** The weight format that a tensor type of files becomes unless another is asked for. */
export function naturalPrecision(type: string | undefined): Precision {
  const memory = type === undefined ? undefined : fileTypes.get(type)?.memory;
  return precisions.find((name) => name === memory) ?? "q8";
}
