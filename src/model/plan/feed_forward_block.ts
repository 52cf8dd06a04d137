// The feed-forward block of a layer without experts: x += down(act(gate(y)) * up(y)), or x += down(act(up(y))), with y of x
// or of its norm.
import type { LayerSpec } from "../arch/spec.ts";
import { hiddenDimOf } from "../heads.ts";
import type { BlockWeights, LayerWeights, Matrix } from "../weights/weights.ts";
import type { Activations } from "./activations.ts";
import { addProduct, beginSum, project } from "./block.ts";
import type { PlanContext } from "./context.ts";

/** The matrices that read the block's input. */
export function feedForwardInputs({ gate, up }: BlockWeights): readonly Matrix[] {
  return gate ? [gate, up] : [up];
}

/** Gate and up of the block's input. A barrier must follow. */
export function projectHidden(
  { writer, buffers }: PlanContext,
  { gate, up }: BlockWeights,
  inputs: Activations,
): void {
  if (gate) project(writer, gate, inputs, buffers.gate);
  project(writer, up, inputs, buffers.up);
}

/** From gate and up to what x has become. */
export function feedForward(
  context: PlanContext,
  spec: LayerSpec,
  { ffnPostNorm }: LayerWeights,
  { gate, down }: BlockWeights,
): void {
  const { writer, buffers, config } = context;
  const out = buffers.act;
  const format = down.format.activation;
  const rows = gate ? { gate: buffers.gate, up: buffers.up } : { gate: buffers.up, up: undefined };
  beginSum(context, spec, down);
  writer.glu({ spec: spec.feedForward, ...rows, out, n: hiddenDimOf(spec, config), format });
  writer.barrier();
  addProduct(context, spec, down, out, ffnPostNorm);
}
