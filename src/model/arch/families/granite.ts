// Granite and MiniCPM: Llama with factors for embeddings, scores, what blocks add, and logits.
import type { ModelFile } from "../../../format/model_file.ts";
import type { Hyper } from "../../config.ts";
import { attention, expertsOf, factor, gated, rms, rmsHyper, rmsUsual } from "../parts.ts";
import type { Architecture, LayerSpec } from "../spec.ts";

const SCORE_SCALE = "attention.scale";
const SCALES = ["embedding_scale", "residual_scale", "logit_scale", SCORE_SCALE] as const;
const EXPERTS = { presence: "required", shared: "if stated" } as const;
const ROTATES = "rope.scaling.finetuned";

interface GraniteHyper extends Hyper {
  readonly scoreScale?: number;
  /** Whether positions are rotated. */
  readonly rotates: boolean;
}

interface Scales {
  readonly embedding: number;
  readonly residual: number;
  readonly logit: number;
}

function hyperOf(file: ModelFile, experts: boolean, defaults: (usual: Hyper) => Scales): GraniteHyper {
  const usual = rmsHyper(file, { reads: SCALES, ...(experts && { experts: EXPERTS }) });
  const scales = defaults(usual);
  const scoreScale = factor(file, SCORE_SCALE);
  return {
    ...usual,
    rotates: file.metadata.get(`${file.architecture}.${ROTATES}`)?.value !== false,
    ...(scoreScale && { scoreScale }),
    config: {
      ...usual.config,
      embeddingScale: factor(file, SCALES[0]) ?? scales.embedding,
      residualScale: factor(file, SCALES[1]) ?? scales.residual,
      // Files have what logits are divided by.
      logitScale: 1 / (factor(file, SCALES[2]) ?? scales.logit),
    },
  };
}

function layer(i: number, hyper: GraniteHyper): LayerSpec {
  const { scoreScale, rotates, config } = hyper;
  return {
    norm: rms(hyper),
    residualScale: config.residualScale ?? 1,
    attention: attention(hyper, rotates ? "adjacent" : "none", { ...(scoreScale && { scale: scoreScale }) }),
    feedForward: gated(hyper, "silu", expertsOf(i, hyper)),
  };
}

function family(name: string, hyper: (file: ModelFile) => GraniteHyper): Architecture<GraniteHyper> {
  return {
    ...{ name, hyper, layer },
    ...rmsUsual,
    embedScale: ({ config }) => config.embeddingScale ?? 1,
    logitScale: ({ config }) => config.logitScale ?? 1,
  };
}

const none = () => ({ embedding: 1, residual: 1, logit: 1 });

/** Source: Stallone et al. 2024, "Scaling Granite Code Models", arXiv:2407.13739; IBM 2024, Granite 3.0 */
export const granite = family("granite", (file) => hyperOf(file, false, none));

/** Granite with experts. */
export const granitemoe = family("granitemoe", (file) => hyperOf(file, true, none));

/** Source: Hu et al. 2024, "MiniCPM", arXiv:2404.06395; what files that do not say have: llama.cpp */
export const minicpm = family("minicpm", (file) =>
  hyperOf(file, false, ({ config }) => ({
    embedding: 12,
    residual: 1.4 / Math.sqrt(config.nLayers),
    logit: 256 / config.dim,
  })),
);
