// OLMo: LayerNorm without weights; later norms behind the blocks, and norms over all heads of queries and keys.
import type { ModelFile } from "../../../format/model_file.ts";
import type { Hyper } from "../../config.ts";
import {
  attention,
  expertsOf,
  factor,
  gated,
  layerNormHyper,
  layerNormUsual,
  rms,
  rmsFamily,
  rmsHyper,
  WINDOW_KEYS,
  windowAt,
  windowOf,
  withWindow,
} from "../parts.ts";
import type { Architecture, NormSpec } from "../spec.ts";

const CLAMP = "attention.clamp_kqv";

interface OlmoHyper extends Hyper {
  readonly clamp?: number;
}

const norm = ({ config }: Hyper): NormSpec => ({ kind: "layer", eps: config.normEps, plain: true });

/** Source: Groeneveld et al. 2024, "OLMo", arXiv:2402.00838 */
export const olmo: Architecture<OlmoHyper> = {
  name: "olmo",
  ...layerNormUsual,
  hyper(file: ModelFile): OlmoHyper {
    const clamp = factor(file, CLAMP);
    return { ...layerNormHyper(file, { reads: [CLAMP] }), ...(clamp && { clamp }) };
  },
  layer: (_i, hyper) => ({
    norm: norm(hyper),
    attention: attention(hyper, "adjacent", { ...(hyper.clamp && { clamp: hyper.clamp }) }),
    feedForward: gated(hyper, "silu"),
  }),
  outputNorm: norm,
};

// Of OLMo 3, which has files of this name.
const PERIOD = 4;

/** Source: OLMo Team 2024, "2 OLMo 2 Furious", arXiv:2501.00656 */
export const olmo2 = rmsFamily(
  "olmo2",
  (i, hyper) => {
    const window = windowAt(i, hyper);
    const { dim, theta } = hyper.rope;
    return {
      norm: rms(hyper),
      norms: "after",
      attention: attention(hyper, "halves", {
        headNorm: { over: "row" },
        // Positions of windowed layers are not scaled.
        ...(window && { window, rope: { pairing: "halves", dim, theta, scale: 1 } }),
      }),
      feedForward: gated(hyper, "silu"),
    };
  },
  {
    hyper: (file: ModelFile) => withWindow(rmsHyper(file, { reads: WINDOW_KEYS }), windowOf(file), PERIOD),
  },
);

/** Source: Muennighoff et al. 2024, "OLMoE", arXiv:2409.02060 */
export const olmoe = rmsFamily(
  "olmoe",
  (i, hyper) => ({
    norm: rms(hyper),
    attention: attention(hyper, "halves", { headNorm: { over: "row" } }),
    feedForward: gated(hyper, "silu", expertsOf(i, hyper)),
  }),
  { hyper: (file: ModelFile) => rmsHyper(file, { experts: { presence: "required", normalize: false } }) },
);
