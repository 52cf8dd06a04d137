// Declares what weights a model needs: for each its tensor, the rows of it, the shape, and whether files must have it.
import type {
  AttentionSpec,
  ExpertsSpec,
  FeedForwardSpec,
  LayerPart,
  LayerSpec,
  Model,
  NormSpec,
  Presence,
} from "../arch/spec.ts";
import type { ModelConfig } from "../config.ts";
import { distinctRopes } from "../rope.ts";
import { expertOf, fused, type View, whole } from "./views.ts";

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
  /** Whether it is held as f32 whatever the options say: few values, on which much depends. */
  readonly precise?: boolean;
}

/** What a layer needs, in the order in which it lies in memory. */
export interface LayerNeeds {
  readonly attnNorm: VectorNeed;
  readonly q: MatrixNeed;
  readonly k: MatrixNeed;
  readonly v: MatrixNeed;
  readonly sinks?: VectorNeed | undefined;
  readonly attnOutput: MatrixNeed;
  readonly ffnNorm: VectorNeed;
  readonly feedForward: BlockNeeds | ExpertNeeds;
}

/** What a feed-forward block or an expert needs. */
export interface BlockNeeds {
  readonly experts?: undefined;
  readonly gate?: MatrixNeed | undefined;
  readonly up: MatrixNeed;
  readonly down: MatrixNeed;
}

/** What experts need: their number, the first of them, and what makes expert `i`. */
export interface ExpertNeeds {
  readonly router: MatrixNeed;
  readonly experts: number;
  expert(i: number): BlockNeeds;
}

/** What a model needs outside of its layers. */
export interface OuterNeeds {
  readonly embedding: MatrixNeed;
  readonly outputNorm: VectorNeed;
  /** Files that have none use the embedding again. */
  readonly output: MatrixNeed;
  /** Undefined if no rotation has such factors. */
  readonly ropeFactors?: VectorNeed | undefined;
  readonly longFactors?: VectorNeed | undefined;
  readonly shortFactors?: VectorNeed | undefined;
}

/** The weights of a layer. */
export function layerNeeds(spec: LayerSpec, config: ModelConfig): LayerNeeds {
  const { dim, headDim, nHeads } = config;
  const [q, k, v] = attentionNeeds(spec.attention, config);
  return {
    attnNorm: norm("attnNorm", spec.norm, dim),
    q,
    k,
    v,
    sinks: spec.attention.sinks ? vector(whole("sinks.weight", nHeads), "required") : undefined,
    attnOutput: biased("attnOutput", dim, nHeads * headDim, spec.attention.outputBias),
    ffnNorm: norm("ffnNorm", spec.norm, dim),
    feedForward: spec.feedForward.experts
      ? expertNeeds(spec.feedForward, spec.feedForward.experts, dim)
      : blockNeeds(spec.feedForward, config),
  };
}

/** The weights of a model outside of its layers. */
export function outerNeeds({ config, layers, outputNorm }: Model): OuterNeeds {
  const { dim, vocabSize } = config;
  const ropes = distinctRopes(layers.map(({ attention }) => attention.rope)).filter((rope) => rope.factors);
  const halves = new Set(ropes.map((rope) => rope.dim / 2));
  if (halves.size > 1) throw new Error(`rotary factors for ${[...halves].join(" and ")} pairs`);
  const [half = 0] = halves;
  const hasOptional = ropes.some((rope) => rope.factors === "optional");
  const hasLong = ropes.some((rope) => typeof rope.factors === "object");
  return {
    embedding: matrix(whole("embedding.weight", vocabSize), dim),
    outputNorm: norm("outputNorm", outputNorm, dim),
    output: matrix(whole("output.weight", vocabSize), dim),
    ropeFactors: hasOptional ? vector(whole("ropeFactors.weight", half), "optional") : undefined,
    longFactors: hasLong ? vector(whole("longFactors.weight", half), "required") : undefined,
    shortFactors: hasLong ? vector(whole("shortFactors.weight", half), "required") : undefined,
  };
}

function attentionNeeds({ qkv, bias }: AttentionSpec, config: ModelConfig) {
  const { dim, headDim, nHeads, nKvHeads } = config;
  const rows = [nHeads * headDim, nKvHeads * headDim, nKvHeads * headDim];
  const needs = matrices(["q", "k", "v"], rows, qkv === "fused" ? "qkv" : undefined, dim, bias);
  return needs as [MatrixNeed, MatrixNeed, MatrixNeed];
}

function blockNeeds(spec: FeedForwardSpec, { dim, hiddenDim }: ModelConfig): BlockNeeds {
  const down = biased("down", dim, hiddenDim, spec.downBias);
  if (!spec.gated) return { up: biased("up", hiddenDim, dim, spec.bias), down };
  const together = spec.gateUp === "fused" ? "gateUp" : undefined;
  const needs = matrices(["gate", "up"], [hiddenDim, hiddenDim], together, dim, spec.bias);
  const [gate, up] = needs as [MatrixNeed, MatrixNeed];
  return { gate, up, down };
}

function expertNeeds(spec: FeedForwardSpec, { n, hiddenDim, bias }: ExpertsSpec, dim: number): ExpertNeeds {
  const part = (name: LayerPart, i: number, rows: number, cols: number, presence: Presence | undefined) => {
    const of = (suffix: "weight" | "bias") => expertOf(`${name}.${suffix}`, n, i, rows);
    return matrix(of("weight"), cols, presence && vector(of("bias"), presence));
  };
  return {
    router: { ...biased("router", n, dim, bias), precise: true },
    experts: n,
    expert: (i) => ({
      gate: spec.gated ? part("gateExperts", i, hiddenDim, dim, spec.bias) : undefined,
      up: part("upExperts", i, hiddenDim, dim, spec.bias),
      down: part("downExperts", i, dim, hiddenDim, spec.downBias),
    }),
  };
}

function biased(part: LayerPart, rows: number, cols: number, bias: Presence | undefined): MatrixNeed {
  const [need] = matrices([part], [rows], undefined, cols, bias);
  return need as MatrixNeed;
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
