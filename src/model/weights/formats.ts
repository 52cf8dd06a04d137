// Chooses the format that each matrix has in memory.
import type { TensorInfo } from "../../format/model_file.ts";
import { type FormatName, naturalFormat, type Precision } from "../../quant/registry.ts";

/** The format of a matrix. */
export type ChooseFormat = (info: TensorInfo) => FormatName;

/** What is chosen if nobody says otherwise: the format that the options name, else the one that the tensor's type becomes. */
export function defaultFormats(precision: Precision | undefined): ChooseFormat {
  return ({ type }) => precision ?? naturalFormat(type);
}
