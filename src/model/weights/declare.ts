// Declares what weights a model needs: for each its tensor, the rows of it, the shape, and whether files must have it.
import type {
  AttentionSpec,
  DeltaNetSpec,
  ExpertsSpec,
  FeedForwardSpec,
  HeadsSpec,
  LatentSpec,
  LayerPart,
  LayerSpec,
  Model,
  NormSpec,
  Presence,
  Role,
  ShortConvSpec,
} from "../arch/spec.ts";
import type { ModelConfig } from "../config.ts";
import { channelsOf, headsOf, hiddenDimOf } from "../heads.ts";
import { distinctRopes } from "../rope.ts";
import { expertOf, fused, tableOf, type View, whole } from "./views.ts";

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
  readonly attnNorm?: VectorNeed | undefined;
  readonly projections: ProjectionNeeds;
  readonly qNorm?: VectorNeed | undefined;
  readonly kNorm?: VectorNeed | undefined;
  readonly sinks?: VectorNeed | undefined;
  readonly attnOutput: MatrixNeed;
  readonly attnPostNorm?: VectorNeed | undefined;
  readonly ffnNorm?: VectorNeed | undefined;
  readonly ffnPostNorm?: VectorNeed | undefined;
  readonly feedForward: BlockNeeds | ExpertNeeds;
}

/** What queries, keys and values are made by. */
export type ProjectionNeeds =
  | {
      readonly latent?: undefined;
      readonly mixer?: undefined;
      readonly q: MatrixNeed;
      readonly k: MatrixNeed;
      readonly v: MatrixNeed;
    }
  | {
      readonly latent?: undefined;
      readonly mixer: "short convolution";
      readonly input: MatrixNeed;
      readonly kernel: VectorNeed;
    }
  | {
      readonly latent?: undefined;
      readonly mixer: "delta net";
      readonly qkv: MatrixNeed;
      readonly kernel: VectorNeed;
      readonly gate: MatrixNeed;
      readonly norm: VectorNeed;
      readonly alpha: MatrixNeed;
      readonly beta: MatrixNeed;
      readonly rates: VectorNeed;
    }
  | {
      readonly latent: true;
      readonly mixer?: undefined;
      readonly qDown?: MatrixNeed | undefined;
      readonly qDownNorm?: VectorNeed | undefined;
      readonly q: MatrixNeed;
      readonly kvDown: MatrixNeed;
      readonly kvDownNorm: VectorNeed;
      /** Of each head. */
      readonly kUp: readonly MatrixNeed[];
      readonly vUp: readonly MatrixNeed[];
    };

/** What a feed-forward block or an expert needs. */
export interface BlockNeeds {
  readonly experts?: undefined;
  readonly gate?: MatrixNeed | undefined;
  readonly up: MatrixNeed;
  readonly down: MatrixNeed;
}

/** What experts need: their number, what makes expert `i`, and what stands beside them. */
export interface ExpertNeeds {
  readonly router: MatrixNeed;
  readonly choiceBias?: VectorNeed | undefined;
  readonly experts: number;
  expert(i: number): BlockNeeds;
  readonly shared?: BlockNeeds | undefined;
  readonly sharedGate?: VectorNeed | undefined;
}

/** What a model needs outside of its layers. */
export interface OuterNeeds {
  readonly embedding: MatrixNeed;
  /** A row of `dim` values for each position. */
  readonly positions?: VectorNeed | undefined;
  readonly outputNorm?: VectorNeed | undefined;
  /** Files that have none use the embedding again. */
  readonly output: MatrixNeed;
  /** Undefined if no rotation has such factors. */
  readonly ropeFactors?: VectorNeed | undefined;
  readonly longFactors?: VectorNeed | undefined;
  readonly shortFactors?: VectorNeed | undefined;
}

/** Where the norms of a layer stand. */
export function normPlaces({ norms = "before" }: LayerSpec): {
  readonly before: boolean;
  readonly after: boolean;
} {
  return { before: norms !== "after", after: norms !== "before" };
}

/** The weights of a layer. */
export function layerNeeds(spec: LayerSpec, config: ModelConfig): LayerNeeds {
  const { dim } = config;
  const { attention, feedForward } = spec;
  const heads = headsOf(spec, config);
  const { nHeads, headDim } = heads;
  const { latent } = attention;
  const { before, after } = normPlaces(spec);
  const normOf = (part: NormPart, is: boolean) => (is ? norm(part, spec.norm, dim) : undefined);
  return {
    attnNorm: normOf("attnNorm", before),
    ...(spec.mixer
      ? mixerNeeds(spec.mixer, dim)
      : {
          projections: latent ? latentNeeds(latent, nHeads, dim) : attentionNeeds(attention, heads, dim),
          attnOutput: biased("attnOutput", dim, nHeads * (latent?.valueDim ?? headDim), attention.outputBias),
        }),
    ...headNorms(attention, heads),
    sinks: attention.sinks ? vector(whole("sinks.weight", nHeads), "required") : undefined,
    attnPostNorm: normOf("attnPostNorm", after),
    ffnNorm: normOf("ffnNorm", before && spec.parallel !== "one norm"),
    ffnPostNorm: normOf("ffnPostNorm", after),
    feedForward: feedForward.experts
      ? expertNeeds(feedForward, feedForward.experts, dim)
      : blockNeeds(feedForward, dim, hiddenDimOf(spec, config)),
  };
}

