// Command R: parallel blocks behind one LayerNorm, logits that are multiplied; Command R7B has windows.
import type { ModelFile } from "../../../format/model_file.ts";
import type { Hyper } from "../../config.ts";
import {
  attention,
  factor,
  gated,
  layerNorm,
  layerNormFamily,
  layerNormHyper,
  WINDOW_KEYS,
  windowAt,
  windowOf,
  withWindow,
} from "../parts.ts";
import type { AttentionSpec, LayerSpec } from "../spec.ts";

const LOGIT_SCALE = "logit_scale";
const PERIOD = 4;

function hyperOf(file: ModelFile, reads: readonly string[]): Hyper {
  const usual = layerNormHyper(file, { reads: [LOGIT_SCALE, ...reads] });
  const logitScale = factor(file, LOGIT_SCALE);
  return { ...usual, config: { ...usual.config, ...(logitScale && { logitScale }) } };
}

function layerOf(hyper: Hyper, attentionSpec: AttentionSpec): LayerSpec {
  return {
    norm: layerNorm(hyper, "optional"),
    parallel: "one norm",
    attention: attentionSpec,
    feedForward: gated(hyper, "silu"),
  };
}

const logitScale = ({ config }: Hyper) => config.logitScale ?? 1;

/** Source: Cohere 2024, model card of Command R; Command R+ has norms of each head of queries and keys. */
export const commandR = layerNormFamily(
  "command-r",
  (_i, hyper) =>
    layerOf(hyper, attention(hyper, "adjacent", { headNorm: { over: "own head", presence: "optional" } })),
  { logitScale, hyper: (file) => hyperOf(file, []) },
);

/** Source: Cohere 2025, "Command A", arXiv:2504.00698: three layers with a window and positions, one without either. */
export const cohere2 = layerNormFamily(
  "cohere2",
  (i, hyper) => {
    const window = windowAt(i, hyper);
    return layerOf(hyper, attention(hyper, window ? "adjacent" : "none", { ...(window && { window }) }));
  },
  {
    logitScale,
    hyper: (file) => withWindow(hyperOf(file, WINDOW_KEYS), windowOf(file), PERIOD),
  },
);
