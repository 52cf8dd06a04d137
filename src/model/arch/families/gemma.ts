// Gemma: embeddings times sqrt(dim), gates through GELU; later versions with norms on both sides of blocks, soft caps, sliding
// windows, and norms of each head of queries and keys. Files store norm weights with the 1 that Gemma adds.
import type { ModelFile } from "../../../format/model_file.ts";
import type { Hyper, ModelConfig } from "../../config.ts";
import { atLeastOne } from "../../hyper/values.ts";
import {
  attention,
  factor,
  gated,
  rms,
  rmsFamily,
  rmsHyper,
  rmsUsual,
  WINDOW_KEYS,
  windowAt,
  windowOf,
  withWindow,
} from "../parts.ts";
import type { Architecture, AttentionSpec, LayerSpec } from "../spec.ts";

const ATTENTION_CAP = "attn_logit_softcapping";
const LOGIT_CAP = "final_logit_softcapping";
const WINDOW_THETA = "rope.freq_base_swa";

const embedScale = ({ config }: Hyper) => Math.sqrt(config.dim);

/** Source: Gemma Team 2024, "Gemma", arXiv:2403.08295 */
export const gemma = rmsFamily(
  "gemma",
  (_i, hyper) => ({
    norm: rms(hyper),
    attention: attention(hyper, "halves"),
    feedForward: gated(hyper, "gelu"),
  }),
  { embedScale },
);

interface GemmaHyper extends Hyper {
  /** Base of the rotation of layers with a window. */
  readonly windowTheta?: number;
}

function laterHyper(file: ModelFile, windowPeriod: number): GemmaHyper {
  const usual = rmsHyper(file, { reads: [...WINDOW_KEYS, ATTENTION_CAP, LOGIT_CAP, WINDOW_THETA] });
  const { config } = withWindow(usual, windowOf(file), windowPeriod);
  const [attentionCap, logitCap] = [factor(file, ATTENTION_CAP), factor(file, LOGIT_CAP)];
  return {
    ...usual,
    windowTheta: atLeastOne(file, `${file.architecture}.${WINDOW_THETA}`, 10000),
    config: {
      ...config,
      ...(attentionCap && { attentionCap }),
      ...(logitCap && { logitCap }),
    },
  };
}

function layerOf(i: number, hyper: GemmaHyper, more: Partial<AttentionSpec>): LayerSpec {
  const window = windowAt(i, hyper);
  return {
    norm: rms(hyper),
    norms: "both",
    attention: attention(hyper, "halves", {
      scale: scoreScale(hyper.config),
      ...(window && { window }),
      ...more,
    }),
    feedForward: gated(hyper, "gelu"),
  };
}

// The models of 27 billion weights divide by the root of what a head would have if heads shared `dim`.
function scoreScale({ architecture, nLayers, dim, nHeads, headDim }: ModelConfig): number {
  const isLarge = nLayers === (architecture === "gemma2" ? 46 : 62);
  return 1 / Math.sqrt(isLarge ? dim / nHeads : headDim);
}

const later = { embedScale, logitCap: ({ config }: Hyper) => config.logitCap };

/** Source: Gemma Team 2024, "Gemma 2", arXiv:2408.00118 */
export const gemma2 = rmsFamily(
  "gemma2",
  (i, hyper) => {
    const { attentionCap: cap } = hyper.config;
    return layerOf(i, hyper, { ...(cap && { cap }) });
  },
  { ...later, hyper: (file) => laterHyper(file, 2) },
);

/** Source: Gemma Team 2025, "Gemma 3", arXiv:2503.19786 */
export const gemma3: Architecture<GemmaHyper> = {
  name: "gemma3",
  ...rmsUsual,
  ...later,
  hyper: (file) => laterHyper(file, 6),
  layer(i, hyper) {
    // Windowed layers have a base of their own, and their positions are not scaled.
    const { dim } = hyper.rope;
    const theta = hyper.windowTheta ?? hyper.config.ropeTheta;
    return layerOf(i, hyper, {
      headNorm: { over: "head" },
      ...(windowAt(i, hyper) && { rope: { pairing: "halves", dim, theta, scale: 1 } }),
    });
  },
};
