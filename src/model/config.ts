// Hyper-parameters of a model under cria's names, and the limits that they are held to.
import type { RopeSpec } from "./rope.ts";

export type { KvType } from "../quant/kv_types.ts";
export type { Precision } from "../quant/registry.ts";

/** Hyper-parameters under cria's names, whatever vocabulary the file uses. */
export interface ModelConfig {
  /** The architecture, as the file names it: "llama". */
  readonly architecture: string;
  /** Length of a hidden state: columns of the token embedding. */
  readonly dim: number;
  /** Length of a row inside a feed-forward block. */
  readonly hiddenDim: number;
  /** Transformer layers. */
  readonly nLayers: number;
  /** Query heads of a layer. */
  readonly nHeads: number;
  /** Heads of keys and values of a layer; a divisor of `nHeads`, which share them. */
  readonly nKvHeads: number;
  /** Length of one head's query, key and value; even. */
  readonly headDim: number;
  /** Rows of the token embedding: ids are below this. */
  readonly vocabSize: number;
  /** Positions that the model was made for, at most 2^20. */
  readonly contextLength: number;
  /** Base of the rotary frequencies: pair i of a head turns by theta^(-2i / headDim) a position. */
  readonly ropeTheta: number;
  /** Positions are divided by this (linear scaling); 1: none. */
  readonly ropeScale: number;
  /** Added to the mean square of a row before it is normalized. */
  readonly normEps: number;
  /** Experts of a layer, those that work on a token, and the length of a row inside one; undefined without experts. */
  readonly nExperts?: number;
  readonly nExpertsUsed?: number;
  readonly expertHiddenDim?: number;
  /** Length of a row inside the expert that works on every token; undefined without one. */
  readonly sharedHiddenDim?: number;
  /** Groups of experts, and how many of them a token chooses its experts from; undefined if all are one. */
  readonly nExpertGroups?: number;
  readonly nExpertGroupsUsed?: number;
  /** Layers before the first with experts; undefined if there are none. */
  readonly nDenseLayers?: number;
  /** Positions that layers with a sliding window see; undefined if no layer has one. */
  readonly window?: number;
  /** Of so many layers in a row the last has no window. */
  readonly windowPeriod?: number;
  /** Soft caps: scores and logits z become cap tanh(z / cap). */
  readonly attentionCap?: number;
  readonly logitCap?: number;
  /** What embedding rows, what blocks add to hidden states, and logits are multiplied by. */
  readonly embeddingScale?: number;
  readonly residualScale?: number;
  readonly logitScale?: number;
  /** "erf" if GELU is computed in its exact form, on request; undefined: in its tanh form, or the model has none. */
  readonly gelu?: "erf";
  /** How positions are scaled, by the file or on request; undefined: not at all. `ropeScale` and others say by how much. */
  readonly ropeScaling?: RopeScalingKind;
  /** Positions of the context that dynamic scaling and LongRoPE begin beyond, and the factor of the former. */
  readonly ropeContext?: number;
  readonly ropeFactor?: number;
  /** What cosines and sines are multiplied by, besides what YaRN does; undefined: nothing. */
  readonly ropeGrowth?: number;
  /** YaRN: see YarnSpec. `ropeScale` is its factor. */
  readonly yarnContext?: number;
  readonly yarnFast?: number;
  readonly yarnSlow?: number;
  readonly yarnLogMultiplier?: number;
  readonly yarnExtrapolation?: number;
  readonly yarnFractional?: 1;
}

/** The scalings of rotary positions. */
export type RopeScalingKind = "linear" | "ntk" | "dynamic" | "yarn" | "longrope" | "llama3";

/** What an architecture reads from a file. One that needs more numbers extends this. */
export interface Hyper {
  readonly config: ModelConfig;
  /** Which of a layer's matrices are rows of one tensor. Undefined: none. */
  readonly fused?: { readonly qkv: boolean; readonly gateUp: boolean };
  /** The rotation, apart from which values are a pair: ropes are `{ pairing, ...rope }`. */
  readonly rope: Omit<RopeSpec, "pairing">;
  /** Positions of the context that the model was trained for before it was scaled; undefined: its context. */
  readonly trainedContext?: number;
  /** Set only if the architecture asked for it, and the file has experts. */
  readonly experts?: ExpertNumbers;
}

/** What a file says of its experts. */
export interface ExpertNumbers {
  /** Experts of a layer. */
  readonly n: number;
  /** Experts that work on a token. */
  readonly used: number;
  /** Length of a row inside an expert. */
  readonly hiddenDim: number;
  /** What makes shares of a router's products: softmax of all, sigmoid of each, or softmax of those that are chosen. */
  readonly gate: "softmax" | "sigmoid" | "softmax of chosen";
  /** Whether shares are divided by their sum. */
  readonly normalize: boolean;
  /** What shares are multiplied by in the end; without it 1. */
  readonly scale?: number;
  /** Groups of as many experts each: a token chooses from those `used` whose two best experts add up to most. */
  readonly groups?: { readonly n: number; readonly used: number };
  /** Gate and up of an expert are rows of one tensor, in this order. */
  readonly fused?: boolean;
  /** An expert that works on every token, beside those that are chosen. */
  readonly shared?: { readonly hiddenDim: number };
  /** Layers before the first with experts; without it 0. */
  readonly denseLayers?: number;
}

// Limits of what a plan can address. Far above any known model, far below what wraps: the product of any two stays
// under 2^53.
export const MAX_DIM = 1 << 20;
export const MAX_LAYERS = 1024;
export const MAX_HEADS = 4096;
export const MAX_HEAD_DIM = 576;
export const MAX_VOCAB = 1 << 22;
/** Longest context: sin and cos are exact up to 2^20 radians, and a position turns by at most one. */
export const MAX_CONTEXT = 1 << 20;
