// What an architecture is: how its files name things, and what each of its layers computes, as data.
// A field of a spec is read by the blocks of model/plan/ or by model/weights/declare.ts; what nothing reads is not here.
import type { ModelFile } from "../../format/model_file.ts";
import type { Hyper, ModelConfig } from "../config.ts";
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
  /** Undefined: positions are not rotated. */
  readonly rope?: RopeSpec;
  /** What scores are multiplied by. */
  readonly scale: number;
}

/** What a feed-forward block computes: down(act(gate(x)) * up(x)), or down(act(up(x))) without a gate. */
export type FeedForwardSpec = {
  readonly act: "silu" | "gelu" | "relu";
  /** Biases of gate and up. */
  readonly bias?: Presence;
} & (
  | {
      readonly gated: true;
      /** Whether gate and up have a tensor each, or are rows of one, in this order. */
      readonly gateUp: "split" | "fused";
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
export type ModelPart = "embedding" | "outputNorm" | "output" | "ropeFactors";
/** Weights of a layer; qkv and gateUp are the tensors that hold several. */
export type LayerPart =
  | "attnNorm"
  | "q"
  | "k"
  | "v"
  | "qkv"
  | "attnOutput"
  | "ffnNorm"
  | "gate"
  | "up"
  | "gateUp"
  | "down";
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
}
