// The weight formats in memory and the tensor types of files: every list of them derives from here.
import {
  ACT_BLOCK_BYTES,
  ACT_F32,
  ACT_Q8,
  ACT_SUPER,
  BLOCK_COLS,
  BOOK_IQ1,
  BOOK_IQ2,
  BOOK_IQ3_S,
  BOOK_IQ3_XXS,
  BOOK_IQ4,
  BOOK_Q3,
  F32_GROUP_STRIPS,
  F32_TILE_BYTES,
  GROUP_STRIPS,
  Q2K_HEAD_BYTES,
  Q2K_TILE_BYTES,
  Q4_TILE_BYTES,
  Q4K_HEAD_BYTES,
  Q4K_TILE_BYTES,
  Q4M_TILE_BYTES,
  Q5_TILE_BYTES,
  Q5K_TILE_BYTES,
  Q6K_HEAD_BYTES,
  Q6K_TILE_BYTES,
  Q8_TILE_BYTES,
  SUPER_BLOCKS,
  WEIGHT_BOOK,
  WEIGHT_F32,
  WEIGHT_MXFP4,
  WEIGHT_NL,
  WEIGHT_Q2K,
  WEIGHT_Q4,
  WEIGHT_Q4K,
  WEIGHT_Q4M,
  WEIGHT_Q5,
  WEIGHT_Q5K,
  WEIGHT_Q6K,
  WEIGHT_Q8,
  WEIGHT_X3K,
  WEIGHT_X4K,
  X3K_TILE_BYTES,
  X4K_HEAD_BYTES,
} from "../../assembly/layout/blocks.ts";
import { type FileType, fileTypes } from "./file_types.ts";
import type { WeightFormat } from "./weight_format.ts";

export { type FileType, fileTypes };

/** Weight formats in memory that any tensor type can become, as options name them. */
export type Precision = "f32" | "q8" | "q4";

/** Weight formats in memory. */
export type FormatName =
  | Precision
  | ("q2k" | "q3k" | "q4k" | "q5k" | "q6k")
  | ("nl" | "mxfp4" | "q4m" | "q5")
  | ("iq4xs" | "iq3s" | "iq3xxs" | "iq2xxs" | "iq2" | "iq1s" | "iq1m");

const exact = { activation: ACT_F32, activationBlockBytes: 4 * BLOCK_COLS, scaled: false };
const scaled = { activation: ACT_Q8, activationBlockBytes: ACT_BLOCK_BYTES, scaled: true };

// Blocks of 32 columns of file types of their own.
function blocks(name: string, code: number, tileBytes: number): WeightFormat {
  return { name, code, tileBytes, groupStrips: GROUP_STRIPS, ...scaled };
}

// Superblocks of 256 columns: their header is shared out among the blocks.
function superblocks(name: string, code: number, headBytes: number, tileBytes: number): WeightFormat {
  return {
    name,
    code,
    tileBytes: headBytes / SUPER_BLOCKS + tileBytes,
    groupStrips: GROUP_STRIPS,
    activation: ACT_SUPER,
    activationBlockBytes: ACT_BLOCK_BYTES,
    scaled: true,
  };
}

function nibbles(name: string, book: number): WeightFormat {
  return superblocks(name, WEIGHT_X4K + WEIGHT_BOOK * book, X4K_HEAD_BYTES, Q4K_TILE_BYTES);
}

function threeBits(name: string, book: number): WeightFormat {
  return superblocks(name, WEIGHT_X3K + WEIGHT_BOOK * book, Q6K_HEAD_BYTES, X3K_TILE_BYTES);
}

/** Weight formats by name. Tests and benchmarks iterate them. */
export const weightFormats: Readonly<Record<FormatName, WeightFormat>> = {
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
  // What K types hold, bit for bit.
  q4k: superblocks("q4k", WEIGHT_Q4K, Q4K_HEAD_BYTES, Q4K_TILE_BYTES),
  q5k: superblocks("q5k", WEIGHT_Q5K, Q4K_HEAD_BYTES, Q5K_TILE_BYTES),
  q6k: superblocks("q6k", WEIGHT_Q6K, Q6K_HEAD_BYTES, Q6K_TILE_BYTES),
  q2k: superblocks("q2k", WEIGHT_Q2K, Q2K_HEAD_BYTES, Q2K_TILE_BYTES),
  q3k: threeBits("q3k", BOOK_Q3),
  // The values of IQ types, whose grids are taken apart into single values.
  iq4xs: nibbles("iq4xs", BOOK_IQ4),
  iq3s: nibbles("iq3s", BOOK_IQ3_S),
  iq3xxs: nibbles("iq3xxs", BOOK_IQ3_XXS),
  iq2xxs: nibbles("iq2xxs", BOOK_IQ2),
  iq2: threeBits("iq2", BOOK_IQ2),
  iq1s: nibbles("iq1s", BOOK_IQ1),
  iq1m: threeBits("iq1m", BOOK_IQ1),
  // IQ4_NL and MXFP4: nibbles that stand for values of a book, with a scale for each row of a block.
  nl: blocks("nl", WEIGHT_NL, Q4_TILE_BYTES),
  mxfp4: blocks("mxfp4", WEIGHT_MXFP4, Q4_TILE_BYTES),
  // Q4_1; Q5_0 and Q5_1: nibbles and 5 bits, with a scale and a minimum for each row of a block.
  q4m: blocks("q4m", WEIGHT_Q4M, Q4M_TILE_BYTES),
  q5: blocks("q5", WEIGHT_Q5, Q5_TILE_BYTES),
};

/** The names of the formats that any type can become, in the order in which options list them. */
export const precisions: readonly Precision[] = ["f32", "q8", "q4"];

/** The weight format that a tensor type of files becomes unless another is asked for. */
export function naturalFormat(type: string): FormatName {
  const memory = fileTypes.get(type)?.memory as FormatName | undefined;
  return memory !== undefined && memory in weightFormats ? memory : "q8";
}
