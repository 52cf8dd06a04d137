// Chooses the format that each matrix has in memory.
import type { ModelFile, TensorInfo } from "../../format/model_file.ts";
import { naturalPrecision, type Precision } from "../../quant/registry.ts";

/** The format of a matrix; `isInLayer` is false for the embedding and the output. */
export type ChooseFormat = (info: TensorInfo, isInLayer: boolean) => Precision;

/**
 * What is chosen if nobody says otherwise: the format that the options name. Without one, all layers have the format that
 * their types become, q8 if those differ; the embedding and the output have the format that their own types become.
 * @param inLayers names of the matrices of layers
 */
export function defaultFormats(
  file: ModelFile,
  inLayers: readonly string[],
  precision: Precision | undefined,
): ChooseFormat {
  if (precision) return () => precision;
  const infos = inLayers.flatMap((name) => file.tensors.get(name) ?? []);
  const [first, ...rest] = infos.map((info) => naturalPrecision(info.type));
  const layers = first && rest.every((name) => name === first) ? first : naturalPrecision(undefined);
  return (info, isInLayer) => (isInLayer ? layers : naturalPrecision(info.type));
}
