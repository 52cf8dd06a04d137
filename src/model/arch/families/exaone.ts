// EXAONE: rotary pairs half a head apart; EXAONE 4 has norms behind its blocks, and its large model has windows.
import type { ModelFile } from "../../../format/model_file.ts";
import type { Hyper } from "../../config.ts";
import {
  attention,
  gated,
  rms,
  rmsFamily,
  rmsHyper,
  WINDOW_KEYS,
  windowAt,
  windowOf,
  withWindow,
} from "../parts.ts";

/** Source: LG AI Research 2024, "EXAONE 3.0", arXiv:2408.03541 */
export const exaone = rmsFamily("exaone", (_i, hyper) => ({
  norm: rms(hyper),
  attention: attention(hyper, "halves"),
  feedForward: gated(hyper, "silu"),
}));

const PERIOD = 4;
// Layers of the model that has windows; files of smaller ones state a window that is not used.
const WINDOWED_LAYERS = 64;

/** Source: LG AI Research 2025, "EXAONE 4.0", arXiv:2507.11407 */
export const exaone4 = rmsFamily(
  "exaone4",
  (i, hyper) => {
    const window = windowAt(i, hyper);
    const rotates = window !== undefined || hyper.config.window === undefined;
    return {
      norm: rms(hyper),
      norms: "after",
      // With windows, only windowed layers know positions.
      attention: attention(hyper, rotates ? "halves" : "none", {
        headNorm: { over: "head" },
        ...(window && { window }),
      }),
      feedForward: gated(hyper, "silu"),
    };
  },
  {
    hyper(file: ModelFile): Hyper {
      const usual = rmsHyper(file, { reads: WINDOW_KEYS });
      if (usual.config.nLayers !== WINDOWED_LAYERS) return usual;
      return withWindow(usual, windowOf(file) ?? 4096, PERIOD);
    },
  },
);
