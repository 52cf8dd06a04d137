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
  readonly attnNorm: Vector;
  readonly q: Matrix;
  readonly k: Matrix;
  readonly v: Matrix;
  /** f32 [nHeads], if heads have scores of their own. */
  readonly sinks?: Vector | undefined;
  readonly attnOutput: Matrix;
  readonly ffnNorm: Vector;
  readonly feedForward: BlockWeights | ExpertWeights;
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
  readonly experts: readonly [BlockWeights, ...BlockWeights[]];
}

/** Where every weight of a model goes. */
export interface ModelWeights {
  readonly embedding: Matrix;
  readonly layers: readonly LayerWeights[];
  readonly outputNorm: Vector;
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

/** The matrices that read each input of a layer, apart from those of experts. */
export function sharedInputs(layer: LayerWeights): readonly (readonly Matrix[])[] {
  const { q, k, v, attnOutput, feedForward } = layer;
  return [[q, k, v], [attnOutput], ...(feedForward.experts ? [] : blockInputs(feedForward))];
}

/** The matrices that read each input of a feed-forward block. */
export function blockInputs({ gate, up, down }: BlockWeights): readonly (readonly Matrix[])[] {
  return [gate ? [gate, up] : [up], [down]];
}
