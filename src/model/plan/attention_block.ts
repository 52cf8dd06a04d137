// The attention block of a layer: x += output(attention(rope(q), rope(k), v)), with q, k and v of x or of its norm.
import type { HeadsSpec, LayerSpec } from "../arch/spec.ts";
import { headsOf, sameHeads } from "../heads.ts";
import type { LayerCache } from "../kv_layout.ts";
import { ropeTable, scoreGrowth } from "../rope.ts";
import type { LayerWeights } from "../weights/weights.ts";
import type { Activations } from "./activations.ts";
import { addProduct, asInput, beginSum, project } from "./block.ts";
import type { GatedBuffers, HeadTables, Rows } from "./buffers.ts";
import type { PlanContext } from "./context.ts";
import { latentHeads, latentValues, projectLatent } from "./latent_block.ts";
import { mix, projectMixer } from "./mixer_block.ts";

/** What the attention block needs of the layer's input. A barrier must follow. */
export function projectHeads(
  context: PlanContext,
  spec: LayerSpec,
  { projections }: LayerWeights,
  inputs: Activations,
): void {
  const isGated = spec.attention.gated;
  if (projections.latent) {
    projectLatent(context, projections, inputs);
    return;
  }
  if (projections.mixer) {
    projectMixer(context, projections, inputs);
    return;
  }
  const { writer, buffers } = context;
  project(writer, projections.q, inputs, isGated ? (buffers.gated as GatedBuffers).queries : buffers.q);
  project(writer, projections.k, inputs, buffers.k);
  project(writer, projections.v, inputs, buffers.v);
}

/** From there to what x has become: layer `index`. */
export function attend(context: PlanContext, spec: LayerSpec, layer: LayerWeights, index: number): void {
  const { writer, config, buffers, caches } = context;
  const { q, attention } = buffers;
  const { projections, sinks, attnOutput } = layer;
  if (projections.mixer) {
    mix(context, spec, layer, projections, index);
    return;
  }
  const heads = headsOf(spec, config);
  const { rope, cap, window } = spec.attention;
  const scale = spec.attention.scale * scoreGrowth(rope);
  const cache = caches[index] as LayerCache;
  if (projections.latent) latentHeads(context, spec, projections, cache);
  else storeHeads(context, spec, layer, cache);
  beginSum(context, spec, attnOutput);
  const tables = buffers.heads.find(({ shape }) => sameHeads(shape, heads)) as HeadTables;
  writer.attention({ q, out: attention, heads, tables, scale, cap, window, sinks, cache });
  writer.barrier();
  const result = projections.latent ? latentValues(context, spec, layer) : attention;
  const input = spec.attention.gated ? gate(context, layer, heads) : asInput(context, result, attnOutput);
  addProduct(context, spec, attnOutput, input, layer.attnPostNorm);
}

// What attention has given, times the sigmoid of its gates, as the output's input. A barrier follows.
function gate({ writer, buffers }: PlanContext, { attnOutput }: LayerWeights, heads: HeadsSpec): Rows {
  const { attention: up, act: out, gated } = buffers;
  const n = heads.nHeads * heads.headDim;
  const format = attnOutput.format.activation;
  writer.glu({ spec: "gate only", gate: (gated as GatedBuffers).gates, up, out, n, format });
  writer.barrier();
  return out;
}

// Each head's query, and then its gate.
function splitGates({ writer, buffers }: PlanContext, { nHeads: heads, headDim: n }: HeadsSpec): void {
  const { queries, gates } = buffers.gated as GatedBuffers;
  const apart = { heads, xHead: 2 * n, outHead: n, n };
  writer.copy({ x: queries, out: buffers.q, ...apart });
  const { address, stride } = queries;
  writer.copy({ x: { address: address + 4 * n, stride }, out: gates, ...apart });
  writer.barrier();
}

// Queries as attention takes them; keys and values go into the cache. A barrier follows.
function storeHeads(context: PlanContext, spec: LayerSpec, layer: LayerWeights, cache: LayerCache): void {
  const { writer, config, buffers } = context;
  const heads = headsOf(spec, config);
  if (spec.attention.gated) splitGates(context, heads);
  prepareHeads(context, spec, layer, heads);
  const { temperature, rope, headNorm } = spec.attention;
  const rotation = rope && { rope, angles: ropeTable(buffers.ropes, rope).angles };
  const { q, k, v } = buffers;
  if (headNorm?.late) {
    writer.ropeStore({ q, k, v, heads, rotation, cache: undefined });
    writer.barrier();
    normHeads(context, spec, layer, heads);
    writer.ropeStore({ q, k, v, heads, rotation: undefined, cache });
  } else writer.ropeStore({ q, k, v, heads, rotation, cache });
  writer.barrier();
  if (!temperature) return;
  const { scale: a, context: b } = temperature;
  writer.map({ rows: "tokens", x: q, n: heads.nHeads * heads.headDim, kind: "temperature", a, b });
  writer.barrier();
}

// What q and k, and v, go through before they are rotated.
function prepareHeads(context: PlanContext, spec: LayerSpec, layer: LayerWeights, heads: HeadsSpec): void {
  const { writer, buffers } = context;
  const { clamp, headNorm } = spec.attention;
  if (clamp !== undefined) {
    const [qDim, kvDim] = [heads.nHeads * heads.headDim, heads.nKvHeads * heads.headDim];
    const clampRows = (x: Rows, n: number) => writer.map({ rows: "tokens", x, n, kind: "clamp", a: clamp });
    clampRows(buffers.q, qDim);
    clampRows(buffers.k, kvDim);
    clampRows(buffers.v, kvDim);
    writer.barrier();
  }
  if (headNorm && !headNorm.late) normHeads(context, spec, layer, heads);
}

function normHeads(context: PlanContext, spec: LayerSpec, layer: LayerWeights, heads: HeadsSpec): void {
  const { writer, buffers } = context;
  const over = spec.attention.headNorm?.over;
  const { headDim, nHeads, nKvHeads } = heads;
  const all = [
    { weight: layer.qNorm, x: buffers.q, count: nHeads },
    { weight: layer.kNorm, x: buffers.k, count: nKvHeads },
  ];
  for (const { weight, x, count } of all) {
    if (!weight) continue;
    const shape = over === "row" ? { n: count * headDim, heads: 1 } : { n: headDim, heads: count };
    writer.normRows({ spec: spec.norm, weight, x, ...shape, own: over === "own head" });
  }
  if (layer.qNorm || layer.kNorm) writer.barrier();
}
