// What an architecture is: how its files name things, and what each of its layers computes, as data.
// A field of a spec is read by the blocks of model/plan/ or by model/weights/declare.ts; what nothing reads is not here.
import type { ModelFile } from "../../format/model_file.ts";
import type { ExpertNumbers, Hyper, ModelConfig } from "../config.ts";
import type { RopeSpec } from "../rope.ts";

/** Whether files must have a tensor. */
export type Presence = "required" | "optional";

/** How a row is normalized. RMSNorm has no bias. */
export type NormSpec =
  | { readonly kind: "rms"; readonly eps: number }
  | {
      readonly kind: "layer";
      readonly eps: number;
      readonly bias?: Presence;
      /** Files have no weights: all are 1. */
      readonly plain?: boolean;
    };

/** Norms of queries and keys, which have weights of their own. */
export interface HeadNormSpec {
  /** What is normalized together: each head by the same weights, each by its own, or all heads as one row. */
  readonly over: "head" | "own head" | "row";
  readonly presence?: Presence;
  /** Whether they come after the rotation, and not before it. */
  readonly late?: boolean;
}

/** Heads of a layer. */
export interface HeadsSpec {
  readonly nHeads: number;
  /** A divisor of nHeads. */
  readonly nKvHeads: number;
  /** Length of a head's query, key and value; even. */
  readonly headDim: number;
}

/** Scores of far positions: queries are multiplied by 1 + scale * ln(floor(position / context) + 1). */
export interface TemperatureSpec {
  readonly scale: number;
  readonly context: number;
}

/**
 * Latent attention: keys and values of all heads are products of one short row, which is what the cache holds. A head's key
 * has a part that is rotated, which all heads share.
 * Source: DeepSeek-AI 2024, "DeepSeek-V2", arXiv:2405.04434, section 2.1 (the absorbed form of its products)
 */
export interface LatentSpec {
  /** Length of the short row that queries are made of; undefined: they are made of the input. */
  readonly queryRank?: number;
  /** Length of the short row of keys and values. */
  readonly rank: number;
  /** Values of a head's query and key that are not rotated, those that are, and those of its value. */
  readonly plainDim: number;
  readonly ropeDim: number;
  readonly valueDim: number;
}

/**
 * A short convolution in the place of attention: output(c * conv(p * u)), with rows p, c and u of one product of the input.
 * Source: Liquid AI 2025, "LFM2 Technical Report", arXiv:2511.23404, section 2
 */
export interface ShortConvSpec {
  readonly kind: "short convolution";
  /** Positions that it sees, its own included. */
  readonly taps: number;
}

/**
 * A gated delta-net in the place of attention: queries, keys and values go through a short convolution and SiLU; each head
 * has a matrix that learns values of keys, decays, and is asked by queries.
 * Source: Yang, Kautz and Hatamizadeh 2024, "Gated Delta Networks", arXiv:2412.06464
 */
export interface DeltaNetSpec {
  readonly kind: "delta net";
  readonly taps: number;
  /** Heads of values, and of queries and keys: value head h goes with h % keyHeads. */
  readonly heads: number;
  readonly keyHeads: number;
  /** Length of a head's query, key and value; a multiple of 4. */
  readonly headDim: number;
}

/** What an attention block computes. */
export interface AttentionSpec {
  /** If it is there, `heads` are the heads of the cache: one of keys and values, of rank + ropeDim values. */
  readonly latent?: LatentSpec;
  /** Undefined: those of the configuration. */
  readonly heads?: HeadsSpec;
  /** Whether each head of the query matrix is a query and then a gate: what attention gives is multiplied by its sigmoid. */
  readonly gated?: boolean;
  /** Whether q, k and v have a tensor each, or are rows of one, in this order. */
  readonly qkv: "split" | "fused";
  /** Biases of q, k and v. */
  readonly bias?: Presence;
  /** Of the output. */
  readonly outputBias?: Presence;
  /** Values of q, k and v are held to [-clamp, clamp]. */
  readonly clamp?: number;
  readonly headNorm?: HeadNormSpec;
  /** Undefined: positions are not rotated. */
  readonly rope?: RopeSpec;
  /** What scores are multiplied by. */
  readonly scale: number;
  /** Scores s become cap tanh(s / cap). */
  readonly cap?: number;
  readonly temperature?: TemperatureSpec;
  /** A position sees itself and those right before it, so many in all. Undefined: all before it. */
  readonly window?: number;
  /** Whether each head has a score of its own that takes part in the softmax and has no value. */
  readonly sinks?: boolean;
}

/**
 * Experts: blocks of the same shape, some of which work on each token. A router's products say which (those of the
 * largest), and what share the output of each has.
 */
