// Chooses the format that each matrix has in memory.
import type { ModelFile, TensorInfo } from "../../format/model_file.ts";
import { naturalPrecision, type Precision } from "../../quant/registry.ts";

/** The format of a matrix; `isInLayer` is false for the embedding and the output. */
export type ChooseFormat = (info: TensorInfo, isInLayer: boolean) => Precision;

/**
 * What is chosen if nobody says otherwise: the format that the options name; else for all layers q4 if the file has
 * nothing but Q4_0 there and q8 if not, and for the embedding and the output what their own types hold.
 * @param inLayers names of the matrices of layers
 */
export function defaultFormats(
  file: ModelFile,
  inLayers: readonly string[],
  precision: Precision | undefined,
): ChooseFormat {
  if (precision) return () => precision;
  const infos = inLayers.flatMap((name) => file.tensors.get(name) ?? []);
  const layers =
    infos.length > 0 && infos.every((info) => naturalPrecision(info.type) === "q4") ? "q4" : "q8";
  return (info, isInLayer) => (isInLayer ? layers : naturalPrecision(info.type));
}