/** The weights of a model outside of its layers. */
export function outerNeeds({ config, layers, outputNorm, positions, outputBias }: Model): OuterNeeds {
  const { dim, vocabSize, contextLength } = config;
  const ropes = distinctRopes(layers.map(({ attention }) => attention.rope)).filter((rope) => rope.factors);
  const halves = new Set(ropes.map((rope) => rope.dim / 2));
  if (halves.size > 1) throw new Error(`rotary factors for ${[...halves].join(" and ")} pairs`);
  const [half = 0] = halves;
  const hasOptional = ropes.some((rope) => rope.factors === "optional");
  const hasLong = ropes.some((rope) => typeof rope.factors === "object");
  return {
    embedding: matrix(whole("embedding.weight", vocabSize), dim),
    positions: positions ? vector(tableOf("positions.weight", contextLength, dim), "required") : undefined,
    outputNorm: norm("outputNorm", outputNorm, dim),
    output: biased("output", vocabSize, dim, outputBias),
    ropeFactors: hasOptional ? vector(whole("ropeFactors.weight", half), "optional") : undefined,
    longFactors: hasLong ? vector(whole("longFactors.weight", half), "required") : undefined,
    shortFactors: hasLong ? vector(whole("shortFactors.weight", half), "required") : undefined,
  };
}

function mixerNeeds(
  mixer: ShortConvSpec | DeltaNetSpec,
  dim: number,
): Pick<LayerNeeds, "projections" | "attnOutput"> {
  const { kind, taps } = mixer;
  const need = (role: Role, rows: number) => matrix(whole(role, rows), dim);
  const kernel = (role: Role, rows: number) => vector(tableOf(role, rows, taps), "required");
  if (kind === "short convolution") {
    const [input, of] = [need("convInput.weight", 3 * dim), kernel("convKernel.weight", dim)];
    return {
      projections: { mixer: kind, input, kernel: of },
      attnOutput: biased("convOutput", dim, dim, undefined),
    };
  }
  const { heads, headDim } = mixer;
  const [inner, qkv] = [heads * headDim, channelsOf(mixer)];
  const time = vector(whole("deltaTime.bias", heads), "required");
  return {
    projections: {
      mixer: kind,
      qkv: need("qkv.weight", qkv),
      kernel: kernel("deltaKernel.weight", qkv),
      gate: need("deltaGate.weight", inner),
      norm: vector(whole("deltaNorm.weight", headDim), "required"),
      alpha: { ...need("deltaAlpha.weight", heads), bias: time, precise: true },
      beta: { ...need("deltaBeta.weight", heads), precise: true },
      rates: vector(whole("deltaRates.weight", heads), "required"),
    },
    attnOutput: biased("deltaOutput", dim, inner, undefined),
  };
}

function attentionNeeds(
  { qkv, bias, gated }: AttentionSpec,
  { headDim, nHeads, nKvHeads }: HeadsSpec,
  dim: number,
): ProjectionNeeds {
  const rows = [nHeads * headDim * (gated ? 2 : 1), nKvHeads * headDim, nKvHeads * headDim];
  const needs = matrices(["q", "k", "v"], rows, qkv === "fused" ? "qkv" : undefined, dim, bias);
  const [q, k, v] = needs as [MatrixNeed, MatrixNeed, MatrixNeed];
  return { q, k, v };
}

function latentNeeds(spec: LatentSpec, nHeads: number, dim: number): ProjectionNeeds {
  const { queryRank, rank, plainDim, ropeDim, valueDim } = spec;
  const queries = nHeads * (plainDim + ropeDim);
  const ofHeads = (role: Role, rows: number, cols: number) =>
    Array.from({ length: nHeads }, (_, i) => matrix(expertOf(role, nHeads, i, [rows])[0] as View, cols));
  return {
    latent: true,
    ...(queryRank
      ? {
          qDown: matrix(whole("qDown.weight", queryRank), dim),
          qDownNorm: vector(whole("qDownNorm.weight", queryRank), "required"),
          q: matrix(whole("qUp.weight", queries), queryRank),
        }
      : { q: matrix(whole("q.weight", queries), dim) }),
    kvDown: matrix(whole("kvDown.weight", rank + ropeDim), dim),
    kvDownNorm: vector(whole("kvDownNorm.weight", rank), "required"),
    kUp: ofHeads("kUp.weight", rank, plainDim),
    vUp: ofHeads("vUp.weight", valueDim, rank),
  };
}

