// Latent attention: the cache holds one short row for all heads. Queries are multiplied by what would make keys of it, and what
// attention gives is multiplied by what makes values of it (the absorbed form of both products).
import { BLOCK_COLS } from "../../../assembly/layout/blocks.ts";
import type { LatentSpec, LayerSpec } from "../arch/spec.ts";
import { headsOf } from "../heads.ts";
import type { LayerCache } from "../kv_layout.ts";
import { ropeTable } from "../rope.ts";
import type { LatentWeights, LayerWeights, Matrix } from "../weights/weights.ts";
import { type Activations, activationsFor } from "./activations.ts";
import { project } from "./block.ts";
import { type LatentBuffers, padded, type Rows } from "./buffers.ts";
import type { PlanContext } from "./context.ts";

/** The queries and the short row of the layer's input. A barrier must follow. */
export function projectLatent(context: PlanContext, weights: LatentWeights, inputs: Activations): void {
  const { writer, buffers } = context;
  const { queries, short } = buffers.latent as LatentBuffers;
  project(writer, weights.kvDown, inputs, buffers.k);
  project(writer, weights.qDown ?? weights.q, inputs, weights.qDown ? short : queries);
}

/** From these to queries of the cache in `buffers.q`, with the short row stored. A barrier follows. */
export function latentHeads(
  context: PlanContext,
  spec: LayerSpec,
  weights: LatentWeights,
  cache: LayerCache,
): void {
  const { writer, config, buffers } = context;
  const { queries, parts } = buffers.latent as LatentBuffers;
  const { rank, plainDim, ropeDim } = spec.attention.latent as LatentSpec;
  const heads = headsOf(spec, config);
  const { nHeads, headDim: cached } = heads;
  const own = plainDim + ropeDim;
  const { k } = buffers;
  longQueries(context, spec, weights);
  writer.normRows({ spec: spec.norm, weight: weights.kvDownNorm, x: k, n: rank, heads: 1 });
  // The parts of each head's query that meet the short row: products of what is not rotated.
  writer.copy({
    x: queries,
    out: parts,
    heads: nHeads,
    xHead: own,
    outHead: padded(plainDim, BLOCK_COLS),
    n: plainDim,
    zeros: padded(plainDim, BLOCK_COLS) - plainDim,
  });
  const { rope } = spec.attention;
  if (rope) {
    const rotation = { rope, angles: ropeTable(buffers.ropes, rope).angles };
    const rotate = (x: Rows, at: number, nHeads: number, headDim: number) => {
      const part = { address: x.address + 4 * at, stride: x.stride };
      writer.ropeStore({
        q: part,
        k,
        v: k,
        heads: { nHeads, nKvHeads: 0, headDim },
        rotation,
        cache: undefined,
      });
    };
    rotate(queries, plainDim, nHeads, own);
    rotate(k, rank, 1, cached);
  }
  writer.barrier();
  eachHead(context, weights.kUp, padded(plainDim, BLOCK_COLS), (h) => at(buffers.q, h * cached));
  writer.copy({
    x: at(queries, plainDim),
    out: at(buffers.q, rank),
    ...{ heads: nHeads, xHead: own, outHead: cached, n: ropeDim },
  });
  writer.ropeStore({ q: k, k, v: k, heads: { ...heads, nHeads: 0 }, rotation: undefined, cache });
  writer.barrier();
}

/** What attention has made of the cache becomes the values of each head, one behind the other. A barrier follows. */
export function latentValues(context: PlanContext, spec: LayerSpec, layer: LayerWeights): Rows {
  const { writer, config, buffers } = context;
  const { values, parts } = buffers.latent as LatentBuffers;
  const { rank, valueDim } = spec.attention.latent as LatentSpec;
  const { nHeads, headDim: cached } = headsOf(spec, config);
  writer.copy({
    x: buffers.attention,
    out: parts,
    ...{
      heads: nHeads,
      xHead: cached,
      outHead: padded(rank, BLOCK_COLS),
      n: rank,
      zeros: padded(rank, BLOCK_COLS) - rank,
    },
  });
  writer.barrier();
  eachHead(context, (layer.projections as LatentWeights).vUp, padded(rank, BLOCK_COLS), (h) =>
    at(values, h * valueDim),
  );
  writer.barrier();
  return values;
}

// Queries of a short row of their own.
function longQueries({ writer, buffers }: PlanContext, spec: LayerSpec, weights: LatentWeights): void {
  const { qDown, qDownNorm, q } = weights;
  if (!qDown || !qDownNorm) return;
  const { queries, short } = buffers.latent as LatentBuffers;
  const { length: n } = qDownNorm;
  writer.normRows({ spec: spec.norm, weight: qDownNorm, x: short, n, heads: 1 });
  writer.barrier();
  const inputs = activationsFor([q], [buffers.act]);
  for (const [format, out] of inputs) writer.quantize({ x: short, out, n, format });
  writer.barrier();
  project(writer, q, inputs, queries);
  writer.barrier();
}

// The product of each head's part, `width` values from one to the next, and a matrix of its own.
function eachHead(
  { writer, buffers }: PlanContext,
  matrices: readonly Matrix[],
  width: number,
  out: (head: number) => Rows,
): void {
  const { parts, acts } = buffers.latent as LatentBuffers;
  matrices.forEach((w, h) => {
    writer.quantize({
      x: at(parts, h * width),
      out: acts[h] as Rows,
      n: w.cols,
      format: w.format.activation,
    });
  });
  writer.barrier();
  matrices.forEach((w, h) => {
    writer.matmul({ rows: "tokens", w, x: acts[h] as Rows, out: out(h), add: undefined });
  });
}

function at({ address, stride }: Rows, values: number): Rows {
  return { address: address + 4 * values, stride };
}
