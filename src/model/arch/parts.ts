// Parts of layers that many architectures have in common, as data.
import type { ModelFile } from "../../format/model_file.ts";
import type { Hyper } from "../config.ts";
import { type GgufVocabulary, ggufHyper } from "../hyper/gguf_hyper.ts";
import { integer, real } from "../hyper/values.ts";
import type { RopeSpec } from "../rope.ts";
import { ggufName } from "./gguf_names.ts";
import type {
  Architecture,
  AttentionSpec,
  ExpertsSpec,
  FeedForwardSpec,
  GatedAct,
  NormSpec,
  PlainAct,
  Presence,
} from "./spec.ts";

const embedding = ggufName("embedding.weight", 0);

/** Hyper-parameters of a family with RMSNorm. @throws as ggufHyper() */
export function rmsHyper(file: ModelFile, more: Partial<GgufVocabulary> = {}): Hyper {
  return ggufHyper(file, { epsilon: "attention.layer_norm_rms_epsilon", embedding, ...usual, ...more });
}

/** Hyper-parameters of a family with LayerNorm. @throws as ggufHyper() */
export function layerNormHyper(file: ModelFile, more: Partial<GgufVocabulary> = {}): Hyper {
  return ggufHyper(file, { epsilon: "attention.layer_norm_epsilon", embedding, ...usual, ...more });
}

const usual = { fused: true } as const;

/** RMSNorm. */
export function rms({ config }: Hyper): NormSpec {
  return { kind: "rms", eps: config.normEps };
}

/** LayerNorm. */
export function layerNorm({ config }: Hyper, bias?: Presence): NormSpec {
  return { kind: "layer", eps: config.normEps, ...(bias && { bias }) };
}

/** Attention with the rotation of a file, which may have biases. */
export function attention(
  hyper: Hyper,
  pairing: RopeSpec["pairing"] | "none",
  more: Partial<AttentionSpec> = {},
): AttentionSpec {
  return {
    qkv: hyper.fused?.qkv ? "fused" : "split",
    bias: "optional",
    outputBias: "optional",
    ...(pairing !== "none" && { rope: { pairing, ...hyper.rope } }),
    scale: 1 / Math.sqrt(hyper.config.headDim),
    ...more,
  };
}

/** Of layers that have something else in its place. */
export const NO_ATTENTION: AttentionSpec = { qkv: "split", scale: 1 };

/** Most taps of a convolution: kernels work on them in scratch. */
export const MAX_TAPS = 32;

/** A gated feed-forward block, which may have biases, or experts that are such blocks. */
export function gated({ fused }: Hyper, act: GatedAct, experts?: ExpertsSpec): FeedForwardSpec {
  return {
    ...{ gated: true, act, gateUp: fused?.gateUp && !experts ? "fused" : "split" },
    bias: "optional",
    downBias: "optional",
    ...(experts && { experts }),
  };
}

/** The experts of layer `i`; undefined if it has none. */
export function expertsOf(
  i: number,
  { experts }: Hyper,
  more: Partial<ExpertsSpec> = {},
): ExpertsSpec | undefined {
  if (!experts) return undefined;
  const { denseLayers = 0, ...numbers } = experts;
  return i < denseLayers ? undefined : { ...numbers, choiceBias: "optional", ...more };
}

/** A feed-forward block without a gate, which may have biases. */
export function plain(act: PlainAct): FeedForwardSpec {
  return { gated: false, act, bias: "optional", downBias: "optional" };
}

/** Hyper-parameters with a sliding window, if there is one: of `windowPeriod` layers in a row the last has none. */
export function withWindow(hyper: Hyper, window: number | undefined, windowPeriod: number): Hyper {
  return window === undefined ? hyper : { ...hyper, config: { ...hyper.config, window, windowPeriod } };
}

/** The sliding window of layer `i`; undefined if it has none. */
export function windowAt(i: number, { config }: Hyper): number | undefined {
  const { window, windowPeriod = 1 } = config;
  return i % windowPeriod < windowPeriod - 1 ? window : undefined;
}

/** A positive number that files need not have; undefined if there is none, or 0. @throws FormatError */
export function factor(file: ModelFile, name: string): number | undefined {
  return real(file, `${file.architecture}.${name}`, { min: 0, max: MAX_FACTOR, fallback: 0 }) || undefined;
}

/** A sliding window that files need not have; undefined if there is none, or 0. @throws FormatError */
export function windowOf(file: ModelFile): number | undefined {
  return (
    integer(file, `${file.architecture}.${WINDOW}`, { min: 0, max: 2 ** 31 - 1, fallback: 0 }) || undefined
  );
}

/** The key of a sliding window. */
export const WINDOW = "attention.sliding_window";

/** The same, and that of which layers have it, which families know by themselves. */
export const WINDOW_KEYS: readonly string[] = [WINDOW, "attention.sliding_window_pattern"];

// Factors, caps and limits: far beyond any that makes sense, and finite as f32.
const MAX_FACTOR = 1e9;

/** What families with RMSNorm and the usual names have in common. */
export const rmsUsual = { outputNorm: rms, tensors: ggufName } as const;

/** What families with LayerNorm that may have a bias, and the usual names, have in common. */
export const layerNormUsual = {
  outputNorm: (hyper: Hyper) => layerNorm(hyper, "optional"),
  tensors: ggufName,
} as const;

/** A family with RMSNorm, the usual keys and the usual names, but for what `more` says. */
export function rmsFamily(
  name: string,
  layer: Architecture["layer"],
  more: Partial<Architecture> = {},
): Architecture {
  return { name, hyper: rmsHyper, layer, ...rmsUsual, ...more };
}

/** A family with LayerNorm that may have a bias, the usual keys and the usual names, but for what `more` says. */
export function layerNormFamily(
  name: string,
  layer: Architecture["layer"],
  more: Partial<Architecture> = {},
): Architecture {
  return { name, hyper: layerNormHyper, layer, ...layerNormUsual, ...more };
}
