import {
  FILE_BF16,
  FILE_F16,
  FILE_F32,
  FILE_Q4_0,
  FILE_Q4_0_BYTES,
  FILE_Q8_0,
  FILE_Q8_0_BYTES,
  FILE_Q8_G,
} from "../../assembly/layout/blocks.ts";
import { f32 } from "./f32.ts";
import { q4 } from "./q4.ts";
import { q8 } from "./q8.ts";
import type { WeightFormat } from "./weight_format.ts";

/** Weight formats by name. Tests and benchmarks iterate them. */
export const weightFormats: Readonly<Record<WeightFormat["name"], WeightFormat>> = { f32, q8, q4 };

/** A tensor type of files that the packer reads. */
export interface FileType {
  /** As {@link TensorInfo.type} spells it. */
  readonly name: string;
  /** FILE_* of the pack kernel. */
  readonly code: number;
  /** Values of a block, and its bytes. Rows of block types are whole blocks. */
  readonly blockCols: number;
  readonly blockBytes: number;
}

/** Tensor types that cria loads. Q8_G is llama2.c's int8 with scales kept apart. */
export const fileTypes: ReadonlyMap<string, FileType> = new Map(
  [
    { name: "F32", code: FILE_F32, blockCols: 1, blockBytes: 4 },
    { name: "F16", code: FILE_F16, blockCols: 1, blockBytes: 2 },
    { name: "BF16", code: FILE_BF16, blockCols: 1, blockBytes: 2 },
    { name: "Q8_0", code: FILE_Q8_0, blockCols: 32, blockBytes: FILE_Q8_0_BYTES },
    { name: "Q4_0", code: FILE_Q4_0, blockCols: 32, blockBytes: FILE_Q4_0_BYTES },
    { name: "Q8_G", code: FILE_Q8_G, blockCols: 1, blockBytes: 1 },
  ].map((type) => [type.name, type]),
);
