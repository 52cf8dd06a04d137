// Types of GGUF files by their numbers: of metadata values and of tensors.
import { fileTypes, type TensorType, tensorTypes } from "../../quant/file_types.ts";
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

/** Tensor types of GGUF by their number in the file. Other numbers were never given or are removed. */
export const ggmlTypes: ReadonlyMap<number, TensorType> = new Map(
  tensorTypes
    .filter(({ foreign }) => !foreign)
    .sort((a, b) => a.code - b.code)
    .map((type) => [type.code, type]),
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
export const supportedTensorTypes: readonly string[] = [...fileTypes.values()]
  .filter(({ foreign }) => !foreign)
  .map(({ name }) => name);

/** The type of llama2.c's int8 groups, whose scales are stored apart. */
export const LLAMA2C_Q8 = "Q8_G";

/** What can be done about a tensor whose type is refused, as the end of a sentence. */
export const OTHER_FILE = "take another file of this model, or make one of its F16 file with cria quantize";

/**
 * Refuses a tensor whose type has no kernels. Files may hold tensors of other types as long as no model uses
 * them, so the loader asks for each tensor that it loads.
 * @throws UnsupportedError naming the tensor, its file and type, the types that are supported and a way out
 */
export function assertTensorType(info: TensorInfo): void {
  if (fileTypes.has(info.type)) return;
  throw new UnsupportedError(
    `Cannot load tensor ${info.name} of ${info.source.name}: Unsupported type ${info.type}; supported: ${supportedTensorTypes.join(", ")}; ${OTHER_FILE}`,
  );
}