function headNorms({ headNorm }: AttentionSpec, { headDim, nHeads, nKvHeads }: HeadsSpec) {
  if (!headNorm) return {};
  const { over, presence = "required" } = headNorm;
  const need = (role: "qNorm.weight" | "kNorm.weight", n: number) => {
    const view =
      over === "head"
        ? whole(role, headDim)
        : over === "row"
          ? whole(role, n * headDim)
          : tableOf(role, n, headDim);
    return vector(view, presence);
  };
  return { qNorm: need("qNorm.weight", nHeads), kNorm: need("kNorm.weight", nKvHeads) };
}

function blockNeeds(spec: FeedForwardSpec, dim: number, hiddenDim: number): BlockNeeds {
  const down = biased("down", dim, hiddenDim, spec.downBias);
  if (!spec.gated) return { up: biased("up", hiddenDim, dim, spec.bias), down };
  const together = spec.gateUp === "fused" ? "gateUp" : undefined;
  const needs = matrices(["gate", "up"], [hiddenDim, hiddenDim], together, dim, spec.bias);
  const [gate, up] = needs as [MatrixNeed, MatrixNeed];
  return { gate, up, down };
}

function expertNeeds(spec: FeedForwardSpec, experts: ExpertsSpec, dim: number): ExpertNeeds {
  const { n, hiddenDim, fused: together, shared, sharedGate } = experts;
  const parts = (name: LayerPart, i: number, rows: readonly number[], cols: number, presence?: Presence) => {
    const views = (suffix: "weight" | "bias") => expertOf(`${name}.${suffix}`, n, i, rows);
    const biases = presence && views("bias").map((view) => vector(view, presence));
    return views("weight").map((view, part) => matrix(view, cols, biases?.[part]));
  };
  const inputs = (i: number): MatrixNeed[] => {
    if (spec.gated && together) return parts("gateUpExperts", i, [hiddenDim, hiddenDim], dim, spec.bias);
    const gates = spec.gated ? parts("gateExperts", i, [hiddenDim], dim, spec.bias) : [];
    return [...gates, ...parts("upExperts", i, [hiddenDim], dim, spec.bias)];
  };
  return {
    router: { ...biased("router", n, dim, experts.bias), precise: true },
    choiceBias: experts.choiceBias && vector(whole("choice.bias", n), experts.choiceBias),
    experts: n,
    expert: (i) => {
      const [down] = parts("downExperts", i, [dim], hiddenDim, spec.downBias) as [MatrixNeed];
      const [up, gate] = inputs(i).reverse() as [MatrixNeed, MatrixNeed?];
      return { gate, up, down };
    },
    shared: shared && sharedNeeds(spec, dim, shared.hiddenDim),
    sharedGate: shared && sharedGate ? vector(whole("sharedRouter.weight", dim), "required") : undefined,
  };
}

function sharedNeeds(spec: FeedForwardSpec, dim: number, hiddenDim: number): BlockNeeds {
  return {
    gate: spec.gated ? biased("gateShared", hiddenDim, dim, spec.bias) : undefined,
    up: biased("upShared", hiddenDim, dim, spec.bias),
    down: biased("downShared", dim, hiddenDim, spec.downBias),
  };
}

function biased(
  part: LayerPart | "output",
  rows: number,
  cols: number,
  bias: Presence | undefined,
): MatrixNeed {
  const [need] = matrices([part], [rows], undefined, cols, bias);
  return need as MatrixNeed;
}

// Matrices with the same columns: one tensor for each part, or all of them in the tensor `together`.
function matrices(
  parts: readonly (LayerPart | "output")[],
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

type NormPart = "attnNorm" | "attnPostNorm" | "ffnNorm" | "ffnPostNorm" | "outputNorm";

// Undefined if files have no weights of it.
function norm(part: NormPart, spec: NormSpec, length: number): VectorNeed | undefined {
  if (spec.kind === "layer" && spec.plain) return undefined;
  const presence = spec.kind === "layer" ? spec.bias : undefined;
  const bias = presence && vector(whole(`${part}.bias`, length), presence);
  return vector(whole(`${part}.weight`, length), "required", bias);
}

function matrix(view: View, cols: number, bias?: VectorNeed): MatrixNeed {
  return { kind: "matrix", view, cols, bias };
}

function vector(view: View, presence: Presence, bias?: VectorNeed): VectorNeed {
  return { kind: "vector", view, presence, bias };
}
