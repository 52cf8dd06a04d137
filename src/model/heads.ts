// The heads and the feed-forward size of a layer, which most models have in common for all their layers.
import type { DeltaNetSpec, HeadsSpec, LayerSpec } from "./arch/spec.ts";
import type { ModelConfig } from "./config.ts";

/** The heads of a layer. */
export function headsOf({ attention }: LayerSpec, config: ModelConfig): HeadsSpec {
  return attention.heads ?? config;
}

/** Length of a row inside a layer's feed-forward block; of its experts, if it has some. */
export function hiddenDimOf({ feedForward }: LayerSpec, config: ModelConfig): number {
  return feedForward.experts?.hiddenDim ?? feedForward.hiddenDim ?? config.hiddenDim;
}

/** Queries, keys and values of a delta-net, which it convolves. */
export function channelsOf({ heads, keyHeads, headDim }: Omit<DeltaNetSpec, "kind">): number {
  return (heads + 2 * keyHeads) * headDim;
}

/**
 * What a delta-net keeps: f32 values in all, matrices of heads and then taps - 1 rows of channels; those of the matrices.
 */
export function stateOf(spec: DeltaNetSpec): { readonly values: number; readonly matrices: number } {
  const matrices = spec.heads * spec.headDim ** 2;
  return { values: matrices + (spec.taps - 1) * channelsOf(spec), matrices };
}

/** The largest of a number of each layer. */
export function largest(layers: readonly LayerSpec[], of: (spec: LayerSpec) => number): number {
  return Math.max(...layers.map(of));
}

/** The heads of a model's layers, each shape once. */
export function distinctHeads(layers: readonly LayerSpec[], config: ModelConfig): HeadsSpec[] {
  const found: HeadsSpec[] = [];
  for (const spec of layers) {
    const heads = headsOf(spec, config);
    if (!found.some((other) => sameHeads(other, heads))) found.push(heads);
  }
  return found;
}

/** Whether query heads share heads of keys and values in the same way. */
export function sameHeads(a: HeadsSpec, b: HeadsSpec): boolean {
  return a.nHeads === b.nHeads && a.nKvHeads === b.nKvHeads;
}
