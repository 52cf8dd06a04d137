// Types of metadata and tensors by their numbers in GGUF files.
import { UnsupportedError } from "../../util/errors.ts";
import type { MetaType, TensorInfo } from "../model_file.ts";

/** Types of metadata values by their number in the file; "array" is followed by the type of its elements. */
export const metaTypes: readonly (MetaType | "array")[] = [
  "u8",
  "i8",
  "u16",
  "i16",
  "u32",
  "i32",
  "f32",
  "bool",
  "string",
  "array",
  "u64",
  "i64",
  "f64",
];

/** A tensor type: rows are stored as blocks of `blockElements` values in `blockBytes` bytes. */
export interface GgmlType {
  readonly name: string;
  readonly blockElements: number;
  readonly blockBytes: number;
}

/**
 * Tensor types by their number in the file (ggml.h: enum ggml_type; sizes: ggml-common.h). Other numbers
 * were never given, or are in {@link removedGgmlTypes}.
 */
export const ggmlTypes: ReadonlyMap<number, GgmlType> = new Map(
  (
    [
      [0, "F32", 1, 4],
      [1, "F16", 1, 2],
      [2, "Q4_0", 32, 18],
      [3, "Q4_1", 32, 20],
      [6, "Q5_0", 32, 22],
      [7, "Q5_1", 32, 24],
      [8, "Q8_0", 32, 34],
      [9, "Q8_1", 32, 36],
      [10, "Q2_K", 256, 84],
      [11, "Q3_K", 256, 110],
      [12, "Q4_K", 256, 144],
      [13, "Q5_K", 256, 176],
      [14, "Q6_K", 256, 210],
      [15, "Q8_K", 256, 292],
      [16, "IQ2_XXS", 256, 66],
      [17, "IQ2_XS", 256, 74],
      [18, "IQ3_XXS", 256, 98],
      [19, "IQ1_S", 256, 50],
      [20, "IQ4_NL", 32, 18],
      [21, "IQ3_S", 256, 110],
      [22, "IQ2_S", 256, 82],
      [23, "IQ4_XS", 256, 136],
      [24, "I8", 1, 1],
      [25, "I16", 1, 2],
      [26, "I32", 1, 4],
      [27, "I64", 1, 8],
      [28, "F64", 1, 8],
      [29, "IQ1_M", 256, 56],
      [30, "BF16", 1, 2],
      [34, "TQ1_0", 256, 54],
      [35, "TQ2_0", 256, 66],
      [39, "MXFP4", 32, 17],
      [40, "NVFP4", 64, 36],
      [41, "Q1_0", 128, 18],
      [42, "Q2_0", 64, 18],
    ] as const
  ).map(([id, name, blockElements, blockBytes]) => [id, { name, blockElements, blockBytes }]),
);

/** Tensor types that ggml once had and no longer reads. */
export const removedGgmlTypes: ReadonlyMap<number, string> = new Map([
  [4, "Q4_2"],
  [5, "Q4_3"],
  [31, "Q4_0_4_4"],
  [32, "Q4_0_4_8"],
  [33, "Q4_0_8_8"],
  [36, "IQ4_NL_4_4"],
  [37, "IQ4_NL_4_8"],
  [38, "IQ4_NL_8_8"],
]);

/** Tensor types that can be loaded, as files of GGUF name them. */
export const supportedTensorTypes: readonly string[] = ["F32", "F16", "BF16", "Q8_0", "Q4_0"];

/** The type of llama2.c's int8 groups, whose scales are stored apart. */
export const LLAMA2C_Q8 = "Q8_G";

/**
 * Refuses a tensor whose type has no kernels. Files may hold tensors of other types as long as no model uses
 * them, so the loader asks for each tensor that it loads.
 * @throws UnsupportedError naming the tensor, its type and the types that are supported
 */
export function assertTensorType(info: TensorInfo): void {
  if (info.type === LLAMA2C_Q8 || supportedTensorTypes.includes(info.type)) return;
  throw new UnsupportedError(
    `Cannot load tensor ${info.name}: Unsupported type ${info.type}; supported: ${supportedTensorTypes.join(", ")}`,
  );
}
