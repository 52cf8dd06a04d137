// The attention block of a layer: x += output(attention(rope(q), rope(k), v)), with q, k and v of norm(x).
import { ACT_F32 } from "../../../assembly/layout/blocks.ts";
import type { LayerSpec } from "../arch/spec.ts";
import type { LayerCache } from "../kv_layout.ts";
import { ropeTable } from "../rope.ts";
import type { LayerWeights, Matrix } from "../weights/weights.ts";
import { activationsFor, biasRows, inputOf, tokenActs } from "./activations.ts";
import type { Rows } from "./buffers.ts";
import type { PlanContext } from "./context.ts";

/** Writes the attention block of layer `index`. */
export function attentionBlock(
  context: PlanContext,
  spec: LayerSpec,
  layer: LayerWeights,
  index: number,
): void {
  const { writer, buffers, config, caches } = context;
  const { x, attention } = buffers;
  const { attnNorm, q, k, v, sinks, attnOutput } = layer;
  const inputs = activationsFor([q, k, v], tokenActs(buffers));
  for (const [format, out] of inputs) {
    writer.norm({ rows: "tokens", spec: spec.norm, weight: attnNorm, x, out, format });
  }
  writer.barrier();
  const project = (w: Matrix, out: Rows) =>
    writer.matmul({ rows: "tokens", w, x: inputOf(w, inputs), out, add: biasRows(w) });
  project(q, buffers.q);
  project(k, buffers.k);
  project(v, buffers.v);
  writer.barrier();

  const { rope, scale, window } = spec.attention;
  const rotation = rope && { rope, angles: ropeTable(buffers.ropes, rope).angles };
  const cache = caches[index] as LayerCache;
  writer.ropeStore({ q: buffers.q, k: buffers.k, v: buffers.v, heads: config, rotation, cache });
  writer.barrier();
  // Nothing else touches x here.
  if (attnOutput.bias) writer.add({ x, row: attnOutput.bias });
  writer.attention({
    q: buffers.q,
    out: attention,
    heads: config,
    tables: buffers,
    scale,
    window,
    sinks,
    cache,
  });
  writer.barrier();

  const attended = asInput(context, attention, attnOutput);
  writer.matmul({ rows: "tokens", w: attnOutput, x: attended, out: x, add: x });
  writer.barrier();
}

// f32 rows in the format that a matrix takes.
function asInput({ writer, buffers }: PlanContext, x: Rows, matrix: Matrix): Rows {
  if (matrix.format.activation === ACT_F32) return x;
  const out = buffers.act;
  writer.quantize({ x, out, n: matrix.cols, format: matrix.format.activation });
  writer.barrier();
  return out;
}
