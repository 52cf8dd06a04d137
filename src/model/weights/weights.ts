// Weights of a model in linear memory, and the part of a file that each of them is read from.
import type { TensorInfo } from "../../format/model_file.ts";
import type { WeightFormat } from "../../quant/weight_format.ts";

/** Rows of a tensor: all of them, or some if several weights share the tensor. The rows of a vector are its values. */
export interface TensorRows {
  readonly info: TensorInfo;
  /** The first row that belongs to the weight. */
  readonly firstRow: number;
}

/** A weight matrix in linear memory: [strips * TILE_ROWS, blocks * BLOCK_COLS], zero-padded; strips are even. */
export interface Matrix extends TensorRows {
  readonly kind: "matrix";
  readonly format: WeightFormat;
  readonly address: number;
  readonly rows: number;
  readonly cols: number;
  readonly strips: number;
  readonly blocks: number;
  /** Added to its products; zero from `rows` to the end of the strips. */
  readonly bias?: Vector | undefined;
}

/** A vector of f32 in linear memory: norm weights, biases, rope factors. */
export interface Vector extends TensorRows {
  readonly kind: "vector";
  readonly address: number;
  readonly length: number;
  /** What a norm adds after it has multiplied by this. */
  readonly bias?: Vector | undefined;
}

/** Weights of one transformer layer. */
export interface LayerWeights {
  /** Norms stand where the layer's spec has them; undefined ones there have weights that are all 1. */
  readonly attnNorm?: Vector | undefined;
  readonly projections: HeadWeights | LatentWeights | ConvWeights | DeltaWeights;
  readonly qNorm?: Vector | undefined;
  readonly kNorm?: Vector | undefined;
  /** f32 [nHeads], if heads have scores of their own. */
  readonly sinks?: Vector | undefined;
  readonly attnOutput: Matrix;
  readonly attnPostNorm?: Vector | undefined;
  readonly ffnNorm?: Vector | undefined;
  readonly ffnPostNorm?: Vector | undefined;
  readonly feedForward: BlockWeights | ExpertWeights;
}

/** What makes queries, keys and values. */
export interface HeadWeights {
  readonly latent?: undefined;
  readonly mixer?: undefined;
  readonly q: Matrix;
  readonly k: Matrix;
  readonly v: Matrix;
}

/** What makes queries, and the short row of keys and values, in latent attention. */
export interface LatentWeights {
  readonly latent: true;
  readonly mixer?: undefined;
  /** Undefined if queries are made of the input. */
  readonly qDown?: Matrix | undefined;
  readonly qDownNorm?: Vector | undefined;
  readonly q: Matrix;
  readonly kvDown: Matrix;
  readonly kvDownNorm: Vector;
  /** Of each head: what its queries are multiplied by, so that they meet the short row; what makes its values of it. */
  readonly kUp: readonly Matrix[];
  readonly vUp: readonly Matrix[];
}

/** What a short convolution is made by. */
export interface ConvWeights {
  readonly latent?: undefined;
  readonly mixer: "short convolution";
  readonly input: Matrix;
  /** f32 [dim][taps]. */
  readonly kernel: Vector;
}

/** What a delta-net is made by. */
export interface DeltaWeights {
  readonly latent?: undefined;
  readonly mixer: "delta net";
  readonly qkv: Matrix;
  /** f32 [rows of qkv][taps]. */
  readonly kernel: Vector;
  /** Of what the heads give. */
  readonly gate: Matrix;
  readonly norm: Vector;
  /** Decays and learning rates of heads. */
  readonly alpha: Matrix;
  readonly beta: Matrix;
  readonly rates: Vector;
}

/** Weights of a feed-forward block, or of one expert. */
export interface BlockWeights {
  readonly experts?: undefined;
  /** Undefined if the block has no gate. */
  readonly gate?: Matrix | undefined;
  readonly up: Matrix;
  readonly down: Matrix;
}

/** Weights of a layer's experts. Those of one tensor have the same format. */
export interface ExpertWeights {
  readonly router: Matrix;
  /** f32 [experts]: see ExpertsSpec. */
  readonly choiceBias?: Vector | undefined;
  readonly experts: readonly [BlockWeights, ...BlockWeights[]];
  readonly shared?: BlockWeights | undefined;
  /** f32 [dim], zero from there to the end of the last block of columns. */
  readonly sharedGate?: Vector | undefined;
}

/** Where every weight of a model goes. */
export interface ModelWeights {
  readonly embedding: Matrix;
  /** Rows of `dim` values, one for each position; undefined if positions have none. */
  readonly positions: Vector | undefined;
  readonly layers: readonly LayerWeights[];
  /** Undefined if its weights are all 1. */
  readonly outputNorm: Vector | undefined;
  /** The embedding again if the file ties them. */
  readonly output: Matrix;
  /** What each rotary frequency is divided by (Llama 3.1 and later); f32 [rope.dim / 2]. */
  readonly ropeFactors: Vector | undefined;
  /** The same for contexts that are longer than the model was trained for, and for the others (LongRoPE). */
  readonly longFactors?: Vector | undefined;
  readonly shortFactors?: Vector | undefined;
  /** Each weight once, in the order of the file. */
  readonly all: readonly (Matrix | Vector)[];
}

/** The feed-forward block of a layer, or the first of its experts, which are alike. */
export function blockOf({ feedForward }: LayerWeights): BlockWeights {
  return feedForward.experts === undefined ? feedForward : feedForward.experts[0];
}

/**
 * The matrices that read each input of a layer: rows of tokens, not of slots.
 * @param together whether both blocks have the same input
 */
export function sharedInputs(layer: LayerWeights, together: boolean): readonly (readonly Matrix[])[] {
  const { projections, attnOutput, feedForward } = layer;
  const [hidden = [], ...rest] = feedForward.experts ? besideExperts(feedForward) : blockInputs(feedForward);
  const heads = projectionInputs(projections);
  return [...(together ? [[...heads, ...hidden]] : [heads, hidden]), [attnOutput], ...rest];
}

// Experts read the input of a single token as it is.
function besideExperts({ router, experts, shared }: ExpertWeights): readonly (readonly Matrix[])[] {
  const [of = [], ...rest] = shared ? blockInputs(shared) : [];
  return [[router, ...of, ...(blockInputs(experts[0])[0] ?? [])], ...rest];
}

/** The matrices of the attention block that read the layer's input. */
export function projectionInputs(weights: LayerWeights["projections"]): readonly Matrix[] {
  if (weights.mixer === "short convolution") return [weights.input];
  if (weights.mixer) return [weights.qkv, weights.gate, weights.alpha, weights.beta];
  if (!weights.latent) return [weights.q, weights.k, weights.v];
  return [weights.qDown ?? weights.q, weights.kvDown];
}

/** The matrices that read each input of a feed-forward block. */
export function blockInputs({ gate, up, down }: BlockWeights): readonly (readonly Matrix[])[] {
  return [gate ? [gate, up] : [up], [down]];
}
