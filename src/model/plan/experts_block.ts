// The feed-forward block of a layer with experts: x += the sum over a token's experts of share * down(act(gate(y)) * up(y)),
// with y = norm(x), and that of an expert that works on every token. A token's row for one of its experts is a slot; slots of
// an expert lie together.
import type { ExpertsSpec, LayerSpec } from "../arch/spec.ts";
import { normPlaces } from "../weights/declare.ts";
import type { BlockWeights, ExpertWeights, LayerWeights, Matrix } from "../weights/weights.ts";
import { type Activations, activationsFor, inputOf, tokenActs } from "./activations.ts";
import { project as projectTokens } from "./block.ts";
import type { ExpertBuffers, Rows } from "./buffers.ts";
import type { PlanContext } from "./context.ts";

/** Writes the experts of a layer. */
export function expertsBlock(
  context: PlanContext,
  spec: LayerSpec,
  layer: LayerWeights,
  weights: ExpertWeights,
): void {
  const { writer, buffers } = context;
  const slots = buffers.experts as ExpertBuffers;
  const experts = spec.feedForward.experts as ExpertsSpec;
  const inputs = normalize(context, spec, layer, weights);
  // Shares have the factor of what the layer adds to x, unless a norm comes first.
  const scale = normPlaces(spec).after ? 1 : (spec.residualScale ?? 1);
  writer.route({ spec: experts, weights, x: inputOf(weights.router, inputs), scale, buffers: slots });
  writer.barrier();
  project(context, experts, weights, inputs);
  activate(context, spec, weights);
  combine(context, spec, layer, weights);
}

// The input of tokens in each format that something reads.
function normalize(
  { writer, config, buffers }: PlanContext,
  spec: LayerSpec,
  { ffnNorm }: LayerWeights,
  { router, shared, experts }: ExpertWeights,
): Activations {
  const { x, ones } = buffers;
  const always = [router, ...(shared ? inputMatrices(shared) : [])];
  const inputs = activationsFor([...always, ...inputMatrices(experts[0])], tokenActs(buffers));
  for (const [format, out] of inputs) {
    if (normPlaces(spec).before) {
      writer.norm({ rows: "tokens", spec: spec.norm, weight: ffnNorm ?? ones, x, out, format });
    } else writer.quantize({ x, out, n: config.dim, format });
    // Experts of several tokens read slots.
    if (!always.some((matrix) => matrix.format.activation === format)) writer.leaveOut("several");
  }
  writer.barrier();
  return inputs;
}

// Gate and up of all experts.
function project(
  { writer, config, buffers }: PlanContext,
  { used }: ExpertsSpec,
  { router, shared, experts }: ExpertWeights,
  inputs: Activations,
): void {
  const slots = buffers.experts as ExpertBuffers;
  const { route } = slots;
  const [first] = experts;
  const slotInputs = activationsFor(inputMatrices(first), slots.acts);
  for (const [format, out] of slotInputs) {
    writer.quantize({ x: inputOf(router, inputs), out, n: config.dim, format, route });
    writer.leaveOut("one token");
    writer.barrier();
  }
  const { gate, up } = buffers;
  if (shared?.gate) projectTokens(writer, shared.gate, inputs, gate);
  if (shared) projectTokens(writer, shared.up, inputs, up);
  const slot = (of: (block: BlockWeights) => Matrix, out: Rows) => {
    const w = of(first);
    const alone = inputOf(w, inputs);
    writer.experts({ route, used, weights: experts.map(of), x: inputOf(w, slotInputs), out, alone });
  };
  if (first.gate) slot((block) => block.gate as Matrix, slots.gate);
  slot((block) => block.up, slots.up);
  writer.barrier();
}

// The activation between up and down.
function activate(
  { writer, buffers }: PlanContext,
  spec: LayerSpec,
  { shared, experts }: ExpertWeights,
): void {
  const slots = buffers.experts as ExpertBuffers;
  const { gate, up, act } = buffers;
  const hidden = { spec: spec.feedForward };
  if (shared) {
    const rows = shared.gate ? { gate, up } : { gate: up, up: undefined };
    const { cols: n, format } = shared.down;
    writer.glu({ ...hidden, ...rows, out: act, n, format: format.activation });
  }
  const [{ gate: gates, down }] = experts;
  const rows = gates ? { gate: slots.gate, up: slots.up } : { gate: slots.up, up: undefined };
  const format = down.format.activation;
  const out = slots.acts[0] as Rows;
  writer.glu({ ...hidden, ...rows, out, n: down.cols, format, route: slots.route });
  writer.barrier();
}

function combine(
  { writer, config, buffers }: PlanContext,
  spec: LayerSpec,
  { ffnPostNorm }: LayerWeights,
  { shared, experts }: ExpertWeights,
): void {
  const { x, act, result, ones } = buffers;
  const { after } = normPlaces(spec);
  const { dim: n } = config;
  const { used } = spec.feedForward.experts as ExpertsSpec;
  const { route, acts, gate, sharedSlot } = buffers.experts as ExpertBuffers;
  writer.combine({
    route,
    used,
    weights: experts.map((block) => block.down),
    x: acts[0] as Rows,
    slots: gate,
    shared: shared && { w: shared.down, x: act, slot: sharedSlot },
    add: after ? undefined : x,
    out: after ? result : x,
    n,
  });
  writer.barrier();
  if (!after) return;
  const weight = ffnPostNorm ?? ones;
  const scale = spec.residualScale ?? 1;
  writer.normRows({ spec: spec.norm, weight, x: result, n, heads: 1, sum: x, scale });
  writer.barrier();
}

function inputMatrices({ gate, up }: BlockWeights): readonly Matrix[] {
  return gate ? [gate, up] : [up];
}
