// What the blocks of a layer have in common: how they read x, and how what they make is added to it.
import { ACT_F32 } from "../../../assembly/layout/blocks.ts";
import type { LayerSpec } from "../arch/spec.ts";
import { normPlaces } from "../weights/declare.ts";
import type { Matrix, Vector } from "../weights/weights.ts";
import { type Activations, activationsFor, biasRows, inputOf, tokenActs } from "./activations.ts";
import { hasResult, type Rows } from "./buffers.ts";
import type { PlanContext } from "./context.ts";
import type { PlanWriter } from "./writer.ts";

/** Writes x, or its norm, in the formats that some matrices take. */
export function readInput(
  { writer, buffers, config }: PlanContext,
  spec: LayerSpec,
  norm: Vector | undefined,
  matrices: readonly Matrix[],
): Activations {
  const { x } = buffers;
  const inputs = activationsFor(matrices, tokenActs(buffers));
  for (const [format, out] of inputs) {
    if (normPlaces(spec).before) {
      writer.norm({ rows: "tokens", spec: spec.norm, weight: norm ?? buffers.ones, x, out, format });
    } else writer.quantize({ x, out, n: config.dim, format });
  }
  writer.barrier();
  return inputs;
}

/** The products of a matrix and its input, with its bias. */
export function project(writer: PlanWriter, w: Matrix, inputs: Activations, out: Rows): void {
  writer.matmul({ rows: "tokens", w, x: inputOf(w, inputs), out, add: biasRows(w) });
}

/** Goes before {@link addProduct} in a segment that does not touch x otherwise: adds the bias of `w` to it. */
export function beginSum({ writer, buffers, config }: PlanContext, spec: LayerSpec, w: Matrix): void {
  const row = biasRows(w);
  if (row && !hasResult(spec)) writer.add({ x: buffers.x, row, n: config.dim });
}

/** x += W input, or what the layer makes of the product: its norm, its multiple. */
export function addProduct(
  { writer, buffers, config }: PlanContext,
  spec: LayerSpec,
  w: Matrix,
  input: Rows,
  norm: Vector | undefined,
): void {
  const { x, result } = buffers;
  if (!hasResult(spec)) {
    writer.matmul({ rows: "tokens", w, x: input, out: x, add: x });
    writer.barrier();
    return;
  }
  writer.matmul({ rows: "tokens", w, x: input, out: result, add: biasRows(w) });
  writer.barrier();
  const { dim: n } = config;
  const scale = spec.residualScale ?? 1;
  if (normPlaces(spec).after) {
    const weight = norm ?? buffers.ones;
    writer.normRows({ spec: spec.norm, weight, x: result, n, heads: 1, sum: x, scale });
  } else writer.add({ x, row: result, n, scale });
  writer.barrier();
}

/** f32 rows in the format that a matrix takes. */
export function asInput({ writer, buffers }: PlanContext, x: Rows, matrix: Matrix): Rows {
  if (matrix.format.activation === ACT_F32) return x;
  const out = buffers.act;
  writer.quantize({ x, out, n: matrix.cols, format: matrix.format.activation });
  writer.barrier();
  return out;
}
