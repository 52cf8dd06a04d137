// Declares what weights a model needs: for each its tensor, the rows of it, the shape, and whether files must have it.
import type {
  AttentionSpec,
  FeedForwardSpec,
  LayerPart,
  LayerSpec,
  Model,
  NormSpec,
  Presence,
} from "../arch/spec.ts";
import type { ModelConfig } from "../config.ts";
import { distinctRopes } from "../rope.ts";
import { fused, type View, whole } from "./views.ts";

/** A vector that a model needs. */
export interface VectorNeed {
  readonly kind: "vector";
  readonly view: View;
  readonly presence: Presence;
  readonly bias?: VectorNeed | undefined;
}

/** A matrix that a model needs. */
export interface MatrixNeed {
  readonly kind: "matrix";
  readonly view: View;
  readonly cols: number;
  readonly bias?: VectorNeed | undefined;
}

/** What a layer needs, in the order in which it lies in memory. */
export interface LayerNeeds {
  readonly attnNorm: VectorNeed;
  readonly q: MatrixNeed;
  readonly k: MatrixNeed;
  readonly v: MatrixNeed;
  readonly attnOutput: MatrixNeed;
  readonly ffnNorm: VectorNeed;
  readonly gate?: MatrixNeed | undefined;
  readonly up: MatrixNeed;
  readonly down: MatrixNeed;
}

/** What a model needs outside of its layers. */
export interface OuterNeeds {
  readonly embedding: MatrixNeed;
  readonly outputNorm: VectorNeed;
  /** Files that have none use the embedding again. */
  readonly output: MatrixNeed;
  /** Undefined if no rotation has factors. */
  readonly ropeFactors?: VectorNeed | undefined;
}

/** The weights of a layer. */
export function layerNeeds(spec: LayerSpec, config: ModelConfig): LayerNeeds {
  const { dim, hiddenDim, headDim, nHeads } = config;
  const [q, k, v] = attentionNeeds(spec.attention, config);
  const { gate, up } = feedForwardNeeds(spec.feedForward, config);
  return {
    attnNorm: norm("attnNorm", spec.norm, dim),
    q,
    k,
    v,
    attnOutput: matrix(whole("attnOutput.weight", dim), nHeads * headDim),
    ffnNorm: norm("ffnNorm", spec.norm, dim),
    gate,
    up,
    down: matrix(whole("down.weight", dim), hiddenDim),
  };
}

/** The weights of a model outside of its layers. */
export function outerNeeds({ config, layers, outputNorm }: Model): OuterNeeds {
  const { dim, vocabSize } = config;
  const ropes = distinctRopes(layers.map(({ attention }) => attention.rope)).filter((rope) => rope.factors);
  const halves = new Set(ropes.map((rope) => rope.dim / 2));
  if (halves.size > 1) throw new Error(`rotary factors for ${[...halves].join(" and ")} pairs`);
  const [half] = halves;
  return {
    embedding: matrix(whole("embedding.weight", vocabSize), dim),
    outputNorm: norm("outputNorm", outputNorm, dim),
    output: matrix(whole("output.weight", vocabSize), dim),
    ropeFactors: half ? vector(whole("ropeFactors.weight", half), "optional") : undefined,
  };
}

function attentionNeeds({ qkv, bias }: AttentionSpec, config: ModelConfig) {
  const { dim, headDim, nHeads, nKvHeads } = config;
  const rows = [nHeads * headDim, nKvHeads * headDim, nKvHeads * headDim];
  const needs = matrices(["q", "k", "v"], rows, qkv === "fused" ? "qkv" : undefined, dim, bias);
  return needs as [MatrixNeed, MatrixNeed, MatrixNeed];
}

function feedForwardNeeds(spec: FeedForwardSpec, { dim, hiddenDim }: ModelConfig) {
  if (!spec.gated) {
    const [up] = matrices(["up"], [hiddenDim], undefined, dim, spec.bias) as [MatrixNeed];
    return { gate: undefined, up };
  }
  const together = spec.gateUp === "fused" ? "gateUp" : undefined;
  const needs = matrices(["gate", "up"], [hiddenDim, hiddenDim], together, dim, spec.bias);
  const [gate, up] = needs as [MatrixNeed, MatrixNeed];
  return { gate, up };
}

// Matrices with the same columns: one tensor for each part, or all of them in the tensor `together`.
function matrices(
  parts: readonly LayerPart[],
  rows: readonly number[],
  together: LayerPart | undefined,
  cols: number,
  bias: Presence | undefined,
): MatrixNeed[] {
  const views = (suffix: "weight" | "bias") =>
    together
      ? fused(`${together}.${suffix}`, rows)
      : parts.map((part, i) => whole(`${part}.${suffix}`, rows[i] as number));
  const biases = bias && views("bias").map((view) => vector(view, bias));
  return views("weight").map((view, i) => matrix(view, cols, biases?.[i]));
}

function norm(part: "attnNorm" | "ffnNorm" | "outputNorm", spec: NormSpec, length: number): VectorNeed {
  const bias =
    spec.kind === "layer" && spec.bias ? vector(whole(`${part}.bias`, length), spec.bias) : undefined;
  return vector(whole(`${part}.weight`, length), "required", bias);
}

function matrix(view: View, cols: number, bias?: VectorNeed): MatrixNeed {
  return { kind: "matrix", view, cols, bias };
}

function vector(view: View, presence: Presence, bias?: VectorNeed): VectorNeed {
  return { kind: "vector", view, presence, bias };
}
