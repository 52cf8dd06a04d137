// What an architecture is: how its files name things, and what each of its layers computes, as data.
// A field of a spec is read by the blocks of model/plan/ or by model/weights/declare.ts; what nothing reads is not here.
import type { ModelFile } from "../../format/model_file.ts";
import type { ExpertNumbers, Hyper, ModelConfig } from "../config.ts";
import type { RopeSpec } from "../rope.ts";

/** Whether files must have a tensor. */
export type Presence = "required" | "optional";

/** How a row is normalized before a block. RMSNorm has no bias. */
export type NormSpec =
  | { readonly kind: "rms"; readonly eps: number }
  | { readonly kind: "layer"; readonly eps: number; readonly bias?: Presence };

/** What an attention block computes. */
export interface AttentionSpec {
  /** Whether q, k and v have a tensor each, or are rows of one, in this order. */
  readonly qkv: "split" | "fused";
  /** Biases of q, k and v. */
  readonly bias?: Presence;
  /** Of the output. */
  readonly outputBias?: Presence;
  /** Undefined: positions are not rotated. */
  readonly rope?: RopeSpec;
  /** What scores are multiplied by. */
  readonly scale: number;
  /** A position sees itself and those right before it, so many in all. Undefined: all before it. */
  readonly window?: number;
  /** Whether each head has a score of its own that takes part in the softmax and has no value. */
  readonly sinks?: boolean;
}

/**
 * Experts: blocks of the same shape, some of which work on each token. A router's products say which (those of the
 * largest), and what share the output of each has.
 */
export interface ExpertsSpec extends ExpertNumbers {
  /** What makes shares of products: softmax of all, sigmoid of each, or softmax of those that are chosen. */
  readonly gate: "softmax" | "sigmoid" | "softmax of chosen";
  /** Whether shares are divided by their sum. */
  readonly normalize: boolean;
  /** What shares are multiplied by in the end; without it 1. */
  readonly scale?: number;
  /** Bias of the router. */
  readonly bias?: Presence;
}

/** Clamped SwiGLU: g sigmoid(alpha g) (u + 1), with the gate g at most `limit` and u within it both ways. */
export interface ClampSpec {
  readonly limit: number;
  readonly alpha: number;
}

/** What a feed-forward block computes: down(act(gate(x)) * up(x)), or down(act(up(x))) without a gate. */
export type FeedForwardSpec = {
  readonly act: "silu" | "gelu" | "relu";
  /** Biases of gate and up. */
  readonly bias?: Presence;
  readonly downBias?: Presence;
  /** Undefined: one block works on every token. */
  readonly experts?: ExpertsSpec;
} & (
  | {
      readonly gated: true;
      /** Whether gate and up have a tensor each, or are rows of one, in this order. */
      readonly gateUp: "split" | "fused";
      /** silu only. */
      readonly clamp?: ClampSpec;
    }
  | { readonly gated: false }
);

/** One transformer layer: norm, attention, sum; norm, feed-forward, sum. */
export interface LayerSpec {
  /** Of both blocks. */
  readonly norm: NormSpec;
  readonly attention: AttentionSpec;
  readonly feedForward: FeedForwardSpec;
}

/** Weights of a whole model. */
export type ModelPart =
  | "embedding"
  | "outputNorm"
  | "output"
  | "ropeFactors"
  | "longFactors"
  | "shortFactors";
/** Weights of a layer; qkv and gateUp are the tensors that hold several, and those of experts hold all experts'. */
export type LayerPart =
  | "attnNorm"
  | "q"
  | "k"
  | "v"
  | "qkv"
  | "sinks"
  | "attnOutput"
  | "ffnNorm"
  | "gate"
  | "up"
  | "gateUp"
  | "down"
  | "router"
  | "gateExperts"
  | "upExperts"
  | "downExperts";
/** What a tensor is for. */
export type Role = `${ModelPart | LayerPart}.${"weight" | "bias"}`;

/** A family of models. `H` is what it reads from a file. */
export interface Architecture<H extends Hyper = Hyper> {
  /** As files name it. */
  readonly name: string;
  /** Reads hyper-parameters. @throws FormatError, UnsupportedError */
  hyper(file: ModelFile): H;
  /** What layer `i` computes. */
  layer(i: number, hyper: H): LayerSpec;
  /** The norm before the logits. */
  outputNorm(hyper: H): NormSpec;
  /** Name of the tensor with a role; `layer` counts for those of layers. */
  tensors(role: Role, layer: number): string;
  /** What embedding rows are multiplied by; without it 1. */
  embedScale?(hyper: H): number;
  /** Names of tensors that change no result and are left out. */
  readonly ignored?: RegExp;
}

/** A file's model: its hyper-parameters and what they make of its architecture. */
export interface Model {
  readonly architecture: Pick<Architecture, "name" | "tensors" | "ignored">;
  readonly config: ModelConfig;
  readonly embedScale: number;
  readonly layers: readonly LayerSpec[];
  readonly outputNorm: NormSpec;
  /** Positions of the context that it was trained for before its positions were scaled. */
  readonly trainedContext: number;
}
