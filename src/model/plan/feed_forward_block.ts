// The feed-forward block of a layer without experts: x += down(act(gate(y)) * up(y)) with y = norm(x), or x += down(act(up(y))).
import type { LayerSpec } from "../arch/spec.ts";
import type { BlockWeights, LayerWeights, Matrix } from "../weights/weights.ts";
import { activationsFor, biasRows, inputOf, tokenActs } from "./activations.ts";
import type { Rows } from "./buffers.ts";
import type { PlanContext } from "./context.ts";

/** Writes the feed-forward block of a layer. */
export function feedForwardBlock(
  context: PlanContext,
  spec: LayerSpec,
  { ffnNorm }: LayerWeights,
  { gate, up, down }: BlockWeights,
): void {
  const { writer, buffers, config } = context;
  const { x } = buffers;
  const inputs = activationsFor(gate ? [gate, up] : [up], tokenActs(buffers));
  for (const [format, out] of inputs) {
    writer.norm({ rows: "tokens", spec: spec.norm, weight: ffnNorm, x, out, format });
  }
  writer.barrier();
  const project = (w: Matrix, out: Rows) =>
    writer.matmul({ rows: "tokens", w, x: inputOf(w, inputs), out, add: biasRows(w) });
  if (gate) project(gate, buffers.gate);
  project(up, buffers.up);
  writer.barrier();

  const out = buffers.act;
  const format = down.format.activation;
  const rows = gate ? { gate: buffers.gate, up: buffers.up } : { gate: buffers.up, up: undefined };
  // Nothing else touches x here.
  if (down.bias) writer.add({ x, row: down.bias });
  writer.glu({ spec: spec.feedForward, ...rows, out, n: config.hiddenDim, format });
  writer.barrier();
  writer.matmul({ rows: "tokens", w: down, x: out, out: x, add: x });
  writer.barrier();
}
