// Compiles a model into the records that assembly/plan/ runs: embedding, layers, logits.
import type { LayerSpec, Model } from "../arch/spec.ts";
import type { LayerCache } from "../kv_layout.ts";
import type { ModelWeights } from "../weights/weights.ts";
import { attentionBlock } from "./attention_block.ts";
import type { Buffers } from "./buffers.ts";
import type { PlanContext } from "./context.ts";
import { expertsBlock } from "./experts_block.ts";
import { feedForwardBlock } from "./feed_forward_block.ts";
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
    attentionBlock(context, spec, layer, i);
    const { feedForward } = layer;
    if (feedForward.experts) expertsBlock(context, spec, layer, feedForward);
    else feedForwardBlock(context, spec, layer, feedForward);
    writer.endLayer();
  });
  logits(context, model, weights);
  return writer.done();
}

// Hidden states, and the angles of the step's positions for all layers.
function embedding({ writer, buffers }: PlanContext, model: Model, weights: ModelWeights): void {
  writer.embed({ table: weights.embedding, scale: model.embedScale, out: buffers.x });
  for (const table of buffers.ropes) writer.angles({ table });
  writer.barrier();
}

function logits({ writer, buffers }: PlanContext, model: Model, weights: ModelWeights): void {
  const { x, act } = buffers;
  const { output, outputNorm } = weights;
  const format = output.format.activation;
  writer.norm({ rows: "outputs", spec: model.outputNorm, weight: outputNorm, x, out: act, format });
  writer.barrier();
  writer.matmul({ rows: "outputs", w: output, x: act, out: buffers.logits, add: undefined });
  writer.barrier();
}
