// What stands in the place of attention in some layers: x += output(mix(x or its norm)), with what the cache has of the
// positions before.
import type { DeltaNetSpec, LayerSpec } from "../arch/spec.ts";
import type { LayerCache } from "../kv_layout.ts";
import type { ConvWeights, DeltaWeights, LayerWeights } from "../weights/weights.ts";
import type { Activations } from "./activations.ts";
import { addProduct, asInput, beginSum, project } from "./block.ts";
import type { MixerBuffers, Rows } from "./buffers.ts";
import type { PlanContext } from "./context.ts";

/** What a mixer needs of the layer's input. A barrier must follow. */
export function projectMixer(
  { writer, buffers }: PlanContext,
  weights: ConvWeights | DeltaWeights,
  inputs: Activations,
): void {
  const { input, gate, alpha, beta } = buffers.mixer as MixerBuffers;
  if (weights.mixer === "short convolution") {
    project(writer, weights.input, inputs, input);
    return;
  }
  project(writer, weights.qkv, inputs, input);
  project(writer, weights.gate, inputs, gate);
  project(writer, weights.alpha, inputs, alpha);
  project(writer, weights.beta, inputs, beta);
}

/** From there to what x has become: layer `index`. */
export function mix(
  context: PlanContext,
  spec: LayerSpec,
  layer: LayerWeights,
  weights: ConvWeights | DeltaWeights,
  index: number,
): void {
  const { writer, config, buffers } = context;
  const { input, mixed } = buffers.mixer as MixerBuffers;
  const { attnOutput } = layer;
  const cache = context.caches[index] as LayerCache;
  const { dim } = config;
  const { kernel } = weights;
  const { taps } = spec.mixer as NonNullable<LayerSpec["mixer"]>;
  const isConv = weights.mixer === "short convolution";
  beginSum(context, spec, attnOutput);
  // p, c and u.
  const beside = isConv ? { beside: { times: 2 * dim, gate: dim } } : {};
  writer.conv({ x: input, ...beside, out: mixed, kernel, taps, cache });
  writer.barrier();
  const result = isConv
    ? asInput(context, mixed, attnOutput)
    : deltaNet(context, spec, layer, weights, cache);
  addProduct(context, spec, attnOutput, result, layer.attnPostNorm);
}

// The output's input. A barrier follows.
function deltaNet(
  { writer, buffers }: PlanContext,
  spec: LayerSpec,
  { attnOutput }: LayerWeights,
  { norm, rates }: DeltaWeights,
  cache: LayerCache,
): Rows {
  const { mixed, heads: out, gate, alpha, beta } = buffers.mixer as MixerBuffers;
  const delta = spec.mixer as DeltaNetSpec;
  const { heads, keyHeads, headDim: n } = delta;
  // Queries and keys have a length of 1: eps is that of the sum of squares, not of their mean.
  const unit = { kind: "rms", eps: spec.norm.eps / n } as const;
  writer.normRows({ spec: unit, weight: buffers.ones, x: mixed, n, heads: 2 * keyHeads });
  writer.barrier();
  writer.delta({ spec: delta, x: mixed, out, alpha, beta, rates, cache });
  writer.barrier();
  writer.normRows({ spec: spec.norm, weight: norm, x: out, n, heads });
  writer.barrier();
  const { activation: format } = attnOutput.format;
  writer.glu({ spec: GATED, gate, up: out, out: buffers.act, n: heads * n, format });
  writer.barrier();
  return buffers.act;
}

const GATED = { gated: true, act: "silu", gateUp: "split" } as const;
