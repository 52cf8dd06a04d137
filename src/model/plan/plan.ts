// Compiles a model into the records that assembly/plan/ runs: embedding, layers, logits.
import type { LayerSpec, Model } from "../arch/spec.ts";
import type { LayerCache } from "../kv_layout.ts";
import { type LayerWeights, type ModelWeights, projectionInputs } from "../weights/weights.ts";
import { biasRows } from "./activations.ts";
import { attend, projectHeads } from "./attention_block.ts";
import { readInput } from "./block.ts";
import type { Buffers } from "./buffers.ts";
import type { PlanContext } from "./context.ts";
import { expertsBlock } from "./experts_block.ts";
import { feedForward, feedForwardInputs, projectHidden } from "./feed_forward_block.ts";
import { type Plan, PlanWriter } from "./writer.ts";

/** The plan that computes logits. `caches` says where the keys and values of each layer lie. */
export function buildPlan(
  model: Model,
  weights: ModelWeights,
  buffers: Buffers,
  caches: readonly LayerCache[],
): Plan {
  const writer = new PlanWriter();
  const context = { writer, config: model.config, buffers, caches };
  embedding(context, model, weights);
  weights.layers.forEach((layer, i) => {
    const spec = model.layers[i] as LayerSpec;
    if (spec.parallel) parallelBlocks(context, spec, layer, i);
    else blocks(context, spec, layer, i);
    writer.endLayer();
  });
  logits(context, model, weights);
  return writer.done();
}

// Hidden states, and the angles of the step's positions for all layers.
function embedding({ writer, buffers, config }: PlanContext, model: Model, weights: ModelWeights): void {
  const { x } = buffers;
  writer.embed({ table: weights.embedding, scale: model.embedScale, out: x });
  for (const table of buffers.ropes) writer.angles({ table });
  writer.barrier();
  if (!weights.positions) return;
  const row = { address: weights.positions.address, stride: 4 * config.dim };
  writer.add({ x, row, n: config.dim, byPosition: true });
  writer.barrier();
}

// One block after the other.
function blocks(context: PlanContext, spec: LayerSpec, layer: LayerWeights, index: number): void {
  const inputs = readInput(context, spec, layer.attnNorm, projectionInputs(layer.projections));
  projectHeads(context, spec, layer, inputs);
  context.writer.barrier();
  attend(context, spec, layer, index);
  const block = layer.feedForward;
  if (block.experts) {
    expertsBlock(context, spec, layer, block);
    return;
  }
  projectHidden(context, block, readInput(context, spec, layer.ffnNorm, feedForwardInputs(block)));
  context.writer.barrier();
  feedForward(context, spec, layer, block);
}

// Both blocks read x before either has changed it.
function parallelBlocks(context: PlanContext, spec: LayerSpec, layer: LayerWeights, index: number): void {
  const { writer } = context;
  const block = layer.feedForward;
  if (block.experts) throw new Error("experts in a parallel layer");
  const [heads, hidden] = [projectionInputs(layer.projections), feedForwardInputs(block)];
  const shared = spec.parallel === "one norm";
  const inputs = readInput(context, spec, layer.attnNorm, shared ? [...heads, ...hidden] : heads);
  projectHeads(context, spec, layer, inputs);
  if (!shared) writer.barrier();
  projectHidden(context, block, shared ? inputs : readInput(context, spec, layer.ffnNorm, hidden));
  writer.barrier();
  attend(context, spec, layer, index);
  feedForward(context, spec, layer, block);
}

function logits({ writer, buffers, config }: PlanContext, model: Model, weights: ModelWeights): void {
  const { x, act, ones, logits: out } = buffers;
  const { output: w, outputNorm } = weights;
  const format = w.format.activation;
  const { outputNorm: spec, logitScale, logitCap } = model;
  writer.norm({ rows: "outputs", spec, weight: outputNorm ?? ones, x, out: act, format });
  writer.barrier();
  writer.matmul({ rows: "outputs", w, x: act, out, add: biasRows(w) });
  writer.barrier();
  if (logitScale === 1 && logitCap === undefined) return;
  const kind = logitCap === undefined ? "scale" : "cap";
  writer.map({
    rows: "outputs",
    x: out,
    n: config.vocabSize,
    kind,
    a: logitScale,
    ...(logitCap && { b: logitCap }),
  });
  writer.barrier();
}
