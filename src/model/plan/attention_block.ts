// The attention block of a layer: x += output(attention(rope(q), rope(k), v)), with q, k and v of x or of its norm.
import type { HeadsSpec, LayerSpec } from "../arch/spec.ts";
import { headsOf, sameHeads } from "../heads.ts";
import { ropeTable } from "../rope.ts";
import type { LayerWeights, Matrix } from "../weights/weights.ts";
import type { Activations } from "./activations.ts";
import { addProduct, asInput, beginSum, project } from "./block.ts";
import type { HeadTables, Rows } from "./buffers.ts";
import type { PlanContext } from "./context.ts";

/** The matrices that read a layer's input. */
export function attentionInputs({ q, k, v }: LayerWeights): readonly Matrix[] {
  return [q, k, v];
}

/** q, k and v of the layer's input. A barrier must follow. */
export function projectHeads(
  { writer, buffers }: PlanContext,
  { q, k, v }: LayerWeights,
  inputs: Activations,
): void {
  project(writer, q, inputs, buffers.q);
  project(writer, k, inputs, buffers.k);
  project(writer, v, inputs, buffers.v);
}

/** From q, k and v to what x has become: layer `index`. */
export function attend(context: PlanContext, spec: LayerSpec, layer: LayerWeights, index: number): void {
  const { writer, config, buffers } = context;
  const heads = headsOf(spec, config);
  const cache = { kv: context.kv, offset: index * heads.nKvHeads * context.kv.headBytes };
  prepareHeads(context, spec, layer, heads);
  const { scale, cap, temperature, window, rope } = spec.attention;
  const rotation = rope && { rope, angles: ropeTable(buffers.ropes, rope).angles };
  const { q, k, v, attention } = buffers;
  if (spec.attention.headNorm?.late) {
    writer.ropeStore({ q, k, v, heads, rotation, cache: undefined });
    writer.barrier();
    normHeads(context, spec, layer, heads);
    writer.ropeStore({ q, k, v, heads, rotation: undefined, cache });
  } else writer.ropeStore({ q, k, v, heads, rotation, cache });
  writer.barrier();
  if (temperature) {
    const { scale: a, context: b } = temperature;
    writer.map({ rows: "tokens", x: q, n: heads.nHeads * heads.headDim, kind: "temperature", a, b });
    writer.barrier();
  }
  beginSum(context, spec, layer.attnOutput);
  const tables = buffers.heads.find(({ shape }) => sameHeads(shape, heads)) as HeadTables;
  writer.attention({ q, out: attention, heads, tables, scale, cap, window, sinks: layer.sinks, cache });
  writer.barrier();
  const attended = asInput(context, attention, layer.attnOutput);
  addProduct(context, spec, layer.attnOutput, attended, layer.attnPostNorm);
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
