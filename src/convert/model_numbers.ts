// What the mix of types and the pooling of heads must know of a model, out of its keys.
import type { ModelFile } from "../format/model_file.ts";
import type { MixedModel } from "./type_mix.ts";

/** The numbers of a model; those that it does not say, or not as one positive integer, are 0 or 1, the mildest. */
export function modelNumbers({ architecture, metadata }: ModelFile): MixedModel {
  const number = (key: string): number | undefined => {
    const found = metadata.get(`${architecture}.${key}`);
    // Counts that differ from layer to layer: the first one counts.
    const value = found?.type === "array" ? found.value[0] : found?.value;
    return Number.isSafeInteger(value) && (value as number) >= 0 ? (value as number) : undefined;
  };
  const nHeads = number("attention.head_count") ?? 1;
  return {
    architecture,
    nLayers: number("block_count") ?? 0,
    nHeads,
    nKvHeads: number("attention.head_count_kv") ?? nHeads,
    nExperts: number("expert_count") ?? 0,
  };
}