export interface ExpertsSpec extends Omit<ExpertNumbers, "denseLayers"> {
  /** Bias of the router. */
  readonly bias?: Presence;
  /** What is added to what experts are chosen by, and to no share. */
  readonly choiceBias?: Presence;
  /** Whether the share of the shared expert is the sigmoid of a product of its own; else it is 1. */
  readonly sharedGate?: boolean;
}

/** Clamped SwiGLU: g sigmoid(alpha g) (u + 1), with the gate g at most `limit` and u within it both ways. */
export interface ClampSpec {
  readonly limit: number;
  readonly alpha: number;
}

/** What a gate goes through. GELU in its tanh form, unless the load asks for its exact form. */
export type GatedAct = "silu" | "gelu" | "gelu erf" | "relu";
/** What stands between two matrices without a gate; `relu2` is the square of ReLU (So et al. 2021, "Primer", arXiv:2109.08668). */
export type PlainAct = GatedAct | "relu2";

/** What a feed-forward block computes: down(act(gate(x)) * up(x)), or down(act(up(x))) without a gate. */
export type FeedForwardSpec = {
  /** Length of a row inside the block. Undefined: that of the configuration. */
  readonly hiddenDim?: number;
  /** Biases of gate and up. */
  readonly bias?: Presence;
  readonly downBias?: Presence;
  /** Undefined: one block works on every token. */
  readonly experts?: ExpertsSpec;
} & (
  | {
      readonly gated: true;
      readonly act: GatedAct;
      /** Whether gate and up have a tensor each, or are rows of one, in this order. */
      readonly gateUp: "split" | "fused";
      /** silu only. */
      readonly clamp?: ClampSpec;
    }
  | { readonly gated: false; readonly act: PlainAct }
);

/** One transformer layer: x += attention(norm(x)); x += feedForward(norm(x)). */
export interface LayerSpec {
  /** Of both blocks. */
  readonly norm: NormSpec;
  /** Whether norms stand before blocks (default), behind them, or both: block(norm(x)), norm(block(x)), norm(block(norm(x))). */
  readonly norms?: "before" | "after" | "both";
  /**
   * Both blocks read the same x, and what they make of it is added together: through one norm, or through one each.
   * Undefined: the feed-forward block reads what the attention block has made.
   */
  readonly parallel?: "one norm" | "two norms";
  /** What the result of a block is multiplied by before it is added; without it 1. */
  readonly residualScale?: number;
  /** What the layer has instead of attention; `attention` says nothing then. Not in parallel layers. */
  readonly mixer?: ShortConvSpec | DeltaNetSpec;
  readonly attention: AttentionSpec;
  readonly feedForward: FeedForwardSpec;
}

/** Weights of a whole model. */
export type ModelPart =
  | "embedding"
  | "positions"
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
  | "qNorm"
  | "kNorm"
  | "sinks"
  | "qDown"
  | "qDownNorm"
  | "qUp"
  | "kvDown"
  | "kvDownNorm"
  | "kUp"
  | "vUp"
  | "attnOutput"
  | "convInput"
  | "convKernel"
  | "convOutput"
  | "deltaKernel"
  | "deltaGate"
  | "deltaAlpha"
  | "deltaTime"
  | "deltaBeta"
  | "deltaRates"
  | "deltaNorm"
  | "deltaOutput"
  | "attnPostNorm"
  | "ffnNorm"
  | "gate"
  | "up"
  | "gateUp"
  | "down"
  | "ffnPostNorm"
  | "router"
  | "choice"
  | "gateExperts"
  | "upExperts"
  | "gateUpExperts"
  | "downExperts"
  | "sharedRouter"
  | "gateShared"
  | "upShared"
  | "downShared";
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
  /** Whether a row of a learned table is added to each embedding, by its position: the table has `contextLength` rows. */
  readonly positions?: boolean;
  /** Bias of the output matrix. */
  readonly outputBias?: Presence;
  /** What logits are multiplied by; without it 1. */
  logitScale?(hyper: H): number;
  /** Logits z become cap tanh(z / cap). */
  logitCap?(hyper: H): number | undefined;
  /** Names of tensors that change no result and are left out. */
  readonly ignored?: RegExp;
}

/** A file's model: its hyper-parameters and what they make of its architecture. */
export interface Model {
  readonly architecture: Pick<Architecture, "name" | "tensors" | "ignored">;
  readonly config: ModelConfig;
  readonly embedScale: number;
  readonly positions: boolean;
  readonly outputBias: Presence | undefined;
  readonly logitScale: number;
  readonly logitCap: number | undefined;
  readonly layers: readonly LayerSpec[];
  readonly outputNorm: NormSpec;
  /** Positions of the context that it was trained for before its positions were scaled. */
  readonly trainedContext: number;
}
