// The feed-forward block of a layer with experts: x += the sum over a token's experts of share * down(act(gate(y)) * up(y)),
// with y = norm(x). A token's row for one of its experts is a slot; slots of an expert lie together.
import { ACT_F32 } from "../../../assembly/layout/blocks.ts";
import type { ExpertsSpec, LayerSpec } from "../arch/spec.ts";
import type { BlockWeights, ExpertWeights, LayerWeights, Matrix } from "../weights/weights.ts";
import { activationsFor, biasRows, inputOf } from "./activations.ts";
import type { ExpertBuffers, Rows } from "./buffers.ts";
import type { PlanContext } from "./context.ts";

/** Writes the experts of a layer. */
export function expertsBlock(
  context: PlanContext,
  spec: LayerSpec,
  { ffnNorm }: LayerWeights,
  { router, experts }: ExpertWeights,
): void {
  const { writer, config, buffers } = context;
  const { x, act, ones } = buffers;
  const slots = buffers.experts as ExpertBuffers;
  const { route } = slots;
  const { used, hiddenDim } = spec.feedForward.experts as ExpertsSpec;
  writer.norm({ rows: "tokens", spec: spec.norm, weight: ffnNorm ?? ones, x, out: act, format: ACT_F32 });
  writer.barrier();
  writer.matmul({ rows: "tokens", w: router, x: act, out: slots.router, add: biasRows(router) });
  writer.barrier();
  writer.route({ spec: scaled(spec), buffers: slots });
  writer.barrier();

  const [{ gate, up, down }] = experts;
  const inputs = activationsFor(gate ? [gate, up] : [up], slots.acts);
  for (const [format, out] of inputs) writer.quantize({ x: act, out, n: config.dim, format, route });
  writer.barrier();
  const project = (of: (block: BlockWeights) => Matrix, first: Matrix, out: Rows) =>
    writer.experts({ route, used, weights: experts.map(of), x: inputOf(first, inputs), out });
  if (gate) project((block) => block.gate as Matrix, gate, slots.gate);
  project((block) => block.up, up, slots.up);
  writer.barrier();

  const out = slots.acts[0] as Rows;
  const rows = gate ? { gate: slots.gate, up: slots.up } : { gate: slots.up, up: undefined };
  const format = down.format.activation;
  writer.glu({ spec: spec.feedForward, ...rows, out, n: hiddenDim, format, route });
  writer.barrier();
  writer.experts({ route, used, weights: experts.map((block) => block.down), x: out, out: slots.gate });
  writer.barrier();
  writer.combine({ route, used, slots: slots.gate, x, n: config.dim });
  writer.barrier();
}

// Shares have the factor of what the layer adds to x.
function scaled({ feedForward, residualScale = 1 }: LayerSpec): ExpertsSpec {
  const experts = feedForward.experts as ExpertsSpec;
  return { ...experts, scale: (experts.scale ?? 1) * residualScale };
}
